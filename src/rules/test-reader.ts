// `tests: { match: [[…events…]], no_match: [[…events…]] }` → event lists, and the cases a test run goes through.

import type { Rule, RuleEvent, RuleTests } from "./rule.ts";
import { kindName, plainValue, type SourceNode } from "./source-node.ts";
import type { Findings } from "./source-text.ts";
import { didYouMean } from "./suggestion.ts";

const KEYS = ["match", "no_match"] as const;
const CASES_MAX = 1000;
const EVENTS_PER_CASE_MAX = 10_000;

/** The tests of a rule; what cannot be read is a finding. */
export function readTests(node: SourceNode | undefined, findings: Findings): RuleTests {
  const cases: Record<(typeof KEYS)[number], RuleEvent[][]> = { match: [], no_match: [] };
  if (node !== undefined && node.kind !== "null") {
    if (node.kind !== "map") {
      findings.error("bad-value", `"tests" must be a mapping with "match" and "no_match", here is ${kindName(node)}`, node);
      return { match: [], noMatch: [] };
    }
    for (const { key, place, value } of node.entries) {
      const known = KEYS.find((name) => name === key);
      if (known !== undefined) cases[known] = readCases(known, value, findings);
      else findings.error("unknown-key", `Unknown key "${key}" in tests${didYouMean(key, KEYS)}`, place);
    }
  }
  return { match: cases.match, noMatch: cases.no_match };
}

function readCases(key: string, node: SourceNode, findings: Findings): RuleEvent[][] {
  if (node.kind === "null") return [];
  if (node.kind !== "list" || node.items.length > CASES_MAX) {
    findings.error("bad-value", `"${key}" must be a list of at most ${CASES_MAX} cases, each a list of events`, node);
    return [];
  }
  const cases: RuleEvent[][] = [];
  for (const item of node.items) {
    const events = readCase(key, item, findings);
    if (events !== undefined) cases.push(events);
  }
  return cases;
}

function readCase(key: string, node: SourceNode, findings: Findings): RuleEvent[] | undefined {
  if (node.kind !== "list") {
    findings.error("bad-value", `A case of "${key}" is a list of events, here is ${kindName(node)}: begin the event with "- - "`, node);
    return undefined;
  }
  if (node.items.length === 0 || node.items.length > EVENTS_PER_CASE_MAX) {
    findings.error("bad-value", `A case of "${key}" has 1 to ${EVENTS_PER_CASE_MAX} events, this one has ${node.items.length}`, node);
    return undefined;
  }
  const events: RuleEvent[] = [];
  for (const item of node.items) {
    if (item.kind === "map") events.push(plainValue(item) as RuleEvent);
    else findings.error("bad-value", `A test event is a mapping of fields, here is ${kindName(item)}`, item);
  }
  return events;
}

/** One case of a rule's tests. */
export interface RuleTestCase {
  /** For reports: `kestrel.some-rule match 1`. */
  readonly name: string;
  readonly ruleId: string;
  readonly events: readonly RuleEvent[];
  /** Whether the events must make the rule match at least once. */
  readonly expectMatch: boolean;
}

/** Every case of a rule, the matching ones first. Running them is the engine's part. */
export function ruleTestCases(rule: Rule): RuleTestCase[] {
  const cases = (kind: string, lists: RuleTests["match"], expectMatch: boolean): RuleTestCase[] =>
    lists.map((events, index) => ({ name: `${rule.id} ${kind} ${index + 1}`, ruleId: rule.id, events, expectMatch }));
  return [...cases("match", rule.tests.match, true), ...cases("no_match", rule.tests.noMatch, false)];
}
