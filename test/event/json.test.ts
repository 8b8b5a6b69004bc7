// JSON → record → JSON: the same values on every type, nested or flat; hostile lines are answers, never exceptions.
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  type DecodeProblem,
  encodeJson,
  JsonDecoder,
  type JsonObject,
  type JsonValue,
  parseJson,
  RecordView,
  validateRecord,
} from "#event";
import { CATEGORY_NONE, CATEGORY_OTHER, CATEGORY_SEVERAL, RecordFlag, SchemaRegistry } from "#schema";
import { propertyOptions } from "./property.ts";

const registry = new SchemaRegistry();
registry.add({ name: "custom.count", type: "u64" });
const decoder = new JsonDecoder(registry);
const view = new RecordView();

function decodeWith(with_: JsonDecoder, line: string): RecordView {
  const size = with_.decode(line);
  if (typeof size !== "number") throw new Error(size.message);
  expect(validateRecord(with_.builder.bytes, 0, size)).toBeUndefined();
  return view.reset(with_.builder.bytes.slice(0, size), 0);
}

const decode = (line: string): RecordView => decodeWith(decoder, line);
const problemOf = (line: string): string => (decoder.decode(line) as DecodeProblem).message;

/** JSON text with exact integers; what the encoder's values print as. */
function print(value: JsonValue): string {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map(print).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    return `{${Object.entries(value as JsonObject)
      .map(([key, item]) => `${JSON.stringify(key)}:${print(item)}`)
      .join(",")}}`;
  }
  return JSON.stringify(value);
}

function read(text: string): JsonValue {
  const parsed = parseJson(text);
  if ("problem" in parsed) throw new Error(`${parsed.problem}: ${text}`);
  return parsed.value;
}

const encode = (line: string): JsonValue => read(print(encodeJson(decode(line), registry)));

const sameText: readonly string[] = [
  `{"process":{"name":"bash","pid":4242,"args":["bash","-c","id"]}}`,
  `{"@timestamp":"2024-05-01T10:00:00.123Z","event":{"category":["process"],"type":["start"]}}`,
  `{"@timestamp":"2024-05-01T10:00:00Z"}`,
  `{"@timestamp":"2024-05-01T10:00:00.123456789Z","event":{"created":"2024-05-01T12:00:00+02:00","end":1714557600123}}`,
  `{"@timestamp":1714557600123}`,
  `{"@timestamp":"not a time"}`,
  `{"process":{"pid":-9223372036854775808,"parent":{"pid":9223372036854775807}},"custom":{"count":18446744073709551615}}`,
  `{"process":{"pid":9223372036854775808}}`,
  `{"custom":{"count":-1}}`,
  `{"custom":{"count":18446744073709551616,"other":340282366920938463463374607431768211456}}`,
  `{"event":{"risk_score":0.1,"severity":1.5,"code":4688}}`,
  `{"event":{"risk_score":9007199254740993}}`,
  `{"event":{"risk_score":"12.5","severity":"7"},"process":{"interactive":"true","pid":"12"}}`,
  `{"process":{"interactive":true,"name":false,"pid":true}}`,
  `{"source":{"ip":"10.0.0.1","port":443},"destination":{"ip":"2001:DB8:0:0::1"},"host":{"ip":["::ffff:10.0.0.1","fe80::1%eth0","x"]}}`,
  `{"process":{"name":null,"args":[],"hash":{},"parent":null}}`,
  `{"process":{"args":["a",null,"b",1,true,{"x":1},["y"]],"pid":[1,2,3],"exit_code":[1,"2",null]}}`,
  `{"dns":{"answers":[{"name":"a.example","ttl":60,"data":"10.0.0.1"},{"name":"b.example","odd":1}]}}`,
  `{"dns":{"answers":[]}}`,
  `{"unknown":{"deep":{"er":[1,{"a":[]}]}},"other":"x"}`,
  `{"process":{"name":"x","nothing":{"known":1}},"process.parent.odd":2}`,
  `{"process":5}`,
  `{"process":{"name":{"first":"a"}}}`,
  `{"__proto__":{"polluted":true},"constructor":1,"process":{"__proto__":2,"toString":3}}`,
  `{"kestrel":{"extra":"{\\"process\\":1}","tiebreaker":5}}`,
  `{"message":"\\u0000\\ud83d\\ude00\\b\\f\\n\\r\\t\\/\\\\\\"","labels":"\\ud800"}`,
  `{"":1,"process":{"":2}}`,
  `{"zz":{"":{"":false},".":0},"a":{"b":2},"a.b":1}`,
  `{"process":{"odd":{"b":2},"odd.b":1},"process.odd":3}`,
  `{}`,
];

