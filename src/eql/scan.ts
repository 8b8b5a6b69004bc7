// A look at the characters before the parser runs: what no parse could make sense of (foreign characters, an open string or comment) and
// what would cost too much (size, nesting). After it, everything that recurses over a query recurses at most NESTING_MAX brackets deep.
// Loops over characters instead of regular expressions: those need stack for each repetition, and this text comes from anywhere.
import { type DiagnosticList, quoted } from "./diagnostics.ts";

/** Most UTF-16 units of one query. */
const QUERY_LENGTH_MAX: number = 1 << 20;
/** Most brackets inside one another. */
const NESTING_MAX = 200;
const LEXICAL_ERRORS_MAX = 10;
const PUNCTUATION = new Set("$.,=!<>+-*%:~?|/@_ \t\n\r\f\u{a0}\u{feff}");

/** Reports what the characters alone show to be wrong. Nothing reported: the text is worth parsing. */
export function scan(text: string, diagnostics: DiagnosticList): void {
  if (text.length > QUERY_LENGTH_MAX) {
    const message = `Query is ${text.length} characters long, the limit is ${QUERY_LENGTH_MAX}`;
    diagnostics.error("query-too-long", message, { from: 0, to: 0 });
    return;
  }
  let depth = 0;
  let errors = 0;
  for (let at = 0; at < text.length && errors < LEXICAL_ERRORS_MAX; ) {
    const character = text[at]!;
    if (character === "(" || character === "[") {
      if (++depth > NESTING_MAX) {
        diagnostics.error("nesting-too-deep", `Brackets are nested deeper than ${NESTING_MAX}`, { from: at, to: at + 1 });
        return;
      }
    } else if (character === ")" || character === "]") {
      depth = Math.max(0, depth - 1);
    }
    const end = tokenEnd(text, at);
    if (end > at) {
      at = end;
      continue;
    }
    errors++;
    at = report(text, at, diagnostics);
  }
}

/** End of the token or character at `at`, or `at` itself when nothing legal stands there. */
function tokenEnd(text: string, at: number): number {
  const character = text[at]!;
  switch (character) {
    case '"':
      // Two strings never stand side by side, so three quotes always begin a raw string.
      return text.startsWith('"""', at) ? (rawEnd(text, at) ?? at) : quotedEnd(text, at);
    case "'":
    case "`":
      return quotedEnd(text, at);
    case "/":
      if (text[at + 1] === "/") return lineEnd(text, at);
      if (text[at + 1] === "*") {
        const close = text.indexOf("*/", at + 2);
        return close === -1 ? at : close + 2;
      }
      return at + 1;
    case "(":
    case ")":
    case "[":
    case "]":
      return at + 1;
    default:
      return isLegal(text, at) ? at + String.fromCodePoint(text.codePointAt(at)!).length : at;
  }
}

function isLegal(text: string, at: number): boolean {
  const code = text.codePointAt(at)!;
  if (code < 0x80) return /[A-Za-z0-9]/.test(text[at]!) || PUNCTUATION.has(text[at]!);
  // Quotation marks of word processors are letters to nobody.
  if ((code >= 0x2018 && code <= 0x201f) || code === 0xab || code === 0xbb) return false;
  return code === 0xa0 || (code > 0xa0 && code <= 0x2fff) || (code > 0x3000 && code < 0xd800) || code >= 0xe000;
}

/** End of a string or escaped name on this line; `at` when it is not closed. A doubled backtick is two names to this scanner: no harm. */
function quotedEnd(text: string, at: number): number {
  const quote = text[at]!;
  for (let i = at + 1; i < text.length; i++) {
    const character = text[i]!;
    if (character === quote) return i + 1;
    if (character === "\n" || character === "\r") return at;
    if (character === "\\" && quote !== "`") {
      if (text[i + 1] === "\n" || text[i + 1] === "\r") return at;
      i++;
    }
  }
  return at;
}

/** End of a raw string, up to two quotes before the closing three belonging to it; `undefined` when it is not closed on its line. */
function rawEnd(text: string, at: number): number | undefined {
  const close = text.indexOf('"""', at + 3);
  if (close === -1 || close > lineEnd(text, at)) return undefined;
  let end = close + 3;
  while (end < close + 5 && text[end] === '"') end++;
  return end;
}

function lineEnd(text: string, at: number): number {
  for (let i = at; i < text.length; i++) if (text[i] === "\n" || text[i] === "\r") return i;
  return text.length;
}

function report(text: string, at: number, diagnostics: DiagnosticList): number {
  const character = String.fromCodePoint(text.codePointAt(at)!);
  if (text.startsWith("/*", at)) {
    diagnostics.error("unterminated-comment", "Comment is not closed, add */", { from: at, to: at + 2 });
    return text.length;
  }
  if (character === '"' || character === "'" || character === "`") {
    const message = unclosedMessage(text, at);
    const end = lineEnd(text, at);
    diagnostics.error("unterminated-string", message, { from: at, to: end });
    return end;
  }
  if (text.startsWith("&&", at)) {
    diagnostics.error("unexpected-character", 'Unexpected "&&", write and', { from: at, to: at + 2 });
    return at + 2;
  }
  diagnostics.error("unexpected-character", `Unexpected character ${quoted(character)}${hintFor(character)}`, {
    from: at,
    to: at + character.length,
  });
  return at + character.length;
}

function unclosedMessage(text: string, at: number): string {
  if (text.startsWith('"""', at)) return 'Raw string is not closed on its line, add """ (\\n in a string of one quote is a line break)';
  if (text[at] === "`") return "Escaped name is not closed on its line, add `";
  return `String is not closed on its line, add ${text[at]} (a line break inside a string is written \\n)`;
}

function hintFor(character: string): string {
  switch (character) {
    case "&":
      return ", write and";
    case "{":
    case "}":
      return ", lists and groups use ( )";
    case "#":
      return ", comments start with //";
    case ";":
      return ", a query has no end mark";
    case "^":
      return ", there is no such operator";
    default:
      return /[\u2018-\u201f«»]/.test(character) ? ', strings use "' : "";
  }
}
