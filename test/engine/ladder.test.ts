// Which rung of the ladder a rule's action reaches, what that leaves out, and why it comes no earlier: a table of rules and kernels.
import { expect, test } from "bun:test";
import { kernelConditionOf } from "#eql";
import { SchemaRegistry } from "#schema";
import { gateRule } from "../../src/engine/gate-rules.ts";
import { ANY_KERNEL, type KernelAbilities, type Rung, rungOf } from "../../src/engine/ladder.ts";
import { luaRule, ruleOf } from "./fixture.ts";

const registry = new SchemaRegistry();
const NO_LSM: KernelAbilities = { ...ANY_KERNEL, lsm: "no LSM" };
const NO_GATE: KernelAbilities = { ...NO_LSM, gate: "no fanotify" };
const NOTHING: KernelAbilities = { lsm: "no LSM", cgroup: "no cgroup", gate: "no fanotify", signal: "no signal" };

async function climb(rule: ReturnType<typeof ruleOf>, kernel: KernelAbilities): Promise<Rung | undefined> {
  const { body, exceptions, id } = rule;
  const source = body.kind === "eql" && { id, text: body.query, dialect: body.dialect, exceptions, lenientFields: false };
  const whyNotAtGate = (await gateRule(rule, registry)).reason;
  return rungOf({ rule, condition: source === false ? undefined : kernelConditionOf(source, registry), whyNotAtGate, kernel });
}

const SHM = 'process where event.type == "start" and event.action == "exec" and process.executable : "/dev/shm/*"';
const CONNECT = 'network where destination.port == 4444 and not cidrMatch(destination.ip, "10.0.0.0/8")';
const BIND = 'network where event.action == "bind" and destination.port == 4444';
const LISTEN = 'network where event.action == "listen" and destination.port == 4444';

const CASES: readonly {
  readonly name: string;
  readonly query: string;
  readonly action: "deny" | "kill" | "suspend";
  readonly scope?: "process" | "tree";
  readonly exceptions?: readonly string[];
  readonly kernel?: KernelAbilities;
  readonly rung: Rung["rung"];
  readonly says?: readonly RegExp[];
}[] = [
  { name: "a program", query: SHM, action: "deny", rung: "in-kernel", says: [/^programs by an LSM program$/] },
  {
    name: "a program without LSM",
    query: SHM,
    action: "deny",
    kernel: NO_LSM,
    rung: "at-the-gate",
    says: [/wait for the agent's verdict/, /no LSM/, /from memory/],
  },
  {
    name: "a program without a gate",
    query: SHM,
    action: "deny",
    kernel: NO_GATE,
    rung: "at-once",
    says: [/first instruction/, /no fanotify/],
  },
  { name: "a program, killed", query: SHM, action: "kill", rung: "at-once" },
  { name: "a tree", query: SHM, action: "kill", scope: "tree", rung: "after-alert", says: [/tree/] },
  { name: "suspend", query: SHM, action: "suspend", rung: "after-alert" },
  { name: "nothing works", query: SHM, action: "deny", kernel: NOTHING, rung: "none", says: [/no LSM/, /no signal/] },
  { name: "a connection", query: CONNECT, action: "deny", kernel: NO_LSM, rung: "in-kernel", says: [/control group/] },
  { name: "a connection, no rights", query: CONNECT, action: "kill", kernel: NOTHING, rung: "after-alert", says: [/no signal/] },
  { name: "a bound address", query: BIND, action: "deny", rung: "in-kernel", says: [/^bound addresses by a control group program$/] },
  {
    name: "a bound address without cgroups",
    query: BIND,
    action: "deny",
    kernel: { ...ANY_KERNEL, cgroup: "no cgroup" },
    rung: "none",
    says: [/^no cgroup$/, /^bound addresses: their sensor cannot kill$/],
  },
  { name: "a bound address", query: BIND, action: "kill", rung: "after-alert", says: [/their sensor cannot kill/] },
  { name: "a listening socket", query: LISTEN, action: "deny", rung: "in-kernel", says: [/^listening sockets by an LSM program$/] },
  {
    name: "a listening socket without LSM",
    query: LISTEN,
    action: "deny",
    kernel: NO_LSM,
    rung: "at-once",
    says: [/who listens is killed/, /^no LSM; control groups have no hook for listening$/],
  },
  {
    name: "any use of a port",
    query: "network where destination.port == 4444",
    action: "deny",
    kernel: NO_LSM,
    rung: "in-kernel",
    says: [
      /^connections by a control group program, bound addresses by a control group program$/,
      /^who listens is killed before the first connection: no LSM; control groups/,
      /other kinds/,
    ],
  },
  {
    name: "arguments of whatever uses a socket",
    query: 'network where event.type in ("start", "info") and process.args : "x"',
    action: "kill",
    rung: "after-alert",
    says: [/^connections, bound addresses, listening sockets: `process.args : "x"`/],
  },
  {
    name: "arguments",
    query: 'process where event.action == "exec" and process.args : "-e" and process.name == "nc"',
    action: "deny",
    rung: "none",
    says: [
      /`process.args : "-e"`: process.args is not known in the kernel/,
      /^at the gate: process.args is not known before the program runs$/,
    ],
  },
  {
    name: "an exception about the parent",
    query: SHM,
    action: "deny",
    exceptions: ['process.parent.name == "ci"'],
    rung: "at-the-gate",
    says: [/`process.parent.name == "ci"`: process.parent.name is not known/],
  },
  {
    name: "forks too",
    query: 'process where event.type == "start" and process.name == "x"',
    action: "kill",
    rung: "at-once",
    says: [/other kinds/],
  },
  { name: "a regular expression", query: 'file where file.path regex "/etc/.+d"', action: "kill", rung: "after-alert", says: [/regular/] },
  { name: "a pattern's middle", query: 'file where file.path : "/etc/*/x"', action: "kill", rung: "after-alert", says: [/beginnings/] },
  { name: "letters that fold", query: 'file where file.path : "/Ä*"', action: "kill", rung: "after-alert", says: [/ASCII/] },
  { name: "a user's name", query: 'file where user.name == "joe"', action: "kill", rung: "after-alert", says: [/user.name is not known/] },
  { name: "an end", query: 'process where event.type == "end"', action: "kill", rung: "after-alert", says: [/no start of a program/] },
  {
    name: "a sequence",
    query: "sequence [process where true] [file where true]",
    action: "kill",
    rung: "after-alert",
    says: [/several events/],
  },
];

for (const { name, query, action, scope = "process", exceptions = [], kernel = ANY_KERNEL, rung, says = [] } of CASES) {
  test(`${name}: ${action}`, async () => {
    const reached = await climb({ ...ruleOf("r", query, { action, scope, mode: "enforce" }), exceptions }, kernel);
    const words = [reached?.means ?? "", ...(reached?.leaves ?? []), ...(reached?.whyNotHigher ?? [])];
    expect({ rung: reached?.rung, words }).toMatchObject({ rung });
    for (const said of says) expect(words.some((text) => said.test(text)) ? "" : `${said} in ${words.join(" | ")}`).toBe("");
  });
}

test("a Lua rule runs in the agent, and one that only alerts is on no rung", async () => {
  expect(await climb(luaRule("l", "return true", { action: "kill" }), ANY_KERNEL)).toMatchObject({
    rung: "after-alert",
    whyNotHigher: ["a Lua rule runs in the agent"],
  });
  expect(await climb(ruleOf("q", SHM), ANY_KERNEL)).toBeUndefined();
});
