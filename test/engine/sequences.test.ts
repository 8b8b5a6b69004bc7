// Sequences through the whole engine: rules in EQL, records over partitions, alerts, reloads, restarts from kept state.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Alert, type Kept, type SavedState, type Sink, stringifyJson } from "#core";
import { compileHere, type EngineOptions } from "#engine";
import { STATE_LIMITS } from "#nfa";
import { SchemaRegistry } from "#schema";
import { seededRandom } from "../eql/backend-support.ts";
import { tempDir } from "../event/temp-dir.ts";
import { alertLine, type Bench, benchOf, type EventSpec, luaRule, ruleOf } from "./fixture.ts";

setDefaultTimeout(60_000);

const NOW = { ...STATE_LIMITS, reorderNs: 0n };
const DOWNLOAD_RUN = `sequence by user.name with maxspan=10s
  [process where process.name == "curl"]
  [process where process.name == "sh"]`;

function at(timeMs: number, name: string, user = "ann", more: EventSpec["fields"] = {}): EventSpec {
  return { timeMs, fields: { "@timestamp": BigInt(timeMs) * 1_000_000n, "process.name": name, "user.name": user, ...more } };
}

/** Event times of each alert, in milliseconds. */
function times({ alerts }: Bench): readonly (readonly number[])[] {
  return alerts.map(({ events }) => events.map((event) => Date.parse(event["@timestamp"] as string)));
}

async function armed(query: string, options: Partial<EngineOptions> = {}, more: Parameters<typeof ruleOf>[2] = {}): Promise<Bench> {
  const bench = benchOf({ limits: NOW, ...options });
  const { problems } = await bench.engine.arm([ruleOf("s", query, more)]);
  expect(problems).toEqual([]);
  return bench;
}

describe("a sequence", () => {
  test("raises one alert with its events in order, the last one's facts and a stable id", async () => {
    const bench = await armed(DOWNLOAD_RUN, {}, { capture: ["process.pid", "user.name"] });
    await bench.push(at(1000, "curl"), at(2000, "sh", "bob"), at(3000, "sh", "ann", { "process.pid": 7n }), at(4000, "sh"));
    await bench.engine.finish();
    expect(times(bench)).toEqual([[1000, 3000]]);
    const alert = bench.alerts[0] as Alert;
    expect(alert).toMatchObject({
      kind: "rule",
      ruleId: "s",
      timeNs: 3_000_000_000n,
      seq: 2n,
      captures: { "process.pid": 7n, "user.name": "ann" },
    });
    expect(alert.message).toBe("Rule s: sh by ann (2 events in 2.0 s)");
    expect(bench.engine.ruleState("s")).toMatchObject({ hits: 1, alerts: 1 });
    const again = await armed(DOWNLOAD_RUN);
    await again.push(at(0, "x"), at(1000, "curl"), at(3000, "sh", "ann", { "process.pid": 7n }));
    await again.engine.finish();
    expect(again.alerts[0]?.id).toBe(alert.id);
  });

  test("waits for the reorder buffer, and for no more", async () => {
    const bench = await armed(DOWNLOAD_RUN, { limits: { ...STATE_LIMITS, reorderNs: 1_000_000_000n } });
    await bench.push(at(2000, "sh"), at(1500, "curl"), at(2900, "x"));
    await bench.engine.drain();
    expect(bench.fired()).toEqual([]);
    await bench.push(at(3001, "x"));
    await bench.engine.drain();
    expect(times(bench)).toEqual([[1500, 2000]]);
  });

  test("is completed by a promise of the source that nothing older comes", async () => {
    const bench = await armed(DOWNLOAD_RUN, { limits: { ...STATE_LIMITS, reorderNs: 60_000_000_000n } });
    await bench.push(at(1000, "curl"), at(2000, "sh"));
    bench.engine.input.progress?.(1_999_999_999n);
    await bench.engine.drain();
    expect(bench.fired()).toEqual([]);
    bench.engine.input.progress?.(2_000_000_001n);
    await bench.engine.drain();
    expect(bench.fired()).toEqual(["s"]);
  });

  test("leaves out events that an exception holds for", async () => {
    const bench = await armed(DOWNLOAD_RUN, {}, { exceptions: ['process.parent.name == "ci"'] });
    await bench.push(at(1000, "curl", "ann", { "process.parent.name": "ci" }), at(2000, "sh"), at(3000, "curl"), at(4000, "sh"));
    await bench.engine.finish();
    expect(times(bench)).toEqual([[3000, 4000]]);
  });

  test("is held back by the rule's throttle", async () => {
    const bench = await armed(DOWNLOAD_RUN, {}, { throttle: { by: ["user.name"], limit: 1, windowMs: 60_000 } });
    await bench.push(at(1000, "curl"), at(2000, "sh"), at(3000, "curl"), at(4000, "sh"), at(5000, "curl", "bob"), at(6000, "sh", "bob"));
    await bench.engine.finish();
    expect(times(bench)).toEqual([
      [1000, 2000],
      [5000, 6000],
    ]);
    expect(bench.engine.ruleState("s")).toMatchObject({ hits: 3, alerts: 2, suppressed: 1 });
  });

  test("keeps one pending sequence for each event with match: all", async () => {
    const events = [at(1000, "curl"), at(2000, "curl"), at(3000, "sh")];
    const latest = await armed(DOWNLOAD_RUN);
    await latest.push(...events);
    await latest.engine.finish();
    expect(times(latest)).toEqual([[2000, 3000]]);
    const all = await armed(DOWNLOAD_RUN, {}, { match: "all" });
    await all.push(...events);
    await all.engine.finish();
    expect(times(all)).toEqual([
      [1000, 3000],
      [2000, 3000],
    ]);
  });
});