for (const line of sameText) {
  test(`identity ${line.slice(0, 90)}`, () => {
    expect(encode(line)).toEqual(read(line));
    expect(encode(` ${print(encodeJson(decode(line), registry))}\r\n`)).toEqual(read(line));
  });
}

const KNOWN: Readonly<Record<string, fc.Arbitrary<JsonValue>>> = (() => {
  const text = fc.string({ unit: "binary", maxLength: 40 });
  const integer = fc.oneof(fc.integer(), fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }));
  const listOr = (item: fc.Arbitrary<JsonValue>): fc.Arbitrary<JsonValue> => fc.oneof(item, fc.array(item, { maxLength: 4 }));
  return {
    "process.name": listOr(text),
    "process.args": listOr(text),
    "process.pid": listOr(integer),
    "custom.count": listOr(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })),
    "event.risk_score": listOr(fc.double({ noNaN: true, noDefaultInfinity: true })),
    "process.interactive": listOr(fc.boolean()),
    "source.ip": listOr(fc.oneof(fc.ipV4(), fc.ipV6())),
    "event.created": listOr(
      fc.date({ min: new Date("1700-01-01"), max: new Date("2200-01-01"), noInvalidDate: true }).map((date) => date.toISOString()),
    ),
    "@timestamp": listOr(fc.integer({ min: -1e9, max: 2e9 })),
    "event.category": listOr(fc.constantFrom("process", "file", "odd")),
  };
})();

/** Integers as parsing gives them, -0 as JSON prints it, nothing else changed. */
const normal = (value: JsonValue): JsonValue => read(print(value));

function nest(flat: Readonly<Record<string, JsonValue>>): JsonObject {
  const result: JsonObject = {};
  for (const [name, value] of Object.entries(flat)) {
    const path = name.split(".");
    let target = result;
    for (const key of path.slice(0, -1)) {
      target[key] ??= {};
      target = target[key] as JsonObject;
    }
    target[path.at(-1)!] = value;
  }
  return result;
}

const wrongValue: fc.Arbitrary<JsonValue> = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<JsonValue>;
const knownFields = fc.record(KNOWN, { requiredKeys: [] }) as fc.Arbitrary<Record<string, JsonValue>>;

test("identity on every type, nested and flat, 64-bit integers and unicode", () => {
  fc.assert(
    fc.property(
      knownFields,
      fc.dictionary(fc.constantFrom("zz", "über", "a-b", "process9"), wrongValue),
      fc.boolean(),
      (known, unknown, flat) => {
        const whole = nest({ ...known, ...unknown });
        const line = print(flat ? { ...known, ...unknown } : whole);
        expect(encode(line)).toEqual(normal(whole));
      },
    ),
    propertyOptions(500),
  );
});

test("identity when known names hold anything", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...Object.keys(KNOWN)), wrongValue), (fields) => {
      const whole = nest(fields);
      expect(encode(print(whole))).toEqual(normal(whole));
    }),
    propertyOptions(500),
  );
});

