// Standard output for commands that print many lines: buffered, in order, ends quietly when the reader goes away.
import { writeSync } from "node:fs";
import { KestrelError, messageOf } from "#core";

const BUFFER_BYTES_MAX = 64 << 10;
const RETRY_MS = 1;

/** Collects lines and writes them in large pieces. */
export class LineWriter {
  #pending: string[] = [];
  #length = 0;
  readonly #descriptor: number;
  readonly #beforeWrite: () => void;

  /** `beforeWrite` is called before each piece: whoever shares the terminal makes room. */
  constructor(descriptor = 1, beforeWrite: () => void = () => undefined) {
    this.#descriptor = descriptor;
    this.#beforeWrite = beforeWrite;
  }

  /** Adds one line. */
  line(text: string): void {
    this.#pending.push(text, "\n");
    this.#length += text.length + 1;
    if (this.#length >= BUFFER_BYTES_MAX) this.flush();
  }

  /** Writes what is waiting. A closed pipe ends the program, as it does for other line tools. */
  flush(): void {
    const bytes = Buffer.from(this.#pending.join(""));
    this.#pending = [];
    this.#length = 0;
    if (bytes.length > 0) this.#beforeWrite();
    for (let at = 0; at < bytes.length; ) {
      try {
        at += writeSync(this.#descriptor, bytes, at);
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === "EPIPE") process.exit(0);
        if (code !== "EAGAIN") throw new KestrelError("output", `Cannot write the output: ${messageOf(error)}`, { cause: error });
        Bun.sleepSync(RETRY_MS);
      }
    }
  }
}
