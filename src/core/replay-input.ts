// One file of a replay as a cursor over its records, in the file's own order: JSON lines (plain, gzip, zstd, standard input, text in memory)
// or `.klog`. Holds one piece of the file at a time. What is no event is reported by its place and passed over.
import { isKlogFile, JsonDecoder, type JsonDecoderOptions, KlogReader, type LineChunk, readLineChunks, recordSize } from "#event";
import { Header, type SchemaRegistry } from "#schema";
import { KestrelError } from "./error.ts";
import type { InputPlace, ReplayPosition } from "./replay-position.ts";
import { splitTime, wordAt } from "./time-words.ts";

/** A place in a file that is no event. */
export interface ReplayProblem {
  readonly file: string;
  /** Line of a text file; 0 for `.klog`. */
  readonly line: number;
  readonly message: string;
}

/** A cursor over the records of one file. The record is `bytes[offset, offset + size)` and stays until the next `next`. */
export interface ReplayInput extends InputPlace {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly size: number;
  /** Bytes of text or records so far, after decompression. */
  readonly plainBytes: number;
  /** Bytes of the file so far, as they stand there. */
  readonly fileBytes: number;
  /** Goes to the next record. False: there is none. */
  next(): boolean | Promise<boolean>;
  /** A copy of the record's line; nothing for `.klog`. */
  line(): Uint8Array | undefined;
  /** Lets go of the file. */
  close(): void;
}

/** How to open an input. */
export interface InputOptions {
  readonly index: number;
  readonly registry: SchemaRegistry;
  readonly decoder: JsonDecoderOptions;
  readonly onProblem: (problem: ReplayProblem) => void;
  /** Bytes read of a text file at a time. */
  readonly pieceBytes: number;
  /** Start behind this record. */
  readonly resume: ReplayPosition | undefined;
}

/** Opens a file, `-` for standard input. Throws `EventFileError`, and `KestrelError` when the position to resume at is not in it. */
export async function openInput(file: string, options: InputOptions): Promise<ReplayInput> {
  const place = options.resume?.place;
  if (file === "-" || !(await isKlogFile(file))) {
    if (place?.kind === "block") throw notInFile(file, "it was a .klog file");
    return new LineInput(file, readLineChunks(file, { pieceBytes: options.pieceBytes }), options);
  }
  if (place?.kind === "line") throw notInFile(file, "it was a text file");
  return new KlogInput(file, options);
}

/** An input of JSON lines in memory. */
export function textInput(name: string, text: string, options: InputOptions): ReplayInput {
  return new LineInput(name, chunksOf(text), options);
}

/** The error for a file that is not the one a position was kept of. */
export function notInFile(file: string, reason: string): KestrelError {
  return new KestrelError("replay-changed", `Cannot continue in "${file}": ${reason}; it is not the file that was read before`);
}

class LineInput implements ReplayInput {
  readonly kind = "line";
  readonly name: string;
  readonly index: number;
  readonly #chunks: AsyncIterator<LineChunk, void>;
  readonly #decoder: JsonDecoder;
  readonly #onProblem: InputOptions["onProblem"];
  /** Lines up to this one were read by an earlier replay. */
  readonly #skipTo: number;
  #chunk: LineChunk = { bytes: new Uint8Array(0), from: [], to: [], numbers: [], tooLong: [], fileBytes: 0 };
  #nextLine = 0;
  #lastLine = 0;
  readonly inBlock = 0;
  readonly offset = 0;
  bytes: Uint8Array = this.#chunk.bytes;
  size = 0;
  timeLo = 0;
  timeHi = 0;
  records: number;
  at = 0;
  plainBytes = 0;

  constructor(name: string, chunks: AsyncIterator<LineChunk, void>, { index, registry, decoder, onProblem, resume }: InputOptions) {
    this.name = name;
    this.index = index;
    this.#chunks = chunks;
    this.#decoder = new JsonDecoder(registry, decoder);
    this.#onProblem = onProblem;
    this.records = resume?.records ?? 0;
    this.#skipTo = resume?.place.kind === "line" ? resume.place.line : 0;
    if (resume?.place.kind === "line") {
      const { lo, hi } = splitTime(BigInt(resume.place.timeNs));
      this.#decoder.startAfter(lo, hi);
    }
  }

  get fileBytes(): number {
    return this.#chunk.fileBytes;
  }

  next(): boolean | Promise<boolean> {
    return this.#find() || this.#findBehind();
  }

  line(): Uint8Array | undefined {
    return this.#chunk.bytes.slice(this.#chunk.from[this.#nextLine - 1], this.#chunk.to[this.#nextLine - 1]);
  }

  close(): void {
    // Not waited for: a read of standard input that is under way may never end.
    void this.#chunks.return?.();
  }

