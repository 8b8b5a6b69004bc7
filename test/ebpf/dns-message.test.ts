// DNS messages: what well-formed ones say, and that no bytes make the parser throw, hang, or make up more than the message holds.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type DnsMessage, parseDnsMessage } from "../../src/ebpf/dns-message.ts";

/** Bytes of a message: numbers are bytes, texts are labels with their length before them. */
function bytesOf(...parts: readonly (number | string | readonly number[])[]): Uint8Array {
  return Uint8Array.from(
    parts.flatMap((part) =>
      typeof part === "string" ? [part.length, ...Buffer.from(part, "latin1")] : typeof part === "number" ? [part] : part,
    ),
  );
}

const header = (bits: number, ...counts: readonly [number, number, number, number]): readonly number[] => [
  ...[0xbe, 0xef, bits >>> 8, bits & 255],
  ...counts.flatMap((count) => [count >>> 8, count & 255]),
];
const TAIL = [0, 0, 1, 0, 1]; // end of the name, A, IN
const QUESTION = ["www", "example", "test", ...TAIL] as const;
/** `www.example.test` stands at 12, `example.test` at 16. */
const record = (type: number, data: readonly number[], name: readonly number[] = [0xc0, 12]): readonly number[] => [
  ...name,
  ...[type >>> 8, type & 255, 0, 1, 0, 0, 0x0e, 0x10, data.length >>> 8, data.length & 255],
  ...data,
];

function answered(...records: readonly (readonly number[])[]): DnsMessage | undefined {
  return parseDnsMessage(bytesOf(header(0x8180, 1, records.length, 0, 0), ...QUESTION, ...records));
}

test("a query", () => {
  expect(parseDnsMessage(bytesOf(header(0x0120, 1, 0, 0, 0), ...QUESTION))).toEqual({
    id: 0xbeef,
    operation: "QUERY",
    flags: ["RD", "AD"],
    responseCode: "NOERROR",
    question: { name: "www.example.test", type: "A", class: "IN" },
    answers: [],
    incomplete: false,
  });
});

test("an answer: an alias, and its address by a pointer into the data before it", () => {
  const alias = record(5, [4, ...Buffer.from("edge"), 0xc0, 16]);
  const message = answered(alias, record(1, [192, 0, 2, 7], [0xc0, 34 + 12]), record(28, [0x20, 1, 0xd, 0xb8, ...Array(11).fill(0), 9]));
  expect(message?.incomplete).toBe(false);
  expect(message?.answers).toEqual([
    { name: "www.example.test", type: "CNAME", ttl: 3600, data: "edge.example.test", isAddress: false },
    { name: "edge.example.test", type: "A", ttl: 3600, data: "192.0.2.7", isAddress: true },
    { name: "www.example.test", type: "AAAA", ttl: 3600, data: "2001:db8::9", isAddress: true },
  ]);
});

const TEXT = [3, ...Buffer.from("v=1"), 4, ...Buffer.from(";abc")];
const DATA: readonly (readonly [name: string, type: number, data: readonly number[], said: string])[] = [
  ["NS", 2, [2, ...Buffer.from("ns"), 0xc0, 16], "ns.example.test"],
  ["PTR", 12, [0xc0, 16], "example.test"],
  ["DNAME", 39, [0xc0, 16], "example.test"],
  ["MX", 15, [0, 10, 2, ...Buffer.from("mx"), 0xc0, 16], "10 mx.example.test"],
  ["SRV", 33, [0, 1, 0, 2, 0x1f, 0x90, 0xc0, 12], "1 2 8080 www.example.test"],
  ["SOA", 6, [0xc0, 12, 0xc0, 16, ...[1, 2, 3, 4, 5].flatMap((n) => [0, 0, 0, n])], "www.example.test example.test 1 2 3 4 5"],
  ["TXT", 16, TEXT, "v=1;abc"],
  ["TXT", 16, [], ""],
  ["NULL", 10, [1, 2, 255], "\\# 3 0102ff"],
  ["TYPE65280", 65_280, [7], "\\# 1 07"],
  ["A", 1, [1, 2, 3], "\\# 3 010203"],
  ["NS", 2, [0], "."],
];
for (const [type, number, data, said] of DATA) {
  test(`${type} says ${JSON.stringify(said)}`, () => {
    const message = answered(record(number, data), record(1, [127, 0, 0, 1]));
    expect(message?.answers.map((answer) => [answer.type, answer.data])).toEqual([
      [type, said],
      ["A", "127.0.0.1"],
    ]);
    expect(message?.incomplete).toBe(false);
  });
}

test("EDNS: the upper bits of the response code, and DO", () => {
  const opt = [0, 0, 41, 4, 208, 1, 0, 0x80, 0, 0, 0];
  const message = parseDnsMessage(bytesOf(header(0x8187, 1, 0, 0, 1), ...QUESTION, opt));
  expect(message).toMatchObject({ responseCode: "BADCOOKIE", flags: ["RD", "RA", "DO"], incomplete: false });
  expect(parseDnsMessage(bytesOf(header(0x8183, 1, 0, 0, 0), ...QUESTION))?.responseCode).toBe("NXDOMAIN");
  expect(parseDnsMessage(bytesOf(header(0xa98c, 1, 0, 0, 0), ...QUESTION))).toMatchObject({ responseCode: "12", operation: "UPDATE" });
});

