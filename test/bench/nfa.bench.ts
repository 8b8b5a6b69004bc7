// What a sequence step costs: one event alone, and in a stream over few and many live partial matches; what a partial match takes; what a
// checkpoint of many changed keys costs; and a flood of new keys against the quotas.
import { RecordBuilder, setRecordSeq } from "../../src/event/index.ts";
import { type SequencedRule, Sequencer, STATE_LIMITS, type StateLimits } from "../../src/nfa/index.ts";
import type { PlanStep } from "../../src/schema/index.ts";
import { printAlone, quantile, type Row, type Section } from "./row.ts";

const KEY_FIELD = 106;
const LINE_FIELD = 107;
const TIE_FIELD = 21;
const STREAM = 1 << 16;
const SAMPLES = 200_000;
const DIRTY_KEYS = 100_000;
const FLOOD_KEYS = 2_000_000;
const LINE = "curl -fsSL https://example.org/install.sh -o /tmp/install.sh && sh /tmp/install.sh --quiet --prefix /opt/tool";
const KEY_LENGTH = 17;

function step(predicate: number): PlanStep {
  const keys = [{ text: "process.entity_id", fieldId: KEY_FIELD, expression: undefined, nullJoins: false }];
  return { predicate, residual: undefined, keys, missing: false, runs: 1, fork: false, alias: undefined };
}

const RULE: SequencedRule = {
  id: "bench",
  fingerprint: "1",
  plan: {
    kind: "sequence",
    steps: [step(0), step(1), step(2)],
    until: undefined,
    lineages: [],
    identity: undefined,
    maxspanNs: undefined,
    untilFirst: false,
    keysFolded: false,
    orderedBy: "first",
  },
  matchAll: false,
  evaluator: undefined,
};

/** One record whose key and time are written over for each event. */
class Stream {
  readonly bytes: Uint8Array;
  readonly #words: Uint32Array;
  readonly #keyAt: number;
  #timeNs = 0;
  #seq = 0;

  constructor() {
    const builder = new RecordBuilder();
    builder.begin(1, 0n);
    builder.keyword(KEY_FIELD, "k".repeat(KEY_LENGTH));
    builder.keyword(LINE_FIELD, LINE);
    builder.keyword(LINE_FIELD + 1, LINE);
    builder.i64Number(200, 1);
    const size = builder.finish();
    this.bytes = builder.bytes.slice(0, size);
    this.#words = new Uint32Array(this.bytes.buffer);
    this.#keyAt = Buffer.from(this.bytes).indexOf("k".repeat(KEY_LENGTH));
  }

