// Reads a `.klog` file block by block. Invariant: every record given out passed `validateRecord`, has the types its reader's registry
// declares, and carries that registry's ids, whoever wrote the file. Damage is counted and located, never an exception.
import { closeSync, constants, fstatSync, openSync, statSync } from "node:fs";
import { zstdDecompressSync } from "node:zlib";
import { ENTRY_BYTES, FIELD_TYPES, type FieldType, Header, isConflict, RECORD_HEADER_BYTES, type SchemaRegistry } from "#schema";
import { entryTypeOf } from "./builder.ts";
import { parseJson } from "./exact-json.ts";
import { EventFileError, reasonOf } from "./file-error.ts";
import { BLOCK_BYTES_MAX, BlockFlag, type BlockHeader, BlockKind, KLOG_HEADER_BYTES, KLOG_MAGIC } from "./klog-format.ts";
import { checkFileHeader, scanBlock } from "./klog-scan.ts";
import { validateRecord } from "./validate.ts";
import { recordSize } from "./view.ts";

/** The records of one block: record i is `bytes[offsets[i], offsets[i + 1])`. They stay valid; the reader keeps no hold on them. */
interface RecordBlock {
  /** Where the block starts in the file. */
  readonly position: number;
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
  readonly count: number;
}

/** One finding about a damaged place. */
interface KlogProblem {
  /** Byte offset in the file. */
  readonly offset: number;
  readonly message: string;
}

/** What a reader has seen so far. */
export interface KlogSummary {
  readonly blocks: number;
  readonly records: number;
  /** Records lost in damaged blocks, and records that were no records. */
  readonly recordsDamaged: number;
  /** Bytes behind the last whole block: what a crash left, or what follows a damaged header. 0 until the end is reached. */
  readonly bytesLeftBehind: number;
  /** The first findings. */
  readonly problems: readonly KlogProblem[];
}

/**
 * Whether a file starts as a `.klog` file does. False for what cannot be opened: the reader of lines says why. False for pipes too, which
 * are not asked, since what was read of them once is gone.
 */
export async function isKlogFile(path: string): Promise<boolean> {
  try {
    if (!statSync(path).isFile()) return false;
    const head = new Uint8Array(await Bun.file(path).slice(0, KLOG_MAGIC.length).arrayBuffer());
    return head.length === KLOG_MAGIC.length && KLOG_MAGIC.every((byte, index) => head[index] === byte);
  } catch {
    return false;
  }
}

const PROBLEMS_MAX = 100;
const EXTRA_FIRST = 4096;
const DYNAMIC_CATEGORY_FIRST = 256;

/** Reads one file from start to end. */
export class KlogReader {
  readonly #file: number;
  readonly #path: string;
  readonly #registry: SchemaRegistry;
  readonly #size: number;
  #position = KLOG_HEADER_BYTES;
  #isClosed = false;
  /** Registry id of each dynamic id in the file; 0: the file has not named it. */
  readonly #fieldIds = new Uint16Array(65_536);
  readonly #categoryIds = new Uint16Array(65_536);
  /** Entry type of each registry id plus one; 0: unknown to the registry. */
  readonly #types = new Uint8Array(65_536);
  #blocks = 0;
  #records = 0;
  #recordsDamaged = 0;
  #bytesLeftBehind = 0;
  readonly #problems: KlogProblem[] = [];

  private constructor(file: number, path: string, registry: SchemaRegistry) {
    this.#file = file;
    this.#path = path;
    this.#registry = registry;
    this.#size = fstatSync(file).size;
    checkFileHeader(file, path);
    for (const { id, type } of registry.fields()) this.#types[id] = entryTypeOf(type) + 1;
  }

  /** Opens a file. Throws {@link EventFileError} when it cannot be read, is no `.klog` file or is of a newer version. */
  static open(path: string, registry: SchemaRegistry): KlogReader {
    let file: number;
    try {
      file = openSync(path, constants.O_RDONLY);
    } catch (error) {
      throw new EventFileError("cannot-open", `Cannot open "${path}": ${reasonOf(error)}`, { cause: error });
    }
    try {
      return new KlogReader(file, path, registry);
    } catch (error) {
      closeSync(file);
      if (error instanceof EventFileError) throw error;
      throw new EventFileError("cannot-read", `Cannot read "${path}": ${reasonOf(error)}`, { cause: error });
    }
  }