test("labels: dots and bytes that are no letters are escaped, case stays", () => {
  const message = parseDnsMessage(bytesOf(header(0, 1, 0, 0, 0), "a.b\\", "\0 é\x7f", "MiXed", ...TAIL));
  expect(message?.question?.name).toBe("a\\.b\\\\.\\000\\032\\233\\127.MiXed");
});

describe("broken: no DNS, or DNS up to there", () => {
  const label = "x".repeat(63);
  const CASES: readonly (readonly [what: string, bytes: Uint8Array])[] = [
    ["a pointer to itself", bytesOf(header(0, 1, 0, 0, 0), [0xc0, 12, 0, 1, 0, 1])],
    ["a pointer ahead", bytesOf(header(0, 1, 0, 0, 0), [0xc0, 14], "www", ...TAIL)],
    ["a loop through a label", bytesOf(header(0, 1, 0, 0, 0), "www", [0xc0, 12, 0, 1, 0, 1])],
    ["a pointer past the end", bytesOf(header(0, 1, 0, 0, 0), [0xff, 0xff, 0, 1, 0, 1])],
    ["a label past the end", bytesOf(header(0, 1, 0, 0, 0), [63, 1, 2])],
    ["a label of no known kind", bytesOf(header(0, 1, 0, 0, 0), [0x40, 1, 2, ...TAIL])],
    ["a name of 257 bytes", bytesOf(header(0, 1, 0, 0, 0), label, label, label, label, ...TAIL)],
    ["no question where one is promised", bytesOf(header(0, 1, 0, 0, 0))],
    ["half a question", bytesOf(header(0, 1, 0, 0, 0), "www", [0, 0])],
  ];
  for (const [what, bytes] of CASES) {
    test(what, () => expect(parseDnsMessage(bytes)).toBeUndefined());
  }

  test("a name of 255 bytes is whole", () => {
    const name = bytesOf(header(0, 1, 0, 0, 0), label, label, label, "x".repeat(61), ...TAIL);
    expect(parseDnsMessage(name)?.question?.name).toHaveLength(63 * 3 + 61 + 3);
  });

  test("answers before the first broken one are kept", () => {
    const message = answered(record(1, [10, 0, 0, 1]), record(16, [200, 1]), record(1, [10, 0, 0, 2]));
    expect(message).toMatchObject({ answers: [{ data: "10.0.0.1" }], incomplete: true });
    expect(answered(record(1, [10, 0, 0, 1]), record(15, [0, 1]))?.answers).toHaveLength(1);
  });

  test("data whose name leaves it is broken, not read on", () => {
    expect(answered(record(2, [5, 97]), record(1, [10, 0, 0, 2]))).toMatchObject({ answers: [], incomplete: true });
  });

  test("no DNS at all", () => {
    expect(parseDnsMessage(new Uint8Array(11))).toBeUndefined();
    expect(parseDnsMessage(Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))).toBeUndefined();
  });
});

/** What holds for every message, whatever its bytes. */
function checkBounds(bytes: Uint8Array): void {
  const message = parseDnsMessage(bytes);
  if (message === undefined) return;
  expect(message.answers.length).toBeLessThanOrEqual(128);
  const names = [message.question?.name ?? "", ...message.answers.map(({ name }) => name)];
  // Each byte of a name takes at most four characters.
  for (const name of names) expect(name.length).toBeLessThanOrEqual(255 * 4);
  for (const { data, isAddress } of message.answers) {
    expect(data.length).toBeLessThanOrEqual(bytes.byteLength * 4 + 2 * 255 * 4);
    if (isAddress) expect(data).toMatch(/^[0-9a-f:.]+$/);
  }
}

test("any bytes: an answer, no exception, bounded", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 1472 }), checkBounds), { numRuns: 2000 });
});

test("well-formed messages with some bytes changed or cut off: bounded too", () => {
  const whole = bytesOf(
    header(0x8180, 1, 5, 1, 1),
    ...QUESTION,
    ...DATA.slice(0, 5).map(([, type, data]) => record(type, data)),
    record(6, DATA[5]![2]),
    [0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0],
  );
  expect(parseDnsMessage(whole)).toMatchObject({ incomplete: false, answers: { length: 5 } });
  const change = fc.tuple(fc.nat(whole.byteLength - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 8 }), fc.nat(whole.byteLength), (changes, length) => {
      const bytes = whole.slice();
      for (const [at, byte] of changes) bytes[at] = byte;
      checkBounds(bytes);
      checkBounds(bytes.subarray(0, length));
    }),
    { numRuns: 2000 },
  );
});

test("the longest chain of pointers in every record: read to its end at once", () => {
  // 400 pointers, each to the one before, and 50 records whose names begin at the last.
  const chain = Array.from({ length: 400 }, (_, index) => [
    0xc0 | ((12 + 2 * Math.max(0, index - 1)) >>> 8),
    (12 + 2 * Math.max(0, index - 1)) & 255,
  ]);
  const bytes = bytesOf(header(0x8180, 0, 50, 0, 0), ...chain);
  expect(parseDnsMessage(bytes)).toMatchObject({ answers: [], incomplete: true });
});
