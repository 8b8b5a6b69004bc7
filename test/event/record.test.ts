// Builder, view and validator: what goes in comes out, limits cut and flag, and no damaged bytes let a view read outside.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { packKeywords, RecordBuilder, RecordView, recordSize, setRecordSeq, validateRecord } from "#event";
import {
  ARRAY_ELEMENTS_MAX,
  EntryFlag,
  type FieldType,
  type FieldValue,
  RECORD_BYTES_MAX,
  RECORD_FIELDS_MAX,
  RecordFlag,
  STRING_BYTES_MAX,
} from "#schema";
import { propertyOptions } from "./property.ts";

const builder = new RecordBuilder();
const view = new RecordView();

function finish(): RecordView {
  const size = builder.finish();
  expect(validateRecord(builder.bytes, 0, size)).toBeUndefined();
  expect(recordSize(builder.bytes, 0)).toBe(size);
  return view.reset(builder.bytes.slice(0, size), 0);
}

const i64 = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const text = fc.string({ unit: "binary", maxLength: 60 });
const f64 = fc.double({ noNaN: true, noDefaultInfinity: true });
const address = fc.oneof(fc.ipV4(), fc.constantFrom("::1", "2001:db8::1", "fe80::a:b"));

function valuesOf(type: FieldType): fc.Arbitrary<FieldValue> {
  const scalars: Readonly<Record<FieldType, fc.Arbitrary<bigint | string | number | boolean>>> = {
    keyword: text,
    "keyword[]": text,
    i64,
    u64,
    f64,
    bool: fc.boolean(),
    ip: address,
    date: i64,
  };
  return fc.oneof(scalars[type], fc.array(scalars[type], { minLength: 1, maxLength: 6 })) as fc.Arbitrary<FieldValue>;
}

const fieldType = fc.constantFrom<FieldType>("keyword", "keyword[]", "i64", "u64", "f64", "bool", "ip", "date");
const field = fieldType.chain((type) => fc.tuple(fc.integer({ min: 1, max: 65_000 }), fc.constant(type), valuesOf(type)));

test("a record prepared for reading all of it reads the same", () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 12 }), fc.string({ unit: "grapheme-ascii", maxLength: 9 }), (list, ascii) => {
      builder.begin(0, 0n);
      builder.keywords(1, [...list, ascii]);
      // Where a character that is not ASCII stands decides which word has it.
      for (let length = 0; length < 9; length++) builder.keyword(2 + length, `${"x".repeat(length)}é`);
      const plain = finish();
      const values = Array.from({ length: plain.fieldCount }, (_, index) => plain.valueAt(index));
      plain.readAll();
      expect(Array.from({ length: plain.fieldCount }, (_, index) => plain.valueAt(index))).toEqual(values);
    }),
    propertyOptions(200),
  );
});

test("fields that were packed are the same bytes wherever they go, and stay out of a full record", () => {
  const fields = fc.array(field, { maxLength: 12 });
  fc.assert(
    fc.property(fields, fields, fields, (before, packed, other) => {
      const set = (list: typeof before): void => {
        for (const [id, type, value] of list) builder.value(id, type, value);
      };
      builder.begin(0, 0n);
      set(before);
      const mark = builder.mark();
      set(packed);
      const piece = builder.pack(mark)!;
      builder.begin(0, 0n);
      set(other);
      set(packed);
      set(before);
      const plain = finish().copy();
      builder.begin(0, 0n);
      set(other);
      expect(builder.fieldsPacked(piece)).toBe(true);
      set(before);
      expect(finish().copy()).toEqual(plain);
    }),
    propertyOptions(200),
  );
  builder.begin(0, 0n);
  const mark = builder.mark();
  for (let id = 1; id <= 20; id++) builder.bool(id, true);
  const piece = builder.pack(mark)!;
  builder.begin(0, 0n);
  for (let id = 1; id <= RECORD_FIELDS_MAX - 19; id++) builder.bool(100 + id, true);
  expect(builder.fieldsPacked(piece)).toBe(false);
  expect(finish().fieldCount).toBe(RECORD_FIELDS_MAX - 19);
});

test("what was cut is not packed", () => {
  builder.begin(0, 0n);
  const mark = builder.mark();
  builder.keyword(1, "x".repeat(STRING_BYTES_MAX + 1));
  expect(builder.pack(mark)).toBeUndefined();
});

test("an integer without a bigint is the same, or none where a number cannot hold it", () => {
  fc.assert(
    fc.property(i64, u64, (signed, unsigned) => {
      builder.begin(0, 0n);
      builder.i64(1, signed);
      builder.u64(2, unsigned);
      builder.i64(3, BigInt.asIntN(53, signed));
      const record = finish();
      for (const [index, value] of [signed, unsigned, BigInt.asIntN(53, signed)].entries()) {
        const number = Number(value);
        expect(record.integerAt(index)).toBe(Number.isSafeInteger(number) ? number : undefined);
      }
    }),
    propertyOptions(500),
  );
});

