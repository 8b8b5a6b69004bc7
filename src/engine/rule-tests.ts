// Runs the tests that rules carry: each case's events go through the real engine with all rules armed, throttles off.
import { createLog, type Json, messageOf, SystemClock, stringifyJson } from "#core";
import { JsonDecoder } from "#event";
import type { Rule, RuleTestCase } from "#rules";
import type { Backend, SchemaRegistry } from "#schema";
import { compileHere } from "./compile.ts";
import { Engine, type RuleProblem } from "./engine.ts";

/** One case with its outcome. */
export interface RuleTestResult {
  readonly ruleId: string;
  readonly name: string;
  readonly ok: boolean;
  /** Why it failed; empty when it passed. */
  readonly reason: string;
}

/** What {@link runRuleTests} found. */
export interface RuleTestReport {
  readonly results: readonly RuleTestResult[];
  readonly problems: readonly RuleProblem[];
  /** Rules that carry no test. */
  readonly untested: readonly string[];
}

/** Runs every test of the rules. Disabled rules are tested too. */
export async function runRuleTests(rules: readonly Rule[], registry: SchemaRegistry, backend: Backend): Promise<RuleTestReport> {
  const { ruleTestCases } = await import("#rules");
  const engine = new Engine({
    registry,
    clock: new SystemClock(),
    log: createLog("error", () => {}),
    sinks: [],
    partitions: 1,
    backend,
    compile: compileHere,
    whenFull: "block",
    flushMs: 0,
    cacheDirectory: undefined,
    batchBudgetMs: undefined,
  });
  try {
    const { problems } = await engine.arm(rules.map((rule) => ({ ...rule, enabled: true, throttle: null })));
    const decoder = new JsonDecoder(registry);
    const results: RuleTestResult[] = [];
    const untested: string[] = [];
    for (const rule of rules) {
      const cases = ruleTestCases(rule);
      if (cases.length === 0) untested.push(rule.id);
      for (const testCase of cases) results.push(await runCase(engine, decoder, rule, testCase));
    }
    return { results, problems, untested };
  } finally {
    await engine.close();
  }
}

async function runCase(engine: Engine, decoder: JsonDecoder, rule: Rule, testCase: RuleTestCase): Promise<RuleTestResult> {
  const hitsBefore = engine.ruleState(rule.id)?.hits ?? 0;
  const base = { ruleId: rule.id, name: testCase.name };
  // Pushed when all of them are good: a part of a case would count in the next one.
  const records: Uint8Array[] = [];
  try {
    for (const [index, event] of testCase.events.entries()) {
      const size = decoder.decode(stringifyJson(event as Json));
      if (typeof size !== "number") return { ...base, ok: false, reason: `Event ${index + 1}: ${size.message}` };
      records.push(decoder.builder.bytes.slice(0, size));
    }
    for (const record of records) {
      while (!engine.input.push(record, 0, record.length)) await engine.input.ready();
    }
    // Each case is a stream of its own, and its end the end of time: what must not follow did not.
    await engine.finish();
  } catch (error) {
    return { ...base, ok: false, reason: messageOf(error) };
  }
  const state = engine.ruleState(rule.id);
  if (state === undefined) return { ...base, ok: false, reason: "The rule does not load" };
  if (state.quarantineReason !== undefined) return { ...base, ok: false, reason: `The rule was stopped: ${state.quarantineReason}` };
  const matched = state.hits > hitsBefore;
  if (matched === testCase.expectMatch) return { ...base, ok: true, reason: "" };
  return { ...base, ok: false, reason: matched ? "It matched, and must not" : "It did not match, and must" };
}
