// Pieces of a kernel record: numbers, texts, paths, and who did it. Nothing here reads outside the record or keeps a view on it, so the ring
// may reuse the bytes.
import type { Actor, PolicyNote } from "./kernel-event.ts";
import { Note } from "./policy-wire.ts";
import { COMM_BYTES, Flag, Head } from "./wire.ts";

const NUL = 0;

/** Who did it, from the header. */
export function decodeActor(record: Buffer): Actor {
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
    note: noteOf(record),
  };
}

/** The end of a record that a policy had a say in. */
function noteOf(record: Buffer): PolicyNote | undefined {
  const at = record.byteLength - Note.Size;
  if ((record.readUInt16LE(Head.Flags) & Flag.Policy) === 0 || at < Head.Size) return undefined;
  return {
    matched: record.readBigUInt64LE(at + Note.Matched),
    acted: record.readBigUInt64LE(at + Note.Acted),
    latencyNs: record.readUInt32LE(at + Note.LatencyNs),
    act: record.readUInt8(at + Note.Act),
    generation: record.readUInt8(at + Note.Generation),
    means: record.readUInt8(at + Note.Means),
    spared: record.readUInt8(at + Note.Spared) !== 0,
  };
}

/** A u64 that is known to fit a number. */
export function readSafe(record: Buffer, at: number): number {
  return record.readUInt32LE(at + 4) * 0x1_0000_0000 + record.readUInt32LE(at);
}

/** Text up to the first NUL, at most up to `end`. Broken UTF-8 becomes U+FFFD. */
export function textOf(record: Buffer, start: number, end: number): string {
  const last = Math.min(end, record.length);
  if (start >= last) return "";
  const nul = record.indexOf(NUL, start);
  return record.toString("utf8", start, nul < 0 || nul > last ? last : nul);
}

/** A path from its names in [start, end), innermost first, each ended by a NUL. No name at all is the root. */
export function pathOf(record: Buffer, start: number, end: number): string {
  const last = Math.min(end, record.length);
  if (start >= last) return "/";
  const names = record.toString("utf8", start, last).split("\0");
  names.pop();
  return `/${names.reverse().join("/")}`;
}

/** A copy of some bytes, at most up to the end of the record. */
export function copyOf(record: Buffer, start: number, byteLength: number): Uint8Array {
  const begin = Math.min(start, record.length);
  return new Uint8Array(record.subarray(begin, Math.min(begin + byteLength, record.length)));
}
