// Replay merges files by time without changing a file's own order, leaves out what is outside a range, keeps a pace, and stops when told.
import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { type Clock, MockClock, type ReplayOptions, ReplaySource } from "#core";
import { SchemaRegistry } from "#schema";
import { propertyOptions } from "../event/property.ts";
import { DECODER, FORMS, type Form, inFolder, lineOf, replayed, SeenSink, type SmallEvent, writeLog } from "./replay-files.ts";

/** Numbers the events of several files. */
function numbered(files: readonly { readonly times: readonly (number | undefined)[] }[]): SmallEvent[][] {
  let id = 0;
  return files.map(({ times }) => times.map((timeNs) => ({ id: ++id, timeNs })));
}

function texts(files: readonly (readonly SmallEvent[])[]): Pick<ReplayOptions, "texts"> {
  return { texts: files.map((events, index) => ({ name: `text ${index}`, text: events.map(lineOf).join("\n") })) };
}

const form = fc.constantFrom<Form>(...FORMS);
// Few times, so that many are equal; some before 1970, some beyond 32 bits.
const time = fc.oneof(fc.integer({ min: -3, max: 12 }), fc.constantFrom(2 ** 32, 2 ** 32 + 1, -(2 ** 33)));

test("several files in the order of (time, file, place in the file)", async () => {
  let merged = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ form, times: fc.array(time, { maxLength: 14 }) }), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 0, max: 4 }),
      (files, refuse) =>
        inFolder(async (folder) => {
          const sorted = files.map(({ times }) => ({ times: times.toSorted((a, b) => a - b) }));
          const events = numbered(sorted);
          const paths = events.map((list, index) => writeLog(folder, `${index}.log`, files[index]!.form, list.map(lineOf)));
          // Sorting is stable: the order among equal times is that of files and places.
          const expected = events.flat().toSorted((a, b) => (a.timeNs as number) - (b.timeNs as number));
          const { ids, source } = await replayed({ files: paths }, refuse === 0 ? 0 : refuse + 1);
          expect(ids).toEqual(expected.map(({ id }) => id));
          expect(source.records).toBe(expected.length);
          const { read, total } = source.fileBytes;
          if (events.every((list) => list.length > 0)) expect(read).toBe(total as number);
          if (events.filter((list) => list.length > 0).length > 1) merged++;
        }),
    ),
    propertyOptions(150),
  );
  expect(merged).toBeGreaterThan(50);
});

const MERGES: readonly {
  readonly name: string;
  readonly files: readonly (readonly (number | undefined)[])[];
  readonly ids: readonly number[];
}[] = [
  { name: "one file that is out of order stays so", files: [[5, 3, 9, 1]], ids: [1, 2, 3, 4] },
  {
    name: "a file that goes back in time comes at once, in its order",
    files: [
      [5, 1, 9],
      [4, 6],
    ],
    ids: [4, 1, 2, 5, 3],
  },
  {
    name: "equal times: the file named first, all its events of that time",
    files: [
      [7, 7],
      [7, 7],
    ],
    ids: [1, 2, 3, 4],
  },
  {
    name: "an event without a time stays behind the one before it",
    files: [
      [2, undefined, undefined, 8],
      [1, 3],
    ],
    ids: [5, 1, 2, 3, 6, 4],
  },
  {
    name: "an event without a time and with none before it comes first",
    files: [[5], [undefined, 4]],
    ids: [2, 3, 1],
  },
  { name: "empty files are fine", files: [[], [1], []], ids: [1] },
  { name: "no file at all", files: [], ids: [] },
];

for (const { name, files, ids } of MERGES) {
  test(name, async () => {
    const events = numbered(files.map((times) => ({ times })));
    expect((await replayed(texts(events))).ids).toEqual([...ids]);
    await inFolder(async (folder) => {
      const paths = events.map((list, index) => writeLog(folder, `${index}.log`, FORMS[(index + 3) % 4]!, list.map(lineOf)));
      expect((await replayed({ files: paths })).ids).toEqual([...ids]);
    });
  });
}

test("more files than pieces of the merge wait for one another: 300 of them", () =>
  inFolder(async (folder) => {
    const events = numbered(
      Array.from({ length: 300 }, (_, file) => ({ times: [file, 300 - file, 1000 - file].toSorted((a, b) => a - b) })),
    );
    mkdirSync(join(folder, "logs"));
    const paths = events.map((list, index) => writeLog(folder, `logs/${index}`, "plain", list.map(lineOf)));
    const { ids } = await replayed({ files: paths });
    const expected = events.flat().toSorted((a, b) => (a.timeNs as number) - (b.timeNs as number));
    expect(ids).toEqual(expected.map(({ id }) => id));
  }));

test("too many files, and standard input twice, are refused", async () => {
  await expect(replayed({ files: Array.from({ length: 1025 }, () => "none.jsonl") })).rejects.toThrow("1025 files are more than");
  await expect(replayed({ files: ["-", "-"] })).rejects.toThrow("can be named only once");
});

const RANGES: readonly { readonly from?: number; readonly to?: number; readonly ids: readonly number[] }[] = [
  { ids: [1, 2, 3, 4, 5, 6] },
  { from: 5, ids: [3, 4, 5, 6] },
  { from: 6, ids: [5, 6] },
  { to: 5, ids: [1, 2] },
  { from: 5, to: 6, ids: [3, 4] },
  { from: -7, to: 5, ids: [1, 2] },
  { from: -6, to: 5, ids: [2] },
  { from: 2 ** 32, ids: [6] },
  { to: 2 ** 32, ids: [1, 2, 3, 4, 5] },
  { from: 100, to: 200, ids: [] },
];

