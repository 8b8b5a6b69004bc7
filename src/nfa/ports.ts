// What goes into the sequencer and what comes out, as types.
import type { RecordView } from "#event";
import type { RulePlan, Scalar } from "#schema";

/** What a residual may look at. Valid only during the call. */
export interface StepScope {
  /** The event in question. */
  readonly record: RecordView;
  /** The event that the partial match took for a step, of several the latest; undefined when it has none. */
  earlier(step: number): RecordView | undefined;
  /** Whether the event's process stands in the plan's lineage; null when the event does not say which process it is about. */
  lineage(index: number): boolean | null;
}

/** Evaluates what a plan leaves to the compiler's evaluator. May throw RuleFault, which stops the rule. */
export interface PlanEvaluator {
  /** Whether the slot's residual holds; asked only for slots that have one. */
  holds(slot: number, scope: StepScope): boolean;
  /** Values of a key part that has an expression; none when it is missing. */
  keyValues(slot: number, part: number, record: RecordView): readonly Scalar[];
}

/** A rule for the sequencer. */
export interface SequencedRule {
  readonly id: string;
  /** Changes when the meaning of the rule changes: its state is kept over a load while this stays the same. */
  readonly fingerprint: string;
  readonly plan: RulePlan;
  /** Every event of the first step keeps a partial match of its own, and an event advances all that wait for it. */
  readonly matchAll: boolean;
  readonly evaluator: PlanEvaluator | undefined;
}

/** A completed plan. */
export interface Match {
  readonly rule: SequencedRule;
  /** Copies of the events in the order of the plan's steps, a step that runs several times as often; undefined for missing events. */
  readonly records: readonly (Uint8Array | undefined)[];
  /** The join key's values for people. */
  readonly keys: readonly string[];
}

/** Why state was evicted. */
export type EvictionCause = "rule-entries" | "rule-bytes" | "entries" | "bytes";

/** Every cause of eviction. */
export const EVICTION_CAUSES: readonly EvictionCause[] = ["rule-entries", "rule-bytes", "entries", "bytes"];

/** What became of an event, or of a partial match, in a rule. An event too late for maxspan finds nothing waiting: its match `expired`. */
export type TraceKind =
  | "started"
  | "advanced"
  | "marked"
  | "remembered"
  | "overwritten"
  | "killed-by-missing"
  | "killed-by-until"
  | "nothing-waiting"
  | "not-after"
  | "key-missing"
  | "residual-false"
  | "waiting"
  | "completed"
  | "expired"
  | "evicted";

/** A partial match as it is when something becomes of it. */
export interface TracedChain {
  /** `seq` of its events in the order it took them. */
  readonly seqs: readonly bigint[];
  /** Time of the earliest of them. */
  readonly firstNs: bigint;
  /** Until when it lives, inclusive; undefined when time does not end it or it has ended. */
  readonly deadlineNs: bigint | undefined;
}

/** One line of an explanation. `record` is valid only during the call; undefined when time, not an event, was the reason. */
export interface Trace {
  readonly rule: SequencedRule;
  readonly kind: TraceKind;
  /** Slot of the plan it is about: for a partial match the step it took last or, when it ends, waits for. */
  readonly slot: number;
  readonly record: RecordView | undefined;
  readonly keys: readonly string[];
  /** The partial match it is about; undefined when there is none. */
  readonly chain: TracedChain | undefined;
  /** Of `residual-false`, what the residual was asked about. Valid only during the call. */
  readonly scope: StepScope | undefined;
}

/** Counters of one rule. */
export interface RuleMetrics {
  readonly ruleId: string;
  /** Partial matches by the number of events they have, from 1; of joins and samples by the step that is filled. */
  readonly partialMatches: readonly number[];
  /** Matches that only wait for a trailing missing event not to come. */
  readonly waiting: number;
  readonly completions: number;
  readonly expiries: number;
  readonly evictions: Readonly<Record<EvictionCause, number>>;
  /** Most events one partial match has had. */
  readonly longestChain: number;
  readonly bytes: number;
  /** Keys of events cut because there were too many. */
  readonly keysCut: number;
}

/** Counters of the sequencer. */
export interface SequencerMetrics {
  readonly rules: readonly RuleMetrics[];
  /** Partial matches of all rules, and the bytes of all state. */
  readonly entries: number;
  readonly bytes: number;
  /** Hits in the reorder buffer. */
  readonly buffered: number;
  /** Events with hits that came later than the reorder buffer reaches. */
  readonly lateEvents: number;
  /** Matches dropped because a late event completed them when their span was over already. */
  readonly lateDrops: number;
  /** Events released early because the reorder buffer was full. */
  readonly forcedReleases: number;
  /** Processes marked for lineages, and known parents; and how many were forgotten because there were too many. */
  readonly lineageMarks: number;
  readonly lineageLinks: number;
  readonly lineageEvictions: number;
}
