// What the bus does when something around it fails or misbehaves: nothing is consumed twice, nothing waits for ever, every record is counted.
import { expect, setDefaultTimeout, test } from "bun:test";
import { type BusOptions, EventBus, MockClock, type RecordBatch } from "#core";
import { RecordBuilder, RecordView } from "#event";
import { BATCH_BYTES_MAX, BATCH_RECORDS_MAX } from "../../src/core/ports.ts";

// Generous, since machines are noisy and no test here measures time; it only ends what hangs.
setDefaultTimeout(60_000);
function record(time: number): Uint8Array {
  const builder = new RecordBuilder();
  builder.begin(0, BigInt(time));
  return builder.bytes.slice(0, builder.finish());
}

function timesOf(batch: RecordBatch): number[] {
  const view = new RecordView();
  return Array.from({ length: batch.count }, (_, index) => Number(view.reset(batch.bytes, batch.offsets[index] as number).timeNs));
}

function busOf(options: Partial<BusOptions<number[]>>): EventBus<number[]> {
  return new EventBus<number[]>({
    clock: new MockClock(),
    partitions: [{ evaluate: timesOf }],
    whenFull: "block",
    flushMs: 0,
    batchCount: 4,
    consume: () => {},
    ...options,
  });
}

function push(bus: EventBus<number[]>, time: number): boolean {
  const bytes = record(time);
  return bus.push(bytes, 0, bytes.length);
}

test("a partition that throws at once fails the bus for those who push and wait, not for the timer that sent the batch", async () => {
  const clock = new MockClock();
  const bus = busOf({
    clock,
    flushMs: 20,
    partitions: [
      {
        evaluate() {
          throw new Error("broken partition");
        },
      },
    ],
  });
  push(bus, 1);
  clock.advance(20);
  await expect(bus.drain()).rejects.toThrow("broken partition");
  await expect(bus.ready()).rejects.toThrow("broken partition");
  expect(() => push(bus, 2)).toThrow("broken partition");
  expect(bus.counters()).toMatchObject({ offered: 1, evaluated: 0, dropped: 0, waiting: 1 });
});

for (const [when, evaluate] of [
  ["at once", timesOf],
  ["later", async (batch: RecordBatch) => timesOf(batch)],
] as const) {
  test(`a consumer that throws ends the bus and does not get its batch again; results come ${when}`, async () => {
    const seen: number[] = [];
    const bus = busOf({
      partitions: [{ evaluate }],
      consume: (_batch, times) => {
        seen.push(...times);
        throw new Error("broken consumer");
      },
    });
    for (const time of [1, 2, 3]) {
      push(bus, time);
      bus.flush();
      await Promise.resolve();
      if (bus.counters().waiting > 0 && seen.length > 0) break;
    }
    await expect(bus.drain()).rejects.toThrow("broken consumer");
    expect(seen).toEqual([1]);
  });
}

test("a failure wakes a source that waits for room", async () => {
  let lose: (error: Error) => void = () => {};
  const bus = busOf({ batchCount: 2, partitions: [{ evaluate: () => new Promise((_, reject) => (lose = reject)) }] });
  while (push(bus, 1));
  const ready = bus.ready();
  lose(new Error("worker lost"));
  await expect(ready).rejects.toThrow("worker lost");
});

test("a consumer that pushes does not get its batch twice", async () => {
  const seen: number[] = [];
  const bus = busOf({
    consume: (_batch, times) => {
      seen.push(...times);
      for (const time of times.filter((time) => time < 3)) {
        push(bus, time + 1);
        bus.flush();
      }
    },
  });
  push(bus, 1);
  await bus.drain();
  await bus.drain();
  expect(seen).toEqual([1, 2, 3]);
  expect(bus.counters()).toMatchObject({ offered: 3, evaluated: 3, waiting: 0 });
});

test("drain ends although the source goes on", async () => {
  const waiting: (() => void)[] = [];
  const bus = busOf({ partitions: [{ evaluate: (batch) => new Promise((resolve) => waiting.push(() => resolve(timesOf(batch)))) }] });
  push(bus, 0);
  let drained = false;
  const drain = bus.drain().then(() => {
    drained = true;
  });
  for (let time = 1; time < 100 && !drained; time++) {
    push(bus, time);
    bus.flush();
    waiting.shift()?.();
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }
  expect(drained).toBe(true);
  await drain;
  expect(bus.counters().waiting).toBeGreaterThan(0);
});

test("a change at a border comes after everything before and before everything after, however fast the source is", async () => {
  let version = "old";
  const waiting: (() => void)[] = [];
  const seen: [string, number][] = [];
  const bus = busOf({
    whenFull: "drop",
    partitions: [0, 1].map(() => ({
      evaluate(batch: RecordBatch) {
        const times = timesOf(batch);
        const evaluatedBy = version;
        return new Promise<number[]>((resolve) => waiting.push(() => resolve([evaluatedBy === "old" ? 0 : 1, ...times])));
      },
    })),
    consume: (_batch, [by, ...times]) => {
      for (const time of times) seen.push([`${by === 0 ? "old" : "new"} at ${version}`, time]);
    },
  });
  push(bus, 0);
  push(bus, 1);
  const change = bus.atBorder(() => {
    version = "new";
  });
  let refused = 0;
  for (let time = 2; time < 10; time++) {
    if (!push(bus, time)) refused++;
    bus.flush();
  }
  expect(() => bus.flush()).not.toThrow();
  await expect(bus.atBorder(() => {})).rejects.toThrow("one change");
  while (bus.counters().waiting > 0) {
    waiting.shift()?.();
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  }
  await change;
  // Four batches: one was under way, three could be filled.
  expect(seen).toEqual([0, 1, 2, 3, 4].map((time) => [time < 2 ? "old at old" : "new at new", time]));
  expect({ ...bus.counters(), blockedMs: 0 }).toEqual({ offered: 10, evaluated: 5, dropped: 5, waiting: 0, blockedMs: 0 });
  expect(refused).toBe(5);
});

test("a change that throws says so and the records that waited go on", async () => {
  const seen: number[] = [];
  const bus = busOf({
    partitions: [{ evaluate: async (batch) => timesOf(batch) }],
    consume: (_batch, times) => {
      seen.push(...times);
    },
  });
  push(bus, 1);
  const change = bus.atBorder(() => {
    throw new Error("no change");
  });
  push(bus, 2);
  bus.flush();
  await expect(change).rejects.toThrow("no change");
  await bus.drain();
  expect(seen).toEqual([1, 2]);
});

test("records larger than what a batch has left start the next one; larger than a batch is refused before it is counted", async () => {
  const sizes: number[] = [];
  const bus = busOf({
    consume: (batch) => {
      sizes.push(batch.count);
      expect(batch.length).toBeLessThanOrEqual(BATCH_BYTES_MAX);
    },
  });
  const large = new Uint8Array(BATCH_BYTES_MAX / 2 + 8);
  new DataView(large.buffer).setUint32(0, large.length, true);
  for (let index = 0; index < 3; index++) expect(bus.push(large, 0, large.length)).toBe(true);
  for (let index = 0; index < BATCH_RECORDS_MAX; index++) push(bus, index);
  expect(() => bus.push(new Uint8Array(BATCH_BYTES_MAX + 8), 0, BATCH_BYTES_MAX + 8)).toThrow("fits");
  await bus.drain();
  expect(sizes).toEqual([1, 1, BATCH_RECORDS_MAX, 1]);
  expect(bus.counters()).toMatchObject({ offered: 3 + BATCH_RECORDS_MAX, evaluated: 3 + BATCH_RECORDS_MAX, waiting: 0 });
});
