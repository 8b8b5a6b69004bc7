// Quotas, time to live, loads, faults, residuals, traces: what keeps the state in bounds and tells about it.
import { describe, expect, test } from "bun:test";
import { RuleFault } from "../../src/core/index.ts";
import type { PlanEvaluator, SequencerMetrics, StateLimits, Trace } from "../../src/nfa/index.ts";
import {
  eventsOf,
  feed,
  feedAll,
  keyPart,
  matchText,
  NUMBER_FIELD,
  planOf,
  recordOf,
  ruleOf,
  runOf,
  sequencerOf,
  type TestEvent,
} from "./fixture.ts";

function evictionsOf(metrics: SequencerMetrics): Record<string, number> {
  return Object.fromEntries(Object.entries(metrics.rules[0]!.evictions).filter(([, count]) => count > 0));
}

/** Limits, plan, stream, results, evictions by cause. */
const QUOTAS: readonly (readonly [Partial<StateLimits>, string, string, readonly string[], Record<string, number>])[] = [
  [{ ruleEntriesMax: 2 }, "sequence by 0 [a] [b]", "x|a1 y|a2 z|a3 x|b4 y|b5 z|b6", ["a2 b5", "a3 b6"], { "rule-entries": 1 }],
  // Using a key again saves it.
  [{ ruleEntriesMax: 2 }, "sequence by 0 [a] [b]", "x|a1 y|a2 x|a3 z|a4 x|b5 y|b6 z|b7", ["a3 b5", "a4 b7"], { "rule-entries": 1 }],
  // A key goes with all its matches.
  [{ ruleEntriesMax: 2 }, "sequence by 0 [a] [b] [c]", "x|a1 x|b2 x|a3 y|a4 x|c5 x|b6 y|b7 y|c8", ["a4 b7 c8"], { "rule-entries": 2 }],
  [{ entriesMax: 1 }, "sequence by 0 [a] [b]", "x|a1 y|a2 x|b3 y|b4", ["a2 b4"], { entries: 1 }],
  [{ bytesMax: 0 }, "sequence by 0 [a] [b]", "x|a1 x|b2", [], { bytes: 1 }],
  [{ ruleBytesMax: 500 }, "sequence by 0 [a] [b]", "x|a1 y|a2 x|b3 y|b4", ["a2 b4"], { "rule-bytes": 1 }],
  // Where a key holds many it loses the oldest.
  [{ ruleEntriesMax: 2 }, "sequence matchall [a] [b]", "a1 a2 a3 b4", ["a2 b4", "a3 b4"], { "rule-entries": 1 }],
  [{ ruleEntriesMax: 2 }, "sequence maxspan=9 [a] [b] ![c]", "a1 b1 a2 b2 a3 b3", ["a2 b2 !", "a3 b3 !"], { "rule-entries": 1 }],
];

describe("quotas", () => {
  for (const [limits, plan, stream, results, evictions] of QUOTAS) {
    test(`${JSON.stringify(limits)}: ${plan} over ${stream}`, () => {
      const test_ = planOf(plan);
      const events = eventsOf(stream);
      const found: string[] = [];
      const told: string[] = [];
      const sequencer = sequencerOf(test_, {
        limits,
        onMatch: (match) => found.push(matchText(match, events)),
        onEviction: (id, cause) => told.push(`${id} ${cause}`),
      });
      sequencer.load([ruleOf(test_)]);
      feedAll(sequencer, test_.plan, events);
      sequencer.finish();
      expect(found).toEqual([...results]);
      expect(evictionsOf(sequencer.metrics())).toEqual(evictions);
      // Once, however often.
      expect(told).toEqual([`rule ${Object.keys(evictions)[0]}`]);
      expect(sequencer.metrics().entries).toBe(0);
      expect(sequencer.metrics().bytes).toBe(0);
    });
  }

  test("keys of one event are cut and counted", () => {
    const plan = planOf("sequence by 0 1 [a] [b]");
    const sequencer = sequencerOf(plan, { limits: { keysPerEventMax: 3 } });
    sequencer.load([ruleOf(plan)]);
    feedAll(sequencer, plan.plan, eventsOf("1,2;1,2|a1 x1 x2"));
    expect(sequencer.metrics().rules[0]).toMatchObject({ partialMatches: [3, 0], keysCut: 1 });
  });

  test("hits beyond the reorder buffer are released early, the oldest first, and counted", () => {
    const plan = planOf("sequence reorder=100 [a] [b]");
    const found: string[] = [];
    const events = eventsOf("a5 b3 a1 b9 b10");
    const sequencer = sequencerOf(plan, { limits: { reorderHitsMax: 2 }, onMatch: (match) => found.push(matchText(match, events)) });
    sequencer.load([ruleOf(plan)]);
    feedAll(sequencer, plan.plan, events);
    sequencer.finish();
    expect(found).toEqual(["a1 b3", "a5 b9"]);
    expect(sequencer.metrics().forcedReleases).toBe(3);
  });

  test("a flood of keys stays within the quota and leaves nothing", () => {
    const plan = planOf("sequence by 0 maxspan=1000 [a] [b]");
    const sequencer = sequencerOf(plan, { limits: { ruleEntriesMax: 1000 } });
    sequencer.load([ruleOf(plan)]);
    let most = 0;
    for (let index = 0; index < 50_000; index++) {
      feed(sequencer, plan.plan, { letters: "a", time: index / 100 < 1 ? 0 : Math.floor(index / 100), keys: [[`key ${index}`]] }, index);
      most = Math.max(most, sequencer.metrics().entries);
    }
    expect(most).toBe(1000);
    sequencer.finish();
    expect(sequencer.metrics()).toMatchObject({ entries: 0, bytes: 0, buffered: 0 });
    expect(evictionsOf(sequencer.metrics())["rule-entries"]).toBe(49_000);
    expect(sequencer.metrics().rules[0]!.expiries).toBe(1000);
  });
});

