// Freezes a process by its control group (v2), when the group holds nothing else. Unlike a stop signal, what is frozen cannot be woken by a
// signal of its friends. Invariant: a group with a stranger in it, the agent's own, one above it, and the root are never frozen.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What may be frozen. */
export interface FreezeOptions {
  /** Where cgroup v2 is mounted. */
  readonly root: string | undefined;
  /** Path of the group below the mount. */
  readonly path: string | undefined;
  /** Path of the agent's own group. */
  readonly ownPath: string | undefined;
  /** Whether a process is one of those meant. */
  readonly isMeant: (pid: number) => boolean;
}

const GROUPS_MAX = 1024;

/** Freezes a group, and with `dryRun` only says whether it would. The group's folder, or why not. */
export function freezeOwnCgroup(options: FreezeOptions, dryRun = false): { readonly folder: string } | { readonly reason: string } {
  const { root, path, ownPath, isMeant } = options;
  if (root === undefined) return { reason: "cgroup v2 is not mounted" };
  if (path === undefined || path === "/" || path.split("/").includes("..")) return { reason: "it has no control group of its own" };
  if (ownPath === undefined || `${ownPath}/`.startsWith(`${path}/`)) return { reason: "the agent is in its control group" };
  const folder = join(root, path);
  try {
    if (!membersOf(folder).every(isMeant)) return { reason: "its control group holds other processes" };
    if (dryRun) return { folder };
    writeFileSync(join(folder, "cgroup.freeze"), "1");
    // Somebody may have been moved in meanwhile.
    if (membersOf(folder).every(isMeant)) return { folder };
    thaw(folder);
    return { reason: "its control group holds other processes" };
  } catch (error) {
    return { reason: `its control group cannot be frozen: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** Lets a frozen group run again. */
export function thaw(folder: string): void {
  writeFileSync(join(folder, "cgroup.freeze"), "0");
}

/** Processes of a group and of those below it. */
function membersOf(folder: string): readonly number[] {
  const pids: number[] = [];
  const folders = [folder];
  for (let index = 0; index < folders.length; index++) {
    if (index === GROUPS_MAX) throw new Error(`more than ${GROUPS_MAX} groups below it`);
    const current = folders[index] as string;
    pids.push(...readFileSync(join(current, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number));
    for (const child of readdirSync(current, { withFileTypes: true })) if (child.isDirectory()) folders.push(join(current, child.name));
  }
  return pids;
}
