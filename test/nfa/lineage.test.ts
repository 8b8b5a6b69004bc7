// child of, descendant of, event of: with the ancestry in the event, with parents only, with links only, in circles, out of bounds.
import { describe, expect, test } from "bun:test";
import type { PlanEvaluator, StateLimits } from "../../src/nfa/index.ts";
import type { LineageRelation } from "../../src/schema/index.ts";
import {
  ANCESTRY_FIELD,
  ENTITY_FIELD,
  feedAll,
  indexesOf,
  PARENT_FIELD,
  planOf,
  ruleOf,
  sequencerOf,
  type TestEvent,
  type TestPlan,
} from "./fixture.ts";
import { Snapshot } from "./snapshot.ts";

/** An event plan that asks about one lineage: `a` is asked, `m` marks, `l` links. */
function planWith(relations: readonly LineageRelation[]): TestPlan {
  const base = planOf("event [a~]");
  return {
    ...base,
    plan: {
      ...base.plan,
      lineages: relations.map((relation, index) => ({
        relation,
        predicate: (index === 0 ? "m" : "n").charCodeAt(0),
        // An outer lineage asks the one before it.
        residual: index === 0 ? undefined : { node: "inner" },
      })),
      identity: { entityId: ENTITY_FIELD, parentId: PARENT_FIELD, ancestryId: ANCESTRY_FIELD, linkPredicate: "l".charCodeAt(0) },
    },
  };
}

/** Events as `m:A`, `a:B<A` (B's parent is A), `a:C<<B,A` (ancestry); `-` for no entity. */
function streamOf(text: string): readonly TestEvent[] {
  return text.split(" ").map((word, time) => {
    const [, letters = "", entity = "", relation, others = ""] = /^(\w+):(\w+|-)(?:(<<?)([\w,]*))?$/.exec(word) ?? [];
    return {
      letters,
      time,
      ...(entity === "-" ? {} : { entity }),
      ...(relation === "<" ? { parent: others } : {}),
      ...(relation === "<<" ? { ancestry: others.split(",") } : {}),
    };
  });
}

interface Run {
  readonly limits?: Partial<StateLimits>;
  /** Cut before this record and restored. */
  readonly isCut?: boolean;
}

/** What was answered for each `a`, in order. */
function answersOf(
  relations: readonly LineageRelation[],
  stream: string,
  { limits = {}, isCut = false }: Run = {},
): readonly (boolean | null)[] {
  const plan = planWith(relations);
  const answers: (boolean | null)[] = [];
  const evaluator: PlanEvaluator = {
    holds: (slot, scope) => {
      const answer = scope.lineage(relations.length - 1 - (slot === 0 ? 0 : 1));
      if (slot === 0) answers.push(answer);
      return answer === true;
    },
    keyValues: () => [],
  };
  const snapshot = new Snapshot();
  const matches: string[] = [];
  const start = (): ReturnType<typeof sequencerOf> => {
    const made = sequencerOf(plan, { limits, onMatch: (match) => matches.push(indexesOf(match).join()) });
    made.load([ruleOf(plan, "rule", evaluator)]);
    if (isCut) expect(made.restore(snapshot.rows())).toEqual([]);
    return made;
  };
  let sequencer = start();
  const events = streamOf(stream);
  for (const [index, event] of events.entries()) {
    feedAll(
      sequencer,
      plan.plan,
      new Array<TestEvent>(1).fill(event).map((one) => ({ ...one, time: index })),
    );
    if (!isCut) continue;
    snapshot.apply(sequencer.takeCheckpoint());
    sequencer = start();
  }
  sequencer.finish();
  expect(matches.length).toBe(answers.filter((answer) => answer === true).length);
  return answers;
}

const CASES: readonly (readonly [string, readonly LineageRelation[], string, readonly (boolean | null)[], Partial<StateLimits>?])[] = [
  ["event of: its own process", ["event"], "m:A a:A a:B", [true, false]],
  ["event of: marked before it is asked", ["event"], "ma:A", [true]],
  ["event of: not before", ["event"], "a:A m:A a:A", [false, true]],
  ["event of: no entity", ["event"], "m:A a:-", [null]],
  ["child of: the parent", ["child"], "m:A a:B<A a:C<B a:A", [true, false, false]],
  ["child of: the parent by ancestry", ["child"], "m:A a:B<<A a:C<<B,A", [true, false]],
  ["child of: the parent by link", ["child"], "m:A l:B<A a:B a:C", [true, false]],
  ["child of: nothing known", ["child"], "m:A a:-", [null]],
  ["descendant of: any ancestor", ["descendant"], "m:A a:C<<B,A a:C<<B,X a:A", [true, false, false]],
  ["descendant of: not the process itself", ["descendant"], "m:A a:A<X", [false]],
  ["descendant of: over links", ["descendant"], "m:A l:B<A l:C<B a:D<C a:C a:X<Y", [true, true, false]],
  ["descendant of: in a circle", ["descendant"], "m:Z l:A<B l:B<A a:C<A", [false]],
  ["descendant of: nothing known", ["descendant"], "m:A a:-", [null]],
  ["nested: child of a child", ["child", "child"], "m:A n:B<A a:C<B n:D<X a:E<D", [true, false]],
  ["the least recently used mark goes", ["event"], "m:A m:B a:A m:C a:A a:B a:C", [true, true, false, true], { lineageMarksMax: 2 }],
  [
    "the least recently used link goes",
    ["child"],
    "m:R l:A<R l:B<R a:A l:C<R a:A a:B a:C",
    [true, true, false, true],
    { lineageLinksMax: 2 },
  ],
];

describe("lineage", () => {
  for (const [name, relations, stream, answers, limits = {}] of CASES) {
    test(name, () => expect(answersOf(relations, stream, { limits })).toEqual([...answers]));
    test(`${name}, cut at every record`, () => expect(answersOf(relations, stream, { limits, isCut: true })).toEqual([...answers]));
  }
});