test("every value comes back, in id order, whatever the order of setting", () => {
  fc.assert(
    fc.property(fc.array(field, { maxLength: 40 }), i64, fc.nat(4095), (fields, timeNs, category) => {
      builder.begin(category, timeNs);
      const last = new Map<number, FieldValue>();
      for (const [id, type, value] of fields) {
        expect(builder.value(id, type, value)).toBe(true);
        last.set(id, value);
      }
      const record = finish();
      expect(record.category).toBe(category);
      expect(record.timeNs).toBe(timeNs);
      expect(BigInt.asIntN(64, (BigInt(record.timeHi) << 32n) | BigInt(record.timeLo))).toBe(timeNs);
      const ids = [...last.keys()].sort((a, b) => a - b);
      expect(Array.from({ length: record.fieldCount }, (_, index) => record.idAt(index))).toEqual(ids);
      for (const id of ids) expect(record.value(id)).toEqual(last.get(id)!);
      expect(record.value(65_001)).toBeUndefined();
    }),
    propertyOptions(400),
  );
});

test("no flipped bytes let a view read outside the record", () => {
  let accepted = 0;
  fc.assert(
    fc.property(
      fc.array(field, { minLength: 1, maxLength: 10 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      (fields, flips) => {
        builder.begin(1, 0n);
        for (const [id, type, value] of fields) builder.value(id, type, value);
        const size = builder.finish();
        // Behind the record stands a fence: a view that reads it returns its bytes.
        const bytes = new Uint8Array(size + 4096).fill(0xee);
        bytes.set(builder.bytes.subarray(0, size));
        // Half of the flips go to the header and entries, where they can do harm.
        for (const [where, byte] of flips) bytes[where % 2 === 0 ? where % size : where % Math.min(size, 120)] = byte;
        if (validateRecord(bytes, 0, size) !== undefined) return;
        accepted++;
        const record = view.reset(bytes, 0);
        const within = recordSize(bytes, 0);
        expect(within).toBeLessThanOrEqual(size);
        const cut = new RecordView().reset(bytes.slice(0, within), 0);
        for (let index = 0; index < record.fieldCount; index++) expect(cut.valueAt(index)).toEqual(record.valueAt(index));
      },
    ),
    propertyOptions(600),
  );
  expect(accepted).toBeGreaterThan(0);
});

// Words of a record of three fields (1: keyword, 2: list of two numbers, 3: bool), changed; the shape is made to fit again.
const DAMAGES: readonly (readonly [name: string, change: (words: Uint32Array) => void, problem: RegExp])[] = [
  ["size", (words) => words.fill(12, 0, 1), /record size 12 is impossible/],
  ["size beyond the bytes", (words) => words.fill(4096, 0, 1), /record of 4096 bytes is cut off/],
  ["field count", (words) => words.fill(900 << 16, 1, 2), /900 fields do not fit/],
  ["equal ids", (words) => words.fill(words[8]!, 10, 11), /not ascending at entry 1/],
  ["type", (words) => words.fill(1 | (9 << 16), 8, 9), /field 1: unknown type 9/],
  ["flags", (words) => words.fill(1 | (8 << 24), 8, 9), /field 1: unknown flags 8/],
  ["offset in the header", (words) => words.fill(8, 9, 10), /field 1: value offset 8 is outside/],
  ["offset behind the record", (words) => words.fill(1 << 20, 9, 10), /field 1: value offset 1048576 is outside/],
  ["crooked offset", (words) => words.fill(words[9]! + 4, 9, 10), /field 1: value offset \d+ is outside/],
  ["string length", (words) => words.fill(5000, words[9]! / 4, words[9]! / 4 + 1), /field 1: string of 5000 bytes/],
  ["list length", (words) => words.fill(5000, words[11]! / 4, words[11]! / 4 + 1), /field 2: list of 5000/],
  ["empty list", (words) => words.fill(0, words[11]! / 4, words[11]! / 4 + 1), /field 2: list of 0/],
  ["element offset", (words) => words.fill(0, words[11]! / 4 + 1, words[11]! / 4 + 2), /field 2: value offset 0 is outside/],
  ["boolean", (words) => words.fill(7, 13, 14), /field 3: boolean is 7/],
];

for (const [name, change, problem] of DAMAGES) {
  test(`no record: ${name}`, () => {
    builder.begin(1, 0n);
    builder.keyword(1, "text");
    builder.value(2, "i64", [1n, 2n]);
    builder.bool(3, true);
    const bytes = builder.bytes.slice(0, builder.finish());
    const words = new Uint32Array(bytes.buffer);
    change(words);
    let shape = 0x811c9dc5;
    for (const head of [words[8]!, words[10]!, words[12]!]) shape = Math.imul(shape ^ head, 0x01000193);
    words[2] = shape;
    expect(validateRecord(bytes, 0, bytes.length)).toMatch(problem);
  });
}

test("no record: one string shared by many elements, a shape of other fields, a crooked start", () => {
  builder.begin(1, 0n);
  builder.keywords(1, ["x".repeat(1000), "a", "b", "c"]);
  const bytes = builder.bytes.slice(0, builder.finish());
  const words = new Uint32Array(bytes.buffer);
  const list = words[9]! / 4;
  words.fill(words[list + 1]!, list + 2, list + 5);
  expect(validateRecord(bytes, 0, bytes.length)).toMatch(/field 1: strings overlap/);
  words[2]! ^= 1;
  words.fill(words[list + 1]!, list + 2, list + 3);
  expect(validateRecord(bytes, 4, bytes.length)).toMatch(/not a multiple of 8/);
  expect(validateRecord(bytes, 0, 8)).toMatch(/header is cut off/);
  builder.begin(1, 0n);
  builder.bool(1, true);
  const small = builder.bytes.slice(0, builder.finish());
  small[8]! ^= 1;
  expect(validateRecord(small, 0, small.length)).toMatch(/shape hash/);
});

test("random bytes are no record", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      if (validateRecord(bytes, 0, bytes.length) !== undefined) return;
      const record = new RecordView().reset(bytes.slice(), 0);
      for (let index = 0; index < record.fieldCount; index++) record.valueAt(index);
    }),
    propertyOptions(300),
  );
});