test("identity of 64 KiB strings, escaped or not, known or not", () => {
  for (const unit of ["x", "ü", "😀", "\n", '"']) {
    const text = unit.repeat(65_536 / new TextEncoder().encode(unit).length);
    for (const value of [{ process: { command_line: text } }, { odd: text }, { process: { args: [text, text] } }]) {
      expect(encode(JSON.stringify(value))).toEqual(value);
    }
  }
});

test("nested and flat keys are the same event", () => {
  const flat = decode(`{"process.name":"x","process.parent":{"name":"y"},"event.category":"process"}`).copy();
  const nested = decode(`{"process":{"name":"x","parent":{"name":"y"}},"event":{"category":"process"}}`).copy();
  expect(flat).toEqual(nested);
  expect(decode(`{"process":{"parent.name":"z"}}`).string(registry.idOf("process.parent.name"))).toBe("z");
  expect(decode(`{"pro\\u0063ess":{"name":"z"}}`).string(registry.idOf("process.name"))).toBe("z");
});

test("what a field can match is in it, although the text is kept beside it", () => {
  const record = decode(
    `{"process":{"pid":"12","interactive":"true","args":["a",null,7],"name":5,"exit_code":null},"host":{"ip":"::ffff:10.0.0.1"},
      "dns":{"answers":[{"name":"a","ttl":1},{"name":"b","ttl":2}]},"event":{"created":1714557600123}}`,
  );
  const fieldOf = (name: string): unknown => record.value(registry.idOf(name));
  expect(fieldOf("process.pid")).toBe(12n);
  expect(fieldOf("process.interactive")).toBe(true);
  expect(fieldOf("process.args")).toEqual(["a", "7"]);
  expect(fieldOf("process.name")).toBe("5");
  expect(fieldOf("process.exit_code")).toBeUndefined();
  expect(fieldOf("host.ip")).toBe("10.0.0.1");
  expect(fieldOf("dns.answers.name")).toEqual(["a", "b"]);
  expect(fieldOf("dns.answers.ttl")).toEqual([1n, 2n]);
  expect(fieldOf("event.created")).toBe(1_714_557_600_123_000_000n);
});

test("the last of several values of one field counts", () => {
  expect(decode(`{"process":{"name":"a","name":"b"},"process.name":"c"}`).string(registry.idOf("process.name"))).toBe("c");
  expect(encode(`{"process":{"name":"a"},"process.name":"c"}`)).toEqual({ process: { name: "c" } });
  expect(encode(`{"process":{"pid":"12"},"process.pid":13}`)).toEqual({ process: { pid: 13 } });
  expect(encode(`{"process":{"pid":13},"process.pid":"12"}`)).toEqual({ process: { pid: "12" } });
});

test("an event that fits its fields keeps nothing beside them", () => {
  const record = decode(`{"@timestamp":"2024-05-01T10:00:00.123Z","process":{"name":"a","pid":1,"args":["x"]},"source":{"ip":"10.0.0.1"}}`);
  expect(record.has(registry.idOf("kestrel.extra"))).toBe(false);
});

const CATEGORIES: readonly (readonly [line: string, category: number])[] = [
  [`{}`, CATEGORY_NONE],
  [`{"event":{"category":"process"}}`, registry.categories.idOf("process")],
  [`{"event":{"category":["file"]}}`, registry.categories.idOf("file")],
  [`{"event":{"category":["file","process"]}}`, CATEGORY_SEVERAL],
  [`{"event":{"category":"strange"}}`, CATEGORY_OTHER],
  [`{"event":{"category":[]}}`, CATEGORY_NONE],
  [`{"event":{"category":null}}`, CATEGORY_NONE],
];

for (const [line, category] of CATEGORIES) test(`category of ${line}`, () => expect(decode(line).category).toBe(category));

