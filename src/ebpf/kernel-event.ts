// One kernel record as a value. `decode` takes any bytes: it answers `undefined` for what no sensor of ours can have sent, never throws,
// and never reads outside the record. Everything it returns is a copy, so the ring may reuse the bytes.
import { posix } from "node:path";
import { Act, ActKind, Args, Change, ChangeKind, COMM_BYTES, Connect, Exec, Exit, FileOpen, Flag, Fork, Head, Op } from "./wire.ts";

/** Who did it, with ids of the initial namespaces. */
export interface Actor {
  /** Nanoseconds since boot. */
  readonly timeNs: bigint;
  /** Nanoseconds since boot at which the process began. */
  readonly startNs: number;
  readonly parentStartNs: number;
  readonly cgroupId: bigint;
  readonly pid: number;
  readonly tid: number;
  readonly ppid: number;
  readonly vpid: number;
  readonly uid: number;
  readonly gid: number;
  readonly euid: number;
  readonly egid: number;
  readonly suid: number;
  readonly sgid: number;
  readonly loginUid: number;
  readonly pgid: number;
  readonly sid: number;
  readonly ttyMajor: number;
  readonly ttyMinor: number;
  readonly flags: number;
  readonly comm: string;
}

/** A program was started. `args` are the raw bytes, each argument ended by a NUL; more may follow in {@link ArgsEvent}s. */
export interface ExecEvent {
  readonly kind: "exec";
  readonly actor: Actor;
  readonly executable: string;
  readonly workingDirectory: string;
  /** What the caller named: the script, when there is one. */
  readonly filename: string;
  readonly inode: bigint;
  readonly device: number;
  readonly nlink: number;
  readonly mode: number;
  readonly argsSize: number;
  readonly args: Uint8Array;
}

/** More argument bytes of the exec before it. */
export interface ArgsEvent {
  readonly kind: "args";
  readonly actor: Actor;
  readonly offset: number;
  readonly args: Uint8Array;
}

/** A process was made; the actor is the new one. */
export interface ForkEvent {
  readonly kind: "fork";
  readonly actor: Actor;
  readonly forkerPid: number;
}

/** A process ended. */
export interface ExitEvent {
  readonly kind: "exit";
  readonly actor: Actor;
  readonly exitCode: number;
  readonly signal: number;
}

/** A file was opened. */
export interface FileEvent extends InodeFacts {
  readonly kind: "file";
  readonly actor: Actor;
  readonly path: string;
  readonly openFlags: number;
}

/** What was done to a file. */
export type ChangeName = "rename" | "deletion" | "link" | "symlink" | "mode_change" | "owner_change";

/** A file was renamed, removed, linked or given other rights or another owner. */
export interface ChangeEvent {
  readonly kind: "change";
  readonly actor: Actor;
  readonly change: ChangeName;
  /** Of the file as it is called now; of a removed one, as it was called. */
  readonly path: string;
  /** Where it was before the rename; the file that was linked; the text of a symbolic link. */
  readonly otherPath: string | undefined;
  readonly isFolder: boolean;
  /** The mode that was set. */
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** What the kernel has of the file after the change, when the call named it by its descriptor. */
  readonly inode: InodeFacts | undefined;
}

