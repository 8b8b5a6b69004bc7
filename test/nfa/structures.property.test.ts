// The structures below the state against plain ones: timers against a sorted list, keys against a Map, cells against copies of what is in them.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Arena } from "../../src/nfa/arena.ts";
import { hashKey } from "../../src/nfa/key-hash.ts";
import { KeyTable } from "../../src/nfa/key-table.ts";
import { highWord, lowWord } from "../../src/nfa/time-words.ts";
import { TimerWheel } from "../../src/nfa/timer-wheel.ts";

const seed = Number(process.env["KESTREL_SEED"] ?? Date.now() & 0x7fffffff);
console.log(`nfa structures seed: KESTREL_SEED=${seed}`);

const NONE = -1;
const SEED = { first: 3, second: 4 };

/** Times that share their high digits as often as not. */
const time = fc.oneof(
  fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 2n }),
  fc.bigInt({ min: 0n, max: 1n << 26n }),
  fc.bigInt({ min: 0n, max: 1n << 45n }),
  fc.bigInt({ min: 1_700_000_000_000_000_000n, max: 1_700_000_100_000_000_000n }),
);

test("timers come out in order of deadline and number, exactly when asked", () => {
  const actions = fc.array(
    fc.oneof(
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("set" as const), at: time }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("cancel" as const), at: time }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("pop" as const), at: time }) },
    ),
    { maxLength: 60, size: "max" },
  );
  let popped = 0;
  const property = fc.property(actions, (list) => {
    const wheel = new TimerWheel();
    wheel.resize(64);
    let pending: { row: number; at: bigint; order: number }[] = [];
    for (const [row, action] of list.entries()) {
      if (action.kind === "set") {
        wheel.deadlineHi[row] = highWord(action.at);
        wheel.deadlineLo[row] = lowWord(action.at);
        wheel.order[row] = -row;
        wheel.schedule(row);
        pending.push({ row, at: action.at, order: -row });
      } else if (action.kind === "cancel") {
        const gone = pending[Number(BigInt.asUintN(8, action.at)) % Math.max(pending.length, 1)];
        if (gone !== undefined) wheel.cancel(gone.row);
        pending = pending.filter((one) => one !== gone);
      } else {
        const due = pending
          .filter(({ at }) => at < action.at)
          .sort((one, other) => (one.at === other.at ? one.order - other.order : one.at < other.at ? -1 : 1));
        pending = pending.filter(({ at }) => at >= action.at);
        for (const { row: expected } of [...due, { row: NONE }]) expect(wheel.pop(highWord(action.at), lowWord(action.at))).toBe(expected);
        popped += due.length;
      }
    }
  });
  fc.assert(property, { seed, numRuns: 3000 });
  expect(popped).toBeGreaterThan(3000);
});

test("keys are found while they are there, and are listed by last use", () => {
  const action = fc.record({
    kind: fc.constantFrom("add", "add", "add", "remove", "touch", "oldest"),
    owner: fc.integer({ min: 0, max: 2 }),
    key: fc.uint8Array({ maxLength: 3, max: 2 }),
  });
  const property = fc.property(fc.array(action, { maxLength: 300, size: "max" }), (list) => {
    const table = new KeyTable(new Arena(), SEED);
    // Insertion order of a Map is the order of last use when a use deletes and sets.
    const known = new Map<string, { row: number; owner: number }>();
    for (const { kind, owner, key } of list) {
      const name = `${owner}:${key.join()}`;
      const hash = table.hash(owner, key, 0, key.length);
      const row = table.find(owner, hash, key, 0, key.length);
      expect(row).toBe(known.get(name)?.row ?? NONE);
      if (kind === "add" && row === NONE) known.set(name, { row: table.add(owner, hash, key, 0, key.length), owner });
      if (kind === "remove" && row !== NONE) {
        table.remove(row);
        known.delete(name);
      }
      if (kind === "touch" && row !== NONE) {
        table.touch(row);
        known.delete(name);
        known.set(name, { row, owner });
      }
      const uses = [...known.values()];
      expect(table.oldest).toBe(uses[0]?.row ?? NONE);
      expect(table.oldestOf(owner)).toBe(uses.find((one) => one.owner === owner)?.row ?? NONE);
    }
    if (known.size === 0) expect(table.bytes).toBe(0);
  });
  fc.assert(property, { seed, numRuns: 500 });
});

test("cells keep what is in them, and an empty arena is small", () => {
  const action = fc.record({
    take: fc.integer({ min: 0, max: 2 }).map((one) => one > 0),
    pick: fc.nat(),
    size: fc.oneof(fc.nat(300), fc.nat(70_000)),
  });
  const property = fc.property(fc.array(action, { maxLength: 200, size: "max" }), (list) => {
    const arena = new Arena();
    const cells: { address: number; size: number; fill: number }[] = [];
    const drop = (index: number): void => {
      const { address, size, fill } = cells.splice(index, 1)[0]!;
      const offset = arena.offsetOf(address);
      expect(offset % 16).toBe(0);
      expect(
        arena
          .bytesOf(address)
          .subarray(offset, offset + size)
          .every((byte) => byte === fill),
      ).toBe(true);
      arena.give(address);
    };
    for (const [index, { take, pick, size }] of list.entries()) {
      if (take) {
        const address = arena.take(size);
        expect(arena.chargeOf(address)).toBeGreaterThanOrEqual(size);
        arena.bytesOf(address).fill(index & 255, arena.offsetOf(address), arena.offsetOf(address) + size);
        cells.push({ address, size, fill: index & 255 });
      } else if (cells.length > 0) drop(pick % cells.length);
    }
    while (cells.length > 0) drop(cells.length - 1);
    expect(arena.usedBytes).toBe(0);
    expect(arena.chunkBytes).toBeLessThanOrEqual(1 << 20);
  });
  fc.assert(property, { seed, numRuns: 300 });
});

test("the hash depends on seed, owner and every byte, and spreads", () => {
  const key = Uint8Array.from({ length: 13 }, (_, index) => index);
  const hashes = new Set([hashKey(SEED, 1, key, 0, 13), hashKey({ first: 4, second: 4 }, 1, key, 0, 13), hashKey(SEED, 2, key, 0, 13)]);
  for (let at = 0; at < 13; at++) {
    const other = key.slice();
    other[at]! ^= 1;
    hashes.add(hashKey(SEED, 1, other, 0, 13));
  }
  for (let length = 0; length < 13; length++) hashes.add(hashKey(SEED, 1, key, 0, length));
  expect(hashes.size).toBe(29);
  const buckets = new Uint32Array(64);
  const bytes = new Uint8Array(4);
  for (let index = 0; index < 6400; index++) {
    new DataView(bytes.buffer).setUint32(0, index * 64, true);
    buckets[hashKey(SEED, 1, bytes, 0, 4) & 63]!++;
  }
  expect(Math.max(...buckets)).toBeLessThan(200);
});

test("an arena's memory is free the moment its last cell is given back, but for one chunk", () => {
  const arena = new Arena();
  const addresses = Array.from({ length: 100 }, () => arena.take(40_000));
  const buffers = [...new Set(addresses.map((address) => arena.bytesOf(address)))];
  expect(buffers.length).toBeGreaterThan(4);
  for (const address of addresses) arena.give(address);
  expect(buffers.filter((bytes) => bytes.length > 0)).toHaveLength(1);
  expect(arena.bytesOf(arena.take(40_000)).length).toBe(1 << 20);
});
