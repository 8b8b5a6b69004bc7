// The table of system calls: what stands in it for which wish, and that the kernel acts by it while it runs.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CounterReader } from "../../src/ebpf/counters.ts";
import { LoadedSensors } from "../../src/ebpf/loader.ts";
import { CALL_NARROW_IDS, Call, callTable, familyOf, SYSTEM_CALLS, type WantedEvents } from "../../src/ebpf/system-calls.ts";
import { refusal } from "./live.ts";

setDefaultTimeout(60_000);
const everything = (): boolean => true;

/** Numbers that stand in a table. */
function numbersIn(table: Uint32Array): readonly number[] {
  return [...table.keys()].filter((number) => table[number] !== 0);
}

test("nothing wanted: nothing in the table", () => {
  expect(numbersIn(callTable("x64", () => false))).toEqual([]);
});

test("a wish for one event brings the numbers of its calls, of both kinds of code", () => {
  const wanted = callTable("x64", (sensor, action) => sensor === "act" && action === "mount");
  expect(numbersIn(wanted)).toEqual([21, 165, 428, 429, 431, 432, 442, 467]);
  expect([wanted[21], wanted[165], wanted[429]]).toEqual([Call.Mount << 16, Call.Mount, (Call.MoveMount << 16) | Call.MoveMount]);
  expect(numbersIn(callTable("arm64", (_, action) => action === "mount"))).toEqual([40, 428, 429, 431, 432, 442, 467]);
});

test("one number, two calls: 94 is lchown to 64-bit code and fchmod to 32-bit code; old ids are marked", () => {
  const table = callTable("x64", everything);
  expect(table[94]).toBe((Call.Fchmod << 16) | Call.Chown);
  expect((table[182]! >>> 16) & CALL_NARROW_IDS).toBe(CALL_NARROW_IDS);
  expect(callTable("x64", (_, action) => action === "mode_change")[94]).toBe(Call.Fchmod << 16);
});

test("every call has a number, no number is two calls, and a family belongs to one sensor", () => {
  const owners = new Map<number, string>();
  for (const { call, sensor, x64, compat, narrow } of SYSTEM_CALLS) {
    expect(x64.length + compat.length).toBeGreaterThan(0);
    expect(narrow.every((number) => compat.includes(number))).toBe(true);
    expect(owners.get(familyOf(call)) ?? sensor).toBe(sensor);
    owners.set(familyOf(call), sensor);
  }
  for (const numbers of ["x64", "arm64", "compat"] as const) {
    const all = SYSTEM_CALLS.flatMap((row) => row[numbers]);
    expect(new Set(all).size).toBe(all.length);
  }
});

if (refusal !== undefined) console.log(`skipped: wishes while the sensors run (${refusal})`);
describe.skipIf(refusal !== undefined)("while the sensors run", () => {
  const folder = mkdtempSync(join(tmpdir(), "kestrel-calls-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  test("a call counts only while its event is wanted, and without any nothing is attached", () => {
    const rings = { processRingBytes: 64 << 10, activityRingBytes: 64 << 10 };
    const sensors = LoadedSensors.load({ ...rings, agentPid: 0, cgroupRoot: undefined, wanted: () => false });
    try {
      const counters = new CounterReader(sensors.map("counters")!);
      const path = join(folder, "a");
      writeFileSync(path, "");
      // Other programs of the machine rename files too: none of theirs may count either while nothing is attached.
      const renames = (): number => {
        const before = counters.read().change.produced;
        for (let turn = 0; turn < 8; turn++) renameSync(path, path);
        return counters.read().change.produced - before;
      };
      expect([sensors.callNumbersOn, renames()]).toEqual([0, 0]);
      const choose = (isWanted: WantedEvents): void => {
        sensors.choose(isWanted);
        while (sensors.attachNext());
      };
      choose((_, action) => action === "rename");
      expect(sensors.callNumbersOn).toBeGreaterThan(0);
      expect(renames()).toBeGreaterThanOrEqual(8);
      choose((_, action) => action === "userfaultfd");
      expect(renames()).toBe(0);
      choose(() => false);
      expect([sensors.callNumbersOn, renames()]).toEqual([0, 0]);
      choose(everything);
      expect(renames()).toBeGreaterThanOrEqual(8);
    } finally {
      sensors.close();
    }
  });
});
