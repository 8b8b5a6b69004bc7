// A throttle admits at most `limit` alerts per key in each window of event time, and forgets the oldest keys first.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { THROTTLE_KEYS_MAX, Throttle } from "../../src/engine/throttle.ts";

const MS = 1_000_000n;

test("limit, window and keys", () => {
  const throttle = new Throttle(2, 1000);
  const cases: readonly [key: string, timeMs: bigint, admitted: boolean][] = [
    ["a", 0n, true],
    ["a", 10n, true],
    ["a", 20n, false],
    ["b", 20n, true],
    ["a", 999n, false],
    ["a", 1000n, true],
    ["a", 1001n, true],
    ["a", 1500n, false],
    ["a", 2000n, true],
  ];
  for (const [key, timeMs, admitted] of cases) expect([key, timeMs, throttle.admit(key, timeMs * MS)]).toEqual([key, timeMs, admitted]);
  expect(throttle.suppressed).toBe(3);
});

test("time that steps back starts a new window instead of holding back for ever", () => {
  const throttle = new Throttle(1, 1000);
  expect(throttle.admit("a", 5_000_000n * MS)).toBe(true);
  expect(throttle.admit("a", 1n * MS)).toBe(true);
});

test("never more than limit in a window, admitted + suppressed = asked", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.tuple(fc.constantFrom("a", "b"), fc.nat(300)), { maxLength: 200 }),
      (limit, steps) => {
        const throttle = new Throttle(limit, 100);
        const admitted: [string, number][] = [];
        let now = 0;
        for (const [key, step] of steps) {
          now += step;
          if (throttle.admit(key, BigInt(now) * MS)) admitted.push([key, now]);
        }
        expect(admitted.length + throttle.suppressed).toBe(steps.length);
        // Windows start at an admitted alert, so any 2 × limit + 1 admitted ones of a key span at least one whole window.
        for (const key of ["a", "b"]) {
          const times = admitted.filter(([other]) => other === key).map(([, time]) => time);
          times.forEach((time, index) => {
            const later = times[index + 2 * limit];
            if (later !== undefined) expect(later - time).toBeGreaterThanOrEqual(100);
          });
        }
      },
    ),
  );
});

test("memory is bounded", () => {
  const throttle = new Throttle(1, 1_000_000);
  throttle.admit("first", 0n);
  for (let index = 0; index < THROTTLE_KEYS_MAX; index++) throttle.admit(String(index), 1n);
  expect(throttle.admit("first", 2n)).toBe(true);
  expect(throttle.admit(String(THROTTLE_KEYS_MAX - 1), 2n)).toBe(false);
});

test("events a little out of order do not begin a new window", () => {
  const throttle = new Throttle(2, 1000);
  const admitted = [5000n, 4990n, 5001n, 4995n, 4500n, 5999n, 6000n].map((timeMs) => throttle.admit("a", timeMs * MS));
  expect(admitted).toEqual([true, true, false, false, false, false, true]);
});
