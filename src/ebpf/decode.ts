// One kernel record as a value. `decode` takes any bytes: it answers `undefined` for what no sensor of ours can have sent, never throws,
// and never reads outside the record.
import { decodeAct } from "./decode-act.ts";
import { decodeDenied } from "./decode-denied.ts";
import { decodeChange, decodeFile } from "./decode-file.ts";
import { decodeDns, decodeFlow, decodeUnix } from "./decode-network.ts";
import type { ArgsEvent, ExecEvent, ExitEvent, KernelEvent } from "./kernel-event.ts";
import { copyOf, decodeActor, pathOf, readSafe, textOf } from "./record-bytes.ts";
import { Act, Args, Change, Denied, Dns, Exec, Exit, FileOpen, Flag, Flow, Fork, Head, Op, UnixConnect } from "./wire.ts";

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
      return length < Flow.Size ? undefined : decodeFlow(record, "connect");
    case Op.Accept:
      return length < Flow.Size ? undefined : decodeFlow(record, "accept");
    case Op.Bind:
      return length < Flow.Size ? undefined : decodeFlow(record, "bind");
    case Op.Listen:
      return length < Flow.Size ? undefined : decodeFlow(record, "listen");
    case Op.Send:
      return length < Flow.Size ? undefined : decodeFlow(record, "send");
    case Op.Unix:
      return length < UnixConnect.Size ? undefined : decodeUnix(record);
    case Op.Dns:
      return length < Dns.Size ? undefined : decodeDns(record);
    case Op.Denied:
      return length < Denied.Size ? undefined : decodeDenied(record);
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

function decodeExec(record: Buffer): ExecEvent {
  const pathEnd = Exec.Size + record.readUInt16LE(Exec.PathBytes);
  const cwdEnd = pathEnd + record.readUInt16LE(Exec.CwdBytes);
  const filenameEnd = cwdEnd + record.readUInt16LE(Exec.FilenameBytes);
  const argsBytes = record.readUInt32LE(Exec.ArgsBytes);
  return {
    kind: "exec",
    actor: decodeActor(record),
    executable: pathOf(record, Exec.Size, pathEnd),
    workingDirectory: pathOf(record, pathEnd, cwdEnd),
    filename: textOf(record, cwdEnd, filenameEnd),
    inode: record.readBigUInt64LE(Exec.Inode),
    effective: record.readBigUInt64LE(Exec.CapEffective),
    permitted: record.readBigUInt64LE(Exec.CapPermitted),
    sizeBytes: readSafe(record, Exec.SizeBytes),
    changeSeconds: readSafe(record, Exec.ChangeSeconds),
    changeNanoseconds: record.readUInt32LE(Exec.ChangeNanoseconds),
    fsMagic: record.readUInt32LE(Exec.FsMagic),
    device: record.readUInt32LE(Exec.Device),
    nlink: record.readUInt32LE(Exec.Nlink),
    mode: record.readUInt32LE(Exec.Mode),
    argsSize: record.readUInt32LE(Exec.ArgsSize),
    args: copyOf(record, filenameEnd, argsBytes),
    envSize: record.readUInt32LE(Exec.EnvSize),
    env: copyOf(record, filenameEnd + argsBytes, record.readUInt32LE(Exec.EnvBytes)),
  };
}

function decodeArgs(record: Buffer): ArgsEvent {
  const actor = decodeActor(record);
  return {
    kind: "args",
    actor,
    isEnv: (actor.flags & Flag.Env) !== 0,
    offset: record.readUInt32LE(Args.Offset),
    args: copyOf(record, Args.Size, record.readUInt32LE(Args.ArgsBytes)),
  };
}

function decodeExit(record: Buffer): ExitEvent {
  const code = record.readUInt32LE(Exit.Code);
  return { kind: "exit", actor: decodeActor(record), exitCode: (code >>> 8) & 0xff, signal: code & 0x7f };
}
