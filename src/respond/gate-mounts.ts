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

/** Filesystems served by somebody who may never answer: nothing of their files may be asked for while others wait. */
const SERVED = /^(fuse|nfs|cifs|smb|9p|virtiofs|ceph|afs|lustre|glusterfs|ocfs2|gfs2|orangefs|coda)/;

/** Of every mount whether its filesystem may never answer, by device. */
export function servedFilesystems(mountinfo: string): ReadonlyMap<string, boolean> {
  return new Map(mountLines(mountinfo).map(({ device, type }) => [device, SERVED.test(type)]));
}

/**
 * Mounts to mark. A filesystem that is mounted noexec everywhere has none. `only`: the mounts at these paths and no others, whatever they are.
 */
export function gateMounts(mountinfo: string, only: readonly string[] | undefined): readonly GateMount[] {
  const found = new Map<string, GateMount>();
  for (const { device, path, options, type } of mountLines(mountinfo)) {
    const isMeant = only === undefined ? !WITHOUT_PROGRAMS.has(type) && !options.split(",").includes("noexec") : only.includes(path);
    if (isMeant && !found.has(device)) found.set(device, { path, filesystem: device });
  }
  return [...found.values()];
}

interface MountLine {
  readonly device: string;
  readonly path: string;
  readonly options: string;
  readonly type: string;
}

function mountLines(mountinfo: string): readonly MountLine[] {
  return mountinfo.split("\n").flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ", 2);
    const [, , device, , path, options] = before.split(" ");
    const type = after.split(" ", 1)[0] ?? "";
    return device === undefined || path === undefined || options === undefined ? [] : [{ device, path: unescaped(path), options, type }];
  });
}

function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
}
