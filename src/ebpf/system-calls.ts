// The system calls that sensors look at as they return: what each is called in bpf/calls.h, which sensor has the program for it, which events
// may come of it, and its numbers. Data, and the table the kernel side reads. Numbers stand here alone: the kernel side knows none.
import type { SensorName } from "./sensors.ts";

/** `enum call` of bpf/calls.h; the high byte is the family. */
export const enum Call {
  Open = 0x100,
  Rename = 0x200,
  RenameAt = 0x201,
  Unlink = 0x202,
  UnlinkAt = 0x203,
  Rmdir = 0x204,
  Link = 0x205,
  LinkAt = 0x206,
  Symlink = 0x207,
  SymlinkAt = 0x208,
  Chmod = 0x209,
  Fchmod = 0x20a,
  FchmodAt = 0x20b,
  Mkdir = 0x20f,
  MkdirAt = 0x210,
  Mknod = 0x211,
  MknodAt = 0x212,
  Truncate = 0x213,
  Ptrace = 0x303,
  MemoryRead = 0x304,
  MemoryWrite = 0x305,
  Bpf = 0x306,
  Memfd = 0x307,
  Mount = 0x308,
  MoveMount = 0x309,
  Root = 0x30a,
  IoUring = 0x30b,
  Userfaultfd = 0x30c,
  Unshare = 0x30d,
  Setns = 0x30e,
  Kexec = 0x311,
  KexecFile = 0x312,
  Keyctl = 0x313,
  AddKey = 0x314,
  RequestKey = 0x315,
  Umount = 0x316,
  Setsid = 0x317,
  OpenTree = 0x318,
  Fsmount = 0x319,
  MountSetattr = 0x31a,
  Fsconfig = 0x31b,
  PidfdGetfd = 0x31c,
  Ioctl = 0x31d,
  Accept = 0x400,
  Socketcall = 0x401,
  Connect = 0x700,
  Mmap = 0x500,
  OldMmap = 0x501,
  Mprotect = 0x502,
  Chown = 0x600,
  Fchown = 0x601,
  FchownAt = 0x602,
  SetAttribute = 0x603,
  FsetAttribute = 0x604,
  SetAttributeAt = 0x605,
  RemoveAttribute = 0x606,
  FremoveAttribute = 0x607,
  RemoveAttributeAt = 0x608,
  SetUser = 0x800,
  SetGroup = 0x801,
  Capset = 0x802,
}

/** Numbers the table has. */
export const CALL_NUMBERS = 1024;
/** The family is above these bits of a {@link Call}. */
export const CALL_FAMILY_SHIFT = 8;
/** Bit beside a call of 32-bit code whose user ids have 16 bits. */
export const CALL_NARROW_IDS = 0x8000;

/** One call, or several that are handled alike. */
export interface SystemCall {
  readonly call: Call;
  /** The sensor whose program handles it. */
  readonly sensor: SensorName;
  /** Values of `event.action` that may come of it. */
  readonly actions: readonly string[];
  /** Numbers in 64-bit code, by `process.arch`. x32 code has those of x64 and, from 512 on, some of its own. */
  readonly x64: readonly number[];
  readonly arm64: readonly number[];
  /** Numbers in 32-bit code on x64. */
  readonly compat: readonly number[];
  /** Of these, the old ones with user ids of 16 bits. */
  readonly narrow: readonly number[];
}

type Numbers = Partial<Pick<SystemCall, "x64" | "arm64" | "compat" | "narrow">>;

function row(sensor: SensorName, call: Call, actions: string | readonly string[], numbers: Numbers): SystemCall {
  const list = typeof actions === "string" ? [actions] : actions;
  return { call, sensor, actions: list, x64: [], arm64: [], compat: [], narrow: [], ...numbers };
}

