// `kestrel explain RULE EVENTS…`: the events through the rule's predicates and the sequencer, with a story for each that has one to tell. The
// predicates are the program's own; only why one was not met is asked of the parts of its condition.
import { EventBus, type RecordBatch, type ReplayOptions, ReplaySource, SystemClock } from "#core";
import { createRuleSetEvaluatorFor } from "#engine";
import { type CompiledQuery, type QueryDescription, type QuerySource, queryConjuncts } from "#eql";
import { RecordView } from "#event";
import { hitWords, type RulePlan, type RuleSetProgram, type SchemaRegistry } from "#schema";
import { ConjunctList, verdictText } from "./conjunct-verdict.ts";
import { EventWords } from "./event-words.ts";
import { type Ending, PlanStory, type Story } from "./plan-story.ts";
import { PlannedQuery } from "./planned-query.ts";

/** A compiled rule and the events it is asked about. */
export interface EventRun {
  readonly source: QuerySource;
  readonly compiled: CompiledQuery;
  readonly program: RuleSetProgram;
  readonly description: QueryDescription;
  readonly matchAll: boolean;
  readonly registry: SchemaRegistry;
  readonly replay: Pick<ReplayOptions, "files" | "decoder" | "range" | "onProblem">;
  readonly tiebreaker: string | undefined;
  /** Tell of every event. */
  readonly all: boolean;
  tell(story: Story): void;
  warn(text: string): void;
}

/** What a run found. */
export interface RunOutcome extends Ending {
  readonly events: number;
  /** Events no story was told of, by why. */
  readonly untold: ReadonlyMap<string, number>;
}

interface Explainer {
  take(batch: RecordBatch, hits: Uint32Array): void;
  finish(): Ending & Pick<RunOutcome, "untold">;
}

/** Runs the events. */
export async function explainEvents(run: EventRun): Promise<RunOutcome> {
  const evaluator = await createRuleSetEvaluatorFor("wasm", run.program);
  try {
    const words = new EventWords(run.registry, run.description.fields);
    const conjuncts = queryConjuncts(run.source, run.registry).map((list) => new ConjunctList(list, words));
    const explainer =
      run.compiled.plan === undefined
        ? new EventExplainer(run, conjuncts[0] as ConjunctList, words)
        : await planExplainer(run, run.compiled.plan, conjuncts, words);
    let events = 0;
    const source = new ReplaySource({ registry: run.registry, ...run.replay });
    const bus = new EventBus<Uint32Array>({
      clock: new SystemClock(),
      partitions: [{ evaluate: (batch) => evaluator.evaluate(batch) }],
      whenFull: "block",
      flushMs: 0,
      batchCount: 2,
      consume(batch, hits) {
        events += batch.count;
        explainer.take(batch, hits);
      },
    });
    await source.start(bus);
    await bus.drain();
    return { events, ...explainer.finish() };
  } finally {
    evaluator.close();
  }
}

/** A plain event query: every event stands for itself. */
class EventExplainer implements Explainer {
  readonly #untold = new Map<string, number>();
  #matches = 0;

  constructor(
    readonly run: EventRun,
    readonly conjuncts: ConjunctList,
    readonly words: EventWords,
  ) {}

  take(batch: RecordBatch, hits: Uint32Array): void {
    const view = new RecordView();
    const words = hitWords(this.run.program.predicates.length);
    for (let record = 0; record < batch.count; record++) {
      this.#explain(view.reset(batch.bytes, batch.offsets[record] as number), ((hits[record * words] as number) & 1) === 1);
    }
  }

  finish(): Ending & Pick<RunOutcome, "untold"> {
    return { matches: this.#matches, pending: [], nearMisses: [], met: [this.#matches], untold: this.#untold };
  }

  #explain(record: RecordView, isMatch: boolean): void {
    const event = { seq: record.seq + 1n, subject: this.words.subject(record) };
    const base = { place: "", key: "", sequence: [] };
    if (isMatch) {
      const text = `MATCH ${++this.#matches}`;
      this.run.tell({ event, timeNs: record.timeNs, notes: [{ ...base, kind: "completed", text }] });
      return;
    }
    const verdict = this.conjuncts.firstFailure(record);
    if (verdict !== undefined && !this.run.all && this.conjuncts.failsAtCategory(verdict)) {
      this.#untold.set(verdict.text, (this.#untold.get(verdict.text) ?? 0) + 1);
      return;
    }
    const text = verdict === undefined ? "its condition as a whole is not true" : verdictText(verdict);
    this.run.tell({ event, timeNs: record.timeNs, notes: [{ ...base, kind: "not-met", text }] });
  }
}

async function planExplainer(run: EventRun, plan: RulePlan, conjuncts: readonly ConjunctList[], words: EventWords): Promise<Explainer> {
  const { description, all, registry, tiebreaker } = run;
  let told = 0;
  let events = 0;
  const story = new PlanStory({
    plan,
    description,
    conjuncts,
    words,
    all,
    tell(one) {
      if (one.event !== undefined) told++;
      run.tell(one);
    },
  });
  const query = await PlannedQuery.create({
    plan,
    registry,
    predicateCount: run.program.predicates.length,
    tiebreaker,
    matchAll: run.matchAll,
    onEviction: () => run.warn("More sequences are pending than there is room for: some are forgotten"),
    trace: {
      onTrace: (trace) => story.trace(trace),
      onTurn: (_rule, slots, record) => story.turn(slots, record),
      everyEvent: all,
    },
  });
  const view = new RecordView();
  return {
    take(batch, hits) {
      events += batch.count;
      for (let record = 0; record < batch.count; record++) story.reach(view.reset(batch.bytes, batch.offsets[record] as number).timeNs);
      query.take(batch, hits);
    },
    finish() {
      query.finish();
      const ending = story.finish();
      if (query.lateEvents > 0) run.warn(`${query.lateEvents} events came too far out of order; sort the log by time to be sure`);
      const rest = events - told;
      return { ...ending, untold: new Map(rest === 0 ? [] : [["what any step asks for", rest]]) };
    },
  };
}
