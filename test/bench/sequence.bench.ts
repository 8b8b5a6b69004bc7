// Sequences through the whole engine: every public rule, events and sequences, over few and many live partial matches; growth with the number
// of rules; a checkpoint from the sequencer to the database; the time to check one rule. The sequencer alone is in nfa.bench.ts.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Alert, type Kept, MockClock, type Sink } from "#core";
import type { RuleCompiler } from "#engine";
import { compileRuleSet } from "#eql";
import { STATE_LIMITS, type StateLimits } from "#nfa";
import type { Rule } from "#rules";
import { Header, SchemaRegistry } from "#schema";
import { Store } from "#store";
import { type Bench, benchOf, recordOf, ruleOf } from "../engine/fixture.ts";
import { seededRandom } from "../eql/backend-support.ts";
import { median, printAlone, type Row, type Section, skipped } from "./row.ts";
import { registry, sensorRecord } from "./sensor-events.ts";

const CORPUS = `${import.meta.dir}/../../../shared/corpus/eql`;
const FILES = ["elastic-linux-rules.jsonl", "elastic-endpoint-rules.jsonl"];
const LIVE: readonly number[] = [0, 10_000, 1_000_000];
const COPIES: readonly number[] = [10, 466, 4660];
const DIRTY_KEYS = 100_000;
const EVENTS = 100_000;
const ROUNDS = 3;
const RECORDS = 5000;
/** Ten thousand events a second, so that the reorder buffer holds a thousand. */
const STEP_NS = 100_000;
/** Of so many events one is about a key that is live. */
const LIVE_SHARE = 20;
const KEY_LENGTH = 16;
const UNBOUNDED: StateLimits = {
  ...STATE_LIMITS,
  entriesMax: 1 << 22,
  ruleEntriesMax: 1 << 22,
  bytesMax: 2 ** 33,
  ruleBytesMax: 2 ** 33,
};
const PAIR = 'sequence by user.name [process where process.name == "bench-1"] [process where process.name == "bench-2"]';

/** Compiles with unknown fields allowed, as the public rules need. */
const compileLenient: RuleCompiler = async (rules, registryOf, backend, words) => {
  const sources = rules.map(({ id, body, exceptions }) => {
    if (body.kind !== "eql") throw new Error("The bench has EQL rules alone");
    return { id, text: body.query, dialect: body.dialect, exceptions, lenientFields: true };
  });
  const { program, queries } = compileRuleSet(sources, registryOf, [backend], words);
  return {
    program,
    predicates: queries.map(({ predicate }) => predicate),
    plans: queries.map(({ plan }) => plan),
    diagnostics: queries.map(({ diagnostics }) => diagnostics),
    policies: [],
    reach: [],
    demands: queries.map(({ demand }) => demand),
    categories: registryOf.categories.names(),
  };
};

function corpusRules(): readonly Rule[] {
  const paths = FILES.map((name) => join(CORPUS, name));
  if (!paths.every((path) => existsSync(path))) return [];
  const lines = paths.flatMap((path) => readFileSync(path, "utf8").trim().split("\n"));
  return lines.map((line, index) => ruleOf(`rule-${index}`, (JSON.parse(line) as { readonly query: string }).query));
}

const LITERAL = /"((?:[^"\\\n]|\\.)*)"/g;
/** Shorter ones are no name, path or pattern that tells a rule from others. */
const LITERAL_LENGTH_MIN = 5;

/** As many rules as asked for: the first ones, or copies whose literals differ, so that they share neither predicates nor literals. */
function rulesOf(rules: readonly Rule[], count: number): readonly Rule[] {
  return Array.from({ length: count }, (_, index) => {
    const rule = rules[index % rules.length]!;
    const copy = Math.floor(index / rules.length);
    if (copy === 0 || rule.body.kind !== "eql") return rule;
    const query = rule.body.query.replace(LITERAL, (whole, text: string, at: number, all: string) => {
      const line = all.slice(Math.max(0, at - 60), at);
      if (text.length < LITERAL_LENGTH_MIN) return whole;
      // What says the kind of event stays: rules that no event reaches cost nothing.
      return /(?:event|host)\.[\w.]+[^)]*$/.test(line) || /^[\d.:a-f]+(?:\/\d+)?$/i.test(text)
        ? whole
        : whole.replace(/\w(?=\W*$)/, `$&${copy}`);
    });
    return { ...ruleOf(`${rule.id}-${copy}`, query) };
  });
}

