// kestrel explain: the drawing and the stories as goldens, exit codes, JSON, hostile text. Measured figures are replaced: no test depends on time.
// `KESTREL_UPDATE=1 bun test test/cli/explain.test.ts` rewrites the goldens under test/cli/explain; review the difference.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import binaryen from "assemblyscript/binaryen";
import { jsonLines, RECORDING, runKestrel, TempFolder } from "./program.ts";

setDefaultTimeout(60_000);

const FOLDER = join(import.meta.dir, "explain");
const RULE = join(FOLDER, "download-run.yaml");
const EVENTS = join(FOLDER, "events.jsonl");
const folder = new TempFolder();
afterAll(() => folder[Symbol.dispose]());

const STEPS = "sequence by user.name with maxspan=1m";
const PROCESS = "[process where process.name";

/** Command lines behind `explain`, by the name of their golden. */
const GOLDENS: Readonly<Record<string, readonly string[]>> = {
  "rule-over-events": [RULE, EVENTS],
  "rule-over-all-events": [RULE, EVENTS, "--all"],
  rule: [RULE],
  "event-query": ["--query", 'process where process.name == "curl" and not user.name in ("bob", "cid") and process.pid > 3', EVENTS],
  "trailing-missing": ["--query", `${STEPS} ${PROCESS} == "curl"] ![process where process.name == "chmod"]`, EVENTS],
  "leading-missing": ["--query", `${STEPS} ![file where true] ${PROCESS} == "wget"] ${PROCESS} : "*"]`, EVENTS],
  runs: ["--query", `sequence with maxspan=1h ${PROCESS} == "curl"] with runs=3 ${PROCESS} == "never"]`, EVENTS],
  sample: ["--query", `sample by user.name ${PROCESS} == "curl"] ${PROCESS} == "chmod"]`, EVENTS],
  join: ["--dialect", "endgame", "--query", `join by user.name ${PROCESS} == "curl"] ${PROCESS} == "chmod"]`, EVENTS],
  lineage: ["--query", 'process where descendant of [process where process.name == "cron"]', RECORDING, "--to", "2026-03-02T08:01:05Z"],
  "match-of-leading-missing": [
    "--query",
    `${STEPS} ![file where true] ${PROCESS} == "chmod"] [any where event.category != "file"]`,
    EVENTS,
  ],
  ir: [RULE, "--ir"],
  lua: [RULE, "--lua"],
  wat: ["--query", 'process where process.name == "curl" and process.pid > 4', "--wat"],
};

function withoutFigures(text: string): string {
  return text
    .replaceAll(/\d+(?:\.\d)? ns an event/g, "N ns an event")
    .replaceAll(/\d{4,}/g, (digits) => (digits.startsWith("20") ? digits : "N"));
}

describe("goldens", () => {
  for (const [name, args] of Object.entries(GOLDENS)) {
    test(name, async () => {
      const { stdout, stderr, code } = await runKestrel(["explain", ...args]);
      expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
      const path = join(FOLDER, `${name}.txt`);
      const printed = withoutFigures(stdout);
      if (process.env["KESTREL_UPDATE"] === "1") writeFileSync(path, printed);
      expect(existsSync(path) ? await Bun.file(path).text() : "no golden").toBe(printed);
    });
  }
});

describe("machines", () => {
  test("--json: one object with code and figures", async () => {
    const [rule] = jsonLines<{ id: string; wat: string; lua: string; steps: { nsPerEvent: number; runs: number }[]; maxspanNs: number }>(
      await runKestrel(["explain", RULE, "--json", "--wat", "--lua"]),
    );
    expect(rule?.id).toBe("my.download-run");
    expect(rule?.maxspanNs).toBe(10_000_000_000);
    expect(rule?.steps.map((step) => step.runs)).toEqual([1, 1, 1, 1]);
    expect(rule?.steps.every((step) => step.nsPerEvent > 0)).toBe(true);
    expect(rule?.lua).toContain("P[0] = function()");
    expect(binaryen.parseText(rule?.wat ?? "").emitBinary().length).toBeGreaterThan(0);
  });

  test("--json with events: a line for each story, then the summary", async () => {
    type Line = { event: number | null; notes: { kind: string; sequence: number[] }[]; summary?: { matches: number; events: number } };
    const lines = jsonLines<Line>(await runKestrel(["explain", RULE, EVENTS, "--json"]));
    expect(lines.at(-1)?.summary).toMatchObject({ events: 15, matches: 1 });
    const match = lines.flatMap((line) => line.notes ?? []).find((note) => note.kind === "completed");
    expect(match?.sequence).toEqual([9, 11, 12]);
    expect(lines.filter((line) => line.event === null)).toHaveLength(1);
  });
});

describe("what is given", () => {
  test("a built-in rule by its id, a nearest name for a wrong one", async () => {
    expect((await runKestrel(["explain", "kestrel.exec-from-shm"])).stdout).toContain("kestrel.exec-from-shm");
    const wrong = await runKestrel(["explain", "kestrel.exec-from-shn"]);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('did you mean "kestrel.exec-from-shm"?')]);
  });

  test("a rule that does not compile: its findings, exit code 1", async () => {
    const path = await folder.write("bad.yaml", "id: bad.rule\nname: Bad\nseverity: low\nquery: process where proces.name == 1\n");
    const { code, stdout, stderr } = await runKestrel(["explain", path]);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain("bad.yaml:4:");
    const query = await runKestrel(["explain", "--query", "process where ("]);
    expect([query.code, query.stdout]).toEqual([1, ""]);
  });

  test("a file with several rules needs an id", async () => {
    const lines = ["one", "two"].map((id) => JSON.stringify({ id, name: id, query: `any where process.name == "${id}"` }));
    const path = await folder.write("several.jsonl", `${lines.join("\n")}\n`);
    const without = await runKestrel(["explain", path]);
    expect([without.code, without.stderr]).toEqual([2, expect.stringContaining("one, two")]);
    for (const flag of ["--id", "--rule"]) expect((await runKestrel(["explain", path, flag, "two"])).stdout).toContain('== "two"');
    expect((await runKestrel(["explain", path, "--id", "three"])).code).toBe(2);
  });

  test("nothing, and a Lua rule over events", async () => {
    expect((await runKestrel(["explain"])).code).toBe(2);
    const path = await folder.write("lua.yaml", 'id: my.lua\nname: L\nseverity: low\nlua: return event["process.name"] == "nc"\n');
    expect((await runKestrel(["explain", path])).stdout).toContain("no plan");
    expect((await runKestrel(["explain", path, EVENTS])).code).toBe(2);
  });

  test("control characters of events and queries are shown escaped", async () => {
    const event = { "event.category": "process", "user.name": "a\u001b[31m", "process.command_line": "x\u001b]0;t\u0007\n" };
    const path = await folder.write("hostile.jsonl", `${JSON.stringify(event)}\n`);
    const query =
      'sequence by user.name [process where process.pid != 1 or true] as a /* \u001b[2J */ [process where process.name == "\u001b[2J"]';
    const { stdout, code } = await runKestrel(["explain", "--query", query, path, "--all"]);
    expect(code).toBe(0);
    expect(stdout).toContain("\\x1b[31m");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not reach a terminal.
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });
});
