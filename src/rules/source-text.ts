// The text of a rule file and the way from an offset to line and column, so that every finding points into the file a person edits.
import type { Diagnostic, Span } from "#schema";
import { DIAGNOSTICS_PER_RULE_MAX } from "./rule.ts";

const EXCERPT_WIDTH = 120;

/** A file's text with its line starts. */
export class SourceText {
  readonly #lineStarts: number[] = [0];

  constructor(readonly text: string) {
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.#lineStarts.push(at + 1);
  }

  /** Span of `[from, to)`, clamped to the text. */
  span(from: number, to: number = from): Span {
    const start = Math.min(Math.max(from, 0), this.text.length);
    const line = this.#lineIndexOf(start);
    return { from: start, to: Math.min(Math.max(to, start), this.text.length), line: line + 1, column: start - this.#lineStart(line) + 1 };
  }

  /** The line of a span with a caret line below; long lines are cut around the place. */
  excerpt(span: Span): string {
    const from = this.#lineStart(span.line - 1);
    const end = this.#lineStarts[span.line] ?? this.text.length + 1;
    const line = this.text.slice(from, end - 1).replace(/\r$/, "");
    if (line.trim() === "") return "";
    const column = Math.min(span.column - 1, line.length);
    const cut = Math.max(0, column - EXCERPT_WIDTH / 2);
    // A tab or control character would move the caret or the terminal.
    const shown = line.slice(cut, cut + EXCERPT_WIDTH).replace(/\p{Cc}/gu, " ");
    const width = Math.max(1, Math.min(span.to - span.from, shown.length - (column - cut)));
    return `${shown}\n${" ".repeat(column - cut)}${"^".repeat(width)}`;
  }

  #lineStart(lineIndex: number): number {
    return this.#lineStarts[lineIndex] ?? 0;
  }

  #lineIndexOf(offset: number): number {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#lineStart(middle) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** A place in a file: half-open offsets. */
export interface Place {
  readonly from: number;
  readonly to: number;
}

/** Collects the findings of one rule, at most {@link DIAGNOSTICS_PER_RULE_MAX}. */
export class Findings {
  readonly diagnostics: Diagnostic[] = [];

  constructor(readonly source: SourceText) {}

  error(code: string, message: string, place: Place): void {
    this.add({ severity: "error", code, message, span: this.source.span(place.from, place.to) });
  }

  warning(code: string, message: string, place: Place): void {
    this.add({ severity: "warning", code, message, span: this.source.span(place.from, place.to) });
  }

  add(diagnostic: Diagnostic): void {
    if (this.diagnostics.length < DIAGNOSTICS_PER_RULE_MAX) this.diagnostics.push(diagnostic);
  }

  /** The findings by their place. */
  inOrder(): readonly Diagnostic[] {
    return this.diagnostics.toSorted((a, b) => a.span.from - b.span.from);
  }

  get failed(): boolean {
    return this.diagnostics.some((diagnostic) => diagnostic.severity === "error");
  }
}

/** How a text value is written in its file. */
export type TextStyle = "verbatim" | "escaped" | "single-quoted";

/**
 * Offset in the file for each character of a text value, found by walking value and source side by side. White space that folding,
 * indentation or trimming changed is skipped; every other character is met exactly, so a finding never points at another word.
 */
export function alignText(value: string, source: string, place: Place, style: TextStyle): Uint32Array {
  const offsets = new Uint32Array(value.length + 1);
  let at = place.from;
  let index = 0;
  while (index < value.length) {
    if (style === "escaped" && source[at] === "\\") {
      const sequence = escapeAt(source, at);
      for (let unit = 0; unit < sequence.units && index < value.length; unit++) offsets[index++] = at;
      at += sequence.length;
      continue;
    }
    const wanted = value[index];
    if (source[at] !== wanted) {
      if (isSpace(wanted)) {
        offsets[index++] = at;
        continue;
      }
      while (at < place.to && source[at] !== wanted && !(style === "escaped" && source[at] === "\\")) at++;
      if (at >= place.to) break;
      if (source[at] !== wanted) continue;
    }
    offsets[index++] = at++;
    if (style === "single-quoted" && wanted === "'") at++;
  }
  offsets.fill(Math.min(at, place.to), index);
  return offsets;
}

function isSpace(character: string | undefined): boolean {
  return character === " " || character === "\n" || character === "\t" || character === "\r";
}

/** Length of the escape at a backslash, and how many UTF-16 units it stands for. */
function escapeAt(source: string, at: number): { readonly length: number; readonly units: number } {
  switch (source[at + 1]) {
    case "x":
      return { length: 4, units: 1 };
    case "u":
      return { length: 6, units: 1 };
    case "U":
      return { length: 10, units: Number.parseInt(source.slice(at + 2, at + 10), 16) > 0xffff ? 2 : 1 };
    case "\n":
    case "\r": {
      let end = at + 1;
      while (isSpace(source[end])) end++;
      return { length: end - at, units: 0 };
    }
    default:
      return { length: 2, units: 1 };
  }
}
