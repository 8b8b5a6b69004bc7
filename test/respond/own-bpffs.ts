// A bpffs that only its own processes see: what a test pins there is gone with them, also when the test is killed, and the machine's own
// bpffs holds nothing of a test.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The longest that it stays when nobody ends it. */
const STAYS_SECONDS = 600;

/** Why there can be none here; `undefined`: there can. A changed root that is no mount of its own cannot keep mounts to itself. */
export function whyNoOwnBpffs(): string | undefined {
  return Bun.spawnSync(["unshare", "-m", "true"]).success ? undefined : "no mount namespaces";
}

/** See the head of this file. */
export class OwnBpffs implements AsyncDisposable {
  /** Where its processes see it. */
  readonly inside: string = mkdtempSync(join(tmpdir(), "kestrel-bpffs-"));
  readonly #home: Bun.Subprocess<"ignore", "pipe", "inherit">;

  private constructor() {
    // No other bpffs is in its sight.
    const script = `umount -a -t bpf; mount -t bpf bpf "${this.inside}" && echo ready && exec sleep ${STAYS_SECONDS}`;
    this.#home = Bun.spawn(["unshare", "-m", "sh", "-c", script], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
  }

  /** Mounted. */
  static async mount(): Promise<OwnBpffs> {
    const bpffs = new OwnBpffs();
    const { done } = await bpffs.#home.stdout.getReader().read();
    if (done) throw new Error("Cannot mount a bpffs");
    return bpffs;
  }

  /** Where every process sees it. */
  get outside(): string {
    return `/proc/${this.#home.pid}/root${this.inside}`;
  }

  /** What goes before a command for it to be one of its processes, in a folder. */
  enter(folder: string): string[] {
    return ["nsenter", `--mount=/proc/${this.#home.pid}/ns/mnt`, `--wd=${folder}`];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#home.kill("SIGKILL");
    await this.#home.exited;
    rmSync(this.inside, { recursive: true });
  }
}
