// Which rules can be decided before a program runs, what must be true of the file for them, and what they say of a record.
import { expect, test } from "bun:test";
import { createLog } from "#core";
import { RecordBuilder } from "#event";
import { SchemaRegistry } from "#schema";
import { compileHere } from "../../src/engine/compile.ts";
import { createExecJudge, type ExecJudgeOptions } from "../../src/engine/exec-judge.ts";
import { gateRule } from "../../src/engine/gate-rules.ts";
import { luaRule, ruleOf } from "./fixture.ts";

const registry = new SchemaRegistry();

const REFUSED: readonly (readonly [query: string, exceptions: readonly string[], reason: RegExp])[] = [
  ['file where file.path == "/x"', [], /does not ask for the start of a program/],
  ['process where event.type == "end"', [], /does not ask for the start/],
  ['process where event.action == "fork" and process.args == "x"', [], /does not ask for the start/],
  ["process where true", ['event.type == "start"'], /does not ask for the start/],
  ['process where process.args == "x" or process.name == "y"', [], /^process.args is not known before/],
  ['process where process.args == "x" and process.hash.sha256 == "y"', [], /^process.args, process.hash.sha256 are not known/],
  ['process where process.name == "x"', ['process.command_line : "*y"'], /^process.command_line is not known/],
  ["sequence by process.pid [process where true] [process where true]", [], /other events/],
  ['process where descendant of [process where process.name == "x"]', [], /other events/],
  ["process where nothing.known == 1", [], /errors/],
];

for (const [query, exceptions, reason] of REFUSED) {
  test(`not at the gate: ${query}`, async () => {
    expect((await gateRule({ ...ruleOf("r", query), exceptions }, registry)).reason).toMatch(reason);
  });
}

test("a Lua rule is not for the gate", async () => {
  expect((await gateRule(luaRule("l", "return true"), registry)).reason).toMatch(/a Lua rule sees events/);
});

/** Record of an attempt of /dev/shm/x by a user. */
function attempt(executable: string, user: string): Uint8Array {
  const builder = new RecordBuilder();
  builder.begin(registry.categories.idOf("process"), 1n);
  builder.keywords(registry.idOf("event.category"), ["process"]);
  builder.keywords(registry.idOf("event.type"), ["start"]);
  builder.keyword(registry.idOf("event.action"), "exec");
  builder.keyword(registry.idOf("user.id"), user);
  builder.keyword(registry.idOf("process.executable"), executable);
  const length = builder.finish();
  return builder.bytes.slice(0, length);
}

const JUDGED: readonly (readonly [query: string, exceptions: readonly string[], executable: string, matches: boolean, isClear: boolean])[] =
  [
    ['process where process.executable : "/dev/shm/*"', [], "/dev/shm/x", true, false],
    ['process where process.executable : "/dev/shm/*"', [], "/bin/x", false, true],
    ['process where process.executable : "/dev/shm/*" and user.id == "0"', [], "/dev/shm/x", false, false],
    ['process where process.executable : "/dev/shm/*" and user.id == "0"', [], "/bin/x", false, true],
    ['process where user.id == "7"', [], "/bin/x", true, false],
    ['process where user.id == "0"', [], "/bin/x", false, false],
    ['process where user.id == "0" or process.executable : "/dev/shm/*"', [], "/bin/x", false, false],
    ['process where not process.executable : "/bin/*"', [], "/bin/x", false, true],
    ['process where process.executable : "/dev/shm/*"', ['process.executable == "/dev/shm/x"'], "/dev/shm/x", false, false],
    ['process where process.executable : "/dev/shm/*"', ['user.id == "7"'], "/dev/shm/x", false, false],
  ];

const options: Omit<ExecJudgeOptions, "backend"> = {
  registry,
  compile: compileHere,
  cacheDirectory: undefined,
  log: createLog("debug", () => undefined),
  isRunning: (id) => id !== "stopped",
};

for (const backend of ["wasm", "lua"] as const) {
  for (const [query, exceptions, executable, matches, isFileClear] of JUDGED) {
    test(`${backend}: ${query}${exceptions.length === 0 ? "" : ` except ${exceptions}`}: ${executable} by 7`, async () => {
      const rule = { ...ruleOf("r", query, { action: "deny", mode: "enforce" }), exceptions };
      const judge = await createExecJudge([rule], { ...options, backend });
      expect(judge?.judge(attempt(executable, "7"))).toEqual({ matched: matches ? [{ ruleId: "r", mode: "enforce" }] : [], isFileClear });
      judge?.close();
      judge?.close();
    });
  }
}

test("several rules: each by itself; those that do not deny, are off or are stopped count for nothing", async () => {
  const query = 'process where process.name != "y" and user.id == "7"';
  const deny = { action: "deny", mode: "monitor" } as const;
  const rules = [
    ruleOf("a", query),
    ruleOf("b", "process where true", deny),
    { ...ruleOf("c", "process where true", deny), enabled: false },
  ];
  const more = [ruleOf("stopped", "process where true", deny), ruleOf("d", 'process where process.executable == "/bin/x"', deny)];
  const judge = await createExecJudge([...rules, ...more], { ...options, backend: "wasm" });
  expect(judge?.judge(attempt("/bin/x", "7")).matched.map(({ ruleId }) => ruleId)).toEqual(["b", "d"]);
  judge?.close();
  expect(judge?.judge(attempt("/bin/x", "7"))).toEqual({ matched: [], isFileClear: false });
  expect(await createExecJudge(rules.slice(0, 1), { ...options, backend: "wasm" })).toBeUndefined();
});