  /** What was read so far. */
  get summary(): KlogSummary {
    return {
      blocks: this.#blocks,
      records: this.#records,
      recordsDamaged: this.#recordsDamaged,
      bytesLeftBehind: this.#bytesLeftBehind,
      problems: [...this.#problems],
    };
  }

  /**
   * The next block's records, `undefined` at the end. Fields and categories that the file names are added to the registry. Throws
   * {@link EventFileError} when a field has another type there (`field-conflict`) or the file cannot be read.
   */
  next(): RecordBlock | undefined {
    while (!this.#isClosed) {
      const start = this.#position;
      const found = this.#scan(start);
      if (found.kind === "end") return undefined;
      if (found.kind === "stop") {
        this.#bytesLeftBehind = this.#size - start;
        this.#note(start, found.problem);
        this.#position = this.#size;
        return undefined;
      }
      this.#position = found.end;
      const payload = found.kind === "block" ? this.#unpack(found.header, found.payload) : found.problem;
      if (typeof payload === "string") {
        this.#recordsDamaged += found.header.count;
        this.#note(start, payload);
      } else if (found.header.kind === BlockKind.Names) {
        this.#blocks++;
        this.#takeNames(start, payload);
      } else if (found.header.kind === BlockKind.Records) {
        this.#blocks++;
        const block = this.#takeRecords(start, payload);
        if (block.count > 0) return block;
      } else {
        this.#note(start, `unknown block kind ${found.header.kind}`);
      }
    }
    return undefined;
  }

  /**
   * Goes to the block that starts at `position`, taking the names of the blocks before it and none of their records. False, at the end of
   * what can be read, when none starts there.
   */
  skipTo(position: number): boolean {
    while (this.#position < position) {
      const start = this.#position;
      const found = this.#scan(start);
      if (found.kind === "end" || found.kind === "stop") return false;
      this.#position = found.end;
      if (found.kind !== "block" || found.header.kind !== BlockKind.Names) continue;
      const payload = this.#unpack(found.header, found.payload);
      if (typeof payload !== "string") this.#takeNames(start, payload);
    }
    return this.#position === position;
  }

  /** Bytes of the file read so far. */
  get fileBytes(): number {
    return this.#position;
  }

  /** Closes the file. Twice is fine. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#file);
  }

  #scan(position: number): ReturnType<typeof scanBlock> {
    try {
      return scanBlock(this.#file, position, this.#size);
    } catch (error) {
      throw new EventFileError("cannot-read", `Cannot read "${this.#path}" at byte ${position}: ${reasonOf(error)}`, { cause: error });
    }
  }

  #note(offset: number, message: string): void {
    if (this.#problems.length < PROBLEMS_MAX) this.#problems.push({ offset, message });
  }

  #unpack(header: BlockHeader, payload: Uint8Array): Uint8Array | string {
    if ((header.flags & BlockFlag.Zstd) === 0) return payload.length === header.plainBytes ? payload : "block length does not fit";
    try {
      const plain = zstdDecompressSync(payload, { maxOutputLength: BLOCK_BYTES_MAX });
      // A copy at an aligned place of its own: records are read as words.
      return plain.length === header.plainBytes ? new Uint8Array(plain) : "block length does not fit";
    } catch (error) {
      return `block cannot be decompressed: ${reasonOf(error)}`;
    }
  }

  #takeNames(offset: number, payload: Uint8Array): void {
    const parsed = parseJson(new TextDecoder().decode(payload));
    const value = "value" in parsed ? parsed.value : null;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      this.#note(offset, "names of fields are not readable");
      return;
    }
    const { fields, categories } = value as { readonly fields?: unknown; readonly categories?: unknown };
    for (const row of listOf(fields)) this.#takeField(offset, row);
    for (const row of listOf(categories)) {
      const [id, name] = listOf(row);
      if (isDynamic(id, DYNAMIC_CATEGORY_FIRST) && typeof name === "string") this.#categoryIds[id] = this.#registry.categories.intern(name);
    }
  }

  #takeField(offset: number, row: unknown): void {
    const [id, name, type] = listOf(row);
    if (!isDynamic(id, EXTRA_FIRST) || typeof name !== "string" || !FIELD_TYPES.includes(type as FieldType)) {
      this.#note(offset, `no field: ${JSON.stringify(row)?.slice(0, 100)}`);
      return;
    }
    const field = this.#registry.add({ name, type: type as FieldType });
    if (isConflict(field)) {
      throw new EventFileError(
        "field-conflict",
        `"${this.#path}" cannot be read with this schema: ${field.message}; remove the field from the schema file`,
      );
    }
    this.#fieldIds[id] = field.id;
    this.#types[field.id] = entryTypeOf(field.type) + 1;
  }

  #takeRecords(start: number, bytes: Uint8Array): RecordBlock {
    const offsets: number[] = [];
    let at = 0;
    let end = 0;
    while (at < bytes.length) {
      const invalid = validateRecord(bytes, at, bytes.length);
      const problem = invalid ?? this.#adopt(bytes, at);
      const size = invalid === undefined ? recordSize(bytes, at) : 0;
      if (problem === undefined) {
        // What was refused before leaves no gap.
        if (at !== end) bytes.copyWithin(end, at, at + size);
        offsets.push(end);
        end += size;
      } else {
        this.#recordsDamaged++;
        this.#note(start, `record at byte ${at} of the block: ${problem}`);
      }
      // Without a good length there is no next record in this block.
      if (invalid !== undefined) break;
      at += size;
    }
    this.#records += offsets.length;
    return { position: start, bytes, offsets: Uint32Array.from([...offsets, end]), count: offsets.length };
  }

  // Gives a record the registry's ids and checks its types. A text: the record cannot be used.
  #adopt(bytes: Uint8Array, offset: number): string | undefined {
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset + offset, recordSize(bytes, offset) >>> 2);
    const head = words[Header.Category >>> 2]!;
    const category = head & 0xffff;
    if (category >= DYNAMIC_CATEGORY_FIRST) {
      const known = this.#categoryIds[category]!;
      if (known === 0) return `category ${category} has no name`;
      words[Header.Category >>> 2] = ((head & 0xffff0000) | known) >>> 0;
    }
    const count = head >>> 16;
    const first = RECORD_HEADER_BYTES >>> 2;
    let moved = false;
    for (let index = 0; index < count; index++) {
      const at = first + index * (ENTRY_BYTES >>> 2);
      const entry = words[at]!;
      let id = entry & 0xffff;
      if (id >= EXTRA_FIRST) {
        const known = this.#fieldIds[id]!;
        if (known === 0) return `field ${id} has no name`;
        if (known !== id) moved = true;
        id = known;
        words[at] = ((entry & 0xffff0000) | id) >>> 0;
      }
      const type = this.#types[id]!;
      if (type !== 0 && type !== ((entry >>> 16) & 0xff) + 1) return `field ${id} has another type than its name`;
    }
    return moved ? resort(words, count) : undefined;
  }
}

// Sorts the entries by their new ids and renews the shape. A text: two names became one field.
function resort(words: Uint32Array, count: number): string | undefined {
  const first = RECORD_HEADER_BYTES >>> 2;
  const entries = Array.from({ length: count }, (_, index) => [words[first + index * 2]!, words[first + index * 2 + 1]!] as const);
  entries.sort((a, b) => (a[0] & 0xffff) - (b[0] & 0xffff));
  let shape = 0x811c9dc5;
  for (const [index, [entry, payload]] of entries.entries()) {
    if (index > 0 && (entries[index - 1]![0] & 0xffff) === (entry & 0xffff)) return "two fields have one name";
    shape = Math.imul(shape ^ entry, 0x01000193);
    words[first + index * 2] = entry;
    words[first + index * 2 + 1] = payload;
  }
  words[Header.Shape >>> 2] = shape;
  return undefined;
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isDynamic(id: unknown, first: number): id is number {
  return typeof id === "number" && Number.isInteger(id) && id >= first && id <= 0xffff;
}
