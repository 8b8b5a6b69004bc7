// The text of literals: strings with their escapes in both dialects, names with backticks, numbers. Reports what is wrong with them.
import type { Dialect } from "./ast.ts";
import { type DiagnosticList, quoted, type Range } from "./diagnostics.ts";

const U64_MAX = (1n << 64n) - 1n;
const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  r: "\r",
  t: "\t",
  b: "\b",
  f: "\f",
  "\\": "\\",
  '"': '"',
  "'": "'",
};

/** Where a literal is and how to complain about it. */
export interface LiteralContext {
  readonly dialect: Dialect;
  readonly diagnostics: DiagnosticList;
}

/** Value of `"…"` or, in the Endgame dialect, `'…'`. `source` includes the quotes and starts at `from`. */
export function stringValue(source: string, from: number, context: LiteralContext): string {
  if (source.startsWith("'") && context.dialect === "default") {
    const message = `Strings use double quotes: write ${JSON.stringify(source.slice(1, -1))}`;
    context.diagnostics.error("single-quotes", message, { from, to: from + source.length });
  }
  const body = source.slice(1, -1);
  if (!body.includes("\\")) return body.toWellFormed();
  let value = "";
  for (let i = 0; i < body.length; ) {
    if (body[i] !== "\\") {
      value += body[i++];
      continue;
    }
    const found = readEscape(body, i, context.dialect);
    if (found.value === undefined) {
      const range = { from: from + 1 + i, to: from + 1 + i + found.length };
      context.diagnostics.error("invalid-escape", `${found.problem}; a backslash itself is written \\\\, or use """…"""`, range);
    }
    value += found.value ?? "";
    i += found.length;
  }
  return value.toWellFormed();
}

type Escape = { readonly value: string | undefined; readonly length: number; readonly problem: string };

function readEscape(body: string, at: number, dialect: Dialect): Escape {
  const character = body[at + 1] ?? "";
  if (character === "'" && dialect === "default") return { value: undefined, length: 2, problem: "A single quote needs no backslash" };
  const simple = SIMPLE_ESCAPES[character];
  if (simple !== undefined) return { value: simple, length: 2, problem: "" };
  if (character !== "u") return { value: undefined, length: 2, problem: `Unknown escape ${quoted(`\\${character}`)}` };
  const found = /^\{([0-9a-fA-F]{2,8})\}/.exec(body.slice(at + 2, at + 12));
  if (found === null) return { value: undefined, length: 2, problem: "A code point is written \\u{2 to 8 hex digits}" };
  const codePoint = Number.parseInt(found[1]!, 16);
  const length = 2 + found[0].length;
  if (codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint <= 0xdfff)) {
    return { value: undefined, length, problem: `${quoted(body.slice(at, at + length))} is not a Unicode character` };
  }
  return { value: String.fromCodePoint(codePoint), length, problem: "" };
}

/** Value of `"""…"""`: everything between the quotes as it stands. */
export function rawStringValue(source: string): string {
  return source.slice(3, -3).toWellFormed();
}

/** Value of Endgame's `?"…"` and `?'…'`: as it stands; a backslash before the quote keeps both. */
export function oldRawStringValue(source: string, from: number, context: LiteralContext): string {
  if (context.dialect === "default") {
    const message = 'Strings of the form ?"…" belong to the Endgame dialect: write """…"""';
    context.diagnostics.error("old-raw-string", message, { from, to: from + source.length });
  }
  return source.slice(2, -1).toWellFormed();
}

/** Parts of a dotted name; a part in backticks may hold dots, which stay in the part. */
export function nameParts(source: string): string[] {
  if (!source.includes("`")) return source.split(".");
  const parts: string[] = [];
  for (const [piece] of source.matchAll(/(?:`(?:[^`]|``)+`|[^.`]+)+/g)) {
    parts.push(piece.startsWith("`") ? piece.slice(1, -1).replaceAll("``", "`") : piece);
  }
  return parts.map((part) => part.toWellFormed());
}

/** Value of an integer literal, up to 2^64-1. */
export function integerValue(source: string, range: Range, context: LiteralContext): bigint {
  const value = source.length > 20 ? U64_MAX + 1n : BigInt(source);
  if (value <= U64_MAX) return value;
  context.diagnostics.error("number-too-large", `Integer ${quoted(source)} does not fit in 64 bits`, range);
  return 0n;
}

/** Value of a decimal literal. */
export function decimalValue(source: string, range: Range, context: LiteralContext): number {
  const value = Number(source);
  if (Number.isFinite(value)) return value;
  context.diagnostics.error("number-too-large", `Number ${quoted(source)} is too large`, range);
  return 0;
}
