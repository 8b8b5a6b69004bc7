// The public corpus: rules that must compile, and queries with known results through the reference evaluator.
import { describe, expect, test } from "bun:test";
import { parse as parseToml } from "smol-toml";
import { compileRuleSet, createPipeline, createReferencePredicate, type Dialect, evaluateConstant, fieldsOf, type QuerySource } from "#eql";
import { type ExtraField, type FieldReader, type FieldType, type FieldValue, planSlots, SchemaRegistry } from "#schema";
import { corpusLines, corpusText, HAS_CORPUS } from "./corpus.ts";

interface Rule {
  readonly id: string;
  readonly query: string;
}

describe.skipIf(!HAS_CORPUS)("public rules", () => {
  for (const [file, rules, plans] of [
    ["elastic-linux-rules.jsonl", 433, 98],
    ["elastic-endpoint-rules.jsonl", 33, 12],
  ] as const) {
    test(file, () => {
      const sources = corpusLines<Rule>(file).map(({ id, query }) => {
        return { id, text: query, dialect: "default" as const, exceptions: [], lenientFields: true };
      });
      const { queries, program } = compileRuleSet(sources, new SchemaRegistry(), ["wasm"]);
      const found = queries.flatMap(({ id, diagnostics }) => diagnostics.map(({ severity, code }) => `${id}: ${severity} ${code}`));
      expect(found.filter((line) => !/warning (unknown-field|pipe-without-effect)$/.test(line))).toEqual([]);
      expect([queries.filter((query) => query.ok).length, queries.filter((query) => query.plan !== undefined).length]).toEqual([
        rules,
        plans,
      ]);
      const slots = queries.flatMap(({ predicate, plan }) => (plan === undefined ? [predicate] : planSlots(plan)));
      expect(slots).toEqual(program.predicates.map((_, index) => index));
    });
  }
});

type Plain = string | number | boolean | null | readonly Plain[] | { readonly [key: string]: Plain };

/** Leaves of an event under their dotted names. */
function flatten(value: Plain, name: string, into: Map<string, Plain[]>): void {
  if (value === null) return;
  if (Array.isArray(value)) for (const item of value) flatten(item, name, into);
  else if (typeof value === "object")
    for (const [key, item] of Object.entries(value)) flatten(item, name === "" ? key : `${name}.${key}`, into);
  else into.set(name, [...(into.get(name) ?? []), value]);
}

function typeOf(values: readonly Plain[]): FieldType {
  if (values.every((value) => typeof value === "number")) return values.every(Number.isInteger) ? "i64" : "f64";
  if (values.every((value) => typeof value === "boolean")) return "bool";
  return values.length > 1 ? "keyword[]" : "keyword";
}

class EndgameData {
  readonly registry: SchemaRegistry = new SchemaRegistry();
  readonly events: readonly { readonly id: number; readonly reader: FieldReader }[];

  constructor() {
    const flat = corpusLines<{ readonly [key: string]: Plain }>("endgame-events.jsonl").map((event) => {
      const fields = new Map<string, Plain[]>();
      flatten(event, "", fields);
      return { id: event["serial_event_id"] as number, category: event["event_type"] as string, fields };
    });
    const samples = new Map<string, Plain[]>();
    for (const { fields } of flat) for (const [name, values] of fields) samples.set(name, [...(samples.get(name) ?? []), ...values]);
    for (const [name, values] of samples) {
      const list = flat.some(({ fields }) => (fields.get(name)?.length ?? 0) > 1);
      this.add({ name, type: list ? "keyword[]" : typeOf(values) === "keyword[]" ? "keyword" : typeOf(values) });
    }
    this.events = flat.map(({ id, category, fields }) => {
      const values = new Map<number, FieldValue>();
      for (const [name, list] of fields)
        values.set(this.registry.idOf(name), list.map((value) => (typeof value === "number" ? BigInt(value) : value)) as FieldValue);
      return { id, reader: { category: this.registry.categories.intern(category), value: (field) => values.get(field) } };
    });
  }

