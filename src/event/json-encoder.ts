// A record as nested ECS JSON: its fields in id order, then what `kestrel.extra` kept because no field could hold it exactly. The kept
// form wins over the field made from it, so JSON → record → JSON gives the same values back.
import { EntryFlag, EntryType, type FieldValue, type Scalar, type SchemaRegistry } from "#schema";
import { formatDate } from "./date.ts";
import { type JsonValue, parseJson, setOwn } from "./exact-json.ts";
import type { RecordView } from "./view.ts";

/** A JSON object; 64-bit integers beyond 2⁵³ are bigint. */
export type JsonObject = { [key: string]: JsonValue };

/** Field that keeps what no other field can hold, as the text of a JSON object. */
export const EXTRA_FIELD = "kestrel.extra";
/** Field that holds the tiebreaker named by the reader of a log; never printed, its source is. */
export const TIEBREAKER_FIELD = "kestrel.tiebreaker";

/** The record as a nested object, dates canonical. A field id the registry does not know is skipped. */
export function encodeJson(view: RecordView, registry: SchemaRegistry): JsonObject {
  const paths = pathsOf(registry);
  const result: JsonObject = {};
  let extra: JsonObject | undefined;
  // Fields of one parent mostly come one after another: what the last one went into is where the next one goes.
  let parent: string | undefined;
  let target: JsonObject | undefined;
  view.readAll();
  for (let index = 0; index < view.fieldCount; index++) {
    const id = view.idAt(index);
    const path = paths.of(id);
    if (path === undefined || id === paths.tiebreakerId) continue;
    if (id === paths.extraId) {
      extra = parseExtra(view.valueAt(index));
      continue;
    }
    const value = integerOf(view, index) ?? jsonOf(view.typeAt(index), view.valueAt(index));
    if (target !== undefined && path.parent === parent) {
      setOwn(target, path.last, value);
      continue;
    }
    target = setPath(result, path.keys, value);
    parent = path.parent;
  }
  if (extra !== undefined) merge(result, extra, "", registry);
  return result;
}

/** Where a field stands. */
interface FieldPath {
  readonly keys: readonly string[];
  /** All keys but the last, with dots. */
  readonly parent: string;
  readonly last: string;
}

class FieldPaths {
  readonly extraId: number;
  readonly tiebreakerId: number;
  readonly #registry: SchemaRegistry;
  readonly #paths = new Map<number, FieldPath>();

  constructor(registry: SchemaRegistry) {
    this.#registry = registry;
    this.extraId = registry.idOf(EXTRA_FIELD);
    this.tiebreakerId = registry.idOf(TIEBREAKER_FIELD);
  }

  of(id: number): FieldPath | undefined {
    const known = this.#paths.get(id);
    if (known !== undefined) return known;
    const name = this.#registry.byId(id)?.name;
    if (name === undefined) return undefined;
    const dot = name.lastIndexOf(".");
    const path = { keys: name.split("."), parent: name.slice(0, Math.max(0, dot)), last: name.slice(dot + 1) };
    this.#paths.set(id, path);
    return path;
  }
}

const pathsByRegistry = new WeakMap<SchemaRegistry, FieldPaths>();

function pathsOf(registry: SchemaRegistry): FieldPaths {
  let paths = pathsByRegistry.get(registry);
  if (paths === undefined) {
    paths = new FieldPaths(registry);
    pathsByRegistry.set(registry, paths);
  }
  return paths;
}

// The usual integer, without a bigint on the way.
function integerOf(view: RecordView, index: number): number | undefined {
  const type = view.typeAt(index);
  const isInteger = (type === EntryType.I64 || type === EntryType.U64) && (view.flagsAt(index) & EntryFlag.Array) === 0;
  return isInteger ? view.integerAt(index) : undefined;
}

function jsonOf(type: EntryType, value: FieldValue): JsonValue {
  return typeof value === "object" ? value.map((item) => scalarOf(type, item)) : scalarOf(type, value);
}

function scalarOf(type: EntryType, value: Scalar): JsonValue {
  if (typeof value !== "bigint") return value;
  if (type === EntryType.Date) return formatDate(value);
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// Own properties only: a key such as "constructor" must not find what objects inherit.
function ownOf(target: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(target, key) ? target[key] : undefined;
}

// Sets a value at a path and returns the object that holds it. Where a scalar is in the way, the rest of the path becomes one dotted key beside it,
// and nothing is returned.
function setPath(result: JsonObject, path: readonly string[], value: JsonValue): JsonObject | undefined {
  let target = result;
  for (let depth = 0; depth < path.length - 1; depth++) {
    const key = path[depth]!;
    const next = ownOf(target, key);
    if (next === undefined) {
      const made: JsonObject = {};
      setOwn(target, key, made);
      target = made;
    } else if (isObject(next)) {
      target = next;
    } else {
      setOwn(target, path.slice(depth).join("."), value);
      return undefined;
    }
  }
  setOwn(target, path[path.length - 1]!, value);
  return target;
}

function parseExtra(value: FieldValue): JsonObject | undefined {
  const parsed = typeof value === "string" ? parseJson(value) : undefined;
  return parsed !== undefined && "value" in parsed && isObject(parsed.value) ? parsed.value : undefined;
}

// Lays what was kept over the fields. A list replaces what was flattened from it; a scalar moves an object to dotted keys. A dotted key is
// nested when it names a field, or an object of fields that is there: keys of labels and other maps keep their dots, whatever stands beside them.
function merge(target: JsonObject, extra: JsonObject, prefix: string, registry: SchemaRegistry): void {
  for (const key of Object.keys(extra)) {
    const value = extra[key]!;
    const path = `${prefix}${key}`;
    const dot = Object.hasOwn(target, key) ? -1 : key.lastIndexOf(".");
    if (dot < 0) {
      mergeKey(target, key, value, path, registry);
      continue;
    }
    const isField = registry.byName(path) !== undefined;
    const parent = isField || registry.isObject(path) ? objectAt(target, key.slice(0, dot), isField) : undefined;
    const name = key.slice(dot + 1);
    if (parent !== undefined && (isField || Object.hasOwn(parent, name))) mergeKey(parent, name, value, path, registry);
    else setOwn(target, key, value);
  }
}

// Object at a dotted path. With `make`, missing ones are made; a scalar in the way is `undefined` all the same.
function objectAt(target: JsonObject, path: string, make: boolean): JsonObject | undefined {
  let at: JsonObject = target;
  for (const key of path.split(".")) {
    let next = ownOf(at, key);
    if (next === undefined && make) {
      next = {};
      setOwn(at, key, next);
    }
    if (!isObject(next)) return undefined;
    at = next;
  }
  return at;
}

function mergeKey(target: JsonObject, key: string, value: JsonValue, path: string, registry: SchemaRegistry): void {
  let present = ownOf(target, key);
  if (present === undefined && isObject(value) && Object.keys(value).length > 0) {
    present = {};
    setOwn(target, key, present);
  }
  if (!isObject(present)) {
    setOwn(target, key, value);
    return;
  }
  if (isObject(value)) merge(present, value, `${path}.`, registry);
  if (isObject(value) || value === null) return;
  setOwn(target, key, value);
  if (Array.isArray(value)) return;
  for (const [rest, item] of Object.entries(present)) setOwn(target, `${key}.${rest}`, item);
}
