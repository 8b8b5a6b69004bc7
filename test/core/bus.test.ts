// The bus keeps order and loses nothing silently, whatever the partitions do. Seeded: fast-check prints seed and path of a failure.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { EventBus, MockClock, type Partition, type RecordBatch } from "#core";
import { RecordBuilder, RecordView } from "#event";

function record(time: number): Uint8Array {
  const builder = new RecordBuilder();
  builder.begin(0, BigInt(time));
  const length = builder.finish();
  return builder.bytes.slice(0, length);
}

function timesOf(batch: RecordBatch): number[] {
  const view = new RecordView();
  return Array.from({ length: batch.count }, (_, index) => Number(view.reset(batch.bytes, batch.offsets[index] as number).timeNs));
}

/** A partition that answers in an order the test decides. */
class ManualPartition implements Partition<number[]> {
  readonly waiting: (() => void)[] = [];
  evaluate(batch: RecordBatch): Promise<number[]> {
    return new Promise((resolve) => this.waiting.push(() => resolve(timesOf(batch))));
  }
}

test("results are consumed in order of arrival, whatever order partitions finish in", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6 }),
      fc.array(fc.nat(), { minLength: 1, maxLength: 60 }),
      async (partitionCount, choices) => {
        const partitions = Array.from({ length: partitionCount }, () => new ManualPartition());
        const seen: number[] = [];
        const bus = new EventBus({
          clock: new MockClock(),
          partitions,
          whenFull: "block",
          flushMs: 0,
          batchCount: choices.length + partitionCount + 1,
          consume: (_batch, times) => {
            seen.push(...times);
          },
        });
        choices.forEach((_, index) => {
          expect(bus.push(record(index), 0, record(index).length)).toBe(true);
          bus.flush();
        });
        for (const choice of choices) {
          const busy = partitions.filter((partition) => partition.waiting.length > 0);
          const chosen = busy[choice % busy.length] as ManualPartition;
          (chosen.waiting.splice(choice % chosen.waiting.length, 1)[0] as () => void)();
          await Promise.resolve();
        }
        await bus.drain();
        expect(seen).toEqual(choices.map((_, index) => index));
        expect(bus.counters()).toMatchObject({ offered: choices.length, evaluated: choices.length, dropped: 0, waiting: 0 });
      },
    ),
    { numRuns: 60 },
  );
});

test("a full bus drops and counts, or makes the source wait", async () => {
  for (const whenFull of ["drop", "block"] as const) {
    const partition = new ManualPartition();
    const bus = new EventBus({ clock: new MockClock(), partitions: [partition], whenFull, flushMs: 0, batchCount: 2, consume: () => {} });
    const one = record(1);
    let refused = 0;
    for (let index = 0; index < 1000; index++) {
      if (!bus.push(one, 0, one.length)) refused++;
    }
    const { offered, dropped, waiting } = bus.counters();
    expect(refused).toBe(1000 - 512);
    expect({ offered, dropped, waiting }).toEqual(
      whenFull === "drop" ? { offered: 1000, dropped: 488, waiting: 512 } : { offered: 512, dropped: 0, waiting: 512 },
    );
    const ready = bus.ready();
    partition.waiting.shift()?.();
    await ready;
    expect(bus.push(one, 0, one.length)).toBe(true);
  }
});

test("a batch that does not fill is sent when its time is up", () => {
  const clock = new MockClock();
  const seen: number[] = [];
  const bus = new EventBus<number[]>({
    clock,
    partitions: [{ evaluate: timesOf }],
    whenFull: "drop",
    flushMs: 20,
    batchCount: 2,
    consume: (_batch, times) => {
      seen.push(...times);
    },
  });
  bus.push(record(7), 0, record(7).length);
  clock.advance(19);
  expect(seen).toEqual([]);
  clock.advance(1);
  expect(seen).toEqual([7]);
});

test("a partition that breaks ends the bus instead of passing events unevaluated", async () => {
  const bus = new EventBus<number>({
    clock: new MockClock(),
    partitions: [{ evaluate: () => Promise.reject(new Error("worker lost")) }],
    whenFull: "block",
    flushMs: 0,
    batchCount: 2,
    consume: () => {},
  });
  bus.push(record(1), 0, record(1).length);
  expect(bus.drain()).rejects.toThrow("worker lost");
});

test("a promise of the source is passed on when everything before it has been consumed, late ones too", async () => {
  const partition = new ManualPartition();
  const told: string[] = [];
  const bus = new EventBus({
    clock: new MockClock(),
    partitions: [partition],
    whenFull: "block",
    flushMs: 0,
    batchCount: 4,
    consume: (_batch, times) => void told.push(...times.map(String)),
    onProgress: (timeNs) => void told.push(`until ${timeNs}`),
  });
  const push = (time: number): void => void bus.push(record(time), 0, record(time).length);
  bus.progress(1n);
  push(2);
  bus.progress(3n);
  bus.flush();
  push(4);
  bus.progress(5n);
  bus.progress(6n);
  expect(told).toEqual(["until 1"]);
  bus.flush();
  for (const finish of partition.waiting) finish();
  await bus.drain();
  expect(told).toEqual(["until 1", "2", "until 3", "4", "until 6"]);
});

test("numbering goes on where an earlier run stopped", async () => {
  const seen: bigint[] = [];
  const view = new RecordView();
  const bus = new EventBus({
    clock: new MockClock(),
    partitions: [{ evaluate: (batch: RecordBatch) => batch.count }],
    whenFull: "block",
    flushMs: 0,
    batchCount: 2,
    firstSeq: 2 ** 33,
    consume: (batch) => void seen.push(view.reset(batch.bytes, batch.offsets[0] as number).seq),
  });
  bus.push(record(1), 0, record(1).length);
  await bus.drain();
  expect(seen).toEqual([2n ** 33n]);
});

test("a bus holds no more batches than it has needed at one time", () => {
  const seen = new Set<RecordBatch>();
  const beforeBytes = process.memoryUsage().arrayBuffers;
  const partition: Partition<number> = { evaluate: (batch) => seen.add(batch).size };
  const bus = new EventBus({ clock: new MockClock(), partitions: [partition], whenFull: "drop", flushMs: 0, batchCount: 16, consume() {} });
  const one = record(1);
  for (let index = 0; index < 1000; index++) bus.push(one, 0, one.length);
  expect(process.memoryUsage().arrayBuffers - beforeBytes).toBeLessThan(3 << 20);
  expect(seen.size).toBe(1);
});
