// Comparisons and sets: brings both sides to one type, or says why they have none in common.
import { canonicalAddress } from "./address.ts";
import type { ComparisonExpression } from "./ast.ts";
import { dateOfMs, parseDate } from "./dates.ts";
import { quoted, type Range } from "./diagnostics.ts";
import type { CompareOperator, ConditionNode, ConstantValue, ValueNode } from "./ir.ts";
import { condition, fail, fieldNode, type LowerContext, value } from "./lower-context.ts";
import { describe, isNullLiteral, isNumeric, type Operand } from "./operand.ts";
import { hasWildcard, readPattern } from "./patterns.ts";

const OPERATORS: Readonly<Record<ComparisonExpression["operator"], CompareOperator>> = {
  "==": "eq",
  "!=": "eq",
  "<": "lt",
  "<=": "le",
  ">": "gt",
  ">=": "ge",
};
const MIRRORED: Readonly<Record<CompareOperator, CompareOperator>> = { eq: "eq", lt: "gt", le: "ge", gt: "lt", ge: "le" };

/** `left operator right`. `undefined`: reported. */
export function lowerComparison(
  context: LowerContext,
  operator: ComparisonExpression["operator"],
  left: Operand,
  right: Operand,
): ConditionNode | undefined {
  const { builder } = context;
  const equality = operator === "==" || operator === "!=";
  let result: ConditionNode | undefined;
  if (isNullLiteral(left) || isNullLiteral(right)) {
    result = equality ? lowerPresence(context, isNullLiteral(right) ? left : right) : builder.truth(null);
  } else if (equality) {
    result = lowerEquality(context, left, right);
  } else {
    result = lowerOrder(context, OPERATORS[operator], left, right);
  }
  return result !== undefined && operator === "!=" ? builder.not(result) : result;
}

/** Whether an operand is missing; an object is when all its fields are. */
export function lowerPresence(context: LowerContext, operand: Operand): ConditionNode {
  const { builder } = context;
  if (operand.object === undefined) return condition(context, builder.isNull(operand.value));
  const { fields, step } = operand.object;
  return builder.and(fields.map((field) => builder.isNull(fieldNode(context, field, { step }))));
}

/** `left == right` in the context's dialect. */
function lowerEquality(context: LowerContext, left: Operand, right: Operand): ConditionNode | undefined {
  if (context.dialect === "endgame") {
    for (const [subject, pattern] of [
      [left, right],
      [right, left],
    ] as const) {
      const text = pattern.literal?.value;
      if (typeof text !== "string" || !hasWildcard(text, false) || subject.value.type !== "string") continue;
      return condition(context, context.builder.like(subject.value, [readPattern(text, false)], context.foldsCase));
    }
  }
  const pair = unify(context, left, right, "eq");
  return pair === undefined ? undefined : compare(context, "eq", pair, context.foldsCase);
}

function lowerOrder(context: LowerContext, operator: CompareOperator, left: Operand, right: Operand): ConditionNode | undefined {
  const pair = unify(context, left, right, "order");
  if (pair === undefined) return undefined;
  if (pair.left.type === "bool")
    return fail(context, "type-mismatch", "Booleans have no order, compare them with == or !=", spanning(left, right));
  return compare(context, operator, pair, context.foldsCase);
}

interface Pair {
  readonly left: ValueNode;
  readonly right: ValueNode;
}

function compare(context: LowerContext, operator: CompareOperator, { left, right }: Pair, folded: boolean): ConditionNode {
  const mirrored = left.kind === "const" && right.kind !== "const";
  return condition(
    context,
    context.builder.compare({
      operator: mirrored ? MIRRORED[operator] : operator,
      left: mirrored ? right : left,
      right: mirrored ? left : right,
      folded: folded && left.type === "string",
    }),
  );
}

/** `operand in (…)`: constants of one type become one set. Null members make a miss null. */
export function lowerSet(context: LowerContext, operand: Operand, members: readonly Operand[], folded: boolean): ConditionNode | undefined {
  const { builder } = context;
  const sets = new Map<ValueNode, ConstantValue[]>();
  const others: ConditionNode[] = [];
  let sound = true;
  for (const member of members) {
    if (member.value.kind === "null") {
      others.push(builder.truth(null));
      continue;
    }
    const pair = unify(context, operand, member, "eq");
    if (pair === undefined) sound = false;
    else if (pair.right.kind === "const" && pair.left.kind !== "const") {
      const constants = sets.get(pair.left);
      if (constants === undefined) sets.set(pair.left, [pair.right.value]);
      else constants.push(pair.right.value);
    } else others.push(compare(context, "eq", pair, folded));
  }
  if (!sound) return undefined;
  const atoms = [...sets].map(([subject, constants]) => {
    const distinct = new Set(constants);
    const foldedText = folded && subject.type === "string";
    if (distinct.size > 1) return condition(context, builder.in(subject, [...distinct], foldedText));
    return compare(context, "eq", { left: subject, right: builder.constant(subject.type, constants[0]!) }, foldedText);
  });
  return builder.or([...atoms, ...others]);
}

/** Both sides in one type. A null side makes any pair sound: the comparison is null whatever the types. */
function unify(context: LowerContext, left: Operand, right: Operand, purpose: "eq" | "order"): Pair | undefined {
  if (left.value.kind === "null" || right.value.kind === "null") {
    const nothing = context.builder.nullValue("string");
    return { left: nothing, right: nothing };
  }
  const dates = unifyDates(context, left, right);
  if (dates !== "no dates") return dates;
  if (left.value.type === right.value.type) {
    return { left: canonical(context, left, right), right: canonical(context, right, left) };
  }
  if (isNumeric(left) && isNumeric(right)) return unifyNumbers(context, left.value, right.value);
  const rightLiteral = right.literal !== undefined ? unifyLiteral(context, left, right, purpose) : undefined;
  if (rightLiteral !== undefined) return rightLiteral;
  const leftLiteral = left.literal !== undefined ? unifyLiteral(context, right, left, purpose) : undefined;
  if (leftLiteral !== undefined) return { left: leftLiteral.right, right: leftLiteral.left };
  return fail(context, "type-mismatch", `Cannot compare ${describe(left)} with ${describe(right)}`, spanning(left, right));
}

