// The engine under everything at once, by seed: bursts, pauses, a full bus, clocks that jump, partitions that finish in any order, rules
// swapped at any moment (some broken, some compilations failing), sinks that throw. KESTREL_SEED=… bun test test/sim repeats a run.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EventBus, type RecordSink, ReplaySource, type Sink } from "#core";
import { compileHere, type RuleCompiler } from "#engine";
import { KlogWriter } from "#event";
import type { Rule } from "#rules";
import { SchemaRegistry } from "#schema";
import { alertLine, type Bench, benchOf, luaRule, ruleOf } from "../engine/fixture.ts";
import {
  announce,
  type Border,
  Chance,
  expectedAlerts,
  generatedEvents,
  generatedRecord,
  generatedRules,
  LUA_RULES,
  SEED,
  SteppedWorker,
  settle,
} from "./world.ts";

// Generous, since machines are noisy and no test here measures time; it only ends what hangs.
setDefaultTimeout(60_000);
const STEPS = 300;
const WORLDS = 2;
const BROKEN: readonly Rule[] = [
  ruleOf("broken.eql", "process where process.nam == 1"),
  luaRule("broken.lua", "return ("),
  ruleOf("broken.off", "any where true", { enabled: false }),
];

const folder = mkdtempSync(join(tmpdir(), "kestrel-sim-"));
const RealWorker = globalThis.Worker;

beforeAll(() => announce("simulation"));
afterAll(() => {
  globalThis.Worker = RealWorker;
  rmSync(folder, { recursive: true });
});

/** What happened in one world. */
interface Story {
  readonly bench: Bench;
  readonly records: readonly Uint8Array[];
  readonly borders: readonly Border[];
  readonly refused: number;
  readonly thrown: number;
}

/** Rules of one swap: some of the pool, some of them changed, some broken. */
function chooseRules(chance: Chance, pool: readonly Rule[]): readonly Rule[] {
  const chosen = pool
    .filter(() => chance.is(0.7))
    .map((rule) => (chance.is(0.2) ? { ...rule, severity: chance.of(["low", "high"] as const) } : rule));
  return [...chosen, ...BROKEN.filter(() => chance.is(0.5))];
}

class World {
  readonly #chance: Chance;
  readonly #registry = new SchemaRegistry();
  readonly #pool: readonly Rule[];
  readonly #events: ReturnType<typeof generatedEvents>;
  readonly #bench: Bench;
  readonly #records: Uint8Array[] = [];
  readonly #borderPlaces: number[] = [];
  readonly #armed: (readonly Rule[])[] = [];
  readonly #armings: Promise<void>[] = [];
  #compilations: (() => void)[] = [];
  #timeMs = 1_000_000;
  #stalled = false;
  #offered = 0;
  #refused = 0;
  #thrown = 0;

