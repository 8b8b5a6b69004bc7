// Arming, alerts and reloads of the engine, with the real compiler and the real runtimes.
import { expect, test } from "bun:test";
import { createLog, MockClock } from "#core";
import { type CompiledRules, compileHere, compileInWorker, type RuleCompiler, runRuleTests } from "#engine";
import type { Rule } from "#rules";
import { SchemaRegistry } from "#schema";
import { SinkFailures } from "../../src/engine/sink-failures.ts";
import { LINE_BYTES_MAX } from "../../src/event/json-decoder.ts";
import { benchOf, deferred, luaRule, recordOf, ruleOf, wasmFailingAt, wasmRule } from "./fixture.ts";

const SHELL = { fields: { "process.name": "sh", "process.pid": 7n } };
const CURL = { fields: { "process.name": "curl", "process.pid": 8n } };
const HIT = "(i32.const 1)";

test("rules that do not load are reported by id and the others are armed", async () => {
  const bench = benchOf();
  const broken = { kind: "wasm", bytes: new Uint8Array([0, 97, 115, 109]) } as const;
  const { armed, problems } = await bench.engine.arm([
    ruleOf("eql.good", 'process where process.name == "sh"'),
    ruleOf("eql.bad", "process where process.nam == 1"),
    luaRule("lua.good", 'return event["process.name"] == "sh"'),
    luaRule("lua.bad", "return ("),
    luaRule("lua.bad-exception", "return true", { exceptions: ["nonsense ("] }),
    wasmRule("wasm.good", HIT),
    ruleOf("wasm.bad", "", { body: broken }),
    ruleOf("off", "any where true", { enabled: false }),
    ruleOf("eql.bad-exception", "any where true", { exceptions: ["process.nam == 1"] }),
  ]);
  expect(problems.map(({ ruleId, diagnostics }) => [ruleId, diagnostics.some(({ severity }) => severity === "error")]).sort()).toEqual([
    ["eql.bad", true],
    ["eql.bad-exception", true],
    ["lua.bad", true],
    ["lua.bad-exception", true],
    ["wasm.bad", true],
  ]);
  expect(armed).toBe(3);
  expect(bench.engine.ruleStates().map(({ rule }) => rule.id)).toEqual(["eql.good", "lua.good", "wasm.good"]);
  await bench.push(SHELL, CURL);
  await bench.engine.close();
  expect(bench.fired()).toEqual(["eql.good", "lua.good", "wasm.good", "wasm.good"]);
});

test("no rules at all: records pass and are counted", async () => {
  for (const partitions of [1, 2]) {
    const bench = benchOf({ partitions });
    expect(await bench.engine.arm([])).toEqual({ armed: 0, problems: [], reach: [] });
    await bench.push(SHELL, CURL);
    await bench.engine.close();
    expect(bench.engine.counters()).toMatchObject({ offered: 2, evaluated: 2, dropped: 0, waiting: 0, alerts: 0 });
  }
});

