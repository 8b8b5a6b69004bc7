// Join keys: plain fields where possible, else expressions; checked for what they are and, across steps, for types that can never be equal.
import type { KeyPart } from "#schema";
import type { Expression, FieldExpression } from "./ast.ts";
import { quoted, type Range } from "./diagnostics.ts";
import type { ValueNode } from "./ir.ts";
import { lowerOperand } from "./lower.ts";
import { fail, type LowerContext } from "./lower-context.ts";
import { describe, isNumeric, type Operand } from "./operand.ts";

/** Most parts of a join key. */
const KEYS_MAX = 32;

/** One lowered part of a key. */
export interface LoweredKey extends Range {
  readonly part: KeyPart;
  readonly operand: Operand;
}

/** Lowers the keys of one `by`. Keys with errors are left out; they have been reported. */
export function lowerKeys(keys: readonly Expression[], context: LowerContext): readonly LoweredKey[] {
  if (keys.length > KEYS_MAX) fail(context, "too-many-keys", `More than ${KEYS_MAX} join keys`, keys[KEYS_MAX]!);
  return keys.slice(0, KEYS_MAX).flatMap((key) => {
    const lowered = lowerKey(key, context);
    return lowered === undefined ? [] : [lowered];
  });
}

function lowerKey(key: Expression, context: LowerContext): LoweredKey | undefined {
  const { dialect, text } = context;
  const { from, to } = key;
  if (key.kind === "invalid") return undefined;
  const endgame = dialect === "endgame";
  if (key.kind === "literal") {
    const hint = typeof key.value === "string" ? ", write it without quotes" : "";
    return fail(context, "key-not-field", `A join key is a field, not ${text.slice(from, to)}${hint}`, key);
  }
  if (!isPlainField(key) && !endgame) {
    const hint = "compare computed values in the later step instead, with a name for the earlier one ([ … ] as event0)";
    return fail(context, "key-not-field", `A join key is a field, not ${quoted(text.slice(from, to))}; ${hint}`, key);
  }
  const operand = lowerOperand(key, context);
  if (operand === undefined) return undefined;
  const { value } = operand;
  if (value.kind === "const") {
    return fail(context, "key-not-field", `A join key is a field, not the constant ${quoted(text.slice(from, to))}`, key);
  }
  if (value.stateful) return fail(context, "key-not-field", "A join key cannot depend on other events", key);
  const fieldId = value.kind === "field" ? value.fieldId : undefined;
  const optional = key.kind === "field" && key.optional;
  const part = {
    text: text.slice(from, to),
    fieldId,
    expression: fieldId === undefined ? { node: value } : undefined,
    nullJoins: endgame || optional,
  };
  return { part, operand, from, to };
}

function isPlainField(key: Expression): key is FieldExpression {
  return key.kind === "field" && !key.variable;
}

/** Warns of keys in the same place of different steps that hold text in one and numbers in the other: they never join. */
export function checkKeyTypes(keys: readonly (readonly LoweredKey[])[], context: LowerContext): void {
  const [first = [], ...others] = keys;
  for (const step of others) {
    for (const [index, key] of step.entries()) {
      const expected = first[index];
      if (expected === undefined || typeClass(expected.operand) === typeClass(key.operand)) continue;
      if ([expected.operand.value, key.operand.value].some(isNever)) continue;
      const message = `${describe(key.operand)} never equals ${describe(expected.operand)}, these steps never join`;
      context.diagnostics.warning("key-types", message, key);
    }
  }
}

function typeClass(operand: Operand): "number" | "text" | "boolean" {
  if (isNumeric(operand)) return "number";
  return operand.value.type === "bool" ? "boolean" : "text";
}

function isNever(value: ValueNode): boolean {
  return value.kind === "null";
}
