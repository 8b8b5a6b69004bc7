// Checkpoints: only what changed, what a restart drops, what damage does, and the same evictions after a restart.
import { describe, expect, test } from "bun:test";
import type { Match, Sequencer } from "../../src/nfa/index.ts";
import { eventsOf, feed, feedAll, matchText, planOf, ruleOf, sequencerOf, type TestPlan } from "./fixture.ts";
import { Snapshot } from "./snapshot.ts";

const PLAN = planOf("sequence by 0 maxspan=9 reorder=2 ![d] [a] [b] [c] ![e]");
const STREAM = eventsOf("x|a1 y|a2 x|b3 y|d3 z|a4 x|c5 x|a5 y|b6");

function started(plan: TestPlan, listener: Parameters<typeof sequencerOf>[1] = {}, id = "rule"): Sequencer {
  const sequencer = sequencerOf(plan, listener);
  sequencer.load([ruleOf(plan, id)]);
  return sequencer;
}

function full(): Snapshot {
  const sequencer = started(PLAN);
  feedAll(sequencer, PLAN.plan, STREAM);
  const snapshot = new Snapshot();
  snapshot.apply(sequencer.takeCheckpoint());
  return snapshot;
}

describe("checkpoints", () => {
  test("have rows of changed keys only, beside the sequencer's own", () => {
    const plan = planOf("sequence by 0 [a] [b]");
    const sequencer = started(plan);
    const snapshot = new Snapshot();
    const take = (stream: string): number => {
      feedAll(sequencer, plan.plan, eventsOf(stream));
      snapshot.apply(sequencer.takeCheckpoint());
      return snapshot.written;
    };
    // Three keys, the rule, the sequencer.
    expect(take("x|a1 y|a2 z|a3 q4")).toBe(5);
    expect(take("q5")).toBe(1);
    expect(take("y|a6 q7")).toBe(2);
    // A key that is gone is a row as well; the rule's counters changed.
    expect(take("x|b8 q9")).toBe(3);
    expect(snapshot.owners.get("rule")?.size).toBe(3);
    sequencer.load([]);
    snapshot.apply(sequencer.takeCheckpoint());
    expect(snapshot.owners.has("rule")).toBe(false);
  });

  test("a key that went and came back is there", () => {
    const plan = planOf("sequence by 0 [a] [b]");
    const sequencer = started(plan);
    const snapshot = new Snapshot();
    feedAll(sequencer, plan.plan, eventsOf("x|a1 q2"));
    snapshot.apply(sequencer.takeCheckpoint());
    feedAll(sequencer, plan.plan, eventsOf("x|b3 x|a4 q5"));
    snapshot.apply(sequencer.takeCheckpoint());
    const found: Match[] = [];
    const next = started(plan, { onMatch: (match) => found.push(match) });
    expect(next.restore(snapshot.rows())).toEqual([]);
    feedAll(next, plan.plan, eventsOf("x|b6"));
    next.finish();
    expect(found.length).toBe(1);
  });

  test("of an empty snapshot nothing comes", () => {
    expect(started(PLAN).restore([])).toEqual([]);
  });

  test("state of a rule that changed or is not loaded is dropped, and cleared from the snapshot", () => {
    const snapshot = full();
    const other = started(PLAN, {}, "other");
    expect(other.restore(snapshot.rows())).toEqual([]);
    expect(other.metrics().entries).toBe(0);
    expect(other.takeCheckpoint().cleared).toEqual(["rule"]);
    const changed = sequencerOf(PLAN, {});
    changed.load([{ ...ruleOf(PLAN), fingerprint: "another" }]);
    expect(changed.restore(snapshot.rows())).toEqual([]);
    expect(changed.metrics().entries).toBe(0);
    expect(changed.takeCheckpoint().cleared).toEqual(["rule"]);
  });

  test("keys are evicted in the same order after a restart", () => {
    const plan = planOf("sequence by 0 [a] [b]");
    const stream = eventsOf("x|a1 y|a2 z|a3 x|a4 w|a5 v|a6 x|b7 y|b7 z|b7 w|b7 v|b7 q8");
    const limits = { ruleEntriesMax: 3 };
    const run = (cutAt: number): readonly string[] => {
      const results: string[] = [];
      const listener = { limits, onMatch: (match: Match) => results.push(matchText(match, stream)) };
      let sequencer = started(plan, listener);
      for (const [index, event] of stream.entries()) {
        if (index === cutAt) {
          const snapshot = new Snapshot();
          snapshot.apply(sequencer.takeCheckpoint());
          sequencer = started(plan, listener);
          expect(sequencer.restore(snapshot.rows())).toEqual([]);
        }
        feed(sequencer, plan.plan, event, index);
      }
      return results;
    };
    const whole = run(-1);
    expect(whole).toEqual(["a4 b7", "a5 b7", "a6 b7"]);
    for (let cutAt = 0; cutAt < stream.length; cutAt++) expect(run(cutAt)).toEqual([...whole]);
  });
});

