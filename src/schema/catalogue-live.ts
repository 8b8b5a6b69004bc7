// The catalogue from id 843 on: fields that came with the sensors. What catalogue.ts says of ids holds here; add at the end.
import type { FieldDefinition } from "./registry.ts";

/** One field of the catalogue. */
export type Row = readonly [id: number, name: string, type: FieldDefinition["type"], description: string];

/** Rows behind those of catalogue.ts, ascending by id. */
export const LIVE_ROWS: readonly Row[] = [
  [843, "Target.process.entity_id", "keyword", "Entity id of the process acted on"],
  [844, "kestrel.signal", "i64", "Number of the signal that was sent"],
  [845, "kestrel.previous.user.id", "keyword", "Effective user id before the change"],
  [846, "kestrel.previous.group.id", "keyword", "Effective group id before the change"],
  [847, "kestrel.bpf.program_name", "keyword", "Name of the BPF program that was loaded"],
  [848, "kestrel.bpf.program_type", "i64", "Type of the BPF program, a number of linux/bpf.h"],
  [849, "kestrel.namespaces", "keyword[]", "Kinds of namespace that were made or entered"],
  [850, "process.Ext.env_truncated", "bool", "Whether the environment was longer than what was looked at"],
  [851, "process.Ext.redacted", "bool", "Whether secrets were taken out of arguments or environment"],
  [852, "process.Ext.hash_uncertain", "bool", "Whether the program file may have changed between its start and its hash"],
  [853, "kestrel.late_fields", "keyword[]", "Fields of an alert's event that came to be known after the event"],
  [854, "process.elf.architecture", "keyword", "Machine architecture of the program file of the process"],
  [855, "process.Ext.elf.static", "bool", "Whether the program file needs no loader and no libraries"],
  [856, "process.Ext.elf.stripped", "bool", "Whether the program file has no symbol table"],
  [857, "process.Ext.elf.interpreter", "keyword", "Dynamic loader that the program file asks for"],
  [858, "process.Ext.setuid", "bool", "Whether the program file has the set-user-id bit"],
  [859, "process.Ext.setgid", "bool", "Whether the program file has the set-group-id bit"],
  [860, "kestrel.module.name", "keyword", "Name of the kernel module"],
  [861, "kestrel.key.operation", "keyword", "What was done with a key of the kernel"],
  [862, "kestrel.key.description", "keyword", "Description of a key that was added or asked for"],
  [863, "file.Ext.attribute.name", "keyword", "Extended attribute of the file that was set or removed"],
  [864, "process.Ext.packaged", "bool", "Whether a package of this machine brought the program file"],
  [865, "process.Ext.package", "keyword", "Package that brought the program file of the process"],
  [866, "kestrel.credentials.unearned", "bool", "Whether it had no right to the ids or capabilities it got"],
  [870, "kestrel.policy.matched", "keyword[]", "Rules whose policy matched in the kernel"],
  [871, "kestrel.policy.acted", "keyword[]", "Rules that the kernel carried out"],
  [872, "kestrel.policy.means", "keyword", "How the kernel acts: lsm, cgroup or bpf_signal"],
  [873, "kestrel.policy.spared", "bool", "Whether a protected process or program was left alone"],
  [874, "kestrel.policy.latency", "i64", "Nanoseconds the kernel took to decide and act"],
];
