// A value in the middle of lowering: its node, and what it was written as, which decides how it may be compared.
import type { FieldDefinition } from "#schema";
import type { LiteralExpression } from "./ast.ts";
import { quoted, type Range } from "./diagnostics.ts";
import type { ValueNode } from "./ir.ts";

/** A lowered value. */
export interface Operand extends Range {
  readonly value: ValueNode;
  /** Set when the value is a literal. */
  readonly literal?: LiteralExpression;
  /** Set when the value is a field or one element of it. */
  readonly field?: FieldDefinition;
  /** Set when the name stands for an object: the fields below it. The value is then null and of no use. */
  readonly object?: ObjectPath;
}

/** A name that is no field, but the beginning of fields' names. */
interface ObjectPath {
  readonly name: string;
  readonly fields: readonly FieldDefinition[];
  /** Of which event it is: undefined means the one at hand, see EarlierNode. */
  readonly step: number | undefined;
}

/** How messages name an operand: what it is and of which type. */
export function describe(operand: Operand): string {
  if (operand.object !== undefined) return `"${operand.object.name}" (an object)`;
  if (operand.field !== undefined) return `"${operand.field.name}" (${operand.field.type})`;
  if (operand.literal !== undefined) {
    const { value, text } = operand.literal;
    return typeof value === "string"
      ? `the string ${quoted(value)}`
      : `${typeof value === "boolean" ? "the boolean" : "the number"} ${text}`;
  }
  return `a value of type ${TYPE_WORDS[operand.value.type]}`;
}

const TYPE_WORDS: Readonly<Record<ValueNode["type"], string>> = {
  bool: "boolean",
  int: "integer",
  float: "decimal",
  number: "number",
  string: "string",
};

/** Whether the literal null itself was written. */
export function isNullLiteral(operand: Operand): boolean {
  return operand.literal !== undefined && operand.literal.value === null;
}

/** Whether the operand counts, in arithmetic and order. */
export function isNumeric(operand: Operand): boolean {
  const { type } = operand.value;
  return type === "int" || type === "float" || type === "number";
}
