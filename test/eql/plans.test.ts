// Queries over several events to plans, as goldens: what each step tests on every event, what is left to the sequencer, keys and clauses.
// `KESTREL_UPDATE=1 bun test test/eql/plans.test.ts` rewrites them; review the difference.
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  compileRuleSet,
  createReferencePlan,
  type Dialect,
  describeQuery,
  printExpression,
  type QueryDescription,
  type QuerySource,
  type StepDescription,
} from "#eql";
import { planSlots, SchemaRegistry } from "#schema";

const PATH = fileURLToPath(new URL("./cases/plans.txt", import.meta.url));
const registry = new SchemaRegistry();
for (const name of ["unique_pid", "unique_ppid", "opcode"]) registry.add({ name, type: "i64" });
for (const name of ["process_name", "user_name"]) registry.add({ name, type: "keyword" });

function source(text: string, dialect: Dialect, more: Partial<QuerySource> = {}): QuerySource {
  return { id: "case", text, dialect, exceptions: [], lenientFields: false, ...more };
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}

function printStep(label: string, step: StepDescription): string {
  const keys = step.keys.map(({ text, nullJoins, ir }) => `${text}${nullJoins ? " or null" : ""}${ir === undefined ? "" : ` = ${ir}`}`);
  const words = [
    `${label}${step.missing ? " missing" : ""}`,
    ...(step.runs === 1 ? [] : [`runs ${step.runs}`]),
    ...(step.fork ? ["fork"] : []),
    ...(step.alias === undefined ? [] : [`as ${step.alias}`]),
    ...(keys.length === 0 ? [] : [`by ${keys.join(", ")}`]),
  ];
  const residual = step.residualIr === undefined ? [] : [`  and then\n${indented(step.residualIr)}`];
  return [words.join(" "), indented(step.predicateIr), ...residual].join("\n");
}

function print(plan: QueryDescription): string {
  const head = `${plan.kind}${plan.maxspanNs === undefined ? "" : ` within ${plan.maxspanNs} ns`}`;
  return [
    head,
    ...plan.steps.map((step) => printStep(`step ${step.slot}`, step)),
    ...(plan.until === undefined ? [] : [printStep(`until ${plan.until.slot}`, plan.until)]),
    ...plan.lineages.map((lineage) =>
      printStep(`${lineage.relation} of ${lineage.slot}`, { ...lineage, keys: [], runs: 1, missing: false, fork: false, alias: undefined }),
    ),
    ...(plan.filterIr === undefined ? [] : [`filter\n${indented(plan.filterIr)}`]),
  ].join("\n");
}