const TIMES: readonly (readonly [value: string, unit: "auto" | "s" | "ms" | "us" | "100ns" | "ns", timeNs: bigint | undefined])[] = [
  [`"2024-05-01T10:00:00.5Z"`, "auto", 1_714_557_600_500_000_000n],
  [`"2024-05-01 10:00:00"`, "auto", 1_714_557_600_000_000_000n],
  [`"2024-05-01T12:00:00+0200"`, "auto", 1_714_557_600_000_000_000n],
  [`"1969-12-31T23:59:59.999999999Z"`, "auto", -1n],
  [`"2024-02-30T00:00:00Z"`, "auto", undefined],
  [`"2300-01-01T00:00:00Z"`, "auto", undefined],
  [`1714557600123`, "auto", 1_714_557_600_123_000_000n],
  [`"1714557600123"`, "auto", 1_714_557_600_123_000_000n],
  [`1714557600`, "auto", 1_714_557_600_000_000_000n],
  [`999999999`, "auto", 999_999_999_000_000n],
  [`1714557600.25`, "auto", 1_714_557_600_250_000_000n],
  [`1714557600123456`, "auto", 1_714_557_600_123_456_000n],
  [`1714557600123456789`, "auto", 1_714_557_600_123_456_789n],
  [`116444736000000000`, "auto", 0n],
  [`131485996510000001`, "auto", 1_504_126_051_000_000_100n],
  [`1`, "auto", 1_000_000n],
  [`-1`, "auto", -1_000_000n],
  [`1714557600`, "s", 1_714_557_600_000_000_000n],
  [`1714557600123456`, "us", 1_714_557_600_123_456_000n],
  [`5`, "ns", 5n],
  [`116444736000000001`, "100ns", 100n],
  [`99999999999999999999999999`, "auto", undefined],
  [`1e300`, "auto", undefined],
  [`null`, "auto", undefined],
  [`{"a":1}`, "auto", undefined],
];

for (const [value, unit, timeNs] of TIMES) {
  test(`time ${value} as ${unit}`, () => {
    const timed = new JsonDecoder(registry, { timestampField: "when", timestampUnit: unit });
    const record = decodeWith(timed, `{"when":${value}}`);
    expect(record.flags & RecordFlag.TimeUnknown).toBe(timeNs === undefined ? RecordFlag.TimeUnknown : 0);
    expect(record.timeNs).toBe(timeNs ?? 0n);
    expect(timed.timeUnknownCount).toBe(timeNs === undefined ? 1 : 0);
    expect(encodeJson(record, registry)).toEqual({ when: read(value) } as JsonObject);
  });
}

test("an event without a time gets the time of the one before it", () => {
  decode(`{"@timestamp":5000}`);
  const record = decode(`{"process":{"pid":1}}`);
  expect(record.timeNs).toBe(5_000_000_000n);
  expect(record.flags).toBe(RecordFlag.TimeUnknown);
});

test("other fields may carry category, time and tiebreaker", () => {
  const other = new JsonDecoder(registry, { timestampField: "event.created", categoryField: "event_type", tiebreakerField: "serial.id" });
  const record = decodeWith(other, `{"event":{"created":7},"event_type":"file","serial":{"id":99}}`);
  expect(record.category).toBe(registry.categories.idOf("file"));
  expect(record.timeNs).toBe(7_000_000n);
  expect(record.value(registry.idOf("kestrel.tiebreaker"))).toBe(99n);
  expect(encodeJson(record, registry)).toEqual({ event: { created: 7 }, event_type: "file", serial: { id: 99 } });
});

const BAD: readonly (readonly [line: string, message: RegExp])[] = [
  ["", /ends where a JSON object is expected/],
  ["[1]", /byte 1: "\[" where a JSON object is expected/],
  ['{"a":1}x', /byte 8: "x" where the end of the line is expected/],
  ['{"a"}', /":" is expected/],
  ['{"a":}', /"}" where a value|a value is expected/],
  ['{"a":1,}', /a key is expected/],
  ['{"a":01}', /superfluous 0/],
  ['{"process":{"pid":1.}}', /a digit is expected/],
  ['{"process":{"pid":-}}', /a digit is expected/],
  ['{"process":{"name":"x', /no closing quote/],
  ['{"process":{"name":"\\x"}}', /an escape character is expected/],
  ['{"process":{"name":"\\u12"}}', /four hexadecimal digits/],
  ['{"process":{"args":["a" "b"]}}', /"," or "\]" is expected/],
  ['{"process":{"pid":tru}}', /"true" is expected/],
  ['{"a":"tab\there"}', /byte 0x09 where a character of a string is expected/],
  ['{"process":{"pid":1', /the text ends/],
];

