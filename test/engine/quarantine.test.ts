// A rule that fails is stopped with one alert that says so; the others go on, on any number of partitions. Every way to fail, with real
// runtimes: Lua, users' modules, and predicates of the rule set itself, which a compiler of these tests makes fail.
import { expect, setDefaultTimeout, test } from "bun:test";
import type { RuleCompiler } from "#engine";
import type { Rule } from "#rules";
import { alertLine, benchOf, type EventSpec, faultyCompiler, luaRule, ruleOf, wasmFailingAt } from "./fixture.ts";

// Generous, since machines are noisy and no test here measures time; it only ends what hangs.
setDefaultTimeout(60_000);
const FILE: EventSpec = { category: "file", fields: { "file.path": "/tmp/x" } };
const PROCESS: EventSpec = { category: "process", fields: { "process.name": "sh" } };
/** More than a batch: the rule fails in the second one. */
const EVENTS: readonly EventSpec[] = [
  ...Array.from({ length: 300 }, (_, index): EventSpec => ({ ...PROCESS, timeMs: index })),
  { ...FILE, timeMs: 300 },
  ...Array.from({ length: 1500 }, (_, index): EventSpec => ({ ...(index % 7 === 0 ? FILE : PROCESS), timeMs: 301 + index })),
];

const onFile = (act: string): string => `if event:category() == "file" then ${act} end return true`;
const CASES: readonly (readonly [name: string, rule: Rule, reason: RegExp])[] = [
  ["Lua endless loop", luaRule("bad", onFile("while true do end")), /^fuel: /],
  ["Lua error", luaRule("bad", onFile('error("no")')), /^error: .*no/],
  ["Lua hoard", luaRule("bad", onFile("local t = {} for i = 1, 4000000 do t[i] = { i } end return #t > 0")), /^(memory|fuel): /],
  ["module that traps", wasmFailingAt("bad", 301, "(unreachable)"), /^trap: /],
  ["module that never ends", wasmFailingAt("bad", 301, "(loop $l (br $l))"), /^fuel: /],
  ["module that recurses for ever", wasmFailingAt("bad", 301, "(drop (call 0 (i32.const 0)))"), /^(trap|fuel): /],
  ["predicate that traps", ruleOf("bad", "trap file"), /^trap: /],
  ["predicate that never ends", ruleOf("bad", "spin file"), /^fuel: /],
  ["exception of a Lua rule that traps", luaRule("bad", "return true", { exceptions: ["trap file"] }), /^trap: /],
];

for (const [name, rule, reason] of CASES) {
  test(`${name}: stopped once, the others go on, the same bytes on every number of partitions`, async () => {
    const outputs: string[] = [];
    for (const partitions of [1, 2, 4]) {
      let compilations = 0;
      const compile: RuleCompiler = (...args) => {
        compilations++;
        return faultyCompiler(...args);
      };
      const bench = benchOf({ partitions, compile });
      await bench.engine.arm([ruleOf("before", "hit file"), rule, ruleOf("after", "hit process"), luaRule("lua", "return true")]);
      await bench.push(...EVENTS);
      await bench.engine.drain();
      const state = bench.engine.ruleState("bad");
      expect(state?.quarantineReason).toMatch(reason);
      const quarantines = bench.alerts.filter(({ kind }) => kind === "quarantine");
      expect(quarantines.map(({ ruleId, severity }) => [ruleId, severity])).toEqual([["bad", "high"]]);
      expect(quarantines[0]?.message).toContain(state?.quarantineReason ?? "?");
      const count = (id: string): number => bench.fired().filter((fired) => fired === id).length;
      const files = EVENTS.filter(({ category }) => category === "file").length;
      expect({ before: count("before"), after: count("after"), lua: count("lua") }).toEqual({
        before: files,
        after: EVENTS.length - files,
        lua: EVENTS.length,
      });
      // Once to arm, once without the rule where the set held it.
      expect(compilations).toBe(rule.body.kind === "eql" || rule.exceptions.length > 0 ? 2 : 1);
      expect(bench.engine.counters()).toMatchObject({ offered: EVENTS.length, evaluated: EVENTS.length, dropped: 0, waiting: 0 });
      outputs.push(bench.alerts.map(alertLine).join("\n"));
      await bench.engine.close();
    }
    expect(new Set(outputs).size).toBe(1);
  });
}

