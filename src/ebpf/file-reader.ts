// Reads the files of programs in the order they were asked for, large ones beside the others. Opens each at once; so the number that waits is also that of
// open files, which whoever asks bounds.
import {
  closeProgram,
  createChunk,
  type FileContent,
  type OpenFile,
  openProgram,
  type ProgramFile,
  readProgram,
  type Unreadable,
} from "./program-file.ts";

/** Told what is in a file. */
export type FileTaker = (content: FileContent | Unreadable) => void;

/** Reads files; tests have their own. */
export interface FileReader {
  /** Asks for a file; the answer comes now or later. */
  read(file: ProgramFile, take: FileTaker): void;
  /** Closes what waits without an answer. Twice is fine. */
  close(): void;
}

/** Files above this many bytes have a line of their own: a small one, read in a moment, need not wait for a large one. */
const LARGE_BYTES: number = 4 << 20;

interface Waiting {
  readonly file: Promise<OpenFile | Unreadable>;
  readonly take: FileTaker;
}

/** Files read one after the other, through the same memory: of a new one for each, a hundred megabytes wait for the collector on a busy machine. */
class Line {
  readonly waiting: Waiting[] = [];
  #chunk: Uint8Array | undefined;

  /** Adds one; the first of a line is read at once. */
  add(next: Waiting): void {
    if (this.waiting.push(next) === 1) void this.#readAll();
  }

  async #readAll(): Promise<void> {
    this.#chunk ??= createChunk();
    for (let first = this.waiting[0]; first !== undefined; first = this.waiting[0]) {
      const file = await first.file;
      const content = typeof file === "string" ? file : await readProgram(file, this.#chunk);
      this.waiting.shift();
      first.take(content);
    }
  }
}

/** See the head of this file. */
export class ProgramReader implements FileReader {
  readonly #small = new Line();
  readonly #large = new Line();

  read(program: ProgramFile, take: FileTaker): void {
    const line = program.sizeBytes > LARGE_BYTES ? this.#large : this.#small;
    line.add({ file: openProgram(program), take });
  }

  close(): void {
    // The first of a line is being read.
    for (const { waiting } of [this.#small, this.#large]) for (const { file } of waiting.splice(1)) void file.then(closeUnread);
  }
}

async function closeUnread(file: OpenFile | Unreadable): Promise<void> {
  if (typeof file !== "string") await closeProgram(file.fd);
}
