// WebAssembly text of generated code: another tool reads it and finds the same functions that the module has.
import { describe, expect, test } from "bun:test";
import binaryen from "assemblyscript/binaryen";
import { compileRuleSet, type Dialect, listCode, type QuerySource } from "#eql";
import { SchemaRegistry } from "#schema";
import { corpusLines, HAS_CORPUS } from "./corpus.ts";

const registry = new SchemaRegistry();

function source(text: string, dialect: Dialect = "default"): QuerySource {
  return { id: "case", text, dialect, exceptions: [], lenientFields: true };
}

const TEXTS = [
  "any where true",
  'process where process.name : ("cur*", "wget") and process.pid > 4 and process.args == "x" and user.name != null',
  'process where process.args regex "[a-z]+" and length(process.name) - 1 > process.pid / 2.5 and not cidrMatch(source.ip, "10.0.0.0/8")',
  'process where arraySearch(process.args, $x, $x == process.name or startsWith($x, "-")) and file.size * 1.5 >= 1e3 and file.size % -7 != 0',
  'file where between(file.path, "/", "/", true) == "etc" and number(file.name, 16) > 255 and file.mtime > "2026-01-01T00:00:00Z"',
  'file where concat(file.name, ":", file.size) : "a*" and indexOf(file.path, "x", 2) == 3 and substring(file.path, -3) == ".sh"',
  "sequence by process.entity_id with maxspan=1m [process where process.pid > 1] ![file where file.size > 1] [network where true]",
  'process where (user.id == "0" or process.name like "a*") and not (user.id == "0" or process.name like "a*") == null',
];

/** Instructions of a module's functions without parameters, as binaryen prints them; names of functions, globals and the memory left out. */
function bodiesOf(module: binaryen.Module): string[] {
  module.setFeatures(binaryen.Features.All);
  expect(module.validate()).toBe(1);
  // Written and read once more: names of locals and labels are then the same, wherever the module came from.
  const written = binaryen.readBinaryWithFeatures(module.emitBinary(), binaryen.Features.All);
  const bodies: string[] = [];
  for (let index = 0; index < written.getNumFunctions(); index++) {
    const { base, params, results, body } = binaryen.getFunctionInfo(written.getFunctionByIndex(index));
    if (base !== "" || params !== binaryen.none || results !== binaryen.i32) continue;
    bodies.push(binaryen.emitText(body).replaceAll(/(call|global\.get|load\w*|store) \$\S+?(?=[\s)])/g, "$1"));
  }
  module.dispose();
  written.dispose();
  return bodies;
}

describe("text of a module", () => {
  for (const text of TEXTS) {
    test(text, () => {
      const listed = listCode(source(text), registry)?.wat() ?? "";
      const { program } = compileRuleSet([source(text)], registry);
      const fromText = bodiesOf(binaryen.parseText(listed));
      const compiled = bodiesOf(binaryen.readBinaryWithFeatures(program.wasm, binaryen.Features.All));
      expect(fromText.length).toBeGreaterThanOrEqual(program.predicates.length);
      // The library has functions of this type too; they come first.
      expect(fromText).toEqual(compiled.slice(-fromText.length));
    });
  }
});

describe.skipIf(!HAS_CORPUS)("text of public rules", () => {
  for (const name of ["elastic-linux-rules.jsonl", "elastic-endpoint-rules.jsonl"]) {
    test(name, () => {
      let functions = 0;
      for (const { query } of corpusLines<{ readonly query: string }>(name)) {
        const listed = listCode(source(query), registry)?.wat() ?? "";
        functions += listed.split("\n  (func ").length - 1;
        if (functions % 8 === 0) expect(binaryen.parseText(listed).emitBinary().length).toBeGreaterThan(0);
      }
      expect(functions).toBeGreaterThan(30);
    });
  }
});
