// `.klog`: what is written is read, whole blocks survive a cut anywhere, damage is located and bounded, foreign ids are translated.
import { expect, test } from "bun:test";
import { readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { EventFileError, encodeJson, JsonDecoder, KlogReader, type KlogSummary, KlogWriter, RecordView } from "#event";
import { SchemaRegistry } from "#schema";
import { propertyOptions } from "./property.ts";
import { tempDir } from "./temp-dir.ts";

function append(writer: KlogWriter, decoder: JsonDecoder, event: unknown): void {
  const size = decoder.decode(JSON.stringify(event));
  if (typeof size !== "number") throw new Error(size.message);
  writer.append(decoder.builder.bytes, 0, size);
}

function writeEvents(path: string, events: readonly unknown[], options: { blockRecords?: number; compress?: boolean } = {}): void {
  const registry = new SchemaRegistry();
  const writer = KlogWriter.open(path, registry, options);
  const decoder = new JsonDecoder(registry);
  for (const event of events) append(writer, decoder, event);
  writer.close();
}

function readEvents(path: string, registry = new SchemaRegistry()): { readonly events: unknown[]; readonly summary: KlogSummary } {
  const reader = KlogReader.open(path, registry);
  const view = new RecordView();
  const events: unknown[] = [];
  for (let block = reader.next(); block !== undefined; block = reader.next()) {
    for (let index = 0; index < block.count; index++) events.push(encodeJson(view.reset(block.bytes, block.offsets[index]!), registry));
  }
  reader.close();
  return { events, summary: reader.summary };
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof EventFileError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "no error";
}

const EVENTS = Array.from({ length: 25 }, (_, index) => ({ process: { pid: index, name: `name ${index}` }, odd: { index } }));

for (const compress of [true, false]) {
  test(`what is written is read, ${compress ? "compressed" : "plain"}`, () => {
    using dir = tempDir();
    const path = dir.file("a.klog");
    writeEvents(path, EVENTS, { blockRecords: 10, compress });
    writeEvents(path, EVENTS.slice(0, 3), { compress });
    const { events, summary } = readEvents(path);
    expect(events).toEqual([...EVENTS, ...EVENTS.slice(0, 3)]);
    expect(summary).toEqual({ blocks: 4, records: 28, recordsDamaged: 0, bytesLeftBehind: 0, problems: [] });
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });
}

test("cut at every byte, the whole blocks before the cut are read", () => {
  using dir = tempDir();
  const path = dir.file("a.klog");
  const ends: number[] = [];
  for (let block = 0; block < 4; block++) {
    writeEvents(path, EVENTS.slice(block * 2, block * 2 + 2), { compress: block % 2 === 0 });
    ends.push(statSync(path).size);
  }
  const whole = readFileSync(path);
  const cut = dir.file("cut.klog");
  for (let size = 16; size <= whole.length; size++) {
    writeFileSync(cut, whole.subarray(0, size));
    const blocks = ends.filter((end) => end <= size).length;
    const { events, summary } = readEvents(cut);
    expect(events).toEqual(EVENTS.slice(0, blocks * 2));
    expect(summary.bytesLeftBehind).toBe(size - (blocks === 0 ? 16 : ends[blocks - 1]!));
    expect(summary.problems.length).toBe(summary.bytesLeftBehind > 0 ? 1 : 0);
  }
  for (let size = 0; size < 16; size++) {
    writeFileSync(cut, whole.subarray(0, size));
    expect(codeOf(() => readEvents(cut))).toMatch(/^not-klog: /);
  }
});

test("appending cuts a torn tail off first", () => {
  using dir = tempDir();
  const path = dir.file("a.klog");
  writeEvents(path, EVENTS.slice(0, 2));
  const good = statSync(path).size;
  for (const tail of [1, 5, 31, 33, 60]) {
    writeEvents(path, EVENTS.slice(2, 4));
    truncateSync(path, Math.min(good + tail, statSync(path).size - 1));
    const torn = statSync(path).size - good;
    const writer = KlogWriter.open(path, new SchemaRegistry());
    expect(writer.bytesCutOff).toBe(torn);
    writer.close();
    expect(statSync(path).size).toBe(good);
  }
  for (const size of [0, 7, 15]) {
    truncateSync(path, size);
    writeEvents(path, EVENTS.slice(0, 1));
    expect(readEvents(path).events).toEqual(EVENTS.slice(0, 1));
  }
});

test("a damaged block in the middle is stepped over and located", () => {
  using dir = tempDir();
  const path = dir.file("a.klog");
  const ends: number[] = [];
  for (let block = 0; block < 3; block++) {
    writeEvents(path, EVENTS.slice(block * 5, block * 5 + 5));
    ends.push(statSync(path).size);
  }
  const bytes = readFileSync(path);
  bytes[ends[1]! - 3]! ^= 0x40;
  writeFileSync(path, bytes);
  const { events, summary } = readEvents(path);
  expect(events).toEqual([...EVENTS.slice(0, 5), ...EVENTS.slice(10, 15)]);
  expect(summary.recordsDamaged).toBe(5);
  expect(summary.problems).toEqual([{ offset: ends[0]!, message: "block checksum does not fit" }]);
  // A damaged header cannot say where the next block is: everything behind it is left behind.
  bytes[ends[0]! + 8]! ^= 1;
  writeFileSync(path, bytes);
  const stopped = readEvents(path);
  expect(stopped.events).toEqual(EVENTS.slice(0, 5));
  expect(stopped.summary.bytesLeftBehind).toBe(bytes.length - ends[0]!);
});

test("flipped bytes anywhere never throw, and give only events that were written", () => {
  using dir = tempDir();
  const path = dir.file("a.klog");
  writeEvents(path, EVENTS, { blockRecords: 5, compress: false });
  const whole = readFileSync(path);
  const known = new Set(readEvents(path).events.map((event) => JSON.stringify(event)));
  expect(known.size).toBe(EVENTS.length);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 16, max: whole.length - 1 }), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 5 }),
      (flips) => {
        const bytes = Buffer.from(whole);
        for (const [at, mask] of flips) bytes[at]! ^= mask;
        writeFileSync(path, bytes);
        for (const event of readEvents(path).events) expect(known.has(JSON.stringify(event))).toBe(true);
      },
    ),
    propertyOptions(100),
  );
});

