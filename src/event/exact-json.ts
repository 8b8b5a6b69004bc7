// JSON text to values without losing digits: integers a double cannot hold become bigint. No limit on depth but the parser's own; a text
// that is no JSON is an answer, not an exception.

/** A JSON value; integers beyond 2⁵³ are bigint. */
export type JsonValue = null | boolean | number | bigint | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** A text that is not JSON, and why. */
interface JsonProblem {
  readonly problem: string;
}

/** Parses one JSON text exactly. */
export function parseJson(text: string): { readonly value: JsonValue } | JsonProblem {
  try {
    // The reviver costs several times the parsing: only texts with a number that can need it pay.
    return { value: LONG_NUMBER.test(text) ? JSON.parse(text, exactIntegers) : JSON.parse(text) };
  } catch (error) {
    return { problem: error instanceof Error ? error.message.replace(/^JSON Parse error: /, "") : String(error) };
  }
}

/** Sets an own property whatever its name, `__proto__` included. */
export function setOwn(target: { [key: string]: JsonValue }, key: string, value: JsonValue): void {
  if (key === "__proto__") Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}

const LONG_NUMBER = /\d{16}/;
// Longer integers are beyond any use, and making a bigint of megabytes of digits takes time squared in their number.
const INTEGER = /^-?\d{1,400}$/;

function exactIntegers(_key: string, value: JsonValue, context?: { readonly source?: string }): JsonValue {
  if (typeof value !== "number" || Number.isSafeInteger(value) || context?.source === undefined) return value;
  return INTEGER.test(context.source) ? BigInt(context.source) : value;
}