  constructor(seed: number, partitions: number) {
    this.#chance = new Chance(seed);
    const eql = generatedRules(this.#registry, seed, 12).map((rule, index) =>
      index % 2 === 0 ? rule : { ...rule, throttle: { by: index % 4 === 1 ? [] : ["process.name"], limit: 1 + (index % 3), windowMs: 30 } },
    );
    this.#pool = [...eql, ...LUA_RULES.map(([rule]) => rule)];
    this.#events = generatedEvents(seed, 200);
    const thrower: Sink = {
      name: "thrower",
      take: (alerts) => {
        if (!this.#chance.is(0.1)) return;
        this.#thrown += alerts.length;
        throw new Error("no room");
      },
    };
    SteppedWorker.all.length = 0;
    globalThis.Worker = SteppedWorker as unknown as typeof Worker;
    this.#bench = benchOf({
      registry: this.#registry,
      partitions,
      sinks: [thrower],
      whenFull: "drop",
      flushMs: 20,
      compile: (...args) => this.#compile(...args),
    });
    globalThis.Worker = RealWorker;
  }

  // Ends when the simulation says so, and fails now and then.
  async #compile(...args: Parameters<RuleCompiler>): ReturnType<RuleCompiler> {
    await new Promise<void>((resolve) => this.#compilations.push(resolve));
    if (this.#armed.length > 0 && this.#chance.is(0.1)) throw new Error("no compiler");
    return compileHere(...args);
  }

  #swap(): void {
    const rules = chooseRules(this.#chance, this.#pool);
    const arming = this.#bench.engine.arm(rules).then(
      () => void this.#armed.push(rules),
      (error: Error) => expect(error.message).toBe("no compiler"),
    );
    this.#armings.push(arming as Promise<void>);
  }

  #burst(count: number): void {
    for (let index = 0; index < count; index++) {
      const jump = this.#chance.is(0.02) ? this.#chance.below(200) - 150 : this.#chance.below(2);
      this.#timeMs += jump;
      const record = generatedRecord(this.#registry, this.#chance.of(this.#events), BigInt(this.#timeMs) * 1_000_000n);
      this.#offered++;
      if (this.#bench.engine.input.push(record, 0, record.length)) this.#records.push(record);
      else this.#refused++;
    }
  }

  async #step(): Promise<void> {
    const die = this.#chance.below(100);
    if (die < 27) this.#burst(1 + this.#chance.below(this.#chance.is(0.1) ? 400 : 30));
    else if (die < 37) this.#bench.clock.advance(this.#chance.below(40));
    else if (die < 42) this.#swap();
    else if (die < 52) this.#compilations.shift()?.();
    else if (die < 74) this.#bench.engine.flush();
    // Workers that stall for a while: the bus gets full.
    else if (die < 77) this.#stalled = !this.#stalled;
    else if (!this.#stalled) await this.#stepWorker();
    await settle();
    this.#check();
  }

  async #stepWorker(): Promise<void> {
    const busy = SteppedWorker.all.filter((worker) => worker.busy);
    if (busy.length > 0) await this.#chance.of(busy).step();
  }

  #check(): void {
    const { offered, evaluated, dropped, waiting, alerts, sinkErrors } = this.#bench.engine.counters();
    expect({ offered, sum: evaluated + dropped + waiting }).toEqual({ offered: this.#offered, sum: this.#offered });
    expect({ dropped, sinkErrors, alerts }).toEqual({
      dropped: this.#refused,
      sinkErrors: this.#thrown,
      alerts: this.#bench.alerts.length,
    });
  }

  /** Runs the story to its end. */
  async run(): Promise<Story> {
    const places = this.#borderPlaces;
    const atBorder = EventBus.prototype.atBorder;
    const records = this.#records;
    EventBus.prototype.atBorder = function (this: EventBus<unknown>, change) {
      places.push(records.length);
      return atBorder.call(this, change);
    };
    try {
      const first = this.#pool;
      this.#armings.push(
        this.#bench.engine.arm(first).then(
          () => void this.#armed.push(first),
          () => undefined,
        ),
      );
      await this.#finish(async () => this.#armings[0] as Promise<void>);
      for (let step = 0; step < STEPS; step++) await this.#step();
      await this.#finish(async () => void (await Promise.all(this.#armings)));
      await this.#finish(() => this.#bench.engine.close());
      this.#check();
    } finally {
      EventBus.prototype.atBorder = atBorder;
    }
    expect(places.length).toBe(this.#armed.length);
    const borders = places.map((accepted, index): Border => ({ accepted, rules: this.#armed[index] as readonly Rule[] }));
    return { bench: this.#bench, records, borders, refused: this.#refused, thrown: this.#thrown };
  }

  /** Steps everything until the work is done. */
  async #finish(work: () => Promise<void>): Promise<void> {
    let done = false;
    const end = work().finally(() => {
      done = true;
    });
    for (let step = 0; !done && step < 100_000; step++) {
      this.#compilations.shift()?.();
      await this.#stepWorker();
      await settle();
    }
    await end;
  }
}

/** Pushes what a source gives up to each border, and arms there. */
class BorderSink implements RecordSink {
  #taken = 0;
  constructor(
    readonly bench: Bench,
    readonly borders: readonly Border[],
  ) {}

  push(bytes: Uint8Array, offset: number, length: number): boolean {
    if (this.borders.some(({ accepted }, index) => accepted === this.#taken && index >= this.#armed)) return false;
    if (!this.bench.engine.input.push(bytes, offset, length)) return false;
    this.#taken++;
    return true;
  }

  #armed = 0;
  async ready(): Promise<void> {
    const border = this.borders[this.#armed];
    if (border?.accepted !== this.#taken) return this.bench.engine.input.ready();
    this.#armed++;
    await this.bench.engine.arm(border.rules);
  }
}

async function replayed(story: Story, path: string, partitions: number, backend: "wasm" | "lua"): Promise<string[]> {
  const bench = benchOf({ partitions, backend });
  const source = new ReplaySource({
    registry: bench.registry,
    files: [path],
    decoder: {},
    onProblem: ({ message }) => expect(message).toBe(""),
  });
  await source.start(new BorderSink(bench, story.borders));
  await bench.engine.close();
  return bench.alerts.map(alertLine);
}

for (let world = 0; world < WORLDS; world++) {
  const partitions = 1 + ((SEED + world) % 4);
  test(`world ${world}, ${partitions} partitions: as the model says, and as its recording replays`, async () => {
    const story = await new World(SEED + world, partitions).run();
    const { bench, records, borders } = story;
    // Not vacuous.
    expect(records.length).toBeGreaterThan(200);
    expect(borders.length).toBeGreaterThan(2);
    if (partitions > 1) expect(story.refused).toBeGreaterThan(0);
    expect(bench.alerts.length).toBeGreaterThan(50);
    const got = bench.alerts.map(({ seq, ruleId }) => ({ seq, ruleId }));
    expect(got.every(({ seq }, index) => index === 0 || seq >= (got[index - 1] as { seq: bigint }).seq)).toBe(true);
    expect(got).toEqual([...expectedAlerts(records, borders, bench.registry)]);

    const path = join(folder, `${world}.klog`);
    const writer = KlogWriter.open(path, bench.registry);
    for (const record of records) writer.append(record, 0, record.length);
    writer.close();
    const live = bench.alerts.map(alertLine);
    for (const [threads, backend] of [
      [1, "wasm"],
      [3, "lua"],
    ] as const) {
      expect(Bun.hash((await replayed(story, path, threads, backend)).join("\n"))).toBe(Bun.hash(live.join("\n")));
    }
  });
}

test("the same seed tells the same story", async () => {
  const tell = async (): Promise<string> => {
    const { bench, records, borders, refused, thrown } = await new World(SEED, 3).run();
    return JSON.stringify([bench.alerts.map(alertLine), records.length, borders.map(({ accepted }) => accepted), refused, thrown]);
  };
  expect(Bun.hash(await tell())).toBe(Bun.hash(await tell()));
});
