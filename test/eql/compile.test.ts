// compileRuleSet and its neighbours: bits, exceptions, broken queries beside sound ones, fields and categories of a text.
import { describe, expect, test } from "bun:test";
import { categoriesOf, checkQuery, compileRuleSet, createReferencePredicate, fieldsOf, formatDiagnostic, type QuerySource } from "#eql";
import { CATEGORY_OTHER, CATEGORY_SEVERAL, type FieldReader, type FieldValue, SchemaRegistry } from "#schema";

function source(text: string, more: Partial<QuerySource> = {}): QuerySource {
  return { id: text, text, dialect: "default", exceptions: [], lenientFields: false, ...more };
}

function reader(registry: SchemaRegistry, category: number, fields: Readonly<Record<string, FieldValue>>): FieldReader {
  const values = new Map(Object.entries(fields).map(([name, value]) => [registry.idOf(name), value]));
  return { category, value: (id) => values.get(id) };
}

test("a broken query does not stop the others", () => {
  const registry = new SchemaRegistry();
  const sources = [source("process where process.pid == 1"), source("process where ("), source('any where user.name : "r*"')];
  const { program, queries } = compileRuleSet(sources, registry);
  expect(queries.map(({ ok, predicate }) => [ok, predicate])).toEqual([
    [true, 0],
    [false, -1],
    [true, 1],
  ]);
  expect(program.predicates).toEqual([{ ruleId: sources[0]!.id }, { ruleId: sources[2]!.id }]);
  expect(queries[0]!.fieldIds).toEqual([registry.idOf("event.category"), registry.idOf("process.pid")]);
  expect(WebAssembly.validate(program.wasm as Uint8Array<ArrayBuffer>)).toBe(true);
  expect(program.lua).not.toBe("");
  expect(checkQuery(sources[1]!, registry)).toEqual(queries[1]!.diagnostics);
});

test("regular expressions that together cost too much are refused, not compiled for half a minute", () => {
  const registry = new SchemaRegistry();
  const dear = (count: number, mark: string) =>
    Array.from({ length: count }, (_, index) => `user.name regex "(${mark}${index}|b)+[^c]{1,90}d"`).join(" or ");
  const { diagnostics } = compileRuleSet([source(`any where ${dear(1000, "a")}`)], registry).queries[0]!;
  const codes = new Set(diagnostics.map(({ code }) => code));
  expect(codes).toEqual(new Set(["invalid-regex", "too-many-regexes"]));
  expect(diagnostics.at(-1)?.message).toContain("65536 states together");
});

test("an empty rule set is a program", () => {
  const { program, queries } = compileRuleSet([], new SchemaRegistry());
  expect(queries).toEqual([]);
  expect(WebAssembly.validate(program.wasm as Uint8Array<ArrayBuffer>)).toBe(true);
});

describe("exceptions", () => {
  const registry = new SchemaRegistry();
  const matches = (exceptions: readonly string[], fields: Readonly<Record<string, FieldValue>>) => {
    const { predicate, diagnostics } = createReferencePredicate(source("any where process.pid == 1", { exceptions }), registry);
    return predicate === undefined ? diagnostics.map((item) => item.message).join() : predicate(reader(registry, 0, fields));
  };
  test("take matches away when true", () => {
    const exceptions = ['process.name == "a"', "user.id == 0"];
    expect(matches(exceptions, { "process.pid": 1n, "process.name": "a" })).toBe(false);
    expect(matches(exceptions, { "process.pid": 1n, "process.name": "b", "user.id": "0" })).toBe(false);
    expect(matches(exceptions, { "process.pid": 1n, "process.name": "b", "user.id": "1" })).toBe(true);
  });
  test("except nothing when null", () => {
    expect(matches(['process.name == "a"'], { "process.pid": 1n })).toBe(true);
    expect(matches(["null", "false"], { "process.pid": 1n })).toBe(true);
    expect(matches(["true"], { "process.pid": 1n })).toBe(false);
  });
  test("say which one is wrong", () => {
    expect(matches(["user.id == 0", "process where true"], {})).toStartWith("In exception 2: Expected a bare condition");
    expect(matches(["process.nam == 0"], {})).toBe('In exception 1: Unknown field "process.nam", did you mean "process.name"?');
  });
});