/** Events of sensors and of the keys that are primed; each gets a time of its own. */
class Events {
  readonly #records: readonly Uint8Array[];
  readonly #first = recordOf(registry, { fields: { "process.name": "bench-1", "user.name": "#".repeat(KEY_LENGTH), "process.pid": 7n } });
  readonly #keyAt = Buffer.from(this.#first).indexOf("#".repeat(KEY_LENGTH));
  #count = 0;

  constructor(random: () => number) {
    this.#records = Array.from({ length: RECORDS }, () => sensorRecord(random));
  }

  sensor(): Uint8Array {
    return this.#timed(this.#records[this.#count % RECORDS]!);
  }

  first(key: number): Uint8Array {
    for (let digit = 0, rest = key; digit < KEY_LENGTH; digit++, rest = Math.floor(rest / 10))
      this.#first[this.#keyAt + digit] = 48 + (rest % 10);
    return this.#timed(this.#first);
  }

  #timed(record: Uint8Array): Uint8Array {
    const timeNs = 1_700_000_000_000_000_000n + BigInt(++this.#count * STEP_NS);
    new DataView(record.buffer, record.byteOffset).setBigUint64(Header.Time, timeNs, true);
    return record;
  }
}

async function push({ engine }: Bench, record: Uint8Array): Promise<void> {
  while (!engine.input.push(record, 0, record.length)) await engine.input.ready();
}

/** Events a second: the median of a few rounds. */
async function eventsPerSecond(bench: Bench, events: Events, live: number): Promise<number> {
  const random = seededRandom(9);
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const startNs = Bun.nanoseconds();
    for (let index = 0; index < EVENTS; index++) {
      const isKey = live > 0 && index % LIVE_SHARE === 0;
      const record = isKey ? events.first(Math.floor(random() * live)) : events.sensor();
      if (!bench.engine.input.push(record, 0, record.length)) await push(bench, record);
    }
    await bench.engine.drain();
    rates.push((EVENTS * 1e9) / (Bun.nanoseconds() - startNs));
    bench.alerts.length = 0;
  }
  return median(rates);
}

async function liveRow(rules: readonly Rule[], live: number): Promise<Row> {
  const bench = benchOf({ registry, limits: UNBOUNDED, compile: compileLenient });
  const { armed } = await bench.engine.arm([...rules, ruleOf("bench.pair", PAIR)]);
  const events = new Events(seededRandom(7));
  for (let key = 0; key < live; key++) await push(bench, events.first(key));
  await bench.engine.drain();
  const value = await eventsPerSecond(bench, events, live);
  const { entries, bytes } = bench.engine.sequenceMetrics();
  await bench.engine.close();
  Bun.gc(true);
  const note = `${armed} rules; ${entries.toLocaleString("en-US")} partial matches, ${Math.round(bytes / 1e6)} MB of state`;
  return { name: `all public rules, ${live.toLocaleString("en-US")} live partial matches`, value, unit: "events/s", note };
}

/** In a process of its own, whose memory nothing else has used. */
function growthAlone(count: number): readonly Row[] {
  const child = Bun.spawnSync([process.execPath, import.meta.path, `${count}`], { stderr: "inherit" });
  return JSON.parse(child.stdout.toString()) as readonly Row[];
}

async function growthRows(all: readonly Rule[], count: number): Promise<readonly Row[]> {
  const rules = rulesOf(all, count);
  Bun.gc(true);
  const beforeBytes = process.memoryUsage.rss();
  const startNs = Bun.nanoseconds();
  const compiled = await compileLenient(rules, registry, "wasm");
  const compileMs = (Bun.nanoseconds() - startNs) / 1e6;
  const bench = benchOf({ registry, compile: async () => compiled });
  const armNs = Bun.nanoseconds();
  const { armed, problems } = await bench.engine.arm(rules);
  const armMs = (Bun.nanoseconds() - armNs) / 1e6;
  Bun.gc(true);
  const armedBytes = process.memoryUsage.rss() - beforeBytes;
  const rate = await eventsPerSecond(bench, new Events(seededRandom(7)), 0);
  await bench.engine.close();
  const name = `${count.toLocaleString("en-US")} rules`;
  const note = `${armed} armed, ${problems.length} left out; ${compiled.program.predicates.length.toLocaleString("en-US")} predicates`;
  return [
    { name: `${name}: text to Wasm`, value: compileMs, unit: "ms", note },
    { name: `${name}: Wasm to armed`, value: armMs, unit: "ms", note: "not from the cache" },
    { name: `${name}: module`, value: compiled.program.wasm.length / 1024, unit: "KiB" },
    { name: `${name}: armed memory`, value: armedBytes / 1e6, unit: "MB", note: "resident, the compiler's own included" },
    { name: `${name}: events`, value: rate, unit: "events/s" },
  ];
}