  add(field: ExtraField): void {
    this.registry.add(field);
  }

  ids(text: string, dialect: Dialect): readonly number[] | string {
    // Fields that no event has: what a query tool would add before it compiles.
    for (const { name } of fieldsOf(text, dialect)) {
      const isObject = this.registry.fields().some((field) => field.name.startsWith(`${name}.`));
      if (!isObject && this.registry.byName(name) === undefined) this.add({ name, type: "keyword" });
    }
    const source: QuerySource = { id: "q", text, dialect, exceptions: [], lenientFields: false, purpose: "query" };
    const { predicate, diagnostics } = createReferencePredicate(source, this.registry);
    if (predicate === undefined && diagnostics.every((item) => item.severity !== "error")) return "planned";
    if (predicate === undefined) return diagnostics.map((item) => `${item.code}: ${item.message}`).join("; ");
    const [query] = compileRuleSet([source], this.registry, []).queries;
    const pipeline = createPipeline<number>(query!.pipes);
    const found = this.events.filter(({ reader }) => predicate(reader) === true).flatMap(({ id, reader }) => pipeline.push(id, [reader]));
    return [...found, ...pipeline.finish()].map((output) => (output.kind === "result" ? output.item : output.count));
  }
}

interface EndgameQuery {
  readonly id: number;
  readonly query: string;
  readonly expected_event_ids: readonly number[];
  readonly case_insensitive?: boolean;
  readonly case_sensitive?: boolean;
}

describe.skipIf(!HAS_CORPUS)("Endgame queries", () => {
  test("event queries give exactly the expected events", () => {
    const data = new EndgameData();
    const counts = { exact: 0, planned: 0 };
    const wrong: string[] = [];
    for (const query of corpusLines<EndgameQuery>("endgame-queries.jsonl")) {
      // Endgame could be told to heed case; here that is the default dialect.
      const sensitive = query.case_sensitive === true;
      const ids = sensitive ? data.ids(inDefaultDialect(query.query), "default") : data.ids(query.query, "endgame");
      if (ids === "planned") counts.planned++;
      else if (JSON.stringify(ids) === JSON.stringify(query.expected_event_ids)) counts.exact++;
      else wrong.push(`${query.id}: ${query.query}\n  expected ${query.expected_event_ids}\n  found ${ids}`);
    }
    console.log(`endgame-queries.jsonl: ${JSON.stringify(counts)}`);
    expect(wrong).toEqual([]);
    expect(counts).toEqual({ exact: 89, planned: 31 });
  });
});

/**
 * Queries whose meaning or spelling only Endgame has: case does not count, `==` knows wildcards, `?'…'`, `safe`, an object as a condition,
 * computed keys.
 */
const ENDGAME_ONLY: readonly number[] = [
  [28, 37, 39, 40, 41, 43, 44, 64, 65, 150, 152, 153, 154, 171, 173, 175, 180, 185, 188, 203, 206, 227, 228, 231],
  [53, 58, 60, 145, 218, 219],
  [91, 162, 164, 165, 212, 213, 214, 216],
].flat();

describe.skipIf(!HAS_CORPUS)("Endgame queries in the default dialect", () => {
  test("agree except where the dialects differ", () => {
    const data = new EndgameData();
    const counts = { exact: 0, planned: 0 };
    const differing: number[] = [];
    for (const query of corpusLines<EndgameQuery>("endgame-queries.jsonl")) {
      const ids = data.ids(inDefaultDialect(query.query), "default");
      if (ids === "planned" || query.query.startsWith("join")) counts.planned++;
      else if (JSON.stringify(ids) === JSON.stringify(query.expected_event_ids)) counts.exact++;
      else differing.push(query.id);
    }
    console.log(`endgame-queries.jsonl in the default dialect: ${JSON.stringify({ ...counts, differing: differing.length })}`);
    expect(differing).toEqual(ENDGAME_ONLY.toSorted((left, right) => left - right));
  });
});