describe("loads", () => {
  const plan = planOf("sequence [a] [b]");

  test("a rule with the same id and fingerprint keeps its state, others lose it", () => {
    const found: string[] = [];
    const sequencer = sequencerOf(plan, { onMatch: ({ rule }) => found.push(rule.id) });
    sequencer.load([ruleOf(plan, "x"), ruleOf(plan, "y"), ruleOf(plan, "z")]);
    const both = (letters: string, index: number): void => {
      const event = { letters, time: index };
      sequencer.begin(recordOf(event, index), 0);
      for (let rule = 0; rule < 3; rule++) sequencer.hit(rule, letters === "a" ? 1 : 2);
      sequencer.end();
    };
    both("a", 1);
    both("x", 2);
    sequencer.load([{ ...ruleOf(plan, "y"), fingerprint: "another" }, ruleOf(plan, "z"), ruleOf(plan, "new")]);
    both("b", 3);
    sequencer.finish();
    expect(found).toEqual(["z"]);
  });

  test("hits in the reorder buffer go with their rule", () => {
    const slow = planOf("sequence reorder=50 [a] [b]");
    const found: string[] = [];
    const sequencer = sequencerOf(slow, { onMatch: ({ rule }) => found.push(rule.id) });
    sequencer.load([ruleOf(slow, "x"), ruleOf(slow, "y")]);
    for (const [index, event] of eventsOf("a1 b2").entries()) {
      sequencer.begin(recordOf(event, index), 0);
      sequencer.hit(0, index + 1);
      sequencer.hit(1, index + 1);
      sequencer.end();
    }
    sequencer.load([ruleOf(slow, "other"), ruleOf(slow, "y")]);
    sequencer.finish();
    expect(found).toEqual(["y"]);
  });

  test("nothing loaded: nothing to do", () => {
    const sequencer = sequencerOf(plan, {});
    expect(sequencer.isEmpty).toBe(true);
    sequencer.load([ruleOf(plan)]);
    expect(sequencer.isEmpty).toBe(false);
    sequencer.load([]);
    expect(sequencer.isEmpty).toBe(true);
    expect(sequencer.metrics().entries).toBe(0);
  });
});

/** The residual of a step compares the event's number with that of an earlier step. */
const SAME_NUMBER: PlanEvaluator = {
  holds: (_slot, { record, earlier }) => earlier(0) === undefined || earlier(0)?.number(NUMBER_FIELD) === record.number(NUMBER_FIELD),
  keyValues: () => [],
};

