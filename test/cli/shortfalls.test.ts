// Enforced rules that a machine does not carry out as they ask: which those are, what is said of them and how often, and a running agent.
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { ANY_KERNEL, compileHere, compileInWorker, type KernelAbilities } from "#engine";
import { SchemaRegistry } from "#schema";
import { Shortfalls } from "../../src/cli/shortfalls.ts";
import { luaRule, ruleOf } from "../engine/fixture.ts";
import { AgentProcess, sensorsRun } from "./agent-process.ts";
import { TempFolder } from "./program.ts";

setDefaultTimeout(120_000);

const SHM = 'process where event.type == "start" and event.action == "exec" and process.executable : "/dev/shm/*"';
const PORT = "network where destination.port == 4444";
const NO_LSM: KernelAbilities = { ...ANY_KERNEL, lsm: "no LSM" };
const NEITHER: KernelAbilities = { ...NO_LSM, gate: "no fanotify" };
type Parts = Parameters<typeof ruleOf>[2];
const deny: Parts = { action: "deny", mode: "enforce" };

for (const { name, rule, kernel, comes } of [
  { name: "a denied program where the kernel denies", rule: ruleOf("r", SHM, deny), kernel: ANY_KERNEL },
  { name: "a denied program at the gate", rule: ruleOf("r", SHM, deny), kernel: NO_LSM },
  {
    name: "a denied program that is only killed",
    rule: ruleOf("r", SHM, deny),
    kernel: NEITHER,
    comes: /^in the kernel, at once .*no LSM/,
  },
  { name: "the same in monitor", rule: ruleOf("r", SHM, { action: "deny", mode: "monitor" }), kernel: NEITHER },
  {
    name: "a denied connection by control groups",
    rule: ruleOf("r", PORT, deny),
    kernel: { ...NO_LSM, cgroup: undefined },
    comes: /no LSM/,
  },
  { name: "a denial in Lua", rule: luaRule("r", "return false", deny), kernel: ANY_KERNEL, comes: /^not carried out.*Lua/ },
  { name: "a kill at once", rule: ruleOf("r", SHM, { action: "kill", mode: "enforce" }), kernel: ANY_KERNEL },
  {
    name: "a kill after the alert for want of a sensor that kills",
    rule: ruleOf("r", SHM, { action: "kill", mode: "enforce" }),
    kernel: { ...ANY_KERNEL, signal: "no signal" },
    comes: /^after the alert.*no signal/,
  },
  { name: "a suspension, which always comes after", rule: ruleOf("r", SHM, { action: "suspend", mode: "enforce" }), kernel: NEITHER },
]) {
  test(`${name}: ${comes === undefined ? "as it asks" : "said"}`, async () => {
    const lines: string[] = [];
    const log = { write: (level: string, _: string, values = {}): void => void lines.push(`${level} ${JSON.stringify(values)}`) };
    const shortfalls = new Shortfalls({ abilities: () => kernel, modeOf: ({ mode }) => mode, log });
    const { reach } = await compileHere([rule], new SchemaRegistry(), "wasm");
    shortfalls.use([rule], reach);
    // Nothing is carried out before the sensors run.
    expect([lines, shortfalls.diagnostics("r")]).toEqual([[], []]);
    shortfalls.start();
    shortfalls.say();
    const [finding] = shortfalls.diagnostics("r");
    if (comes === undefined) expect([lines, finding]).toEqual([[], undefined]);
    else {
      expect(lines).toEqual([expect.stringMatching(/^warn \{"rule":"r","asks":"/)]);
      expect((JSON.parse(lines[0]!.slice(5)) as { comes: string; because: string }).comes.length).toBeGreaterThan(0);
      expect(finding).toMatchObject({ severity: "warning", code: "action-falls-short" });
      expect(/that comes: (.*)/.exec(finding!.message)?.[1]).toMatch(comes);
    }
  });
}

test("many rules are a few lines; a rule is said anew when its mode or the kernel changes; a worker finds the same", async () => {
  const rules = Array.from({ length: 14 }, (_, index) => ruleOf(`r${index}`, SHM, deny));
  const lines: string[] = [];
  const log = { write: (_: string, message: string, values = {}): void => void lines.push(`${message} ${JSON.stringify(values)}`) };
  let [kernel, mode]: [KernelAbilities, "monitor" | "enforce"] = [NEITHER, "enforce"];
  const shortfalls = new Shortfalls({ abilities: () => kernel, modeOf: () => mode, log });
  const { reach } = await compileHere(rules, new SchemaRegistry(), "wasm");
  expect((await compileInWorker(rules, new SchemaRegistry(), "wasm")).reach).toEqual(reach);
  shortfalls.start();
  shortfalls.use(rules, reach);
  expect(lines.length).toBe(11);
  expect(lines.at(-1)).toMatch(/^more rules .* \{"rules":4\}$/);
  mode = "monitor";
  shortfalls.say();
  expect(lines.length).toBe(11);
  mode = "enforce";
  shortfalls.use(rules.slice(0, 2), reach);
  expect(lines.length).toBe(13);
  kernel = ANY_KERNEL;
  shortfalls.askAgain();
  expect([lines.length, shortfalls.diagnostics("r0")]).toEqual([13, []]);
});

test.skipIf(!sensorsRun())("an agent says it at its start, at an upload and at a switch, with the rule in the answer", async () => {
  using folder = new TempFolder();
  const lua = (id: string, mode: string): string => `id: ${id}\naction: deny\nmode: ${mode}\nlua: |\n  return false\n`;
  await folder.write("rule.yaml", lua("my.file", "enforce"));
  await using agent = await AgentProcess.start(join(folder.path, "data"), ["--rules", join(folder.path, "rule.yaml")]);
  const said = (id: string): number =>
    agent.stderr.split(`a rule's action is not carried out as it asks rule="${id}" asks="deny" comes="not carried out`).length - 1;
  expect(agent.stderr).toContain("a Lua rule runs in the agent");
  const diagnostics = async (answer: Promise<Response>): Promise<readonly string[]> =>
    ((await (await answer).json()) as { readonly diagnostics: readonly { readonly code: string }[] }).diagnostics.map(({ code }) => code);
  const put = { method: "PUT", headers: { "content-type": "application/yaml" } };
  expect(await diagnostics(agent.fetch("/v1/rules/my.up", { ...put, body: lua("my.up", "monitor") }))).toEqual([]);
  const patch = { method: "PATCH", headers: { "content-type": "application/json" }, body: '{"mode":"enforce"}' };
  expect(await diagnostics(agent.fetch("/v1/rules/my.up", patch))).toEqual(["action-falls-short"]);
  expect(await diagnostics(agent.fetch("/v1/rules/my.up", { ...put, body: lua("my.up", "enforce") }))).toEqual(["action-falls-short"]);
  expect(await agent.stop()).toBe(0);
  expect([said("my.file"), said("my.up")]).toEqual([1, 1]);
});
