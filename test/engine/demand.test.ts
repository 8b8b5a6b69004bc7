// What the engine tells of what its rules can match: at each arming, and when a rule is stopped. The words are whatever sources say they send.
import { expect, setDefaultTimeout, test } from "bun:test";
import { compileHere, compileInWorker } from "#engine";
import type { Demand, EventWords } from "#schema";
import { SchemaRegistry } from "#schema";
import { benchOf, type EventSpec, faultyCompiler, luaRule, ruleOf } from "./fixture.ts";

setDefaultTimeout(60_000);
const WORDS: readonly EventWords[] = [
  ["process", "start", "exec"],
  ["file", "change", "modification"],
  ["file", "access", "open"],
];
const EVENT: EventSpec = { category: "file", fields: { "file.path": "/tmp/x" } };

const shown = (demand: Demand | undefined): readonly string[] | undefined =>
  demand?.map(({ words, tests }) => [words[2], ...(tests ?? []).map(({ kind, text }) => `${kind} ${text}`)].join(" "));

function toldBench(
  options: Parameters<typeof benchOf>[0] = {},
): ReturnType<typeof benchOf> & { readonly told: (readonly string[] | undefined)[] } {
  const told: (readonly string[] | undefined)[] = [];
  return { ...benchOf({ words: WORDS, onDemand: (demand) => told.push(shown(demand)), ...options }), told };
}

test("each arming tells what its rules can match, of rules that run only", async () => {
  const { engine, told } = toldBench();
  const exec = ruleOf("exec", 'process where event.action == "exec"');
  const file = ruleOf("file", 'file where event.action == "open" and file.name == "shadow"');
  await engine.arm([exec, { ...file, enabled: false }]);
  await engine.arm([exec, file]);
  await engine.arm([file, ruleOf("other", 'file where file.name == "passwd"'), ruleOf("broken", "process where no.such.field == 1")]);
  await engine.arm([file, luaRule("lua", "return false")]);
  await engine.arm([]);
  await engine.close();
  expect(told).toEqual([
    ["exec"],
    ["exec", "open name shadow"],
    ["open name shadow name passwd", "modification name passwd"],
    ["open", "exec", "modification"],
    [],
  ]);
});

test("a rule that is stopped wants nothing any more: a user's rule, a rule of the set", async () => {
  const lua = toldBench();
  await lua.engine.arm([
    ruleOf("exec", 'process where event.action == "exec"'),
    luaRule("bad", 'if event:category() == "file" then error("no") end return true'),
  ]);
  await lua.push(EVENT);
  await lua.engine.drain();
  expect(lua.told).toEqual([["exec", "modification", "open"], ["exec"]]);
  await lua.engine.close();

  const compile: typeof faultyCompiler = async (...args) => ({ ...(await faultyCompiler(...args)), demands: args[0].map(() => WANTS_ALL) });
  const set = toldBench({ compile });
  await set.engine.arm([ruleOf("bad", "trap file")]);
  await set.push(EVENT);
  await set.engine.drain();
  expect(set.told).toEqual([["exec", "modification", "open"], []]);
  await set.engine.close();
});

const WANTS_ALL: Demand = WORDS.map((words) => ({ words, tests: undefined }));

test("a compile worker finds the same demands", async () => {
  const rules = [
    ruleOf("a", 'file where file.path like "/etc/*"'),
    ruleOf("b", 'process where event.type == "end"'),
    luaRule("c", "return true"),
    luaRule("d", "return true", { exceptions: ['event.action != "exec"'] }),
  ];
  const here = await compileHere(rules, new SchemaRegistry(), "wasm", WORDS);
  const there = await compileInWorker(rules, new SchemaRegistry(), "wasm", WORDS);
  expect(here.demands.map(shown)).toEqual([["modification folder etc", "open folder etc"], [], ["exec", "modification", "open"], ["exec"]]);
  expect(there.demands).toEqual(here.demands);
});
