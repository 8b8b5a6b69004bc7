// Generated events through generated rules: the same alert bytes from Wasm and from LuaJIT, on 1, 2 and 4 partitions with real workers, and
// the alerts are those of the reference evaluator.
import { expect, setDefaultTimeout, test } from "bun:test";
import { SchemaRegistry } from "#schema";
import { alertLine, benchOf } from "../engine/fixture.ts";
import { announce, expectedAlerts, generatedEvents, generatedRecord, generatedRules, LUA_RULES, SEED } from "./world.ts";

// Generous, since machines are noisy and no test here measures time; it only ends what hangs.
setDefaultTimeout(60_000);
const RULES = 30;
const EVENTS = 300;
const RECORDS = 1500;

test("Wasm, LuaJIT and the reference raise the same alerts, byte for byte, on any number of partitions", async () => {
  announce(`${RULES} rules x ${EVENTS} events`);
  const outputs: string[] = [];
  for (const [partitions, backend] of [
    [1, "wasm"],
    [1, "lua"],
    [2, "lua"],
    [4, "wasm"],
  ] as const) {
    const registry = new SchemaRegistry();
    const throttle = { by: ["process.name"], limit: 20, windowMs: 1_000_000 };
    const rules = [...generatedRules(registry, SEED, RULES).map((rule) => ({ ...rule, throttle })), ...LUA_RULES.map(([rule]) => rule)];
    const events = generatedEvents(SEED, EVENTS);
    const records = Array.from({ length: RECORDS }, (_, index) =>
      generatedRecord(registry, events[index % EVENTS] as (typeof events)[number], BigInt(index) * 1_000_000n),
    );
    const bench = benchOf({ registry, partitions, backend });
    expect((await bench.engine.arm(rules)).problems).toEqual([]);
    for (const record of records) {
      while (!bench.engine.input.push(record, 0, record.length)) await bench.engine.input.ready();
    }
    await bench.engine.close();
    expect(bench.engine.counters()).toMatchObject({ offered: RECORDS, evaluated: RECORDS, dropped: 0, waiting: 0 });
    if (outputs.length === 0) {
      const got = bench.alerts.map(({ seq, ruleId }) => ({ seq, ruleId }));
      expect(got.length).toBeGreaterThan(200);
      expect(got).toEqual([...expectedAlerts(records, [{ accepted: 0, rules }], registry)]);
    }
    outputs.push(bench.alerts.map(alertLine).join("\n"));
  }
  expect(outputs.map((output) => Bun.hash(output))).toEqual(outputs.map(() => Bun.hash(outputs[0] as string)));
});