type Fold = { readonly expression: string; readonly expected?: string | number | boolean };
interface Section {
  readonly case_sensitive?: boolean;
  readonly case_insensitive?: boolean;
  readonly fold?: { readonly tests: readonly Fold[] };
  readonly tests?: readonly Fold[];
  readonly verifier?: { readonly failures: readonly { readonly expression: string }[] };
  readonly loop?: readonly { readonly param: { readonly type: readonly string[] }; readonly fold: { readonly tests: readonly Fold[] } }[];
}

const SAMPLES: Readonly<Record<string, string>> = { bool: "true", int: "7", string: '"x"', float: "1.5", null: "null" };

function foldsOf(section: Section): Fold[] {
  const looped = (section.loop ?? []).flatMap(({ param, fold }) =>
    param.type.flatMap((type) => fold.tests.map((item) => ({ ...item, expression: item.expression.replaceAll("$value", SAMPLES[type]!) }))),
  );
  return [...(section.fold?.tests ?? []), ...(section.tests ?? []), ...looped];
}

/** Where the default dialect differs from the suites, which speak Endgame's: EQL.md, "Values". */
function defaultDifference(expression: string): { readonly value: string | boolean | null } | undefined {
  if (
    /^between\(.*("village"|"goodbye".*|"x", (true|false)|"", "x", true)\)$/.test(expression) ||
    /^between\("[^"]*", "goodbye"/.test(expression)
  )
    return { value: "" };
  return undefined;
}

/** The spelling of the default dialect: double quotes and `==`. */
function inDefaultDialect(text: string): string {
  return (text.includes('"') ? text : text.replaceAll("'", '"')).replace(/(?<![=!<>]|maxspan)=(?!=)/g, "==");
}

function sameValue(found: unknown, expected: unknown): boolean {
  if (typeof found === "bigint") return Number(found) === expected;
  return found === (expected ?? null);
}

describe.skipIf(!HAS_CORPUS)("constant expressions", () => {
  for (const file of ["test_folding.toml", "test_string_functions.toml"]) {
    test(file, () => {
      const sections = Object.entries(parseToml(corpusText(file)) as unknown as Record<string, Section>);
      const counts = { endgame: 0, default: 0, differing: 0, failures: 0 };
      const wrong: string[] = [];
      for (const [name, section] of sections) {
        for (const { expression, expected } of foldsOf(section)) {
          if (section.case_sensitive !== true) {
            const result = evaluateConstant(expression, "endgame");
            if (result.ok && sameValue(result.value, expected)) counts.endgame++;
            else wrong.push(`${name}, endgame: ${expression} → ${describeResult(result)}, expected ${expected}`);
          }
          if (section.case_insensitive === true || expression.includes(":length")) continue;
          const difference = defaultDifference(expression);
          const result = evaluateConstant(inDefaultDialect(expression), "default");
          if (result.ok && sameValue(result.value, difference === undefined ? expected : difference.value))
            counts[difference === undefined ? "default" : "differing"]++;
          else wrong.push(`${name}, default: ${expression} → ${describeResult(result)}, expected ${expected}`);
        }
        for (const { expression } of section.verifier?.failures ?? []) {
          if (evaluateConstant(expression, "endgame").ok) wrong.push(`${name}: ${expression} must not compile`);
          else counts.failures++;
        }
      }
      console.log(`${file}: ${JSON.stringify(counts)}`);
      expect(wrong).toEqual([]);
      expect(counts.endgame).toBeGreaterThan(90);
    });
  }
});

function describeResult(result: ReturnType<typeof evaluateConstant>): string {
  return result.ok ? String(result.value) : result.diagnostics.map((item) => item.message).join("; ");
}
