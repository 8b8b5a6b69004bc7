// Recorded events as a source: files merged by event time, equal times in the order the files were named, each file's own order kept: a file
// that is out of order stays so. Waits when the sink is full, so nothing is lost; what is no event is counted and reported by place.
import { statSync } from "node:fs";
import type { JsonDecoderOptions } from "#event";
import type { SchemaRegistry } from "#schema";
import type { Clock } from "./clock.ts";
import { assert, KestrelError } from "./error.ts";
import type { LossCounts, RecordSink, Source } from "./ports.ts";
import { type InputOptions, notInFile, openInput, type ReplayInput, type ReplayProblem, textInput } from "./replay-input.ts";
import { Pace } from "./replay-pace.ts";
import { changeSince, type Fingerprint, fingerprintOf, NO_FILE, PositionLog, type ReplayPosition } from "./replay-position.ts";
import { splitTime, type TimeWords } from "./time-words.ts";

/** What to replay and how to read it. */
export interface ReplayOptions {
  readonly registry: SchemaRegistry;
  /** Paths; `-` is standard input. */
  readonly files: readonly string[];
  /** JSON lines in memory, after the files among equal times. */
  readonly texts?: readonly { readonly name: string; readonly text: string }[];
  readonly decoder: JsonDecoderOptions;
  /** Events before `fromNs`, or at `toNs` and later, are counted and left out. */
  readonly range?: { readonly fromNs: bigint | undefined; readonly toNs: bigint | undefined };
  /** So many times as fast as the events happened; without it as fast as the sink takes them. */
  readonly pace?: { readonly clock: Clock; readonly speed: number };
  /** Keep what {@link ReplaySource.positionsAfter} asks for. */
  readonly keepPositions?: boolean;
  /** Positions to start behind; of files that are not named nothing is done. */
  readonly resume?: readonly ReplayPosition[];
  /** Told of each line or block that is left out. */
  readonly onProblem: (problem: ReplayProblem) => void;
  /** Told of each record before it is pushed: a copy of its line, nothing for one of a `.klog` file. */
  readonly onRecord?: (line: Uint8Array | undefined) => void;
}

/** Most files of one replay: each is open and holds a piece of itself. */
const REPLAY_FILES_MAX = 1024;

// Large pieces are a little faster, but a file costs some times its piece: of 200 files 3 MB each, below 1 MB with the small ones.
const PIECE_BYTES_MAX: number = 256 << 10;
const PIECE_BYTES_MIN: number = 32 << 10;
const ALL_PIECES_BYTES: number = 4 << 20;

/** Records after which timers, signals and other tasks get their turn; it costs a microsecond. */
const TURN_RECORDS = 1024;

