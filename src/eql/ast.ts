// The syntax of a query as plain data, still in the words of its dialect. What it means is decided by lower.ts.
import type { Range } from "./diagnostics.ts";

/** Which EQL a text is written in: Elasticsearch's with the Endpoint extensions, or the older Endgame (Python) one. */
export type Dialect = "default" | "endgame";

/** A constant: integers are bigint, decimals number. `text` is the literal as written, without a string's quotes and escapes. */
export interface LiteralExpression extends Range {
  readonly kind: "literal";
  readonly value: null | boolean | bigint | number | string;
  readonly text: string;
}

/** A field or a lambda's variable: `a.b`, `?a.b`, `$x.b`, with at most positions in it: `a[0].b`. */
export interface FieldExpression extends Range {
  readonly kind: "field";
  /** Names between the dots, escapes resolved; a variable's first part is its name without `$`. */
  readonly parts: readonly string[];
  /** Positions: `index` after the first `after` parts. */
  readonly indexes: readonly { readonly after: number; readonly index: number }[];
  readonly optional: boolean;
  /** Written with `$`. */
  readonly variable: boolean;
}

export interface CallExpression extends Range {
  readonly kind: "call";
  readonly name: string;
  /** Written `name~(…)`. */
  readonly insensitive: boolean;
  readonly operands: readonly Expression[];
  readonly nameRange: Range;
}

/** `first` and then each term in turn, from left to right: a chain of one precedence. */
export interface ArithmeticExpression extends Range {
  readonly kind: "arithmetic";
  readonly first: Expression;
  readonly rest: readonly { readonly operator: "+" | "-" | "*" | "/" | "%"; readonly operand: Expression }[];
}

interface NegateExpression extends Range {
  readonly kind: "negate";
  readonly operand: Expression;
}

export interface ComparisonExpression extends Range {
  readonly kind: "comparison";
  readonly operator: "==" | "!=" | "<" | "<=" | ">" | ">=";
  readonly left: Expression;
  readonly right: Expression;
}

/** `in`, `like`, `regex` and `:`, whose right side is one item or a list. */
export interface MembershipExpression extends Range {
  readonly kind: "membership";
  readonly operator: "in" | "like" | "regex" | ":";
  readonly insensitive: boolean;
  readonly negated: boolean;
  readonly left: Expression;
  readonly items: readonly Expression[];
}

interface NotExpression extends Range {
  readonly kind: "not";
  readonly operand: Expression;
}

interface LogicExpression extends Range {
  readonly kind: "and" | "or";
  readonly operands: readonly Expression[];
}

/** Endpoint's `child of […]`, `descendant of […]`, `event of […]`. */
export interface LineageExpression extends Range {
  readonly kind: "lineage";
  readonly relation: string;
  readonly query: EventQuery;
}

/** Stands where something was wrong and has been reported. */
interface InvalidExpression extends Range {
  readonly kind: "invalid";
}

export type Expression =
  | LiteralExpression
  | FieldExpression
  | CallExpression
  | ArithmeticExpression
  | NegateExpression
  | ComparisonExpression
  | MembershipExpression
  | NotExpression
  | LogicExpression
  | LineageExpression
  | InvalidExpression;

/** `category where condition`; no category: `any`, or a bare condition. */
export interface EventQuery extends Range {
  readonly kind: "event";
  readonly category: string | undefined;
  readonly condition: Expression;
  /** Written without `where`. */
  readonly bare: boolean;
}

/** Name of a step, for the steps after it: `as name`. */
export interface Alias extends Range {
  readonly name: string;
}

/** `[…]` with what stands around it. */
export interface Step extends Range {
  readonly query: EventQuery;
  /** Written `![…]`. */
  readonly missing: boolean;
  /** Keys of its own `by`. */
  readonly keys: readonly Expression[];
  /** 1 when not written. */
  readonly runs: number;
  /** Where `runs=N` is written. */
  readonly runsRange: Range | undefined;
  /** Where `fork` is written, not `fork=false`. */
  readonly forkRange: Range | undefined;
  readonly alias: Alias | undefined;
}

/** `maxspan=…` as nanoseconds. */
interface Maxspan extends Range {
  readonly ns: bigint;
}

/** A query over several events. */
export interface SeveralEventsQuery extends Range {
  readonly kind: "sequence" | "sample" | "join";
  /** The keyword. */
  readonly keywordRange: Range;
  /** Keys of the `by` before the steps: the first keys of every step. */
  readonly keys: readonly Expression[];
  readonly maxspan: Maxspan | undefined;
  readonly steps: readonly Step[];
  readonly until: Step | undefined;
}

/** `| name …`. */
export interface Pipe extends Range {
  readonly name: string;
  readonly nameRange: Range;
  readonly operands: readonly Expression[];
}

export interface Query {
  readonly body: EventQuery | SeveralEventsQuery;
  readonly pipes: readonly Pipe[];
}

/** Closes a switch over a union: reached only if a case is missing. */
export function unreachable(value: never): never {
  throw new Error(`Assertion failed: unexpected ${JSON.stringify(value)}`);
}