test.each([...RANGES])("of a range only what is in it is pushed, the rest counted: %j", async ({ from, to, ids }) => {
  const range = { fromNs: from === undefined ? undefined : BigInt(from), toNs: to === undefined ? undefined : BigInt(to) };
  // The event without a time has that of the one before it.
  const events = numbered([{ times: [-7, 1, 5, undefined, 6, 2 ** 32] }]);
  const { ids: got, source } = await replayed({ ...texts(events), range });
  expect(got).toEqual([...ids]);
  expect({ records: source.records, outside: source.outside }).toEqual({ records: ids.length, outside: 6 - ids.length });
});

/** A clock that goes on by what is waited for. */
function patientClock(): { readonly clock: Clock; readonly mock: MockClock; readonly waitsMs: number[] } {
  const mock = new MockClock(1_000_000_000_000n);
  const waitsMs: number[] = [];
  const clock: Clock = {
    nowNs: () => mock.nowNs(),
    after(delayMs, task) {
      waitsMs.push(delayMs);
      const cancel = mock.after(delayMs, task);
      queueMicrotask(() => mock.advance(delayMs));
      return cancel;
    },
  };
  return { clock, mock, waitsMs };
}

test("at a speed each event comes when its time has passed, no timer for less than a millisecond", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 20_000_000_000 }), { minLength: 1, maxLength: 30 }),
      fc.constantFrom(0.1, 0.5, 1, 3, 10, 1000),
      async (times, speed) => {
        const { clock, mock, waitsMs } = patientClock();
        const registry = new SchemaRegistry();
        const pushedMs: number[] = [];
        const startNs = mock.nowNs();
        const sink = new SeenSink(registry, { onPush: () => pushedMs.push(Number(mock.nowNs() - startNs) / 1e6) });
        const events = numbered([{ times }]);
        const options = { registry, files: [], decoder: DECODER, onProblem: () => undefined, ...texts(events) };
        await new ReplaySource({ ...options, pace: { clock, speed } }).start(sink);
        expect(sink.seen.map(({ id }) => id)).toEqual(events.flat().map(({ id }) => id));
        let dueMs = 0;
        for (const [index, timeNs] of times.entries()) {
          // An event older than one before it is not waited for.
          dueMs = Math.max(dueMs, (timeNs - times[0]!) / 1e6 / speed);
          expect(Math.abs((pushedMs[index] as number) - dueMs)).toBeLessThanOrEqual(1.001);
        }
        expect(waitsMs.every((ms) => ms >= 1 && ms <= 3_600_000)).toBe(true);
      },
    ),
    propertyOptions(100),
  );
});

test("at a speed an event without a time holds nothing up, and sets no start", async () => {
  const { clock, waitsMs } = patientClock();
  const events = numbered([{ times: [undefined, 1_700_000_000_000_000_000, undefined, 1_700_000_002_000_000_000] }]);
  const { ids } = await replayed({ ...texts(events), pace: { clock, speed: 2 } });
  expect(ids).toEqual([1, 2, 3, 4]);
  expect(waitsMs).toEqual([1000]);
});

test("a wait longer than any timer is made of pieces", async () => {
  const { clock, waitsMs } = patientClock();
  const events = numbered([{ times: [0, 100 * 86_400_000_000_000] }]);
  const { ids } = await replayed({ ...texts(events), pace: { clock, speed: 1 } });
  expect(ids).toEqual([1, 2]);
  expect(waitsMs).toEqual(Array.from({ length: 2400 }, () => 3_600_000));
});

test("stopped while it waits for the time of an event, it ends without that event", async () => {
  const registry = new SchemaRegistry();
  const mock = new MockClock();
  const events = numbered([{ times: [0, 1, 60_000_000_000] }]);
  let cancelled = 0;
  const clock: Clock = {
    nowNs: () => mock.nowNs(),
    after(delayMs, task) {
      queueMicrotask(() => void source.stop());
      const cancel = mock.after(delayMs, task);
      return () => {
        cancelled++;
        cancel();
      };
    },
  };
  const sink = new SeenSink(registry);
  const source = new ReplaySource({
    registry,
    files: [],
    decoder: DECODER,
    onProblem: () => undefined,
    ...texts(events),
    pace: { clock, speed: 1 },
  });
  await source.start(sink);
  expect(sink.seen.map(({ id }) => id)).toEqual([1, 2]);
  expect({ cancelled, stopped: source.stopped }).toEqual({ cancelled: 1, stopped: true });
});

test("a timer gets its turn in the middle of a file that never waits", () =>
  inFolder(async (folder) => {
    const path = writeLog(
      folder,
      "long",
      "klog",
      Array.from({ length: 5000 }, (_, id) => lineOf({ id, timeNs: id })),
    );
    const registry = new SchemaRegistry();
    const sink = new SeenSink(registry);
    const source = new ReplaySource({ registry, files: [path], decoder: DECODER, onProblem: () => undefined });
    setImmediate(() => void source.stop());
    await source.start(sink);
    expect(sink.seen.length).toBeLessThan(5000);
  }));

test("the line of each record is told once, right before the record, however often the sink is full", async () => {
  const events = numbered([{ times: [3, 1] }, { times: [2, 5] }]);
  const told: string[] = [];
  const { ids } = await replayed(
    {
      ...texts(events),
      range: { fromNs: 2n, toNs: undefined },
      onRecord: (line) => told.push(new TextDecoder().decode(line)),
    },
    2,
  );
  expect(ids).toEqual([3, 1, 4]);
  const byId = new Map(events.flat().map((event) => [event.id, event]));
  expect(told).toEqual(ids.map((id) => lineOf(byId.get(id) as SmallEvent)));
});
