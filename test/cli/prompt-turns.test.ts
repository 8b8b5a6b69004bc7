// When the rings are read more often: while an enforced rule acts after its alert, for some of its matches at least.
import { expect, test } from "bun:test";
import { compileHere } from "#engine";
import { SchemaRegistry } from "#schema";
import { PromptTurns } from "../../src/cli/prompt-turns.ts";
import { luaRule, ruleOf } from "../engine/fixture.ts";

const SHM = 'process where event.type == "start" and event.action == "exec" and process.executable : "/dev/shm/*"';
const ARGS = 'process where event.action == "exec" and process.args == "x"';

type Parts = NonNullable<Parameters<typeof ruleOf>[2]>;

for (const { name, query, parts, prompt } of [
  { name: "a kill that the kernel decides", query: SHM, parts: { action: "kill" }, prompt: false },
  { name: "a kill of a tree", query: SHM, parts: { action: "kill", scope: "tree" }, prompt: true },
  { name: "a kill by arguments", query: ARGS, parts: { action: "kill" }, prompt: true },
  {
    name: "a kill of any category, where only starts of programs can match",
    query: `any where ${SHM.slice(14)}`,
    parts: { action: "kill" },
    prompt: false,
  },
  {
    name: "a kill for ends of programs too",
    query: 'process where process.executable : "/dev/shm/*"',
    parts: { action: "kill" },
    prompt: true,
  },
  { name: "a suspension", query: SHM, parts: { action: "suspend" }, prompt: true },
  { name: "a denial that can be none", query: ARGS, parts: { action: "deny" }, prompt: false },
  { name: "an alert", query: ARGS, parts: {}, prompt: false },
] as readonly { name: string; query: string; parts: Parts; prompt: boolean }[]) {
  test(`${name}: ${prompt ? "more often" : "as ever"}`, async () => {
    expect(await turnsOf([ruleOf("r", query, { mode: "enforce", ...parts })])).toEqual([prompt]);
    expect(await turnsOf([ruleOf("r", query, { mode: "monitor", ...parts })])).toEqual([false]);
  });
}

test("a kill in Lua", async () => {
  expect(await turnsOf([luaRule("r", "return false", { action: "kill", mode: "enforce" })])).toEqual([true]);
});

test("one such rule is enough; switching its mode changes it, and so does stopping it or arming without it", async () => {
  const said: boolean[] = [];
  let mode: "monitor" | "enforce" = "monitor";
  const stopped = new Set<string>();
  const turns = new PromptTurns({
    source: { setPrompt: (isOn) => said.push(isOn) },
    modeOf: () => mode,
    isRunning: (id) => !stopped.has(id),
  });
  const rules = [ruleOf("a", ARGS), ruleOf("b", ARGS, { action: "kill", mode: "monitor" })];
  const { reach } = await compileHere(rules, new SchemaRegistry(), "wasm");
  turns.use(rules, reach);
  mode = "enforce";
  turns.refresh();
  stopped.add("a");
  turns.refresh();
  stopped.add("b");
  turns.refresh();
  stopped.clear();
  turns.use(rules, reach);
  turns.use(rules.slice(0, 1), []);
  expect(said).toEqual([false, true, true, false, true, false]);
});

async function turnsOf(rules: Parameters<PromptTurns["use"]>[0]): Promise<readonly boolean[]> {
  const said: boolean[] = [];
  const turns = new PromptTurns({ source: { setPrompt: (isOn) => said.push(isOn) }, modeOf: ({ mode }) => mode, isRunning: () => true });
  const { reach } = await compileHere(rules, new SchemaRegistry(), "wasm");
  turns.use(rules, reach);
  return said;
}
