// Input that wants to break the program: random bytes, very long, very deep, rules that never end. Each gets a clear answer, and soon: a program
// that does not end fails its test by the deadline of `runKestrel`.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { assemble } from "../runtime-wasm/wat.ts";
import { jsonLines, type Outcome, RECORDING, runKestrel, TempFolder } from "./program.ts";

setDefaultTimeout(60_000);

interface Checked {
  readonly ok: boolean;
  readonly id: string | null;
  readonly diagnostics: readonly { readonly code: string; readonly message: string }[];
}

const SEED = 20_261;
const MEGABYTE = 1_000_000;
const folder = new TempFolder();
afterAll(() => folder[Symbol.dispose]());

/** Bytes of xorshift32. */
function randomBytes(length: number, seed: number, printable: boolean): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0, state = seed; index < length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[index] = printable ? 32 + ((state >>> 8) % 95) : state >>> 8;
  }
  return bytes;
}

/** The answer to a file that cannot be a rule. */
function expectRefusal(outcome: Outcome): void {
  expect({ code: outcome.code, stderr: outcome.stderr }).toEqual({ code: 1, stderr: "" });
  const found = jsonLines<Checked>(outcome);
  expect(found.length).toBeGreaterThan(0);
  expect(found.some(({ ok }) => !ok)).toBe(true);
  for (const { diagnostics } of found) for (const { message } of diagnostics) expect(message).toMatch(/^\S.{5,}/);
  expect(outcome.stdout).not.toMatch(/Maximum call stack|RangeError|TypeError|at file:/);
}

describe(`check on a megabyte of random bytes, seed ${SEED}`, () => {
  for (const extension of ["eql", "yaml", "json", "jsonl", "toml"]) {
    test(`any bytes as .${extension}`, async () => {
      expectRefusal(await runKestrel(["check", await folder.write(`bytes.${extension}`, randomBytes(MEGABYTE, SEED, false)), "--json"]));
    });
    test(`printable characters as .${extension}`, async () => {
      expectRefusal(await runKestrel(["check", await folder.write(`text.${extension}`, randomBytes(MEGABYTE, SEED, true)), "--json"]));
    });
  }
});

describe("check on nesting 10,000 deep", () => {
  const many = (text: string): string => text.repeat(10_000);
  const cases: readonly (readonly [string, string, string | undefined])[] = [
    ["brackets.eql", `process where ${many("(")}true${many(")")}`, "nesting-too-deep"],
    ["open.eql", `process where ${many("(")}`, undefined],
    ["functions.eql", `process where ${many("length(")}process.name${many(")")} == 1`, undefined],
    ["lists.eql", `process where process.name in ${many("(")}"a"${many(")")}`, undefined],
    ["lists.yaml", `id: x\nquery: ${many("[")}`, "nested-too-deep"],
    ["maps.yaml", `id: x\nquery: ${many("{a: ")}`, "nested-too-deep"],
    ["blocks.yaml", `id: x\nquery:\n${Array.from({ length: 1000 }, (_, depth) => `${" ".repeat(depth + 1)}a:`).join("\n")}`, undefined],
    ["lists.json", many("["), undefined],
    ["objects.json", many('{"a":'), undefined],
    ["lists.jsonl", `{"query":${many("[")}`, undefined],
    ["lists.toml", `[rule]\nquery = ${many("[")}`, undefined],
    ["tables.toml", `[${many("a.")}a]\nx = 1\n[rule]\nquery = 1`, undefined],
  ];
  for (const [name, text, code] of cases) {
    test(name, async () => {
      const outcome = await runKestrel(["check", await folder.write(name, text), "--json"]);
      expectRefusal(outcome);
      if (code !== undefined) expect(jsonLines<Checked>(outcome)[0]?.diagnostics[0]?.code).toBe(code);
    });
  }

  for (const [name, text] of [
    ["nots.eql", `process where ${many("not ")}true`],
    ["ands.eql", `process where ${many("process.pid > 0 and ")}true`],
    ["sums.eql", `process where ${many("process.pid + ")}1 > 0`],
  ] as const) {
    test(`${name} is no nesting, or says that it is`, async () => {
      const { stdout, stderr, code } = await runKestrel(["check", await folder.write(name, text), "--json"]);
      expect({ stderr, answered: code === 0 || code === 1 }).toEqual({ stderr: "", answered: true });
      expect(stdout).not.toContain("Maximum call stack");
    });
  }
});

describe("a query of 46,000 characters", () => {
  const head = 'process where process.name == "first"';
  const parts = Array.from({ length: 1500 }, (_, index) => ` or process.name == "name${index}"`);
  const text = `${head}${parts.join("")}`.padEnd(46_000, " ");

  test("compiles, and matches its first and its last word", async () => {
    const path = await folder.write("long.eql", text);
    expect(await runKestrel(["check", path])).toMatchObject({ code: 0, stdout: "1 of 1 compile\n" });
    const stdin = ["first", "name1499", "name1500"]
      .map((name) => `{"event":{"category":"process"},"process":{"name":"${name}"}}\n`)
      .join("");
    for (const backend of ["wasm", "lua"]) {
      const { stdout } = await runKestrel(["query", "--query-file", path, "-", "--json", "--id", "process.name", "--backend", backend], {
        stdin,
      });
      expect(stdout).toBe('{"events":["first"]}\n{"events":["name1499"]}\n');
    }
  });

  test("of noise gets a diagnostic", async () => {
    expectRefusal(await runKestrel(["check", await folder.write("noise.eql", randomBytes(46_000, SEED, true)), "--json"]));
  });
});