test("a filter behind a sequence decides whether it alerts", async () => {
  const bench = await armed(`${DOWNLOAD_RUN} | filter events[1].process.pid > 10 and process.name == "curl"`);
  const sh = (timeMs: number, pid: bigint): EventSpec => at(timeMs, "sh", "ann", { "process.pid": pid });
  await bench.push(at(1000, "curl"), sh(2000, 7n), at(3000, "curl"), sh(4000, 70n));
  await bench.engine.finish();
  expect(times(bench)).toEqual([[3000, 4000]]);
});

describe("a rule whose residual takes too many steps", () => {
  const MANY = Array.from({ length: 3000 }, (_, index) => `argument ${index}`);

  test.each([
    ["in a step", `${DOWNLOAD_RUN.replace('curl"]', 'curl"] as first').replace('"sh"]', '"sh" and first.process.args == process.args]')}`],
    ["in a filter", `${DOWNLOAD_RUN} | filter events[0].process.args == events[1].process.args`],
  ])("%s is stopped at that event, and the others go on", async (_where, query) => {
    const bench = benchOf({ limits: NOW });
    const { problems } = await bench.engine.arm([ruleOf("costly", query), ruleOf("s", DOWNLOAD_RUN)]);
    expect(problems).toEqual([]);
    const other = MANY.map((text) => text.toUpperCase());
    await bench.push(
      at(1000, "curl", "ann", { "process.args": MANY }),
      at(2000, "sh", "ann", { "process.args": other }),
      at(3000, "curl"),
      at(4000, "sh"),
    );
    await bench.engine.finish();
    expect(bench.fired().toSorted()).toEqual(["!costly", "s", "s"]);
    expect(bench.engine.ruleState("costly")?.quarantineReason).toMatch(/^fuel: /);
  });
});

test("an exception of a Lua rule that asks about lineage is refused", async () => {
  const bench = benchOf({ limits: NOW });
  const exceptions = ['descendant of [process where process.name == "ci"]'];
  const { armed: count, problems } = await bench.engine.arm([luaRule("l", "return true", { exceptions }), ruleOf("s", DOWNLOAD_RUN)]);
  expect(count).toBe(1);
  expect(problems).toMatchObject([{ ruleId: "l", diagnostics: [{ message: expect.stringContaining("lineage") }] }]);
  await bench.push(at(1000, "curl"), at(2000, "sh"));
  await bench.engine.finish();
  expect(bench.fired()).toEqual(["s"]);
});