/** An address literal beside an address field, in the spelling that fields hold. */
function canonical(context: LowerContext, operand: Operand, other: Operand): ValueNode {
  const text = operand.literal?.value;
  if (other.field?.type !== "ip" || typeof text !== "string") return operand.value;
  return context.builder.constant("string", canonicalAddress(text) ?? text);
}

function unifyDates(context: LowerContext, left: Operand, right: Operand): Pair | undefined | "no dates" {
  const [date, other] = left.field?.type === "date" ? [left, right] : [right, left];
  if (date.field?.type !== "date" || other.literal === undefined) return "no dates";
  const { value: literal } = other.literal;
  const nanoseconds = typeof literal === "string" ? parseDate(literal) : typeof literal === "bigint" ? dateOfMs(literal) : undefined;
  if (nanoseconds === undefined) {
    const message = `Cannot compare ${describe(date)} with ${describe(other)}, write an ISO date such as "2025-01-31T12:00:00Z"`;
    return fail(context, "invalid-date", message, other);
  }
  const constant = context.builder.constant("int", nanoseconds);
  return date === left ? { left: left.value, right: constant } : { left: constant, right: right.value };
}

/** Integers with decimals meet as decimals; whatever meets a number known only at run time becomes one too. */
export function unifyNumbers(context: LowerContext, left: ValueNode, right: ValueNode): Pair {
  const target = left.type === "number" || right.type === "number" ? "number" : left.type === right.type ? left.type : "float";
  const to = (node: ValueNode): ValueNode => {
    if (node.type === target) return node;
    // An integer literal beyond i64 is a number already, see literalOperand.
    if (target === "float") return value(context, context.builder.convert("intToFloat", node));
    return value(context, context.builder.convert(node.type === "int" ? "intToNumber" : "floatToNumber", node));
  };
  return { left: to(left), right: to(right) };
}

/** A literal of another type than the value beside it: text that holds a number or boolean, and the reverse. */
function unifyLiteral(context: LowerContext, subject: Operand, literal: Operand, purpose: "eq" | "order"): Pair | undefined {
  const { builder } = context;
  const { value: constant, text } = literal.literal!;
  if (subject.value.type === "string" && subject.literal === undefined) {
    if (purpose === "order" && typeof constant !== "boolean" && isNumeric(literal)) {
      const parsed = value(context, builder.call("parseNumber", [subject.value, builder.constant("int", 0n)]));
      return unifyNumbers(context, parsed, literal.value);
    }
    // Only fields: a computed string against a number is a mistake, a keyword field may well hold numbers.
    if (purpose === "eq" && subject.field !== undefined) return { left: subject.value, right: builder.constant("string", text) };
    return undefined;
  }
  if (typeof constant !== "string" || subject.literal !== undefined) return undefined;
  if (subject.value.type === "bool") {
    if (constant !== "true" && constant !== "false") return undefined;
    return { left: subject.value, right: builder.constant("bool", constant === "true") };
  }
  return unifyNumericText(context, subject, constant);
}

function unifyNumericText(context: LowerContext, subject: Operand, text: string): Pair | undefined {
  const { builder } = context;
  const number = value(context, builder.call("parseNumber", [builder.constant("string", text), builder.constant("int", 0n)]));
  if (number.kind !== "const" || (typeof number.value !== "bigint" && typeof number.value !== "number")) return undefined;
  const typed = builder.constant(typeof number.value === "bigint" ? "int" : "float", number.value);
  return unifyNumbers(context, subject.value, typed);
}

function spanning(left: Operand, right: Operand): Range {
  return { from: Math.min(left.from, right.from), to: Math.max(left.to, right.to) };
}

/** Wildcard patterns on one value. Patterns without a wildcard are plain equality. */
export function lowerPatterns(
  context: LowerContext,
  operand: Operand,
  texts: readonly string[],
  options: { readonly folded: boolean; readonly questionMark: boolean },
): ConditionNode {
  const { builder } = context;
  const { folded, questionMark } = options;
  const isAddress = operand.field?.type === "ip";
  const plain = texts
    .filter((text) => !hasWildcard(text, questionMark))
    .map((text) => (isAddress ? (canonicalAddress(text) ?? text) : text));
  const wild = texts.filter((text) => hasWildcard(text, questionMark)).map((text) => readPattern(text, questionMark));
  const atoms: ConditionNode[] = [];
  if (plain.length === 1) {
    const right = builder.constant("string", plain[0]!);
    atoms.push(condition(context, builder.compare({ operator: "eq", left: operand.value, right, folded })));
  } else if (plain.length > 1) atoms.push(condition(context, builder.in(operand.value, plain, folded)));
  if (wild.length > 0) atoms.push(condition(context, builder.like(operand.value, wild, folded)));
  return builder.or(atoms);
}

/** The operand as text for a pattern. `undefined`: reported. */
export function textOperand(context: LowerContext, operand: Operand, what: string): Operand | undefined {
  if (operand.value.kind === "null" || operand.value.type === "string") return operand;
  const hint = operand.field === undefined ? "" : `, use == or string(${quoted(operand.field.name).slice(1, -1)})`;
  return fail(context, "type-mismatch", `${what} needs a string, not ${describe(operand)}${hint}`, operand);
}
