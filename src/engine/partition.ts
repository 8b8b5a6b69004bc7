// Partitions: where the rule-set program runs. Inline in this thread, or in workers that read the batches in shared memory.
// A partition computes hit bits and nothing else; a rule's failure is a result, anything else that goes wrong ends the bus.
import { type Evaluator, KestrelError, type Partition, type RecordBatch, RuleFault, workerUrl } from "#core";
import type { Rule } from "#rules";
import type { Backend, RulePlan, RulePolicy, RuleSetProgram } from "#schema";

/** A compiled rule set with the rule of each predicate. Immutable; a reload makes another. */
export interface ArmedSet {
  readonly program: RuleSetProgram;
  /** Rule of each predicate id. */
  readonly rules: readonly Rule[];
  /** Rules for the sequencer. */
  readonly plans: readonly { readonly rule: Rule; readonly plan: RulePlan }[];
  /** For each predicate id, position in `plans` × 32 + slot; -1 for a predicate that is a rule by itself. */
  readonly slots: Int32Array;
  /** Predicate of the exceptions of a Lua or Wasm rule, by rule id. */
  readonly gates: ReadonlyMap<string, number>;
  /** What the kernel can decide of its rules. */
  readonly policies: readonly RulePolicy[];
}

/** What a partition says of one batch, together with the set that was armed when it ran. */
export type BatchResult =
  | { readonly kind: "hits"; readonly hits: Uint32Array; readonly set: ArmedSet }
  | { readonly kind: "fault"; readonly fault: RuleFault; readonly set: ArmedSet };

/** A rule set that a partition has made ready. One of the two is called, once. */
export interface PreparedSet {
  /** Swaps it in: batches sent afterwards see the new set. */
  commit(): void;
  /** Frees it: the change it was made for did not come about. */
  discard(): void;
}

/** A partition that can be given another rule set. */
export interface ArmablePartition extends Partition<BatchResult> {
  prepare(set: ArmedSet): Promise<PreparedSet>;
  close(): Promise<void>;
}

/** Makes a rule set ready in every partition, or in none when one of them fails. */
export async function prepareAll(partitions: Iterable<ArmablePartition>, set: ArmedSet): Promise<readonly PreparedSet[]> {
  const outcomes = await Promise.allSettled(Array.from(partitions, (partition) => partition.prepare(set)));
  const ready = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed === undefined) return ready;
  for (const prepared of ready) prepared.discard();
  throw failed.reason;
}

/** Makes the evaluator of a program: chosen by back end. */
export type RuleSetEvaluatorFactory = (program: RuleSetProgram) => Promise<Evaluator>;

/** Evaluates in the calling thread. */
export class InlinePartition implements ArmablePartition {
  readonly #create: RuleSetEvaluatorFactory;
  #armed: { readonly set: ArmedSet; readonly evaluator: Evaluator } | undefined;

  constructor(create: RuleSetEvaluatorFactory) {
    this.#create = create;
  }

  async prepare(set: ArmedSet): Promise<PreparedSet> {
    const evaluator = await this.#create(set.program);
    return {
      commit: () => {
        this.#armed?.evaluator.close();
        this.#armed = { set, evaluator };
      },
      discard: () => evaluator.close(),
    };
  }

