// Door of the sequence engine: runs rule plans over hits, keeps their state within quotas, carries it over a restart. Knows no rule language.
export type { Tiebreak } from "./event-pool.ts";
export type { HashSeed } from "./key-hash.ts";
export { STATE_LIMITS, type StateLimits } from "./limits.ts";
export type {
  EvictionCause,
  Match,
  PlanEvaluator,
  RuleMetrics,
  SequencedRule,
  SequencerMetrics,
  StepScope,
  Trace,
  TracedChain,
  TraceKind,
} from "./ports.ts";
export { Sequencer, type SequencerOptions } from "./sequencer.ts";