describe("damage", () => {
  /** Every way to break one row: cut short, one byte other, all the same; and rows that are missing or foreign. */
  test("is a problem and an empty start, never an exception", () => {
    const { owners } = full();
    let broken = 0;
    for (const [owner, rows] of owners) {
      for (const [name, value] of rows) {
        const versions = [value.slice(0, value.length >>> 1), value.slice(0, 2), new Uint8Array(0), new Uint8Array(value.length).fill(255)];
        for (let at = 0; at < value.length; at += 7) {
          const copy = value.slice();
          copy[at]! ^= 0x41;
          versions.push(copy);
        }
        for (const version of versions) {
          const snapshot = new Snapshot();
          for (const [other, otherRows] of owners) snapshot.owners.set(other, new Map(otherRows));
          snapshot.owners.get(owner)!.set(name, version);
          const sequencer = started(PLAN);
          const problems = sequencer.restore(snapshot.rows());
          expect(problems.length).toBe(1);
          expect(sequencer.metrics()).toMatchObject({ entries: 0, bytes: 0, buffered: 0, lateEvents: 0 });
          expect(sequencer.takeCheckpoint().cleared).toContain("rule");
          broken++;
        }
      }
    }
    expect(broken).toBeGreaterThan(100);
  });

  test("whose checksum fits is found as well", () => {
    const { owners } = full();
    let broken = 0;
    for (const [owner, rows] of owners) {
      for (const [name, value] of rows) {
        for (let at = 4; at < value.length; at++) {
          const copy = value.slice();
          copy[at] = copy[at]! ^ 0xff;
          new DataView(copy.buffer).setUint32(0, Bun.hash.crc32(copy.subarray(4)), true);
          const snapshot = new Snapshot();
          for (const [other, otherRows] of owners) snapshot.owners.set(other, new Map(otherRows));
          snapshot.owners.get(owner)!.set(name, copy);
          const sequencer = started(PLAN);
          // Some bytes may have any value; whatever it is, the run goes on.
          if (sequencer.restore(snapshot.rows()).length > 0) broken++;
          feedAll(sequencer, PLAN.plan, eventsOf("x|b20 x|c21 y|a22 z|b23"));
          sequencer.finish();
          expect(sequencer.metrics()).toMatchObject({ entries: 0, bytes: 0 });
        }
      }
    }
    expect(broken).toBeGreaterThan(100);
  });

  test("another format version is a problem", () => {
    const snapshot = full();
    const own = snapshot.owners.get("")!;
    const [name, value] = [...own][0]!;
    const copy = value.slice();
    copy[4] = 99;
    new DataView(copy.buffer).setUint32(0, Bun.hash.crc32(copy.subarray(4)), true);
    own.set(name, copy);
    expect(started(PLAN).restore(snapshot.rows())).toEqual(["format version 99 is not 1"]);
  });

  test("a snapshot without the sequencer's own row is a problem", () => {
    const snapshot = full();
    snapshot.owners.delete("");
    expect(started(PLAN).restore(snapshot.rows())).toEqual(["the sequencer's own row is missing"]);
  });
});
