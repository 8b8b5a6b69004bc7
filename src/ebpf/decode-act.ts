// Records of rare acts as values; see decode.ts.
import type { ActEvent, ActName } from "./kernel-event.ts";
import { decodeActor, readSafe, textOf } from "./record-bytes.ts";
import { Act, ActKind } from "./wire.ts";

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

/** A rare act; `undefined`: of no known kind. */
export function decodeAct(record: Buffer): ActEvent | undefined {
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
