// What the evaluator of an uploaded rule is made within.
import { expect, test } from "bun:test";
import { SchemaRegistry } from "#schema";
import { createUserRule } from "../../src/engine/evaluators.ts";

test("the regular expressions of a Lua rule share one limit", async () => {
  const lines = Array.from({ length: 100 }, (_, i) => `if re_match(".*a.{9}${i}", "x") then return true end`);
  const source = `function pred_eval(event)\n${lines.join("\n")}\nreturn false\nend`;
  const { diagnostics } = await createUserRule({ id: "a", body: { kind: "lua", source } }, new SchemaRegistry(), undefined);
  expect(diagnostics[0]?.message).toContain("65536 states together");
});
