// Reads the files of programs, several at a time, each question by a thread of the runtime: finding new ones first, since a process may end, then reading
// what was found, large ones beside the others. One that takes too long waits for somebody who does not answer: it is given up, and told; its thread is
// lost for as long as that lasts. So whoever has one that tells of silence ends its process. The number that waits is bounded by whoever asks.
import type { Cancel, Clock } from "#core";
import {
  closeProgram,
  createChunk,
  type FileContent,
  type OpenFile,
  openProgram,
  type ProgramFile,
  readProgram,
  standsAt,
  type Unreadable,
} from "./program-file.ts";

/** Told what is in a file. */
export type FileTaker = (content: FileContent | Unreadable) => void;

/** Reads files; tests have their own. */
export interface FileReader {
  /** Asks for a file; the answer comes now or later. */
  read(file: ProgramFile, take: FileTaker): void;
  /** Asks whether the file stands at a path in our own root; the answer comes now or later. */
  standsAt(path: string, file: ProgramFile, take: (isThere: boolean) => void): void;
  /** Whether answers are waited for: then it is to be ready before it is asked. */
  keepReady(isOn: boolean): void;
  counts(): ReaderCounts;
  /** Closes what waits without an answer. Twice is fine. */
  close(): void;
}

/** How readers fare. */
export interface ReaderCounts {
  /** Processes, or threads of this one, that a filesystem holds. */
  readonly stuck: number;
  /** Times that a filesystem did not answer. */
  readonly silences: number;
}

/** A file, and whom it was asked of in vain. */
export interface Silence {
  readonly place: string;
  readonly path: string;
}

/** Files above this many bytes are read one after the other: small ones, each read in a moment, need not wait for them. */
const LARGE_BYTES: number = 4 << 20;
/** Questions at one time, each of which may keep a thread. */
export const THREADS = 8;
/** Small files read at one time; the other threads find files, and read a large one. */
const SMALL_MAX = 4;
const LOOK_MS = 1000;
/** Looks that a question may take, and more for each so many bytes that are to be read. */
const LOOKS_MAX = 10;
const BYTES_PER_LOOK: number = 8 << 20;

/** Settings of a {@link ProgramReader}. */
export interface ProgramReaderOptions {
  readonly clock: Clock;
  /** Not to be asked. */
  readonly isSilent?: (place: string) => boolean;
  /** Told of files that were given up, after their answers. */
  readonly onSilence?: (silences: readonly Silence[]) => void;
}

/** Something that is being asked, by steps. */
class Question {
  readonly path: string;
  readonly #giveUp: () => void;
  readonly #isSilent: (place: string) => boolean;
  looksLeft: number;
  /** Whom it was asked of last. */
  place = "";
  isGivenUp = false;

  constructor(path: string, sizeBytes: number, isSilent: (place: string) => boolean, giveUp: () => void) {
    this.path = path;
    this.looksLeft = LOOKS_MAX + Math.floor(sizeBytes / BYTES_PER_LOOK);
    this.#isSilent = isSilent;
    this.#giveUp = giveUp;
  }

  readonly mayAsk = (place: string): boolean => {
    this.place = place;
    return !this.#isSilent(place);
  };

  giveUp(): void {
    this.isGivenUp = true;
    this.#giveUp();
  }
}

/** Steps of one kind, in the order in which they came, at most `most` at one time. */
class Lane {
  readonly waiting: (() => Promise<void>)[] = [];
  readonly most: number;
  active = 0;

  constructor(most: number) {
    this.most = most;
  }

  next(): (() => Promise<void>) | undefined {
    return this.active < this.most ? this.waiting.shift() : undefined;
  }
}

/** See the head of this file. */
export class ProgramReader implements FileReader {
  readonly #options: ProgramReaderOptions;
  readonly #isSilent: (place: string) => boolean;
  readonly #finding = new Lane(THREADS);
  readonly #small = new Lane(SMALL_MAX);
  readonly #large = new Lane(1);
  readonly #asking = new Set<Question>();
  /** Of a new one for each file, a hundred megabytes wait for the collector on a busy machine. */
  readonly #chunks: Uint8Array[] = [];
  readonly #unread = new Set<OpenFile>();
  #cancelLook: Cancel | undefined;
  #silences = 0;
  #isClosed = false;

  constructor(options: ProgramReaderOptions) {
    this.#options = options;
    this.#isSilent = options.isSilent ?? (() => false);
  }

  read(file: ProgramFile, take: FileTaker): void {
    this.#queue(this.#finding, file.path, 0, take, async (question) => {
      const opened = await openProgram(file, question.mayAsk);
      if (typeof opened === "string") return opened;
      if (question.isGivenUp || this.#isClosed) await closeProgram(opened.fd);
      else this.#readOpen(opened, take);
      return undefined;
    });
    this.#run();
  }

  #readOpen(opened: OpenFile, take: FileTaker): void {
    const { path, sizeBytes } = opened.file;
    this.#unread.add(opened);
    this.#queue(sizeBytes > LARGE_BYTES ? this.#large : this.#small, path, sizeBytes, take, async (question) => {
      this.#unread.delete(opened);
      const chunk = this.#chunks.pop() ?? createChunk();
      const content = await readProgram(opened, chunk, question.mayAsk);
      this.#chunks.push(chunk);
      return content;
    });
  }

  standsAt(path: string, file: ProgramFile, take: (isThere: boolean) => void): void {
    const answer = (isThere: boolean | "failed"): void => take(isThere === true);
    this.#queue(this.#finding, path, 0, answer, (question) => standsAt(path, file, question.mayAsk));
    this.#run();
  }

  keepReady(): void {
    // It always is.
  }

  counts(): ReaderCounts {
    return { stuck: [...this.#asking].filter(({ isGivenUp }) => isGivenUp).length, silences: this.#silences };
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelLook?.();
    for (const { waiting } of [this.#finding, this.#small, this.#large]) waiting.length = 0;
    for (const { fd } of this.#unread) void closeProgram(fd);
    this.#unread.clear();
  }

  #queue<Answer>(
    lane: Lane,
    path: string,
    sizeBytes: number,
    take: (answer: Answer | "failed") => void,
    ask: (question: Question) => Promise<Answer | "failed" | undefined>,
  ): void {
    lane.waiting.push(async () => {
      lane.active++;
      const question = new Question(path, sizeBytes, this.#isSilent, () => take("failed"));
      this.#asking.add(question);
      const answer = await ask(question).catch(() => "failed" as const);
      this.#asking.delete(question);
      lane.active--;
      if (answer !== undefined && !question.isGivenUp && !this.#isClosed) take(answer);
      this.#run();
    });
  }

  #run(): void {
    while (this.#asking.size < THREADS) {
      const step = this.#finding.next() ?? this.#small.next() ?? this.#large.next();
      if (step === undefined) break;
      void step();
    }
    if (this.#asking.size > 0 && !this.#isClosed) this.#cancelLook ??= this.#options.clock.after(LOOK_MS, () => this.#look());
  }

  // Looks are counted, not time: in a process that was stopped for an hour nobody was silent.
  #look(): void {
    this.#cancelLook = undefined;
    const silent = [...this.#asking].filter((question) => !question.isGivenUp && --question.looksLeft <= 0);
    this.#silences += silent.length;
    for (const question of silent) question.giveUp();
    if (silent.length > 0) this.#options.onSilence?.(silent.map(({ place, path }) => ({ place, path })));
    this.#run();
  }
}
