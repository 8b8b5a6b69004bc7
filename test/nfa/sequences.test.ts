// EQL.md's sequence section, sentence by sentence: a plan, a stream, what comes out and in which order. The notation is fixture.ts's.
import { describe, expect, test } from "bun:test";
import { eventsOf, feedAll, MS, planOf, ruleOf, runOf, sequencerOf } from "./fixture.ts";

/** Name, plan, stream, results. */
type Case = readonly [name: string, plan: string, stream: string, results: readonly string[]];

const SECTIONS: Readonly<Record<string, readonly Case[]>> = {
  "1 one pending sequence per key and stage": [
    ["one step after the other", "sequence [a] [a]", "a1 a2 a3 a4", ["a1 a2", "a2 a3", "a3 a4"]],
    ["the newest overwrites", "sequence [a] [b]", "a1 a2 b3", ["a2 b3"]],
    ["advancing moves", "sequence [a] [b]", "a1 b2 b3", ["a1 b2"]],
    ["the newest overwrites at later stages too", "sequence [a] [b] [c]", "a1 b2 a3 b4 c5 c6", ["a3 b4 c5"]],
    ["an event never fills two steps of one sequence", "sequence [a] [b] [c]", "a1 bc2 c3", ["a1 bc2 c3"]],
    ["it may finish one and start the next", "sequence [a] [b]", "a1 ab2 b3", ["a1 ab2", "ab2 b3"]],
    ["match: all keeps every first event", "sequence matchall [a] [b]", "a1 a2 b3 b4", ["a1 b3", "a2 b3"]],
    ["match: all advances every one that waits", "sequence matchall [a] [b] [c]", "a1 b2 a3 b4 c5", ["a1 b2 c5", "a3 b4 c5"]],
  ],
  "2 maxspan": [
    ["is inclusive", "sequence maxspan=2 [a] [b]", "a1 b3", ["a1 b3"]],
    ["and no longer", "sequence maxspan=2 [a] [b]", "a1 b4", []],
    ["counts from the first event", "sequence maxspan=3 [a] [b] [c]", "a1 b3 c5", []],
    ["without it the time to live counts", "sequence ttl=2 [a] [b]", "a1 b3 a4 b7", ["a1 b3"]],
    ["may be zero", "sequence maxspan=0 [a] [b]", "a1 b1 a2 b3", ["a1 b1"]],
  ],
  "3 order": [
    ["events of one time follow as they came", "sequence [a] [b]", "a1 b1", ["a1 b1"]],
    ["the tiebreaker goes before arrival", "sequence [a] [b]", "a1.2 b1.1", []],
    ["the tiebreaker orders", "sequence [a] [b]", "b1.2 a1.1", ["a1.1 b1.2"]],
    ["a missing tiebreaker sorts last", "sequence [a] [b]", "b1 a1.9", ["a1.9 b1"]],
    ["a missing tiebreaker does not sort first", "sequence [a] [b]", "a1 b1.9", []],
    ["strict: equal ones never follow each other", "sequence strict [a] [b]", "a1.1 b1.1 b2.1", ["a1.1 b2.1"]],
    ["strict: both without tiebreaker are equal", "sequence strict [a] [b]", "a1 b1", []],
    ["strict: the later arrival overwrites", "sequence strict [a] [b]", "ad1.1 ae1.1 b2", ["ae1.1 b2"]],
  ],
  "4 until": [
    ["kills what is under way", "sequence [a] [b] until [u]", "a1 u2 b3", []],
    ["equal to the last step it still matches", "sequence [a] [b] until [u]", "a1 bu2", ["a1 bu2"]],
    ["equal to the first step it kills", "sequence [a] [b] until [u]", "au1 b2", []],
    ["equal to a step in the middle it kills", "sequence [a] [b] [c] until [u]", "a1 bu2 c3", []],
    ["acts per key", "sequence by 0 [a] [b] until [u]", "x|a1 y|a2 y|u3 x|b4 y|b5", ["a1 b4"]],
    ["Endgame: equal to the last step no match", "sequence untilfirst [a] [b] until [u]", "a1 bu2", []],
    ["Endgame: equal to the first step a match", "sequence untilfirst [a] [b] until [u]", "au1 b2", ["au1 b2"]],
  ],
  "5 join keys": [
    ["join", "sequence by 0 [a] [b]", "x|a1 y|b2 x|b3", ["a1 b3"]],
    ["null never joins", "sequence by 0 [a] [b]", "-|a1 -|b2", []],
    ["but for ?key null joins null", "sequence by 0? [a] [b]", "-|a1 x|b2 -|b3", ["a1 b3"]],
    ["one part may be null, another not", "sequence by 0 1? [a] [b]", "x;-|a1 x;-|b2 -;y|a3 -;y|b4", ["a1 b2"]],
    ["are case-sensitive", "sequence by 0 [a] [b]", "x|a1 X|b2", []],
    ["Endgame: folded", "sequence fold by 0 [a] [b]", "xÄΣ|a1 Xäσ|b2", ["a1 b2"]],
    ["join on each value", "sequence by 0 [a] [b]", "x,y|a1 y|b2 x|b3", ["a1 b2", "a1 b3"]],
    ["under two values one result", "sequence by 0 [a] [b]", "x,y|a1 x,y|b2", ["a1 b2"]],
    ["every combination of values", "sequence by 0 1 [a] [b]", "x,y;1,2|a1 y;2|b2 x;3|b3", ["a1 b2"]],
    ["the same value twice is one", "sequence by 0 [a] [b]", "x,x|a1 x|b2 x|b3", ["a1 b2"]],
    ["each step its own", "sequence [a by 0] [b by 1]", "x;y|a1 y;x|b2", ["a1 b2"]],
    ["whole floats equal integers", "sequence by 0 [a] [b]", "3|a1 3.0|b2", ["a1 b2"]],
    ["other floats equal themselves", "sequence by 0 [a] [b]", "3.5|a1 3.5|b2", ["a1 b2"]],
    ["large unsigned integers equal themselves", "sequence by 0 [a] [b]", "18446744073709551615|a1 18446744073709551615|b2", ["a1 b2"]],
    ["and no negative ones", "sequence by 0 [a] [b]", "18446744073709551615|a1 -1|b2", []],
    ["text never equals a number", "sequence by 0 [a] [b]", "'3|a1 3|b2", []],
    ["nor does a boolean", "sequence by 0 [a] [b]", "true|a1 1|b2 'true|b3", []],
    ["parts do not run into each other", "sequence by 0 1 [a] [b]", "x;yz|a1 xy;z|b2", []],
  ],
  "6 missing events": [
    ["none came", "sequence maxspan=9 [a] ![b] [c]", "a1 c3", ["a1 ! c3"]],
    ["one came", "sequence maxspan=9 [a] ![b] [c]", "a1 b2 c3", []],
    ["it kills at once, the next may start", "sequence maxspan=9 [a] ![b] [c]", "a1 b2 a3 c4", ["a3 ! c4"]],
    ["the lower bound is inclusive", "sequence maxspan=9 [a] ![b] [c]", "ab1 c2", []],
    ["the upper bound is inclusive", "sequence maxspan=9 [a] ![b] [c]", "a1 bc2", []],
    ["under another key it means nothing", "sequence by 0 maxspan=9 [a] ![b] [c]", "x|a1 y|b2 x|c3", ["a1 ! c3"]],
    ["strict: arrival among equal ones does not matter, last", "sequence strict maxspan=9 [a] ![b] [c]", "a1 c2 b2", []],
    ["strict: arrival among equal ones does not matter, first", "sequence strict maxspan=9 [a] ![b] [c]", "b1 a1 c2", []],
    ["several in one gap", "sequence maxspan=9 [a] ![b] ![d] [c]", "a1 d2 a3 c4", ["a3 ! ! c4"]],
    ["leading looks back from the last event", "sequence maxspan=3 ![a] [b] [c]", "a1 b3 c4", []],
    ["leading looks back no further", "sequence maxspan=3 ![a] [b] [c]", "a0 b3 c4", ["! b3 c4"]],
    ["leading ends at the first event", "sequence maxspan=3 ![a] [b] [c]", "b3 a4 c5", ["! b3 c5"]],
    ["leading ends at the first event, inclusive", "sequence maxspan=3 ![a] [b] [c]", "ab3 c4", []],
    ["leading before one event", "sequence maxspan=3 ![a] [b]", "a1 b4 b5", ["! b5"]],
    ["trailing looks ahead from the first event, inclusive", "sequence maxspan=3 [a] [b] ![c]", "a1 b2 c4", []],
    ["trailing looks ahead no further", "sequence maxspan=3 [a] [b] ![c]", "a1 b2 c5", ["a1 b2 !"]],
    ["trailing begins at the last event", "sequence maxspan=3 [a] [b] ![c]", "a1 c2 b3", ["a1 b3 !"]],
    ["trailing begins at the last event, inclusive", "sequence maxspan=3 [a] [b] ![c]", "a1 bc2", []],
    ["several wait, each for its own span", "sequence maxspan=5 [a] [b] ![c]", "a1 b2 a3 b4 c7", ["a1 b2 !"]],
    ["completing frees the slot", "sequence maxspan=5 [a] [b] ![c]", "a1 b2 b3", ["a1 b2 !"]],
    ["leading and trailing each on its own", "sequence maxspan=2 ![a] [b] [c] ![d]", "a1 b3 c4 d5 b7 c9 d10", ["! b7 c9 !"]],
    ["runs repeat the place", "sequence maxspan=9 [a] ![b]*2 [c]", "a1 c2", ["a1 ! ! c2"]],
    ["until does not kill what only waits", "sequence maxspan=3 [a] [b] ![c] until [u]", "a1 b2 u3", ["a1 b2 !"]],
    ["under two values one result, when one is left", "sequence by 0 maxspan=3 [a] [b] ![c]", "x,y|a1 x,y|b2 x|c3", ["a1 b2 !"]],
    ["under two values one result", "sequence by 0 maxspan=3 [a] [b] ![c]", "x,y|a1 x,y|b2", ["a1 b2 !"]],
  ],
  "7 runs": [
    ["a single step", "sequence [a]*3", "a1 a2 a3 a4 a5", ["a1 a2 a3", "a2 a3 a4", "a3 a4 a5"]],
    ["of several", "sequence [a]*2 [b]", "a1 a2 b3 b4", ["a1 a2 b3"]],
    ["at the end", "sequence [a] [b]*2", "a1 b2 b3", ["a1 b2 b3"]],
  ],
  "8 samples, joins, forks": [
    ["sample: no order", "sample by 0 [a] [b]", "x|b1 y|a2 x|a3", ["a3 b1"]],
    ["sample: events are distinct", "sample by 0 [a] [b]", "x|ab1 x|a2", ["a2 ab1"]],
    ["sample: the earliest for the first step", "sample by 0 [a] [b]", "x|ab1 x|ab2", ["ab1 ab2"]],
    ["sample: a key reports once", "sample by 0 [a] [b]", "x|a1 x|b2 x|a3 x|b4 y|a5 y|b6", ["a1 b2", "a5 b6"]],
    ["sample: the mark lives as long as other state", "sample ttl=5 by 0 [a] [b]", "x|a1 x|b2 x|a9 x|b9", ["a1 b2", "a9 b9"]],
    ["join: no order", "join by 0 [a] [b]", "x|b1 x|a2", ["a2 b1"]],
    ["join: the first stays", "join by 0 [a] [b]", "x|a1 x|a2 x|b3 x|b4", ["a1 b3"]],
    ["join: an event may fill several", "join by 0 [a] [b]", "x|ab1", ["ab1 ab1"]],
    ["join: then it starts anew", "join by 0 [a] [b]", "x|ab1 x|a2 x|b3", ["ab1 ab1", "a2 b3"]],
    ["join: until clears the key", "join untilfirst by 0 [a] [b] until [u by 0]", "x|a1 y|a1 x|u2 x|b3 y|b3", ["a1 b3"]],
    ["fork: what advances stays too", "sequence [a] [b]+fork", "a1 b2 b3", ["a1 b2", "a1 b3"]],
    ["fork in the middle", "sequence [a] [b]+fork [c]+fork", "a1 b2 c3 b4 c5", ["a1 b2 c3", "a1 b4 c5"]],
    ["an event plan", "event [a]", "a1 b2 a3", ["a1", "a3"]],
  ],
  "9 out of order": [
    ["within the buffer", "sequence reorder=2 [a] [b]", "b3 a2 b4", ["a2 b3"]],
    ["later than that is not lost", "sequence reorder=1 [a] [b]", "b9 a2 b10", ["a2 b9"]],
    ["a late event does not follow what it is before", "sequence reorder=1 [a] [b]", "a5 c9 b3 b10", ["a5 b10"]],
    ["nor overwrite what is newer", "sequence reorder=1 [a] [b]", "a5 c9 a3 b10", ["a5 b10"]],
  ],
};

