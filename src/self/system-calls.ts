// System calls that an agent never makes, by their numbers on each processor. A list: refusing them is rights.ts, through ffi. What Bun,
// SQLite, workers and child processes need is not in it, nor bpf and perf_event_open, which attach sensors again when rules change.

interface Call {
  readonly name: string;
  readonly x64?: number;
  readonly arm64?: number;
}

function call(name: string, x64: number, arm64: number = x64): Call {
  return { name, x64, arm64 };
}

/** By what somebody who runs code in the agent would use them for. */
const CALLS: readonly Call[] = [
  // Into other processes, which are to be watched and ended, not changed.
  call("ptrace", 101, 117),
  call("process_vm_readv", 310, 270),
  call("process_vm_writev", 311, 271),
  call("pidfd_getfd", 438),
  // Into the kernel, past the sensors.
  call("init_module", 175, 105),
  call("finit_module", 313, 273),
  call("delete_module", 176, 106),
  call("kexec_load", 246, 104),
  call("kexec_file_load", 320, 294),
  call("reboot", 169, 142),
  call("userfaultfd", 323, 282),
  { name: "iopl", x64: 172 },
  { name: "ioperm", x64: 173 },
  { name: "modify_ldt", x64: 154 },
  // Other roots and namespaces.
  call("mount", 165, 40),
  call("umount2", 166, 39),
  call("pivot_root", 155, 41),
  call("chroot", 161, 51),
  call("setns", 308, 268),
  call("unshare", 272, 97),
  call("open_tree", 428),
  call("move_mount", 429),
  call("fsopen", 430),
  call("fsconfig", 431),
  call("fsmount", 432),
  call("fspick", 433),
  call("mount_setattr", 442),
  call("swapon", 167, 224),
  call("swapoff", 168, 225),
  // Keys, accounting, names, and the clock, which is watched.
  call("add_key", 248, 217),
  call("request_key", 249, 218),
  call("keyctl", 250, 219),
  call("acct", 163, 89),
  call("quotactl", 179, 60),
  call("sethostname", 170, 161),
  call("setdomainname", 171, 162),
  call("settimeofday", 164, 170),
  call("clock_settime", 227, 112),
  call("clock_adjtime", 305, 266),
  call("adjtimex", 159, 171),
  call("vhangup", 153, 58),
];

/** What a process that only reads files does not make besides: by these it would run programs, speak to others, change or end what is not its own. */
const NOT_TO_READ: readonly Call[] = [
  call("execve", 59, 221),
  call("execveat", 322, 281),
  call("socket", 41, 198),
  call("connect", 42, 203),
  call("bpf", 321, 280),
  call("perf_event_open", 298, 241),
  // Its requests open files, and pass by this list.
  call("io_uring_setup", 425),
  call("fanotify_init", 300, 262),
  call("kill", 62, 129),
  call("rt_sigqueueinfo", 129, 138),
  call("pidfd_send_signal", 424),
  call("unlinkat", 263, 35),
  call("renameat", 264, 38),
  call("renameat2", 316, 276),
  call("mkdirat", 258, 34),
  call("linkat", 265, 37),
  call("symlinkat", 266, 36),
  call("mknodat", 259, 33),
  call("fchmod", 91, 52),
  call("fchmodat", 268, 53),
  call("fchmodat2", 452),
  call("fchown", 93, 55),
  call("fchownat", 260, 54),
  call("truncate", 76, 45),
  call("setxattr", 188, 5),
  call("lsetxattr", 189, 6),
  call("fsetxattr", 190, 7),
  call("removexattr", 197, 14),
  call("lremovexattr", 198, 15),
  call("fremovexattr", 199, 16),
  { name: "unlink", x64: 87 },
  { name: "rename", x64: 82 },
  { name: "mkdir", x64: 83 },
  { name: "rmdir", x64: 84 },
  { name: "link", x64: 86 },
  { name: "symlink", x64: 88 },
  { name: "mknod", x64: 133 },
  { name: "chmod", x64: 90 },
  { name: "chown", x64: 92 },
  { name: "lchown", x64: 94 },
  { name: "creat", x64: 85 },
];

interface NumberedCall {
  readonly name: string;
  readonly number: number;
}

/** Names and numbers of the calls on this processor; none where the numbers are not known. */
export function neverNeeded(processor: string): readonly NumberedCall[] {
  return numbered(CALLS, processor);
}

/** The same of those that only a process which reads files can do without. */
export function neededByNoReader(processor: string): readonly NumberedCall[] {
  return numbered(NOT_TO_READ, processor);
}

function numbered(calls: readonly Call[], processor: string): readonly NumberedCall[] {
  return calls.flatMap(({ name, x64, arm64 }) => {
    const number = processor === "x64" ? x64 : processor === "arm64" ? arm64 : undefined;
    return number === undefined ? [] : [{ name, number }];
  });
}
