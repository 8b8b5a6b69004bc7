// The reference evaluator: the executable definition of what the IR means. Simple and slow, with no code of the back ends in it; they are
// tested against it, and constant folding uses it. A value is its list of elements, exactly as ir.ts says.
import { CATEGORY_OTHER, CATEGORY_SEVERAL, type FieldReader, type Scalar } from "#schema";
import { blockContains, parseAddress } from "./address.ts";
import { unreachable } from "./ast.ts";
import type { ArithmeticNode, ConditionNode, ConstantValue, FieldNode, ValueNode, ValueType } from "./ir.ts";
import { callFunction, compareText, foldIf, matchesPattern, textOfFloat } from "./reference-functions.ts";
import { referenceRegex } from "./reference-regex.ts";

/** What an evaluation sees: the event, and the elements bound by the enclosing lambdas. */
export interface Scope {
  readonly event: FieldReader;
  readonly variables: readonly ConstantValue[];
  /** Last event of an earlier step; only residuals and pipes ask. */
  readonly earlier?: (step: number) => FieldReader | undefined;
  /** Truth of a lineage; only residuals ask. */
  readonly lineage?: (index: number) => boolean | null;
}

/** An event without category and fields. */
export const NO_EVENT: FieldReader = { category: 0, value: () => undefined };

const I64_MIN = -(1n << 63n);
const I64_MAX = (1n << 63n) - 1n;
const U64_MAX = (1n << 64n) - 1n;

/** Elements of a value; none is null. */
export function evaluateValue(node: ValueNode, scope: Scope): readonly ConstantValue[] {
  switch (node.kind) {
    case "const":
      return [node.value];
    case "null":
      return [];
    case "field":
      return fieldElements(node, scope.event);
    case "element":
      return fieldElements(node.field, scope.event).slice(node.index, node.index + 1);
    case "earlier": {
      const earlier = scope.earlier?.(node.step);
      const elements = earlier === undefined ? [] : fieldElements(node.field, earlier);
      return node.index === undefined ? elements : elements.slice(node.index, node.index + 1);
    }
    case "variable":
      return [scope.variables[node.index]!];
    case "arithmetic":
      return mapCombinations([node.left, node.right], scope, ([left, right]) => arithmetic(node, left!, right!));
    case "convert":
      return mapCombinations([node.value], scope, ([value]) => convert(node.conversion, value!));
    case "call":
      return mapCombinations(node.operands, scope, (operands) => callFunction(node.name, operands, node.folded));
    case "default": {
      const elements = evaluateValue(node.value, scope);
      return elements.length > 0 ? elements : evaluateValue(node.fallback, scope);
    }
    case "truthValue": {
      const truth = evaluateCondition(node.condition, scope);
      return truth === null ? [] : [truth];
    }
    case "arrayCount": {
      const elements = evaluateValue(node.array, scope);
      if (elements.length === 0) return [];
      const hits = elements.filter((element) => evaluateCondition(node.body, bind(scope, node.index, element)) === true);
      return [BigInt(hits.length)];
    }
    default:
      return unreachable(node);
  }
}

/** Truth of a condition; null is neither. */
export function evaluateCondition(node: ConditionNode, scope: Scope): boolean | null {
  switch (node.kind) {
    case "truth":
      return node.value;
    case "category": {
      const { category } = scope.event;
      if (category === node.categoryId && category !== CATEGORY_OTHER) return true;
      if (category !== CATEGORY_SEVERAL && category !== CATEGORY_OTHER) return false;
      return listOf(scope.event, node.fieldId).includes(node.name);
    }
    case "isNull":
      return evaluateValue(node.value, scope).length === 0;
    case "compare":
      return anyCombination([node.left, node.right], scope, ([left, right]) => {
        const order = compareElements(left!, right!, node.left.type, node.folded);
        switch (node.operator) {
          case "eq":
            return order === 0;
          case "lt":
            return order < 0;
          case "le":
            return order <= 0;
          case "gt":
            return order > 0;
          default:
            return order >= 0;
        }
      });
    case "in":
      return anyCombination([node.value], scope, ([value]) =>
        node.constants.some((constant) => compareElements(value!, constant, node.value.type, node.folded) === 0),
      );
    case "like":
      return anyCombination([node.value], scope, ([value]) =>
        node.patterns.some((pattern) => matchesPattern(String(value), pattern, node.folded)),
      );
    case "regex": {
      const tests = node.patterns.map((pattern) => referenceRegex(pattern, node));
      return anyCombination([node.value], scope, ([value]) => tests.some((test) => test(String(value))));
    }
    case "cidr":
      return anyCombination([node.value], scope, ([value]) => {
        const address = parseAddress(String(value));
        return address !== undefined && node.blocks.some((block) => blockContains(block, address));
      });
    case "textTest":
      return anyCombination([node.text, node.part], scope, ([text, part]) => {
        const whole = foldIf(node.folded, String(text));
        const piece = foldIf(node.folded, String(part));
        if (node.test === "startsWith") return whole.startsWith(piece);
        if (node.test === "endsWith") return whole.endsWith(piece);
        return whole.includes(piece) && (piece !== "" || node.test === "containsOrEmpty");
      });
    case "arraySearch":
      return anyOf(evaluateValue(node.array, scope).map((element) => evaluateCondition(node.body, bind(scope, node.index, element))));
    case "lineage":
      return scope.lineage?.(node.index) ?? null;
    case "not": {
      const operand = evaluateCondition(node.operand, scope);
      return operand === null ? null : !operand;
    }
    case "and": {
      const truths = node.operands.map((operand) => evaluateCondition(operand, scope));
      return truths.includes(false) ? false : truths.includes(null) ? null : true;
    }
    case "or": {
      const truths = node.operands.map((operand) => evaluateCondition(operand, scope));
      return truths.includes(true) ? true : truths.includes(null) ? null : false;
    }
    default:
      return unreachable(node);
  }
}