describe("an event that does not come", () => {
  const QUERY = `sequence by user.name with maxspan=10s [process where process.name == "curl"] ![process where process.name == "sh"]`;

  test("alerts when its time has passed, never early, and not when it comes", async () => {
    const bench = await armed(QUERY);
    await bench.push(at(1000, "curl"), at(2000, "curl", "bob"), at(3000, "sh", "bob"), at(11_000, "x"));
    bench.engine.input.progress?.(11_000_000_000n);
    await bench.engine.drain();
    expect(bench.fired()).toEqual([]);
    bench.engine.input.progress?.(11_000_000_001n);
    await bench.engine.drain();
    expect(times(bench)).toEqual([[1000]]);
    await bench.engine.finish();
    expect(bench.alerts.length).toBe(1);
  });

  test("is told at the end of a recording", async () => {
    const bench = await armed(QUERY);
    await bench.push(at(1000, "curl"));
    await bench.engine.drain();
    expect(bench.fired()).toEqual([]);
    await bench.engine.finish();
    expect(times(bench)).toEqual([[1000]]);
  });
});

describe("what looks back", () => {
  test("an alias compares with an earlier event", async () => {
    const bench = await armed(`sequence by user.name with maxspan=1m
      [process where process.name == "curl"] as download
      [process where process.name == "sh" and stringContains(process.command_line, download.file.name)]`);
    await bench.push(
      at(1000, "curl", "ann", { "file.name": "x.sh" }),
      at(2000, "sh", "ann", { "process.command_line": "sh y.sh" }),
      at(3000, "sh", "ann", { "process.command_line": "sh x.sh" }),
    );
    await bench.engine.finish();
    expect(times(bench)).toEqual([[1000, 3000]]);
  });

  test("lineage from the ancestors in the event, and from parents seen before", async () => {
    const query = 'process where process.name == "sh" and descendant of [process where process.name == "nginx"]';
    const bench = await armed(query);
    const process = (timeMs: number, name: string, id: string, more: EventSpec["fields"] = {}): EventSpec =>
      at(timeMs, name, "www", { "process.entity_id": id, ...more });
    await bench.push(
      process(1000, "nginx", "n"),
      process(2000, "perl", "p", { "process.parent.entity_id": "n" }),
      process(3000, "sh", "a", { "process.parent.entity_id": "p" }),
      process(4000, "sh", "b", { "process.parent.entity_id": "q", "process.Ext.ancestry": ["q", "r", "n"] }),
      process(5000, "sh", "c", { "process.parent.entity_id": "q", "process.Ext.ancestry": ["q", "r"] }),
    );
    await bench.engine.finish();
    expect(times(bench)).toEqual([[3000], [4000]]);
  });
});

describe("a reload", () => {
  const OTHER = ruleOf("other", 'process where process.name == "never"');

  test("that leaves the rule alone keeps what is pending; one that changes it does not", async () => {
    for (const [query, expected] of [
      [DOWNLOAD_RUN, ["s"]],
      [`${DOWNLOAD_RUN} // changed`, []],
    ] as const) {
      const bench = await armed(DOWNLOAD_RUN);
      await bench.push(at(1000, "curl"));
      await bench.engine.arm([OTHER, ruleOf("s", query)]);
      await bench.push(at(2000, "sh"));
      await bench.engine.finish();
      expect(bench.fired()).toEqual([...expected]);
    }
  });
});

