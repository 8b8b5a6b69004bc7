// Appends records to a `.klog` file in blocks. Invariant: the file always ends with a whole block as far as this writer knows; a torn tail
// that a crash left is cut off when the file is opened, a write that failed half-way is cut off at once.
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import type { FieldDefinition, SchemaRegistry } from "#schema";
import { EventFileError, reasonOf } from "./file-error.ts";
import {
  BLOCK_BYTES_MAX,
  BLOCK_HEADER_BYTES,
  BLOCK_RECORDS_MAX,
  BlockFlag,
  BlockKind,
  checksumOf,
  fileHeader,
  KLOG_HEADER_BYTES,
  writeBlockHeader,
} from "./klog-format.ts";
import { checkFileHeader, scanBlock } from "./klog-scan.ts";

/** How a `.klog` file is written. */
interface KlogWriterOptions {
  /** Compress blocks with zstd; on unless false. */
  readonly compress?: boolean;
  /** Records of a block, at most BLOCK_RECORDS_MAX. A block is written when it is full, at `flush` and at `close`. */
  readonly blockRecords?: number;
}

const NAMES_BLOCK_ITEMS = 2000;
const FIRST_DYNAMIC_CATEGORY = 256;
const ZSTD_LEVEL = 1;

/** Writes one file. Not for two writers at once. */
export class KlogWriter {
  readonly #file: number;
  readonly #path: string;
  readonly #registry: SchemaRegistry;
  readonly #compress: boolean;
  readonly #blockRecords: number;
  readonly #block = new Uint8Array(BLOCK_BYTES_MAX);
  #blockBytes = 0;
  #blockCount = 0;
  #end: number;
  #fieldsWritten = 0;
  #categoriesWritten = 0;
  #recordsWritten = 0;
  #recordsLost = 0;
  #closed = false;
  /** Bytes behind the last whole block that were cut off when the file was opened. */
  readonly bytesCutOff: number;

