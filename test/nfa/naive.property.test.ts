// The sequencer and the naive matcher agree, whole and cut at every record with a restart from the checkpoint there.
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { SavedState } from "../../src/core/index.ts";
import type { Match, Sequencer } from "../../src/nfa/index.ts";
import { feed, indexesOf, ruleOf, sequencerOf } from "./fixture.ts";
import { anyCase, type Case } from "./generate.ts";
import { naiveResults } from "./naive.ts";
import { Snapshot } from "./snapshot.ts";

const seed = Number(process.env["KESTREL_SEED"] ?? Date.now() & 0x7fffffff);
console.log(`nfa property seed: KESTREL_SEED=${seed}`);

function start({ test: plan }: Case, onMatch: (match: Match) => void, saved: SavedState | undefined): Sequencer {
  const sequencer = sequencerOf(plan, { onMatch });
  sequencer.load([ruleOf(plan)]);
  if (saved !== undefined) expect(sequencer.restore(saved)).toEqual([]);
  return sequencer;
}

/** Runs a stream; `isCut` says before which records the sequencer is thrown away and restored. */
function run(sample: Case, isCut: (index: number) => boolean): { readonly results: readonly string[]; readonly metrics: unknown } {
  const results: string[] = [];
  const onMatch = (match: Match): unknown => results.push(indexesOf(match).join(" "));
  const snapshot = new Snapshot();
  let sequencer = start(sample, onMatch, undefined);
  for (const [index, event] of sample.events.entries()) {
    if (isCut(index)) {
      snapshot.apply(sequencer.takeCheckpoint());
      sequencer = start(sample, onMatch, snapshot.rows());
    }
    feed(sequencer, sample.test.plan, event, index);
  }
  sequencer.finish();
  return { results, metrics: sequencer.metrics() };
}

test(
  "the naive matcher agrees on 20,000 plans with streams",
  () => {
    let matches = 0;
    const property = fc.property(anyCase, (sample) => {
      const expected = naiveResults(sample.test, sample.events);
      matches += expected.length;
      expect(run(sample, () => false).results).toEqual([...expected]);
    });
    fc.assert(property, { seed, numRuns: 20_000 });
    // Not vacuous.
    expect(matches).toBeGreaterThan(5_000);
  },
  { timeout: 300_000 },
);

test(
  "a run cut at every record goes on as if it had not been",
  () => {
    const property = fc.property(anyCase, (sample) => {
      expect(run(sample, () => true)).toEqual(run(sample, () => false));
    });
    fc.assert(property, { seed, numRuns: 2_000 });
  },
  { timeout: 300_000 },
);
