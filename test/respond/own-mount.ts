// A tmpfs of the test's own: permission marks stand on nothing else, so that no other program of the machine ever waits for a test.
import { chmodSync, copyFileSync, mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ExecPermissionGroup } from "#ffi/fanotify";

let reason: string | undefined;
let asked = false;

/** Whether programs can be held here at all; says once why not. */
export function gatesRun(): boolean {
  if (!asked) {
    asked = true;
    reason = whyNot();
    if (reason !== undefined) console.log(`skipped: programs held by fanotify (${reason})`);
  }
  return reason === undefined;
}

function whyNot(): string | undefined {
  try {
    using _group = ExecPermissionGroup.open();
    using _mount = new OwnMount();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** See the head of this file. */
export class OwnMount implements Disposable {
  readonly path: string;

  constructor(option = "suid", folder: string = tmpdir()) {
    this.path = mkdtempSync(join(folder, "kestrel-gate-"));
    const { exitCode, stderr } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", `size=64m,mode=755,${option}`, "kestrel-test", this.path]);
    if (exitCode === 0) return;
    rmdirSync(this.path);
    throw new Error(`Cannot mount a tmpfs: ${stderr.toString().trim()}`);
  }

  /** A copy of a program in the mount. */
  program(name: string, from = "/bin/true"): string {
    const path = join(this.path, name);
    copyFileSync(from, path);
    chmodSync(path, 0o755);
    return path;
  }

  [Symbol.dispose](): void {
    // Lazily: what the test started may not have ended yet.
    Bun.spawnSync(["umount", "-l", this.path]);
    rmdirSync(this.path);
  }
}