test("a category is the header's, or one of several in the field", () => {
  const registry = new SchemaRegistry();
  const { predicate } = createReferencePredicate(source("file where true"), registry);
  const file = registry.categories.intern("file");
  expect(predicate!(reader(registry, file, {}))).toBe(true);
  expect(predicate!(reader(registry, registry.categories.intern("process"), { "event.category": ["file"] }))).toBe(false);
  for (const several of [CATEGORY_SEVERAL, CATEGORY_OTHER]) {
    expect(predicate!(reader(registry, several, { "event.category": ["x", "file"] }))).toBe(true);
    expect(predicate!(reader(registry, several, { "event.category": "x" }))).toBe(false);
    expect(predicate!(reader(registry, several, {}))).toBe(false);
  }
});

test("unknown fields are null with a warning when fields are lenient", () => {
  const registry = new SchemaRegistry();
  const text = 'any where no.such == "x" or other.field == null';
  const { predicate, diagnostics } = createReferencePredicate(source(text, { lenientFields: true }), registry);
  expect(diagnostics.map(({ severity, code }) => [severity, code])).toEqual([
    ["warning", "unknown-field"],
    ["warning", "unknown-field"],
  ]);
  expect(predicate!(reader(registry, 0, {}))).toBe(true);
});

test("Lucene's operators are literal, with a warning", () => {
  const { predicate, diagnostics } = createReferencePredicate(source('any where process.name regex "a&b"'), new SchemaRegistry());
  expect(diagnostics.map(({ severity }) => severity)).toEqual(["warning"]);
  expect(predicate!(reader(new SchemaRegistry(), 0, { "process.name": "a&b" }))).toBe(true);
});

test("escaped and added names", () => {
  const registry = new SchemaRegistry();
  registry.add({ name: "a.b-c", type: "keyword" });
  expect(checkQuery(source('any where a.`b-c` == "x" and `a.b-c` != null and `process.name` == "y"'), registry)).toEqual([]);
});

test("fields of a text", () => {
  expect(fieldsOf('process where a.b == 1 and ?c : "x*" and not d and startsWith(e, "x") and f.g[0].h > i', "default")).toEqual([
    { name: "a.b", usage: "number", optional: false },
    { name: "c", usage: "text", optional: true },
    { name: "d", usage: "boolean", optional: false },
    { name: "e", usage: "text", optional: false },
    { name: "f.g.h", usage: "any", optional: false },
    { name: "i", usage: "any", optional: false },
  ]);
  const nested = "network where m and arraySearch(m.s, a, a.x == 's' and arraySearch(a.c, n, n.z == a.q))";
  expect(fieldsOf(nested, "endgame").map(({ name }) => name)).toEqual(["m", "m.s", "m.s.x", "m.s.c", "m.s.c.z", "m.s.q"]);
  expect(fieldsOf("sequence by k [a where x == 1] [b where y == 2]", "default").map(({ name }) => name)).toEqual(["x", "y", "k"]);
  expect(fieldsOf("not a ( query", "default")).toEqual([]);
  const names = (text: string, dialect: "default" | "endgame" = "default") => fieldsOf(text, dialect).map(({ name }) => name);
  expect(names("sequence by k [a where x == 1] as e0 by y until [b where z == 1] by w")).toEqual(["x", "z", "k", "y", "w"]);
  expect(names("sequence [a where x == 1] as e0 [b where e0.y.z == f.g and e0 == null]")).toEqual(["x", "y.z", "f.g"]);
  expect(
    names("a where x == 1 | sort s | filter events[1].e == 2 and events.f == 3 | unique_count u | filter count > 5 and v == 1"),
  ).toEqual(["x", "s", "e", "events.f", "u", "v"]);
  expect(names("a where child of [b where x == 1]", "endgame")).toEqual(["x", "unique_pid", "unique_ppid"]);
  expect(names("a where event of [b where x == 1]")).toEqual([
    "x",
    "process.entity_id",
    "process.parent.entity_id",
    "process.Ext.ancestry",
  ]);
});

test("categories of a text", () => {
  expect(categoriesOf('sequence [process where true] ["my cat" where true] [any where true] [process where false]', "default")).toEqual([
    "process",
    "my cat",
  ]);
});

test("a diagnostic shows the line with carets and no control characters", () => {
  const text = 'process where true and\n\tprocess.nam == "\u{202e}x"';
  const [diagnostic] = checkQuery(source(text), new SchemaRegistry());
  expect(formatDiagnostic(text, diagnostic!, { file: "rule.eql" })).toBe(
    [
      'rule.eql:2:2: error: Unknown field "process.nam", did you mean "process.name"? [unknown-field]',
      ' 2 |  process.nam == "\\u{202e}x"',
      "   |  ^^^^^^^^^^^",
    ].join("\n"),
  );
});
