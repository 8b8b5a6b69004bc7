// The progress line: its text as a function of the facts, and on a real terminal drawn, taken away for other output and gone at the end.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { type ProgressFacts, progressLine } from "../../src/cli/progress.ts";
import { PROGRAM, RECORDING, RULES, runKestrel } from "./program.ts";

setDefaultTimeout(60_000);

const FACTS: ProgressFacts = {
  bytesRead: 500,
  bytesTotal: 1000,
  events: 1234,
  found: 7,
  foundName: "alerts",
  tookMs: 2000,
  columns: 200,
};

const LINES: readonly (readonly [changed: Partial<ProgressFacts>, line: string])[] = [
  [{}, "[##########..........]  50 %  500 B of 1.0 kB  1,234 events  617/s  7 alerts  eta 0:02"],
  [{ bytesRead: 0, events: 0, found: 0, tookMs: 0 }, "[....................]   0 %  0 B of 1.0 kB  0 events  0 alerts"],
  [{ bytesRead: 1000 }, "[####################] 100 %  1.0 kB of 1.0 kB  1,234 events  617/s  7 alerts  eta 0:00"],
  // A file that grows while it is read.
  [{ bytesRead: 1500 }, "[####################] 100 %  1.5 kB of 1.0 kB  1,234 events  617/s  7 alerts  eta 0:00"],
  [{ bytesRead: 999 }, "[###################.]  99 %  999 B of 1.0 kB  1,234 events  617/s  7 alerts  eta 0:01"],
  [{ bytesTotal: undefined, foundName: "matches" }, "500 B  1,234 events  617/s  7 matches"],
  [{ bytesRead: 0, bytesTotal: 0 }, "[####################] 100 %  0 B of 0 B  1,234 events  617/s  7 alerts  eta 0:00"],
  [
    { bytesRead: 999_960, bytesTotal: 1_234_000_000_000_000, events: 12_345_678, tookMs: 1000 },
    "[....................]   0 %  1.0 MB of 1234.0 TB  12,345,678 events  12,345,678/s  7 alerts  eta 342791:29:21",
  ],
  [
    { bytesRead: 1_000_000_000, bytesTotal: 61_000_000_000, tookMs: 60_000 },
    "[....................]   1 %  1.0 GB of 61.0 GB  1,234 events  21/s  7 alerts  eta 1:00:00",
  ],
  [
    { bytesRead: 100, bytesTotal: 700, tookMs: 100_500 },
    "[##..................]  14 %  100 B of 700 B  1,234 events  12/s  7 alerts  eta 10:03",
  ],
  [{ columns: 30 }, "[##########..........]  50 % "],
  [{ columns: 1 }, ""],
  [{ columns: 0 }, ""],
];

test.each([...LINES])("line of %j", (changed, line) => {
  expect(progressLine({ ...FACTS, ...changed })).toBe(line);
});

/** Whether the program can be run on a terminal of its own; says once why not. */
function terminalRuns(): boolean {
  const reason = Bun.which("script") === null ? "no script(1) here" : undefined;
  if (reason !== undefined) console.log(`skipped: progress on a real terminal (${reason})`);
  return reason === undefined;
}

const ESCAPE = "\u001b";
const CLEARED = `\r${ESCAPE}[K`;
const BAR = `${CLEARED}[`;

/** What a terminal gets from standard error, and from standard output unless that goes elsewhere. */
async function onTerminal(args: readonly string[], redirect = ""): Promise<string> {
  const quoted = [...PROGRAM, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  const { stdout, code } = await runKestrel(["-qec", `${quoted} ${redirect}`, "/dev/null"], { program: ["script"] });
  expect(code, stdout).toBe(0);
  return stdout;
}

describe.skipIf(!terminalRuns())("on a terminal", () => {
  const few = ["--rules", join(RULES, "execution"), "--json"];
  const query = ["query", 'process where process.name == "dash"', RECORDING, "--json"];

  test("replay draws the line and takes it away before the totals", async () => {
    const screen = await onTerminal(["replay", RECORDING, ...few], ">/dev/null");
    expect(screen.startsWith(BAR)).toBe(true);
    expect(screen.slice(BAR.length)).toMatch(/^\.{20}\] {3}0 % {2}0 B of \d+\.\d kB {2}0 events {2}(\d+\/s {2})?0 alerts/);
    const totals = screen.indexOf("kestrel: 74 events");
    expect(screen.slice(0, totals).endsWith(CLEARED)).toBe(true);
    expect(screen.slice(totals)).not.toContain(ESCAPE);
  });

  test("alerts on the same terminal stand on lines of their own", async () => {
    const screen = await onTerminal(["replay", RECORDING, ...few]);
    const first = screen.indexOf('{"id":');
    expect(screen.slice(0, first).endsWith(CLEARED)).toBe(true);
    const lines = screen
      .slice(first)
      .split("\r\n")
      .filter((line) => line.startsWith("{"));
    expect(lines.map((line) => typeof JSON.parse(line))).toEqual(Array.from({ length: 10 }, () => "object"));
  });

  test("query draws it too", async () => {
    const screen = await onTerminal(query, ">/dev/null");
    expect(screen.startsWith(BAR)).toBe(true);
    expect(screen).toContain(" matches");
    expect(screen.endsWith(CLEARED)).toBe(true);
  });

  test("--quiet draws nothing", async () => {
    const screen = await onTerminal(["replay", RECORDING, ...few, "--quiet"], ">/dev/null");
    expect(screen).toMatch(/^kestrel: 74 events.*\r\n$/);
    expect(screen).not.toContain(ESCAPE);
    expect(await onTerminal([...query, "--quiet"], ">/dev/null")).toBe("");
  });

  test("nothing is drawn when standard error goes elsewhere", async () => {
    expect(await onTerminal(["replay", RECORDING, ...few], "2>/dev/null")).not.toContain(ESCAPE);
  });
});
