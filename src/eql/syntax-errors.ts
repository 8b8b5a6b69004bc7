// Says where a text stops being a query. The parser recovers at each error; what it reports on one line after the first is usually the same
// mistake again, so each line gets one message.
import type { LRParser } from "@lezer/lr";
import { type DiagnosticList, quoted } from "./diagnostics.ts";

const SYNTAX_ERRORS_MAX = 5;
/** Recovery costs far more than parsing: in longer texts only the first error is looked for. */
const RECOVERY_LENGTH_MAX = 64 << 10;
const KEYWORDS = new Set(["and", "or", "not", "in", "like", "regex", "where", "by", "of", "until", "with", "true", "false", "null"]);
const TOKEN =
  /"""|"(?:[^"\\\n]|\\.){0,200}"?|'[^'\n]{0,200}'?|`[^`\n]{0,200}`?|[@$\p{L}_][\p{L}\p{N}_.@]{0,200}|\d[\w.]{0,40}|&&|\|\||<>|[=!<>]=|../suy;
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
  let from = SKIPPED.test(text) ? SKIPPED.lastIndex : position;
  // The first half of `||` reads as a pipe.
  if (text[from] === "|" && text[from - 1] === "|") from--;
  if (from >= text.length) {
    diagnostics.error("syntax", `Query ends too early${openBracketHint(text)}`, { from: text.length, to: text.length });
    return;
  }
  TOKEN.lastIndex = from;
  const token = TOKEN.exec(text)?.[0] ?? text[from]!;
  const shown = token.length === 2 && !/^(&&|\|\||<>|[=!<>]=)$/.test(token) && !/^[\w@$]/.test(token) ? token[0]! : token;
  diagnostics.error(
    "syntax",
    `Unexpected ${/^["']/.test(shown) ? "string " : ""}${shown.startsWith('"') ? shown : quoted(shown)}${hint(shown, text.slice(0, position))}`,
    {
      from,
      to: from + shown.length,
    },
  );
}

function openBracketHint(text: string): string {
  let open = 0;
  for (const character of text.replace(/"(?:[^"\\\n]|\\.)*"/g, "")) {
    if (character === "(") open++;
    else if (character === ")") open--;
  }
  return open > 0 ? `, ${open === 1 ? "a ( is" : `${open} ( are`} not closed` : ", something is missing after its last word";
}

function hint(token: string, before: string): string {
  if (token === "&&") return ", write and";
  if (token === "||") return ", write or";
  if (token === "<>") return ", write !=";
  if (token === ")") return ", it closes nothing or something is missing before it";
  if (token === "[") return ", lists use ( )";
  if (token === "!" && !/\[/.test(before)) return ", negation is written not";
  if (/^(AND|OR|NOT|IN|WHERE|LIKE)$/.test(token)) return `, keywords are lower case: ${token.toLowerCase()}`;
  if (KEYWORDS.has(token)) {
    return /(^|[\s(])(and|or|not|in|like|where|==|!=|[<>:])\s*$/.test(before.slice(-40))
      ? `, something is missing before it; a field of this name is written \`${token}\``
      : ", something is missing before it";
  }
  if (token === "is") return ", presence is tested with == null and != null";
  if (/^\s*[\w."`]+\s*$/.test(before)) return ", expected where after the category";
  if (/^["'\d$@\p{L}]/u.test(token) && /[\w"')\]]\s*$/.test(before)) return ", an operator such as and, == or a comma is missing before it";
  return "";
}
