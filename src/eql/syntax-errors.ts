// Says where a text stops being a query. The parser recovers at each error; what it reports on one line after the first is usually the same
// mistake again, so each line gets one message.
import type { LRParser } from "@lezer/lr";
import { type DiagnosticList, quoted } from "./diagnostics.ts";
import { missingEnd, stepHint } from "./step-hints.ts";

const SYNTAX_ERRORS_MAX = 5;
/** Recovery costs far more than parsing: in longer texts only the first error is looked for. */
const RECOVERY_LENGTH_MAX = 64 << 10;
const KEYWORDS = new Set(["and", "or", "not", "in", "like", "regex", "where", "by", "of", "until", "with", "true", "false", "null"]);
const TOKEN =
  /"""|"(?:[^"\\\n]|\\.){0,200}"?|'[^'\n]{0,200}'?|`[^`\n]{0,200}`?|[@$\p{L}_][\p{L}\p{N}_.@]{0,200}|\d[\w.]{0,40}|[=!<>]=|../suy;
const SKIPPED = /(?:\s|\/\/[^\n]*(?:\n|$)|\/\*(?:[^*]|\*(?!\/))*\*\/){1,1000}/y;

/** Reports the syntax errors of a text that the parser refused. */
export function reportSyntaxErrors(text: string, parser: LRParser, diagnostics: DiagnosticList): void {
  const positions = text.length > RECOVERY_LENGTH_MAX ? [firstError(text, parser)] : errorPositions(text, parser);
  const lines = new Set<number>();
  for (const position of positions) {
    const line = text.slice(0, position).split("\n").length;
    if (lines.has(line) || lines.size >= SYNTAX_ERRORS_MAX) continue;
    lines.add(line);
    reportAt(text, position, diagnostics);
  }
}

function firstError(text: string, parser: LRParser): number {
  try {
    parser.configure({ strict: true }).parse(text);
  } catch (error) {
    return Number(/ at (\d+)/.exec(String(error))?.[1] ?? 0);
  }
  return 0;
}

function errorPositions(text: string, parser: LRParser): number[] {
  const positions = [firstError(text, parser)];
  parser.parse(text).iterate({
    enter(node) {
      if (node.type.isError && node.from > positions[0]!) positions.push(node.from);
    },
  });
  return positions;
}

function reportAt(text: string, position: number, diagnostics: DiagnosticList): void {
  SKIPPED.lastIndex = position;
  const from = SKIPPED.test(text) ? SKIPPED.lastIndex : position;
  if (from >= text.length) {
    diagnostics.error("syntax", `Query ends too early${openBracketHint(text)}`, { from: text.length, to: text.length });
    return;
  }
  const foreign = foreignOperator(text, from);
  if (foreign !== undefined) {
    diagnostics.error("syntax", `Unexpected ${quoted(text.slice(foreign.from, foreign.to))}, ${foreign.hint}`, foreign);
    return;
  }
  TOKEN.lastIndex = from;
  const token = TOKEN.exec(text)?.[0] ?? text[from]!;
  const shown = token.length === 2 && !/^([=!<>]=)$/.test(token) && !/^[\w@$"']/.test(token) ? token[0]! : token;
  const what = /^["']/.test(shown) ? "string " : "";
  const message = `Unexpected ${what}${shown.startsWith('"') ? shown : quoted(shown)}${hint(shown, text.slice(0, position))}`;
  diagnostics.error("syntax", message, { from, to: from + shown.length });
}

/** Operators of other languages. The parser stops at their first, second or third character: what comes before reads as one of ours. */
const FOREIGN_OPERATORS: readonly (readonly [RegExp, string])[] = [
  [/\|\|/y, "write or"],
  [/<>/y, "write !="],
  [/===/y, "write =="],
  [/!==/y, "write !="],
  [/=~|~=/y, "write : to ignore case and allow wildcards, or regex~"],
  [/!~/y, "write not before the comparison and : or regex~ in it"],
  [/!:/y, "write not before the comparison and : in it"],
  [/[=!<>] +=/y, "an operator has no space in it"],
];

function foreignOperator(text: string, at: number): { readonly from: number; readonly to: number; readonly hint: string } | undefined {
  for (let from = Math.max(0, at - 2); from <= at; from++) {
    for (const [pattern, advice] of FOREIGN_OPERATORS) {
      pattern.lastIndex = from;
      const found = pattern.exec(text);
      if (found !== null && from + found[0].length > at) return { from, to: from + found[0].length, hint: advice };
    }
  }
  return undefined;
}

function openBracketHint(text: string): string {
  const missing = missingEnd(text);
  if (missing !== undefined) return `, ${missing}`;
  let open = 0;
  for (const character of text.replace(/"(?:[^"\\\n]|\\.)*"/g, "")) {
    if (character === "(") open++;
    else if (character === ")") open--;
  }
  return open > 0 ? `, ${open === 1 ? "a ( is" : `${open} ( are`} not closed` : ", something is missing after its last word";
}

function hint(token: string, before: string): string {
  const aboutSteps = stepHint(token, before);
  if (aboutSteps !== undefined) return aboutSteps;
  if (/^[)\][(,.!]$/.test(token)) return hintForMark(token, before);
  if (/^[=!<>:]/.test(token))
    return /\bnot\s*$/.test(before) ? ", not stands before the whole comparison" : ", a value is missing before it";
  const keyword = token.toLowerCase();
  if (keyword === "where" && before.trim() === "") return ", the category is missing before it, for example any where";
  if (token !== keyword && /^(and|or|not|in|where|like|regex)$/.test(keyword)) return `, keywords are lower case: ${keyword}`;
  if (/\b(NOT|Not)\s*$/.test(before)) return ", keywords are lower case: write not before it";
  if (KEYWORDS.has(token)) {
    return /(^|[\s(])(and|or|not|in|like|where|==|!=|[<>:])\s*$/.test(before.slice(-40))
      ? `, something is missing before it; a field of this name is written \`${token}\``
      : ", something is missing before it";
  }
  if (token === "is") return ", presence is tested with == null and != null";
  const call = CALLED_LIKE_OPERATORS.get(keyword);
  if (call !== undefined) return `, write ${call}`;
  if (/^\s*[\w."`]+\s*$/.test(before)) return ", expected where after the category";
  if (/\d$/.test(before) && /^[xX_]/.test(token)) return ", numbers are plain decimals";
  if (/~\s*$/.test(before)) return ", ~ stands behind in, like, regex or the name of a function; to ignore case alone write :";
  if (/^["'\d$@\p{L}]/u.test(token) && /[\w"')\]]\s*$/.test(before)) return ", an operator such as and, == or a comma is missing before it";
  return "";
}

const CALLED_LIKE_OPERATORS: ReadonlyMap<string, string> = new Map([
  ["contains", "stringContains(value, part)"],
  ["stringcontains", "stringContains(value, part)"],
  ["startswith", "startsWith(value, part)"],
  ["endswith", "endsWith(value, part)"],
  ["matches", "regex or like"],
  ["match", "regex or like"],
  ["wildcard", "like"],
  ["between", "two comparisons joined with and"],
  ["cidrmatch", "cidrMatch(address, block)"],
]);

function hintForMark(token: string, before: string): string {
  const last = before.trimEnd().at(-1) ?? "";
  if (token === ")")
    return last === "(" ? ", an empty list or group means nothing" : ", it closes nothing or something is missing before it";
  if (token === "[") return /[\w`]$/.test(before) ? ", a position is a whole number such as [0]" : ", lists use ( )";
  if (token === "!") return /\[/.test(before) ? "" : ", negation is written not";
  if (token === ".") return /\d$/.test(before) ? ", an address or a version is written in quotes" : ", a part of the name is missing";
  if (token !== ",") return "";
  if (last === "," || last === "(") return ", a value is missing before it";
  if (/\b(in|like|regex|in~|like~|regex~|:)\s*"[^"]*"\s*$/.test(before.slice(-300))) return ", a list stands in ( )";
  return "";
}
