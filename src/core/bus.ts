// The event bus: numbers records, packs them into batches, hands batches to partitions and gives the results back in order.
// Invariant: offered = evaluated + dropped + waiting, and results come in the order of seq whatever the number of partitions.
// Knows no rules: what a partition computes is its own affair.
import { setRecordSeq } from "#event";
import type { Cancel, Clock } from "./clock.ts";
import { assert } from "./error.ts";
import { BATCH_BYTES_MAX, BATCH_RECORDS_MAX, type RecordBatch, type RecordSink } from "./ports.ts";

/** Evaluates batches for the bus. `evaluate` may answer at once or later; the bus keeps the order. */
export interface Partition<Result> {
  evaluate(batch: RecordBatch): Result | Promise<Result>;
}

/** What happens to a record when every batch is in use. */
export type FullPolicy = "drop" | "block";

/** Settings of an {@link EventBus}. */
export interface BusOptions<Result> {
  readonly clock: Clock;
  readonly partitions: readonly Partition<Result>[];
  /** `drop` for sensors (counted), `block` for files (the source waits). */
  readonly whenFull: FullPolicy;
  /** Longest time a record waits for its batch to fill, in milliseconds; 0 never flushes by itself. */
  readonly flushMs: number;
  /** Batches in all; at least partitions + 1. */
  readonly batchCount: number;
  /** Gets every batch with its result, in order, before the batch is used again; the next one waits for a promise it gives back. */
  readonly consume: (batch: RecordBatch, result: Result) => void | Promise<void>;
  /** Told of {@link RecordSink.progress} when everything pushed before it has been consumed. Between two promises the older may be left out. */
  readonly onProgress?: (timeNs: bigint) => void;
  /** Seq of the first record, default 0: a restart goes on counting. */
  readonly firstSeq?: number;
}

/** A promise of the source, and how many records it follows. */
interface Mark {
  readonly taken: number;
  readonly timeNs: bigint;
}

/** Counters of a bus. */
export interface BusCounters {
  /** Records offered by sources. */
  readonly offered: number;
  /** Records whose results were consumed. */
  readonly evaluated: number;
  /** Records refused because every batch was in use. */
  readonly dropped: number;
  /** Records taken and still under way. */
  readonly waiting: number;
  /** Total time sources waited for room, in milliseconds. */
  readonly blockedMs: number;
}

interface InFlight<Result> {
  readonly batch: RecordBatch;
  result: { readonly value: Result } | undefined;
}

/** Makes a batch. Its bytes are shared memory, so that a partition in a worker reads them in place. */
function createBatch(): RecordBatch {
  return {
    bytes: new Uint8Array(new SharedArrayBuffer(BATCH_BYTES_MAX)),
    offsets: new Uint32Array(new SharedArrayBuffer(BATCH_RECORDS_MAX * 4)),
    length: 0,
    count: 0,
  };
}

/** See the head of this file. One per agent or replay. */
export class EventBus<Result> implements RecordSink {
  readonly #options: BusOptions<Result>;
  /** Batches not in use. They are made when first needed: the collector reckons with their whole size, touched or not. */
  readonly #free: RecordBatch[] = [];
  #made = 0;
  readonly #inFlight: InFlight<Result>[] = [];
  readonly #load: number[];
  #filling: RecordBatch | undefined;
  #nextSeq: number;
  #offered = 0;
  #taken = 0;
  #evaluated = 0;
  #dropped = 0;
  #blockedMs = 0;
  #waiters: (() => void)[] = [];
  #cancelFlush: Cancel | undefined;
  #failure: { readonly error: unknown } | undefined;
  #consuming = false;
  /** Batches that wait for {@link atBorder}; undefined while none is asked for. */
  #held: RecordBatch[] | undefined;
  /** The oldest promise not yet passed on, and the newest: however slow the consumer, some are. */
  #marks: readonly Mark[] = [];

  constructor(options: BusOptions<Result>) {
    assert(options.partitions.length > 0, "a bus has a partition");
    assert(options.batchCount > options.partitions.length, "a bus has more batches than partitions");
    this.#options = options;
    this.#nextSeq = options.firstSeq ?? 0;
    this.#load = options.partitions.map(() => 0);
  }

  /** {@inheritDoc RecordSink.push} */
  push(bytes: Uint8Array, offset: number, length: number): boolean {
    const filling = this.#filling;
    if (filling === undefined || filling.count === BATCH_RECORDS_MAX || filling.length + length > BATCH_BYTES_MAX) {
      assert(length <= BATCH_BYTES_MAX, "a record fits into a batch");
      this.flush();
      if (!this.#openBatch()) {
        if (this.#options.whenFull === "drop") {
          this.#offered++;
          this.#dropped++;
        }
        return false;
      }
    }
    this.#offered++;
    this.#take(this.#filling as RecordBatch, bytes, offset, length);
    return true;
  }