/** All of them. */
export const SYSTEM_CALLS: readonly SystemCall[] = [
  row("file", Call.Open, ["creation", "modification", "open", "process_memory_open", "process_memory_open_read"], {
    x64: [2, 85, 257, 304, 437],
    arm64: [56, 265, 437],
    compat: [5, 8, 295, 342, 437],
  }),
  row("change", Call.Rename, "rename", { x64: [82], compat: [38] }),
  row("change", Call.RenameAt, "rename", { x64: [264, 316], arm64: [38, 276], compat: [302, 353] }),
  row("change", Call.Unlink, "deletion", { x64: [87], compat: [10] }),
  row("change", Call.UnlinkAt, "deletion", { x64: [263], arm64: [35], compat: [301] }),
  row("change", Call.Rmdir, "deletion", { x64: [84], compat: [40] }),
  row("change", Call.Link, "link", { x64: [86], compat: [9] }),
  row("change", Call.LinkAt, "link", { x64: [265], arm64: [37], compat: [303] }),
  row("change", Call.Symlink, "symlink", { x64: [88], compat: [83] }),
  row("change", Call.SymlinkAt, "symlink", { x64: [266], arm64: [36], compat: [304] }),
  row("change", Call.Chmod, "mode_change", { x64: [90], compat: [15] }),
  row("change", Call.Fchmod, "mode_change", { x64: [91], arm64: [52], compat: [94] }),
  row("change", Call.FchmodAt, "mode_change", { x64: [268, 452], arm64: [53, 452], compat: [306, 452] }),
  row("attribute", Call.Chown, "owner_change", { x64: [92, 94], compat: [16, 182, 198, 212], narrow: [16, 182] }),
  row("attribute", Call.Fchown, "owner_change", { x64: [93], arm64: [55], compat: [95, 207], narrow: [95] }),
  row("attribute", Call.FchownAt, "owner_change", { x64: [260], arm64: [54], compat: [298] }),
  row("change", Call.Mkdir, "creation", { x64: [83], compat: [39] }),
  row("change", Call.MkdirAt, "creation", { x64: [258], arm64: [34], compat: [296] }),
  row("change", Call.Mknod, "creation", { x64: [133], compat: [14] }),
  row("change", Call.MknodAt, "creation", { x64: [259], arm64: [33], compat: [297] }),
  row("change", Call.Truncate, "modification", { x64: [76], arm64: [45], compat: [92, 193] }),
  row("attribute", Call.SetAttribute, "attribute_change", { x64: [188, 189], arm64: [5, 6], compat: [226, 227] }),
  row("attribute", Call.FsetAttribute, "attribute_change", { x64: [190], arm64: [7], compat: [228] }),
  row("attribute", Call.SetAttributeAt, "attribute_change", { x64: [463], arm64: [463], compat: [463] }),
  row("attribute", Call.RemoveAttribute, "attribute_removal", { x64: [197, 198], arm64: [14, 15], compat: [235, 236] }),
  row("attribute", Call.FremoveAttribute, "attribute_removal", { x64: [199], arm64: [16], compat: [237] }),
  row("attribute", Call.RemoveAttributeAt, "attribute_removal", { x64: [466], arm64: [466], compat: [466] }),
  row("credential", Call.SetUser, "uid_change", { x64: [105, 113, 117], arm64: [146, 145, 147], compat: [23, 213, 70, 203, 164, 208] }),
  row("credential", Call.SetGroup, "gid_change", { x64: [106, 114, 119], arm64: [144, 143, 149], compat: [46, 214, 71, 204, 170, 210] }),
  row("credential", Call.Capset, "capabilities_change", { x64: [126], arm64: [91], compat: [185] }),
  row("act", Call.Ptrace, "ptrace_attach", { x64: [101, 521], arm64: [117], compat: [26] }),
  row("act", Call.MemoryRead, "process_vm_read", { x64: [310, 539], arm64: [270], compat: [347] }),
  row("act", Call.MemoryWrite, "process_vm_write", { x64: [311, 540], arm64: [271], compat: [348] }),
  row("act", Call.PidfdGetfd, "pidfd_getfd", { x64: [438], arm64: [438], compat: [438] }),
  row("act", Call.Bpf, "bpf_program_load", { x64: [321], arm64: [280], compat: [357] }),
  row("act", Call.Memfd, "memfd_create", { x64: [319], arm64: [279], compat: [356] }),
  row("act", Call.Mount, "mount", { x64: [165], arm64: [40], compat: [21] }),
  row("act", Call.MoveMount, "mount", { x64: [429], arm64: [429], compat: [429] }),
  row("act", Call.OpenTree, "mount", { x64: [428, 467], arm64: [428, 467], compat: [428, 467] }),
  row("act", Call.Fsmount, "mount", { x64: [432], arm64: [432], compat: [432] }),
  row("act", Call.MountSetattr, "mount", { x64: [442], arm64: [442], compat: [442] }),
  row("act", Call.Fsconfig, "mount", { x64: [431], arm64: [431], compat: [431] }),
  row("act", Call.Root, "root_change", { x64: [155, 161], arm64: [41, 51], compat: [217, 61] }),
  row("act", Call.IoUring, "io_uring_setup", { x64: [425], arm64: [425], compat: [425] }),
  row("act", Call.Userfaultfd, "userfaultfd", { x64: [323], arm64: [282], compat: [374] }),
  row("act", Call.Ioctl, "userfaultfd", { x64: [16, 514], arm64: [29], compat: [54] }),
  row("act", Call.Unshare, "namespace_change", { x64: [272], arm64: [97], compat: [310] }),
  row("act", Call.Setns, "namespace_change", { x64: [308], arm64: [268], compat: [346] }),
  row("act", Call.Kexec, "kexec_load", { x64: [246, 528], arm64: [104], compat: [283] }),
  row("act", Call.KexecFile, "kexec_load", { x64: [320], arm64: [294] }),
  row("act", Call.Keyctl, "keyctl", { x64: [250], arm64: [219], compat: [288] }),
  row("act", Call.AddKey, "keyctl", { x64: [248], arm64: [217], compat: [286] }),
  row("act", Call.RequestKey, "keyctl", { x64: [249], arm64: [218], compat: [287] }),
  row("act", Call.Umount, "umount", { x64: [166], arm64: [39], compat: [22, 52] }),
  row("act", Call.Setsid, "session_id_change", { x64: [112], arm64: [157], compat: [66] }),
  row("accept", Call.Accept, "connection_accepted", { x64: [43, 288], arm64: [202, 242], compat: [364] }),
  row("accept", Call.Socketcall, "connection_accepted", { compat: [102] }),
  row("unix", Call.Connect, "unix_connect", { x64: [42], arm64: [203], compat: [362] }),
  row("memory", Call.Mmap, "mmap", { x64: [9], arm64: [222], compat: [192] }),
  row("memory", Call.OldMmap, "mmap", { compat: [90] }),
  row("memory", Call.Mprotect, "mprotect", { x64: [10, 329], arm64: [226, 288], compat: [125, 380] }),
];

/** Whether anybody can use an event of this sensor with this `event.action`. */
export type WantedEvents = (sensor: SensorName, action: string) => boolean;

/** The family whose program handles a call. */
export function familyOf(call: Call): number {
  return call >>> CALL_FAMILY_SHIFT;
}

/** The table of bpf/calls.h for the calls that may give a wanted event: by number, the call in 64-bit code and above it that in 32-bit code. */
export function callTable(architecture: string, isWanted: WantedEvents): Uint32Array {
  const table = new Uint32Array(CALL_NUMBERS);
  for (const { call, sensor, actions, x64, arm64, compat, narrow } of SYSTEM_CALLS) {
    if (!actions.some((action) => isWanted(sensor, action))) continue;
    for (const number of architecture === "arm64" ? arm64 : x64) table[number] = (table[number]! & 0xffff_0000) | call;
    if (architecture === "arm64") continue;
    for (const number of compat) {
      const narrowBit = narrow.includes(number) ? CALL_NARROW_IDS : 0;
      table[number] = (table[number]! & 0xffff) | ((call | narrowBit) << 16);
    }
  }
  return table;
}
