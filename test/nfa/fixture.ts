// Plans and streams for the sequencer's tests as short texts, and a run of one over the other.
//
// A plan: `sequence by 1 maxspan=5 [a] ![b] [c by 1?]*2 until [d]`. Kinds: sequence, sample, join, event. `by N` says which key fields join
// (`by 0 1`), `?` after one that null joins null; a step may have its own. `*N` runs, `+fork` forks, `[a~]` has a residual. Flags: matchall, fold, untilfirst,
// strict; maxspan=, ttl=, reorder= in milliseconds.
// An event: `x|ab3` has key field 0 = "x", meets predicates a and b at 3 ms. `1,2;y|a3`: several values, two key fields; `-` no value.
// `a3.7`: tiebreaker 7. Keys that look like numbers are integers, with a fraction floats, with a `'` before them text.
// A result: the events' texts without keys, `!` for a missing event.
import { RecordBuilder, setRecordSeq } from "../../src/event/index.ts";
import {
  type Match,
  type PlanEvaluator,
  type SequencedRule,
  Sequencer,
  type SequencerOptions,
  STATE_LIMITS,
  type StateLimits,
  type Trace,
} from "../../src/nfa/index.ts";
import { type FieldType, type KeyPart, type PlanStep, planSlots, type RulePlan, type Scalar } from "../../src/schema/index.ts";

/** Fields of test records: the tiebreaker, the event's position in the stream, and one field per key and type. */
const TIE_FIELD = 100;
const INDEX_FIELD = 101;
export const ENTITY_FIELD = 102;
export const PARENT_FIELD = 103;
export const ANCESTRY_FIELD = 104;
export const NUMBER_FIELD = 105;
const KEY_FIELD = 110;
export const MS = 1_000_000n;

/** One event of a test stream. */
export interface TestEvent {
  readonly letters: string;
  /** Milliseconds. */
  readonly time: number;
  readonly tie?: number | undefined;
  /** Values of each key field; none: the event lacks it. */
  readonly keys?: readonly (readonly Scalar[])[];
  readonly entity?: string;
  readonly parent?: string;
  readonly ancestry?: readonly string[];
  readonly number?: number;
}

/** A rule for tests, with what its run needs to know. */
export interface TestPlan {
  readonly plan: RulePlan;
  readonly matchAll: boolean;
  readonly strict: boolean;
  readonly reorderMs: number;
  readonly ttlMs: number | undefined;
}

const builder = new RecordBuilder();

/** The record of an event; `index` is its position in the stream and its seq. */
export function recordOf(event: TestEvent, index: number): Uint8Array {
  builder.begin(1, BigInt(event.time) * MS);
  if (event.tie !== undefined) builder.i64Number(TIE_FIELD, event.tie);
  builder.i64Number(INDEX_FIELD, index);
  if (event.entity !== undefined) builder.keyword(ENTITY_FIELD, event.entity);
  if (event.parent !== undefined) builder.keyword(PARENT_FIELD, event.parent);
  if (event.ancestry !== undefined) builder.keywords(ANCESTRY_FIELD, event.ancestry);
  if (event.number !== undefined) builder.i64Number(NUMBER_FIELD, event.number);
  for (const [part, values] of (event.keys ?? []).entries()) {
    const first = values[0];
    if (first !== undefined) builder.value(KEY_FIELD + part, typeOf(first), values.length === 1 ? first : values);
  }
  const size = builder.finish();
  const record = builder.bytes.slice(0, size);
  setRecordSeq(record, 0, index, 0);
  return record;
}

function typeOf(value: Scalar): FieldType {
  if (typeof value === "string") return "keyword";
  if (typeof value === "bigint") return value > (1n << 63n) - 1n ? "u64" : "i64";
  return typeof value === "number" ? "f64" : "bool";
}

/** The event's position in its stream. */
function indexOf(record: Uint8Array): number {
  // The index field is an i64; its entry's payload leads to 8 bytes.
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const count = view.getUint16(6, true);
  for (let entry = 0; entry < count; entry++) {
    if (view.getUint16(32 + entry * 8, true) === INDEX_FIELD) return Number(view.getBigInt64(view.getUint32(36 + entry * 8, true), true));
  }
  throw new Error("record without index");
}

/** A key part over a key field. */
export function keyPart(field: number, nullJoins: boolean): KeyPart {
  return { text: `k${field}`, fieldId: KEY_FIELD + field, expression: undefined, nullJoins };
}

/** Gives a whole stream to rule 0. */
export function feedAll(sequencer: Sequencer, plan: RulePlan, events: readonly TestEvent[]): void {
  for (const [index, event] of events.entries()) feed(sequencer, plan, event, index);
}

function keysOf(text: string): KeyPart[] {
  return text
    .trim()
    .split(/\s+/)
    .map((name) => keyPart(Number.parseInt(name, 10), name.endsWith("?")));
}

