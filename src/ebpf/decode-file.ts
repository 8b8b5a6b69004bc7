// Records of the file and change sensors as values; see decode.ts.
import { posix } from "node:path";
import type { ChangeEvent, ChangeName, FileEvent, InodeFacts } from "./kernel-event.ts";
import { decodeActor, pathOf, readSafe, textOf } from "./record-bytes.ts";
import { Change, ChangeKind, FileOpen, Flag } from "./wire.ts";

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const NO_ID = 0xffff_ffff;

const CHANGE_NAMES = new Map<number, ChangeName>([
  [ChangeKind.Rename, "rename"],
  [ChangeKind.Unlink, "deletion"],
  [ChangeKind.Rmdir, "deletion"],
  [ChangeKind.Link, "link"],
  [ChangeKind.Symlink, "symlink"],
  [ChangeKind.Mode, "mode_change"],
  [ChangeKind.Owner, "owner_change"],
  [ChangeKind.Make, "creation"],
  [ChangeKind.AttributeSet, "attribute_change"],
  [ChangeKind.AttributeRemove, "attribute_removal"],
  [ChangeKind.Truncate, "modification"],
]);

/** An opened file. */
export function decodeFile(record: Buffer): FileEvent {
  const actor = decodeActor(record);
  const path = pathOf(record, FileOpen.Size, FileOpen.Size + record.readUInt16LE(FileOpen.PathBytes));
  return {
    kind: "file",
    actor,
    // The outermost directories of a very deep path are missing: better said than guessed.
    path: (actor.flags & Flag.PathCut) !== 0 ? `…${path}` : path,
    inode: record.readBigUInt64LE(FileOpen.Inode),
    sizeBytes: readSafe(record, FileOpen.SizeBytes),
    device: record.readUInt32LE(FileOpen.Device),
    mode: record.readUInt32LE(FileOpen.Mode),
    uid: record.readUInt32LE(FileOpen.Owner),
    gid: record.readUInt32LE(FileOpen.Group),
    openFlags: record.readUInt32LE(FileOpen.OpenFlags),
  };
}

/** A changed name or inode; `undefined`: of no known kind. */
export function decodeChange(record: Buffer): ChangeEvent | undefined {
  const kind = record.readUInt16LE(Change.Kind);
  const change = CHANGE_NAMES.get(kind);
  if (change === undefined) return undefined;
  const actor = decodeActor(record);
  const isCut = (actor.flags & Flag.PathCut) !== 0;
  const nameEnd = Change.Size + record.readUInt16LE(Change.NameBytes);
  const folderEnd = nameEnd + record.readUInt16LE(Change.FolderBytes);
  const otherNameEnd = folderEnd + record.readUInt16LE(Change.OtherNameBytes);
  const otherFolderEnd = otherNameEnd + record.readUInt16LE(Change.OtherFolderBytes);
  const otherName = textOf(record, folderEnd, otherNameEnd);
  const otherFolder = otherFolderEnd === otherNameEnd ? undefined : pathOf(record, otherNameEnd, otherFolderEnd);
  const inode = record.readBigUInt64LE(Change.Inode) === 0n ? undefined : decodeInode(record);
  const [first, second] = [record.readUInt32LE(Change.Values), record.readUInt32LE(Change.Values + 4)];
  const isOwner = kind === ChangeKind.Owner;
  const isAttribute = kind === ChangeKind.AttributeSet || kind === ChangeKind.AttributeRemove;
  return {
    kind: "change",
    actor,
    change,
    path: namedPath(textOf(record, Change.Size, nameEnd), pathOf(record, nameEnd, folderEnd), isCut),
    otherPath: isAttribute ? undefined : change === "symlink" ? otherName || undefined : otherPathOf(otherName, otherFolder, isCut),
    isFolder: kind === ChangeKind.Rmdir || (inode !== undefined && (inode.mode & S_IFMT) === S_IFDIR),
    mode: kind === ChangeKind.Mode || kind === ChangeKind.Make ? first : undefined,
    attribute: isAttribute ? otherName : undefined,
    uid: isOwner && first !== NO_ID ? first : undefined,
    gid: isOwner && second !== NO_ID ? second : undefined,
    inode,
  };
}

function decodeInode(record: Buffer): InodeFacts {
  return {
    inode: record.readBigUInt64LE(Change.Inode),
    sizeBytes: readSafe(record, Change.SizeBytes),
    device: record.readUInt32LE(Change.Device),
    mode: record.readUInt32LE(Change.FileMode),
    uid: record.readUInt32LE(Change.Owner),
    gid: record.readUInt32LE(Change.Group),
  };
}

function otherPathOf(name: string, folder: string | undefined, isCut: boolean): string | undefined {
  return name === "" && folder === undefined ? undefined : namedPath(name, folder ?? "/", isCut);
}

/** A name as the caller wrote it, below its folder. `.` and `..` are taken out as text: nobody can look at the folders of that moment. */
function namedPath(name: string, folder: string, isCut: boolean): string {
  if (name === "") return isCut ? `…${folder}` : folder;
  if (name.startsWith("/")) return withoutEnd(posix.normalize(name.replace(/^\/+/, "/")));
  const path = withoutEnd(posix.normalize(`${folder}/${name}`));
  return isCut ? `…${path}` : path;
}

function withoutEnd(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}
