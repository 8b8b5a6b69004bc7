// A replay that continues where another was cut gives the same rest, whatever the cut and the form of the files; files that are not the ones
// read before are refused.
import { expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { KestrelError, type ReplayPosition, ReplaySource } from "#core";
import { JsonDecoder, KlogWriter } from "#event";
import { SchemaRegistry } from "#schema";
import { propertyOptions } from "../event/property.ts";
import { DECODER, FORMS, type Form, inFolder, lineOf, type Replayed, replayed, writeLog } from "./replay-files.ts";

// Many small files, on a machine that may be busy.
setDefaultTimeout(60_000);

/** What a store keeps. */
function kept(positions: readonly ReplayPosition[]): readonly ReplayPosition[] {
  return JSON.parse(JSON.stringify(positions)) as readonly ReplayPosition[];
}

/** Lines of a file: events in any order of time, some without a time, and what is no event between them. */
const lines = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: -3, max: 2 ** 33 }) },
    { weight: 2, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constantFrom("", "not json", '{"half":', "   ") },
  ),
  { maxLength: 14 },
);

test("any cut leaves the same rest", async () => {
  let cuts = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ form: fc.constantFrom<Form>(...FORMS), lines }), { minLength: 1, maxLength: 4 }),
      fc.boolean(),
      (files, ranged) =>
        inFolder(async (folder) => {
          let id = 0;
          const paths = files.map(({ form, lines: list }, index) => {
            const text = list.map((line) => (typeof line === "string" ? line : lineOf({ id: ++id, timeNs: line })));
            return writeLog(folder, `${index}.log`, form, text);
          });
          const range = ranged ? { range: { fromNs: 0n, toNs: 2n ** 32n } } : {};
          const whole = await replayed({ files: paths, keepPositions: true, ...range });
          for (let cut = 0; cut <= whole.seen.length; cut++) {
            const resume = kept(whole.source.positionsAfter(cut));
            const rest = await replayed({ files: paths, resume, keepPositions: true, ...range }, 3);
            expect(rest.seen).toEqual(whole.seen.slice(cut));
            // A replay of the rest ends where the whole one ended, and knows where it began.
            expect(rest.source.positionsAfter(rest.seen.length)).toEqual(whole.source.positionsAfter(whole.seen.length));
            expect(kept(rest.source.positionsAfter(0))).toEqual(resume);
            expect(rest.problems.every((problem) => whole.problems.includes(problem))).toBe(true);
            cuts++;
          }
        }),
    ),
    propertyOptions(60),
  );
  expect(cuts).toBeGreaterThan(200);
});

test("a sink that evaluates inside a push may ask for the position behind that record", async () => {
  const texts = [{ name: "log", text: [1, 2, 3].map((id) => lineOf({ id, timeNs: id })).join("\n") }];
  const source = new ReplaySource({
    registry: new SchemaRegistry(),
    files: [],
    texts,
    decoder: DECODER,
    keepPositions: true,
    onProblem: () => undefined,
  });
  const asked: unknown[] = [];
  let full = false;
  await source.start({
    push() {
      // Every other time there is no room: the record is offered again and counts once.
      full = !full;
      if (!full) asked.push(source.positionsAfter(asked.length + 1)[0]?.records);
      return !full;
    },
    ready: () => Promise.resolve(),
  });
  expect(asked).toEqual([1, 2, 3]);
});