  private constructor(file: number, path: string, registry: SchemaRegistry, options: KlogWriterOptions) {
    this.#file = file;
    this.#path = path;
    this.#registry = registry;
    this.#compress = options.compress !== false;
    this.#blockRecords = Math.max(1, Math.min(options.blockRecords ?? BLOCK_RECORDS_MAX, BLOCK_RECORDS_MAX));
    const size = fstatSync(file).size;
    this.#end = endOfBlocks(file, path, size);
    this.bytesCutOff = size - this.#end;
    if (this.bytesCutOff > 0) ftruncateSync(file, this.#end);
    if (this.#end === 0) this.#write([fileHeader()]);
  }

  /**
   * Opens a file for appending, making it (mode 0600) when it is missing. Throws {@link EventFileError} when it cannot be written or is
   * another kind of file. The registry's added fields and categories are written as records need them.
   */
  static open(path: string, registry: SchemaRegistry, options: KlogWriterOptions = {}): KlogWriter {
    let file: number;
    try {
      file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    } catch (error) {
      throw new EventFileError("cannot-open", `Cannot open "${path}": ${reasonOf(error)}`, { cause: error });
    }
    try {
      return new KlogWriter(file, path, registry, options);
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  /** Records in the file by this writer. */
  get recordsWritten(): number {
    return this.#recordsWritten;
  }

  /** Records that could not be written. */
  get recordsLost(): number {
    return this.#recordsLost;
  }

  /** Bytes of the file. */
  get sizeBytes(): number {
    return this.#end;
  }

  /** Takes one record; a full block is written first. Throws {@link EventFileError} when that failed: the block is lost, this record not taken. */
  append(bytes: Uint8Array, offset: number, length: number): void {
    if (this.#closed) throw new EventFileError("cannot-write", `Cannot write "${this.#path}": it is closed`);
    if (this.#blockBytes + length > BLOCK_BYTES_MAX || this.#blockCount === this.#blockRecords) this.flush();
    this.#block.set(bytes.subarray(offset, offset + length), this.#blockBytes);
    this.#blockBytes += length;
    this.#blockCount++;
  }

  /** Writes the records taken so far as a block. Throws as `append` does. */
  flush(): void {
    const count = this.#blockCount;
    if (count === 0) return;
    const plain = this.#block.subarray(0, this.#blockBytes);
    this.#blockCount = 0;
    this.#blockBytes = 0;
    try {
      this.#write([...this.#newNames(), ...this.#blockOf(BlockKind.Records, plain, count)]);
    } catch (error) {
      this.#recordsLost += count;
      throw error;
    }
    this.#recordsWritten += count;
  }

  /** Writes what is left and closes the file, also when writing fails. Twice is fine. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.flush();
    } finally {
      closeSync(this.#file);
    }
  }

  #blockOf(kind: BlockKind, plain: Uint8Array, count: number): Uint8Array[] {
    const packed = this.#compress ? Bun.zstdCompressSync(plain, { level: ZSTD_LEVEL }) : plain;
    const isSmaller = packed.length < plain.length;
    const payload = isSmaller ? packed : plain;
    const head = new Uint8Array(BLOCK_HEADER_BYTES);
    writeBlockHeader(head, {
      kind,
      flags: isSmaller ? BlockFlag.Zstd : 0,
      storedBytes: payload.length,
      plainBytes: plain.length,
      count,
      checksum: checksumOf(payload),
    });
    return [head, payload];
  }

  // Blocks with the names added to the registry since the last ones: records behind may use them.
  #newNames(): Uint8Array[] {
    const { categories } = this.#registry;
    const fields = this.#registry.extraFields();
    const names = categories.names().filter((name) => categories.idOf(name) >= FIRST_DYNAMIC_CATEGORY);
    const newFields = fields.slice(this.#fieldsWritten);
    const newNames = names.slice(this.#categoriesWritten);
    this.#fieldsWritten = fields.length;
    this.#categoriesWritten = names.length;
    const blocks: Uint8Array[] = [];
    for (let at = 0; at < Math.max(newFields.length, newNames.length); at += NAMES_BLOCK_ITEMS) {
      const text = JSON.stringify({
        fields: newFields.slice(at, at + NAMES_BLOCK_ITEMS).map(({ id, name, type }: FieldDefinition) => [id, name, type]),
        categories: newNames.slice(at, at + NAMES_BLOCK_ITEMS).map((name) => [categories.idOf(name), name]),
      });
      blocks.push(...this.#blockOf(BlockKind.Names, new TextEncoder().encode(text), 0));
    }
    return blocks;
  }

  #write(pieces: readonly Uint8Array[]): void {
    const bytes = Buffer.concat(pieces);
    try {
      let done = 0;
      while (done < bytes.length) done += writeSync(this.#file, bytes, done, bytes.length - done, this.#end + done);
    } catch (error) {
      this.#undo();
      throw new EventFileError("cannot-write", `Cannot write "${this.#path}": ${reasonOf(error)}`, { cause: error });
    }
    this.#end += bytes.length;
  }

  // The names may be in what was cut off: they are written again with the next block.
  #undo(): void {
    this.#fieldsWritten = 0;
    this.#categoriesWritten = 0;
    try {
      ftruncateSync(this.#file, this.#end);
    } catch {
      // The torn block stays; a reader stops before it, and the next block overwrites it.
    }
  }
}

// Where the last whole block ends; blocks with a damaged payload count as whole, their lengths can be trusted.
function endOfBlocks(file: number, path: string, size: number): number {
  if (size === 0) return 0;
  if (size < KLOG_HEADER_BYTES && isTornHeader(file, size)) return 0;
  checkFileHeader(file, path);
  let position = KLOG_HEADER_BYTES;
  for (;;) {
    const found = scanBlock(file, position, size);
    if (found.kind === "end" || found.kind === "stop") return position;
    position = found.end;
  }
}

function isTornHeader(file: number, size: number): boolean {
  const bytes = new Uint8Array(size);
  readSync(file, bytes, 0, size, 0);
  const whole = fileHeader();
  return bytes.every((byte, index) => byte === whole[index]);
}