test("an alert carries captured values, ancestors and a sentence about its subject", async () => {
  const bench = benchOf();
  await bench.engine.arm([
    ruleOf("r", "process where true", {
      capture: ["process.pid", "process.args", "user.name"],
      severity: "high",
      tags: ["attack.execution"],
    }),
    luaRule("l", 'capture_field("a", "first") capture_field("b", "2") alert_emit("said so") return event:category() == "file"'),
  ]);
  const process = { "process.name": "sh", "process.pid": 7n, "process.args": ["sh", "-c"], "process.command_line": "sh -c" };
  await bench.push(
    { timeMs: 5, fields: { ...process, "kestrel.ancestry": ["3\tbash\t/bin/bash", "1\tinit\t/sbin/init"] } },
    { timeMs: 6, fields: { ...process, "process.parent.pid": 4n, "process.parent.name": "cron", "user.name": "root" } },
    { category: "file", timeMs: 7, fields: { "file.path": "/etc/x", "process.name": "sh" } },
  );
  await bench.engine.close();
  const [first, second, third] = bench.alerts;
  expect(first).toMatchObject({ severity: "high", timeNs: 5_000_000n, seq: 0n, message: "Rule r: sh -c", tags: ["attack.execution"] });
  expect(first?.captures).toEqual({ "process.pid": 7n, "process.args": ["sh", "-c"] });
  expect(first?.ancestry).toEqual([
    { pid: 3, name: "bash", executable: "/bin/bash" },
    { pid: 1, name: "init", executable: "/sbin/init" },
  ]);
  expect(second).toMatchObject({ message: "Rule r: sh -c by root", seq: 1n, captures: { "user.name": "root" } });
  expect(second?.ancestry).toEqual([{ pid: 4, name: "cron", executable: "" }]);
  expect(third).toMatchObject({ ruleId: "l", message: "Rule l: said so", captures: { a: "first", b: "2" }, ancestry: [] });
});

test("exceptions hold back EQL, Lua and Wasm rules alike", async () => {
  for (const backend of ["wasm", "lua"] as const) {
    const bench = benchOf({ backend });
    const exceptions = ['process.name == "curl"'];
    await bench.engine.arm([
      ruleOf("eql", "process where true", { exceptions }),
      luaRule("lua", "return true", { exceptions }),
      wasmRule("wasm", HIT, "", { exceptions }),
      luaRule("lua.free", "return true"),
    ]);
    await bench.push(SHELL, CURL);
    await bench.engine.close();
    expect(bench.fired()).toEqual(["eql", "lua", "wasm", "lua.free", "lua.free"]);
    expect(bench.engine.ruleState("lua")?.hits).toBe(1);
  }
});

test("the id of an alert depends on rule and event, not on seq or on the numbers of categories", async () => {
  const rules = [ruleOf("one", 'any where process.name == "sh"'), ruleOf("two", 'any where process.name == "sh"')];
  const event = { ...SHELL, category: "house-music" };
  const idsOf = async (before: readonly string[], events: readonly (typeof event)[]): Promise<string[]> => {
    const bench = benchOf();
    for (const name of before) bench.registry.categories.intern(name);
    await bench.engine.arm(rules);
    await bench.push(...events);
    await bench.engine.close();
    return bench.alerts.map(({ id }) => id);
  };
  const ids = await idsOf([], [event]);
  expect(new Set(ids).size).toBe(2);
  expect(await idsOf(["techno"], [{ ...CURL, category: "x" }, event])).toEqual(ids);
  expect(await idsOf([], [{ ...event, category: "techno" }])).not.toContainAnyValues(ids);
});

test("a throttle outlives a reload that does not touch its rule, and hits are counted on", async () => {
  const throttle = { by: ["process.pid"], limit: 2, windowMs: 60_000 };
  const bench = benchOf();
  const rule = () => ruleOf("r", 'process where process.name == "sh"', { throttle: { ...throttle } });
  await bench.engine.arm([rule()]);
  await bench.push(SHELL, SHELL, SHELL);
  await bench.engine.arm([rule(), ruleOf("other", "file where true")]);
  await bench.push(SHELL);
  await bench.engine.drain();
  expect(bench.fired()).toEqual(["r", "r"]);
  expect(bench.engine.ruleState("r")).toMatchObject({ hits: 4, alerts: 2, suppressed: 2 });
  await bench.engine.arm([{ ...rule(), severity: "low" }]);
  await bench.push(SHELL);
  await bench.engine.close();
  expect(bench.fired()).toEqual(["r", "r", "r"]);
  expect(bench.engine.ruleState("r")).toMatchObject({ hits: 1, alerts: 1, suppressed: 0 });
});