test("positions count the events of each file, those outside a range too", () =>
  inFolder(async (folder) => {
    const one = writeLog(folder, "one", "plain", ["", lineOf({ id: 1, timeNs: 1 }), "broken", lineOf({ id: 2, timeNs: 50 })]);
    const two = writeLog(
      folder,
      "two",
      "klog",
      [2, 3, 4, 5].map((timeNs) => lineOf({ id: timeNs, timeNs })),
    );
    const { source } = await replayed({ files: [one, two], keepPositions: true, range: { fromNs: 3n, toNs: undefined } });
    const brief = (pushed: number): unknown[] =>
      source.positionsAfter(pushed).map(({ file, records, place }) => ({ file, records, place }));
    const blocks = brief(2)[0] as { readonly place: { readonly position: number } };
    expect(brief(0)).toEqual([]);
    expect(brief(2)).toEqual([{ file: two, records: 3, place: { kind: "block", position: blocks.place.position, records: 3 } }]);
    expect(brief(4)).toEqual([
      { file: one, records: 2, place: { kind: "line", line: 4, timeNs: "50" } },
      { file: two, records: 4, place: { kind: "block", position: expect.any(Number), records: 1 } },
    ]);
  }));

test("positions of the records pushed last are kept, 65,536 of them, and older ones are not answered for", async () => {
  const count = 66_000;
  const text = (from: number): string => Array.from({ length: count / 2 }, (_, at) => lineOf({ id: at, timeNs: from + at * 2 })).join("\n");
  const texts = [
    { name: "even", text: text(0) },
    { name: "odd", text: text(1) },
  ];
  const { source, seen } = await replayed({ texts, keepPositions: true });
  for (const cut of [count - 65_536, count - 40_001, count - 1, count]) {
    const rest = await replayed({ texts, resume: kept(source.positionsAfter(cut)) });
    expect(rest.seen.length).toBe(count - cut);
    expect(rest.seen[0]).toEqual(seen[cut] as (typeof seen)[number]);
  }
  expect(() => source.positionsAfter(count - 65_537)).toThrow("records pushed last");
  expect(() => source.positionsAfter(count + 1)).toThrow("records pushed last");
});

test("a file that was named twice continues in both", () =>
  inFolder(async (folder) => {
    const path = writeLog(
      folder,
      "log",
      "plain",
      [1, 2, 3].map((timeNs) => lineOf({ id: timeNs, timeNs })),
    );
    const whole = await replayed({ files: [path, path], keepPositions: true });
    expect(whole.ids).toEqual([1, 1, 2, 2, 3, 3]);
    expect((await replayed({ files: [path, path], resume: whole.source.positionsAfter(3) })).ids).toEqual([2, 3, 3]);
  }));

test("new files are read from their start, positions of files that are not named do nothing", () =>
  inFolder(async (folder) => {
    const [one, two] = [1, 2].map((id) => writeLog(folder, `${id}`, "plain", [lineOf({ id, timeNs: id })])) as [string, string];
    const first = await replayed({ files: [one], keepPositions: true });
    const resume = first.source.positionsAfter(1);
    expect((await replayed({ files: [one, two], resume })).ids).toEqual([2]);
    expect((await replayed({ files: [two], resume })).ids).toEqual([2]);
  }));

const EVENTS = Array.from({ length: 8 }, (_, at) => lineOf({ id: at + 1, timeNs: at + 1 }));

/** What happens to a file between two replays, the first of which took four of its eight events. */
const CHANGES: readonly {
  readonly name: string;
  readonly form: Form;
  readonly change: (path: string) => void;
  readonly result: readonly number[] | RegExp;
}[] = [
  { name: "nothing", form: "plain", change: () => undefined, result: [5, 6, 7, 8] },
  {
    name: "lines were added",
    form: "plain",
    change: (path) => appendFileSync(path, `${lineOf({ id: 9, timeNs: 0 })}\n`),
    result: [5, 6, 7, 8, 9],
  },
  {
    name: "blocks were added",
    form: "klog",
    change(path) {
      const registry = new SchemaRegistry();
      const decoder = new JsonDecoder(registry, DECODER);
      const writer = KlogWriter.open(path, registry);
      writer.append(decoder.builder.bytes, 0, decoder.decode(lineOf({ id: 9, timeNs: 0 })) as number);
      writer.close();
    },
    result: [5, 6, 7, 8, 9],
  },
  { name: "it shrank", form: "plain", change: (path) => truncateSync(path, 40), result: /has 40 bytes and had \d+/ },
  { name: "a .klog shrank", form: "klog", change: (path) => truncateSync(path, 100), result: /has 100 bytes and had \d+/ },
  { name: "it is empty", form: "gzip", change: (path) => truncateSync(path, 0), result: /has 0 bytes and had \d+/ },
  {
    name: "it is another file",
    form: "plain",
    change: (path) => writeFileSync(path, `{"process":{"pid":4}}\n`.repeat(100)),
    result: /its first bytes have changed/,
  },
  { name: "it is gone", form: "plain", change: (path) => rmSync(path), result: /no such file/ },
];