  // Goes to the next event of the piece at hand.
  #find(): boolean {
    const { bytes, from, to, numbers } = this.#chunk;
    while (this.#nextLine < numbers.length) {
      const index = this.#nextLine++;
      const start = from[index] as number;
      const end = to[index] as number;
      this.plainBytes += end - start;
      const size = this.#decoder.decodeBytes(bytes, start, end);
      if (typeof size !== "number") {
        this.#onProblem({ file: this.name, line: numbers[index] as number, message: size.message });
        continue;
      }
      const record = this.#decoder.builder.bytes;
      this.bytes = record;
      this.size = size;
      this.timeLo = wordAt(record, Header.Time) >>> 0;
      this.timeHi = wordAt(record, Header.Time + 4);
      this.at = numbers[index] as number;
      this.records++;
      return true;
    }
    return false;
  }

  async #findBehind(): Promise<boolean> {
    for (;;) {
      const { value, done } = await this.#chunks.next();
      if (done === true || value === undefined) break;
      this.#take(value);
      if (this.#find()) return true;
    }
    if (this.#lastLine < this.#skipTo) throw notInFile(this.name, `it ends at line ${this.#lastLine}, before line ${this.#skipTo}`);
    return false;
  }

  #take(chunk: LineChunk): void {
    this.#chunk = chunk;
    const { numbers, tooLong } = chunk;
    this.#lastLine = Math.max(numbers.at(-1) ?? 0, tooLong.at(-1) ?? 0);
    const first = this.#lastLine <= this.#skipTo ? -1 : numbers.findIndex((number) => number > this.#skipTo);
    this.#nextLine = first === -1 ? numbers.length : first;
    for (const line of tooLong) if (line > this.#skipTo) this.#onProblem({ file: this.name, line, message: "The line is too long" });
  }
}

class KlogInput implements ReplayInput {
  readonly kind = "block";
  readonly name: string;
  readonly index: number;
  readonly #reader: KlogReader;
  readonly #onProblem: InputOptions["onProblem"];
  #closed = false;
  #offsets: Uint32Array = new Uint32Array(0);
  #count = 0;
  bytes: Uint8Array = new Uint8Array(0);
  offset = 0;
  size = 0;
  timeLo = 0;
  timeHi = 0;
  records = 0;
  at = 0;
  inBlock = 0;
  plainBytes = 0;

  constructor(name: string, { index, registry, onProblem, resume }: InputOptions) {
    this.name = name;
    this.index = index;
    this.#onProblem = onProblem;
    this.#reader = KlogReader.open(name, registry);
    if (resume?.place.kind !== "block") return;
    const { position, records } = resume.place;
    if (!this.#reader.skipTo(position) || !this.#nextBlock() || this.at !== position || this.#count < records) {
      this.#reader.close();
      throw notInFile(name, `the block at byte ${position} is gone`);
    }
    this.inBlock = records;
    this.records = resume.records;
  }

  get fileBytes(): number {
    return this.#reader.fileBytes;
  }

  next(): boolean {
    if (this.inBlock === this.#count && !this.#nextBlock()) {
      this.close();
      return false;
    }
    const offset = this.#offsets[this.inBlock++] as number;
    this.offset = offset;
    this.size = recordSize(this.bytes, offset);
    this.timeLo = wordAt(this.bytes, offset + Header.Time) >>> 0;
    this.timeHi = wordAt(this.bytes, offset + Header.Time + 4);
    this.plainBytes += this.size;
    this.records++;
    return true;
  }

  line(): undefined {
    return undefined;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reader.close();
    for (const { offset, message } of this.#reader.summary.problems)
      this.#onProblem({ file: this.name, line: 0, message: `at byte ${offset}: ${message}` });
  }

  #nextBlock(): boolean {
    const block = this.#reader.next();
    if (block === undefined) return false;
    this.bytes = block.bytes;
    this.#offsets = block.offsets;
    this.#count = block.count;
    this.at = block.position;
    this.inBlock = 0;
    return true;
  }
}

/** A text in memory as lines. */
async function* chunksOf(text: string): AsyncGenerator<LineChunk, void, void> {
  const from: number[] = [];
  const to: number[] = [];
  const numbers: number[] = [];
  const bytes = new TextEncoder().encode(text);
  for (let start = 0, number = 1; start < bytes.length; number++) {
    const end = bytes.indexOf(0x0a, start);
    const stop = end === -1 ? bytes.length : end;
    if (stop > start) {
      from.push(start);
      to.push(stop);
      numbers.push(number);
    }
    start = stop + 1;
  }
  yield { bytes, from, to, numbers, tooLong: [], fileBytes: bytes.length };
}
