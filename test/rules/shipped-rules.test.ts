// Our own rules: every one loads without a finding, says what a reader needs, and its events match and do not match, judged by the
// reference evaluator over real records; rules over several events by the engine, on both back ends.
import { describe, expect, test } from "bun:test";
import { join, relative } from "node:path";
import { runRuleTests } from "#engine";
import { createReferencePlan, createReferencePredicate, type QuerySource, type ReferencePredicate } from "#eql";
import { JsonDecoder, RecordView } from "#event";
import { loadRules, type Rule, type RuleEvent, ruleTestCases } from "#rules";
import { createLuaRuleEvaluator } from "#runtime-lua";
import { SchemaRegistry } from "#schema";

const root = join(import.meta.dir, "../..");
const folder = join(root, "rules");
const registry = new SchemaRegistry();
const loaded = await loadRules([folder], { registry });
const own = loaded.rules.filter((rule) => !rule.source.file.startsWith(join(folder, "samples")));

test("every shipped rule loads without a finding", () => {
  expect(loaded.problems.map((problem) => `${relative(root, problem.file)}: ${problem.diagnostic.message}\n${problem.excerpt}`)).toEqual(
    [],
  );
  expect(own.length).toBeGreaterThanOrEqual(60);
});

test("ids are kestrel.<file name>, tactic folders are tactic tags", () => {
  for (const rule of own) {
    const [tactic, file] = relative(folder, rule.source.file).split("/");
    expect(rule.id).toBe(`kestrel.${file?.replace(/\.yaml$/, "")}`);
    const tactics = rule.tags.filter((tag) => /^attack\.[a-z-]+$/.test(tag) && !/^attack\.t\d/.test(tag));
    expect({ rule: rule.id, tactic, tactics }).toMatchObject({ rule: rule.id });
    expect(tactics.length).toBeGreaterThan(0);
    expect(rule.tags.some((tag) => /^attack\.t\d{4}(\.\d{3})?$/.test(tag))).toBe(true);
  }
});

test("every rule explains itself, captures something and has tests", () => {
  for (const rule of own) {
    expect({ rule: rule.id, words: rule.description.split(/\s+/).length >= 25 }).toEqual({ rule: rule.id, words: true });
    expect({ rule: rule.id, capture: rule.capture.length >= 3 }).toEqual({ rule: rule.id, capture: true });
    const { match, noMatch } = rule.tests;
    expect({ rule: rule.id, match: match.length >= 2, noMatch: noMatch.length >= 3 }).toEqual({
      rule: rule.id,
      match: true,
      noMatch: true,
    });
  }
});

/** Whether any of the events makes the predicate true. */
function anyMatches(predicate: ReferencePredicate, events: readonly RuleEvent[]): boolean {
  const decoder = new JsonDecoder(registry);
  const view = new RecordView();
  return events.some((event) => {
    const decoded = decoder.decode(JSON.stringify(event));
    if (typeof decoded !== "number") throw new Error(decoded.message);
    return predicate(view.reset(decoder.builder.bytes, 0)) === true;
  });
}

function sourceOf(rule: Rule): QuerySource {
  if (rule.body.kind !== "eql") throw new Error(`${rule.id} is not EQL`);
  const { query, dialect } = rule.body;
  return { id: rule.id, text: query, dialect, exceptions: rule.exceptions, lenientFields: false };
}

function predicateOf(rule: Rule): ReferencePredicate {
  const { predicate, diagnostics } = createReferencePredicate(sourceOf(rule), registry);
  if (predicate === undefined) throw new Error(diagnostics.map((diagnostic) => diagnostic.message).join("; "));
  return predicate;
}

/** For each test case of a Lua rule, whether LuaJIT says that it matches. */
function luaMatches(rule: Rule): boolean[] {
  if (rule.body.kind !== "lua") throw new Error(`${rule.id} is not Lua`);
  const { evaluator, diagnostics } = createLuaRuleEvaluator(rule.body.source, registry);
  if (evaluator === undefined) throw new Error(diagnostics.map((diagnostic) => diagnostic.message).join("; "));
  const decoder = new JsonDecoder(registry);
  try {
    return ruleTestCases(rule).map(({ events }) =>
      events.some((event) => {
        const size = decoder.decode(JSON.stringify(event));
        if (typeof size !== "number") throw new Error(size.message);
        const bytes = decoder.builder.bytes.slice(0, size);
        return evaluator.evaluate({ bytes, offsets: new Uint32Array([0]), length: size, count: 1 })[0] === 1;
      }),
    );
  } finally {
    evaluator.close();
  }
}

const isPlanned = (rule: Rule): boolean => rule.body.kind === "eql" && createReferencePlan(sourceOf(rule), registry).plan !== undefined;
const planned = own.filter(isPlanned);

describe("events", () => {
  for (const rule of own.filter((candidate) => !planned.includes(candidate))) {
    test(rule.id, () => {
      if (rule.body.kind === "lua") {
        expect(luaMatches(rule)).toEqual(ruleTestCases(rule).map(({ expectMatch }) => expectMatch));
        return;
      }
      const predicate = predicateOf(rule);
      for (const { name, events, expectMatch } of ruleTestCases(rule)) {
        expect({ name, matches: anyMatches(predicate, events) }).toEqual({ name, matches: expectMatch });
      }
    });
  }
});

describe("several events", () => {
  for (const backend of ["wasm", "lua"] as const) {
    test(backend, async () => {
      const { results, problems, untested } = await runRuleTests(planned, registry, backend);
      expect({ problems, untested }).toEqual({ problems: [], untested: [] });
      expect(results.filter(({ ok }) => !ok)).toEqual([]);
      expect(results.length).toBeGreaterThan(planned.length * 5);
    });
  }

  test("every kind of step is shown by a rule, and every case has its times", () => {
    expect(planned.length).toBeGreaterThanOrEqual(10);
    const plans = planned.map((rule) => createReferencePlan(sourceOf(rule), registry).plan!);
    const steps = plans.flatMap((plan) => plan.steps);
    const shown = {
      until: plans.some((plan) => plan.until !== undefined),
      lineage: plans.some((plan) => plan.lineages.length > 0),
      missing: steps.some((step) => step.missing),
      runs: steps.some((step) => step.runs > 1),
      alias: steps.some((step) => step.alias !== undefined),
      all: planned.some((rule) => rule.match === "all"),
    };
    expect(shown).toEqual({ until: true, lineage: true, missing: true, runs: true, alias: true, all: true });
    const events = planned.flatMap((rule) => ruleTestCases(rule).flatMap((testCase) => testCase.events));
    expect(events.filter((event) => event["@timestamp"] === undefined)).toEqual([]);
  });
});

test("a rule's events do not match what they must not by accident: fields are known and spelt right", () => {
  const unknown = new Set<string>();
  let count = 0;
  const visit = (value: unknown, path: string): void => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const [key, item] of Object.entries(value)) visit(item, path === "" ? key : `${path}.${key}`);
      return;
    }
    count++;
    if (registry.byName(path) === undefined) unknown.add(path);
  };
  for (const rule of own) for (const { events } of ruleTestCases(rule)) for (const event of events) visit(event, "");
  expect([...unknown]).toEqual([]);
  expect(count).toBeGreaterThan(1000);
});