test.each([...CHANGES])("before it continues: $name", ({ form, change, result }) =>
  inFolder(async (folder) => {
    const path = writeLog(folder, "the.log", form, EVENTS);
    const resume = (await replayed({ files: [path], keepPositions: true })).source.positionsAfter(4);
    change(path);
    const outcome = await replayed({ files: [path], resume }).catch((error: unknown) => error as Error);
    if (result instanceof RegExp) {
      expect(outcome).toBeInstanceOf(Error);
      expect((outcome as Error).message).toMatch(result);
      expect((outcome as Error).message).toContain(path);
    } else {
      expect((outcome as Replayed).ids).toEqual([...result]);
    }
  }),
);

/** Places that a file of the same size and first bytes does not have: what a change further behind looks like. */
const PLACES: readonly { readonly form: Form; readonly place: ReplayPosition["place"]; readonly message: RegExp }[] = [
  { form: "plain", place: { kind: "line", line: 9, timeNs: "1" }, message: /it ends at line 8, before line 9/ },
  { form: "gzip", place: { kind: "line", line: 1000, timeNs: "1" }, message: /it ends at line 8, before line 1000/ },
  { form: "klog", place: { kind: "block", position: 17, records: 1 }, message: /the block at byte 17 is gone/ },
  { form: "klog", place: { kind: "block", position: 16, records: 4 }, message: /the block at byte 16 is gone/ },
  { form: "klog", place: { kind: "block", position: 99_999, records: 1 }, message: /the block at byte 99999 is gone/ },
  { form: "klog", place: { kind: "line", line: 1, timeNs: "1" }, message: /it was a text file/ },
  { form: "zstd", place: { kind: "block", position: 16, records: 1 }, message: /it was a \.klog file/ },
];

test.each([...PLACES])("a place that is not in the file is refused: $form, $message", ({ form, place, message }) =>
  inFolder(async (folder) => {
    const path = writeLog(folder, "the.log", form, EVENTS);
    const [position] = (await replayed({ files: [path], keepPositions: true })).source.positionsAfter(4);
    const resume = [{ ...(position as ReplayPosition), place }];
    await expect(replayed({ files: [path], resume })).rejects.toThrow(message);
    await expect(replayed({ files: [path], resume })).rejects.toBeInstanceOf(KestrelError);
  }),
);

test("names that a .klog file gives before the place are known behind it", () =>
  inFolder(async (folder) => {
    const path = join(folder, "named.klog");
    const registry = new SchemaRegistry();
    registry.add({ name: "my.note", type: "keyword" });
    registry.categories.intern("paint");
    const decoder = new JsonDecoder(registry, DECODER);
    const writer = KlogWriter.open(path, registry, { blockRecords: 2 });
    for (let id = 1; id <= 6; id++) {
      const line = JSON.stringify({ "@timestamp": id, event: { category: "paint" }, process: { pid: id }, my: { note: `n${id}` } });
      writer.append(decoder.builder.bytes, 0, decoder.decode(line) as number);
    }
    writer.close();
    const whole = await replayed({ files: [path], keepPositions: true });
    expect(whole.problems).toEqual([]);
    const rest = await replayed({ files: [path], resume: whole.source.positionsAfter(5) });
    expect({ ids: rest.ids, problems: rest.problems }).toEqual({ ids: [6], problems: [] });
  }));