/** See the head of this file. */
export class ReplaySource implements Source {
  readonly name = "replay";
  readonly #options: ReplayOptions;
  readonly #pace: Pace | undefined;
  /** Words of the first time in range and of the first behind it. */
  readonly #from: TimeWords | undefined;
  readonly #to: TimeWords | undefined;
  #inputs: readonly ReplayInput[] = [];
  /** Inputs that are at a record, as a heap: the earliest first. */
  #heap: ReplayInput[] = [];
  #positions: PositionLog | undefined;
  #stopped = false;
  #interrupt: () => void = () => undefined;
  /** Whether `onRecord` and the positions know the record at the top of the heap. */
  #told = false;
  #malformed = 0;
  #records = 0;
  #outside = 0;
  readonly #bytesTotal: number | undefined;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.#pace = options.pace === undefined ? undefined : new Pace(options.pace.clock, options.pace.speed);
    const { fromNs, toNs } = options.range ?? {};
    this.#from = fromNs === undefined ? undefined : splitTime(fromNs);
    this.#to = toNs === undefined ? undefined : splitTime(toNs);
    this.#bytesTotal = totalBytes(options.files);
  }

  /** Records pushed so far. */
  get records(): number {
    return this.#records;
  }

  /** Records so far that were left out because their time is not in the range. */
  get outside(): number {
    return this.#outside;
  }

  /** Whether it was told to stop. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Bytes of text or records read so far, after decompression. */
  get bytes(): number {
    return this.#inputs.reduce((sum, input) => sum + input.plainBytes, 0);
  }

  /** Bytes of the files read so far as they stand there, and how many they have when that is known. */
  get fileBytes(): { readonly read: number; readonly total: number | undefined } {
    return { read: this.#inputs.reduce((sum, input) => sum + input.fileBytes, 0), total: this.#bytesTotal };
  }

  /**
   * How far every file was read when this source had pushed `pushed` records, for a source that continues there. Answers for the records
   * that a bus can hold, not for earlier ones. What was left out behind the last record of a file is looked at again by the next source.
   */
  positionsAfter(pushed: number): readonly ReplayPosition[] {
    assert(this.#options.keepPositions === true, "positions are asked for only when they are kept");
    // While the files are opened it is where it was.
    return this.#positions === undefined ? (this.#options.resume ?? []) : this.#positions.after(pushed);
  }

  /** Throws when a file cannot be read, or is not the one that a position to resume was kept of. */
  async start(sink: RecordSink): Promise<void> {
    try {
      await this.#open();
      for (;;) {
        const wait = this.#pushSome(sink);
        if (wait === undefined) break;
        await wait;
      }
    } finally {
      for (const input of this.#inputs) input.close();
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#interrupt();
  }

  losses(): LossCounts {
    return { malformed: this.#malformed };
  }

  async #open(): Promise<void> {
    const { files, texts = [], keepPositions, resume = [] } = this.#options;
    checkFiles(files);
    const resumed = matchPositions([...files, ...texts.map(({ name }) => name)], resume);
    const fingerprints: Fingerprint[] = [];
    const inputs: ReplayInput[] = [];
    this.#inputs = inputs;
    for (const [index, file] of files.entries()) {
      const position = resumed[index];
      const change = position === undefined ? undefined : changeSince(position);
      if (change !== undefined) throw notInFile(file, change);
      fingerprints.push((keepPositions === true && file !== "-" ? fingerprintOf(file) : undefined) ?? NO_FILE);
      inputs.push(await openInput(file, this.#inputOptions(index, position)));
    }
    for (const { name, text } of texts) {
      fingerprints.push(NO_FILE);
      inputs.push(textInput(name, text, this.#inputOptions(inputs.length, resumed[inputs.length])));
    }
    if (keepPositions === true) this.#positions = new PositionLog(inputs, fingerprints, resumed);
    for (const input of inputs) {
      if ((await this.#unlessStopped(input.next())) === true) this.#heap.push(input);
    }
    this.#heap.sort((a, b) => (isBefore(a, b) ? -1 : 1));
  }

  #inputOptions(index: number, resume: ReplayPosition | undefined): InputOptions {
    const { registry, decoder, files, onProblem } = this.#options;
    return {
      index,
      pieceBytes: Math.max(PIECE_BYTES_MIN, Math.min(PIECE_BYTES_MAX, Math.floor(ALL_PIECES_BYTES / Math.max(1, files.length)))),
      registry,
      decoder,
      resume,
      onProblem: (problem) => {
        this.#malformed++;
        onProblem(problem);
      },
    };
  }

  /** Pushes records until there is something to wait for, which it gives back; nothing at the end. Not async: most records wait for nothing. */
  #pushSome(sink: RecordSink): Promise<unknown> | undefined {
    const { onRecord } = this.#options;
    for (let count = 0; count < TURN_RECORDS; count++) {
      const input = this.#heap[0];
      if (input === undefined || this.#stopped) return undefined;
      if (this.#isInRange(input)) {
        const waitMs = this.#pace === undefined ? 0 : this.#pace.waitMs(input);
        if (waitMs > 0) return this.#sleep(waitMs);
        if (!this.#told) {
          onRecord?.(input.line());
          // Before the push: a sink may evaluate inside it, and ask then for the position behind this record.
          this.#positions?.note(input);
        }
        this.#told = !sink.push(input.bytes, input.offset, input.size);
        if (this.#told) return sink.ready();
        this.#records++;
      } else {
        this.#outside++;
      }
      const more = input.next();
      if (typeof more !== "boolean") return this.#unlessStopped(more).then((found) => this.#moved(found === true));
      this.#moved(more);
    }
    return new Promise((resolve) => setImmediate(resolve));
  }

  #isInRange({ timeHi, timeLo }: ReplayInput): boolean {
    const from = this.#from;
    const to = this.#to;
    if (from !== undefined && (timeHi < from.hi || (timeHi === from.hi && timeLo < from.lo))) return false;
    return to === undefined || timeHi < to.hi || (timeHi === to.hi && timeLo < to.lo);
  }

  /** Puts the heap in order after its first input went to its next record, or to its end. */
  #moved(found: boolean): void {
    const heap = this.#heap;
    if (!found) {
      const last = heap.pop();
      if (last === undefined || heap.length === 0) return;
      heap[0] = last;
    }
    const moved = heap[0] as ReplayInput;
    let place = 0;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1] as ReplayInput, heap[child] as ReplayInput)) child++;
      if (!isBefore(heap[child] as ReplayInput, moved)) break;
      heap[place] = heap[child] as ReplayInput;
      place = child;
    }
    heap[place] = moved;
  }

  #sleep(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = (this.#options.pace as { readonly clock: Clock }).clock.after(waitMs, resolve);
      this.#interrupt = () => {
        cancel();
        resolve();
      };
    });
  }

  // What an input answers, or nothing once stopped: standard input may never answer. No race of promises: one that stays pending would keep
  // a reaction of each.
  #unlessStopped<Value>(answer: Value | Promise<Value>): Promise<Value | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#stopped) resolve(undefined);
      this.#interrupt = () => resolve(undefined);
      Promise.resolve(answer).then(resolve, reject);
    });
  }
}

function isBefore(a: ReplayInput, b: ReplayInput): boolean {
  if (a.timeHi !== b.timeHi) return a.timeHi < b.timeHi;
  return a.timeLo === b.timeLo ? a.index < b.index : a.timeLo < b.timeLo;
}

function checkFiles(files: readonly string[]): void {
  if (files.length > REPLAY_FILES_MAX)
    throw new KestrelError("too-many-files", `${files.length} files are more than a replay merges, ${REPLAY_FILES_MAX}`);
  if (files.filter((file) => file === "-").length > 1) throw new KestrelError("usage", "Standard input (-) can be named only once");
}

/** The position of each name; of a name that is given twice the first positions in their order. */
function matchPositions(names: readonly string[], positions: readonly ReplayPosition[]): readonly (ReplayPosition | undefined)[] {
  const left = [...positions];
  return names.map((name) => {
    const index = left.findIndex(({ file }) => file === name);
    return index === -1 ? undefined : left.splice(index, 1)[0];
  });
}

/** Bytes of all files; unknown when one is no regular file. */
function totalBytes(files: readonly string[]): number | undefined {
  let total = 0;
  for (const file of files) {
    const size = file === "-" ? undefined : sizeOf(file);
    if (size === undefined) return undefined;
    total += size;
  }
  return total;
}

function sizeOf(file: string): number | undefined {
  try {
    const stat = statSync(file);
    return stat.isFile() ? stat.size : undefined;
  } catch {
    // Opening it says why.
    return undefined;
  }
}
