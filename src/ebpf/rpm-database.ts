// The database of rpm in its SQLite form: asked for one path at a time, so nothing of it is kept. The names of files are in an index; their folders
// are in the package's header, a table of tags in network order. Every number in it is checked: a damaged header owns nothing.
import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";

const TAG_NAME = 1000;
const TAG_DIRECTORY_INDEXES = 1116;
const TAG_DIRECTORY_NAMES = 1118;
const ENTRY_BYTES = 16;
/** Packages with a file of one name that are looked at. */
const CANDIDATES_MAX = 64;
const HEADER_BYTES_MAX = 64 << 20;

interface Candidate {
  readonly blob: Uint8Array;
  readonly idx: number;
}

/** See the head of this file. */
export class RpmDatabase {
  readonly #database: Database;

  private constructor(database: Database) {
    this.#database = database;
  }

  /** Opens the first of these files that is there, for reading; `undefined` when none is, or none can be read. */
  static open(paths: readonly string[]): RpmDatabase | undefined {
    for (const path of paths) {
      if (!existsSync(path)) continue;
      try {
        return new RpmDatabase(new Database(path, { readonly: true }));
      } catch {
        // In another form, or not for us: as if there were none.
      }
    }
    return undefined;
  }

  /** Name of the package that brought the file. Asks for the path as it is, and for what it was called before /usr was merged. */
  ownerOf(path: string): string | undefined {
    const border = path.lastIndexOf("/") + 1;
    const folder = path.slice(0, border);
    const folders = folder.startsWith("/usr/") ? [folder, folder.slice(4)] : [folder, `/usr${folder}`];
    try {
      const candidates = this.#database
        .query<Candidate, [string, number, number]>(
          "SELECT p.blob AS blob, b.idx AS idx FROM Basenames b JOIN Packages p ON p.hnum = b.hnum WHERE b.key = ? AND length(p.blob) <= ? LIMIT ?",
        )
        .all(path.slice(border), HEADER_BYTES_MAX, CANDIDATES_MAX);
      for (const { blob, idx } of candidates) {
        const header = readHeader(blob, idx);
        if (header !== undefined && folders.includes(header.folder)) return header.name;
      }
    } catch {
      // It is being written, or is not what it should be.
    }
    return undefined;
  }

  /** Closes the file. Twice is fine. */
  close(): void {
    this.#database.close();
  }
}

/** Name of the package, and folder of its file number `idx`. */
export function readHeader(blob: Uint8Array, idx: number): { readonly name: string; readonly folder: string } | undefined {
  const bytes = Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength);
  if (bytes.length < 8) return undefined;
  const count = bytes.readUInt32BE(0);
  const dataAt = 8 + count * ENTRY_BYTES;
  if (dataAt > bytes.length) return undefined;
  const offsets = new Map<number, number>();
  for (let at = 8; at < dataAt; at += ENTRY_BYTES) offsets.set(bytes.readUInt32BE(at), dataAt + bytes.readUInt32BE(at + 8));
  const [nameAt, indexesAt, foldersAt] = [TAG_NAME, TAG_DIRECTORY_INDEXES, TAG_DIRECTORY_NAMES].map((tag) => offsets.get(tag));
  if (nameAt === undefined || indexesAt === undefined || foldersAt === undefined) return undefined;
  const indexAt = indexesAt + idx * 4;
  if (idx < 0 || indexAt + 4 > bytes.length) return undefined;
  const name = stringAt(bytes, nameAt, 0);
  const folder = stringAt(bytes, foldersAt, bytes.readUInt32BE(indexAt));
  return name === undefined || folder === undefined ? undefined : { name, folder };
}

/** The string number `skip` of some that lie one behind another. */
function stringAt(bytes: Buffer, at: number, skip: number): string | undefined {
  let start = at;
  for (let left = skip; left >= 0; left--) {
    const end = start >= bytes.length ? -1 : bytes.indexOf(0, start);
    if (end < 0) return undefined;
    if (left === 0) return bytes.toString("utf8", start, end);
    start = end + 1;
  }
  return undefined;
}
