// Lines of a file or of standard input, plain, gzip or zstd by content, in bounded memory. Line ends are LF or CRLF, a byte order mark is
// dropped, the last line needs no end. A line longer than the limit is reported by number and skipped.
import { createReadStream } from "node:fs";
import { EventFileError, reasonOf } from "./file-error.ts";
import { LINE_BYTES_MAX } from "./json-decoder.ts";

/** Some lines one after another; valid until the next chunk is asked for. Line i is `bytes[from[i], to[i])`, its number `numbers[i]`. */
export interface LineChunk {
  readonly bytes: Uint8Array;
  readonly from: readonly number[];
  readonly to: readonly number[];
  readonly numbers: readonly number[];
  /** Numbers of lines that were longer than the limit and are left out. */
  readonly tooLong: readonly number[];
  /** Bytes of the file taken in so far, as they stand there: compressed ones before they are unpacked. */
  readonly fileBytes: number;
}

/** One line of text; for a line over the limit `line` is empty and `problem` says so. */
export interface NumberedLine {
  readonly line: string;
  /** 1 for the first line; empty lines count, but are not given. */
  readonly number: number;
  readonly problem?: string;
}

/** Name for standard input. */
const STDIN_NAME = "-";

/** How a file is read in pieces. */
interface PieceOptions {
  /** Longest line; LINE_BYTES_MAX unless given. */
  readonly lineBytesMax?: number;
  /** Bytes asked for at a time: every piece costs some turns of the event loop, and some times its size in memory. */
  readonly pieceBytes?: number;
}

const PIECE_BYTES: number = 256 << 10;

/** Reads a file (`-`: standard input) as chunks of non-empty lines. Throws {@link EventFileError} when it cannot be read or decompressed. */
export async function* readLineChunks(path: string, options: PieceOptions = {}): AsyncGenerator<LineChunk, void, void> {
  const { lineBytesMax = LINE_BYTES_MAX, pieceBytes = PIECE_BYTES } = options;
  const splitter = new LineSplitter(lineBytesMax);
  const taken: FileBytes = { count: 0 };
  for await (const bytes of readBytes(path, pieceBytes, taken)) {
    const chunk = splitter.add(bytes, taken.count);
    if (chunk.numbers.length + chunk.tooLong.length > 0) yield chunk;
  }
  const last = splitter.finish(taken.count);
  if (last.numbers.length + last.tooLong.length > 0) yield last;
}

/** Reads a file (`-`: standard input) line by line. Throws as {@link readLineChunks} does. */
export async function* readLines(path: string, lineBytesMax: number = LINE_BYTES_MAX): AsyncGenerator<NumberedLine, void, void> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  for await (const { bytes, from, to, numbers, tooLong } of readLineChunks(path, { lineBytesMax })) {
    let skipped = 0;
    for (const [index, number] of numbers.entries()) {
      while (skipped < tooLong.length && tooLong[skipped]! < number) yield tooLongLine(tooLong[skipped++]!, lineBytesMax);
      yield { line: decoder.decode(bytes.subarray(from[index], to[index])), number };
    }
    while (skipped < tooLong.length) yield tooLongLine(tooLong[skipped++]!, lineBytesMax);
  }
}

/** Bytes of a file taken in so far. */
interface FileBytes {
  count: number;
}

/** The bytes of a file (`-`: standard input), decompressed when its first bytes say gzip or zstd. Throws {@link EventFileError}. */
async function* readBytes(path: string, highWaterMark: number, taken: FileBytes): AsyncGenerator<Uint8Array, void, void> {
  const name = path === STDIN_NAME ? "standard input" : `"${path}"`;
  const stream =
    path === STDIN_NAME ? createReadStream("", { fd: 0, autoClose: false, highWaterMark }) : createReadStream(path, { highWaterMark });
  const source = stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let opened = false;
  const next = async (): Promise<Uint8Array | undefined> => {
    try {
      const { value, done } = await source.next();
      if (done === true) return undefined;
      opened = true;
      taken.count += value.length;
      return value;
    } catch (error) {
      throw new EventFileError(opened ? "cannot-read" : "cannot-open", `Cannot read ${name}: ${reasonOf(error)}`, { cause: error });
    }
  };
  try {
    const head: Uint8Array[] = [];
    let headBytes = 0;
    while (headBytes < 4) {
      const bytes = await next();
      if (bytes === undefined) break;
      head.push(bytes);
      headBytes += bytes.length;
    }
    const first = Buffer.concat(head);
    const rest = async function* (): AsyncGenerator<Uint8Array, void, void> {
      if (first.length > 0) yield first;
      for (let bytes = await next(); bytes !== undefined; bytes = await next()) yield bytes;
    };
    const packing = packingOf(first);
    if (packing === undefined) {
      yield* rest();
      return;
    }
    // The web stream, not node:zlib: Bun's zstd decompressor there takes a file that is cut short for a whole one.
    const plain = streamOf(rest()).pipeThrough(new DecompressionStream(packing));
    try {
      for await (const bytes of plain) yield bytes;
    } catch (error) {
      if (error instanceof EventFileError) throw error;
      throw new EventFileError("corrupt-compression", `Cannot decompress ${name} near byte ${taken.count}: ${reasonOf(error)}`, {
        cause: error,
      });
    }
  } finally {
    stream.destroy();
  }
}

