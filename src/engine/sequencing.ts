// Sequences inside the engine: gathers what the rule set found of each record into the words the sequencer takes, and keeps the armed plans,
// the plans the sequencer has and the rules that were stopped apart. Invariant: hits of a set that is no longer armed count for rules that
// did not change since, and for no others.
import { type Checkpoint, RuleFault, type SavedState } from "#core";
import { type SequencedRule, Sequencer, type SequencerMetrics, type StateLimits } from "#nfa";
import type { Rule } from "#rules";
import type { RulePlan, SchemaRegistry } from "#schema";
import type { ArmedSet } from "./partition.ts";
import { createMatchFilter, createPlanEvaluator, type MatchFilter } from "./plan-evaluator.ts";

/** What a stage tells the engine. */
export interface SequencingListener {
  onMatch(rule: Rule, records: readonly (Uint8Array | undefined)[]): void;
  onFault(rule: Rule, error: unknown, record: Uint8Array): void;
  onEviction(rule: Rule, cause: string, record: Uint8Array): void;
}

/** Settings of a {@link Sequencing}. */
export interface SequencingOptions {
  readonly registry: SchemaRegistry;
  readonly limits: StateLimits;
  /** See {@link EngineOptions.tiebreaker}. */
  readonly tiebreaker: string | undefined;
  readonly listener: SequencingListener;
}

/** A rule with its plan, ready for the sequencer. */
export interface ReadyPlan {
  readonly rule: Rule;
  readonly sequenced: SequencedRule;
  readonly filter: MatchFilter | undefined;
}

/** Makes plans ready. What residual conditions need is loaded with the first of them. */
export function readyPlans(plans: readonly { readonly rule: Rule; readonly plan: RulePlan }[]): Promise<readonly ReadyPlan[]> {
  return Promise.all(
    plans.map(async ({ rule, plan }) => ({
      rule,
      filter: await createMatchFilter(plan),
      sequenced: {
        id: rule.id,
        fingerprint: fingerprintOf(rule),
        plan,
        matchAll: rule.match === "all",
        evaluator: await createPlanEvaluator(plan),
      },
    })),
  );
}

/** Changes with everything that gives the state of a sequence its meaning. */
function fingerprintOf({ body, exceptions, match }: Rule): string {
  return new Bun.CryptoHasher("sha256")
    .update(JSON.stringify([body, exceptions, match]))
    .digest("hex")
    .slice(0, 32);
}

/** See the head of this file. */
export class Sequencing {
  readonly #create: () => Sequencer;
  #sequencer: Sequencer;
  #plans: readonly ReadyPlan[] = [];
  readonly #byId = new Map<string, ReadyPlan>();
  /** Position in the sequencer's list, by rule. */
  #positions = new Map<Rule, number>();
  #set: ArmedSet | undefined;
  /** Position in the sequencer's list for each plan of `#set`; -1 for a rule that is gone. */
  #ofPlan = new Int32Array(0);
  #words = new Uint32Array(0);
  #touched: number[] = [];

  constructor({ registry, limits, tiebreaker, listener }: SequencingOptions) {
    const ruleOf = (id: string): Rule => (this.#byId.get(id) as ReadyPlan).rule;
    const stop = (ruleId: string, error: unknown, record: Uint8Array): void => {
      const rule = ruleOf(ruleId);
      this.#plans = this.#plans.filter((plan) => plan.rule !== rule);
      listener.onFault(rule, error, record);
    };
    this.#create = () =>
      new Sequencer({
        limits,
        tiebreak: { fieldId: registry.idOf(tiebreaker ?? "event.sequence"), strict: tiebreaker !== undefined },
        onMatch: ({ rule: { id }, records }) => {
          try {
            if (this.#byId.get(id)?.filter?.(records) !== false) listener.onMatch(ruleOf(id), records);
          } catch (error) {
            const last = records.findLast((record) => record !== undefined);
            if (!(error instanceof RuleFault) || last === undefined) throw error;
            stop(id, error, last);
          }
        },
        onFault: stop,
        onEviction: (ruleId, cause, record) => listener.onEviction(ruleOf(ruleId), cause, record),
        onTrace: undefined,
      });
    this.#sequencer = this.#create();
  }

  /** Whether there is nothing to do for any record. */
  get isIdle(): boolean {
    return this.#positions.size === 0;
  }

  /** Swaps the rules in; a rule whose fingerprint stays keeps its state. */
  load(plans: readonly ReadyPlan[]): void {
    this.#plans = plans;
    this.#byId.clear();
    for (const plan of plans) this.#byId.set(plan.rule.id, plan);
    this.#positions = new Map(plans.map(({ rule }, position) => [rule, position]));
    this.#sequencer.load(plans.map(({ sequenced }) => sequenced));
    this.#set = undefined;
  }

  /** Names the set whose hits come next. */
  use(set: ArmedSet): void {
    if (set === this.#set) return;
    this.#set = set;
    this.#ofPlan = Int32Array.from(set.plans, ({ rule }) => this.#positions.get(rule) ?? -1);
    this.#words = new Uint32Array(set.plans.length);
  }

  /** Begins a record. */
  begin(bytes: Uint8Array, offset: number): void {
    this.#sequencer.begin(bytes, offset);
  }

  /** Notes that the record satisfies a slot's predicate: `slot` as {@link ArmedSet.slots} has it. */
  hit(slot: number): void {
    const plan = slot >>> 5;
    if (this.#words[plan] === 0) this.#touched.push(plan);
    this.#words[plan] = (this.#words[plan] as number) | (1 << (slot & 31));
  }

  /** Ends the record: what is decided by now is told to the listener. */
  end(): void {
    for (const plan of this.#touched) {
      const position = this.#ofPlan[plan] as number;
      if (position >= 0) this.#sequencer.hit(position, this.#words[plan] as number);
      this.#words[plan] = 0;
    }
    this.#touched.length = 0;
    this.#sequencer.end();
  }

  /** No record older than this will come. */
  progress(timeNs: bigint): void {
    this.#sequencer.progress(timeNs);
  }

  /** No record will come at all: all time passes. Then begins anew, without state. */
  finish(): void {
    if (this.isIdle) return;
    this.#sequencer.finish();
    this.#sequencer = this.#create();
    this.load(this.#plans);
  }

  /** What changed since the last checkpoint. */
  takeCheckpoint(): Checkpoint {
    return this.#sequencer.takeCheckpoint();
  }

  /** Takes up the state of an earlier run; call it after the rules are loaded. Returns what is wrong with it. */
  restore(state: SavedState): readonly string[] {
    return this.#sequencer.restore(state);
  }

  /** Figures of the sequencer. */
  metrics(): SequencerMetrics {
    return this.#sequencer.metrics();
  }
}
