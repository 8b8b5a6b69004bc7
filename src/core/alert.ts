// What Kestrel raises. An alert is a pure function of rule and events: no wall time, so a replay gives the same bytes. The one exception is
// what a live agent did about it.
import type { Severity } from "#schema";
import type { AlertResponse } from "./response.ts";

/** Anything JSON can say; 64-bit integers stay bigint until they are printed. */
export type Json = null | boolean | number | bigint | string | readonly Json[] | { readonly [key: string]: Json };

/** One ancestor of the process an alert is about, nearest first. */
export interface Ancestor {
  readonly pid: number;
  readonly name: string;
  readonly executable: string;
}

/** One alert. */
export interface Alert {
  /** 32 hex digits, a hash of the rule's id and the events: the same in live and replay. */
  readonly id: string;
  /**
   * `rule`: a rule matched. `quarantine`: a rule was stopped because it failed. `eviction`: a rule began to forget pending sequences. `agent`:
   * the agent says something about itself, see `agentAlert`.
   */
  readonly kind: "rule" | "quarantine" | "eviction" | "agent";
  /** Time of the last event, nanoseconds since 1970. */
  readonly timeNs: bigint;
  /** Position of the last event in its source. */
  readonly seq: bigint;
  readonly ruleId: string;
  readonly ruleName: string;
  readonly severity: Severity;
  readonly tags: readonly string[];
  /** One sentence for people. */
  readonly message: string;
  /** Values of the rule's `capture` fields, and what a user's rule captured. */
  readonly captures: Readonly<Record<string, Json>>;
  /** The events, as nested ECS JSON, in the order of the rule's steps. */
  readonly events: readonly { readonly [key: string]: Json }[];
  readonly ancestry: readonly Ancestor[];
  /** What a live agent did about it, or would have done; a replay does nothing. */
  readonly response?: AlertResponse;
}
