// Random plans and streams for the property tests: few predicates, few keys, many equal times, so that the interesting cases are common.
import fc from "fast-check";
import type { StateLimits } from "../../src/nfa/index.ts";
import type { PlanStep, RulePlan, Scalar } from "../../src/schema/index.ts";
import { keyPart, MS, type TestEvent, type TestPlan } from "./fixture.ts";

const LETTERS = "abcd";
const KEYS: readonly Scalar[] = [1n, 2, "x", "X", 1.5, true];

/** A plan and a stream that comes out of order no further than the reorder buffer reaches. */
export interface Case {
  readonly test: TestPlan;
  readonly events: readonly TestEvent[];
}

const keys = fc.constantFrom([], [keyPart(0, false)], [keyPart(0, true)], [keyPart(0, false), keyPart(1, true)]);
const ownKeys = fc.array(fc.boolean(), { minLength: 5, maxLength: 5 });

const step = fc.record({
  letter: fc.constantFrom(...LETTERS),
  missing: fc.integer({ min: 0, max: 3 }).map((one) => one === 0),
  runs: fc.constantFrom(1, 1, 1, 1, 2, 3),
  fork: fc.integer({ min: 0, max: 7 }).map((one) => one === 0),
});

/** Any plan that the compiler could make. */
const anyPlan: fc.Arbitrary<TestPlan> = fc
  .record({
    kind: fc.constantFrom<RulePlan["kind"]>("sequence", "sequence", "sequence", "sequence", "sample", "join"),
    steps: fc.array(step, { minLength: 1, maxLength: 4, size: "max" }),
    until: fc.option(fc.constantFrom(...LETTERS, "u")),
    maxspan: fc.option(fc.integer({ min: 0, max: 8 })),
    ttl: fc.option(fc.integer({ min: 2, max: 10 })),
    keys,
    ownKeys,
    matchAll: fc.integer({ min: 0, max: 4 }).map((one) => one === 0),
    endgame: fc.boolean(),
    strict: fc.boolean(),
    reorderMs: fc.integer({ min: 0, max: 4 }),
  })
  .map((raw): TestPlan => {
    const isSequence = raw.kind === "sequence";
    // A key part of a step of its own joins other fields than the rest has.
    const keysOf = (slot: number): PlanStep["keys"] =>
      raw.keys.length === 1 && raw.ownKeys[slot] === true ? [keyPart(1, raw.keys[0]!.nullJoins)] : raw.keys;
    const toStep = (letter: string, slot: number, rest: Partial<PlanStep>): PlanStep => ({
      predicate: letter.charCodeAt(0),
      residual: undefined,
      keys: keysOf(slot),
      missing: false,
      runs: 1,
      fork: false,
      alias: undefined,
      ...rest,
    });
    const steps = raw.steps.map(({ letter, missing, runs, fork }, slot) =>
      toStep(letter, slot, isSequence ? { missing, runs, fork: fork && raw.endgame } : {}),
    );
    if (steps.every(({ missing }) => missing)) steps.push(toStep("a", steps.length, {}));
    const hasMissing = steps.some(({ missing }) => missing);
    const maxspan = hasMissing ? (raw.maxspan ?? 4) : raw.maxspan;
    const plan: RulePlan = {
      kind: raw.kind,
      steps,
      until: raw.until === null || raw.kind === "sample" ? undefined : toStep(raw.until, 4, {}),
      lineages: [],
      identity: undefined,
      maxspanNs: maxspan === null || !isSequence ? undefined : BigInt(maxspan) * MS,
      untilFirst: raw.endgame,
      keysFolded: raw.endgame,
      orderedBy: raw.endgame ? "completion" : "first",
    };
    const ttlMs = raw.kind === "sample" ? undefined : (raw.ttl ?? undefined);
    return { plan, matchAll: raw.matchAll && isSequence, strict: raw.strict, reorderMs: raw.reorderMs, ttlMs };
  });

const keyValues = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...KEYS.slice(0, 3)).map((value) => [value]) },
  { weight: 2, arbitrary: fc.constantFrom(...KEYS).map((value) => [value]) },
  { weight: 1, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.array(fc.constantFrom(1n, 2n, 3n), { minLength: 2, maxLength: 3 }) },
);

const rawEvent = fc.record({
  letters: fc.subarray([...LETTERS, "u"], { minLength: 1, maxLength: 3 }),
  step: fc.constantFrom(0, 0, 1, 1, 2, 3),
  delay: fc.constantFrom(0, 0, 0, 1, 2, 4),
  tie: fc.option(fc.integer({ min: 0, max: 2 })),
  keys: fc.tuple(keyValues, keyValues),
});

/** A plan with a stream. */
export const anyCase: fc.Arbitrary<Case> = fc
  .record({ test: anyPlan, raw: fc.array(rawEvent, { maxLength: 16, size: "max" }) })
  .map(({ test, raw }) => ({ test, events: streamOf(raw, test.reorderMs) }));

/** A plan with a stream some of which comes too late, and with quotas that are too small. */
export const roughCase: fc.Arbitrary<Case & { readonly limits: Partial<StateLimits> }> = fc
  .record({
    test: anyPlan,
    raw: fc.array(rawEvent, { maxLength: 24, size: "max" }),
    ruleEntriesMax: fc.integer({ min: 1, max: 6 }),
    ruleBytesMax: fc.integer({ min: 500, max: 4000 }),
    reorderHitsMax: fc.integer({ min: 1, max: 6 }),
    keysPerEventMax: fc.integer({ min: 1, max: 4 }),
  })
  .map(({ test, raw, ...limits }) => ({ test, limits, events: streamOf(raw, 4) }));

/** Times grow by `step`; an event comes as late as its delay and the buffer allow. */
function streamOf(
  raw: readonly { letters: readonly string[]; step: number; delay: number; tie: number | null; keys: readonly (readonly Scalar[])[] }[],
  reorderMs: number,
): readonly TestEvent[] {
  let now = 0;
  return raw.map(({ letters, step, delay, tie, keys: values }) => {
    now += step;
    return { letters: letters.join(""), time: now - Math.min(delay, reorderMs), tie: tie ?? undefined, keys: values };
  });
}