/** What the kernel knows of a file. */
export interface InodeFacts {
  readonly inode: bigint;
  readonly sizeBytes: number;
  readonly device: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** A rare act that says much. */
export type ActName =
  | "uid_change"
  | "gid_change"
  | "capabilities_change"
  | "ptrace_attach"
  | "process_vm_read"
  | "process_vm_write"
  | "signal_sent"
  | "bpf_program_load"
  | "memfd_create"
  | "mount"
  | "root_change"
  | "io_uring_setup"
  | "userfaultfd"
  | "namespace_change";

/** Something rare was done. What the values and the text are depends on `act`: see bpf/event.h. */
export interface ActEvent {
  readonly kind: "act";
  readonly actor: Actor;
  readonly act: ActName;
  readonly values: readonly [bigint, bigint];
  /** 0: no other process, or one whose pid is not known. */
  readonly targetPid: number;
  /** 0: not known. */
  readonly targetStartNs: number;
  readonly text: string;
}

/** A connection was asked for. Addresses are 4 or 16 bytes; an all-zero source is not chosen yet. */
export interface ConnectEvent {
  readonly kind: "connect";
  readonly actor: Actor;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/** Any record. */
export type KernelEvent = ExecEvent | ArgsEvent | ForkEvent | ExitEvent | FileEvent | ChangeEvent | ActEvent | ConnectEvent;

const AF_INET = 2;
const AF_INET6 = 10;
const NUL = 0;
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const NO_ID = 0xffff_ffff;

const CHANGE_NAMES = new Map<number, ChangeName>([
  [ChangeKind.Rename, "rename"],
  [ChangeKind.Unlink, "deletion"],
  [ChangeKind.Rmdir, "deletion"],
  [ChangeKind.Link, "link"],
  [ChangeKind.Symlink, "symlink"],
  [ChangeKind.Mode, "mode_change"],
  [ChangeKind.Owner, "owner_change"],
]);

const ACT_NAMES = new Map<number, ActName>([
  [ActKind.UserIds, "uid_change"],
  [ActKind.GroupIds, "gid_change"],
  [ActKind.Capabilities, "capabilities_change"],
  [ActKind.Ptrace, "ptrace_attach"],
  [ActKind.MemoryRead, "process_vm_read"],
  [ActKind.MemoryWrite, "process_vm_write"],
  [ActKind.Signal, "signal_sent"],
  [ActKind.BpfLoad, "bpf_program_load"],
  [ActKind.Memfd, "memfd_create"],
  [ActKind.Mount, "mount"],
  [ActKind.Root, "root_change"],
  [ActKind.IoUring, "io_uring_setup"],
  [ActKind.Userfaultfd, "userfaultfd"],
  [ActKind.Namespace, "namespace_change"],
]);

/** Reads the record at `bytes[offset, offset + length)`. `undefined`: not a record. */
export function decode(bytes: Uint8Array, offset: number, length: number): KernelEvent | undefined {
  if (length < Head.Size || offset < 0 || offset + length > bytes.byteLength) return undefined;
  const record = Buffer.from(bytes.buffer, bytes.byteOffset + offset, length);
  switch (record.readUInt16LE(Head.Op)) {
    case Op.Exec:
      return length < Exec.Size ? undefined : decodeExec(record);
    case Op.Args:
      return length < Args.Size ? undefined : decodeArgs(record);
    case Op.Fork:
      return length < Fork.Size ? undefined : { kind: "fork", actor: decodeActor(record), forkerPid: record.readUInt32LE(Fork.ForkerPid) };
    case Op.Exit:
      return length < Exit.Size ? undefined : decodeExit(record);
    case Op.File:
      return length < FileOpen.Size ? undefined : decodeFile(record);
    case Op.Change:
      return length < Change.Size ? undefined : decodeChange(record);
    case Op.Act:
      return length < Act.Size ? undefined : decodeAct(record);
    case Op.Connect:
      return length < Connect.Size ? undefined : decodeConnect(record);
    default:
      return undefined;
  }
}

/** Boot time of a record, for ordering two rings; 0 for a record too short to have one. */
export function recordTime(bytes: Uint8Array, offset: number, length: number): number {
  if (length < Head.Size) return 0;
  const record = new DataView(bytes.buffer, bytes.byteOffset + offset, 8);
  return record.getUint32(4, true) * 0x1_0000_0000 + record.getUint32(0, true);
}

function decodeActor(record: Buffer): Actor {
  const tty = record.readUInt32LE(Head.Tty);
  return {
    timeNs: record.readBigUInt64LE(Head.Time),
    startNs: readSafe(record, Head.Start),
    parentStartNs: readSafe(record, Head.ParentStart),
    cgroupId: record.readBigUInt64LE(Head.CgroupId),
    pid: record.readUInt32LE(Head.Pid),
    tid: record.readUInt32LE(Head.Tid),
    ppid: record.readUInt32LE(Head.Ppid),
    vpid: record.readUInt32LE(Head.Vpid),
    uid: record.readUInt32LE(Head.Uid),
    gid: record.readUInt32LE(Head.Gid),
    euid: record.readUInt32LE(Head.Euid),
    egid: record.readUInt32LE(Head.Egid),
    suid: record.readUInt32LE(Head.Suid),
    sgid: record.readUInt32LE(Head.Sgid),
    loginUid: record.readUInt32LE(Head.LoginUid),
    pgid: record.readUInt32LE(Head.Pgid),
    sid: record.readUInt32LE(Head.Sid),
    ttyMajor: tty >>> 20,
    ttyMinor: tty & 0xfffff,
    flags: record.readUInt16LE(Head.Flags),
    comm: textOf(record, Head.Comm, Head.Comm + COMM_BYTES),
  };
}

function readSafe(record: Buffer, at: number): number {
  return record.readUInt32LE(at + 4) * 0x1_0000_0000 + record.readUInt32LE(at);
}

function decodeExec(record: Buffer): ExecEvent {
  const pathEnd = Exec.Size + record.readUInt16LE(Exec.PathBytes);
  const cwdEnd = pathEnd + record.readUInt16LE(Exec.CwdBytes);
  const filenameEnd = cwdEnd + record.readUInt16LE(Exec.FilenameBytes);
  return {
    kind: "exec",
    actor: decodeActor(record),
    executable: pathOf(record, Exec.Size, pathEnd),
    workingDirectory: pathOf(record, pathEnd, cwdEnd),
    filename: textOf(record, cwdEnd, filenameEnd),
    inode: record.readBigUInt64LE(Exec.Inode),
    device: record.readUInt32LE(Exec.Device),
    nlink: record.readUInt32LE(Exec.Nlink),
    mode: record.readUInt32LE(Exec.Mode),
    argsSize: record.readUInt32LE(Exec.ArgsSize),
    args: copyOf(record, filenameEnd, record.readUInt32LE(Exec.ArgsBytes)),
  };
}

function decodeArgs(record: Buffer): ArgsEvent {
  return {
    kind: "args",
    actor: decodeActor(record),
    offset: record.readUInt32LE(Args.Offset),
    args: copyOf(record, Args.Size, record.readUInt32LE(Args.ArgsBytes)),
  };
}

function decodeExit(record: Buffer): ExitEvent {
  const code = record.readUInt32LE(Exit.Code);
  return { kind: "exit", actor: decodeActor(record), exitCode: (code >>> 8) & 0xff, signal: code & 0x7f };
}

function decodeFile(record: Buffer): FileEvent {
  const actor = decodeActor(record);
  const path = pathOf(record, FileOpen.Size, FileOpen.Size + record.readUInt16LE(FileOpen.PathBytes));
  return {
    kind: "file",
    actor,
    // The outermost directories of a very deep path are missing: better said than guessed.
    path: (actor.flags & Flag.PathCut) !== 0 ? `…${path}` : path,
    inode: record.readBigUInt64LE(FileOpen.Inode),
    sizeBytes: readSafe(record, FileOpen.SizeBytes),
    device: record.readUInt32LE(FileOpen.Device),
    mode: record.readUInt32LE(FileOpen.Mode),
    uid: record.readUInt32LE(FileOpen.Owner),
    gid: record.readUInt32LE(FileOpen.Group),
    openFlags: record.readUInt32LE(FileOpen.OpenFlags),
  };
}

function decodeChange(record: Buffer): ChangeEvent | undefined {
  const kind = record.readUInt16LE(Change.Kind);
  const change = CHANGE_NAMES.get(kind);
  if (change === undefined) return undefined;
  const actor = decodeActor(record);
  const isCut = (actor.flags & Flag.PathCut) !== 0;
  const nameEnd = Change.Size + record.readUInt16LE(Change.NameBytes);
  const folderEnd = nameEnd + record.readUInt16LE(Change.FolderBytes);
  const otherNameEnd = folderEnd + record.readUInt16LE(Change.OtherNameBytes);
  const otherFolderEnd = otherNameEnd + record.readUInt16LE(Change.OtherFolderBytes);
  const otherName = textOf(record, folderEnd, otherNameEnd);
  const otherFolder = pathOf(record, otherNameEnd, otherFolderEnd);
  const inode = record.readBigUInt64LE(Change.Inode) === 0n ? undefined : decodeInode(record);
  const [first, second] = [record.readUInt32LE(Change.Values), record.readUInt32LE(Change.Values + 4)];
  const isOwner = kind === ChangeKind.Owner;
  return {
    kind: "change",
    actor,
    change,
    path: namedPath(textOf(record, Change.Size, nameEnd), pathOf(record, nameEnd, folderEnd), isCut),
    otherPath: otherName === "" || change === "symlink" ? otherName || undefined : namedPath(otherName, otherFolder, isCut),
    isFolder: kind === ChangeKind.Rmdir || (inode !== undefined && (inode.mode & S_IFMT) === S_IFDIR),
    mode: kind === ChangeKind.Mode ? first : undefined,
    uid: isOwner && first !== NO_ID ? first : undefined,
    gid: isOwner && second !== NO_ID ? second : undefined,
    inode,
  };
}

function decodeInode(record: Buffer): InodeFacts {
  return {
    inode: record.readBigUInt64LE(Change.Inode),
    sizeBytes: readSafe(record, Change.SizeBytes),
    device: record.readUInt32LE(Change.Device),
    mode: record.readUInt32LE(Change.FileMode),
    uid: record.readUInt32LE(Change.Owner),
    gid: record.readUInt32LE(Change.Group),
  };
}

/** A name as the caller wrote it, below its folder. `.` and `..` are taken out as text: nobody can look at the folders of that moment. */
function namedPath(name: string, folder: string, isCut: boolean): string {
  if (name === "") return isCut ? `…${folder}` : folder;
  if (name.startsWith("/")) return withoutEnd(posix.normalize(name.replace(/^\/+/, "/")));
  const path = withoutEnd(posix.normalize(`${folder}/${name}`));
  return isCut ? `…${path}` : path;
}

function withoutEnd(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

function decodeAct(record: Buffer): ActEvent | undefined {
  const act = ACT_NAMES.get(record.readUInt16LE(Act.Kind));
  if (act === undefined) return undefined;
  return {
    kind: "act",
    actor: decodeActor(record),
    act,
    values: [record.readBigUInt64LE(Act.Values), record.readBigUInt64LE(Act.Values + 8)],
    targetPid: record.readUInt32LE(Act.TargetPid),
    targetStartNs: readSafe(record, Act.TargetStart),
    text: textOf(record, Act.Size, Act.Size + record.readUInt16LE(Act.TextBytes)),
  };
}

function decodeConnect(record: Buffer): ConnectEvent | undefined {
  const family = record.readUInt16LE(Connect.Family);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const addressBytes = family === AF_INET ? 4 : 16;
  return {
    kind: "connect",
    actor: decodeActor(record),
    source: copyOf(record, Connect.Source, addressBytes),
    destination: copyOf(record, Connect.Destination, addressBytes),
    protocol: record.readUInt16LE(Connect.Protocol),
    sourcePort: record.readUInt16LE(Connect.SourcePort),
    destinationPort: record.readUInt16LE(Connect.DestinationPort),
  };
}

/** Text up to the first NUL, at most up to `end`. Broken UTF-8 becomes U+FFFD. */
function textOf(record: Buffer, start: number, end: number): string {
  const last = Math.min(end, record.length);
  if (start >= last) return "";
  const nul = record.indexOf(NUL, start);
  return record.toString("utf8", start, nul < 0 || nul > last ? last : nul);
}

/** A path from its names in [start, end), innermost first, each ended by a NUL. No name at all is the root. */
function pathOf(record: Buffer, start: number, end: number): string {
  const last = Math.min(end, record.length);
  if (start >= last) return "/";
  const names = record.toString("utf8", start, last).split("\0");
  names.pop();
  return `/${names.reverse().join("/")}`;
}

function copyOf(record: Buffer, start: number, byteLength: number): Uint8Array {
  const begin = Math.min(start, record.length);
  return new Uint8Array(record.subarray(begin, Math.min(begin + byteLength, record.length)));
}
