// What several rooms must agree on about Linux: the name of a process for good, and where control groups and bpffs are mounted. Text in, text out.
/** Length of the kernel's public clock tick, in which /proc tells start times, on every architecture. */
export const CLOCK_TICK_NS = 10_000_000;

/** Id of one process for ever: boot, pid and start. The start counts in ticks, all that /proc tells, so sensors and /proc agree. */
export function entityIdOf(bootId: string, pid: number, startTick: number): string {
  return Bun.SHA256.hash(`${bootId}/${pid}/${startTick}`, "base64url").slice(0, 22);
}

/**
 * What stands behind the first line of a file in /proc that begins so. Only a line feed ends a line there: to a regular expression a carriage
 * return does too, which threads and control groups may have in their names.
 */
export function lineBehind(text: string, start: string): string | undefined {
  return text
    .split("\n")
    .find((line) => line.startsWith(start))
    ?.slice(start.length);
}

/** Where cgroup v2 is mounted, from the text of /proc/self/mounts; `undefined` when it is not. */
export function cgroupRoot(mounts: string): string | undefined {
  return mountedAt(mounts, "cgroup2")[0];
}

/**
 * Where bpffs, which keeps BPF objects after their process, is mounted; `undefined` when it is not. Its usual place if there are several: a
 * later agent must look where an earlier one pinned.
 */
export function bpffsRoot(mounts: string): string | undefined {
  const roots = mountedAt(mounts, "bpf");
  return roots.find((path) => path === "/sys/fs/bpf") ?? roots[0];
}

function mountedAt(mounts: string, wanted: string): string[] {
  return mounts
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, path, type]) => type === wanted && path !== undefined)
    .map(([, path = ""]) => path.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))));
}
