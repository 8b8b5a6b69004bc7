// The value types a field can have and how they look in TypeScript. Data only.

/** Declared type of a field. `keyword[]` is a field whose usual value is a list; any other field may still carry several values. */
export type FieldType = "keyword" | "keyword[]" | "i64" | "u64" | "f64" | "bool" | "ip" | "date";

/** Every {@link FieldType}, in the order used by documents and error messages. */
export const FIELD_TYPES: readonly FieldType[] = ["keyword", "keyword[]", "i64", "u64", "f64", "bool", "ip", "date"];

/** One value of a field. `i64`, `u64` and `date` (nanoseconds since 1970) are bigint; `f64` is number; `keyword` and `ip` are string. */
export type Scalar = string | bigint | number | boolean;

/** A field's value as an event holds it: one scalar, or a non-empty list of scalars of one type. */
export type FieldValue = Scalar | readonly Scalar[];

/** What an evaluator needs from an event: its category and its fields by id. `undefined` means the field is missing. */
export interface FieldReader {
  /** Category id, see {@link CategoryTable}. */
  readonly category: number;
  /** Value of the field with this id. */
  value(fieldId: number): FieldValue | undefined;
}
