// Records of acts that were denied and did not happen, as the events they would have been; see decode.ts.
import type { ExecEvent, FileEvent } from "./kernel-event.ts";
import { decodeActor, readSafe, textOf } from "./record-bytes.ts";
import { Denied, Flag, Op } from "./wire.ts";

const NO_BYTES = new Uint8Array(0);

/** A denied start of a program, or opening of a file; `undefined`: of another kind. */
export function decodeDenied(record: Buffer): ExecEvent | FileEvent | undefined {
  const actor = decodeActor(record);
  const text = textOf(record, Denied.Size, Denied.Size + record.readUInt16LE(Denied.PathBytes));
  const path = (actor.flags & Flag.PathCut) !== 0 ? `…${text}` : text;
  const inode = record.readBigUInt64LE(Denied.Inode);
  const [device, mode] = [record.readUInt32LE(Denied.Device), record.readUInt32LE(Denied.Mode)];
  switch (record.readUInt16LE(Denied.About)) {
    case Op.Exec:
      return {
        kind: "exec",
        // The path is not looked up elsewhere: the process still runs another program.
        actor: { ...actor, flags: actor.flags & ~Flag.PathCut },
        executable: path,
        workingDirectory: "",
        filename: "",
        inode,
        effective: 0n,
        permitted: 0n,
        device,
        sizeBytes: readSafe(record, Denied.SizeBytes),
        changeSeconds: 0,
        changeNanoseconds: 0,
        fsMagic: 0,
        nlink: record.readUInt32LE(Denied.Nlink),
        mode,
        // Arguments lie in memory that the program would have had: more than none, and not known.
        argsSize: 1,
        args: NO_BYTES,
        envSize: 0,
        env: NO_BYTES,
      };
    case Op.File:
      return {
        kind: "file",
        actor: { ...actor, flags: actor.flags & ~Flag.PathCut },
        path,
        inode,
        sizeBytes: readSafe(record, Denied.SizeBytes),
        device,
        mode,
        uid: record.readUInt32LE(Denied.Owner),
        gid: record.readUInt32LE(Denied.Group),
        openFlags: record.readUInt32LE(Denied.OpenFlags),
      };
    default:
      return undefined;
  }
}
