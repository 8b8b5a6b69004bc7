// Regular expressions: checks each pattern with the compiler of the back ends, and gives its table to the condition.
import type { Expression, LiteralExpression } from "./ast.ts";
import type { Range } from "./diagnostics.ts";
import type { ConditionNode } from "./ir.ts";
import { condition, fail, type LowerContext, TOO_MANY_REGEXES, withinBudget } from "./lower-context.ts";
import type { Operand } from "./operand.ts";
import { withoutLazyQuantifiers } from "./patterns.ts";
import { compileRegex, type RegexIssue, type RegexOptions, type RegexResult, type RegexTable } from "./regex.ts";

// Rules repeat each other's patterns, and building an automaton is the dearest step of a compilation.
const CHECKED_MAX = 2048;
const checked = new Map<
  string,
  | Pick<Extract<RegexResult, { readonly kind: "compiled" }>, "kind" | "warnings" | "statesMade">
  | Extract<RegexResult, { readonly kind: "failed" }>
>();

function check(pattern: string, options: RegexOptions): NonNullable<ReturnType<typeof checked.get>> {
  const key = `${options.flavour} ${options.folded} ${pattern}`;
  const known = checked.get(key);
  if (known !== undefined) return known;
  const compiled = compileRegex(pattern, options);
  const result =
    compiled.kind === "failed" ? compiled : { kind: compiled.kind, warnings: compiled.warnings, statesMade: compiled.statesMade };
  if (checked.size >= CHECKED_MAX) checked.clear();
  checked.set(key, result);
  return result;
}

/** A value against patterns written as literals. `undefined`: reported. */
export function lowerRegex(
  context: LowerContext,
  operand: Operand,
  expressions: readonly Expression[],
  folded: boolean,
): ConditionNode | undefined {
  const options: RegexOptions = { folded, flavour: context.dialect === "endgame" ? "endgame" : "lucene" };
  const patterns: string[] = [];
  const tables: RegexTable[] = [];
  let sound = true;
  for (const expression of expressions) {
    if (expression.kind !== "literal" || typeof expression.value !== "string") {
      fail(context, "constant-expected", "A regular expression must be a string literal", expression);
      sound = false;
      continue;
    }
    const pattern = options.flavour === "endgame" ? withoutLazyQuantifiers(expression.value) : expression.value;
    const result = withinBudget(context.regexBudget, () => check(pattern, options));
    if (result === undefined) {
      fail(context, "too-many-regexes", TOO_MANY_REGEXES, expression);
      return undefined;
    }
    if (result.kind === "failed") {
      context.diagnostics.error("invalid-regex", result.error.message, rangeInside(expression, pattern, result.error));
      sound = false;
      continue;
    }
    for (const warning of result.warnings) {
      context.diagnostics.warning("regex-operator", warning.message, rangeInside(expression, pattern, warning));
    }
    const compiled = compileRegex(pattern, options);
    if (compiled.kind === "failed") throw new Error(`Assertion failed: pattern ${JSON.stringify(pattern)} was accepted`);
    patterns.push(pattern);
    tables.push(compiled.table);
  }
  return sound ? condition(context, context.builder.regex({ value: operand.value, patterns, tables, ...options })) : undefined;
}

/** Where in the query an issue of a pattern is: exactly, when the literal is written without escapes; else the whole literal. */
function rangeInside(literal: LiteralExpression, pattern: string, issue: RegexIssue): Range {
  const quotes = (literal.to - literal.from - pattern.length) / 2;
  if (pattern !== literal.value || (quotes !== 1 && quotes !== 3) || issue.to <= issue.from) return literal;
  return { from: literal.from + quotes + issue.from, to: literal.from + quotes + issue.to };
}
