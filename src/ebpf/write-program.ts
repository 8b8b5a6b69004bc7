// What a record says of the file of the program, as far as it is known by then.
import type { FieldWriter } from "./field-writer.ts";
import type { ExecEvent } from "./kernel-event.ts";
import type { ProcessInfo } from "./process-table.ts";

const SET_USER_ID = 0o4000;
const SET_GROUP_ID = 0o2000;

/** Fields that may come to be known after the event they belong to; a rule that names one makes the source hold execs for it. */
export const LATE_FIELDS: readonly string[] = [
  "process.hash.sha256",
  "process.elf.architecture",
  "process.Ext.elf.static",
  "process.Ext.elf.stripped",
  "process.Ext.elf.interpreter",
  "process.Ext.packaged",
  "process.Ext.package",
];

/** Names and values of late fields. */
export type LateFields = Readonly<Record<string, string | boolean>>;

/** What is known by now of the program of a process, of {@link LATE_FIELDS}. */
export function lateFieldsOf({ program, packageName }: ProcessInfo): LateFields {
  if (program?.state !== "known") return {};
  const { sha256, elf } = program;
  return {
    "process.hash.sha256": sha256,
    ...(elf !== undefined && {
      "process.elf.architecture": elf.architecture,
      "process.Ext.elf.static": elf.isStatic,
      "process.Ext.elf.stripped": elf.isStripped,
    }),
    ...(elf?.interpreter !== undefined && { "process.Ext.elf.interpreter": elf.interpreter }),
    ...(packageName !== undefined && { "process.Ext.packaged": packageName !== "" }),
    ...(packageName !== undefined && packageName !== "" && { "process.Ext.package": packageName }),
  };
}

/** What is in the file, in every record of a process whose file is known. */
export function writeProgram(fields: FieldWriter, { program, packageName }: ProcessInfo): void {
  const { id, builder } = fields;
  if (program?.state !== "known") return;
  const { sha256, elf, isUncertain } = program;
  builder.keyword(id.processSha256, sha256);
  if (packageName !== undefined) {
    builder.bool(id.packaged, packageName !== "");
    fields.text(id.packageName, packageName);
  }
  if (isUncertain) builder.bool(id.hashUncertain, true);
  if (elf === undefined) return;
  builder.keyword(id.elfArchitecture, elf.architecture);
  builder.bool(id.elfStatic, elf.isStatic);
  builder.bool(id.elfStripped, elf.isStripped);
  if (elf.interpreter !== undefined) builder.keyword(id.elfInterpreter, elf.interpreter);
}

/** Rights that come with the file of an exec. */
export function writeFileRights({ id, builder }: FieldWriter, { mode }: ExecEvent): void {
  builder.bool(id.fileSetsUser, (mode & SET_USER_ID) !== 0);
  builder.bool(id.fileSetsGroup, (mode & SET_GROUP_ID) !== 0);
}