  /** The next event, a microsecond later, under this key. */
  next(key: number): void {
    this.#timeNs += 1000;
    const { bytes } = this;
    this.#words[6] = this.#timeNs >>> 0;
    this.#words[7] = Math.floor(this.#timeNs / 4294967296);
    setRecordSeq(bytes, 0, ++this.#seq, 0);
    for (let digit = 0, rest = key; digit < 8; digit++, rest = Math.floor(rest / 16)) bytes[this.#keyAt + digit] = 97 + (rest % 16);
  }
}

function sequencer(limits: Partial<StateLimits>): Sequencer {
  const made = new Sequencer({
    limits: { ...STATE_LIMITS, reorderNs: 0n, ...limits },
    tiebreak: { fieldId: TIE_FIELD, strict: false },
    onMatch: () => {},
    onFault: () => {},
    onEviction: () => {},
    onTrace: undefined,
    hashSeed: { first: 1, second: 2 },
  });
  made.load([RULE]);
  return made;
}

const UNBOUNDED: Partial<StateLimits> = { entriesMax: 1 << 22, ruleEntriesMax: 1 << 22, bytesMax: 2 ** 33, ruleBytesMax: 2 ** 33 };

function feed(target: Sequencer, stream: Stream, key: number, slots: number): void {
  stream.next(key);
  target.begin(stream.bytes, 0);
  target.hit(0, slots);
  target.end();
}

function random(): () => number {
  let state = 7;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
}

/** Each call is a sample, the clock's own cost taken off. */
function singleRow(): Row {
  const target = sequencer({});
  const stream = new Stream();
  const samples = new Float64Array(SAMPLES);
  const timer = new Float64Array(SAMPLES);
  for (let index = 0; index < SAMPLES; index++) {
    const startNs = Bun.nanoseconds();
    timer[index] = Bun.nanoseconds() - startNs;
  }
  const timerNs = quantile(timer, 0.5);
  for (let turn = 0; turn < 2; turn++) {
    for (let index = 0; index < SAMPLES; index++) {
      stream.next(index % 1000);
      const startNs = Bun.nanoseconds();
      target.begin(stream.bytes, 0);
      target.hit(0, 1 << (index % 3));
      target.end();
      samples[index] = Bun.nanoseconds() - startNs - timerNs;
    }
  }
  const note = `three steps by one key, 1,000 keys, events of ${stream.bytes.length} bytes; the clock's ${Math.round(timerNs)} ns taken off`;
  return { name: "one step on one event", value: quantile(samples, 0.5), p99: quantile(samples, 0.99), unit: "ns", note };
}

function liveRows(live: number): readonly Row[] {
  Bun.gc(true);
  const rssBefore = process.memoryUsage.rss();
  const target = sequencer(UNBOUNDED);
  const stream = new Stream();
  for (let key = 0; key < live; key++) feed(target, stream, key, 1);
  // The last event is held until time goes on.
  stream.next(0);
  target.begin(stream.bytes, 0);
  target.end();
  const { bytes } = target.metrics();
  const rssBytes = process.memoryUsage.rss() - rssBefore;
  const next = random();
  const keys = Math.max(live, 1000);
  // With nothing live no event starts anything.
  const slots = live === 0 ? () => 2 : () => 1 << Math.floor(next() * 3);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 7; round++) {
    const startNs = Bun.nanoseconds();
    for (let index = 0; index < STREAM; index++) feed(target, stream, Math.floor(next() * keys), slots());
    best = Math.min(best, (Bun.nanoseconds() - startNs) / STREAM);
  }
  const name = live.toLocaleString("en-US");
  const rows: Row[] = [
    { name: `stream over ${name} live partial matches`, value: 1e9 / best, unit: "hits/s", note: "random keys and steps" },
  ];
  if (live >= 1_000_000) {
    const note = `the event's ${stream.bytes.length} bytes and the key's ${KEY_LENGTH} included; resident ${Math.round(rssBytes / live)}`;
    rows.push({ name: "a partial match", value: bytes / live, unit: "bytes", note });
  }
  return rows;
}

function checkpointRow(): Row {
  const target = sequencer(UNBOUNDED);
  const stream = new Stream();
  const samples: number[] = [];
  let bytes = 0;
  for (let round = 0; round < 5; round++) {
    for (let key = 0; key < DIRTY_KEYS; key++) feed(target, stream, key, 1);
    const startNs = Bun.nanoseconds();
    const { rows } = target.takeCheckpoint();
    samples.push((Bun.nanoseconds() - startNs) / 1e6);
    bytes = rows.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
  }
  const note = `${Math.round(bytes / DIRTY_KEYS)} bytes a row; making the rows, not writing them`;
  return {
    name: `checkpoint of ${DIRTY_KEYS.toLocaleString("en-US")} changed keys`,
    value: quantile(Float64Array.from(samples), 0.5),
    unit: "ms",
    note,
  };
}

/** Every event brings a new key: what it costs when each one evicts another. `keys` can be raised from the command line. */
function floodRow(keys: number): Row {
  const target = sequencer({});
  const stream = new Stream();
  const startNs = Bun.nanoseconds();
  for (let key = 0; key < keys; key++) feed(target, stream, key, 1);
  const value = (Bun.nanoseconds() - startNs) / keys;
  const { bytes, rules } = target.metrics();
  const evicted = Object.values(rules[0]!.evictions).reduce((sum, count) => sum + count, 0);
  const note = `${evicted.toLocaleString("en-US")} evicted, ${Math.round(bytes / 1e6)} MB of state, ${Math.round(process.memoryUsage.rss() / 1e6)} MB resident`;
  return { name: `flood of ${keys.toLocaleString("en-US")} new keys`, value, unit: "ns/hit", note };
}

function rows(): readonly Row[] {
  return [floodRow(FLOOD_KEYS), singleRow(), ...liveRows(0), ...liveRows(10_000), ...liveRows(1_000_000), checkpointRow()];
}

/** What sequences cost. */
export const nfaSection: Section = { name: "nfa", rows };

if (import.meta.main) await printAlone(nfaSection);
