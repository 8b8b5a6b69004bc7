// Syntax to IR: resolves names, gives everything a type, turns both dialects into one meaning. Whatever is wrong is reported where it stands
// and stands for null from there on, so that one mistake gives one message and the rest is still checked.
import type { CallExpression, Expression, LiteralExpression, MembershipExpression } from "./ast.ts";
import { unreachable } from "./ast.ts";
import { DiagnosticList, quoted } from "./diagnostics.ts";
import type { ConditionNode } from "./ir.ts";
import { lowerArithmetic } from "./lower-arithmetic.ts";
import { lowerComparison, lowerPatterns, lowerPresence, lowerSet, textOperand } from "./lower-compare.ts";
import { type CallResult, constantOperand, fail, type LowerContext, type Lowering, value } from "./lower-context.ts";
import { lowerField } from "./lower-field.ts";
import { lowerCall } from "./lower-functions.ts";
import { lowerRegex } from "./lower-regex.ts";
import { describe, type Operand } from "./operand.ts";
import { hasWildcard } from "./patterns.ts";

const I64_MAX = (1n << 63n) - 1n;
const I64_MIN = -(1n << 63n);

const LOWERING: Lowering = { condition: lowerCondition, operand: lowerOperand, operandOrObject };

/** Lowers an expression that decides something. Where it is wrong, null, and the diagnostics say why. */
export function lowerCondition(expression: Expression, context: LowerContext): ConditionNode {
  return tryCondition(expression, context) ?? context.builder.truth(null);
}

function tryCondition(expression: Expression, context: LowerContext): ConditionNode | undefined {
  const { builder } = context;
  switch (expression.kind) {
    case "and":
      return builder.and(expression.operands.map((operand) => lowerCondition(operand, context)));
    case "or":
      return builder.or(expression.operands.map((operand) => lowerCondition(operand, context)));
    case "not":
      return builder.not(lowerCondition(expression.operand, context));
    case "comparison": {
      const left = operandOrObject(expression.left, context);
      const right = operandOrObject(expression.right, context);
      if (left === undefined || right === undefined) return undefined;
      const tested = isNullTest(expression.left) || isNullTest(expression.right);
      const misused = [left, right].find((operand) => operand.object !== undefined);
      if (misused !== undefined && !tested) return objectMisused(context, misused);
      return lowerComparison(context, expression.operator, left, right);
    }
    case "membership":
      return lowerMembership(expression, context);
    case "lineage":
      return context.lineage(expression, context);
    case "call": {
      const result = lowerCallExpression(expression, context);
      if (result === undefined || result.kind === "condition") return result?.condition;
      return truthOf({ value: result.value, from: expression.from, to: expression.to }, context);
    }
    case "literal":
      if (expression.value === null || typeof expression.value === "boolean") return builder.truth(expression.value);
      return conditionExpected(context, { value: builder.nullValue("int"), literal: expression, from: expression.from, to: expression.to });
    case "field":
    case "arithmetic":
    case "negate": {
      const operand = operandOrObject(expression, context);
      return operand === undefined ? undefined : truthOf(operand, context);
    }
    case "invalid":
      return undefined;
    default:
      return unreachable(expression);
  }
}

function isNullTest(expression: Expression): boolean {
  return expression.kind === "literal" && expression.value === null;
}

/** A value in the place of a condition: a boolean itself; in the Endgame dialect anything that is there. */
function truthOf(operand: Operand, context: LowerContext): ConditionNode | undefined {
  const { builder } = context;
  if (context.dialect === "endgame" && (operand.object !== undefined || operand.value.type !== "bool")) {
    return builder.not(lowerPresence(context, operand));
  }
  if (operand.object !== undefined) return objectMisused(context, operand);
  if (operand.value.kind === "null") return builder.truth(null);
  if (operand.value.type !== "bool") return conditionExpected(context, operand);
  if (operand.value.kind === "const") return builder.truth(operand.value.value === true);
  return builder.compare({ operator: "eq", left: operand.value, right: builder.constant("bool", true), folded: false });
}

function conditionExpected(context: LowerContext, operand: Operand): undefined {
  const hint = operand.field === undefined ? "" : `, compare it, or test its presence with ${operand.field.name} != null`;
  return fail(context, "condition-expected", `Expected a condition, found ${describe(operand)}${hint}`, operand);
}

function objectMisused(context: LowerContext, operand: Operand): undefined {
  const { name, fields } = operand.object!;
  const example = fields[0] === undefined ? "" : `, name one of its fields, for example ${quoted(fields[0].name)}`;
  return fail(context, "object-as-value", `"${name}" is an object, not a value${example}`, operand);
}

function lowerMembership(expression: MembershipExpression, context: LowerContext): ConditionNode | undefined {
  const folded = context.foldsCase || expression.insensitive;
  const operand = lowerOperand(expression.left, context);
  let result: ConditionNode | undefined;
  switch (expression.operator) {
    case "in": {
      const members = expression.items.map((item) => lowerOperand(item, context));
      if (operand === undefined || members.includes(undefined)) return undefined;
      result = lowerSet(context, operand, members as readonly Operand[], folded);
      break;
    }
    case "like":
    case "regex": {
      if (operand === undefined) return undefined;
      const patterns = expression.items.filter((item) => !isNullTest(item));
      const written = { ...expression, items: patterns };
      result =
        expression.operator === "like" ? lowerLike(written, operand, context, folded) : lowerRegexes(written, operand, context, folded);
      // A null pattern makes a miss null, as a null member of a list does.
      if (result !== undefined && patterns.length < expression.items.length)
        result = context.builder.or([result, context.builder.truth(null)]);
      break;
    }
    case ":":
      result = operand === undefined ? undefined : lowerColon(expression, operand, context);
      break;
    default:
      return unreachable(expression.operator);
  }
  return result !== undefined && expression.negated ? context.builder.not(result) : result;
}

