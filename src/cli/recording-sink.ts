// Copies every record that the next sink took to a .klog file: what was refused was not evaluated and must not replay. A file that can no
// longer be written is said once and does not stop the agent.
import { type Log, messageOf, type RecordSink } from "#core";
import { KlogWriter } from "#event";
import type { SchemaRegistry } from "#schema";

const FLUSH_MS = 1000;

/** See the head of this file. */
export class RecordingSink implements RecordSink {
  readonly #next: RecordSink;
  readonly #writer: KlogWriter;
  readonly #log: Log;
  readonly #timer: Timer;
  #failed = false;

  constructor(path: string, parts: { readonly registry: SchemaRegistry; readonly next: RecordSink; readonly log: Log }) {
    this.#next = parts.next;
    this.#log = parts.log;
    this.#writer = KlogWriter.open(path, parts.registry);
    this.#timer = setInterval(() => this.#write(() => this.#writer.flush()), FLUSH_MS);
  }

  push(bytes: Uint8Array, offset: number, length: number): boolean {
    const taken = this.#next.push(bytes, offset, length);
    if (taken) this.#write(() => this.#writer.append(bytes, offset, length));
    return taken;
  }

  ready(): Promise<void> {
    return this.#next.ready();
  }

  progress(timeNs: bigint): void {
    this.#next.progress?.(timeNs);
  }

  flush(): void {
    this.#next.flush?.();
  }

  #write(work: () => void): void {
    try {
      work();
      this.#failed = false;
    } catch (error) {
      if (!this.#failed) this.#log.write("error", "the recording loses events", { reason: messageOf(error) });
      this.#failed = true;
    }
  }

  /** Writes what is left. Records that could not be written are in the writer's count. */
  close(): void {
    clearInterval(this.#timer);
    this.#write(() => this.#writer.close());
    if (this.#writer.recordsLost > 0) this.#log.write("error", "the recording lost events", { count: this.#writer.recordsLost });
  }
}
