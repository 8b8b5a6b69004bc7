// More join keys than the quota holds: state stays within it, what is evicted is counted and told once, and the engine answers. The same with
// 10^7 keys and the agent's own quotas: test/bench/key-flood.ts.
import { expect, setDefaultTimeout, test } from "bun:test";
import { floodKeys } from "./key-flood.ts";

setDefaultTimeout(120_000);

const KEYS = 200_000;

for (const [name, limits] of [
  ["entries of a rule", { ruleEntriesMax: 5000 }],
  ["bytes of a rule", { ruleBytesMax: 1 << 20 }],
  ["entries", { entriesMax: 5000 }],
  ["bytes", { bytesMax: 1 << 20 }],
] as const) {
  test(`${KEYS} keys against a quota of ${name}`, async () => {
    const { bench, entriesMost, stateBytesMost, evictions, checkpoints, checkpointRowsMost } = await floodKeys(KEYS, limits);
    expect(entriesMost).toBeGreaterThan(1000);
    expect(entriesMost).toBeLessThanOrEqual(5000);
    // The reorder buffer holds events of 100 ms and is counted with the state, beside the quota.
    expect(stateBytesMost).toBeLessThan(2 << 20);
    expect(evictions).toBeGreaterThan(KEYS - 5000 - 1);
    expect(bench.alerts.map(({ kind }) => kind)).toEqual(["eviction", "rule"]);
    expect(bench.alerts[1]!.events.length).toBe(2);
    expect(checkpoints).toBeGreaterThan(100);
    expect(checkpointRowsMost).toBeLessThan(15_000);
    expect(bench.engine.counters().dropped).toBe(0);
  });
}
