// A rule as the rest of Kestrel sees it: plain readonly data, already validated, whatever file format it came from.
import type { Diagnostic, Severity, Span } from "#schema";

/** Which flavour of EQL a query is written in. */
export type Dialect = "default" | "endgame";

/**
 * Which pending sequences a sequence rule keeps: `latest`, one for each key and step, the newer in place of the older; `all`, one for every
 * event that matches the first step.
 */
export type SequenceMatching = "latest" | "all";

/** What decides whether an event matches. */
export type RuleBody =
  | { readonly kind: "eql"; readonly query: string; readonly dialect: Dialect }
  | { readonly kind: "lua"; readonly source: string }
  | { readonly kind: "wasm"; readonly bytes: Uint8Array };

/** What a rule asks to be done beside the alert: nothing, end the process, stop it, or keep the act from happening. */
export type RuleAction = "alert" | "kill" | "suspend" | "deny";

/** Whether the action is only reported (`monitor`) or carried out (`enforce`). */
export type RuleMode = "monitor" | "enforce";

/** Whom the action is for: the process of the newest event alone, or with everything that descends from it. */
export type RuleScope = "process" | "tree";

/** At most `limit` alerts per window for each combination of values of the `by` fields. */
export interface Throttle {
  readonly by: readonly string[];
  readonly limit: number;
  readonly windowMs: number;
}

/** A JSON value inside a test event; integers beyond 2^53 are bigint. */
export type EventJson = null | boolean | number | bigint | string | readonly EventJson[] | { readonly [key: string]: EventJson };

/** One test event: nested ECS JSON, or flat dotted keys. */
export type RuleEvent = { readonly [key: string]: EventJson };

/** Event lists that must and must not make the rule match. */
export interface RuleTests {
  readonly match: readonly (readonly RuleEvent[])[];
  readonly noMatch: readonly (readonly RuleEvent[])[];
}

/** The formats rules are read from. */
export type RuleFormat = "yaml" | "json" | "jsonl" | "eql" | "toml";

/** Where a rule was written: 1-based line and column of its first character. */
export interface RuleSource {
  readonly file: string;
  readonly format: RuleFormat;
  readonly line: number;
  readonly column: number;
}

/** One validated rule. */
export interface Rule {
  /** Unique and stable: alerts, metrics and snapshots refer to it. */
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly severity: Severity;
  readonly tags: readonly string[];
  readonly references: readonly string[];
  readonly enabled: boolean;
  readonly body: RuleBody;
  readonly match: SequenceMatching;
  /** Extra fields whose values the alert carries. */
  readonly capture: readonly string[];
  /** EQL conditions; an event for which one holds does not match. */
  readonly exceptions: readonly string[];
  readonly action: RuleAction;
  readonly scope: RuleScope;
  readonly mode: RuleMode;
  readonly throttle: Throttle | null;
  readonly tests: RuleTests;
  readonly source: RuleSource;
}

/** One rule of a file, good or broken; a file that cannot be read at all is one entry without id. */
export interface RuleEntry {
  readonly file: string;
  /** Where the rule begins; for a file that cannot be read, where the first finding is. */
  readonly span: Span;
  readonly id: string | null;
  /** `null` when some diagnostic is an error. */
  readonly rule: Rule | null;
  readonly diagnostics: readonly Diagnostic[];
}

/** One finding, ready to be shown. */
export interface RuleProblem {
  readonly file: string;
  readonly ruleId: string | null;
  readonly diagnostic: Diagnostic;
  /** The source line and a caret under the place; empty when there is no text to show. */
  readonly excerpt: string;
}

/** Most bytes of one rule file. */
export const RULE_FILE_BYTES_MAX: number = 4 << 20;
/** Most rules of one file. */
export const RULES_PER_FILE_MAX = 10_000;
/** Most bytes of a rule's Wasm module. */
export const RULE_WASM_BYTES_MAX: number = 4 << 20;
/** Most characters of a query, an exception or a Lua source. */
export const RULE_TEXT_LENGTH_MAX = 262_144;
/** Deepest nesting of lists and mappings in a rule file. */
export const RULE_NESTING_MAX = 64;
/** Most findings kept for one rule. */
export const DIAGNOSTICS_PER_RULE_MAX = 50;
