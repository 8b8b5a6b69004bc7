// kestrel query as scripts use it: where events come from, what is printed, and what a wrong query answers.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { KlogWriter, RecordBuilder } from "#event";
import { SchemaRegistry } from "#schema";
import { jsonLines, PROGRAM, runKestrel, TempFolder } from "./program.ts";

setDefaultTimeout(60_000);

const EVENTS = ["alpha", "beta", "gamma"].map((name, index) => ({
  "@timestamp": `2026-01-01T00:00:0${index}.000000000Z`,
  event: { category: ["process"], type: ["start"] },
  process: { name, pid: 100 + index },
}));
const TEXT = EVENTS.map((event) => `${JSON.stringify(event)}\n`).join("");
const folder = new TempFolder();
afterAll(() => folder[Symbol.dispose]());
const at = (name: string): string => join(folder.path, name);

beforeAll(async () => {
  const bytes = Buffer.from(TEXT);
  await folder.write("plain.jsonl", bytes);
  await folder.write("no-last-newline.jsonl", TEXT.trimEnd());
  await folder.write("crlf.jsonl", TEXT.replaceAll("\n", "\r\n"));
  await folder.write("packed.jsonl.gz", Bun.gzipSync(bytes));
  await folder.write("packed.jsonl.zst", zstdCompressSync(bytes));
  await folder.write("misnamed.log", Bun.gzipSync(bytes));
  await folder.write("flat.jsonl", '{"event.category":"process","process.name":"beta","@timestamp":"2026-01-01T00:00:00Z"}\n');
  await folder.write("empty.jsonl", "");
  await folder.write("query.eql", '// a comment\nprocess where process.name\n  == "beta"\n');
  await folder.write("mixed.jsonl", `${JSON.stringify(EVENTS[0])}\nnot json\n[1]\n{"half":\n${JSON.stringify(EVENTS[1])}\n`);
  writeKlog(at("recorded.klog"));
});

function writeKlog(path: string): void {
  const registry = new SchemaRegistry();
  const writer = KlogWriter.open(path, registry);
  const builder = new RecordBuilder();
  for (const { process } of EVENTS) {
    builder.begin(registry.categories.intern("process"), 0n);
    builder.keyword(registry.idOf("process.name"), process.name);
    writer.append(builder.bytes, 0, builder.finish());
  }
  writer.close();
}

const BETA = 'process where process.name == "beta"';
const NAMES = ["--json", "--id", "process.name"];

describe("events come from", () => {
  const files = [
    "plain.jsonl",
    "no-last-newline.jsonl",
    "crlf.jsonl",
    "packed.jsonl.gz",
    "packed.jsonl.zst",
    "misnamed.log",
    "recorded.klog",
  ];
  for (const file of [...files, "flat.jsonl"]) {
    test(file, async () => {
      const { stdout, stderr, code } = await runKestrel(["query", BETA, at(file), ...NAMES]);
      expect({ stdout, stderr, code }).toEqual({ stdout: '{"events":["beta"]}\n', stderr: "", code: 0 });
    });
  }

  for (const [name, stdin] of [
    ["text", TEXT],
    ["gzip", Bun.gzipSync(Buffer.from(TEXT))],
    ["zstd", new Uint8Array(zstdCompressSync(Buffer.from(TEXT)))],
  ] as const) {
    test(`standard input as ${name}`, async () => {
      const { stdout, stderr, code } = await runKestrel(["query", BETA, "-", ...NAMES], { stdin });
      expect({ stdout, stderr, code }).toEqual({ stdout: '{"events":["beta"]}\n', stderr: "", code: 0 });
    });
  }

  test("several files, in the order they are named", async () => {
    const { stdout } = await runKestrel(["query", BETA, at("plain.jsonl"), "-", at("recorded.klog"), ...NAMES], { stdin: TEXT });
    expect(stdout).toBe('{"events":["beta"]}\n'.repeat(3));
  });

  test("an empty file and empty standard input: nothing matches, exit 0", async () => {
    for (const [file, stdin] of [
      [at("empty.jsonl"), ""],
      ["-", ""],
    ] as const) {
      expect(await runKestrel(["query", BETA, file, "--json"], { stdin })).toMatchObject({ stdout: "", stderr: "", code: 0 });
    }
  });

  test("lines that are no events are said by number and left out", async () => {
    const { stdout, stderr, code } = await runKestrel(["query", "any where true", at("mixed.jsonl"), ...NAMES]);
    expect({ stdout, code }).toEqual({ stdout: '{"events":["alpha"]}\n{"events":["beta"]}\n', code: 0 });
    expect([...stderr.matchAll(/mixed\.jsonl:(\d+): /g)].map((match) => match[1])).toEqual(["2", "3", "4"]);
  });
});

