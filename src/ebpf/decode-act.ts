// Records of rare acts as values; see decode.ts.
import type { ActEvent, ActName } from "./kernel-event.ts";
import { decodeActor, pathOf, readSafe, textOf } from "./record-bytes.ts";
import { Act, ActKind, Flag } from "./wire.ts";

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
  [ActKind.ModuleLoad, "load_module"],
  [ActKind.ModuleUnload, "unload_module"],
  [ActKind.Mmap, "mmap"],
  [ActKind.Mprotect, "mprotect"],
  [ActKind.Kexec, "kexec_load"],
  [ActKind.Key, "keyctl"],
  [ActKind.MemoryOpen, "process_memory_open"],
  [ActKind.Umount, "umount"],
  [ActKind.Session, "session_id_change"],
  [ActKind.MemoryOpenRead, "process_memory_open_read"],
  [ActKind.PidfdGetfd, "pidfd_getfd"],
]);

/** A rare act; `undefined`: of no known kind. */
export function decodeAct(record: Buffer): ActEvent | undefined {
  const act = ACT_NAMES.get(record.readUInt16LE(Act.Kind));
  if (act === undefined) return undefined;
  const actor = decodeActor(record);
  const textEnd = Act.Size + record.readUInt16LE(Act.TextBytes);
  const pathBytes = record.readUInt16LE(Act.PathBytes);
  const path = pathBytes === 0 ? "" : pathOf(record, textEnd, textEnd + pathBytes);
  return {
    kind: "act",
    actor,
    act,
    values: [record.readBigUInt64LE(Act.Values), record.readBigUInt64LE(Act.Values + 8)],
    targetPid: record.readUInt32LE(Act.TargetPid),
    targetStartNs: readSafe(record, Act.TargetStart),
    text: textOf(record, Act.Size, textEnd),
    path: (actor.flags & Flag.PathCut) !== 0 ? `…${path}` : path,
  };
}