test("a long string is cut at a code point and flagged", () => {
  for (const unit of ["a", "é", "€", "😀"]) {
    builder.begin(0, 0n);
    builder.keyword(5, unit.repeat(STRING_BYTES_MAX + 1));
    builder.keyword(6, "whole");
    const record = finish();
    const bytes = new TextEncoder().encode(unit).length;
    expect(record.string(5)).toBe(unit.repeat(Math.floor(STRING_BYTES_MAX / bytes)));
    expect(record.flags & RecordFlag.Truncated).toBe(RecordFlag.Truncated);
    expect(record.flagsAt(0)).toBe(EntryFlag.Truncated);
    expect(record.flagsAt(1)).toBe(0);
    const raw = new TextEncoder().encode(unit.repeat(STRING_BYTES_MAX + 1));
    builder.begin(0, 0n);
    builder.keywordBytes(5, raw, 0, raw.length);
    expect(finish().string(5)).toBe(unit.repeat(Math.floor(STRING_BYTES_MAX / bytes)));
  }
});

test("a string of exactly the limit is whole", () => {
  builder.begin(0, 0n);
  builder.keyword(5, "a".repeat(STRING_BYTES_MAX));
  const record = finish();
  expect(record.flags).toBe(0);
  expect(record.string(5)?.length).toBe(STRING_BYTES_MAX);
});

test("a record never passes its limit, numbers set last still fit", () => {
  builder.begin(0, 0n);
  for (let id = 1; id <= 20; id++) builder.keyword(id, "x".repeat(STRING_BYTES_MAX));
  builder.keywords(21, ["a", "b"]);
  for (let id = 100; id < 100 + RECORD_FIELDS_MAX - 21; id++) builder.i64Number(id, id);
  const record = finish();
  expect(record.size).toBeLessThanOrEqual(RECORD_BYTES_MAX);
  expect(record.fieldCount).toBe(RECORD_FIELDS_MAX);
  expect(record.value(100)).toBe(100n);
  expect(record.flags & RecordFlag.Truncated).toBe(RecordFlag.Truncated);
});

test("more fields than the limit are dropped and flagged, also when one field is set for ever", () => {
  builder.begin(0, 0n);
  for (let id = 1; id <= RECORD_FIELDS_MAX + 10; id++) builder.i64Number(id, id);
  let record = finish();
  expect(record.fieldCount).toBe(RECORD_FIELDS_MAX);
  expect(record.flags & RecordFlag.Truncated).toBe(RecordFlag.Truncated);
  builder.begin(0, 0n);
  for (let round = 0; round < 50_000; round++) builder.keyword(7, "again and again and again");
  record = finish();
  expect(record.size).toBeLessThan(RECORD_BYTES_MAX);
  expect(record.fieldCount).toBe(1);
});