test("added fields and categories are found by name in another registry", () => {
  using dir = tempDir();
  const path = dir.file("a.klog");
  const writing = new SchemaRegistry();
  writing.add({ name: "custom.a", type: "u64" });
  writing.categories.intern("strange");
  const writer = KlogWriter.open(path, writing, { blockRecords: 1 });
  append(writer, new JsonDecoder(writing), { custom: { a: 5 }, event: { category: ["strange"] } });
  // Names that come later are written before the records that use them.
  writing.add({ name: "custom.b", type: "keyword" });
  append(writer, new JsonDecoder(writing), { custom: { a: 6, b: "x" } });
  writer.close();
  const reading = new SchemaRegistry();
  reading.add({ name: "first.here", type: "bool" });
  reading.add({ name: "custom.b", type: "keyword" });
  reading.categories.intern("other");
  const reader = KlogReader.open(path, reading);
  const view = new RecordView();
  const first = reader.next()!;
  view.reset(first.bytes, first.offsets[0]!);
  expect(view.value(reading.idOf("custom.a"))).toBe(5n);
  expect(reading.categories.nameOf(view.category)).toBe("strange");
  const second = reader.next()!;
  view.reset(second.bytes, second.offsets[0]!);
  expect(view.value(reading.idOf("custom.a"))).toBe(6n);
  expect(view.value(reading.idOf("custom.b"))).toBe("x");
  expect(Array.from({ length: view.fieldCount }, (_, index) => view.idAt(index))).toEqual(
    ["custom.b", "custom.a"].map((name) => reading.idOf(name)),
  );
  const direct = new JsonDecoder(reading);
  direct.decode('{"custom":{"a":6,"b":"x"}}');
  expect(view.shape).toBe(new RecordView().reset(direct.builder.bytes, 0).shape);
  expect(reader.next()).toBeUndefined();
  reader.close();
  reader.close();
});

