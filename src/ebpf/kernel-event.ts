// What the kernel sends, as values: one type for each kind of record. Data only; decode.ts makes them from bytes.
import type { DnsMessage } from "./dns-message.ts";

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
  /** What was decided about the act in the kernel, when a policy matched. */
  readonly note: PolicyNote | undefined;
}

/** What a record's end says of the policies: bits are clauses, see policy-tables.ts. */
export interface PolicyNote {
  readonly matched: bigint;
  /** Of these, those that were carried out. */
  readonly acted: bigint;
  readonly latencyNs: number;
  readonly act: number;
  readonly generation: number;
  readonly means: number;
  readonly spared: boolean;
}

/** A program was started. `args` and `env` are raw bytes, each string ended by a NUL; more may follow in {@link ArgsEvent}s. */
export interface ExecEvent {
  readonly kind: "exec";
  readonly actor: Actor;
  readonly executable: string;
  readonly workingDirectory: string;
  /** What the caller named: the script, when there is one. */
  readonly filename: string;
  readonly inode: bigint;
  /** Bits of linux/capability.h, after the exec. */
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly sizeBytes: number;
  /** When the file was last changed (ctime). */
  readonly changeSeconds: number;
  readonly changeNanoseconds: number;
  readonly fsMagic: number;
  readonly device: number;
  readonly nlink: number;
  readonly mode: number;
  readonly argsSize: number;
  readonly args: Uint8Array;
  readonly envSize: number;
  readonly env: Uint8Array;
}

/** More bytes of the arguments of the exec before it, or of its environment. */
export interface ArgsEvent {
  readonly kind: "args";
  readonly actor: Actor;
  readonly isEnv: boolean;
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
export type ChangeName =
  | "rename"
  | "deletion"
  | "link"
  | "symlink"
  | "mode_change"
  | "owner_change"
  | "creation"
  | "attribute_change"
  | "attribute_removal"
  | "modification";

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
  /** The mode that was set, with the file's type for what was made. */
  readonly mode: number | undefined;
  /** The extended attribute that was set or removed. */
  readonly attribute: string | undefined;
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
  | "pidfd_getfd"
  | "signal_sent"
  | "bpf_program_load"
  | "memfd_create"
  | "mount"
  | "root_change"
  | "io_uring_setup"
  | "userfaultfd"
  | "namespace_change"
  | "load_module"
  | "unload_module"
  | "mmap"
  | "mprotect"
  | "kexec_load"
  | "keyctl"
  | "process_memory_open"
  | "process_memory_open_read"
  | "umount"
  | "session_id_change";

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
  /** A file that the act was done with; empty: none, or not known. */
  readonly path: string;
}

/** Both ends of a flow. Addresses are 4 or 16 bytes. */
export interface Ends {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

/**
 * What a process did with a socket: asked for a connection, accepted one, bound an address, listens at one, or sent a first datagram
 * somewhere without connecting.
 */
type FlowKind = "connect" | "accept" | "bind" | "listen" | "send";

/**
 * Something was done with a socket. An all-zero source is not chosen yet, or not known. The destination is the
 * end that was asked for: this machine's own when a connection is accepted, and where a socket is bound or listens.
 */
export interface FlowEvent extends Ends {
  readonly kind: FlowKind;
  readonly actor: Actor;
}

/** A DNS message. The actor is who asked; source and destination are the packet's. */
export interface DnsEvent extends Ends {
  readonly kind: "dns";
  readonly actor: Actor;
  readonly isAnswer: boolean;
  /** What it says; `undefined`: it is no DNS, though at its port. */
  readonly message: DnsMessage | undefined;
}

/** A local (UNIX) stream socket was connected to. */
export interface UnixEvent {
  readonly kind: "unix";
  readonly actor: Actor;
  /** The file its server bound; `undefined`: it has none. */
  readonly path: string | undefined;
  /** The abstract name instead, `@` before it and for each NUL in it; empty: none either. */
  readonly name: string;
}

/** Any record. */
export type KernelEvent =
  | ExecEvent
  | ArgsEvent
  | ForkEvent
  | ExitEvent
  | FileEvent
  | ChangeEvent
  | ActEvent
  | FlowEvent
  | DnsEvent
  | UnixEvent;
