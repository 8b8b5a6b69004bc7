// The file.* fields of a record: an opened file, a changed one, or a path that an act named.
import type { FieldWriter } from "./field-writer.ts";
import type { ChangeEvent, FileEvent, InodeFacts } from "./kernel-event.ts";
import { deviceText } from "./program-file.ts";
import type { RecordContext } from "./record-context.ts";

const PERMISSION_BITS = 0o7777;
const S_IFMT = 0o170000;
/** Other than plain files. */
const FILE_TYPES: ReadonlyMap<number, string> = new Map([
  [0o010000, "fifo"],
  [0o020000, "char_device"],
  [0o040000, "dir"],
  [0o060000, "block_device"],
  [0o140000, "socket"],
]);

/** Rights of a file as far as they are known. */
interface FileRights {
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** An opened file. */
export function writeFile(fields: FieldWriter, event: FileEvent, context: RecordContext): void {
  writePath(fields, event.path);
  fields.builder.keyword(fields.id.fileType, FILE_TYPES.get(event.mode & S_IFMT) ?? "file");
  writeInode(fields, event, event, context);
}

/** A changed name or inode. */
export function writeChange(fields: FieldWriter, event: ChangeEvent, context: RecordContext): void {
  const { id, builder } = fields;
  const { change, otherPath } = event;
  writePath(fields, event.path);
  // What a path means now is not what the call meant: only what the call itself tells is told.
  if (event.isFolder) builder.keyword(id.fileType, "dir");
  else if (change === "symlink") builder.keyword(id.fileType, "symlink");
  else if (change === "modification") builder.keyword(id.fileType, "file");
  else if (change === "creation") fields.text(id.fileType, FILE_TYPES.get((event.mode ?? 0) & S_IFMT) ?? "file");
  if (event.attribute !== undefined) fields.text(id.fileAttribute, event.attribute);
  writeInode(fields, event.inode, { mode: event.inode?.mode ?? event.mode, uid: event.uid, gid: event.gid }, context);
  if (otherPath === undefined) return;
  if (change !== "rename") {
    builder.keyword(id.fileTargetPath, otherPath);
    return;
  }
  const { name, extension } = partsOf(otherPath);
  builder.keyword(id.fileOriginalPath, otherPath);
  fields.text(id.fileOriginalName, name);
  fields.text(id.fileOriginalExtension, extension);
}

/** A path and its parts. */
export function writePath(fields: FieldWriter, path: string): void {
  const { id, builder } = fields;
  const { name, directory, extension } = partsOf(path);
  builder.keyword(id.filePath, path);
  fields.text(id.fileName, name);
  builder.keyword(id.fileDirectory, directory);
  fields.text(id.fileExtension, extension);
}

function writeInode(fields: FieldWriter, facts: InodeFacts | undefined, rights: FileRights, context: RecordContext): void {
  const { id, builder } = fields;
  const { mode, uid = facts?.uid, gid = facts?.gid } = rights;
  if (facts !== undefined) builder.i64Number(id.fileSize, facts.sizeBytes);
  if (mode !== undefined) builder.keyword(id.fileMode, (mode & PERMISSION_BITS).toString(8).padStart(4, "0"));
  if (uid !== undefined) fields.text(id.fileOwner, context.userName(uid));
  if (gid !== undefined) fields.text(id.fileGroup, context.groupName(gid));
  if (uid !== undefined) builder.keyword(id.fileUid, String(uid));
  if (gid !== undefined) builder.keyword(id.fileGid, String(gid));
  if (facts === undefined) return;
  builder.keyword(id.fileInode, String(facts.inode));
  builder.keyword(id.fileDevice, deviceText(facts.device));
}

function partsOf(path: string): { readonly name: string; readonly directory: string; readonly extension: string | undefined } {
  const slash = path.lastIndexOf("/");
  const name = path.slice(slash + 1);
  const dot = name.lastIndexOf(".");
  return { name, directory: slash <= 0 ? "/" : path.slice(0, slash), extension: dot > 0 ? name.slice(dot + 1) : undefined };
}
