// The instance pool: bounds, turns, time limits, broken items. Time is a MockClock.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { KestrelError, MockClock } from "#core";
import { InstancePool } from "#runtime-wasm";

function poolOf(sizeMax: number, waitersMax = 4) {
  const clock = new MockClock();
  let made = 0;
  const disposed: number[] = [];
  const pool = new InstancePool<number>({ sizeMax, waitersMax, clock, make: () => ++made, dispose: (item) => disposed.push(item) });
  return { pool, clock, disposed };
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "resolved",
    (error: KestrelError) => error.code,
  );

test("makes items up to its size, then gives none", () => {
  const { pool } = poolOf(2);
  expect([pool.tryAcquire(), pool.tryAcquire(), pool.tryAcquire()]).toEqual([1, 2, undefined]);
});

test("a released item is used again", () => {
  const { pool } = poolOf(1);
  pool.release(pool.tryAcquire()!);
  expect(pool.tryAcquire()).toBe(1);
});

test("waiters are served in turn", async () => {
  const { pool } = poolOf(1);
  const item = pool.tryAcquire()!;
  const order: string[] = [];
  const first = pool.acquire(100).then((got) => {
    order.push("first");
    pool.release(got);
  });
  const second = pool.acquire(100).then((got) => {
    order.push("second");
    pool.release(got);
  });
  pool.release(item);
  await Promise.all([first, second]);
  expect(order).toEqual(["first", "second"]);
});

test("a waiter gives up after its time, and leaves the queue", async () => {
  const { pool, clock } = poolOf(1);
  const item = pool.tryAcquire()!;
  const waiting = codeOf(pool.acquire(50));
  clock.advance(49);
  expect(pool.counts.waiting).toBe(1);
  clock.advance(1);
  expect(await waiting).toBe("pool-timeout");
  expect(pool.counts.waiting).toBe(0);
  pool.release(item);
  expect(pool.counts).toEqual({ used: 0, idle: 1, waiting: 0 });
});

test("too many waiters are refused at once", async () => {
  const { pool } = poolOf(1, 1);
  pool.tryAcquire();
  void pool.acquire(50);
  expect(await codeOf(pool.acquire(50))).toBe("pool-full");
});

test("a discarded item is disposed and the next waiter gets a new one", async () => {
  const { pool, disposed } = poolOf(1);
  const item = pool.tryAcquire()!;
  const waiting = pool.acquire(50);
  pool.discard(item);
  expect([await waiting, disposed]).toEqual([2, [1]]);
});

test("closing refuses waiters and disposes what comes back", async () => {
  const { pool, disposed } = poolOf(1);
  const item = pool.tryAcquire()!;
  const waiting = codeOf(pool.acquire(50));
  pool.close();
  pool.close();
  expect(await waiting).toBe("closed");
  pool.release(item);
  expect(disposed).toEqual([1]);
  expect(() => pool.tryAcquire()).toThrow("closed");
});

test("misuse is refused: foreign item, double release, no size", () => {
  const { pool } = poolOf(1);
  expect(() => pool.release(7)).toThrow(KestrelError);
  const item = pool.tryAcquire()!;
  pool.release(item);
  expect(() => pool.release(item)).toThrow("not in use");
  expect(() => poolOf(0)).toThrow("positive");
});

test("what make throws reaches the caller and takes no place", async () => {
  let fail = true;
  const make = () => {
    if (fail) throw new Error("no");
    return 1;
  };
  const pool = new InstancePool<number>({ sizeMax: 1, waitersMax: 1, clock: new MockClock(), make, dispose: () => {} });
  expect(() => pool.tryAcquire()).toThrow("no");
  fail = false;
  expect(await pool.acquire(1)).toBe(1);
});

test("property: never more than sizeMax alive, nothing lost", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.constantFrom("acquire", "release", "discard"), { maxLength: 60 }),
      (sizeMax, steps) => {
        const { pool, disposed } = poolOf(sizeMax);
        const held: number[] = [];
        for (const step of steps) {
          if (step === "acquire") {
            const item = pool.tryAcquire();
            expect(item === undefined).toBe(held.length === sizeMax);
            if (item !== undefined) held.push(item);
          } else if (held.length > 0) {
            pool[step](held.shift()!);
          }
          expect(pool.counts.used).toBe(held.length);
          expect(pool.counts.used + pool.counts.idle).toBeLessThanOrEqual(sizeMax);
          for (const item of held) expect(disposed).not.toContain(item);
        }
      },
    ),
  );
});
