// Patterns of re_match: compiled when the rule loads, by a compiler the caller brings, and handed to Lua as byte tables. The shapes here are
// structural, so that the room that compiles expressions and this one need not know each other.

import type { Sandbox } from "./sandbox.ts";
import type { Findings } from "./source.ts";

/** A deterministic automaton over classes of code points; state 0 has no way out. */
export interface RegexMachine {
  readonly start: number;
  readonly classCount: number;
  /** Class of each ASCII character. */
  readonly asciiClasses: Uint8Array;
  /** Ranges of code points from 0 on, ascending: where each begins, and its class. */
  readonly rangeStarts: Uint32Array;
  readonly rangeClasses: Uint8Array;
  /** State s on class c goes to `transitions[s * classCount + c]`. */
  readonly transitions: Uint16Array;
  /** Bits of each state: 1 accepts, 2 the rest of the text makes no difference. */
  readonly states: Uint8Array;
}

/** Compiles one pattern; the whole text must match it. */
export type RegexCompiler = (
  pattern: string,
) =>
  | { readonly kind: "compiled"; readonly table: RegexMachine; readonly warnings?: readonly { readonly message: string }[] }
  | { readonly kind: "failed"; readonly error: { readonly message: string } };

/** Compiles every pattern of a rule into its sandbox. False with findings when one cannot be. */
export function addExpressions(
  patterns: ReadonlyMap<string, readonly [number, number]>,
  into: { readonly findings: Findings; readonly sandbox: Sandbox; readonly compileRegex: RegexCompiler | undefined },
): boolean {
  for (const [binary, range] of patterns) {
    const bytes = Buffer.from(binary, "latin1");
    const result = into.compileRegex?.(bytes.toString("utf8"));
    if (result === undefined) {
      into.findings.error("pattern", "re_match is not available here: use glob_match or string.find", range);
      continue;
    }
    if (result.kind === "failed") {
      into.findings.error("pattern", `Pattern of re_match: ${result.error.message}`, range);
      continue;
    }
    for (const warning of result.warnings ?? []) into.findings.warning("pattern", `Pattern of re_match: ${warning.message}`, range);
    const { table } = result;
    into.sandbox.expression(
      bytes,
      table.start,
      table.classCount,
      bytesOf(table.asciiClasses),
      bytesOf(table.rangeStarts),
      bytesOf(table.rangeClasses),
      bytesOf(table.transitions),
      bytesOf(table.states),
    );
  }
  return !into.findings.hasError;
}

function bytesOf(array: Uint8Array | Uint16Array | Uint32Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
