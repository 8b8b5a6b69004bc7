// From the text of a query to its alerts: random plans printed as EQL in both dialects, compiled, evaluated as Wasm on random streams, and
// sequenced by the engine, against the naive matcher of test/nfa, which sees plan and stream alone.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { STATE_LIMITS } from "#nfa";
import type { Rule } from "#rules";
import type { FieldValue, PlanStep, RulePlan, Scalar } from "#schema";
import type { TestEvent, TestPlan } from "../nfa/fixture.ts";
import { anyCase } from "../nfa/generate.ts";
import { naiveResults } from "../nfa/naive.ts";
import { benchOf, type EventSpec, ruleOf } from "./fixture.ts";

const seed = Number(process.env["KESTREL_SEED"] ?? Date.now() & 0x7fffffff);
console.log(`sequences property seed: KESTREL_SEED=${seed}`);

const ROUNDS = Number(process.env["KESTREL_ROUNDS"] ?? 80);
const RULES = 25;
const REORDER_MS = 4;
const KEY_FIELDS = ["user.name", "user.id"];

/** What the query cannot say, or says for every key alike, made the same for the naive matcher. */
function sayable(test: TestPlan): TestPlan {
  const { plan } = test;
  const endgame = plan.untilFirst;
  const stepOf = (step: PlanStep): PlanStep => ({
    ...step,
    keys: step.keys.map((key) => ({ ...key, nullJoins: endgame || key.nullJoins })),
  });
  const until = plan.until === undefined ? undefined : stepOf(plan.until);
  return { ...test, plan: { ...plan, steps: plan.steps.map(stepOf), until }, strict: false, reorderMs: REORDER_MS, ttlMs: undefined };
}

/** Plans that have a spelling: two steps, or one that runs; samples are of the default dialect, joins of Endgame's. */
function isSayable({ plan }: TestPlan): boolean {
  if (plan.kind === "sequence") return plan.steps.reduce((sum, step) => sum + step.runs, 0) > 1;
  return plan.steps.length > 1 && plan.untilFirst === (plan.kind === "join");
}

function queryOf({ kind, steps, until, maxspanNs, untilFirst }: RulePlan): string {
  const word = kind === "sequence" && maxspanNs !== undefined ? `sequence with maxspan=${maxspanNs / 1_000_000n}ms` : kind;
  const stepText = (step: PlanStep): string => {
    const keys = step.keys.map((key) => `${key.nullJoins && !untilFirst ? "?" : ""}${KEY_FIELDS[Number(key.text.slice(1))]}`);
    const by = keys.length === 0 ? "" : ` by ${keys.join(", ")}`;
    const runs = step.runs > 1 ? ` with runs=${step.runs}` : "";
    const condition = `process.args == "${String.fromCharCode(step.predicate)}"`;
    return `${step.missing ? "!" : ""}[any where ${condition}]${by}${runs}${step.fork ? " fork" : ""}`;
  };
  // A sample has one `by` for all.
  const head = kind === "sample" ? `${word} by ${KEY_FIELDS[Number(steps[0]?.keys[0]?.text.slice(1))]}` : word;
  const body = steps.map((step) => (kind === "sample" ? stepText({ ...step, keys: [] }) : stepText(step)));
  return [head, ...body, ...(until === undefined ? [] : [`until ${stepText(until)}`])].join("\n  ");
}

function isSample({ plan }: TestPlan): boolean {
  if (plan.kind !== "sample") return true;
  const [first] = plan.steps;
  return first?.keys.length === 1 && plan.steps.every(({ keys }) => keys[0]?.text === first.keys[0]?.text && keys[0]?.nullJoins === false);
}

/** Values of a key field have one type in a schema: the same texts for equal values. */
function keyText(value: Scalar): string {
  return typeof value === "string" ? `s${value}` : typeof value === "boolean" ? `b${value}` : `n${Number(value)}`;
}

function specOf({ letters, time, tie, keys }: TestEvent, index: number): EventSpec {
  const fields: Record<string, FieldValue> = {
    "process.args": [...letters],
    "process.pid": BigInt(index),
    ...(tie === undefined ? {} : { "event.sequence": BigInt(tie) }),
  };
  for (const [part, values] of (keys ?? []).entries()) {
    const texts = values.map(keyText);
    if (texts.length > 0) fields[KEY_FIELDS[part] as string] = texts.length === 1 ? (texts[0] as string) : texts;
  }
  return { timeMs: time + 1000, fields };
}

/** Results of a plan as the naive matcher has them, without the places of missing events: alerts have none. */
function expectedOf(test: TestPlan, stream: readonly TestEvent[]): readonly string[] {
  return naiveResults(test, stream).map((text) =>
    text
      .split(" ")
      .filter((place) => place !== "!")
      .join(" "),
  );
}

test(`${ROUNDS * RULES} queries with streams give what the naive matcher gives`, async () => {
  const cases = fc.sample(anyCase, { seed, numRuns: ROUNDS * RULES * 3 });
  const plans = cases.map(({ test }) => sayable(test)).filter((plan) => isSayable(plan) && isSample(plan));
  const streams = cases.filter(({ test, events }) => test.reorderMs <= REORDER_MS && events.length > 8).map(({ events }) => events);
  expect(plans.length).toBeGreaterThan(ROUNDS * RULES);
  let alerts = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const stream = streams[round % streams.length] as readonly TestEvent[];
    const chosen = plans.slice(round * RULES, (round + 1) * RULES);
    const rules = chosen.map((test, index): Rule => {
      const dialect = test.plan.untilFirst ? "endgame" : "default";
      const body = { kind: "eql", query: queryOf(test.plan), dialect } as const;
      return ruleOf(`r${index}`, "", { body, match: test.matchAll ? "all" : "latest" });
    });
    const limits = { ...STATE_LIMITS, reorderNs: BigInt(REORDER_MS) * 1_000_000n, ttlNs: undefined };
    const bench = benchOf({ limits, partitions: 1 });
    const { problems } = await bench.engine.arm(rules);
    expect(problems).toEqual([]);
    await bench.push(...stream.map(specOf));
    await bench.engine.finish();
    for (const [index, test] of chosen.entries()) {
      const found = bench.alerts
        .filter(({ ruleId }) => ruleId === `r${index}`)
        .map(({ events }) => events.map((event) => String((event["process"] as { readonly pid: number | bigint }).pid)).join(" "));
      alerts += found.length;
      const query = queryOf(test.plan);
      expect({ seed, round, query, stream, found }).toEqual({ seed, round, query, stream, found: [...expectedOf(test, stream)] });
    }
    await bench.engine.close();
  }
  expect(alerts).toBeGreaterThan(ROUNDS * 5);
}, 300_000);