function packingOf(first: Uint8Array): "gzip" | "zstd" | undefined {
  if (first[0] === 0x1f && first[1] === 0x8b) return "gzip";
  if (first[0] === 0x28 && first[1] === 0xb5 && first[2] === 0x2f && first[3] === 0xfd) return "zstd";
  return undefined;
}

function streamOf(pieces: AsyncGenerator<Uint8Array, void, void>): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    async pull(controller): Promise<void> {
      const { value, done } = await pieces.next();
      if (done === true) controller.close();
      else controller.enqueue(value as Uint8Array<ArrayBuffer>);
    },
    async cancel(): Promise<void> {
      await pieces.return();
    },
  });
}

function tooLongLine(number: number, lineBytesMax: number): NumberedLine {
  return { line: "", number, problem: `Line ${number} is longer than ${lineBytesMax} bytes` };
}

// Cuts a stream of bytes at line ends. Holds at most one unfinished line and one piece of input.
class LineSplitter {
  readonly #limit: number;
  #bytes: Uint8Array = new Uint8Array(128 << 10);
  /** The unfinished line is bytes[start, length). */
  #start = 0;
  #length = 0;
  #number = 1;
  /** Inside a line over the limit: its rest is dropped. */
  #skipping = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(input: Uint8Array, fileBytes: number): LineChunk {
    const chunk: MutableChunk = { bytes: this.#bytes, from: [], to: [], numbers: [], tooLong: [], fileBytes };
    let searchFrom = this.#append(input);
    chunk.bytes = this.#bytes;
    // One view for all lines: making one costs as much as finding a line's end.
    const held = this.#bytes.subarray(0, this.#length);
    for (;;) {
      const end = held.indexOf(0x0a, searchFrom);
      if (end < 0) break;
      if (this.#skipping) this.#skipping = false;
      else this.#line(chunk, end);
      this.#number++;
      this.#start = end + 1;
      searchFrom = end + 1;
    }
    if (this.#skipping) {
      this.#start = this.#length;
    } else if (this.#length - this.#start > this.#limit) {
      chunk.tooLong.push(this.#number);
      this.#skipping = true;
      this.#start = this.#length;
    }
    return chunk;
  }

  finish(fileBytes: number): LineChunk {
    const chunk: MutableChunk = { bytes: this.#bytes, from: [], to: [], numbers: [], tooLong: [], fileBytes };
    if (!this.#skipping && this.#length > this.#start) this.#line(chunk, this.#length);
    this.#start = this.#length;
    return chunk;
  }

  #line(chunk: MutableChunk, end: number): void {
    const bytes = this.#bytes;
    let from = this.#start;
    let to = end;
    if (this.#number === 1 && bytes[from] === 0xef && bytes[from + 1] === 0xbb && bytes[from + 2] === 0xbf) from += 3;
    if (to > from && bytes[to - 1] === 0x0d) to--;
    if (to - from > this.#limit) {
      chunk.tooLong.push(this.#number);
      return;
    }
    let at = from;
    while (at < to && (bytes[at] === 0x20 || bytes[at] === 0x09)) at++;
    if (at >= to) return;
    chunk.from.push(from);
    chunk.to.push(to);
    chunk.numbers.push(this.#number);
  }

  // Moves the unfinished line to the front and puts the input behind it. Returns where the input starts.
  #append(input: Uint8Array): number {
    const rest = this.#length - this.#start;
    if (rest + input.length > this.#bytes.length) {
      const bytes = new Uint8Array(Math.max(this.#bytes.length * 2, rest + input.length));
      bytes.set(this.#bytes.subarray(this.#start, this.#length));
      this.#bytes = bytes;
    } else {
      this.#bytes.copyWithin(0, this.#start, this.#length);
    }
    this.#bytes.set(input, rest);
    this.#start = 0;
    this.#length = rest + input.length;
    return rest;
  }
}

interface MutableChunk extends LineChunk {
  bytes: Uint8Array;
  readonly from: number[];
  readonly to: number[];
  readonly numbers: number[];
  readonly tooLong: number[];
}