test("a long list is cut and flagged", () => {
  builder.begin(0, 0n);
  builder.keywords(5, new Array(ARRAY_ELEMENTS_MAX + 1).fill("x"));
  const record = finish();
  expect(record.strings(5).length).toBe(ARRAY_ELEMENTS_MAX);
  expect(record.flagsAt(0)).toBe(EntryFlag.Array | EntryFlag.Truncated);
  builder.begin(0, 0n);
  builder.keywords(5, new Array(12).fill("y".repeat(STRING_BYTES_MAX)));
  expect(finish().size).toBeLessThanOrEqual(RECORD_BYTES_MAX);
});

test("broken UTF-8 becomes U+FFFD", () => {
  const raw = Uint8Array.of(0x61, 0xff, 0x62, 0xe2, 0x82);
  builder.begin(0, 0n);
  builder.keywordBytes(5, raw, 0, raw.length);
  builder.beginKeywords(6);
  builder.pushKeywordBytes(raw, 0, 3);
  builder.pushKeyword("\ud800");
  builder.endKeywords();
  const record = finish();
  expect(record.string(5)).toBe("a\ufffdb\ufffd");
  expect(record.value(6)).toEqual(["a\ufffdb", "\ufffd"]);
});

test("values that do not fit are refused and leave nothing", () => {
  builder.begin(0, 0n);
  expect(builder.f64(1, Number.NaN)).toBe(false);
  expect(builder.f64(1, Number.POSITIVE_INFINITY)).toBe(false);
  expect(builder.i64(2, 1n << 63n)).toBe(false);
  expect(builder.u64(3, -1n)).toBe(false);
  expect(builder.u64Number(3, -1)).toBe(false);
  expect(builder.i64Number(2, 1.5)).toBe(false);
  expect(builder.i64Number(2, 2 ** 53)).toBe(false);
  expect(builder.ip(4, "nowhere")).toBe(false);
  expect(builder.value(5, "keyword", 5)).toBe(false);
  expect(builder.value(5, "keyword[]", ["a", 5])).toBe(false);
  expect(builder.value(6, "bool", [])).toBe(true);
  expect(finish().fieldCount).toBe(0);
});

test("number setters, list readers and sequence numbers", () => {
  builder.begin2(4, 5, -1);
  builder.i64Number(1, -5);
  builder.u64Words(2, 0xffffffff, 0xffffffff);
  builder.u64Number(3, 2 ** 40);
  builder.dateWords(4, 1, 0);
  builder.keyword(5, "one");
  builder.ipBytes(6, Uint8Array.of(10, 0, 0, 1), 0, 4);
  const record = finish();
  const bytes = record.copy();
  setRecordSeq(bytes, 0, 7, 1);
  view.reset(bytes, 0);
  expect([view.value(1), view.value(2), view.value(3), view.value(4)]).toEqual([-5n, (1n << 64n) - 1n, 1n << 40n, 1n]);
  expect(view.strings(5)).toEqual(["one"]);
  expect(view.string(6)).toBe("10.0.0.1");
  expect(view.number(1)).toBe(-5);
  expect(view.number(5)).toBeUndefined();
  expect(view.seq).toBe((1n << 32n) + 7n);
  expect(view.timeHi).toBe(-1);
});

test("equal fields have equal shapes, other types another", () => {
  const shapeOf = (set: () => void): number => {
    builder.begin(0, 0n);
    set();
    return finish().shape;
  };
  const first = shapeOf(() => {
    builder.keyword(1, "a");
    builder.i64Number(2, 1);
  });
  const second = shapeOf(() => {
    builder.i64Number(2, 99);
    builder.keyword(1, "other text");
  });
  const third = shapeOf(() => {
    builder.keyword(1, "a");
    builder.u64Number(2, 1);
  });
  expect(second).toBe(first);
  expect(third).not.toBe(first);
});

test("a packed list gives the bytes that the list itself gives, cut where that is cut", () => {
  const filled = (list: readonly string[], isPacked: boolean): Buffer => {
    builder.begin(1, 5n);
    builder.keyword(1, "before");
    if (isPacked) builder.keywordsPacked(7, packKeywords(list));
    else builder.keywords(7, list);
    builder.keywords(8, ["behind"]);
    finish();
    return Buffer.from(builder.bytes.subarray(0, recordSize(builder.bytes, 0)));
  };
  const same = (list: readonly string[]): void => {
    expect(filled(list, true).equals(filled(list, false))).toBe(true);
  };
  fc.assert(fc.property(fc.array(text, { maxLength: 50 }), same), propertyOptions(500));
  same(new Array(ARRAY_ELEMENTS_MAX + 1).fill("x"));
  same(["a", "\ud800", "y".repeat(STRING_BYTES_MAX + 1)]);
  same(new Array(12).fill("y".repeat(100 << 10)));
});
