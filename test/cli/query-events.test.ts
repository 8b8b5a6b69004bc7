// kestrel query over logs in odd shapes: which events a condition takes, that they come back as they were written, and the values of --id.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { runKestrel } from "./program.ts";

const seed = Number(process.env["KESTREL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const folder = mkdtempSync(join(tmpdir(), "kestrel-query-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Lines that are events, with what is no event between them. */
const EVENTS = [
  '{"@timestamp":"2025-01-01T00:00:00Z","event":{"category":"process"},"process":{"name":"a","pid":1},"x":{"n":1},"id":9007199254740993}',
  '{"event.category":"process","process.name":"b","process.pid":"2","x.n":"2","id":18446744073709551615,"k":{"ü":[1,null,{"z":[]}],"e":{},"f":1.50}}',
  '{"event":{"category":["process","file"]},"process":{"name":"c"},"process.pid":3,"x":[{"n":3},{"n":4}],"id":"abc","s":"\\u0000\\ud83d\\ude00\u2028"}',
  '{"event":{"category":"my odd category-1"},"process":{"name":"d","args":[]},"x":null,"id":[1,null,2]}',
  '{"process":{"name":"e","args":["a",null,["b",["c"]],{"k":1},5,true]},"x":{"n":1.5},"@timestamp":1700000000}',
  '  {"process":{"name":"f"},"x":{"n":true},"@timestamp":1700000000123,"event":{"category":null}}',
  '{"process":{"name":"g"},"@timestamp":"yesterday","event":{"category":"any"},"x":{"n":[]}}',
  '{"process":{"name":"h"},"x.n":-0.0,"id":-9223372036854775808,"__proto__":{"polluted":1},"":2,"a.b":{"c.d":1},".":1}',
];
const NAMES = ["a", "b", "c", "d", "e", "f", "g", "h"];
const [first = "", second = "", ...others] = EVENTS;
const LINES = [first, "", second, "not json", "[1,2]", ...others];

function logOf(name: string, bytes: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

const plain = logOf("odd.jsonl", `${LINES.join("\n")}\n`);

async function idsOf(query: string, path: string, field: string, ...flags: string[]): Promise<unknown[]> {
  const { lines, stderr, code } = await runKestrel(["query", query, path, "--id", field, "--json", ...flags]);
  if (code !== 0) throw new Error(stderr);
  return lines.map((line) => (JSON.parse(line) as { events: unknown[] }).events[0]);
}

test("every match comes back as its line was written", async () => {
  const { lines, stderr, code } = await runKestrel(["query", "any where true", plain, "--json"]);
  expect(stderr.match(/odd\.jsonl:\d+:/g)).toEqual(["odd.jsonl:4:", "odd.jsonl:5:"]);
  expect(lines).toEqual(EVENTS.map((event) => `{"events":[${event.trim()}]}`));
  expect(code).toBe(0);
  for (const [index, line] of lines.entries()) expect(JSON.parse(line)).toEqual({ events: [JSON.parse(EVENTS[index] as string)] });
});

const CONTAINERS: readonly (readonly [string, string | Uint8Array])[] = [
  ["no last line end", LINES.join("\n")],
  ["crlf", LINES.join("\r\n")],
  ["byte order mark", `\ufeff${LINES.join("\n")}`],
  ["gzip", gzipSync(LINES.join("\n"))],
  ["zstd", zstdCompressSync(LINES.join("\n"))],
];

test("line ends, compression and standard input make no difference", async () => {
  const expected = EVENTS.map((event) => event.trim());
  for (const [name, bytes] of CONTAINERS) {
    const path = logOf(name, bytes);
    expect({ name, lines: (await runKestrel(["query", "any where true", path])).lines }).toEqual({ name, lines: expected });
    const piped = await runKestrel(["query", "any where true", "-"], { stdin: new Uint8Array(Buffer.from(bytes)) });
    expect({ name, lines: piped.lines }).toEqual({ name, lines: expected });
    expect(piped.stderr).toContain("-:4:");
  }
});

test("--id gives the value of the event, exactly", async () => {
  const { lines } = await runKestrel(["query", "any where true", plain, "--id", "id", "--json"]);
  const ids = ["9007199254740993", "18446744073709551615", '"abc"', "[1,null,2]", "null", "null", "null", "-9223372036854775808"];
  expect(lines).toEqual(ids.map((id) => `{"events":[${id}]}`));
  expect(await idsOf("any where true", plain, "x.n")).toEqual([1, "2", [3, 4], null, 1.5, true, [], 0]);
  expect(await idsOf("any where true", plain, "no.such")).toEqual(NAMES.map(() => null));
  expect(await idsOf("process where true", plain, "process.pid")).toEqual([1, "2", 3]);
});

const MATCHES: readonly (readonly [string, string])[] = [
  ["process where true", "abc"],
  ["file where true", "c"],
  ['"my odd category-1" where true', "d"],
  ['"""my odd category-1""" where true', "d"],
  ['"any" where true', "g"],
  ["any where event.category == null", "efh"],
  ["any where x.n == 1", "a"],
  ["any where x.n == 4 and x.n == 3", "c"],
  ["any where x.n > 1", "bce"],
  ["any where x.n == true", "f"],
  ["any where x.n == null", "dg"],
  ["any where x.n != 3 and x.n != null", "abefh"],
  ["any where process.pid == 2", "b"],
  ["any where process.pid + 1 > 2", "bc"],
  ["any where id == 9007199254740993", "a"],
  ["any where id == 18446744073709551615", "b"],
  ["any where id in (2, 9007199254740992)", "d"],
  ['any where process.args == "5" or process.args == "b"', "e"],
  ['any where @timestamp >= "2023-11-14" and @timestamp < "2024-01-01"', "ef"],
  ["any where @timestamp == 1700000000123", "f"],
  ["any where ?no.such == null and ?k.f > 1", "b"],
  ['any where s : "*😀?"', "c"],
  ['any where `a.b.c.d` == "1" or a.b.c.d == 1', "h"],
];

test("conditions over fields of changing shape", async () => {
  const found: (readonly [string, string])[] = [];
  for (const [query] of MATCHES) found.push([query, (await idsOf(query, plain, "process.name")).join("")]);
  expect(found).toEqual([...MATCHES]);
}, 30_000);

test("a category field of one's own, with lists in it, and another time", async () => {
  const log = logOf(
    "own.jsonl",
    [
      '{"kind":["net","dns"],"when":132537600000000000,"n":1}',
      '{"kind":"dns","when":"132537600010000000","n":2}',
      '{"kind":[],"n":3}',
      '{"event":{"category":"dns"},"kind":null,"n":4}',
      '{"kind":["a","net"],"event":{"category":"dns"},"n":6}',
      '{"meta.kind":"x","kind":["dns",null,7],"n":5}',
    ].join("\n"),
  );
  const flags = ["--category", "kind", "--timestamp", "when", "--time-unit", "100ns"];
  expect(await idsOf("dns where true", log, "n", ...flags)).toEqual([1, 2, 5]);
  expect(await idsOf("net where true", log, "n", ...flags)).toEqual([1, 6]);
  expect(await idsOf("any where kind == null", log, "n", ...flags)).toEqual([3, 4]);
  expect(await idsOf("any where when == 132537600010000000", log, "n", ...flags)).toEqual([2]);
  expect(await idsOf("dns where n > 1", log, "n", ...flags, "--backend", "lua")).toEqual([2, 5]);
});

test("a query file with a byte order mark", async () => {
  const file = logOf("q.eql", '\ufeffany where process.nam == "a"');
  const { stderr, code } = await runKestrel(["query", "--query-file", file, plain]);
  expect(stderr).toContain('query:1:11: error: Unknown field "process.nam"');
  expect(code).toBe(2);
});

// Any JSON object is an event: flat, nested, both, whatever its values are.
test(`any event comes back unchanged (KESTREL_SEED=${seed})`, async () => {
  const keys = fc.constantFrom(
    "process",
    "process.name",
    "name",
    "event",
    "event.category",
    "@timestamp",
    "a",
    "a.b",
    "b",
    "",
    "__proto__",
    "é",
  );
  const values = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom(null, true, 0, -1, 1.5, 1e300, "", "x", "2025-01-01T00:00:00Z", "😀\u0000", 2 ** 53),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(keys, tie("value"), { maxKeys: 4 }),
    ),
  })).value;
  const events = fc.sample(fc.dictionary(keys, values, { maxKeys: 5 }), { seed, numRuns: 400 });
  const path = logOf("any.jsonl", events.map((event) => JSON.stringify(event)).join("\n"));
  const { lines, code } = await runKestrel(["query", "any where true", path, "--json"]);
  expect(code).toBe(0);
  expect(lines).toEqual(events.map((event) => `{"events":[${JSON.stringify(event)}]}`));
});

