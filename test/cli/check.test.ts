// kestrel check, test and the rule files behind them: shapes for scripts, exit codes, a broken rule among good ones.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { jsonLines, RULES, runKestrel, TempFolder } from "./program.ts";

setDefaultTimeout(60_000);

interface Checked {
  readonly file: string;
  readonly line: number;
  readonly id: string | null;
  readonly ok: boolean;
  readonly diagnostics: readonly { severity: string; code: string; message: string; line: number; column: number }[];
}

const folder = new TempFolder();
afterAll(() => folder[Symbol.dispose]());
const at = (...names: string[]): string => join(folder.path, ...names);

beforeAll(async () => {
  await folder.write("good/one.yaml", 'id: one\nquery: process where process.name == "x"\n');
  await folder.write("good/two.json", '{"id":"two","query":"file where true"}');
  await folder.write("good/deep/three.eql", '// name: The third\nprocess where process.name == "q"\n');
  await folder.write(
    "good/four.toml",
    "[rule]\nname = \"Four\"\nrule_id = \"four\"\ntype = \"eql\"\nquery = '''\nprocess where true\n'''\n",
  );
  await folder.write("good/settings.json", '{"not": "a rule"}');
  await folder.write("good/notes.txt", "not a rule");
  await folder.write("mixed/a.yaml", "id: a\nquery: process where true\n");
  await folder.write("mixed/b.yaml", 'id: b\nquery: process where process.nam == "x" and user.idd == "1"\n');
  await folder.write("mixed/c.yaml", "id: c\nqery: process where true\n");
  await folder.write("mixed/d.yaml", "id: d\nquery: [unclosed\n");
  await folder.write("mixed/e.yaml", "id: e\nquery: process where true\n");
  await folder.write(
    "list.jsonl",
    [
      '{"id":"l1","query":"process where process.name == \\"x\\"","os":["linux"]}',
      '{"id":"l2","query":"process where nope.field == \\"x\\""}',
      "not json",
      '{"id":"l4","query":"sequence [any where true]"}',
      '{"query":"process where true"}',
    ].join("\n"),
  );
  await folder.write("warned.yaml", "id: w\nscope: tree\nquery: process where true\n");
});

describe("check --json", () => {
  test("has exactly the keys of the contract, one object per rule", async () => {
    const outcome = await runKestrel(["check", at("mixed", "b.yaml"), "--json"]);
    expect({ code: outcome.code, stderr: outcome.stderr }).toEqual({ code: 1, stderr: "" });
    expect(jsonLines<Checked>(outcome)).toEqual([
      {
        file: at("mixed", "b.yaml"),
        line: 1,
        id: "b",
        ok: false,
        diagnostics: [
          {
            severity: "error",
            code: "unknown-field",
            message: 'Unknown field "process.nam", did you mean "process.name"?',
            line: 2,
            column: 22,
          },
          { severity: "error", code: "unknown-field", message: 'Unknown field "user.idd", did you mean "user.id"?', line: 2, column: 45 },
        ],
      },
    ]);
  });

  test("a list names each rule's line and id", async () => {
    const outcome = await runKestrel(["check", at("list.jsonl"), "--json"]);
    expect(outcome.code).toBe(1);
    const codes = jsonLines<Checked>(outcome).map(({ line, id, ok, diagnostics }) => [
      line,
      id,
      ok,
      diagnostics.map(({ code }) => code).join(),
    ]);
    expect(codes.slice(0, 4)).toEqual([
      [1, "l1", true, ""],
      [2, "l2", false, "unknown-field"],
      [3, null, false, "json-syntax"],
      [4, "l4", false, "too-few-steps"],
    ]);
    expect(codes[4]?.[2]).toBe(true);
  });

  test("--lenient-fields makes unknown fields warnings and nothing else", async () => {
    const outcome = await runKestrel(["check", at("list.jsonl"), "--json", "--lenient-fields"]);
    expect(outcome.code).toBe(1);
    const found = jsonLines<Checked>(outcome);
    expect(found.map(({ ok }) => ok)).toEqual([true, true, false, false, true]);
    expect(found[1]?.diagnostics).toMatchObject([{ severity: "warning", code: "unknown-field" }]);
    expect(await runKestrel(["check", at("mixed", "b.yaml"), "--lenient-fields"])).toMatchObject({ code: 0 });
  });

  test("a folder is read deep down; files of other kinds are passed over", async () => {
    const outcome = await runKestrel(["check", at("good"), "--json"]);
    expect({ code: outcome.code, stderr: outcome.stderr }).toEqual({ code: 0, stderr: "" });
    const ids = jsonLines<Checked>(outcome).map(({ id }) => id);
    expect(ids.toSorted()).toEqual(["four", "one", "three", "two"]);
  });

  test("a glob and several paths", async () => {
    const outcome = await runKestrel(["check", "good/*o.{yaml,json}", "**/one.yaml", "mixed/a.yaml", "--json"], { cwd: folder.path });
    expect(outcome.code).toBe(0);
    expect(jsonLines<Checked>(outcome).map(({ id }) => id)).toEqual(["two", "one", "a"]);
  });

  test("broken rules among good ones: each is reported, the good ones are fine", async () => {
    const outcome = await runKestrel(["check", at("mixed"), "--json"]);
    expect(outcome.code).toBe(1);
    const ok = Object.fromEntries(jsonLines<Checked>(outcome).map(({ file, ok }) => [file.slice(-6, -5), ok]));
    expect(ok).toEqual({ a: true, b: false, c: false, d: false, e: true });
    expect(outcome.stdout).toMatch(/qery.*did you mean.*query/);
  });

  test("a warning is no failure", async () => {
    const outcome = await runKestrel(["check", at("warned.yaml"), "--json"]);
    expect(outcome.code).toBe(0);
    expect(jsonLines<Checked>(outcome)).toMatchObject([{ ok: true, diagnostics: [{ severity: "warning" }] }]);
  });

  test("a rule with an action says its rung", async () => {
    await folder.write("acts.yaml", "id: k\naction: kill\nscope: tree\nmode: enforce\nquery: process where true\n");
    const [rule] = jsonLines<object>(await runKestrel(["check", at("acts.yaml"), "--json"]));
    expect(rule).toMatchObject({ ok: true, response: { action: "kill", scope: "tree", mode: "enforce", rung: "after-alert" } });
    await folder.write("denied.yaml", 'id: d\naction: deny\nquery: process where process.args == "-e"\n');
    const { stdout, code } = await runKestrel(["check", at("acts.yaml"), at("denied.yaml")]);
    expect(code).toBe(0);
    expect(stdout).toContain("acts.yaml:1: k: kill tree, enforce: after the alert, SIGKILL through a pidfd; not earlier: ");
    expect(stdout).toContain("denied.yaml:1: d: deny, monitor: not carried out, nothing: only the alert is raised; not earlier: ");
    expect(stdout).toContain("at the gate: process.args is not known before the program runs");
  });

  test("a path that is not there is a finding that says so", async () => {
    const outcome = await runKestrel(["check", at("nowhere"), "--json"]);
    expect(outcome.code).toBe(1);
    expect(jsonLines<Checked>(outcome)).toMatchObject([{ ok: false, diagnostics: [{ severity: "error", code: "cannot-read" }] }]);
  });
});