test("a field of another type is refused by name", () => {
  using dir = tempDir();
  const path = dir.file("a.klog");
  const writing = new SchemaRegistry();
  writing.add({ name: "custom.a", type: "u64" });
  const writer = KlogWriter.open(path, writing);
  append(writer, new JsonDecoder(writing), { custom: { a: 5 } });
  writer.close();
  const reading = new SchemaRegistry();
  reading.add({ name: "custom.a", type: "keyword" });
  expect(codeOf(() => readEvents(path, reading))).toMatch(/^field-conflict: .*"custom\.a" is already keyword, it cannot also be u64/);
});

test("other files are refused, by reader and writer", () => {
  using dir = tempDir();
  const path = dir.file("x");
  writeFileSync(path, "a text file that is long enough to be one\n".repeat(10));
  expect(codeOf(() => readEvents(path))).toMatch(/^not-klog: ".*" is not a \.klog file: it does not start as one/);
  expect(codeOf(() => KlogWriter.open(path, new SchemaRegistry()))).toMatch(/^not-klog/);
  expect(codeOf(() => readEvents(dir.file("missing")))).toMatch(/^cannot-open: .*ENOENT/);
  expect(codeOf(() => KlogWriter.open(dir.file("no/such/folder"), new SchemaRegistry()))).toMatch(/^cannot-open: .*ENOENT/);
  expect(codeOf(() => readEvents(dir.path))).toMatch(/^cannot-(read|open): .*EISDIR/);
  writeEvents(path.concat(".klog"), EVENTS);
  const bytes = readFileSync(path.concat(".klog"));
  bytes.writeUInt32LE(2, 8);
  bytes.writeUInt32LE(Bun.hash.crc32(bytes.subarray(0, 12)), 12);
  writeFileSync(path, bytes);
  expect(codeOf(() => readEvents(path))).toMatch(/^newer-version: .*version 2, this Kestrel reads up to 1/);
  expect(codeOf(() => KlogWriter.open(path, new SchemaRegistry()))).toMatch(/^newer-version/);
});

test("a closed writer takes nothing, closing twice is fine", () => {
  using dir = tempDir();
  const registry = new SchemaRegistry();
  const writer = KlogWriter.open(dir.file("a.klog"), registry);
  append(writer, new JsonDecoder(registry), EVENTS[0]);
  writer.flush();
  writer.flush();
  expect(writer.recordsWritten).toBe(1);
  writer.close();
  writer.close();
  expect(codeOf(() => append(writer, new JsonDecoder(registry), EVENTS[0]))).toMatch(/^cannot-write: .*it is closed/);
});

test("a disk that fills up loses blocks, counts them, and the file stays readable", async () => {
  using dir = tempDir();
  const path = dir.file("a.klog");
  const script = Bun.fileURLToPath(import.meta.resolve("./full-disk-child.ts"));
  // A file size limit stands for the full disk: 16 KiB, its signal ignored, so that the write fails half-way.
  const child = Bun.spawn(["bash", "-c", 'trap "" XFSZ; ulimit -f 16; exec "$0" "$@"', process.execPath, script, path], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const counted = JSON.parse(await child.stdout.text()) as { written: number; lost: number; size: number; failures: string[] };
  expect(counted.failures[0]).toMatch(/^cannot-write: Cannot write ".*a\.klog": .*EFBIG/);
  expect(counted.written + counted.lost).toBe(300);
  expect(counted.written).toBeGreaterThan(10);
  const { events, summary } = readEvents(path);
  expect(events.length).toBe(counted.written);
  expect(summary.bytesLeftBehind).toBe(0);
  expect(statSync(path).size).toBe(counted.size);
});

test("a device that takes nothing is an error with its name", () => {
  expect(codeOf(() => KlogWriter.open("/dev/full", new SchemaRegistry()))).toMatch(/^cannot-write: Cannot write "\/dev\/full": .*ENOSPC/);
});