  #take(batch: RecordBatch, bytes: Uint8Array, offset: number, length: number): void {
    const at = batch.length;
    batch.bytes.set(offset === 0 && length === bytes.length ? bytes : bytes.subarray(offset, offset + length), at);
    const seq = this.#nextSeq++;
    setRecordSeq(batch.bytes, at, seq >>> 0, Math.floor(seq / 0x1_0000_0000));
    batch.offsets[batch.count++] = at;
    batch.length = at + length;
    this.#taken++;
    if (batch.count === BATCH_RECORDS_MAX) this.flush();
  }

  #openBatch(): boolean {
    this.#throwFailure();
    const batch = this.#freeBatch();
    if (batch === undefined) return false;
    batch.length = 0;
    batch.count = 0;
    this.#filling = batch;
    if (this.#options.flushMs > 0) this.#cancelFlush = this.#options.clock.after(this.#options.flushMs, () => this.flush());
    return true;
  }

  #freeBatch(): RecordBatch | undefined {
    if (this.#free.length > 0 || this.#made === this.#options.batchCount) return this.#free.pop();
    this.#made++;
    return createBatch();
  }

  /** Resolves when a batch is free. Counts the time waited. */
  async ready(): Promise<void> {
    this.#throwFailure();
    if (this.#free.length > 0 || this.#made < this.#options.batchCount) return;
    const startMs = performance.now();
    await new Promise<void>((resolve) => this.#waiters.push(resolve));
    this.#blockedMs += performance.now() - startMs;
    this.#throwFailure();
  }

  /** {@inheritDoc RecordSink.progress} */
  progress(timeNs: bigint): void {
    if (this.#options.onProgress === undefined) return;
    const mark = { taken: this.#taken, timeNs };
    const [oldest] = this.#marks;
    this.#marks = oldest === undefined ? [mark] : [oldest, mark];
    if (!this.#consuming) this.#passMarks();
  }

  #passMarks(): void {
    const passed = this.#marks.filter((mark) => mark.taken <= this.#evaluated).at(-1);
    if (passed === undefined || this.#failure !== undefined) return;
    this.#marks = this.#marks.filter((mark) => mark.taken > this.#evaluated);
    this.#options.onProgress?.(passed.timeNs);
  }

  /** {@inheritDoc RecordSink.flush} */
  flush(): void {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    const batch = this.#filling;
    if (batch === undefined) return;
    this.#filling = undefined;
    if (this.#held === undefined) this.#send(batch);
    else this.#held.push(batch);
  }

  #send(batch: RecordBatch): void {
    const index = this.#leastLoaded();
    const entry: InFlight<Result> = { batch, result: undefined };
    this.#inFlight.push(entry);
    let answer: Result | Promise<Result>;
    try {
      answer = (this.#options.partitions[index] as Partition<Result>).evaluate(batch);
    } catch (error) {
      this.#fail(error);
      return;
    }
    if (!(answer instanceof Promise)) {
      this.#settle(entry, answer);
      return;
    }
    this.#load[index] = (this.#load[index] as number) + 1;
    answer.then(
      (value) => {
        this.#load[index] = (this.#load[index] as number) - 1;
        this.#settle(entry, value);
      },
      (error: unknown) => this.#fail(error),
    );
  }

  #leastLoaded(): number {
    let best = 0;
    for (let index = 1; index < this.#load.length; index++) {
      if ((this.#load[index] as number) < (this.#load[best] as number)) best = index;
    }
    return best;
  }

  #settle(entry: InFlight<Result>, value: Result): void {
    entry.result = { value };
    this.#consumeReady();
  }

  // `#consuming` is set around synchronous consumers too: one that pushes must not get the same batch again. It stays set after a failure.
  #consumeReady(): void {
    while (!this.#consuming) {
      const head = this.#inFlight[0];
      if (head?.result === undefined) return;
      this.#consuming = true;
      let done: void | Promise<void>;
      try {
        done = this.#options.consume(head.batch, head.result.value);
      } catch (error) {
        this.#fail(error);
        return;
      }
      if (done === undefined) {
        this.#finish(head);
        continue;
      }
      done.then(
        () => {
          this.#finish(head);
          this.#consumeReady();
        },
        (error: unknown) => this.#fail(error),
      );
    }
  }

  #finish(head: InFlight<Result>): void {
    this.#consuming = false;
    this.#inFlight.shift();
    this.#evaluated += head.batch.count;
    this.#free.push(head.batch);
    if (this.#marks.length > 0) this.#passMarks();
    this.#wake();
  }

  // A partition that fails for other reasons than a rule (a lost worker, a bug) ends the bus, and so does a consumer: nothing may pass
  // unevaluated. Kept for whoever pushes or waits next, since the one who sent the batch may be a timer.
  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }

  /** Flushes and waits until everything taken so far has been consumed; what is pushed meanwhile is not waited for. */
  async drain(): Promise<void> {
    this.flush();
    const takenNow = this.#taken;
    while (this.#evaluated < takenNow) {
      this.#throwFailure();
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
    this.#throwFailure();
  }

  /**
   * Runs `change` between two batches: every record taken before this call has been consumed, none taken after it has been evaluated. Those
   * wait meanwhile, so the change comes however fast the source is. One change at a time.
   */
  async atBorder(change: () => void): Promise<void> {
    assert(this.#held === undefined, "one change of a bus at a time");
    this.flush();
    this.#held = [];
    try {
      await this.drain();
      change();
    } finally {
      const held: readonly RecordBatch[] = this.#held;
      this.#held = undefined;
      for (const batch of held) this.#send(batch);
    }
  }

  /** Counters now. */
  counters(): BusCounters {
    return {
      offered: this.#offered,
      evaluated: this.#evaluated,
      dropped: this.#dropped,
      waiting: this.#taken - this.#evaluated,
      blockedMs: this.#blockedMs,
    };
  }
}
