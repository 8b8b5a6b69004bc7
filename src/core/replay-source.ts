// Recorded events as a source: JSON lines (plain, gzip, zstd, standard input) or `.klog` files, one after another, in file order.
// Waits when the sink is full, so nothing is lost; what is no event is counted and reported by place.
import { isKlogFile, JsonDecoder, type JsonDecoderOptions, KlogReader, type LineChunk, readLineChunks, recordSize } from "#event";
import type { SchemaRegistry } from "#schema";
import type { LossCounts, RecordSink, Source } from "./ports.ts";

/** A place in a file that is no event. */
export interface ReplayProblem {
  readonly file: string;
  /** Line of a text file; 0 for `.klog`. */
  readonly line: number;
  readonly message: string;
}

/** What to replay and how to read it. */
export interface ReplayOptions {
  readonly registry: SchemaRegistry;
  /** Paths; `-` is standard input. */
  readonly files: readonly string[];
  /** JSON lines in memory, replayed after the files. */
  readonly texts?: readonly { readonly name: string; readonly text: string }[];
  readonly decoder: JsonDecoderOptions;
  /** Told of each line or block that is left out. */
  readonly onProblem: (problem: ReplayProblem) => void;
  /** Told of each record before it is pushed: a copy of its line, nothing for one of a `.klog` file. */
  readonly onRecord?: (line: Uint8Array | undefined) => void;
}

/** See the head of this file. */
export class ReplaySource implements Source {
  readonly name = "replay";
  readonly #options: ReplayOptions;
  #stopped = false;
  #malformed = 0;
  #records = 0;
  #bytes = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
  }

  /** Records pushed so far. */
  get records(): number {
    return this.#records;
  }

  /** Bytes of text or records read so far, after decompression. */
  get bytes(): number {
    return this.#bytes;
  }

  async start(sink: RecordSink): Promise<void> {
    for (const file of this.#options.files) {
      if (await isKlogFile(file)) await this.#replayKlog(file, sink);
      else await this.#replayLines(file, readLineChunks(file), sink);
    }
    for (const { name, text } of this.#options.texts ?? []) await this.#replayLines(name, [chunkOf(text)], sink);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
  }

  losses(): LossCounts {
    return { malformed: this.#malformed };
  }

  async #replayLines(file: string, chunks: AsyncIterable<LineChunk> | Iterable<LineChunk>, sink: RecordSink): Promise<void> {
    const decoder = new JsonDecoder(this.#options.registry, this.#options.decoder);
    for await (const chunk of chunks) {
      for (const line of chunk.tooLong) this.#problem(file, line, "The line is too long");
      for (let index = 0; index < chunk.numbers.length; index++) {
        if (this.#stopped) return;
        const from = chunk.from[index] as number;
        const to = chunk.to[index] as number;
        this.#bytes += to - from;
        const size = decoder.decodeBytes(chunk.bytes, from, to);
        if (typeof size !== "number") {
          this.#problem(file, chunk.numbers[index] as number, size.message);
          continue;
        }
        this.#options.onRecord?.(chunk.bytes.slice(from, to));
        while (!sink.push(decoder.builder.bytes, 0, size)) await sink.ready();
        this.#records++;
      }
    }
  }

  async #replayKlog(file: string, sink: RecordSink): Promise<void> {
    const reader = KlogReader.open(file, this.#options.registry);
    try {
      await this.#replayBlocks(reader, sink);
    } finally {
      reader.close();
    }
    for (const { offset, message } of reader.summary.problems) this.#problem(file, 0, `at byte ${offset}: ${message}`);
  }

  async #replayBlocks(reader: KlogReader, sink: RecordSink): Promise<void> {
    for (let block = reader.next(); block !== undefined && !this.#stopped; block = reader.next()) {
      for (let index = 0; index < block.count; index++) {
        const offset = block.offsets[index] as number;
        const size = recordSize(block.bytes, offset);
        this.#bytes += size;
        this.#options.onRecord?.(undefined);
        while (!sink.push(block.bytes, offset, size)) await sink.ready();
        this.#records++;
      }
    }
  }

  #problem(file: string, line: number, message: string): void {
    this.#malformed++;
    this.#options.onProblem({ file, line, message });
  }
}

/** A text in memory as lines. */
function chunkOf(text: string): LineChunk {
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
  return { bytes, from, to, numbers, tooLong: [] };
}
