// What a rule's predicates cost, measured: each as a program of its own over one batch of events, again and again; the median is told.
import { type Evaluator, EventBus, type RecordBatch, type ReplayOptions, ReplaySource, SystemClock } from "#core";
import { createRuleSetEvaluatorFor } from "#engine";
import type { RuleSetProgram } from "#schema";

const PASSES = 21;
/** A pass is long enough for the clock, and all passes of a predicate short enough to wait for. */
const PASS_MS = 2;

/** Cost of one predicate. */
export interface PredicateCost {
  readonly nsPerEvent: number;
  /** Events of the batch that satisfy it. */
  readonly hits: number;
}

/** Costs of a rule's predicates by slot. */
export interface MeasuredCosts {
  readonly predicates: readonly PredicateCost[];
  readonly passes: number;
  readonly events: number;
  /** Where the events are from. */
  readonly origin: string;
}

/** Measures each program's only predicate. */
export async function measureCosts(programs: readonly RuleSetProgram[], batch: RecordBatch, origin: string): Promise<MeasuredCosts> {
  const predicates: PredicateCost[] = [];
  for (const program of programs) {
    const evaluator = await createRuleSetEvaluatorFor("wasm", program);
    try {
      predicates.push(measure(evaluator, batch));
    } finally {
      evaluator.close();
    }
  }
  return { predicates, passes: PASSES, events: batch.count, origin };
}

function measure(evaluator: Evaluator, batch: RecordBatch): PredicateCost {
  const hits = evaluator
    .evaluate(batch)
    .subarray(0, batch.count)
    .reduce((sum, word) => sum + (word & 1), 0);
  const run = (rounds: number): number => {
    const startMs = performance.now();
    for (let round = 0; round < rounds; round++) evaluator.evaluate(batch);
    return performance.now() - startMs;
  };
  let rounds = 1;
  while (run(rounds) < PASS_MS && rounds < 1 << 16) rounds *= 2;
  const times = Array.from({ length: PASSES }, () => run(rounds)).sort((a, b) => a - b);
  return { nsPerEvent: ((times[PASSES >> 1] as number) * 1e6) / (rounds * Math.max(batch.count, 1)), hits };
}

/** The first batch of some events; undefined when there are none. */
export async function firstBatch(options: Omit<ReplayOptions, "onProblem">): Promise<RecordBatch | undefined> {
  let first: RecordBatch | undefined;
  const source = new ReplaySource({ ...options, onProblem: () => undefined });
  const bus = new EventBus<undefined>({
    clock: new SystemClock(),
    partitions: [{ evaluate: () => undefined }],
    whenFull: "block",
    flushMs: 0,
    batchCount: 2,
    consume({ bytes, offsets, length, count }) {
      first ??= { bytes: bytes.slice(), offsets: offsets.slice(), length, count };
      void source.stop();
    },
  });
  await source.start(bus);
  await bus.drain();
  return first;
}
