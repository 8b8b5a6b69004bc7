// Byte offsets of the records in bpf/event.h, little endian. A test compares every number with what the C compiler says.

/** Kind of a record. */
export const enum Op {
  Exec = 1,
  Args = 2,
  Fork = 3,
  Exit = 4,
  File = 5,
  Connect = 6,
  Change = 7,
  Act = 8,
  Bind = 9,
  Listen = 10,
  Send = 11,
  Dns = 12,
  Accept = 13,
  Denied = 14,
  Unix = 15,
}

/** Bits of `event_header.flags`. */
export const enum Flag {
  PathCut = 1,
  ArgsCut = 2,
  ReadFailed = 4,
  Script = 8,
  Privileged = 16,
  Created = 32,
  Watched = 64,
  Env = 128,
  EnvCut = 256,
  Policy = 512,
  Unearned = 1024,
}

/** struct event_header: begins every record. */
export const enum Head {
  Time = 0,
  Start = 8,
  ParentStart = 16,
  CgroupId = 24,
  Pid = 32,
  Tid = 36,
  Ppid = 40,
  Vpid = 44,
  Uid = 48,
  Gid = 52,
  Euid = 56,
  Egid = 60,
  Suid = 64,
  Sgid = 68,
  LoginUid = 72,
  AuditSession = 76,
  Pgid = 80,
  Sid = 84,
  Tty = 88,
  Op = 92,
  Flags = 94,
  Comm = 96,
  Size = 112,
}

/** struct exec_event. */
export const enum Exec {
  Inode = 112,
  CapEffective = 120,
  CapPermitted = 128,
  SizeBytes = 136,
  ChangeSeconds = 144,
  ChangeNanoseconds = 152,
  FsMagic = 156,
  Device = 160,
  Nlink = 164,
  Mode = 168,
  Owner = 172,
  ArgsSize = 176,
  ArgsBytes = 180,
  EnvSize = 184,
  EnvBytes = 188,
  PathBytes = 192,
  CwdBytes = 194,
  FilenameBytes = 196,
  Size = 200,
}

/** struct args_event. */
export const enum Args {
  Offset = 112,
  ArgsBytes = 116,
  Size = 120,
}

/** struct fork_event. */
export const enum Fork {
  ForkerPid = 112,
  Size = 120,
}

/** struct exit_event. */
export const enum Exit {
  Code = 112,
  Size = 120,
}

/** struct file_event. */
export const enum FileOpen {
  Inode = 112,
  SizeBytes = 120,
  Device = 128,
  Mode = 132,
  Owner = 136,
  Group = 140,
  OpenFlags = 144,
  Nlink = 148,
  FsMagic = 152,
  PathBytes = 156,
  Size = 160,
}

/** What a change_event says was done. */
export const enum ChangeKind {
  Rename = 1,
  Unlink = 2,
  Rmdir = 3,
  Link = 4,
  Symlink = 5,
  Mode = 6,
  Owner = 7,
  Make = 8,
  AttributeSet = 9,
  AttributeRemove = 10,
  Truncate = 11,
}

/** struct change_event. */
export const enum Change {
  Inode = 112,
  SizeBytes = 120,
  Device = 128,
  FileMode = 132,
  Owner = 136,
  Group = 140,
  Values = 144,
  Kind = 152,
  NameBytes = 154,
  FolderBytes = 156,
  OtherNameBytes = 158,
  OtherFolderBytes = 160,
  Size = 168,
}

/** What an act_event says was done. */
export const enum ActKind {
  UserIds = 1,
  GroupIds = 2,
  Capabilities = 3,
  Ptrace = 4,
  MemoryRead = 5,
  MemoryWrite = 6,
  Signal = 7,
  BpfLoad = 8,
  Memfd = 9,
  Mount = 10,
  Root = 11,
  IoUring = 12,
  Userfaultfd = 13,
  Namespace = 14,
  ModuleLoad = 15,
  ModuleUnload = 16,
  Mmap = 17,
  Mprotect = 18,
  Kexec = 19,
  Key = 20,
  MemoryOpen = 21,
  Umount = 22,
  Session = 23,
  MemoryOpenRead = 24,
  PidfdGetfd = 25,
}

