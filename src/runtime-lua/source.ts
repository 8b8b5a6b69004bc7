// A rule's text → tokens and syntax tree, or diagnostics. The text is read as UTF-8 bytes (one character a byte), as LuaJIT would; nesting
// is measured on the tokens before anything recursive sees them, so no input overflows a stack or takes long.

import { type Chunk, lex, parse, type Token, tokenTypes } from "luaparse";
import { messageOf } from "#core";
import type { Diagnostic, Span } from "#schema";

/** Most bytes of a rule's Lua text. */
const SOURCE_BYTES_MAX: number = 128 << 10;
/** Most levels of brackets and blocks inside each other; LuaJIT's own parser stops at 200, and the rewriting adds some. */
export const NESTING_MAX = 60;
/** Names that the rewriting uses. */
export const RESERVED_PREFIX = "__kestrel";

const DIAGNOSTICS_MAX = 20;
const TOKEN_OPTIONS = { comments: false, locations: true, ranges: true, luaVersion: "LuaJIT", encodingMode: "pseudo-latin1" } as const;
const OPENERS = new Set(["(", "[", "{", "function", "do", "then", "repeat"]);
const CLOSERS = new Set([")", "]", "}", "end", "until"]);
const PREFIX_OPERATORS = new Set(["not", "-", "#", "^", ".."]);

/** Collects findings about one rule text; ranges are byte offsets. */
export class Findings {
  readonly items: Diagnostic[] = [];
  readonly #bytes: Buffer;

  constructor(readonly text: string) {
    this.#bytes = Buffer.from(text, "utf8");
  }

  /** The text as one character a byte. */
  get binary(): string {
    return this.#bytes.toString("latin1");
  }

  get byteLength(): number {
    return this.#bytes.length;
  }

  get hasError(): boolean {
    return this.items.some((item) => item.severity === "error");
  }

  error(code: string, message: string, range: readonly [number, number]): void {
    this.#add("error", code, message, range);
  }

  warning(code: string, message: string, range: readonly [number, number]): void {
    this.#add("warning", code, message, range);
  }

  /** An error that is known by its line alone. */
  errorAtLine(code: string, message: string, line: number): void {
    let at = 0;
    for (let i = 1; i < line; i++) {
      const newline = this.#bytes.indexOf(10, at);
      if (newline < 0) break;
      at = newline + 1;
    }
    this.error(code, message, [at, at]);
  }

  #add(severity: Diagnostic["severity"], code: string, message: string, range: readonly [number, number]): void {
    if (this.items.length >= DIAGNOSTICS_MAX && (severity === "warning" || this.hasError)) return;
    const span = this.#span(range);
    const known = this.items.some((item) => item.code === code && item.span.from === span.from && item.message === message);
    if (!known) this.items.push({ severity, code, message, span });
  }

  #span(range: readonly [number, number]): Span {
    const before = this.#bytes.toString("utf8", 0, Math.min(Math.max(range[0], 0), this.#bytes.length));
    const inside = this.#bytes.toString("utf8", range[0], Math.max(range[0], range[1]));
    const lineStart = before.lastIndexOf("\n") + 1;
    const line = before.split("\n").length;
    return { from: before.length, to: before.length + inside.length, line, column: before.length - lineStart + 1 };
  }
}

/** Tokens and tree of a rule's text. */
export interface ParsedSource {
  readonly chunk: Chunk;
  readonly tokens: readonly Token[];
}

/** Parses a rule's text; `undefined` when it found an error. Never throws. */
export function parseSource(findings: Findings): ParsedSource | undefined {
  if (findings.byteLength > SOURCE_BYTES_MAX) {
    findings.error("too-long", `The rule has ${findings.byteLength} bytes of Lua, at most ${SOURCE_BYTES_MAX} are read`, [0, 0]);
    return undefined;
  }
  const binary = findings.binary;
  try {
    const tokens = readTokens(binary, findings);
    if (findings.hasError) return undefined;
    return { tokens, chunk: parse(binary, TOKEN_OPTIONS) };
  } catch (error) {
    reportSyntax(error, findings);
    return undefined;
  }
}

function readTokens(binary: string, findings: Findings): readonly Token[] {
  const tokens: Token[] = [];
  parse(binary, { ...TOKEN_OPTIONS, wait: true });
  let depth = 0;
  let run = 0;
  for (let token = lex(); token.type !== tokenTypes["EOF"]; token = lex()) {
    tokens.push(token);
    if (token.type === tokenTypes["Identifier"]) checkName(token, findings);
    if (token.type === tokenTypes["NumericLiteral"]) checkNumber(binary, token, findings);
    if (token.type !== tokenTypes["Punctuator"] && token.type !== tokenTypes["Keyword"]) {
      run = 0;
      continue;
    }
    const value = String(token.value);
    if (OPENERS.has(value)) depth++;
    else if (CLOSERS.has(value)) depth--;
    run = PREFIX_OPERATORS.has(value) ? run + 1 : 0;
    if (depth > NESTING_MAX || run > NESTING_MAX) {
      findings.error("too-deep", `Nested more than ${NESTING_MAX} levels deep: name the inner parts with local`, token.range);
      return tokens;
    }
  }
  return tokens;
}

function checkName(token: Token, findings: Findings): void {
  const name = String(token.value);
  if (name.startsWith(RESERVED_PREFIX)) {
    findings.error("reserved-name", `Name "${name}" begins with "${RESERVED_PREFIX}", which is reserved: use another name`, token.range);
  }
}

/** LuaJIT's 64-bit and imaginary literals make ffi objects, which a rule must not hold. */
function checkNumber(binary: string, token: Token, findings: Findings): void {
  const raw = binary.slice(token.range[0], token.range[1]);
  if (/[ilu]$/i.test(raw)) {
    findings.error("number-suffix", `Number "${raw.slice(0, 60)}" has a 64-bit or imaginary suffix: write a plain number`, token.range);
  }
}

function reportSyntax(error: unknown, findings: Findings): void {
  if (error instanceof RangeError) {
    findings.error("too-deep", "The text is nested too deeply: name the inner parts with local", [0, 0]);
    return;
  }
  const at = hasIndex(error) ? error.index : 0;
  const message = messageOf(error).replace(/^\[\d+:\d+\] /, "");
  const text = Buffer.from(message, "latin1").toString("utf8");
  findings.error("syntax", sentence(text), [at, at]);
}

function hasIndex(error: unknown): error is { readonly index: number } {
  return typeof error === "object" && error !== null && "index" in error && typeof error.index === "number";
}

function sentence(text: string): string {
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return shown.charAt(0).toUpperCase() + shown.slice(1);
}