function bind(scope: Scope, index: number, element: ConstantValue): Scope {
  const variables = [...scope.variables];
  variables[index] = element;
  return { ...scope, variables };
}

function listOf(event: FieldReader, fieldId: number): readonly Scalar[] {
  const value = event.value(fieldId);
  if (value === undefined) return [];
  return typeof value === "object" ? value : [value];
}

function fieldElements(node: FieldNode, event: FieldReader): readonly ConstantValue[] {
  return listOf(event, node.fieldId).filter((element) => hasType(element, node.type));
}

/** Whether an entry holds what its field declares. */
export function hasType(element: Scalar, type: ValueType): boolean {
  switch (type) {
    case "bool":
      return typeof element === "boolean";
    case "int":
      return typeof element === "bigint" && element >= I64_MIN && element <= I64_MAX;
    case "number":
      return typeof element === "bigint" && element >= 0n && element <= U64_MAX;
    case "float":
      return typeof element === "number";
    case "string":
      return typeof element === "string";
    default:
      return unreachable(type);
  }
}

/** Every way to pick one element from each operand; none when an operand is null. */
function combinations(operands: readonly ValueNode[], scope: Scope): readonly (readonly ConstantValue[])[] {
  let rows: (readonly ConstantValue[])[] = [[]];
  for (const operand of operands) {
    const elements = evaluateValue(operand, scope);
    rows = rows.flatMap((row) => elements.map((element) => [...row, element]));
  }
  return rows;
}

function mapCombinations(
  operands: readonly ValueNode[],
  scope: Scope,
  apply: (row: readonly ConstantValue[]) => ConstantValue | null,
): readonly ConstantValue[] {
  return combinations(operands, scope)
    .map(apply)
    .filter((result) => result !== null);
}

function anyCombination(operands: readonly ValueNode[], scope: Scope, test: (row: readonly ConstantValue[]) => boolean): boolean | null {
  return anyOf(combinations(operands, scope).map(test));
}

function anyOf(truths: readonly (boolean | null)[]): boolean | null {
  return truths.includes(true) ? true : truths.includes(false) ? false : null;
}

/** Negative, zero, positive; NaN when a float is. */
function compareElements(left: ConstantValue, right: ConstantValue, type: ValueType, folded: boolean): number {
  if (type === "string") return compareText(foldIf(folded, String(left)), foldIf(folded, String(right)));
  const exact = typeof left === "bigint" && typeof right === "bigint";
  const a = exact ? left : Number(left);
  const b = exact ? right : Number(right);
  return a < b ? -1 : a > b ? 1 : a === b ? 0 : Number.NaN;
}

/** One arithmetic operation on two elements. */
export function arithmetic(node: ArithmeticNode, left: ConstantValue, right: ConstantValue): bigint | number | null {
  if (typeof left === "bigint" && typeof right === "bigint") {
    const fits = (value: bigint) => value >= I64_MIN && value <= I64_MAX;
    if (!fits(left) || !fits(right)) return null;
    const result = integerArithmetic(node.operator, left, right);
    return result !== null && fits(result) ? result : null;
  }
  // An integer that only u64 can hold takes no part in arithmetic, whatever stands on the other side.
  if ([left, right].some((value) => typeof value === "bigint" && value > I64_MAX)) return null;
  const result = floatArithmetic(node.operator, Number(left), Number(right));
  return Number.isFinite(result) ? result : null;
}

function integerArithmetic(operator: ArithmeticNode["operator"], left: bigint, right: bigint): bigint | null {
  switch (operator) {
    case "add":
      return left + right;
    case "subtract":
      return left - right;
    case "multiply":
      return left * right;
    default: {
      if (right === 0n) return null;
      const quotient = left / right;
      const remainder = left % right;
      if (operator === "divide") return quotient;
      if (operator === "modulo") return remainder;
      const roundsDown = remainder !== 0n && remainder < 0n !== right < 0n;
      if (operator === "floorDivide") return roundsDown ? quotient - 1n : quotient;
      return roundsDown ? remainder + right : remainder;
    }
  }
}

function floatArithmetic(operator: ArithmeticNode["operator"], left: number, right: number): number {
  switch (operator) {
    case "add":
      return left + right;
    case "subtract":
      return left - right;
    case "multiply":
      return left * right;
    case "divide":
    case "floorDivide":
      return left / right;
    case "modulo":
      return left % right;
    case "floorModulo": {
      const remainder = left % right;
      return remainder !== 0 && remainder < 0 !== right < 0 ? remainder + right : remainder;
    }
    default:
      return unreachable(operator);
  }
}

/** One conversion of an element. */
export function convert(
  conversion: Extract<ValueNode, { readonly kind: "convert" }>["conversion"],
  value: ConstantValue,
): ConstantValue | null {
  switch (conversion) {
    case "intToFloat":
      return Number(value);
    case "intToNumber":
    case "floatToNumber":
      return value;
    case "numberToInt":
      if (typeof value === "number") {
        // 2^63 itself is a float, i64's maximum is not.
        return Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 63 ? BigInt(value) : null;
      }
      return typeof value === "bigint" && value <= I64_MAX ? value : null;
    case "intToString":
    case "boolToString":
      return String(value);
    case "floatToString":
      return textOfFloat(Number(value));
    case "numberToString":
      return typeof value === "number" ? textOfFloat(value) : String(value);
    default:
      return unreachable(conversion);
  }
}
