// Partitions: where the rule-set program runs. Inline in this thread, or in workers that read the batches in shared memory.
// A partition computes hit bits and nothing else; a rule's failure is a result, anything else that goes wrong ends the bus.
import { type Evaluator, KestrelError, type Partition, type RecordBatch, RuleFault, workerUrl } from "#core";
import type { Rule } from "#rules";
import type { Backend, RuleSetProgram } from "#schema";

/** A compiled rule set with the rule of each predicate. Immutable; a reload makes another. */
export interface ArmedSet {
  readonly program: RuleSetProgram;
  /** Rule of each predicate id. */
  readonly rules: readonly Rule[];
  /** Predicate of the exceptions of a Lua or Wasm rule, by rule id. */
  readonly gates: ReadonlyMap<string, number>;
}

/** What a partition says of one batch, together with the set that was armed when it ran. */
export type BatchResult =
  | { readonly kind: "hits"; readonly hits: Uint32Array; readonly set: ArmedSet }
  | { readonly kind: "fault"; readonly fault: RuleFault; readonly set: ArmedSet };

/** A partition that can be given another rule set. */
export interface ArmablePartition extends Partition<BatchResult> {
  /** Makes a rule set ready. The function it gives swaps it in: batches sent afterwards see the new set. */
  prepare(set: ArmedSet): Promise<() => void>;
  close(): Promise<void>;
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

  async prepare(set: ArmedSet): Promise<() => void> {
    const evaluator = await this.#create(set.program);
    return () => {
      this.#armed?.evaluator.close();
      this.#armed = { set, evaluator };
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
  | { readonly kind: "commit"; readonly id: number; readonly prepared: number }
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

  constructor(settings: { readonly backend: Backend; readonly cacheDirectory: string | undefined }) {
    this.#settings = settings;
    this.#worker = new Worker(workerUrl("engine/partition-worker.ts"));
    this.#worker.onmessage = (event: MessageEvent<WorkerReply>) => {
      const waiting = this.#waiting.get(event.data.id);
      this.#waiting.delete(event.data.id);
      waiting?.resolve(event.data);
    };
    this.#worker.onerror = (event) => {
      const error = new KestrelError("partition-lost", `A partition worker failed: ${event.message}`);
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    };
  }

  #ask(request: WorkerRequest): Promise<WorkerReply> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, { resolve, reject });
      this.#worker.postMessage(request);
    });
  }

  async prepare(set: ArmedSet): Promise<() => void> {
    const prepared = this.#nextId++;
    const reply = await this.#ask({ kind: "prepare", id: prepared, program: set.program, ...this.#settings });
    if (reply.kind === "error") throw new KestrelError("partition-lost", reply.message);
    return () => {
      // Messages keep their order, so the swap is done before the next batch; a lost worker shows there.
      this.#set = set;
      this.#ask({ kind: "commit", id: this.#nextId++, prepared }).catch(() => undefined);
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

  async close(): Promise<void> {
    await this.#ask({ kind: "close", id: this.#nextId++ });
    this.#worker.terminate();
  }
}