describe("prints", () => {
  test("whole events, equal to what went in", async () => {
    const outcome = await runKestrel(["query", "process where true", at("plain.jsonl"), "--json"]);
    expect(jsonLines<{ events: unknown[] }>(outcome)).toEqual(EVENTS.map((event) => ({ events: [event] })));
  });

  test("one field of each, numbers as numbers, null when an event has no such field", async () => {
    const ids = async (field: string): Promise<readonly unknown[]> =>
      jsonLines<{ events: unknown[] }>(await runKestrel(["query", "any where true", at("plain.jsonl"), "--json", "--id", field])).flatMap(
        ({ events }) => events,
      );
    expect(await ids("process.pid")).toEqual([100, 101, 102]);
    expect(await ids("user.name")).toEqual([null, null, null]);
    expect(await ids("no.such.field")).toEqual([null, null, null]);
  });

  test("bare values without --json", async () => {
    const { stdout } = await runKestrel(["query", BETA, at("plain.jsonl"), "--id", "process.name"]);
    expect(stdout).toBe('"beta"\n');
  });

  test("what pipes leave, in their order, and rows of counts", async () => {
    const run = async (pipes: string) => (await runKestrel(["query", `any where true ${pipes}`, at("plain.jsonl"), ...NAMES])).stdout;
    const names = EVENTS.map(({ process }) => `{"events":["${process.name}"]}\n`);
    expect(await run("| head 2")).toBe(names.slice(0, 2).join(""));
    expect(await run("| sort process.pid | tail 2 | head 1")).toBe(names[1]!);
    expect(await run("| sort length(process.name), process.name | tail 1")).toBe(
      names.toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1)).at(-1)!,
    );
    expect(await run("| count")).toBe('{"events":[{"count":3,"key":"totals"}]}\n');
    expect(await run("| filter process.pid > 100 | count process.pid")).toBe(
      '{"events":[{"count":1,"percent":0.5,"key":101}]}\n{"events":[{"count":1,"percent":0.5,"key":102}]}\n',
    );
    expect(await run("| unique_count event.category | head 1")).toBe(names[0]!);
  });

  test("64-bit integers whole", async () => {
    const stdin = '{"event":{"category":"process"},"big":18446744073709551615,"small":-9223372036854775808}\n';
    for (const field of ["big", "small"]) {
      const { stdout } = await runKestrel(["query", `any where ${field} != 0`, "-", "--json", "--id", field], { stdin });
      expect(stdout).toBe(`{"events":[${field === "big" ? "18446744073709551615" : "-9223372036854775808"}]}\n`);
    }
  });

  test("a reader that goes away ends it quietly, and the copy of standard input is gone", async () => {
    using temporary = new TempFolder();
    const { stdout, stderr, code } = await runKestrel(
      ["-c", '"$@" | head -n 1', "sh", ...PROGRAM, "query", "any where true", "-", "--json"],
      { stdin: TEXT.repeat(5000), program: ["env", `TMPDIR=${temporary.path}`, "sh"] },
    );
    expect({ lines: stdout.split("\n").length, stderr, code }).toEqual({ lines: 2, stderr: "", code: 0 });
    expect(readdirSync(temporary.path)).toEqual([]);
  });
});