describe("residuals", () => {
  const numbered = (text: string): readonly TestEvent[] =>
    text.split(" ").map((word) => {
      const [event = "", number = "0"] = word.split("#");
      return { ...eventsOf(event)[0]!, number: Number(number) };
    });

  const CASES: readonly (readonly [string, string, readonly string[]])[] = [
    ["sequence [a] [b~]", "a1#7 b2#8 b3#7", ["a1 b3"]],
    ["sequence matchall [a] [b~]", "a1#7 a2#8 b3#8 b4#7", ["a2 b3", "a1 b4"]],
    ["sequence maxspan=9 [a] ![b~] [c]", "a1#7 b2#8 c3#7", ["a1 ! c3"]],
    ["sequence maxspan=9 [a] ![b~] [c]", "a1#7 b2#7 c3#7", []],
    ["sequence maxspan=9 [a] [c] ![b~]", "a1#7 c2#1 b3#7", []],
    ["sequence maxspan=9 [a] [c] ![b~]", "a1#7 c2#1 b3#1", ["a1 c2 !"]],
    ["sequence [a] [c] until [b~]", "a1#7 b2#8 c3#1", ["a1 c3"]],
    ["sequence [a] [c] until [b~]", "a1#7 b2#7 c3#1", []],
    ["join [a] [b~] [c]", "a1#7 b2#8 b3#7 c4", ["a1 b3 c4"]],
    ["event [a~]", "a1", ["a1"]],
  ];
  for (const [plan, stream, results] of CASES) {
    test(`${plan} over ${stream}`, () => expect(runOf(planOf(plan), numbered(stream), {}, SAME_NUMBER)).toEqual([...results]));
  }

  test("keys can be computed", () => {
    const text = planOf("sequence [a by 0] [b by 0]");
    const computed = { ...keyPart(0, false), fieldId: undefined, expression: { node: "half" } };
    const plan = { ...text.plan, steps: text.plan.steps.map((step, slot) => (slot === 1 ? { ...step, keys: [computed] } : step)) };
    const evaluator: PlanEvaluator = { holds: () => true, keyValues: (_slot, _part, record) => [(record.number(NUMBER_FIELD) ?? 0) / 2] };
    const events: readonly TestEvent[] = [
      { letters: "a", time: 1, keys: [[3n]] },
      { letters: "b", time: 2, keys: [[3n]], number: 5 },
      { letters: "b", time: 3, keys: [[9n]], number: 6 },
    ];
    expect(runOf({ ...text, plan }, events, {}, evaluator)).toEqual(["a1 b3"]);
  });

  test("a rule whose evaluator fails is stopped with its state until the next load", () => {
    const plan = planOf("sequence [a] [b~]");
    const failing: PlanEvaluator = {
      holds: () => {
        throw new RuleFault("error", 0, "bad");
      },
      keyValues: () => [],
    };
    const faults: string[] = [];
    const found: string[] = [];
    const sequencer = sequencerOf(plan, {
      onMatch: ({ rule }) => found.push(rule.id),
      onFault: (id, error) => faults.push(`${id} ${(error as Error).message}`),
    });
    sequencer.load([ruleOf(plan, "x", failing)]);
    feedAll(sequencer, plan.plan, eventsOf("a1 b2 b3 a4 b5 x6"));
    expect(faults).toEqual(["x bad"]);
    expect(sequencer.metrics().entries).toBe(0);
    sequencer.load([ruleOf(plan, "x")]);
    feedAll(sequencer, plan.plan, eventsOf("a7 b8 x9"));
    expect(found).toEqual(["x"]);
  });

  test("other errors are not a rule's", () => {
    const broken: PlanEvaluator = {
      holds: () => {
        throw new TypeError("ours");
      },
      keyValues: () => [],
    };
    const plan = planOf("sequence [a] [b~]");
    expect(() => runOf(plan, eventsOf("a1 b2"), {}, broken)).toThrow("ours");
  });
});

describe("traces", () => {
  const CASES: readonly (readonly [string, string, readonly string[]])[] = [
    [
      "sequence by 0 [a] [b] [c]",
      "x|a1 x|a2 x|b3 x|c4",
      ["started 0 x", "started 0 x", "overwritten 1 x", "advanced 1 x", "advanced 2 x", "completed 2 x"],
    ],
    ["sequence by 0 [a] [b]", "-|a1 x|b2", ["key-missing 0 ", "nothing-waiting 1 x"]],
    ["sequence maxspan=2 [a] [b]", "a1 b9", ["started 0 ", "expired 1 ", "nothing-waiting 1 "]],
    [
      "sequence maxspan=9 [a] ![b] [c] until [u]",
      "a1 b2 a3 u4",
      ["started 0 ", "killed-by-missing 2 ", "started 0 ", "killed-by-until 2 "],
    ],
    ["sequence maxspan=9 [a] ![b]", "a1", ["started 0 ", "waiting 0 ", "completed 0 "]],
    ["sequence strict [a] [b]", "a1 b1", ["started 0 ", "not-after 1 "]],
    ["sequence [a] [b~]", "a1 b2", ["started 0 ", "residual-false 1 "]],
  ];
  for (const [plan, stream, lines] of CASES) {
    test(`${plan} over ${stream}`, () => {
      const traces: string[] = [];
      const onTrace = ({ kind, slot, keys }: Trace): unknown => traces.push(`${kind} ${slot} ${keys.join()}`);
      runOf(planOf(plan), eventsOf(stream), { onTrace }, { holds: () => false, keyValues: () => [] });
      expect(traces.filter((line) => !line.startsWith("expired") || plan.includes("maxspan=2"))).toEqual([...lines]);
    });
  }
});