/** Which of several calls an act was done by. */
export const enum Way {
  Unshare = 1,
  Setns = 2,
  Clone = 3,
  AddKey = 0x100,
  RequestKey = 0x101,
}

/** struct act_event. */
export const enum Act {
  Values = 112,
  TargetStart = 128,
  TargetPid = 136,
  Kind = 140,
  TextBytes = 142,
  PathBytes = 144,
  Size = 152,
}

/** struct flow_event. */
export const enum Flow {
  Source = 112,
  Destination = 128,
  Family = 144,
  Protocol = 146,
  SourcePort = 148,
  DestinationPort = 150,
  Size = 152,
}

/** struct unix_event. */
export const enum UnixConnect {
  PathBytes = 112,
  NameBytes = 114,
  Name = 120,
  Size = 232,
}

/** struct dns_event. */
export const enum Dns {
  Source = 112,
  Destination = 128,
  Family = 144,
  Protocol = 146,
  SourcePort = 148,
  DestinationPort = 150,
  MessageSize = 152,
  MessageBytes = 154,
  IsAnswer = 156,
  Size = 160,
}

/** struct denied_event. */
export const enum Denied {
  Inode = 112,
  SizeBytes = 120,
  Device = 128,
  Mode = 132,
  Owner = 136,
  Group = 140,
  OpenFlags = 144,
  Nlink = 148,
  About = 152,
  PathBytes = 154,
  Size = 160,
}

/** struct sensor_counters: one row, u64 each. */
export const enum Counter {
  Produced = 0,
  Dropped = 8,
  Truncated = 16,
  ReadFailed = 24,
  Filtered = 32,
  Size = 40,
}

/** Bits of `enum demand_class`: the kinds of events that the demand tells apart. */
export const enum DemandClass {
  Creation = 1,
  Modification = 2,
  Open = 4,
  Connect = 8,
  Accept = 16,
  Bind = 32,
  Listen = 64,
  Unix = 128,
  /** Shifted by the {@link ChangeKind}. */
  Change = 256,
}

/** struct demand, u32 each. */
export const enum DemandWord {
  Wanted = 0,
  Tested = 4,
  Names = 8,
  Extensions = 12,
  Users = 16,
  OtherUsers = 20,
  Ports = 24,
  Groups = 28,
  Addresses = 32,
  Generation = 36,
  Size = 40,
}

/** struct demand_number, u32 each: a user or a port. */
export const enum DemandNumber {
  Number = 0,
  Generation = 4,
  Size = 8,
}

/** struct demand_block: u32, u32, 16 bytes. */
export const enum DemandBlock {
  PrefixBits = 0,
  Generation = 4,
  Address = 8,
  Size = 24,
}

/** struct demand_group: u64, then u32. */
export const enum DemandGroup {
  Id = 0,
  Generation = 8,
  Size = 16,
}

/** struct demand_name, u32 each. */
export const enum DemandName {
  Names = 0,
  Folders = 4,
  Extensions = 8,
  Size = 16,
}

/** Key of `demand_names`; its last byte is the generation. */
export const DEMAND_NAME_BYTES = 32;
/** Elements of `demand_names`, of each generation. */
export const DEMAND_NAMES_MAX = 2048;
/** The same of `demand_users`. */
export const DEMAND_USERS_MAX = 256;
/** The same of `demand_ports`. */
export const DEMAND_PORTS_MAX = 256;
/** The same of `demand_blocks`, besides the one of all addresses. */
export const DEMAND_BLOCKS_MAX = 1024;
/** The same of `demand_groups`. */
export const DEMAND_GROUPS_MAX = 2048;

/** Bytes of the name in a thread. */
export const COMM_BYTES = 16;
/** Key of the watch list. */
export const WATCH_NAME_BYTES = 32;
/** Values of the watch list. */
export const enum Watch {
  Name = 1,
  Parent = 2,
}