describe("takes", () => {
  test("the query from a file", async () => {
    const { stdout, code } = await runKestrel(["query", "--query-file", at("query.eql"), at("plain.jsonl"), ...NAMES]);
    expect({ stdout, code }).toEqual({ stdout: '{"events":["beta"]}\n', code: 0 });
  });

  test("the category from another field, the dialect, and fields no schema knows", async () => {
    const stdin = ["a", "b"]
      .map((kind, index) => `${JSON.stringify({ kind, when: 1_700_000_000 + index, shade: "Red", n: index })}\n`)
      .join("");
    const flags = ["--category", "kind", "--timestamp", "when", "--json", "--id", "n"];
    const ids = async (query: string, ...more: string[]): Promise<string> =>
      (await runKestrel(["query", query, "-", ...flags, ...more], { stdin })).stdout;
    expect(await ids('a where shade == "red"')).toBe("");
    expect(await ids('a where shade == "Red"')).toBe('{"events":[0]}\n');
    expect(await ids('b where shade == "r*"', "--dialect", "endgame")).toBe('{"events":[1]}\n');
    expect(await ids("any where n >= 1")).toBe('{"events":[1]}\n');
  });

  test("either back end, with the same result", async () => {
    const lua = await runKestrel(["query", "process where process.pid > 100", at("plain.jsonl"), "--json", "--backend", "lua"]);
    const wasm = await runKestrel(["query", "process where process.pid > 100", at("plain.jsonl"), "--json", "--backend", "wasm"]);
    expect(lua.stdout).toBe(wasm.stdout);
    expect(wasm.lines).toHaveLength(2);
  });

  test("more fields from a schema file", async () => {
    const schema = await folder.write("schema.json", '{"size": "u64"}');
    const stdin = '{"event":{"category":"file"},"size":"12"}\n';
    const { stdout, code } = await runKestrel(["query", "file where size > 11", "-", "--json", "--id", "size", "--schema", schema], {
      stdin,
    });
    expect({ stdout, code }).toEqual({ stdout: '{"events":["12"]}\n', code: 0 });
    const wrong = await folder.write("wrong.json", '{"process.name": "u64"}');
    expect(await runKestrel(["query", "file where true", "-", "--schema", wrong], { stdin })).toMatchObject({ code: 2, stdout: "" });
  });
});

describe("a wrong query exits 2, prints nothing on standard output and says", () => {
  const cases: readonly (readonly [string, readonly RegExp[]])[] = [
    [
      'process where process.nam == "x"',
      [/^query:1:15: error: Unknown field "process.nam", did you mean "process.name"\? \[unknown-field\]$/m, /^ +\| +\^{11}$/m],
    ],
    [
      'process where process.nam == "x" and nosuch(1) and user.id == 3',
      [/query:1:15: error/, /query:1:38: error: Unknown function "nosuch"/],
    ],
    ["process where", [/\[syntax\]/]],
    ["process where process.name = 'x'", [/error/]],
    ["", [/Query is empty, expected for example/]],
    ["sequence [any where true]", [/\[too-few-steps\]/]],
    ["process where true | heed 3", [/did you mean "head"\? \[unknown-pipe\]/]],
    ["process where 1/0 == 1", [/error/]],
    ["\u0000\u0007", [/error/]],
  ];
  for (const [query, messages] of cases) {
    test(JSON.stringify(query), async () => {
      // A program's argument cannot hold a NUL.
      const file = await folder.write("wrong.eql", query);
      const { stdout, stderr, code } = await runKestrel(["query", "--query-file", file, at("plain.jsonl"), "--json"]);
      expect({ stdout, code }).toEqual({ stdout: "", code: 2 });
      for (const message of messages) expect(stderr).toMatch(message);
    });
  }
});