  evaluate(batch: RecordBatch): BatchResult {
    if (this.#armed === undefined) throw new KestrelError("not-armed", "No rule set is armed");
    const { set, evaluator } = this.#armed;
    try {
      // A copy: the batch may have to wait for one before it whose rule failed.
      return { kind: "hits", hits: evaluator.evaluate(batch).slice(), set };
    } catch (error) {
      if (error instanceof RuleFault) return { kind: "fault", fault: error, set };
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#armed?.evaluator.close();
    this.#armed = undefined;
  }
}

/** What the main thread tells a partition worker. */
export type WorkerRequest =
  | {
      readonly kind: "prepare";
      readonly id: number;
      readonly program: RuleSetProgram;
      readonly backend: Backend;
      readonly cacheDirectory: string | undefined;
    }
  | { readonly kind: "commit" | "discard"; readonly id: number; readonly prepared: number }
  | { readonly kind: "evaluate"; readonly id: number; readonly batch: RecordBatch }
  | { readonly kind: "close"; readonly id: number };

/** What a partition worker answers, always with the request's id. */
export type WorkerReply =
  | { readonly kind: "done"; readonly id: number }
  | { readonly kind: "hits"; readonly id: number; readonly hits: Uint32Array }
  | {
      readonly kind: "fault";
      readonly id: number;
      readonly fault: Pick<RuleFault, "predicate" | "message"> & { readonly faultKind: RuleFault["kind"] };
    }
  | { readonly kind: "error"; readonly id: number; readonly message: string };

/** Evaluates in a worker thread. */
export class WorkerPartition implements ArmablePartition {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { readonly resolve: (reply: WorkerReply) => void; readonly reject: (error: unknown) => void }>();
  readonly #settings: { readonly backend: Backend; readonly cacheDirectory: string | undefined };
  #nextId = 0;
  #set: ArmedSet | undefined;
  #lost: KestrelError | undefined;

  constructor(settings: { readonly backend: Backend; readonly cacheDirectory: string | undefined }) {
    this.#settings = settings;
    this.#worker = new Worker(workerUrl("engine/partition-worker.ts"));
    this.#worker.onmessage = (event: MessageEvent<WorkerReply>) => {
      const waiting = this.#waiting.get(event.data.id);
      this.#waiting.delete(event.data.id);
      waiting?.resolve(event.data);
    };
    this.#worker.onerror = (event) => {
      this.#lose(`A partition worker failed: ${event.message}`);
    };
    this.#worker.addEventListener("close", () => this.#lose("A partition worker ended"));
  }

  // A worker that is gone answers nothing: whoever waits is told, and whoever asks later too.
  #lose(message: string): void {
    this.#lost ??= new KestrelError("partition-lost", message);
    for (const { reject } of this.#waiting.values()) reject(this.#lost);
    this.#waiting.clear();
  }

  #ask(request: WorkerRequest): Promise<WorkerReply> {
    return new Promise((resolve, reject) => {
      if (this.#lost !== undefined) {
        reject(this.#lost);
        return;
      }
      this.#waiting.set(request.id, { resolve, reject });
      this.#worker.postMessage(request);
    });
  }

  async prepare(set: ArmedSet): Promise<PreparedSet> {
    const prepared = this.#nextId++;
    const reply = await this.#ask({ kind: "prepare", id: prepared, program: set.program, ...this.#settings });
    if (reply.kind === "error") throw new KestrelError("partition-lost", reply.message);
    // Messages keep their order, so the swap is done before the next batch; a lost worker shows there.
    const tell = (kind: "commit" | "discard"): void => void this.#ask({ kind, id: this.#nextId++, prepared }).catch(() => undefined);
    return {
      commit: () => {
        this.#set = set;
        tell("commit");
      },
      discard: () => tell("discard"),
    };
  }

  async evaluate(batch: RecordBatch): Promise<BatchResult> {
    const set = this.#set;
    if (set === undefined) throw new KestrelError("not-armed", "No rule set is armed");
    const reply = await this.#ask({ kind: "evaluate", id: this.#nextId++, batch });
    switch (reply.kind) {
      case "hits":
        return { kind: "hits", hits: reply.hits, set };
      case "fault":
        return { kind: "fault", fault: new RuleFault(reply.fault.faultKind, reply.fault.predicate, reply.fault.message), set };
      default:
        throw new KestrelError("partition-lost", reply.kind === "error" ? reply.message : "A partition worker gave no result");
    }
  }

  /** Frees what the worker holds and ends it. A worker that is lost already has nothing to free. */
  async close(): Promise<void> {
    if (this.#lost === undefined) await this.#ask({ kind: "close", id: this.#nextId++ }).catch(() => undefined);
    this.#lose("The partition is closed");
    this.#worker.terminate();
  }
}
