// What a rare act adds to a record: values, the process it was aimed at, names.
import { posix } from "node:path";
import { capabilityNames, KEY_OPERATIONS, lettersOfBits, NAMESPACE_BITS, namesOfBits, TAINT_LETTERS } from "./bit-names.ts";
import type { FieldWriter } from "./field-writer.ts";
import type { ActEvent } from "./kernel-event.ts";
import type { ProcessInfo } from "./process-table.ts";
import type { RecordContext } from "./record-context.ts";
import { Flag, Way } from "./wire.ts";
import { writePath } from "./write-file.ts";

const NAMESPACE_CALLS: ReadonlyMap<number, string> = new Map([
  [Way.Unshare, "unshare"],
  [Way.Setns, "setns"],
  [Way.Clone, "clone"],
]);

/** The fields of an act. */
export function writeAct(fields: FieldWriter, event: ActEvent, context: RecordContext): void {
  const { id, builder } = fields;
  const [first, second] = event.values;
  if ((event.actor.flags & Flag.Unearned) !== 0) builder.bool(id.unearned, true);
  if (event.targetPid !== 0) writeTarget(fields, event.targetPid, context.target);
  switch (event.act) {
    case "uid_change":
      if (context.previous !== undefined) builder.keyword(id.previousUserId, String(context.previous.euid));
      break;
    case "gid_change":
      if (context.previous !== undefined) builder.keyword(id.previousGroupId, String(context.previous.egid));
      break;
    case "capabilities_change":
      builder.keywordsPacked(id.capabilitiesEffective, capabilityNames(first));
      builder.keywordsPacked(id.capabilitiesPermitted, capabilityNames(second));
      break;
    case "signal_sent":
      builder.i64Number(id.signal, Number(first));
      break;
    case "bpf_program_load":
      fields.text(id.bpfProgramName, event.text);
      builder.i64Number(id.bpfProgramType, Number(first));
      break;
    case "memfd_create":
      fields.text(id.memfdName, event.text);
      break;
    case "mount":
    case "umount":
    case "root_change":
      if (event.path !== "") writePath(fields, event.path);
      else if (event.text !== "") writePath(fields, posix.resolve(context.entry.info.workingDirectory || "/", event.text));
      break;
    case "namespace_change":
      writeNamespaces(fields, first, Number(second));
      break;
    case "load_module":
    case "unload_module":
      fields.text(id.moduleName, event.text);
      fields.text(id.moduleTaints, lettersOfBits(TAINT_LETTERS, first));
      if (event.path !== "") writePath(fields, event.path);
      break;
    case "mmap":
    case "mprotect":
      builder.keyword(id.systemCall, event.act);
      builder.keyword(id.systemCallArgument2, first.toString(16));
      break;
    case "kexec_load":
      if (event.path !== "") writePath(fields, event.path);
      break;
    case "keyctl":
      builder.keyword(id.keyOperation, KEY_OPERATIONS.get(Number(first)) ?? String(first));
      fields.text(id.keyDescription, event.text);
      break;
    case "ptrace_attach":
    case "process_vm_read":
    case "process_vm_write":
    case "pidfd_getfd":
    case "io_uring_setup":
    case "userfaultfd":
    case "process_memory_open":
    case "process_memory_open_read":
    case "session_id_change":
      break;
  }
}

/** Public rules about new namespaces test what auditd says of the call. */
function writeNamespaces({ id, builder }: FieldWriter, flags: bigint, way: number): void {
  builder.keywords(id.namespaces, namesOfBits(NAMESPACE_BITS, flags));
  const call = NAMESPACE_CALLS.get(way);
  if (call === undefined) return;
  builder.keyword(id.systemCall, call);
  builder.keyword(id.systemCallClass, "namespace");
  if (way === Way.Unshare) builder.keyword(id.systemCallArgument0, flags.toString(16));
}

function writeTarget(fields: FieldWriter, pid: number, target: ProcessInfo | undefined): void {
  const { id, builder } = fields;
  builder.i64Number(id.targetPid, pid);
  if (target === undefined) return;
  fields.text(id.targetName, target.name);
  fields.text(id.targetExecutable, target.executable);
  builder.keyword(id.targetEntityId, target.entityId);
}
