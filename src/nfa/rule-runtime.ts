// A loaded rule: its plan as a table, its counters, what its state takes.
import type { KeyRequest } from "./key-reader.ts";
import type { StateLimits } from "./limits.ts";
import { type PlanTable, tableOf } from "./plan-table.ts";
import { EVICTION_CAUSES, type EvictionCause, type RuleMetrics, type SequencedRule } from "./ports.ts";

/** Counters that survive a restart with the rule's state. */
export interface RuleCounters {
  completions: number;
  expiries: number;
  longestChain: number;
  keysCut: number;
  /** By position in EVICTION_CAUSES. */
  readonly evictions: Float64Array;
}

type RuleLimits = Pick<StateLimits, "ttlNs" | "keysPerEventMax">;

function requestsOf(rule: SequencedRule, table: PlanTable, { keysPerEventMax }: RuleLimits): readonly KeyRequest[] {
  const { evaluator, plan } = rule;
  return table.keySpecs.map((spec) => ({ spec, isFolded: plan.keysFolded, evaluator, keysMax: keysPerEventMax }));
}

/** One rule and what is known of it while it runs. */
export class RuleRuntime {
  rule: SequencedRule;
  table: PlanTable;
  /** How keys are read, by spec: made once, not for each event. */
  keyRequests: readonly KeyRequest[];
  /** Partial matches by stage; at 0 what is only remembered: a leading missing event, a sample that was reported. */
  readonly stageCounts: Int32Array;
  waiting: number = 0;
  /** Partial matches, waiting and remembered ones included. */
  entries: number = 0;
  bytes: number = 0;
  /** Whether its evaluator failed: it is ignored until the next load. */
  isFaulted = false;
  /** Whether counters changed since the last checkpoint. */
  isDirty = true;
  readonly counters: RuleCounters = {
    completions: 0,
    expiries: 0,
    longestChain: 0,
    keysCut: 0,
    evictions: new Float64Array(EVICTION_CAUSES.length),
  };

  constructor(
    rule: SequencedRule,
    /** Number of the rule in keys and hits; stays over loads that keep its state. */
    readonly owner: number,
    limits: RuleLimits,
  ) {
    this.rule = rule;
    this.table = tableOf(rule.plan, limits.ttlNs);
    this.keyRequests = requestsOf(rule, this.table, limits);
    this.stageCounts = new Int32Array(this.table.stageCount + 1);
  }

  /** The same rule loaded again. */
  reload(rule: SequencedRule, limits: RuleLimits): void {
    this.rule = rule;
    this.table = tableOf(rule.plan, limits.ttlNs);
    this.keyRequests = requestsOf(rule, this.table, limits);
    this.isFaulted = false;
  }

  /** Whether a key of the rule can hold many partial matches at once. */
  get holdsMany(): boolean {
    return this.rule.matchAll || this.table.trailingBits !== 0;
  }

  /** A chain has this many events. */
  noteChain(length: number): void {
    if (length <= this.counters.longestChain) return;
    this.counters.longestChain = length;
    this.isDirty = true;
  }

  /** Counts from the start again. */
  resetCounters(): void {
    const { counters } = this;
    counters.completions = 0;
    counters.expiries = 0;
    counters.longestChain = 0;
    counters.keysCut = 0;
    counters.evictions.fill(0);
    this.isDirty = true;
  }

  metrics(): RuleMetrics {
    const { completions, expiries, longestChain, keysCut, evictions } = this.counters;
    return {
      ruleId: this.rule.id,
      partialMatches: [...this.stageCounts.subarray(1)],
      waiting: this.waiting,
      completions,
      expiries,
      evictions: Object.fromEntries(EVICTION_CAUSES.map((cause, index) => [cause, evictions[index]!])) as Record<EvictionCause, number>,
      longestChain,
      bytes: this.bytes,
      keysCut,
    };
  }
}