test("a module keeps what it remembers over a reload that does not touch its rule", async () => {
  const bench = benchOf();
  // Matches the third event it sees, and only that.
  const body = "(global.set $seen (i32.add (global.get $seen) (i32.const 1))) (i32.eq (global.get $seen) (i32.const 3))";
  const third = (): Rule => wasmRule("third", body, "(global $seen (mut i32) (i32.const 0))");
  await bench.engine.arm([third()]);
  await bench.push(SHELL, SHELL);
  await bench.engine.arm([third(), ruleOf("other", "file where true")]);
  await bench.push(SHELL, SHELL);
  await bench.engine.arm([{ ...third(), severity: "low" }]);
  await bench.push(SHELL, SHELL, CURL);
  await bench.engine.close();
  expect(bench.alerts.map(({ seq, severity }) => [seq, severity])).toEqual([
    [2n, "medium"],
    [6n, "low"],
  ]);
});

test("a reload takes a rule away and brings another at the border, for every kind of rule", async () => {
  for (const partitions of [1, 2]) {
    const bench = benchOf({ partitions });
    await bench.engine.arm([ruleOf("eql", "any where true"), luaRule("lua", "return true"), wasmRule("wasm", HIT)]);
    await bench.push(SHELL);
    const armed = bench.engine.arm([ruleOf("eql.new", "any where true"), luaRule("lua", 'return event["process.pid"] == 8')]);
    await armed;
    await bench.push(SHELL, CURL);
    await bench.engine.close();
    expect(bench.fired()).toEqual(["eql", "lua", "wasm", "eql.new", "eql.new", "lua"]);
  }
});

test("arm calls take effect in the order they were made, however long each compiles", async () => {
  const gates = [deferred(), deferred(), deferred()];
  let calls = 0;
  const compile: RuleCompiler = async (...args) => {
    await gates[calls++]?.promise;
    return compileHere(...args);
  };
  const bench = benchOf({ compile });
  const kept = ruleOf("kept", "any where true", { throttle: { by: [], limit: 1, windowMs: 60_000 } });
  const done: number[] = [];
  const armings = [[kept], [kept, ruleOf("second", "any where true")], [kept, ruleOf("third", "any where true")]].map((rules, index) =>
    bench.engine.arm(rules).then(() => done.push(index)),
  );
  for (const gate of gates.toReversed()) {
    gate.resolve();
    await Promise.resolve();
  }
  await armings[0];
  await bench.push(SHELL);
  await Promise.all(armings);
  expect(done).toEqual([0, 1, 2]);
  await bench.push(SHELL);
  await bench.engine.close();
  expect(bench.fired()).toEqual(["kept", "third"]);
  expect(bench.engine.ruleState("kept")).toMatchObject({ hits: 2, suppressed: 1 });
});

test("an arm call that fails changes nothing and does not stop the next", async () => {
  let fail = false;
  const compile: RuleCompiler = async (...args): Promise<CompiledRules> => {
    if (fail) throw new Error("no compiler");
    return compileHere(...args);
  };
  const bench = benchOf({ compile });
  await bench.engine.arm([ruleOf("old", "any where true"), wasmFailingAt("counts", 100, "(unreachable)")]);
  fail = true;
  await expect(bench.engine.arm([ruleOf("new", "any where true")])).rejects.toThrow("no compiler");
  await bench.push(SHELL);
  fail = false;
  await bench.engine.arm([ruleOf("newer", "any where true")]);
  await bench.push(SHELL);
  await bench.engine.close();
  expect(bench.fired()).toEqual(["old", "counts", "newer"]);
});

