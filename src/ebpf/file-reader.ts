// Reads the files of programs one after another, in the order they were asked for. Opens each at once; so the number that waits is also that of
// open files, which whoever asks bounds.
import { closeSync } from "node:fs";
import { type FileContent, type OpenFile, openProgram, type ProgramFile, readProgram, type Unreadable } from "./program-file.ts";

/** Told what is in a file. */
export type FileTaker = (content: FileContent | Unreadable) => void;

/** Reads files; tests have their own. */
export interface FileReader {
  /** Asks for a file; the answer comes now or later. */
  read(file: ProgramFile, take: FileTaker): void;
  /** Closes what waits without an answer. Twice is fine. */
  close(): void;
}

/** See the head of this file. */
export class ProgramReader implements FileReader {
  #waiting: { readonly file: OpenFile; readonly take: FileTaker }[] = [];
  #isReading = false;

  read(program: ProgramFile, take: FileTaker): void {
    const file = openProgram(program);
    if (typeof file === "string") {
      take(file);
      return;
    }
    this.#waiting.push({ file, take });
    if (!this.#isReading) void this.#readAll();
  }

  close(): void {
    for (const { file } of this.#waiting.splice(0)) closeSync(file.fd);
  }

  async #readAll(): Promise<void> {
    this.#isReading = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) next.take(await readProgram(next.file));
    this.#isReading = false;
  }
}
