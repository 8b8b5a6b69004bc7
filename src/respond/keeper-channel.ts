// The gatekeeper's two pipes to its agent, without an event loop: whole messages in, whole messages out, and never a wait. What does not fit because
// the agent does not read is refused, so that the caller can decide without it.
import { LineReader, lineOf } from "#core";
import { Poll, PollSet, readAvailable, setNonBlocking, writeAvailable } from "#ffi/descriptors";
import { NativeBuffer } from "#ffi/memory";
import type { FromKeeper, KeeperConfig, ToKeeper } from "./gate-wire.ts";

const BUFFER_BYTES: number = 256 << 10;

/** See the head of this file. */
export class KeeperChannel {
  readonly #input: number;
  readonly #output: number;
  readonly #in = new NativeBuffer(BUFFER_BYTES);
  readonly #out = new NativeBuffer(BUFFER_BYTES);
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();
  readonly #reader = new LineReader<ToKeeper>();
  #from = 0;
  #to = 0;
  #ended = false;

  constructor(input: number, output: number) {
    this.#input = input;
    this.#output = output;
    setNonBlocking(input);
    setNonBlocking(output);
  }

  /** The agent has gone. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The agent's first message; `undefined`: it does not come. */
  waitForConfig(waitMs: number): KeeperConfig | undefined {
    const poll = new PollSet(1);
    const endMs = performance.now() + waitMs;
    while (!this.#ended && performance.now() < endMs) {
      poll.set(0, this.#input, Poll.In);
      poll.wait(Math.max(0, Math.ceil(endMs - performance.now())));
      for (const message of this.receive()) if (message.kind === "config") return message.config;
    }
    return undefined;
  }

  /** Says what to wait for: places of the set for input and output. */
  watch(poll: PollSet, inputAt: number, outputAt: number): void {
    poll.set(inputAt, this.#input, Poll.In);
    // Without events it still tells that the other end is closed.
    poll.set(outputAt, this.#output, this.#to > this.#from ? Poll.Out : 0);
  }

  /** Messages that have come. */
  receive(): readonly ToKeeper[] {
    const messages: ToKeeper[] = [];
    try {
      for (;;) {
        const count = readAvailable(this.#input, this.#in);
        if (count === undefined) break;
        if (count === 0) {
          this.#ended = true;
          break;
        }
        messages.push(...this.#reader.take(this.#decoder.decode(this.#in.bytes.subarray(0, count), { stream: true })));
        if (count < this.#in.byteLength) break;
      }
    } catch {
      this.#ended = true;
    }
    return messages;
  }

  /** Sends a message as soon as there is room. False: there is none, and it is not sent. */
  send(message: FromKeeper): boolean {
    if (this.#from === this.#to) {
      this.#from = 0;
      this.#to = 0;
    }
    const line = lineOf(message);
    const { read, written } = this.#encoder.encodeInto(line, this.#out.bytes.subarray(this.#to));
    if (read < line.length) return false;
    this.#to += written;
    this.flush();
    return true;
  }

  /** Writes what waits, as far as there is room. */
  flush(): void {
    try {
      while (this.#from < this.#to) {
        const count = writeAvailable(this.#output, this.#out, this.#from, this.#to - this.#from);
        if (count === undefined) return;
        this.#from += count;
      }
    } catch {
      this.#ended = true;
    }
  }
}
