// Which mounts the gate must stand on so that no program runs past it: every one that programs can be run from, each filesystem once. Text of
// /proc/self/mountinfo in, paths out; the rest is the caller's.

/** One mount to mark. */
export interface GateMount {
  readonly path: string;
  /** Names the filesystem: one mark covers it wherever it is mounted. */
  readonly filesystem: string;
}

/** Filesystems of the kernel's own that hold no programs, and to some of which a mark is refused. */
const WITHOUT_PROGRAMS: ReadonlySet<string> = new Set([
  "autofs",
  "binfmt_misc",
  "bpf",
  "cgroup",
  "cgroup2",
  "configfs",
  "debugfs",
  "devpts",
  "efivarfs",
  "fusectl",
  "mqueue",
  "nsfs",
  "proc",
  "pstore",
  "rpc_pipefs",
  "securityfs",
  "selinuxfs",
  "sysfs",
  "tracefs",
]);

/**
 * Mounts to mark. A filesystem that is mounted noexec everywhere has none. `only`: the mounts at these paths and no others, whatever they are.
 */
export function gateMounts(mountinfo: string, only: readonly string[] | undefined): readonly GateMount[] {
  const found = new Map<string, GateMount>();
  for (const line of mountinfo.split("\n")) {
    const [before = "", after = ""] = line.split(" - ", 2);
    const [, , device, , path, options] = before.split(" ");
    const type = after.split(" ", 1)[0] ?? "";
    if (device === undefined || path === undefined || options === undefined) continue;
    const mount = { path: unescaped(path), filesystem: device };
    const isMeant = only === undefined ? !WITHOUT_PROGRAMS.has(type) && !options.split(",").includes("noexec") : only.includes(mount.path);
    if (isMeant && !found.has(device)) found.set(device, mount);
  }
  return [...found.values()];
}

function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
}