describe("plans", () => {
  const sections = readFileSync(PATH, "utf8").split(/^# /m).slice(1);
  const updated: string[] = [];
  expect(sections.length).toBeGreaterThan(15);
  for (const section of sections) {
    const [name = "", ...lines] = section.trimEnd().split("\n");
    test(name, () => {
      const [text = "", expected = ""] = lines.join("\n").split(/\n==>(?:\n|$)/);
      const dialect = name.endsWith("endgame") ? "endgame" : "default";
      const { description, diagnostics } = describeQuery(source(text, dialect), registry);
      const printed = description === undefined ? diagnostics.map((item) => item.message).join("\n") : print(description);
      updated.push(`# ${name}\n${text}\n==>\n${printed}\n`);
      if (process.env["KESTREL_UPDATE"] !== "1") expect(printed).toBe(expected);
    });
  }
  test.skipIf(process.env["KESTREL_UPDATE"] !== "1")("rewrites the goldens", () => {
    writeFileSync(PATH, updated.join("\n"));
  });
});

describe("compileRuleSet", () => {
  const texts = [
    "process where true",
    "sequence by process.pid with maxspan=1m [process where true] ![file where true] until [any where false]",
    "process where child of [process where descendant of [file where true]]",
    "sequence [process where (] [file where true]",
    "any where true",
  ];
  const { program, queries } = compileRuleSet(
    texts.map((text, index) => ({ ...source(text, "default"), id: String(index) })),
    registry,
  );
  test("puts each slot of a plan among the predicates, under its rule and slot", () => {
    expect(queries.map(({ ok, predicate }) => [ok, predicate])).toEqual([
      [true, 0],
      [true, -1],
      [true, -1],
      [false, -1],
      [true, 8],
    ]);
    expect(queries.map(({ plan }) => plan && planSlots(plan))).toEqual([undefined, [1, 2, 3], [4, 5, 6, 7], undefined, undefined]);
    expect(program.predicates.slice(1, 4)).toEqual([0, 1, 2].map((slot) => ({ ruleId: "1", slot })));
    expect(program.predicates[8]).toEqual({ ruleId: "4" });
    expect(WebAssembly.validate(program.wasm as Uint8Array<ArrayBuffer>)).toBe(true);
  });
  test("makes plans that a worker can be sent", () => {
    const sequence = 'sequence [process where true] as a [file where child of [any where true] and a.process.name like "x*"]';
    const { plan } = compileRuleSet([source(sequence, "default")], registry, []).queries[0]!;
    expect(structuredClone(plan)).toEqual(plan!);
    expect(printExpression(plan!.steps[1]!.residual!)).toBe('(and\n  (lineage child 0)\n  (like #0.process.name <"x"*>))');
  });
  test("names the fields of keys, residuals and lineages", () => {
    const text =
      "sequence [process where child of [process where true]] as e0 by user.id [file where e0.process.name == file.name] by host.id";
    const { fieldIds } = compileRuleSet([source(text, "default")], registry, []).queries[0]!;
    const names = ["user.id", "host.id", "process.name", "file.name", "event.category", "process.entity_id", "process.parent.entity_id"];
    expect(fieldIds).toEqual([...names, "process.Ext.ancestry"].map((name) => registry.idOf(name)).sort((a, b) => a - b));
  });
});

describe("exceptions", () => {
  const described = (text: string, exceptions: readonly string[]) => {
    const { description, diagnostics } = describeQuery(source(text, "default", { exceptions }), registry);
    return description?.steps.map((step) => `${step.predicateIr} ${step.residualIr}`) ?? diagnostics.map((item) => item.message);
  };
  test("hold in every positive step and not in missing ones", () => {
    const steps = described("sequence with maxspan=1m [process where true] ![file where true] [any where true]", ["user.id == 0"]);
    expect(steps.map((step) => step.includes("user.id"))).toEqual([true, false, true]);
    expect(described("any where child of [any where true]", ["user.id == 0"])[0]).toContain("user.id");
  });
  test("may ask about lineage, not about steps", () => {
    const [step] = described("process where true", ['descendant of [process where process.name == "make"]']);
    expect(step).toContain("(lineage descendant 0)");
    expect(described("sequence [process where true] as e0 [file where true]", ["e0.process.name == file.name"])).toEqual([
      'In exception 1: Unknown field "e0.process.name", did you mean "process.name"?',
    ]);
  });
});

test("lineage needs the fields that tell processes apart", () => {
  const bare = new SchemaRegistry();
  const text = "process where child of [process where true]";
  const { diagnostics } = describeQuery(source(text, "endgame"), bare);
  expect(diagnostics.map(({ code, span }) => [code, span.from, span.to])).toEqual([["missing-identity", 14, 24]]);
  const lenient = describeQuery(source(text, "endgame", { lenientFields: true }), bare);
  expect(lenient.diagnostics.map(({ severity, code }) => `${severity} ${code}`)).toEqual(["warning missing-identity"]);
  expect(lenient.description?.isPlanned).toBe(false);
});

test("a reference plan has a predicate for each slot and the plan's own numbers", () => {
  const { plan, predicates } = createReferencePlan(
    source("sequence [process where process.pid == 1] [any where true]", "default"),
    registry,
  );
  expect(planSlots(plan!)).toEqual([0, 1]);
  const process = { category: registry.categories.idOf("process"), value: () => 1n };
  expect(predicates.map((predicate) => predicate(process))).toEqual([true, true]);
  expect(predicates[0]!({ category: 0, value: () => 1n })).toBe(false);
});