for (const [section, cases] of Object.entries(SECTIONS)) {
  describe(section, () => {
    for (const [name, plan, stream, results] of cases) {
      test(name, () => expect(runOf(planOf(plan), eventsOf(stream))).toEqual([...results]));
    }
  });
}

test("a trailing missing event is waited for until the watermark has passed the span, and no longer", () => {
  const plan = planOf("sequence maxspan=3 reorder=2 [a] [b] ![c]");
  const seen: number[] = [];
  const sequencer = sequencerOf(plan, { onMatch: () => seen.push(1) });
  sequencer.load([ruleOf(plan)]);
  feedAll(sequencer, plan.plan, eventsOf("a1 b2 x5"));
  expect(seen).toEqual([]);
  expect(sequencer.isWaiting).toBe(true);
  sequencer.progress(4n * MS);
  expect(seen).toEqual([]);
  sequencer.progress(4n * MS + 1n);
  expect(seen).toEqual([1]);
  expect(sequencer.isWaiting).toBe(false);
  sequencer.finish();
  expect(seen).toEqual([1]);
});

test("several trailing ones alert in the order of their spans, then of completion", () => {
  const plan = planOf("sequence by 0 maxspan=5 [a] [b] ![c]");
  const stream = eventsOf("y|a1 x|a1 z|a2 z|b3 x|b4 y|b5");
  expect(runOf(plan, stream)).toEqual(["a1 b4 !", "a1 b5 !", "a2 b3 !"]);
});

test("a late event that completes what should have alerted already is dropped and counted", () => {
  const plan = planOf("sequence maxspan=3 [a] [b] ![c]");
  const stream = eventsOf("x1 a9 x20 a5 b6 x30");
  const results: string[] = [];
  const sequencer = sequencerOf(plan, { onMatch: () => results.push("match") });
  sequencer.load([ruleOf(plan)]);
  feedAll(sequencer, plan.plan, stream);
  sequencer.finish();
  expect(results).toEqual([]);
  expect(sequencer.metrics()).toMatchObject({ lateEvents: 2, lateDrops: 1 });
});

test("keys come with the match", () => {
  const plan = planOf("sequence by 0 1? [a] [b]");
  const keys: (readonly string[])[] = [];
  runOf(plan, eventsOf("x;-|a1 7;1.5|a2 x;-|b3 7;1.5|b4 true;18446744073709551615|a5 true;18446744073709551615|b6"), {
    onMatch: ({ keys: found }) => keys.push(found),
  });
  expect(keys).toEqual([
    ["x", "null"],
    ["7", "1.5"],
    ["true", "18446744073709551615"],
  ]);
});