describe("rules that never end", () => {
  const MEMORY = '(memory (export "memory") 1)';
  const LOOP = "(loop $l (br $l))";
  const tests = "tests:\n  match: [[{event: {category: process, action: exec}, process: {name: dash}}]]\n";

  beforeAll(async () => {
    const wasm = (init: string, evaluate: string): Uint8Array =>
      assemble(`(module ${MEMORY}
        (func (export "pred_init") (result i32) ${init} (i32.const 0))
        (func (export "pred_eval") (param i32) (result i32) ${evaluate} (i32.const 1))
        (func (export "pred_capture") (param i32)))`);
    await folder.write("loops/eval.wasm", wasm("", LOOP));
    await folder.write("loops/wasm.yaml", `id: loop.wasm\nwasm: eval.wasm\n${tests}`);
    await folder.write("loops/lua.yaml", `id: loop.lua\nlua: |\n  function pred_eval(event)\n    while true do end\n  end\n${tests}`);
    await folder.write("loops/good.yaml", `id: good\nquery: process where event.action == "exec" and process.name == "dash"\n${tests}`);
    await folder.write("starts/init.wasm", wasm(LOOP, ""));
    await folder.write("starts/wasm.yaml", `id: start.wasm\nwasm: init.wasm\n${tests}`);
    await folder.write(
      "starts/lua.yaml",
      `id: start.lua\nlua: |\n  while true do end\n  function pred_eval(event) return true end\n${tests}`,
    );
    await folder.write("starts/good.yaml", `id: good\nquery: process where event.action == "exec" and process.name == "dash"\n${tests}`);
  });

  test("check: a loop at the start is an error that names the budget, the other rules compile", async () => {
    const outcome = await runKestrel(["check", `${folder.path}/starts`, "--json"]);
    expect(outcome.code).toBe(1);
    const found = new Map(jsonLines<Checked>(outcome).map((checked) => [checked.id, checked]));
    expect(found.get("good")).toMatchObject({ ok: true });
    expect(found.get("start.lua")?.diagnostics[0]?.message).toMatch(/ticks/);
    expect(found.get("start.wasm")?.diagnostics[0]?.message).toMatch(/fuel|budget/);
  });

  test("check: a loop at an event compiles", async () => {
    expect(await runKestrel(["check", `${folder.path}/loops`])).toMatchObject({ code: 0, stdout: "3 of 3 compile\n" });
  });

  test("test: the rule's case fails and says why, the others pass", async () => {
    const outcome = await runKestrel(["test", `${folder.path}/loops`, "--json"]);
    expect(outcome.code).toBe(1);
    const results = jsonLines<{ rule: string; ok: boolean; reason: string }>(outcome);
    expect(results.map(({ rule, ok }) => [rule, ok]).toSorted()).toEqual([
      ["good", true],
      ["loop.lua", false],
      ["loop.wasm", false],
    ]);
    for (const { ok, reason } of results) if (!ok) expect(reason).toMatch(/The rule was stopped: fuel: /);
  });

  test("replay: one quarantine alert each, and the good rule goes on", async () => {
    interface Alert {
      readonly kind: string;
      readonly rule: { readonly id: string };
      readonly message: string;
    }
    const alone = jsonLines<Alert>(await runKestrel(["replay", RECORDING, "--rules", `${folder.path}/loops/good.yaml`, "--json"]));
    expect(alone.length).toBeGreaterThan(0);
    let first: string | undefined;
    for (const partitions of ["1", "2", "4"]) {
      const outcome = await runKestrel(["replay", RECORDING, "--rules", `${folder.path}/loops`, "--json", "--partitions", partitions]);
      expect(outcome.code).toBe(0);
      const alerts = jsonLines<Alert>(outcome);
      expect(
        alerts
          .filter(({ kind }) => kind === "quarantine")
          .map(({ rule }) => rule.id)
          .toSorted(),
      ).toEqual(["loop.lua", "loop.wasm"]);
      expect(alerts.filter(({ kind }) => kind === "rule")).toEqual(alone);
      first ??= outcome.stdout;
      expect(outcome.stdout).toBe(first);
    }
  });
});

test("any command line gets an answer", async () => {
  // Words of the command line mixed with noise; nothing may be an internal error. `run` and `record` start sensors and are left out.
  const word = fc.oneof(
    fc.constantFrom(
      "--json",
      "--rules",
      "--partitions",
      "--id",
      "-",
      "--",
      "--dialect=endgame",
      "--backend=lua",
      "-h",
      "-x",
      "--",
      "show",
      RECORDING,
    ),
    fc.string({ unit: "binary", maxLength: 8 }).map((text) => text.replaceAll("\0", "")),
    fc.constantFrom("any where true", "process where", "-1", "1e9"),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("query", "replay", "check", "rules", "version", "help"),
      fc.array(word, { maxLength: 5 }),
      async (command, words) => {
        const { stderr, code } = await runKestrel([command, ...words], { stdin: "" });
        expect(stderr).not.toContain("internal error");
        expect([0, 1, 2]).toContain(code);
      },
    ),
    { numRuns: 25, seed: SEED },
  );
});