function lowerRegexes(
  expression: MembershipExpression,
  operand: Operand,
  context: LowerContext,
  folded: boolean,
): ConditionNode | undefined {
  if (textOperand(context, operand, "regex") === undefined) return undefined;
  return expression.items.length === 0 ? context.builder.truth(false) : lowerRegex(context, operand, expression.items, folded);
}

function lowerLike(expression: MembershipExpression, operand: Operand, context: LowerContext, folded: boolean): ConditionNode | undefined {
  const texts: string[] = [];
  let sound = textOperand(context, operand, expression.operator) !== undefined;
  for (const item of expression.items) {
    if (item.kind === "literal" && typeof item.value === "string") texts.push(item.value);
    else {
      fail(context, "constant-expected", `A pattern of ${expression.operator} must be a string literal`, item);
      sound = false;
    }
  }
  return sound ? lowerPatterns(context, operand, texts, { folded, questionMark: context.dialect === "default" }) : undefined;
}

/** `value : item`: texts are patterns, numbers and booleans are compared. */
function lowerColon(expression: MembershipExpression, operand: Operand, context: LowerContext): ConditionNode | undefined {
  const questionMark = context.dialect === "default";
  const texts: string[] = [];
  const others: Operand[] = [];
  for (const item of expression.items) {
    if (item.kind !== "literal")
      return fail(context, "constant-expected", "The right side of : must be a literal or a list of them, compare values with ==", item);
    const isText = typeof item.value === "string";
    const asNumber = operand.value.type !== "string" && operand.value.kind !== "null";
    if (isText && !(asNumber && !hasWildcard(item.text, questionMark))) texts.push(item.text);
    else {
      const other = lowerOperand(item, context);
      if (other === undefined) return undefined;
      others.push(other);
    }
  }
  const conditions: ConditionNode[] = [];
  if (texts.length > 0) {
    if (textOperand(context, operand, ":") === undefined) return undefined;
    conditions.push(lowerPatterns(context, operand, texts, { folded: true, questionMark }));
  }
  if (others.length > 0) {
    const set = lowerSet(context, operand, others, true);
    if (set === undefined) return undefined;
    conditions.push(set);
  }
  return context.builder.or(conditions);
}

/** Lowers an expression that has a value. `undefined`: reported. */
export function lowerOperand(expression: Expression, context: LowerContext): Operand | undefined {
  const operand = operandOrObject(expression, context);
  return operand?.object === undefined ? operand : objectMisused(context, operand);
}

function operandOrObject(expression: Expression, context: LowerContext): Operand | undefined {
  const { from, to } = expression;
  switch (expression.kind) {
    case "literal":
      return lowerLiteral(expression, context);
    case "field":
      return lowerField(expression, context);
    case "arithmetic": {
      let left = lowerOperand(expression.first, context);
      for (const { operator, operand } of expression.rest) {
        const right = lowerOperand(operand, context);
        if (left === undefined || right === undefined) left = undefined;
        else {
          const result = lowerArithmetic(context, operator, left, right);
          left = result === undefined ? undefined : { value: result, from, to: operand.to };
        }
      }
      return left;
    }
    case "negate": {
      const operand = lowerOperand(expression.operand, context);
      if (operand === undefined) return undefined;
      const result = lowerArithmetic(context, "-", constantOperand(context, "int", 0n, expression), operand);
      return result === undefined ? undefined : { value: result, from, to };
    }
    case "call": {
      const result = lowerCallExpression(expression, context);
      if (result === undefined) return undefined;
      if (result.kind === "value") return { value: result.value, from, to };
      return { value: value(context, context.builder.truthValue(result.condition)), from, to };
    }
    case "invalid":
      return undefined;
    default: {
      const condition = tryCondition(expression, context);
      return condition === undefined ? undefined : { value: value(context, context.builder.truthValue(condition)), from, to };
    }
  }
}

function lowerLiteral(literal: LiteralExpression, context: LowerContext): Operand | undefined {
  const { from, to, value: constant } = literal;
  const { builder } = context;
  switch (typeof constant) {
    case "boolean":
      return { value: builder.constant("bool", constant), literal, from, to };
    case "number":
      return { value: builder.constant("float", constant), literal, from, to };
    case "string":
      return { value: builder.constant("string", constant), literal, from, to };
    case "bigint":
      if (constant < I64_MIN) return fail(context, "number-too-large", `Integer ${literal.text} does not fit in 64 bits`, literal);
      // Above i64 only a u64 field can equal it; `number` knows both.
      return { value: builder.constant(constant > I64_MAX ? "number" : "int", constant), literal, from, to };
    default:
      return { value: builder.nullValue("string"), literal, from, to };
  }
}

function lowerCallExpression(call: CallExpression, context: LowerContext): CallResult {
  if (context.dialect === "endgame" && call.name.toLowerCase() === "safe" && call.operands.length === 1) return lowerSafe(call, context);
  return lowerCall({ call, context, lowering: LOWERING, folded: context.foldsCase || call.insensitive });
}

/** Endgame's `safe(…)`: its argument, or null where that makes no sense. */
function lowerSafe(call: CallExpression, context: LowerContext): CallResult {
  const attempt = { ...context, diagnostics: new DiagnosticList("") };
  const operand = lowerOperand(call.operands[0]!, attempt);
  const sound = operand !== undefined && !attempt.diagnostics.hasError;
  return { kind: "value", value: sound ? operand.value : context.builder.nullValue("bool") };
}
