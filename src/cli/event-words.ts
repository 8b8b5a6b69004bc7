// Events, times and spans in few words, for people. Everything an event says is shown with its control characters escaped.
import { SUBJECT_FIELDS } from "#engine";
import type { RecordView } from "#event";
import type { FieldValue, SchemaRegistry } from "#schema";
import { printable } from "./terminal.ts";

const SUBJECT_LENGTH_MAX = 60;
const VALUE_LENGTH_MAX = 40;
const NS_PER_MS = 1_000_000n;
const NS_PER_S = 1_000_000_000n;
const UNITS: readonly (readonly [name: string, seconds: bigint])[] = [
  ["d", 86_400n],
  ["h", 3600n],
  ["min", 60n],
  ["s", 1n],
];

/** Says what events are about. */
export class EventWords {
  readonly #registry: SchemaRegistry;
  readonly #subjectIds: readonly number[];
  readonly #ownIds: readonly number[];
  readonly #filePathId: number;
  readonly #categoryFile: number;
  readonly #userId: number;

  /** `fields`: names to fall back to for events of a kind that Kestrel does not know. */
  constructor(registry: SchemaRegistry, fields: readonly string[]) {
    this.#registry = registry;
    this.#subjectIds = SUBJECT_FIELDS.map((name) => registry.idOf(name));
    this.#ownIds = fields.flatMap((name) => registry.byName(name)?.id ?? []);
    this.#filePathId = registry.idOf("file.path");
    this.#categoryFile = registry.categories.idOf("file");
    this.#userId = registry.idOf("user.name");
  }

  /** A command, path or address, with the user. */
  subject(record: RecordView): string {
    const first = record.category === this.#categoryFile && record.has(this.#filePathId) ? [this.#filePathId] : [];
    const id = [...first, ...this.#subjectIds].find((candidate) => record.has(candidate));
    if (id === undefined) return this.#ownFields(record);
    const value = record.value(id) as FieldValue;
    const subject = clip(String(Array.isArray(value) ? value[0] : value), SUBJECT_LENGTH_MAX);
    const user = record.string(this.#userId);
    return user === undefined ? subject : `${subject} by ${clip(user, VALUE_LENGTH_MAX)}`;
  }

  /** The event's category. */
  category(record: RecordView): string {
    return printable(this.#registry.categories.nameOf(record.category) ?? "an unknown category");
  }

  #ownFields(record: RecordView): string {
    const found = this.#ownIds.filter((id) => record.has(id)).slice(0, 3);
    if (found.length === 0) return `an event of ${this.category(record)}`;
    return found.map((id) => `${printable(this.#registry.byId(id)?.name ?? "")}=${valueText(record.value(id))}`).join(" ");
  }
}

/** A value as a query would write it, clipped. */
export function valueText(value: FieldValue | undefined): string {
  if (value === undefined) return "missing";
  if (Array.isArray(value)) return clip(`[${value.map((item) => valueText(item)).join(", ")}]`, 2 * VALUE_LENGTH_MAX);
  return typeof value === "string" ? `"${clip(value, VALUE_LENGTH_MAX)}"` : String(value);
}

/** Text without control characters, of bounded length. */
export function clip(text: string, lengthMax: number): string {
  const shown = text.length > lengthMax ? `${text.slice(0, lengthMax - 1).toWellFormed()}…` : text;
  return printable(shown);
}

/** Day of a time, UTC. */
export function dayText(timeNs: bigint): string {
  return isoText(timeNs).slice(0, -13);
}

/** Time of day to the millisecond, UTC. */
export function timeText(timeNs: bigint): string {
  return isoText(timeNs).slice(-12);
}

function isoText(timeNs: bigint): string {
  const ms = Number((timeNs - (((timeNs % NS_PER_MS) + NS_PER_MS) % NS_PER_MS)) / NS_PER_MS);
  return new Date(ms).toISOString().slice(0, -1);
}

/** A length of time with the two units that matter. */
export function spanText(ns: bigint): string {
  if (ns < 0n) return `-${spanText(-ns)}`;
  if (ns < NS_PER_S) return ns < NS_PER_MS && ns > 0n ? `${decimal(Number(ns) / 1e3)} µs` : `${decimal(Number(ns) / 1e6)} ms`;
  if (ns < 120n * NS_PER_S && ns !== 60n * NS_PER_S) return `${decimal(Number(ns) / 1e9)} s`;
  let rest = ns / NS_PER_S;
  const words: string[] = [];
  for (const [name, seconds] of UNITS) {
    if (rest >= seconds) words.push(`${rest / seconds} ${name}`);
    rest %= seconds;
  }
  return words.slice(0, 2).join(" ");
}

function decimal(value: number): string {
  return value.toFixed(1).replace(/\.0$/, "");
}