test("a rule that evicts says so once and goes on", async () => {
  const bench = await armed(DOWNLOAD_RUN, { limits: { ...NOW, ruleEntriesMax: 2 } });
  const users = ["a", "b", "c", "d"];
  await bench.push(
    ...users.map((user, index) => at(1000 + index, "curl", user)),
    ...users.map((user, index) => at(2000 + index, "sh", user)),
  );
  await bench.engine.finish();
  expect(bench.alerts.map(({ kind }) => kind)).toEqual(["eviction", "rule", "rule"]);
});

/** A sink that keeps alerts and state as the store does: both or neither. */
class MemoryKeeper implements Sink {
  readonly name = "memory";
  readonly keepsState = true;
  readonly lines = new Map<string, string>();
  readonly #rows = new Map<string, { readonly owner: string; readonly key: Uint8Array; readonly value: Uint8Array }>();
  position = 0;

  take(alerts: readonly Alert[], kept?: Kept): void {
    for (const alert of alerts) this.lines.set(alert.id, alertLine(alert));
    if (kept === undefined) return;
    for (const owner of kept.checkpoint.cleared) {
      for (const [name, row] of this.#rows) if (row.owner === owner) this.#rows.delete(name);
    }
    for (const { owner, key, value } of kept.checkpoint.rows) {
      const name = `${owner} ${Buffer.from(key).toString("hex")}`;
      if (value === undefined) this.#rows.delete(name);
      else this.#rows.set(name, { owner, key: key.slice(), value: value.slice() });
    }
    this.position = Number(kept.position);
  }

  state(): SavedState {
    return [...this.#rows.values()];
  }
}

test("a live source's state is kept when it changed, with alerts at once, and not for time that passes", async () => {
  const kept: number[] = [];
  const sink: Sink = {
    name: "keeper",
    keepsState: true,
    take: (alerts, state) => void kept.push(alerts.length * 10 + (state === undefined ? 0 : 1)),
  };
  const bench = await armed(DOWNLOAD_RUN, { sinks: [sink], keep: { intervalMs: 1000, live: true, position: String } });
  const tick = async (untilMs: number): Promise<void> => {
    bench.clock.advance(1001);
    bench.engine.input.progress?.(BigInt(untilMs) * 1_000_000n);
    await bench.engine.drain();
  };
  // The rule itself is new.
  await tick(1);
  await tick(2);
  expect(kept).toEqual([1]);
  await bench.push(at(1000, "curl"));
  await bench.engine.drain();
  expect(kept).toEqual([1]);
  // Once while it waits to be put in order, once when it has become a pending sequence.
  await tick(999);
  await tick(1001);
  await tick(1002);
  expect(kept).toEqual([1, 1, 1]);
  await bench.push(at(2000, "sh"));
  await bench.engine.drain();
  expect(kept).toEqual([1, 1, 1]);
  bench.engine.input.progress?.(2_000_000_001n);
  expect(kept).toEqual([1, 1, 1, 11]);
  await bench.engine.close();
  expect(kept).toEqual([1, 1, 1, 11, 1]);
});

describe("the same alerts", () => {
  const RULES = [
    ruleOf("pair", DOWNLOAD_RUN),
    ruleOf("runs", "sequence by user.name with maxspan=30s [process where process.pid > 50] with runs=3"),
    ruleOf("absent", `sequence by user.name with maxspan=5s [process where process.name == "sh"] ![process where process.name == "x"]`),
    ruleOf(
      "until",
      `sequence by user.name [process where process.name == "x"] [process where process.name == "sh"] until [process where process.pid < 5]`,
    ),
    ruleOf("sample", `sample by user.name [process where process.name == "x"] [process where process.pid == 77]`),
    ruleOf("event", "process where process.pid == 99", { throttle: { by: ["user.name"], limit: 2, windowMs: 20_000 } }),
    ruleOf(
      "alias",
      `sequence by user.name with maxspan=20s [process where process.pid > 80] as high [process where process.pid < high.process.pid]`,
    ),
    ruleOf("all", DOWNLOAD_RUN, { match: "all" }),
  ];

  function stream(seed: number, count: number): EventSpec[] {
    let state = seed;
    const below = (end: number): number => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 8) % end;
    };
    const names = ["curl", "sh", "x", "y"];
    const users = ["ann", "bob", "eve"];
    return Array.from({ length: count }, (_, index) =>
      // Up to 400 ms out of order.
      at(10_000 + index * 200 - below(3) * 200, names[below(4)] as string, users[below(3)] as string, {
        "process.pid": BigInt(below(100)),
      }),
    );
  }

  const LIMITS = { ...STATE_LIMITS, reorderNs: 1_000_000_000n };

  async function whole(events: readonly EventSpec[], options: Partial<EngineOptions>): Promise<readonly string[]> {
    const bench = benchOf({ limits: LIMITS, ...options });
    await bench.engine.arm(RULES);
    await bench.push(...events);
    await bench.engine.finish();
    await bench.engine.close();
    return bench.alerts.map(alertLine);
  }

  test("on 1, 2, 4 and 8 partitions and on both back ends", async () => {
    const events = stream(7, 1500);
    const expected = await whole(events, {});
    expect(new Set(expected.map((line) => JSON.parse(line).rule.id)).size).toBe(RULES.length);
    for (const partitions of [2, 4, 8]) expect(await whole(events, { partitions })).toEqual([...expected]);
    expect(await whole(events, { backend: "lua" })).toEqual([...expected]);
  });

  test("whole, or cut at 200 random places with a restart from what was kept at each", async () => {
    const seed = Number(process.env["KESTREL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
    console.log(`cuts: KESTREL_SEED=${seed}`);
    const random = seededRandom(seed);
    const events = stream(11, 1500);
    const expected = await whole(events, {});
    const keeper = new MemoryKeeper();
    // Compiled once: this is about the state.
    const registry = new SchemaRegistry();
    const compiled = await compileHere(RULES, registry, "wasm");
    using cache = tempDir();
    const cuts = Array.from({ length: 200 }, () => Math.floor(random() * events.length)).sort((a, b) => a - b);
    for (const cut of [...cuts, events.length]) {
      const from = keeper.position;
      const bench = benchOf({
        registry,
        cacheDirectory: cache.path,
        limits: LIMITS,
        sinks: [keeper],
        firstSeq: from,
        keep: { intervalMs: 1e9, live: false, position: (records) => String(from + records) },
      });
      await bench.engine.arm(RULES, compiled);
      expect(bench.engine.restore(keeper.state())).toEqual([]);
      await bench.push(...events.slice(from, cut));
      if (cut === events.length) await bench.engine.finish();
      await bench.engine.close();
    }
    expect([...keeper.lines.values()].sort()).toEqual([...new Set(expected)].sort());
    expect(keeper.lines.size).toBe(expected.length);
  });

  test("after a checkpoint that could not be kept", async () => {
    const events = stream(13, 400);
    const expected = await whole(events, {});
    const keeper = new MemoryKeeper();
    let failing = true;
    const sink: Sink = {
      name: "full disk",
      keepsState: true,
      take(alerts, kept) {
        if (failing && kept !== undefined) throw new Error("disk full");
        keeper.take(alerts, kept);
      },
    };
    const keep = { intervalMs: 0, live: true, position: String };
    const first = benchOf({ limits: LIMITS, sinks: [sink], keep });
    await first.engine.arm(RULES);
    await first.push(...events.slice(0, 150));
    await first.engine.drain();
    expect(first.engine.counters().sinkErrors).toBeGreaterThan(0);
    failing = false;
    await first.push(...events.slice(150, 200));
    await first.engine.close();
    const second = benchOf({ limits: LIMITS, firstSeq: keeper.position });
    await second.engine.arm(RULES);
    expect(second.engine.restore(keeper.state())).toEqual([]);
    await second.push(...events.slice(keeper.position));
    await second.engine.finish();
    const lines = [...first.alerts, ...second.alerts].map(alertLine);
    expect(lines).toEqual([...expected]);
    expect(stringifyJson(lines).length).toBeGreaterThan(0);
  });
});
