// The same events raise the same bytes however they are cut into batches, also where rules fail: live batches are cut by a timer, a recording
// of them is not. What one batch an event gives is the truth the other cuts are held to. Seeds are printed; KESTREL_SEED repeats a run.
import { expect, test } from "bun:test";
import type { Rule } from "#rules";
import { assemble } from "../runtime-wasm/wat.ts";
import { announce, Chance, SEED } from "../sim/world.ts";
import { alertLine, benchOf, type EventSpec, faultyCompiler, luaRule, ruleOf, wasmFailingAt } from "./fixture.ts";

const EVENTS = 420;
const RANDOM_CUTS = 3;

const RARE = ["network", "dns", "registry", "driver", "library"] as const;

/** Common events, and of each rare category, which rules fail on, a few anywhere. */
function events(chance: Chance): readonly EventSpec[] {
  const categories: string[] = Array.from({ length: EVENTS }, () => chance.of(["process", "file"]));
  for (const rare of RARE) for (let times = 0; times < 3; times++) categories[chance.below(EVENTS)] = rare;
  return categories.map((category, index) => {
    return { category, timeMs: index * 10, fields: { "process.pid": index, "process.name": `name ${index}` } };
  });
}

const TELLS = 'capture_field("pid", event["process.pid"]) alert_emit("saw " .. event["process.name"])';
const failsOn = (category: string, act: string): string => `${TELLS} if event:category() == "${category}" then ${act} end return true`;

/** A module that emits one of two texts by turns and fails at its nth event; its handle of the event is emitted too. */
function tellingModule(id: string, nth: number): Rule {
  const bytes = assemble(`(module
    (import "kestrel_v1" "alert_emit" (func $emit (param i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "even odd  ")
    (global $seen (mut i32) (i32.const 0))
    (func (export "pred_eval") (param $event i32) (result i32)
      (global.set $seen (i32.add (global.get $seen) (i32.const 1)))
      (drop (call $emit (i32.mul (i32.and (global.get $seen) (i32.const 1)) (i32.const 5)) (i32.const 5)))
      (i32.store8 (i32.const 16) (i32.add (i32.const 65) (i32.and (local.get $event) (i32.const 15))))
      (drop (call $emit (i32.const 16) (i32.const 1)))
      (if (i32.ge_u (global.get $seen) (i32.const ${nth})) (then (unreachable)))
      (i32.const 1)))`);
  return ruleOf(id, "", { body: { kind: "wasm", bytes } });
}

function rulesOf(chance: Chance): readonly Rule[] {
  return [
    ruleOf("set.file", "hit file"),
    ruleOf("set.trap", "trap network"),
    ruleOf("set.spin", "spin dns"),
    ruleOf("set.throttled", "hit process", { throttle: { by: [], limit: 2, windowMs: 300 } }),
    ruleOf("set.trap-too", "trap network"),
    luaRule("lua.loop", failsOn("registry", "while true do end")),
    luaRule("lua.error", failsOn("driver", 'error("no")')),
    luaRule("lua.gate-trap", `${TELLS} return true`, { exceptions: ["trap library"] }),
    // Its body and its exceptions may fail, whichever event comes first.
    luaRule("lua.both", failsOn("library", 'error("no")'), { exceptions: ["trap driver"] }),
    luaRule("lua.gated", failsOn("network", 'error("no")'), { exceptions: ["hit process"] }),
    luaRule("lua.fine", `${TELLS} return event:category() ~= "process"`),
    wasmFailingAt("wasm.trap", 1 + chance.below(EVENTS), "(unreachable)"),
    wasmFailingAt("wasm.loop", 1 + chance.below(EVENTS), "(loop $l (br $l))"),
    tellingModule("wasm.tells", 1 + chance.below(EVENTS)),
  ];
}

/** Alerts of the events in order, the batch ended behind event i where `cut(i)` says so. */
async function raised(specs: readonly EventSpec[], rules: readonly Rule[], partitions: number, cut: (index: number) => boolean) {
  const bench = benchOf({ partitions, compile: faultyCompiler });
  expect((await bench.engine.arm(rules)).problems).toEqual([]);
  for (const [index, spec] of specs.entries()) {
    await bench.push(spec);
    if (cut(index)) bench.engine.flush();
  }
  await bench.engine.close();
  return { lines: bench.alerts.map(alertLine), alerts: bench.alerts };
}

test("the same alerts, byte for byte, however the events are cut into batches and on any number of partitions", async () => {
  announce("batch borders");
  const chance = new Chance(SEED);
  const specs = events(chance);
  const rules = rulesOf(chance);
  const { lines: truth, alerts } = await raised(specs, rules, 1, () => true);
  const stopped = alerts.filter(({ kind }) => kind === "quarantine");
  // Not vacuous: rules of every kind stopped, most of them after they had raised alerts.
  expect(new Set(stopped.map(({ ruleId }) => ruleId)).size).toBe(stopped.length);
  expect(stopped.map(({ ruleId }) => ruleId)).toEqual(expect.arrayContaining(["wasm.trap", "wasm.loop", "wasm.tells"]));
  expect(stopped.length).toBeGreaterThan(6);
  for (const { seq, ruleId, kind } of alerts) {
    const end = stopped.find((alert) => alert.ruleId === ruleId);
    if (kind === "rule" && end !== undefined) expect(seq).toBeLessThan(end.seq);
  }
  for (const partitions of [1, 2, 4]) {
    const cuts = [() => false, (index: number) => index % 64 === 17];
    for (let round = 0; round < RANDOM_CUTS; round++) {
      const often = chance.of([0.005, 0.02, 0.1, 0.5]);
      cuts.push(() => chance.is(often));
    }
    for (const cut of cuts) {
      const { lines } = await raised(specs, rules, partitions, cut);
      const differs = lines.findIndex((line, index) => line !== truth[index]);
      expect([partitions, differs, lines[differs], lines.length]).toEqual([partitions, -1, undefined, truth.length]);
    }
  }
}, 60_000);

test("a rule that fails keeps what it raised and said before, and its alert carries the event it failed at", async () => {
  const at: EventSpec = { category: "file", timeMs: 3, fields: { "process.pid": 3, "process.name": "third" } };
  const specs = [1, 2].map((pid): EventSpec => ({ timeMs: pid, fields: { "process.pid": pid, "process.name": `n${pid}` } }));
  const cases: readonly (readonly [rule: Rule, said: readonly string[]])[] = [
    [luaRule("bad", failsOn("file", 'error("no")')), ["Rule bad: saw n1", "Rule bad: saw n2"]],
    [tellingModule("bad", 3), ["Rule bad: odd  ; A", "Rule bad: even ; B"]],
    [luaRule("bad", `${TELLS} return true`, { exceptions: ["trap file"] }), ["Rule bad: saw n1", "Rule bad: saw n2"]],
    [ruleOf("bad", "trap file"), []],
  ];
  for (const [rule, said] of cases) {
    const { alerts } = await raised([...specs, at, ...specs], [rule], 1, () => false);
    const last = alerts.at(-1);
    expect(alerts.slice(0, -1).map(({ message }) => message)).toEqual([...said]);
    expect([last?.kind, last?.seq, last?.timeNs]).toEqual(["quarantine", 2n, 3_000_000n]);
  }
});
