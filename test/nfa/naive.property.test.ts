// The sequencer and the naive matcher agree, whole and cut at every record with a restart from the checkpoint there.
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { SavedState } from "../../src/core/index.ts";
import type { Match, Sequencer, SequencerMetrics, StateLimits } from "../../src/nfa/index.ts";
import { feed, indexesOf, ruleOf, sequencerOf } from "./fixture.ts";
import { anyCase, type Case, roughCase } from "./generate.ts";
import { naiveResults } from "./naive.ts";
import { Snapshot } from "./snapshot.ts";

const seed = Number(process.env["KESTREL_SEED"] ?? Date.now() & 0x7fffffff);
console.log(`nfa property seed: KESTREL_SEED=${seed}`);

interface Sample extends Case {
  readonly limits?: Partial<StateLimits>;
}

function start({ test: plan, limits = {} }: Sample, onMatch: (match: Match) => void, saved: SavedState | undefined): Sequencer {
  const sequencer = sequencerOf(plan, { onMatch, limits });
  sequencer.load([ruleOf(plan)]);
  if (saved !== undefined) expect(sequencer.restore(saved)).toEqual([]);
  return sequencer;
}

/** Runs a stream; `isCut` says before which records the sequencer is thrown away and restored. */
function run(
  sample: Sample,
  isCut: (index: number) => boolean,
): { readonly results: readonly string[]; readonly metrics: SequencerMetrics } {
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

test(
  "so does one with late events, evictions and forced releases",
  () => {
    const seen = { late: 0, evicted: 0, forced: 0, cut: 0 };
    const property = fc.property(roughCase, (sample) => {
      const whole = run(sample, () => false);
      expect(run(sample, () => true)).toEqual(whole);
      seen.late += whole.metrics.lateEvents;
      seen.evicted += Object.values(whole.metrics.rules[0]!.evictions).reduce((sum, count) => sum + count, 0);
      seen.forced += whole.metrics.forcedReleases;
      seen.cut += whole.metrics.rules[0]!.keysCut;
      // What has a span is gone at the end, and the books are closed.
      expect(whole.metrics.buffered).toBe(0);
      if (sample.test.ttlMs !== undefined) expect(whole.metrics).toMatchObject({ entries: 0, bytes: 0 });
    });
    fc.assert(property, { seed, numRuns: 2_000 });
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(100);
  },
  { timeout: 300_000 },
);
