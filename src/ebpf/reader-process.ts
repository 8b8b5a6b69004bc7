// The process that reads program files as the agent holds it: started, spoken to, killed without waiting for its end, which may not come while a filesystem
// keeps a thread of it. Invariant: one that was killed says nothing more and holds nothing of the agent but its number.
import { endOf, LineReader, messageOf, sendLine } from "#core";
import type { FromReader, ToReader } from "./reader-wire.ts";

/** What a {@link ReaderProcess} tells. */
export interface ReaderEvents {
  onMessage(message: FromReader): void;
  /** It has ended by itself; told once, and not of one that was killed. */
  onEnd(reason: string): void;
}

/** One process; tests have their own. */
export interface Child {
  send(message: ToReader): void;
  /** Kills it. Resolves when it has ended. */
  kill(): Promise<void>;
}

/** Starts one. */
export type StartChild = (command: readonly string[], events: ReaderEvents) => Child;

const WORDS_LENGTH_MAX = 500;

/** See the head of this file. */
export class ReaderProcess implements Child {
  readonly #child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #events: ReaderEvents;
  readonly #output: {
    read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
    cancel(): Promise<void>;
  };
  #isKilled = false;

  constructor(command: readonly string[], events: ReaderEvents) {
    this.#events = events;
    // Not our own standard error: whoever reads that would wait for the end of one that cannot be ended.
    this.#child = Bun.spawn([...command], { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
    this.#child.unref();
    this.#output = this.#child.stdout.getReader();
    void this.#readAll();
  }

  send(message: ToReader): void {
    sendLine(this.#child.stdin, message);
  }

  async kill(): Promise<void> {
    this.#isKilled = true;
    this.#child.kill("SIGKILL");
    // Its ends of the pipes stay open for as long as it cannot end.
    const ignore = (): void => undefined;
    this.#output.cancel().catch(ignore);
    this.#child.stderr.cancel().catch(ignore);
    void Promise.resolve(this.#child.stdin.end()).catch(ignore);
    await this.#child.exited;
  }

  async #readAll(): Promise<void> {
    const lines = new LineReader<FromReader>();
    const decoder = new TextDecoder();
    try {
      for (let piece = await this.#output.read(); !piece.done; piece = await this.#output.read()) {
        for (const message of lines.take(decoder.decode(piece.value, { stream: true }))) {
          if (this.#isKilled) return;
          this.#events.onMessage(message);
        }
      }
    } catch {
      // A pipe that cannot be read is as good as an end.
    }
    if (this.#isKilled) return;
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    const words = await new Response(this.#child.stderr).text().catch(messageOf);
    if (this.#isKilled) return;
    const end = endOf(this.#child);
    this.#events.onEnd(words.trim() === "" ? end : `${end}: ${words.trim().slice(0, WORDS_LENGTH_MAX)}`);
  }
}
