// The acts on the machine at hand: the same tree as an emulated machine has, as a changed root in a mount namespace of its own, so that nothing
// stays behind. Everything else is this machine's: kernel, processes, control groups.
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { inspectMachine } from "#ebpf";
import { makeTree } from "./initramfs.ts";
import type { Transcript } from "./machine.ts";
import { HERE } from "./verdict.ts";

const DEADLINE_MS = 240_000;

/** Why the acts cannot be done here, if so. */
export function refusedHere(): string | undefined {
  if (process.getuid?.() !== 0) return "not root";
  if (Bun.which("unshare") === null || Bun.which("chroot") === null) return "no unshare and chroot";
  if (!Bun.spawnSync(["unshare", "-m", "true"]).success) return "no mount namespaces";
  return inspectMachine().error;
}

/** Does them and brings back what the agent said. */
export async function actHere(): Promise<Transcript> {
  const tree = mkdtempSync(join(tmpdir(), "kestrel-here-"));
  const startedMs = performance.now();
  try {
    makeTree(tree, HERE.acts);
    // Some acts are those of users, who must find their way from the root on.
    chmodSync(tree, 0o755);
    const acting = Bun.spawn(["unshare", "-m", "--propagation", "private", "chroot", tree, "/init"], {
      env: { PATH: process.env["PATH"] },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      detached: true,
    });
    const words = Promise.all([new Response(acting.stdout).text(), new Response(acting.stderr).text()]);
    let killed = false;
    // Its own session: the agent in it ends with it.
    const deadline = setTimeout(() => {
      killed = true;
      process.kill(-acting.pid, "SIGKILL");
    }, DEADLINE_MS);
    await acting.exited;
    clearTimeout(deadline);
    const results = join(tree, "results");
    return {
      release: release(),
      results: existsSync(results) ? readFileSync(results, "utf8") : "",
      console: (await words).join("").trimEnd(),
      seconds: (performance.now() - startedMs) / 1000,
      killed,
    };
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}
