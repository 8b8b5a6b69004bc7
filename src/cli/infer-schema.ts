// Types of fields that no schema names, taken from the events themselves: what `kestrel query` does for logs of other systems.
import { KestrelError } from "#core";
import { type JsonValue, parseJson, readLines } from "#event";
import { type FieldType, isConflict, type SchemaRegistry } from "#schema";

const I64_MAX = (1n << 63n) - 1n;
const I64_MIN = -(1n << 63n);

/** What was seen of one field. */
interface Seen {
  strings: boolean;
  floats: boolean;
  integers: boolean;
  large: boolean;
  booleans: boolean;
  lists: boolean;
}

/** Most fields of single objects in lists; a log with more is searched as if each list were one object. */
const PLACED_MAX = 512;

/** Which fields to add. */
export interface InferOptions {
  readonly names: readonly string[];
  /** Also `list.0.key`, `list.1.key` and so on for names that lead through lists of objects: lambdas look into one object at a time. */
  readonly placed: boolean;
}

/** Looks at every event of the files and adds the named fields to the registry, as far as some event has them. */
export async function inferFields({ names, placed }: InferOptions, files: readonly string[], registry: SchemaRegistry): Promise<void> {
  const wanted = placed ? names : names.filter((name) => registry.byName(name) === undefined);
  if (wanted.length === 0) return;
  const seen = new Map<string, Seen>();
  const places = new Map<string, string>();
  const paths = wanted.map((name) => ({ name, parts: name.split(".") }));
  for (const file of files) {
    for await (const { line, problem } of readLines(file)) {
      if (problem !== undefined) continue;
      const parsed = parseJson(line);
      if (!("value" in parsed)) continue;
      for (const { name, parts } of paths) {
        look(parsed.value, parts, 0, (value, inList) => note(seen, name, value, inList));
        if (placed && places.size <= PLACED_MAX) collectPlaces(parsed.value, parts, [], (place) => places.set(place, name));
      }
    }
  }
  const add = (name: string, type: FieldType): void => {
    const added = registry.add({ name, type });
    if (isConflict(added)) throw new KestrelError("usage", added.message);
  };
  for (const [name, kinds] of seen) if (registry.byName(name) === undefined) add(name, typeOf(kinds));
  if (places.size > PLACED_MAX) return;
  for (const [place, name] of places) {
    const field = registry.byName(name);
    if (field !== undefined) add(place, field.type);
  }
}

/** Visits the names with positions, of the outer lists or of all, at which a dotted path has values below lists of objects. */
function collectPlaces(value: JsonValue, parts: readonly string[], names: readonly string[], visit: (place: string) => void): void {
  if (Array.isArray(value)) {
    for (const [position, item] of (value as readonly JsonValue[]).entries()) {
      collectPlaces(item, parts, typeof item === "object" && item !== null ? [...names, `${names.at(-1)}.${position}`] : names, visit);
    }
  } else if (parts.length === 0) {
    for (const name of names.slice(1)) visit(name);
  } else if (value !== null && typeof value === "object") {
    const object = value as { readonly [key: string]: JsonValue };
    for (let to = 1; to <= parts.length; to++) {
      const key = parts.slice(0, to).join(".");
      const below = names.length === 0 ? [key] : names.map((name) => `${name}.${key}`);
      if (Object.hasOwn(object, key)) collectPlaces(object[key] as JsonValue, parts.slice(to), below, visit);
    }
  }
}

/** Visits the values at a dotted path, through nested objects, flat dotted keys and lists. */
function look(
  value: JsonValue,
  parts: readonly string[],
  from: number,
  visit: (value: JsonValue, inList: boolean) => void,
  inList = false,
): void {
  if (Array.isArray(value)) {
    for (const item of value as readonly JsonValue[]) look(item, parts, from, visit, true);
    return;
  }
  if (from === parts.length) {
    visit(value, inList);
    return;
  }
  if (value === null || typeof value !== "object") return;
  const object = value as { readonly [key: string]: JsonValue };
  for (let to = from + 1; to <= parts.length; to++) {
    const key = parts.slice(from, to).join(".");
    if (Object.hasOwn(object, key)) look(object[key] as JsonValue, parts, to, visit, inList);
  }
}

/** Values at a dotted path as they stand, a list as one value; several only below lists of objects or under repeated names. */
export function valuesAt(value: JsonValue, parts: readonly string[], from = 0): readonly JsonValue[] {
  if (from === parts.length) return [value];
  if (Array.isArray(value)) return (value as readonly JsonValue[]).flatMap((item) => valuesAt(item, parts, from));
  if (value === null || typeof value !== "object") return [];
  const object = value as { readonly [key: string]: JsonValue };
  const found: JsonValue[] = [];
  for (let to = from + 1; to <= parts.length; to++) {
    const key = parts.slice(from, to).join(".");
    if (Object.hasOwn(object, key)) found.push(...valuesAt(object[key] as JsonValue, parts, to));
  }
  return found;
}

function note(seen: Map<string, Seen>, name: string, value: JsonValue, inList: boolean): void {
  if (value === null || typeof value === "object") return;
  let kinds = seen.get(name);
  if (kinds === undefined) {
    kinds = { strings: false, floats: false, integers: false, large: false, booleans: false, lists: false };
    seen.set(name, kinds);
  }
  if (inList) kinds.lists = true;
  if (typeof value === "string") kinds.strings = true;
  else if (typeof value === "boolean") kinds.booleans = true;
  else if (typeof value === "number" && !Number.isInteger(value)) kinds.floats = true;
  else if (BigInt(value) > I64_MAX || BigInt(value) < I64_MIN) kinds.large = true;
  else kinds.integers = true;
}

function typeOf({ strings, floats, integers, large, booleans, lists }: Seen): FieldType {
  if (!strings && booleans && !floats && !integers && !large) return "bool";
  if (strings || booleans) return lists ? "keyword[]" : "keyword";
  if (floats) return "f64";
  return large ? "u64" : "i64";
}