/** Reads a plan. */
export function planOf(text: string): TestPlan {
  const head = text.slice(0, text.search(/!?\[/));
  const common = /\bby ((?:\d\??\s*)+)/.exec(head);
  const flag = (name: string): boolean => new RegExp(`\\b${name}\\b`).test(head);
  const number = (name: string): number | undefined => {
    const found = new RegExp(`\\b${name}=(\\d+)`).exec(head);
    return found === null ? undefined : Number(found[1]);
  };
  const [stepsText = "", untilText] = text.slice(head.length).split(" until ");
  const steps = [...stepsText.matchAll(/(!?)\[(\w)(~?)(?: by ([^\]]*))?\](?:\*(\d+))?(\+fork)?/g)].map((match): PlanStep => {
    const [, missing, letter, residual, own, runs, fork] = match;
    const keysText = own ?? common?.[1];
    return {
      predicate: (letter as string).charCodeAt(0),
      residual: residual === "" ? undefined : { node: letter },
      keys: keysText === undefined ? [] : keysOf(keysText),
      missing: missing === "!",
      runs: Number(runs ?? 1),
      fork: fork !== undefined,
      alias: undefined,
    };
  });
  const until =
    untilText === undefined ? undefined : planOf(`sequence ${common === null ? "" : `by ${common[1]}`} ${untilText}`).plan.steps[0];
  const maxspan = number("maxspan");
  const plan: RulePlan = {
    kind: (/^(sequence|sample|join|event)/.exec(head)?.[1] ?? "sequence") as RulePlan["kind"],
    steps,
    until,
    lineages: [],
    identity: undefined,
    maxspanNs: maxspan === undefined ? undefined : BigInt(maxspan) * MS,
    untilFirst: flag("untilfirst"),
    keysFolded: flag("fold"),
    orderedBy: "first",
  };
  return { plan, matchAll: flag("matchall"), strict: flag("strict"), reorderMs: number("reorder") ?? 0, ttlMs: number("ttl") };
}

/** Reads a stream: events separated by white space. */
export function eventsOf(text: string): readonly TestEvent[] {
  return text
    .trim()
    .split(/\s+/)
    .map((word) => {
      const [, keys, letters, time, tie] = /^(?:(.*)\|)?([a-zA-Z]+)(-?\d+)(?:\.(\d+))?$/.exec(word) as unknown as string[];
      return {
        letters: letters as string,
        time: Number(time),
        tie: tie === undefined ? undefined : Number(tie),
        keys: keys === undefined ? [] : keys.split(";").map((values) => (values === "-" ? [] : values.split(",").map(scalarOf))),
      };
    });
}

function scalarOf(text: string): Scalar {
  if (text.startsWith("'")) return text.slice(1);
  if (/^-?\d+$/.test(text)) return BigInt(text);
  if (/^-?\d+\.\d+$/.test(text)) return Number(text);
  return text === "true" || text === "false" ? text === "true" : text;
}

/** Slots of the plan that an event meets. */
export function slotsOf(plan: RulePlan, event: TestEvent): number {
  let bits = 0;
  for (const [slot, predicate] of planSlots(plan).entries()) if (event.letters.includes(String.fromCharCode(predicate))) bits |= 1 << slot;
  return bits >>> 0;
}

/** A rule over a test plan. */
export function ruleOf(test: TestPlan, id = "rule", evaluator?: PlanEvaluator): SequencedRule {
  return { id, fingerprint: id, plan: test.plan, matchAll: test.matchAll, evaluator };
}

/** What a test wants to know of a run. */
export interface Listener {
  readonly limits?: Partial<StateLimits>;
  readonly onMatch?: (match: Match) => void;
  readonly onFault?: SequencerOptions["onFault"];
  readonly onEviction?: SequencerOptions["onEviction"];
  readonly onTrace?: (trace: Trace) => void;
}

/** A sequencer for a test plan. */
export function sequencerOf(test: TestPlan, listener: Listener): Sequencer {
  return new Sequencer({
    limits: {
      ...STATE_LIMITS,
      ttlNs: test.ttlMs === undefined ? undefined : BigInt(test.ttlMs) * MS,
      reorderNs: BigInt(test.reorderMs) * MS,
      ...listener.limits,
    },
    tiebreak: { fieldId: TIE_FIELD, strict: test.strict },
    onMatch: listener.onMatch ?? (() => {}),
    onFault:
      listener.onFault ??
      ((_id, error) => {
        throw error;
      }),
    onEviction: listener.onEviction ?? (() => {}),
    onTrace: listener.onTrace,
    hashSeed: { first: 1, second: 2 },
  });
}

/** Gives one event to rule 0. */
export function feed(sequencer: Sequencer, plan: RulePlan, event: TestEvent, index: number): void {
  sequencer.begin(recordOf(event, index), 0);
  const slots = slotsOf(plan, event);
  if (slots !== 0) sequencer.hit(0, slots);
  sequencer.end();
}

/** A match as the positions of its events, `!` for missing ones. */
export function indexesOf(match: Match): readonly (number | "!")[] {
  return match.records.map((record) => (record === undefined ? "!" : indexOf(record)));
}

/** A match as the test wrote its events. */
export function matchText(match: Match, events: readonly TestEvent[]): string {
  return indexesOf(match)
    .map((index) => {
      if (index === "!") return "!";
      const { letters, time, tie } = events[index] as TestEvent;
      return `${letters}${time}${tie === undefined ? "" : `.${tie}`}`;
    })
    .join(" ");
}

/** All matches of a whole run, in the order they came. */
export function runOf(test: TestPlan, events: readonly TestEvent[], listener: Listener = {}, evaluator?: PlanEvaluator): readonly string[] {
  const results: string[] = [];
  const sequencer = sequencerOf(test, {
    ...listener,
    onMatch: (match) => {
      results.push(matchText(match, events));
      listener.onMatch?.(match);
    },
  });
  sequencer.load([ruleOf(test, "rule", evaluator)]);
  for (const [index, event] of events.entries()) feed(sequencer, test.plan, event, index);
  sequencer.finish();
  return results;
}
