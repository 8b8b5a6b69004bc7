// The ports between rooms: who brings records, who evaluates them, who takes alerts. Implementations live elsewhere; cli wires them.
import type { Alert } from "./alert.ts";
import type { Checkpoint } from "./checkpoint.ts";

/** Some records one after another, as Wasm and Lua read them. `bytes[0, length)` is in use; record i starts at `offsets[i]`. */
export interface RecordBatch {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
  length: number;
  count: number;
}

/** Most records of one batch. */
export const BATCH_RECORDS_MAX = 256;
/** Most bytes of one batch: room for one largest record and many ordinary ones. */
export const BATCH_BYTES_MAX: number = 2 << 20;

/** Where a source puts its records. The bytes are copied before `push` returns. */
export interface RecordSink {
  /** Offers one finished record. False: the queue is full and the record was not taken (the sink counted it if its policy is to drop). */
  push(bytes: Uint8Array, offset: number, length: number): boolean;
  /** Resolves when the sink has room again; for sources that wait instead of losing records. */
  ready(): Promise<void>;
  /**
   * Promises that no record older than this will come, nanoseconds since 1970: live sources, which alone know that nothing is under way. What
   * waits for time to pass, such as the end of a sequence without a certain event, need not wait for the next record then.
   */
  progress?(timeNs: bigint): void;
  /** Sends what was pushed on its way, however little: the source knows that no more comes for a while. */
  flush?(): void;
}

/** Losses of a source by cause, for example `{ "ring-full": 3 }`. */
export type LossCounts = Readonly<Record<string, number>>;

/** Where records come from: sensors, files, tests. */
export interface Source {
  readonly name: string;
  /** Begins to push. Resolves when the source has ended by itself (files) or, for live sources, when it is armed. */
  start(sink: RecordSink): Promise<void>;
  /** Stops pushing; what was already taken from the kernel or file is pushed first. */
  stop(): Promise<void>;
  /** Records lost before they reached the sink, by cause. */
  losses(): LossCounts;
}

/** A checkpoint with the place in the source that it covers. */
export interface Kept {
  readonly checkpoint: Checkpoint;
  /** What the source needs to go on from there, as text of its own making. */
  readonly position: string;
}

/** Where alerts go: terminal, store, stream. A sink that throws is counted and does not stop the others. */
export interface Sink {
  readonly name: string;
  /**
   * Alerts in the order they were raised, at least one unless there is something to keep. `kept` goes to sinks with `keepsState` only: in one
   * transaction with these alerts, so that a restart neither loses nor repeats one.
   */
  take(alerts: readonly Alert[], kept?: Kept): void;
  /** Whether it keeps the engine's state. */
  readonly keepsState?: boolean;
}

/** What a user's rule (Lua, uploaded Wasm) said about one record beside yes or no. */
export interface Emission {
  /** Values given to `capture_field`, in order. */
  readonly captures: readonly (readonly [name: string, value: string])[];
  /** Texts given to `alert_emit`, in order; empty when the rule did not call it. */
  readonly messages: readonly string[];
}

/** Evaluates the predicates of one program on batches. One per partition; not re-entrant. */
export interface Evaluator {
  readonly predicateCount: number;
  /**
   * Evaluates every record. Returns the hit bits, hitWords(predicateCount) u32 words a record, valid until the next call.
   * Throws {@link RuleFault} when a predicate ran out of budget or trapped.
   */
  evaluate(batch: RecordBatch): Uint32Array;
  /** What the rule said about a record of the last batch; only user rules have this. */
  emission?(recordIndex: number): Emission | undefined;
  /** Frees native memory. Twice is fine. */
  close(): void;
}

/** Why a rule was stopped. */
export type FaultKind = "fuel" | "trap" | "memory" | "error" | "time";

/** Where in a batch a rule failed. */
export interface FaultPlace {
  /** Index of the record it failed at. */
  readonly record: number;
  /** Hit bits of the records before that one, as `evaluate` gives them; the evaluator still answers `emission` for those. */
  readonly hitsBefore: Uint32Array;
}

/** A rule's own failure: the rule is quarantined, the agent goes on. Not a bug of ours. */
export class RuleFault extends Error {
  override readonly name = "RuleFault";
  /** Known of users' rules, which are evaluated record by record; a rule set says only that it failed. */
  readonly place: FaultPlace | undefined;
  constructor(
    readonly kind: FaultKind,
    /** Predicate id inside the evaluator's program; -1 when unknown. */
    readonly predicate: number,
    message: string,
    options?: { readonly cause?: unknown; readonly place?: FaultPlace | undefined },
  ) {
    super(message, options);
    this.place = options?.place;
  }
}