const LISTS: readonly (readonly [string, readonly number[]])[] = [
  ['item.user == "root"', [1, 2]],
  ["item.props[0].level == 1", [1]],
  ["item.props[1].level == 2", [1]],
  ["item.props[1].level == 4", []],
  ["arraySearch(item.props, p, p.level == 2)", [1, 2]],
  ['item.user == "root" and arraySearch(item.props, p, p.level == 2)', [1]],
  ['item.user == "guest" and item.props.level == 1', [1]],
  ['item.user == "guest" and item.props.level == 2', [2]],
  ['item.user == "root" and item.props.level == null', [2]],
  ['item.user == "root" and item.groups == "b"', [1]],
  ['item.user == "guest" and item.groups == "b"', []],
  ["item.user == item.owner", [2]],
];

test("a lambda looks into one object at a time", async () => {
  const log = logOf(
    "lists.jsonl",
    [
      '{"n":1,"list":[{"user":"root","owner":"guest","groups":["a","b"],"props":[{"level":1},{"level":2}]},{"user":"guest","props":[{"level":1}]}]}',
      '{"n":2,"list":[{"user":"root"},{"user":"guest","owner":"guest","props":[{"level":2}]}]}',
      '{"n":3,"list":[]}',
    ].join("\n"),
  );
  const found: (readonly [string, unknown[]])[] = [];
  for (const [body] of LISTS) found.push([body, await idsOf(`any where arraySearch(list, item, ${body})`, log, "n")]);
  expect(found).toEqual(LISTS.map(([body, ids]) => [body, [...ids]]));
  expect(
    await idsOf('any where not arraySearch(list, $x, $x.user == "guest" and $x.props.level == 1)', log, "n", "--backend", "lua"),
  ).toEqual([2]);
  expect(await idsOf('any where list[1].user == "guest" and list[0].user == "root"', log, "n")).toEqual([1, 2]);
}, 30_000);

