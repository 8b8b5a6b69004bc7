// A program that runs from a filesystem which a process serves, and which stops to answer when it is told.
import { existsSync, mkdirSync, mkdtempSync, readlinkSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "../cli/program.ts";

/** Filesystems served by a process: root may, and has a mount namespace to hide one in, which a chroot does not give. */
export function servesFiles(): boolean {
  const hides = (): boolean => Bun.which("unshare") !== null && Bun.spawnSync(["unshare", "-m", "true"]).exitCode === 0;
  const found = process.getuid?.() === 0 && existsSync("/dev/fuse") && hides();
  if (!found) console.log("skipped: a program on a filesystem that does not answer (not root, no /dev/fuse, or no mount namespace)");
  return found;
}

/** See the head of this file. Ends, with its filesystem, with the test that started it. */
export class ServedProgram implements AsyncDisposable {
  readonly pid: number;
  readonly #silence: string;
  readonly #server: Bun.Subprocess;
  readonly #folder: string;

  private constructor(pid: number, silence: string, server: Bun.Subprocess, folder: string) {
    this.pid = pid;
    this.#silence = silence;
    this.#server = server;
    this.#folder = folder;
  }

  /**
   * Starts a shell called `name` with a script, where programs of the system lie; `silence` names a file that is not there. With a `layer`, an
   * empty folder, the filesystem is one of layers, and only what it lies on is served.
   */
  static async start(name: string, silence: string, script: string, layer = ""): Promise<ServedProgram> {
    const programs = "/usr/local/lib";
    mkdirSync(programs, { recursive: true });
    const folder = mkdtempSync(join(programs, "kestrel-test-"));
    const command = [process.execPath, join(import.meta.dir, "fuse-server.ts"), folder, layer, name, silence, "-c", script];
    const server = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
    const first = await server.stdout.getReader().read();
    const pid = Number(new TextDecoder().decode(first.value));
    const served = new ServedProgram(pid, silence, server, folder);
    // The first part of it was read by whoever starts it, who is another program still.
    await eventually(
      () => `process ${pid} to run ${name}`,
      () => readlinkSync(`/proc/${pid}/exe`) === join(folder, name) || undefined,
    );
    return served;
  }

  /** From now on no question about attributes is answered. */
  fallSilent(): void {
    writeFileSync(this.#silence, "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Left alone it would run on, and hold the output of whoever runs the tests.
    Bun.spawnSync(["kill", "-KILL", `${this.pid}`], { stderr: "ignore" });
    this.#server.kill("SIGKILL");
    await this.#server.exited;
    rmdirSync(this.#folder);
  }
}
