// MockClock runs timers in order of their due time and moves only when told.
import { expect, test } from "bun:test";
import { MockClock, SystemClock, stringifyJson } from "#core";

test("timers run in due order, once, and see their own due time", () => {
  const clock = new MockClock(1_000n);
  const seen: [string, bigint][] = [];
  clock.after(20, () => seen.push(["b", clock.nowNs()]));
  clock.after(10, () => {
    seen.push(["a", clock.nowNs()]);
    clock.after(5, () => seen.push(["nested", clock.nowNs()]));
  });
  const cancel = clock.after(15, () => seen.push(["cancelled", clock.nowNs()]));
  cancel();
  clock.advance(30);
  expect(seen).toEqual([
    ["a", 10_001_000n],
    ["nested", 15_001_000n],
    ["b", 20_001_000n],
  ]);
  expect(clock.nowNs()).toBe(30_001_000n);
});

test("the system clock tells wall time in nanoseconds", () => {
  const before = BigInt(Date.now() - 1000) * 1_000_000n;
  const now = new SystemClock().nowNs();
  expect(now > before && now < before + 60_000_000_000n).toBe(true);
});

test("JSON keeps 64-bit integers exact and quotes keys", () => {
  expect(stringifyJson({ 'a"': [9007199254740993n, -1, null, true, "x\u2028"], b: {} })).toBe(
    '{"a\\"":[9007199254740993,-1,null,true,"x\u2028"],"b":{}}',
  );
});