test("the Endgame dialect on the same log", async () => {
  const ids = (query: string) => idsOf(query, plain, "process.name", "--dialect", "endgame");
  expect(await ids("process where process.name == 'A*'")).toEqual(["a"]);
  // Old rules name the pattern first.
  expect(await ids('match(?"[ab]", process.name)')).toEqual(["a", "b"]);
  expect(await ids('match(process.name, ?"[ab]")')).toEqual(["a", "b"]);
  expect(await ids("process.name:length() = 1 and no_such_field != null")).toEqual([]);
  expect(await ids("x.n in (id, 1.5, '2')")).toEqual(["b", "e"]);
});

test("names that need backticks", async () => {
  const event = '{"my-field":1,"my field":"x","6myfield":true,"my`field":2,"ü":3,"a":{"b-c":{"d e":4}},"a/b":6,"0":{"1":5},"n":1}';
  const log = logOf("names.jsonl", `${event}\n{"n":2}`);
  const parts = [
    "`my-field` == 1",
    '`my field` == "x"',
    "`6myfield` == true",
    "`my``field` == 2",
    "ü == 3",
    "a.`b-c`.`d e` == 4",
    "`a/b` == 6",
  ];
  expect(await idsOf(`any where ${parts.join(" and ")} and \`0\`.\`1\` == 5`, log, "n")).toEqual([1]);
});
