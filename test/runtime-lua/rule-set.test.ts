// The trusted prelude on records of every type, on colliding shapes, and the evaluator of compiled rule sets on top of it.
import { describe, expect, test } from "bun:test";
import { RuleFault } from "#core";
import { createLuaRuleSetEvaluator } from "#runtime-lua";
import { Header, hitWords, type RuleSetProgram } from "#schema";
import { batchOf, registry, type TestEvent } from "./records.ts";

/** A program of these predicates, each a Lua expression over the prelude `k`. */
function program(...expressions: readonly string[]): RuleSetProgram {
  const words = hitWords(expressions.length);
  const lua = `local k = ...
    local function field(id, read) local e = k.find(id) if e ~= 0 then return read(k.slot(e, 0)) end end
    local P = { ${expressions.map((text) => `function() return ${text} end`).join(", ")} }
    return function(batch, count, out)
      k.open(batch) k.clear(out, count * ${words})
      local at, hits = 0, 0
      for r = 0, count - 1 do
        at = k.record(at)
        for p = 1, #P do
          k.current[0] = p - 1
          if P[p]() then k.hit(r * ${words} + k.math.floor((p - 1) / 32), (p - 1) % 32) hits = hits + 1 end
        end
      end
      k.current[0] = -1
      return hits
    end`;
  return { wasm: new Uint8Array(0), lua, predicates: expressions.map((_, i) => ({ ruleId: `rule-${i}` })) };
}

function hits(expression: string, events: readonly TestEvent[]): readonly number[] {
  const evaluator = createLuaRuleSetEvaluator(program(expression));
  const words = [...evaluator.evaluate(batchOf(events))];
  evaluator.close();
  return words;
}

const id = (name: string) => registry.idOf(name);
const EVENT: TestEvent = {
  "process.name": "žluť",
  "process.args": ["a", "", "c".repeat(70_000)],
  "process.pid": -(2n ** 63n),
  "process.login_uid": 2n ** 64n - 1n,
  "event.risk_score": -0.1,
  "process.interactive": false,
  "source.ip": "fe80::1",
  "process.start": 1_700_000_000_123_456_789n,
};

describe("reading", () => {
  for (const expression of [
    `field(${id("process.name")}, k.str) == "žluť"`,
    `k.type(k.find(${id("process.name")})) == 0 and not k.is_array(k.find(${id("process.name")})) and k.count(k.find(${id("process.name")})) == 1`,
    `k.find(${id("user.name")}) == 0 and k.find(1) == 0 and k.find(65000) == 0`,
    `k.is_array(k.find(${id("process.args")})) and k.count(k.find(${id("process.args")})) == 3`,
    `(function() local e = k.find(${id("process.args")}) return k.str(k.slot(e, 0)) == "a" and k.str(k.slot(e, 1)) == "" and #k.str(k.slot(e, 2)) == 70000 end)()`,
    `(function() local at, n = k.span(k.slot(k.find(${id("process.args")}), 0)) return n == 1 and k.u8(at) == 97 and k.u32(at - 4) == 1 end)()`,
    `field(${id("process.pid")}, k.i64) == -9223372036854775808LL and field(${id("process.pid")}, k.hi) == -2147483648 and field(${id("process.pid")}, k.lo) == 0`,
    `field(${id("process.login_uid")}, k.u64) == 18446744073709551615ULL and field(${id("process.login_uid")}, k.lo) == 4294967295`,
    `field(${id("event.risk_score")}, k.f64) == -0.1`,
    `field(${id("process.interactive")}, k.bool) == false and k.type(k.find(${id("process.interactive")})) == 4`,
    `field(${id("source.ip")}, k.str) == "fe80::1" and k.type(k.find(${id("source.ip")})) == 5`,
    `field(${id("process.start")}, k.i64) == 1700000000123456789LL and k.type(k.find(${id("process.start")})) == 6`,
    `k.category() == ${registry.categories.idOf("process")} and k.time() == 1700000000123456789LL and k.seq() == 0ULL`,
  ]) {
    test(expression.slice(0, 100), () => expect(hits(expression, [EVENT, EVENT])).toEqual([1, 1]));
  }
});

test("every field of every record is found, whatever the mix of shapes", () => {
  const names = registry
    .fields()
    .filter((field) => field.type === "keyword")
    .slice(0, 60)
    .map((field) => field.name);
  const events = Array.from({ length: 200 }, (_, i) =>
    Object.fromEntries(names.filter((_, n) => (i * 7919 + n * 104729) % 3 === 0).map((name) => [name, name])),
  );
  const evaluator = createLuaRuleSetEvaluator(program(...names.map((name) => `field(${id(name)}, k.str) == "${name}"`)));
  const words = hitWords(names.length);
  const batch = batchOf(events);
  for (let round = 0; round < 3; round++) {
    const found = evaluator.evaluate(batch);
    for (const [i, event] of events.entries()) {
      for (const [p, name] of names.entries()) {
        expect(((found[i * words + (p >>> 5)]! >>> (p & 31)) & 1) === 1).toBe(name in event);
      }
    }
  }
  evaluator.close();
});

test("records that claim one shape and have others", () => {
  const batch = batchOf([
    { "process.name": "x" },
    { "user.name": "u" },
    { "process.name": "x", "user.name": "u" },
    {},
    { "user.name": "u" },
  ]);
  const view = new DataView(batch.bytes.buffer);
  for (const at of batch.offsets) view.setUint32(at + Header.Shape, 7, true);
  const evaluator = createLuaRuleSetEvaluator(program(`k.find(${id("process.name")}) ~= 0`, `k.find(${id("user.name")}) ~= 0`));
  for (let round = 0; round < 3; round++) expect([...evaluator.evaluate(batch)]).toEqual([1, 2, 3, 0, 2]);
  evaluator.close();
});

test("all 32 bits of a word and those of the next", () => {
  const evaluator = createLuaRuleSetEvaluator(program(...new Array<string>(33).fill("true")));
  expect([...evaluator.evaluate(batchOf([{}, {}]))]).toEqual([0xffff_ffff, 1, 0xffff_ffff, 1]);
  expect([...evaluator.evaluate(batchOf([]))]).toEqual([]);
  evaluator.close();
});

test("an error blames the predicate that ran", () => {
  const evaluator = createLuaRuleSetEvaluator(program("true", "nil + 1", "true"));
  const fault = (() => {
    try {
      return evaluator.evaluate(batchOf([{}]));
    } catch (error) {
      return error;
    }
  })();
  expect(fault).toBeInstanceOf(RuleFault);
  expect(fault).toMatchObject({ kind: "error", predicate: 1 });
  expect((fault as Error).message).toStartWith('Rule "rule-1" failed: ');
  evaluator.close();
  evaluator.close();
  expect(() => evaluator.evaluate(batchOf([{}]))).toThrow("closed");
});

test("a program that does not load is named", () => {
  const broken = { wasm: new Uint8Array(0), predicates: [] };
  expect(() => createLuaRuleSetEvaluator({ ...broken, lua: "x = = 1" })).toThrow("Cannot load the rule set");
  expect(() => createLuaRuleSetEvaluator({ ...broken, lua: "return 1" })).toThrow("did not return a function");
});
