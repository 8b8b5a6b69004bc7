// Where each `table.key` of a TOML text has its value. Reads a text that already parsed, so it only tells keys, strings and comments apart.
import type { Place, TextStyle } from "./source-text.ts";

/** Place of a value; of a text without its quotes, and whether it may hold escapes. */
export interface TomlPlace extends Place {
  readonly style: TextStyle;
}

const HEADER = /[ \t]*\[\[?[ \t]*([^\]\r\n]+?)[ \t]*\]\]?/y;
const KEY = /[ \t]*((?:[A-Za-z0-9_-]+|"[^"\r\n]*"|'[^'\r\n]*')(?:[ \t]*\.[ \t]*(?:[A-Za-z0-9_-]+|"[^"\r\n]*"|'[^'\r\n]*'))*)[ \t]*=[ \t]*/y;

/** Places by dotted name; a table's own name has the place of its header. The first of several equal names wins. */
export function tomlPlaces(text: string): Map<string, TomlPlace> {
  const places = new Map<string, TomlPlace>();
  const put = (name: string, place: TomlPlace): void => {
    if (!places.has(name)) places.set(name, place);
  };
  let prefix = "";
  let at = 0;
  while (at < text.length) {
    const header = matchAt(HEADER, text, at);
    const key = header === undefined ? matchAt(KEY, text, at) : undefined;
    if (header !== undefined) {
      const name = plainName(header[1] ?? "");
      put(name, { from: at, to: at + header[0].length, style: "verbatim" });
      prefix = `${name}.`;
      at = lineEnd(text, at + header[0].length);
    } else if (key !== undefined) {
      const from = at + key[0].length;
      const to = valueEnd(text, from);
      put(prefix + plainName(key[1] ?? ""), withoutDelimiters(text, from, to));
      at = lineEnd(text, to);
    } else {
      at = lineEnd(text, at);
    }
  }
  return places;
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text) ?? undefined;
}

function plainName(name: string): string {
  return name.replaceAll(/["'\s]/g, "");
}

/** Offset after a value: strings and brackets are skipped whole. */
function valueEnd(text: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const character = text[at] as string;
    if (character === '"' || character === "'") {
      at = stringEnd(text, at, character);
      if (depth === 0) return at;
      continue;
    }
    if (character === "#") at = lineEnd(text, at) - 1;
    else if (character === "[" || character === "{") depth++;
    else if (character === "]" || character === "}") depth--;
    else if (character === "\n" && depth === 0) return at;
    at++;
    if (depth === 0 && (character === "]" || character === "}")) return at;
  }
  return at;
}

function stringEnd(text: string, from: number, quote: string): number {
  const closing = text.startsWith(quote.repeat(3), from) ? quote.repeat(3) : quote;
  let at = from + closing.length;
  while (at < text.length && !text.startsWith(closing, at)) at += quote === '"' && text[at] === "\\" ? 2 : 1;
  at += closing.length;
  // A multi-line string may end in up to two quotes of its own.
  while (closing.length === 3 && text[at] === quote) at++;
  return at;
}

/** The inside of a quoted text, or the value as it is. */
function withoutDelimiters(text: string, from: number, to: number): TomlPlace {
  const quote = text[from];
  if (quote !== '"' && quote !== "'") return { from, to, style: "verbatim" };
  const length = text.startsWith(quote.repeat(3), from) ? 3 : 1;
  return { from: from + length, to: to - length, style: quote === '"' ? "escaped" : "verbatim" };
}

function lineEnd(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end + 1;
}
