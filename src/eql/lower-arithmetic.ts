// Arithmetic: picks the flavour (integer, decimal, number) from the operands' types and the rounding from the dialect.
import type { ArithmeticOperator, ValueNode } from "./ir.ts";
import { unifyNumbers } from "./lower-compare.ts";
import { fail, type LowerContext, value } from "./lower-context.ts";
import { describe, isNumeric, type Operand } from "./operand.ts";

const TRUNCATING: Readonly<Record<string, ArithmeticOperator>> = {
  "+": "add",
  "-": "subtract",
  "*": "multiply",
  "/": "divide",
  "%": "modulo",
};
const FLOORING: Readonly<Record<string, ArithmeticOperator>> = { ...TRUNCATING, "/": "floorDivide", "%": "floorModulo" };

/** `left operator right`. `undefined`: reported. */
export function lowerArithmetic(
  context: LowerContext,
  operator: "+" | "-" | "*" | "/" | "%",
  left: Operand,
  right: Operand,
): ValueNode | undefined {
  let sound = true;
  for (const operand of [left, right]) {
    if (operand.value.kind === "null" || isNumeric(operand)) continue;
    const hint = operand.value.type === "string" ? ", convert it with number()" : "";
    fail(context, "type-mismatch", `Operator ${operator} needs numbers, not ${describe(operand)}${hint}`, operand);
    sound = false;
  }
  if (!sound) return undefined;
  const divides = operator === "/" || operator === "%";
  if (divides && right.value.kind === "const" && Number(right.value.value) === 0) {
    return fail(context, "division-by-zero", `Division by zero: the right side of ${operator} is always 0`, right);
  }
  if (left.value.kind === "null" || right.value.kind === "null") return context.builder.nullValue("int");
  const pair = unifyNumbers(context, left.value, right.value);
  const type = pair.left.type === "int" || pair.left.type === "float" ? pair.left.type : "number";
  const table = context.dialect === "endgame" ? FLOORING : TRUNCATING;
  return value(context, context.builder.arithmetic({ type, operator: table[operator]!, ...pair }));
}
