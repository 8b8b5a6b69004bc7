// JSON values to field values, for the rare shapes the decoder does not read in place: lists of numbers, lists of objects.
import { EntryType, type FieldDefinition, type Scalar, type SchemaRegistry } from "#schema";
import { entryTypeOf } from "./builder.ts";
import { parseDate } from "./date.ts";
import type { JsonValue } from "./exact-json.ts";
import { canonicalIp } from "./ip.ts";

/** A field and the values that a list of objects holds for it. */
export interface FlattenedField extends Pick<FieldDefinition, "id" | "type"> {
  readonly values: readonly Scalar[];
}

/** A JSON value as a scalar of this type; `undefined` when it does not fit. Text that spells a number or boolean counts as one. */
export function scalarOf(type: EntryType, value: unknown): Scalar | undefined {
  switch (type) {
    case EntryType.Keyword:
      return typeof value === "string" ? value : isPlain(value) ? String(value) : undefined;
    case EntryType.I64:
      return inRange(integerOf(value), -(1n << 63n), (1n << 63n) - 1n);
    case EntryType.U64:
      return inRange(integerOf(value), 0n, (1n << 64n) - 1n);
    case EntryType.F64: {
      const number =
        typeof value === "string" ? (NUMBER.test(value) ? Number(value) : Number.NaN) : isNumeric(value) ? Number(value) : Number.NaN;
      return Number.isFinite(number) ? number : undefined;
    }
    case EntryType.Bool:
      return typeof value === "boolean" ? value : value === "true" ? true : value === "false" ? false : undefined;
    case EntryType.Ip:
      return typeof value === "string" ? canonicalIp(value) : undefined;
    case EntryType.Date:
      if (typeof value === "string") return parseDate(value);
      return typeof value === "number" && Number.isSafeInteger(value)
        ? inRange(BigInt(value) * 1_000_000n, -(1n << 63n), (1n << 63n) - 1n)
        : undefined;
  }
}

/**
 * The known fields inside a list of objects that stands under `name`, each with all its values in order. Nested lists are walked too. A field
 * whose name holds positions, `name.0.key`, gets the values of that object alone.
 */
export function flattenObjects(list: readonly JsonValue[], name: string, registry: SchemaRegistry): readonly FlattenedField[] {
  const found = new Map<string, { field: FieldDefinition; values: Scalar[] }>();
  const take = (value: JsonValue, path: string): void => {
    const field = found.get(path)?.field ?? registry.byName(path);
    const scalar = field === undefined ? undefined : scalarOf(entryTypeOf(field.type), value);
    if (field === undefined || scalar === undefined) return;
    const entry = found.get(path) ?? { field, values: [] };
    entry.values.push(scalar);
    found.set(path, entry);
  };
  // `names`: without positions, with that of the outermost list, and so on to the innermost.
  const walk = (value: JsonValue, names: readonly string[]): void => {
    if (Array.isArray(value)) {
      for (const [position, item] of (value as readonly JsonValue[]).entries()) {
        walk(item, typeof item === "object" && item !== null ? [...names, `${names.at(-1)}.${position}`] : names);
      }
    } else if (typeof value === "object" && value !== null) {
      for (const [key, item] of Object.entries(value)) {
        walk(
          item,
          names.map((path) => `${path}.${key}`),
        );
      }
    } else if (names[0] !== name) {
      for (const path of names) take(value, path);
    }
  };
  walk(list, [name]);
  return [...found.values()].map(({ field, values }) => ({ id: field.id, type: field.type, values }));
}

const NUMBER = /^-?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?$/;
const INTEGER = /^-?\d{1,40}$/;

function isNumeric(value: unknown): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

function isPlain(value: unknown): value is number | bigint | boolean {
  return isNumeric(value) || typeof value === "boolean";
}

function integerOf(value: unknown): bigint | undefined {
  if (typeof value === "bigint") return value;
  if (typeof value === "number") return Number.isInteger(value) ? BigInt(value) : undefined;
  if (typeof value !== "string") return undefined;
  if (INTEGER.test(value)) return BigInt(value);
  const number = NUMBER.test(value) ? Number(value) : Number.NaN;
  return Number.isSafeInteger(number) ? BigInt(number) : undefined;
}

function inRange(value: bigint | undefined, min: bigint, max: bigint): bigint | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined;
}
