// What the EQL compiler hands to the runtimes and the engine: one program for a whole rule set, and the ABI between them. Data only.

/** Where in a text something is: 1-based line and column, 0-based half-open offsets in UTF-16 units. */
export interface Span {
  readonly from: number;
  readonly to: number;
  readonly line: number;
  readonly column: number;
}

/** A finding about a rule or query. Never thrown: compilers return lists of these. */
export interface Diagnostic {
  readonly severity: "error" | "warning";
  /** Stable kebab-case code, for example `unknown-field`. */
  readonly code: string;
  /** Sentence case, names the value, no full stop; the suggestion included. */
  readonly message: string;
  readonly span: Span;
}

/** One predicate of a rule set; its position in {@link RuleSetProgram.predicates} is its id and its bit in the hit words. */
export interface PredicateInfo {
  /** Id of the rule the predicate belongs to. */
  readonly ruleId: string;
  /** Slot of the rule's plan that it fills; absent when it is the whole rule. */
  readonly slot?: number;
}

/**
 * A compiled rule set. Both back ends hold the same predicates under the same ids and give the same bits.
 *
 * Wasm: imports nothing; exports `memory`, `eval(batch: i32, count: i32, out: i32) → i32` (number of set bits), `current: global i32`
 * (id of the predicate being evaluated, for blame after a trap; -1 outside), `heap_base: global i32` (first byte the host may use;
 * the host grows memory and places batch and out there). `batch` is `count` records one after another, 8-byte aligned.
 * `out` is count × {@link hitWords} little-endian u32, which eval overwrites; bit p of a record's words is predicate p.
 *
 * Lua: a chunk that, called with the LuaJIT prelude table as `...`, returns a function `(batch, count, out) → number of set bits`
 * over the same memory layout, addresses as Lua numbers.
 */
export interface RuleSetProgram {
  /** Empty when the program was compiled for Lua only. */
  readonly wasm: Uint8Array;
  /** Empty when the program was compiled for Wasm only. */
  readonly lua: string;
  readonly predicates: readonly PredicateInfo[];
}

/** Which back end runs a compiled rule set; both give the same hits. */
export type Backend = "wasm" | "lua";

/** u32 words of hit bits for each record. */
export function hitWords(predicateCount: number): number {
  return (predicateCount + 31) >>> 5;
}