test("check for people: place, sentence, caret, total", async () => {
  const { stdout, code } = await runKestrel(["check", "mixed/b.yaml", "good"], { cwd: folder.path });
  expect(code).toBe(1);
  expect(stdout).toStartWith('mixed/b.yaml:2:22: error: Unknown field "process.nam", did you mean "process.name"? [unknown-field]\n');
  expect(stdout).toMatch(/^ +\^{11}$/m);
  expect(stdout).toEndWith("4 of 5 compile\n");
});

test("the shipped rules compile and pass their tests", async () => {
  expect(await runKestrel(["check", RULES])).toMatchObject({ code: 0, stderr: "" });
  const { stdout, code } = await runKestrel(["test", RULES]);
  expect({ code, last: stdout.trimEnd().split("\n").at(-1) }).toEqual({
    code: 0,
    last: expect.stringMatching(/^(\d+) rules, (\d+) of \2 tests pass$/),
  });
  expect(stdout).not.toContain("no tests");
});

describe("test", () => {
  const rule = (name: string): string =>
    `id: t\nquery: process where process.name == "x"\ntests:\n  match: [[{event: {category: process}, process: {name: ${name}}}]]\n` +
    "  no_match: [[{event: {category: process}, process: {name: z}}]]\n";

  test("exits 0 when every case holds, 1 when one does not, and names the case", async () => {
    await folder.write("tests/pass.yaml", rule("x"));
    await folder.write("fails/fail.yaml", rule("y"));
    const pass = await runKestrel(["test", at("tests"), "--json"]);
    expect(pass.code).toBe(0);
    expect(jsonLines<{ ok: boolean; rule: string }>(pass).map(({ ok, rule }) => [rule, ok])).toEqual([
      ["t", true],
      ["t", true],
    ]);
    const fail = await runKestrel(["test", at("fails"), "--json"]);
    expect(fail.code).toBe(1);
    expect(jsonLines(fail)).toContainEqual({ rule: "t", name: "t match 1", ok: false, reason: "It did not match, and must" });
    const text = await runKestrel(["test", at("fails")]);
    expect(text.stdout).toMatch(/^FAIL t match 1: It did not match, and must$/m);
    expect(text.stdout).toMatch(/^1 rules, 1 of 2 tests pass$/m);
  });

  test("the Lua back end gives the same verdicts", async () => {
    await folder.write("lua/pass.yaml", rule("x"));
    const [wasm, lua] = [
      await runKestrel(["test", at("lua"), "--json"]),
      await runKestrel(["test", at("lua"), "--json", "--backend", "lua"]),
    ];
    expect(lua.stdout).toBe(wasm.stdout);
  });

  test("a rule that does not load fails the run, the others are tested all the same", async () => {
    await folder.write("some/a.yaml", rule("x"));
    await folder.write("some/b.yaml", "id: b\nquery: process where\n");
    const { stdout, code } = await runKestrel(["test", at("some")]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^FAIL .*b\.yaml:2:\d+: /m);
    expect(stdout).toContain("2 of 2 tests pass");
  });

  test("a rule without tests is named, and is no failure", async () => {
    const { stdout, code } = await runKestrel(["test", at("good", "one.yaml")]);
    expect({ code, named: stdout.includes("no tests: one") }).toEqual({ code: 0, named: true });
  });
});
