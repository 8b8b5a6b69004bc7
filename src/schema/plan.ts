// What the EQL compiler hands to the sequencer: a rule over several events, or one that asks about a process's line of ancestors, as data.
// The predicates of a plan need no state and are part of the rule set's program; what depends on earlier events is an Expression, which only
// the compiler's own evaluator reads.

/** Part of a query as the compiler's evaluator takes it: plain data that survives serialization, opaque to every room but eql. */
export interface Expression {
  readonly node: unknown;
}

/** One part of a join key. */
export interface KeyPart {
  /** As the query has it, for people. */
  readonly text: string;
  /** Field whose values the key has; undefined when `expression` computes them. */
  readonly fieldId: number | undefined;
  readonly expression: Expression | undefined;
  /** A missing value joins a missing value (`?key`, and every key of the Endgame dialect) instead of nothing. */
  readonly nullJoins: boolean;
}

/** One `[…]`. */
export interface PlanStep {
  /** Predicate of the program that an event must satisfy to be considered. */
  readonly predicate: number;
  /** What must hold besides and only the sequencer can know: references to earlier steps, lineage. */
  readonly residual: Expression | undefined;
  /** Every step of a plan has equally many. */
  readonly keys: readonly KeyPart[];
  /** `![…]`: no such event. */
  readonly missing: boolean;
  /** Times the step stands in a row, 1 to 100. */
  readonly runs: number;
  /** Endgame's fork: what advances stays where it was, too. */
  readonly fork: boolean;
  /** Name given with `as`, for people. */
  readonly alias: string | undefined;
}

/** How a process relates to the one that the inner query is about. */
export type LineageRelation = "child" | "descendant" | "event";

/** `child of […]`, `descendant of […]`, `event of […]`; inner ones stand before the ones that use them. */
export interface PlanLineage {
  readonly relation: LineageRelation;
  /** Predicate of the inner query. */
  readonly predicate: number;
  readonly residual: Expression | undefined;
}

/** Fields that say which process an event is about and which are its ancestors. */
export interface ProcessIdentity {
  readonly entityId: number;
  readonly parentId: number;
  /** Field that lists all ancestors, nearest first; undefined when the schema has none. */
  readonly ancestryId: number | undefined;
  /** Predicate of events that tell a process's parent but do not list its ancestors. */
  readonly linkPredicate: number;
}

/** A rule for the sequencer. */
export interface RulePlan {
  /** `event`: one step, which alerts by itself when its residual holds. */
  readonly kind: "event" | "sequence" | "sample" | "join";
  readonly steps: readonly PlanStep[];
  readonly until: PlanStep | undefined;
  readonly lineages: readonly PlanLineage[];
  /** Set when there are lineages. */
  readonly identity: ProcessIdentity | undefined;
  /** Longest time from the first event to the last, nanoseconds, inclusive. */
  readonly maxspanNs: bigint | undefined;
  /** Endgame: an until event acts before the steps it also is, not after them. */
  readonly untilFirst: boolean;
  /** Endgame: text in keys is compared without case. */
  readonly keysFolded: boolean;
  /** How a list of results is ordered: by the first event, or as they completed (Endgame). */
  readonly orderedBy: "first" | "completion";
  /** What a whole match must fulfil besides, for compileMatchFilter: it may name events by their place, missing ones counted. */
  readonly filter?: Expression | undefined;
}

/** Most steps of a plan, each `[…]` counted once. */
export const PLAN_STEPS_MAX = 24;
/** Most slots of a plan: steps, until, lineages and the link predicate, so that a record's hits on a rule are one 32-bit word. */
export const PLAN_SLOTS_MAX = 32;

/** Predicates of a plan by slot: its steps, then until, then its lineages, then the link predicate. */
export function planSlots(plan: RulePlan): readonly number[] {
  return [
    ...plan.steps.map((step) => step.predicate),
    ...(plan.until === undefined ? [] : [plan.until.predicate]),
    ...plan.lineages.map((lineage) => lineage.predicate),
    ...(plan.identity === undefined ? [] : [plan.identity.linkPredicate]),
  ];
}