test("several rules that fail in one batch are all stopped, each with its alert; if all do, the engine goes on without rules", async () => {
  for (const partitions of [1, 3]) {
    const bench = benchOf({ partitions, compile: faultyCompiler });
    await bench.engine.arm([
      ruleOf("a", "trap file"),
      ruleOf("b", "spin file"),
      ruleOf("c", "trap process"),
      luaRule("d", 'error("x") return true'),
    ]);
    await bench.push(FILE, PROCESS, FILE);
    await bench.engine.drain();
    await bench.push(FILE, PROCESS);
    await bench.engine.close();
    expect(bench.fired()).toEqual(["!a", "!b", "!d", "!c"]);
    expect(bench.engine.counters()).toMatchObject({ evaluated: 5, waiting: 0 });
  }
});

test("a stopped rule stays stopped over a reload that does not change it, and runs again when it is changed", async () => {
  const bad = luaRule("bad", onFile('error("no")'));
  const set = ruleOf("set", "trap file");
  const bench = benchOf({ compile: faultyCompiler });
  await bench.engine.arm([bad, set]);
  await bench.push(FILE);
  await bench.engine.drain();
  expect(bench.fired()).toEqual(["!set", "!bad"]);
  expect((await bench.engine.arm([{ ...bad }, { ...set }])).armed).toBe(0);
  await bench.push(PROCESS, FILE);
  await bench.engine.drain();
  expect(bench.fired()).toEqual(["!set", "!bad"]);
  await bench.engine.arm([luaRule("bad", "return true"), ruleOf("set", "hit file")]);
  await bench.push(FILE);
  await bench.engine.close();
  expect(bench.fired()).toEqual(["!set", "!bad", "set", "bad"]);
});

test("what was compiled beforehand is not used when a rule of it has been stopped since", async () => {
  const rules = [ruleOf("bad", "trap file"), ruleOf("good", "hit file")];
  const bench = benchOf({ compile: faultyCompiler });
  const compiled = await faultyCompiler(rules, bench.registry, "wasm");
  await bench.engine.arm(rules, compiled);
  await bench.push(FILE);
  await bench.engine.drain();
  await bench.engine.arm(rules, compiled);
  await bench.push(FILE, PROCESS);
  await bench.engine.close();
  expect(bench.fired()).toEqual(["!bad", "good", "good"]);
});

test("a rule that is stopped while a reload compiles stays stopped", async () => {
  for (const bad of [luaRule("bad", onFile('error("no")')), ruleOf("bad", "trap file")]) {
    for (const partitions of [1, 2]) {
      let during = async (): Promise<void> => {};
      const compile: RuleCompiler = async (...args) => {
        const compiled = await faultyCompiler(...args);
        const work = during;
        during = async () => {};
        await work();
        return compiled;
      };
      const bench = benchOf({ compile, partitions });
      const rules = [bad, ruleOf("good", "hit file")];
      await bench.engine.arm(rules);
      during = async () => {
        await bench.push(FILE);
        await bench.engine.drain();
      };
      await bench.engine.arm([...rules, ruleOf("more", "hit process")]);
      await bench.push(FILE, PROCESS, FILE);
      await bench.engine.close();
      // At the record it failed at, in its place: rules of the set come first, and one of them fails before any of the set hits.
      const first = bad.body.kind === "eql" ? ["!bad", "good"] : ["good", "!bad"];
      expect(bench.fired()).toEqual([...first, "good", "more", "good"]);
    }
  }
});

test("a user's rule over its time for a batch is stopped, with a live budget only", async () => {
  for (const [batchBudgetMs, fired] of [
    [-1, ["eql", "!slow"]],
    [60_000, ["eql", "slow"]],
    [undefined, ["eql", "slow"]],
  ] as const) {
    const bench = benchOf({ batchBudgetMs });
    await bench.engine.arm([ruleOf("eql", "file where true"), luaRule("slow", "return true")]);
    await bench.push(FILE);
    await bench.engine.close();
    expect(bench.fired()).toEqual([...fired]);
    if (batchBudgetMs === -1) expect(bench.engine.ruleState("slow")?.quarantineReason).toMatch(/^time: /);
  }
});

test("who asked is told of a rule when it is stopped, and by then it counts as stopped", async () => {
  const told: string[] = [];
  const bench = benchOf({
    compile: faultyCompiler,
    onStopped: () =>
      told.push(...bench.engine.ruleStates().flatMap(({ rule, quarantineReason }) => (quarantineReason === undefined ? [] : rule.id))),
  });
  await bench.engine.arm([ruleOf("good", "hit file"), ruleOf("bad", "trap file")]);
  await bench.push(PROCESS);
  await bench.engine.drain();
  expect(told).toEqual([]);
  await bench.push(FILE, FILE);
  await bench.engine.drain();
  expect(told).toEqual(["bad"]);
  await bench.engine.close();
});