/** Writes to a store as the agent's sink does, and notes how long that took. */
class TimedStore implements Sink {
  readonly name = "store";
  readonly keepsState = true;
  tookMs = 0;
  rows = 0;

  constructor(readonly store: Store) {}

  take(alerts: readonly Alert[], kept?: Kept): void {
    const startNs = Bun.nanoseconds();
    this.store.commit(alerts, kept?.checkpoint, kept?.position);
    this.tookMs = (Bun.nanoseconds() - startNs) / 1e6;
    this.rows = kept?.checkpoint.rows.length ?? 0;
  }
}

async function checkpointRows(): Promise<readonly Row[]> {
  const directory = mkdtempSync(join(tmpdir(), "kestrel-bench-"));
  const { store } = Store.open(join(directory, "kestrel.db"));
  try {
    const clock = new MockClock();
    const sink = new TimedStore(store);
    const keep = { intervalMs: 1000, live: false, position: String };
    const bench = benchOf({ registry, clock, limits: UNBOUNDED, sinks: [sink], keep });
    await bench.engine.arm([ruleOf("bench.pair", PAIR)]);
    const events = new Events(seededRandom(7));
    const samples: { readonly wholeMs: number; readonly storeMs: number }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      for (let key = 0; key < DIRTY_KEYS; key++) await push(bench, events.first(key));
      await bench.engine.drain();
      // Now it is due: the next batch brings the checkpoint.
      clock.advance(60_000);
      const startNs = Bun.nanoseconds();
      await push(bench, events.sensor());
      await bench.engine.drain();
      if (sink.rows < DIRTY_KEYS * 0.98) throw new Error(`The checkpoint had ${sink.rows} rows`);
      samples.push({ wholeMs: (Bun.nanoseconds() - startNs) / 1e6, storeMs: sink.tookMs });
    }
    await bench.engine.close();
    const name = `checkpoint of ${DIRTY_KEYS.toLocaleString("en-US")} keys, engine and store`;
    const changed = samples.slice(1);
    const store0 = samples[0]!;
    return [
      { name: `${name}: new`, value: store0.wholeMs, unit: "ms", note: `${Math.round(store0.storeMs)} ms of it the database` },
      {
        name: `${name}: changed`,
        value: median(changed.map(({ wholeMs }) => wholeMs)),
        unit: "ms",
        note: `${Math.round(median(changed.map(({ storeMs }) => storeMs)))} ms of it the database`,
      },
    ];
  } finally {
    store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Each rule by itself, as `kestrel check` compiles it; the first pass is what the command takes. */
function checkRows(rules: readonly Rule[]): readonly Row[] {
  const passes = [0, 1].map(() =>
    rules.map(({ id, body }) => {
      const text = body.kind === "eql" ? body.query : "";
      const startNs = Bun.nanoseconds();
      const { queries } = compileRuleSet([{ id, text, dialect: "default", exceptions: [], lenientFields: true }], new SchemaRegistry(), []);
      if (queries[0]!.diagnostics.some(({ severity }) => severity === "error")) throw new Error(`${id} does not compile`);
      return (Bun.nanoseconds() - startNs) / 1e6;
    }),
  );
  return passes.map((timesMs, pass) => ({
    name: `check of one rule of ${rules.length}, ${pass === 0 ? "first" : "second"} time`,
    value: median(timesMs),
    unit: "ms",
    note: `at most ${Math.max(...timesMs).toFixed(1)} ms, together ${Math.round(timesMs.reduce((sum, ms) => sum + ms, 0))} ms`,
  }));
}

async function rows(): Promise<readonly Row[]> {
  const rules = corpusRules();
  if (rules.length === 0) return [...skipped("the public rules", "the corpus is not there"), ...(await checkpointRows())];
  const measured: Row[] = [...checkRows(rules)];
  for (const live of LIVE) measured.push(await liveRow(rules, live));
  for (const count of COPIES) measured.push(...growthAlone(count));
  return [...measured, ...(await checkpointRows())];
}

/** What sequences cost with everything around them. */
export const sequenceSection: Section = { name: "sequence", rows };

if (import.meta.main) {
  const count = process.argv[2];
  if (count === undefined) await printAlone(sequenceSection);
  else console.log(JSON.stringify(await growthRows(corpusRules(), Number(count))));
}
