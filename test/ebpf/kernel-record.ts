// Builds kernel records byte by byte for the tests, independent of the decoder's own code but for the offsets.
import { Act, type ActKind, Args, Change, type ChangeKind, Exec, Exit, FileOpen, Flag, Flow, Fork, Head, Op } from "../../src/ebpf/wire.ts";

/** Identity fields a test cares about; the rest is zero. */
export interface ActorParts {
  readonly timeNs?: bigint;
  readonly pid?: number;
  readonly startNs?: bigint;
  readonly ppid?: number;
  readonly parentStartNs?: bigint;
  readonly uid?: number;
  readonly sid?: number;
  readonly flags?: number;
  readonly comm?: string;
}

function header(op: number, size: number, actor: ActorParts): Buffer {
  const record = Buffer.alloc(size);
  record.writeBigUInt64LE(actor.timeNs ?? 1n, Head.Time);
  record.writeBigUInt64LE(actor.startNs ?? 0n, Head.Start);
  record.writeBigUInt64LE(actor.parentStartNs ?? 0n, Head.ParentStart);
  record.writeUInt32LE(actor.pid ?? 0, Head.Pid);
  record.writeUInt32LE(actor.pid ?? 0, Head.Tid);
  record.writeUInt32LE(actor.ppid ?? 0, Head.Ppid);
  for (const at of [Head.Uid, Head.Euid, Head.Suid]) record.writeUInt32LE(actor.uid ?? 0, at);
  record.writeUInt32LE(actor.sid ?? 0, Head.Sid);
  record.writeUInt16LE(op, Head.Op);
  record.writeUInt16LE(actor.flags ?? 0, Head.Flags);
  record.write(actor.comm ?? "", Head.Comm, 15);
  return record;
}

/** Names of a path from the file up, each with its NUL, as the kernel side sends them. */
function pathBytes(path: string): Buffer {
  const names = path.split("/").slice(1).reverse();
  return Buffer.from(names.map((name) => `${name}\0`).join(""));
}

/** Parts of an exec record. `args` are the first bytes, `argsSize` the size of all. */
export interface ExecParts {
  readonly path: string;
  readonly cwd?: string;
  readonly filename?: string;
  readonly args: Buffer;
  readonly argsSize?: number;
  readonly env?: Buffer;
  readonly envSize?: number;
  readonly nlink?: number;
  readonly effective?: bigint;
  readonly permitted?: bigint;
}

export function execRecord(actor: ActorParts, parts: ExecParts): Buffer {
  const path = pathBytes(parts.path);
  const cwd = pathBytes(parts.cwd ?? "/");
  const filename = Buffer.from(`${parts.filename ?? parts.path}\0`);
  const record = header(Op.Exec, Exec.Size, actor);
  record.writeUInt32LE(parts.nlink ?? 1, Exec.Nlink);
  record.writeBigUInt64LE(parts.effective ?? 0n, Exec.CapEffective);
  record.writeBigUInt64LE(parts.permitted ?? 0n, Exec.CapPermitted);
  record.writeUInt32LE(parts.argsSize ?? parts.args.length, Exec.ArgsSize);
  record.writeUInt32LE(parts.args.length, Exec.ArgsBytes);
  record.writeUInt16LE(path.length, Exec.PathBytes);
  record.writeUInt16LE(cwd.length, Exec.CwdBytes);
  record.writeUInt16LE(filename.length, Exec.FilenameBytes);
  const env = parts.env ?? Buffer.alloc(0);
  record.writeUInt32LE(parts.envSize ?? env.length, Exec.EnvSize);
  record.writeUInt32LE(env.length, Exec.EnvBytes);
  return Buffer.concat([record, path, cwd, filename, parts.args, env]);
}

export function argsRecord(actor: ActorParts, offset: number, args: Buffer, isEnv = false): Buffer {
  const record = header(Op.Args, Args.Size, isEnv ? { ...actor, flags: Flag.Env } : actor);
  record.writeUInt32LE(offset, Args.Offset);
  record.writeUInt32LE(args.length, Args.ArgsBytes);
  return Buffer.concat([record, args]);
}

export function forkRecord(actor: ActorParts, forkerPid: number = actor.ppid ?? 0): Buffer {
  const record = header(Op.Fork, Fork.Size, actor);
  record.writeUInt32LE(forkerPid, Fork.ForkerPid);
  return record;
}

export function exitRecord(actor: ActorParts, code: number): Buffer {
  const record = header(Op.Exit, Exit.Size, actor);
  record.writeUInt32LE(code, Exit.Code);
  return record;
}

export function fileRecord(actor: ActorParts, path: string): Buffer {
  const names = pathBytes(path);
  const record = header(Op.File, FileOpen.Size, actor);
  record.writeUInt16LE(names.length, FileOpen.PathBytes);
  return Buffer.concat([record, names]);
}

/** Parts of a change record; a missing name or folder has no bytes. */
export interface ChangeParts {
  readonly kind: ChangeKind;
  readonly name?: string;
  readonly folder?: string;
  readonly otherName?: string;
  readonly otherFolder?: string;
  readonly values?: readonly [number, number];
  readonly inode?: bigint;
  readonly fileMode?: number;
}

export function changeRecord(actor: ActorParts, parts: ChangeParts): Buffer {
  const textBytes = (text: string | undefined): Buffer => (text === undefined ? Buffer.alloc(0) : Buffer.from(`${text}\0`));
  const folderBytes = (path: string | undefined): Buffer => (path === undefined ? Buffer.alloc(0) : pathBytes(path));
  const data = [textBytes(parts.name), folderBytes(parts.folder), textBytes(parts.otherName), folderBytes(parts.otherFolder)];
  const record = header(Op.Change, Change.Size, actor);
  record.writeUInt16LE(parts.kind, Change.Kind);
  for (const [index, bytes] of data.entries()) record.writeUInt16LE(bytes.length, Change.NameBytes + 2 * index);
  for (const [index, value] of (parts.values ?? [0, 0]).entries()) record.writeUInt32LE(value, Change.Values + 4 * index);
  record.writeBigUInt64LE(parts.inode ?? 0n, Change.Inode);
  record.writeUInt32LE(parts.fileMode ?? 0, Change.FileMode);
  return Buffer.concat([record, ...data]);
}

/** Parts of an act record. */
export interface ActParts {
  readonly kind: ActKind;
  readonly values?: readonly [bigint, bigint];
  readonly targetPid?: number;
  readonly targetStartNs?: bigint;
  readonly text?: string;
}

export function actRecord(actor: ActorParts, parts: ActParts): Buffer {
  const text = Buffer.from(parts.text === undefined ? "" : `${parts.text}\0`);
  const record = header(Op.Act, Act.Size, actor);
  for (const [index, value] of (parts.values ?? []).entries()) record.writeBigUInt64LE(value, Act.Values + 8 * index);
  record.writeBigUInt64LE(parts.targetStartNs ?? 0n, Act.TargetStart);
  record.writeUInt32LE(parts.targetPid ?? 0, Act.TargetPid);
  record.writeUInt16LE(parts.kind, Act.Kind);
  record.writeUInt16LE(text.length, Act.TextBytes);
  return Buffer.concat([record, text]);
}

export function connectRecord(actor: ActorParts, family: number, destination: Uint8Array): Buffer {
  const record = header(Op.Connect, Flow.Size, actor);
  record.set(destination, Flow.Destination);
  record.writeUInt16LE(family, Flow.Family);
  record.writeUInt16LE(443, Flow.DestinationPort);
  record.writeUInt16LE(6, Flow.Protocol);
  return record;
}