for (const [line, message] of BAD) test(`no event: ${line}`, () => expect(problemOf(line)).toMatch(message));

test("megabytes of digits are read in linear time", () => {
  const digits = "9".repeat(3 << 20);
  for (const line of [
    `{"process":{"pid":${digits}}}`,
    `{"dns":{"answers":[{"ttl":${digits}}]},"event":{"category":[${digits}]}}`,
    `{"@timestamp":${digits}}`,
  ]) {
    encodeJson(decode(line), registry);
  }
  encodeJson(decode(`{"odd":${"9".repeat(200_000)}}`), registry);
});

test("depth bombs and giant lines are answers", () => {
  expect(problemOf(`{"a":${"[".repeat(100_000)}`)).toMatch(/nesting is deeper than 128/);
  expect(problemOf(`{"a":${'{"a":'.repeat(100_000)}`)).toMatch(/nesting is deeper than 128/);
  expect(problemOf('{"process":'.repeat(100_000))).toMatch(/nesting is deeper than 128/);
  expect(problemOf(`{"a":"${"x".repeat(9 << 20)}"}`)).toMatch(/Line of \d+ bytes is longer than/);
});

test("a line of thousands of fields and names keeps what fits and says that some is missing", () => {
  const many = JSON.stringify(Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`unknown${index}`, "x".repeat(20)])));
  const record = decode(many);
  expect(record.flags & RecordFlag.Truncated).toBe(RecordFlag.Truncated);
  expect((encodeJson(record, registry) as JsonObject)["unknown5"]).toBe("x".repeat(20));
  const again = decode(`{${new Array(5000).fill('"process.pid":1').join(",")}}`);
  expect(again.value(registry.idOf("process.pid"))).toBe(1n);
});

test("bytes that are no UTF-8 become U+FFFD wherever they stand", () => {
  const bytes = new TextEncoder().encode('{"process":{"name":"a?b"},"odd":"c?"}').map((byte) => (byte === 0x3f ? 0xff : byte));
  const unknown = decoder.timeUnknownCount;
  const size = decoder.decodeBytes(bytes, 0, bytes.length);
  expect(size).toBeNumber();
  expect(decoder.timeUnknownCount).toBe(unknown + 1);
  view.reset(decoder.builder.bytes, 0);
  expect(encodeJson(view, registry)).toEqual({ process: { name: "a\ufffdb" }, odd: "c\ufffd" });
});

test("agrees with JSON.parse on what is JSON", () => {
  const seeds = sameText.concat('{"a":[1,2,{"b":"c\\n"}],"process":{"args":["x"],"pid":1e3}}');
  let good = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds),
      fc.nat(),
      fc.constantFrom(...'{}[]",:0159-+.eE\\utrfn \t\u0001é'.split("")),
      fc.nat(2),
      (seed, where, char, kind) => {
        const at = where % (seed.length + 1);
        const line = seed.slice(0, at) + (kind === 0 ? "" : char) + seed.slice(kind === 1 ? at : at + 1);
        let valid = true;
        try {
          const value: unknown = JSON.parse(line);
          valid = typeof value === "object" && value !== null && !Array.isArray(value);
        } catch {
          valid = false;
        }
        if (valid) good++;
        expect(typeof decoder.decode(line) === "number").toBe(valid);
      },
    ),
    propertyOptions(3000),
  );
  expect(good).toBeGreaterThan(50);
});