test("a reload comes through although the source never pauses", async () => {
  const bench = benchOf({ partitions: 2, whenFull: "drop" });
  await bench.engine.arm([ruleOf("old", "any where true", { throttle: { by: [], limit: 1, windowMs: 60_000 } })]);
  const record = recordOf(bench.registry, SHELL);
  let armed = false;
  const arming = bench.engine.arm([ruleOf("new", "any where true", { throttle: { by: [], limit: 1, windowMs: 60_000 } })]).then(() => {
    armed = true;
  });
  const deadlineMs = performance.now() + 20_000;
  while (!armed && performance.now() < deadlineMs) {
    while (bench.engine.input.push(record, 0, record.length));
    await bench.engine.input.ready();
  }
  expect(armed).toBe(true);
  await arming;
  await bench.engine.close();
  expect(bench.fired()).toEqual(["old", "new"]);
  const { offered, evaluated, dropped, waiting } = bench.engine.counters();
  expect({ sum: evaluated + dropped, waiting }).toEqual({ sum: offered, waiting: 0 });
});

test("a sink that throws is counted and the others get the alert", async () => {
  const thrower = {
    name: "thrower",
    take() {
      throw new Error("disk full");
    },
  };
  const bench = benchOf({ sinks: [thrower] });
  await bench.engine.arm([ruleOf("r", "any where true")]);
  await bench.push(SHELL, CURL);
  await bench.engine.close();
  expect(bench.fired()).toEqual(["r", "r"]);
  expect(bench.engine.counters()).toMatchObject({ alerts: 2, sinkErrors: 2 });
  // Both in one batch.
  expect(bench.log).toEqual(["error: alert sink failed"]);
});

test("a sink that keeps failing is said at once and then once a minute, with what came meanwhile", () => {
  const clock = new MockClock(1_780_000_000_000_000_000n);
  const lines: string[] = [];
  const failures = new SinkFailures(
    clock,
    createLog("debug", (line) => lines.push(line)),
  );
  for (let index = 0; index < 125; index++) {
    failures.add("store", 2, new Error("full"));
    clock.advance(1000);
  }
  failures.add("other", 0, new Error("gone"));
  expect(lines).toEqual([
    'kestrel: error: alert sink failed sink="store" alerts=2 failures=1 reason="full"',
    'kestrel: error: alert sink failed sink="store" alerts=120 failures=60 reason="full"',
    'kestrel: error: alert sink failed sink="store" alerts=120 failures=60 reason="full"',
    'kestrel: error: alert sink failed sink="other" alerts=0 failures=1 reason="gone"',
  ]);
  expect(failures.alerts).toBe(251);
});

test("close drains, may be called twice, and nothing can be armed afterwards", async () => {
  for (const partitions of [1, 3]) {
    const bench = benchOf({ partitions });
    await bench.engine.arm([ruleOf("r", "any where true")]);
    await bench.push(SHELL);
    await Promise.all([bench.engine.close(), bench.engine.close()]);
    await bench.engine.close();
    expect(bench.fired()).toEqual(["r"]);
    await expect(bench.engine.arm([])).rejects.toMatchObject({ code: "closed" });
  }
});

test("a number that an event's new category took meanwhile is not given to a rule's category", async () => {
  const registry = new SchemaRegistry();
  const compiling = compileInWorker([ruleOf("r", '"opera" where true')], registry, "wasm");
  registry.categories.intern("techno");
  const compiled = await compiling;
  const bench = benchOf({ registry });
  await bench.engine.arm([ruleOf("r", '"opera" where true')], compiled);
  await bench.push({ ...SHELL, category: "techno" }, { ...SHELL, category: "opera" });
  await bench.engine.close();
  expect(bench.alerts.map(({ seq }) => seq)).toEqual([1n]);
});

test("a rule's test case with an event that is none does not count in the next case", async () => {
  const good = { event: { category: "process" }, process: { name: "sh" } };
  // Longer than a line of JSON may be.
  const bad = { event: { category: "process" }, message: "x".repeat(LINE_BYTES_MAX) };
  const rule = ruleOf("r", 'process where process.name == "sh"', {
    tests: { match: [[good, bad]], noMatch: [[{ process: { name: "x" } }]] },
  });
  const { results } = await runRuleTests([rule], new SchemaRegistry(), "wasm");
  expect(results.map(({ ok }) => ok)).toEqual([false, true]);
});
