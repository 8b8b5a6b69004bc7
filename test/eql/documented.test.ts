// What the documentation of EQL promises, sentence by sentence, over real events: each condition and its negation in the reference evaluator,
// in Wasm and in Lua.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compileRuleSet, createReferencePredicate, type QuerySource } from "#eql";
import { JsonDecoder } from "#event";
import { SchemaRegistry } from "#schema";
import { evaluateLua, viewOf, WasmRunner } from "./backend-support.ts";

function sectionsOf(file: string): readonly (readonly string[])[] {
  const text = readFileSync(fileURLToPath(new URL(`./cases/${file}`, import.meta.url)), "utf8");
  return text
    .split(/^# /m)
    .slice(1)
    .map((section) => section.split("\n").filter((line) => line !== ""));
}

function source(condition: string): QuerySource {
  return { id: "case", text: `any where ${condition}`, dialect: "default", exceptions: [], lenientFields: false };
}

const SECTIONS = ["documented.txt", "matches.txt"].flatMap((file) => sectionsOf(file).map((lines) => ({ file, lines })));

test("there are cases", () => {
  expect(SECTIONS.length).toBeGreaterThan(10);
  expect(SECTIONS.reduce((sum, { lines }) => sum + lines.length, 0)).toBeGreaterThan(200);
});

for (const { file, lines } of SECTIONS) {
  const [name, event, ...rows] = lines as readonly [string, string, ...string[]];
  const cases = rows.map((row) => row.split(" ==> ") as [string, string]);
  describe(`${file}: ${name}`, () => {
    const registry = new SchemaRegistry();
    const decoder = new JsonDecoder(registry);
    const size = decoder.decode(event);
    if (typeof size !== "number") throw new Error(size.message);
    const record = decoder.builder.bytes.slice(0, size);
    const sound = cases.filter(([, expected]) => expected !== "error");
    const texts = sound.flatMap(([condition]) => [condition, `not (${condition})`]);
    const { program, queries } = compileRuleSet(texts.map(source), registry);

    test("the reference evaluator", () => {
      const found = cases.map(([condition]) => {
        const { predicate } = createReferencePredicate(source(condition), registry);
        return `${condition} ==> ${predicate === undefined ? "error" : predicate(viewOf(record))}`;
      });
      expect(found).toEqual(rows);
    });

    test("Wasm and Lua", () => {
      expect(queries.filter((query) => !query.ok)).toEqual([]);
      const count = texts.length;
      const expected = sound.flatMap(([condition, truth]) => [
        `${condition}: ${truth === "true"}`,
        `not ${condition}: ${truth === "false"}`,
      ]);
      const shown = ([hits = []]: boolean[][]) => expected.map((line, index) => line.replace(/: (true|false)$/, `: ${hits[index]}`));
      expect(shown(new WasmRunner(program.wasm, count).evaluate([record], count))).toEqual(expected);
      expect(shown(evaluateLua(program.lua, [record], count))).toEqual(expected);
    });
  });
}
