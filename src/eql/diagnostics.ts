// Findings about one text, and how they look to a person. A list never holds more than DIAGNOSTICS_MAX; the rest is not worth reading.
import type { Diagnostic, Span } from "#schema";

/** A stretch of the text: offsets in UTF-16 units, `to` not included. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** Most findings about one text. */
const DIAGNOSTICS_MAX = 50;
const QUOTED_MAX = 60;
const EXCERPT_COLUMNS_MAX = 120;

/** Collects findings about one text. */
export class DiagnosticList {
  readonly #text: string;
  readonly #items: Diagnostic[] = [];
  /** Said before each message, for a text that is only a part of what the user sees. */
  readonly #prefix: string;

  constructor(text: string, prefix = "") {
    this.#text = text;
    this.#prefix = prefix;
  }

  get items(): readonly Diagnostic[] {
    return this.#items;
  }

  get hasError(): boolean {
    return this.#items.some((item) => item.severity === "error");
  }

  get isFull(): boolean {
    return this.#items.length >= DIAGNOSTICS_MAX;
  }

  error(code: string, message: string, range: Range): void {
    this.#add("error", code, message, range);
  }

  warning(code: string, message: string, range: Range): void {
    this.#add("warning", code, message, range);
  }

  #add(severity: Diagnostic["severity"], code: string, message: string, range: Range): void {
    // An error always finds room: a text with many warnings must not look sound.
    if (this.isFull && (severity === "warning" || this.hasError)) return;
    const span = spanOf(this.#text, range);
    const known = this.#items.some((item) => item.code === code && item.span.from === span.from && item.span.to === span.to);
    if (!known) this.#items.push({ severity, code, message: this.#prefix + message, span });
  }
}

function spanOf(text: string, range: Range): Span {
  const from = Math.min(Math.max(range.from, 0), text.length);
  const to = Math.min(Math.max(range.to, from), text.length);
  let line = 1;
  let lineStart = 0;
  for (let at = text.indexOf("\n"); at !== -1 && at < from; at = text.indexOf("\n", at + 1)) {
    line++;
    lineStart = at + 1;
  }
  return { from, to, line, column: from - lineStart + 1 };
}

/** A value as messages show it: in double quotes, cut when long, control characters escaped. */
export function quoted(value: string): string {
  const cut = value.length > QUOTED_MAX ? `${value.slice(0, QUOTED_MAX)}…` : value;
  return `"${escapeControls(cut)}"`;
}

/** A text without control characters, bidirectional marks and lone surrogates: safe to print on a terminal. */
function escapeControls(text: string): string {
  return text
    .toWellFormed()
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16).padStart(2, "0")}}`);
}

/**
 * A diagnostic as people read it: `file:line:column: severity: message [code]`, then the source line with carets under the span. A long
 * line is cut around the span.
 */
export function formatDiagnostic(text: string, diagnostic: Diagnostic, options: { readonly file: string }): string {
  const { span, severity, message, code } = diagnostic;
  const head = `${escapeControls(options.file)}:${span.line}:${span.column}: ${severity}: ${escapeControls(message)} [${code}]`;
  const start = span.from - (span.column - 1);
  const newline = text.indexOf("\n", span.from);
  const end = newline === -1 ? text.length : newline;
  const cutStart = span.from - start > EXCERPT_COLUMNS_MAX / 2 ? span.from - EXCERPT_COLUMNS_MAX / 2 : start;
  const cutEnd = Math.min(end, cutStart + EXCERPT_COLUMNS_MAX);
  const show = (from: number, to: number) => escapeControls(text.slice(from, to).replaceAll("\t", " ").replaceAll("\r", ""));
  const before = (cutStart > start ? "…" : "") + show(cutStart, span.from);
  const marked = show(span.from, Math.min(Math.max(span.to, span.from), cutEnd));
  const after = show(Math.min(Math.max(span.to, span.from), cutEnd), cutEnd) + (cutEnd < end ? "…" : "");
  const gutter = String(span.line);
  const carets = " ".repeat(columnsOf(before)) + "^".repeat(Math.max(1, columnsOf(marked)));
  return `${head}\n ${gutter} | ${before}${marked}${after}\n ${" ".repeat(gutter.length)} | ${carets}`;
}

function columnsOf(text: string): number {
  return [...text].length;
}
