// What `kestrel replay` and `kestrel query` read: several files as one, a range of times, at a speed, until told to stop.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { eventually, jsonLines, PROGRAM, RECORDING, RULES, runKestrel, TempFolder } from "./program.ts";

setDefaultTimeout(60_000);

const folder = new TempFolder();
afterAll(() => folder[Symbol.dispose]());
const FEW_RULES = join(RULES, "execution");
let rule = "";
/** The shipped recording dealt out to three files, in three forms. */
let parts: readonly string[] = [];

beforeAll(async () => {
  rule = await folder.write("seen.yaml", "id: seen\nquery: process where true\ncapture: [process.pid]\n");
  const lines = (await Bun.file(RECORDING).text()).trimEnd().split("\n");
  const dealt = [0, 1, 2].map((part) => Buffer.from(`${lines.filter((_, index) => (index * 7) % 3 === part).join("\n")}\n`));
  parts = [
    await folder.write("part-0.jsonl", dealt[0] as Buffer<ArrayBuffer>),
    await folder.write("part-1.jsonl.gz", Bun.gzipSync(dealt[1] as Buffer<ArrayBuffer>)),
    await folder.write("part-2.jsonl.zst", Bun.zstdCompressSync(dealt[2] as Buffer<ArrayBuffer>)),
  ];
});

function event(pid: number, time: string | number): string {
  return `${JSON.stringify({ "@timestamp": time, event: { category: "process" }, process: { pid } })}\n`;
}

describe("several files", () => {
  test("replayed together give the bytes of the log they were cut from, whatever their order", async () => {
    const whole = await runKestrel(["replay", RECORDING, "--rules", FEW_RULES, "--json"]);
    expect(whole.lines.length).toBe(10);
    for (const files of [parts, parts.toReversed()]) {
      const outcome = await runKestrel(["replay", ...files, "--rules", FEW_RULES, "--json", "--partitions", "2"]);
      expect({ stdout: outcome.stdout, code: outcome.code }).toEqual({ stdout: whole.stdout, code: 0 });
      expect(outcome.stderr).toStartWith("kestrel: 74 events, 74 evaluated, 0 dropped; ");
    }
  });

  test("queried together give the matches in order of time, each its own line", async () => {
    const text = "process where process.pid > 0";
    const whole = await runKestrel(["query", text, RECORDING, "--json"]);
    expect(whole.lines.length).toBeGreaterThan(20);
    expect((await runKestrel(["query", text, ...parts, "--json"])).stdout).toBe(whole.stdout);
  });

  test("equal times: the file named first", async () => {
    const [one, two] = [await folder.write("one.jsonl", event(1, 5)), await folder.write("two.jsonl", event(2, 5))];
    const ids = async (...files: string[]): Promise<string> =>
      (await runKestrel(["query", "process where true", ...files, "--id", "process.pid"])).stdout;
    expect(await ids(one, two)).toBe("1\n2\n");
    expect(await ids(two, one)).toBe("2\n1\n");
  });

  test("a pipe loses none of its first bytes", async () => {
    const program = ["bash", "-c", '"$@" <(cat)', "bash", ...PROGRAM];
    const piped = await runKestrel(["replay", "--rules", rule, "--json"], { program, stdin: '{"x":1}\n{"x":2}\n' });
    expect(piped.stderr).toStartWith("kestrel: 2 events, 2 evaluated, 0 dropped; ");
  });

  test("standard input twice, and more files than can be merged, are mistakes of the command line", async () => {
    const twice = await runKestrel(["replay", "-", "-", "--rules", rule]);
    expect({ code: twice.code, said: twice.stderr.includes("Standard input (-) can be named only once") }).toEqual({ code: 2, said: true });
    const many = await runKestrel(["replay", ...Array.from({ length: 1025 }, () => RECORDING), "--rules", rule]);
    expect(many).toMatchObject({ code: 2, stderr: "kestrel: 1025 files are more than a replay merges, 1024\n" });
  });
});

describe("a range of times", () => {
  let log = "";
  beforeAll(async () => {
    log = await folder.write("range.jsonl", [1, 2, 3, 4].map((pid) => event(pid, `2026-03-02T08:00:0${pid}Z`)).join(""));
  });
  const SECOND = 1_772_438_400;

  const RANGES: readonly (readonly [flags: readonly string[], pids: readonly number[]])[] = [
    [
      ["--from", "2026-03-02T08:00:02Z"],
      [2, 3, 4],
    ],
    [["--to", "2026-03-02T08:00:02Z"], [1]],
    [
      ["--from", "2026-03-02T08:00:02Z", "--to", "2026-03-02T09:00:04+01:00"],
      [2, 3],
    ],
    [
      ["--from", "2026-03-02", "--to", "2026-03-03"],
      [1, 2, 3, 4],
    ],
    [["--from", "2026-03-03"], []],
    [
      ["--from", String(SECOND + 3)],
      [3, 4],
    ],
    [
      ["--from", String((SECOND + 3) * 1000), "--time-unit", "ms"],
      [3, 4],
    ],
    [
      ["--to", `${SECOND + 3}.5`, "--time-unit", "s"],
      [1, 2, 3],
    ],
  ];

  test.each([...RANGES])("%j", async (flags, pids) => {
    const outside = `${4 - pids.length} outside --from and --to`;
    const replayed = await runKestrel(["replay", log, "--rules", rule, "--json", ...flags]);
    expect(jsonLines<{ captures: { "process.pid": number } }>(replayed).map(({ captures }) => captures["process.pid"])).toEqual([...pids]);
    expect(replayed.stderr).toContain(`kestrel: ${pids.length} events, ${pids.length} evaluated, 0 dropped`);
    expect(replayed.stderr.includes(`, ${outside}; `)).toBe(pids.length < 4);
    const queried = await runKestrel(["query", "process where true", log, "--id", "process.pid", ...flags]);
    expect(queried.lines.map(Number)).toEqual([...pids]);
    expect(queried.stderr).toBe(pids.length < 4 ? `kestrel: ${pids.length} events, ${outside}\n` : "");
  });

  const MISTAKES: readonly (readonly [flags: readonly string[], message: string])[] = [
    [["--from", "yesterday"], 'Flag "--from" needs a date such as 2026-03-02T08:00:00Z, or a number of --time-unit, not "yesterday"'],
    [["--to", "2026-02-30"], 'Flag "--to" needs a date such as 2026-03-02T08:00:00Z, or a number of --time-unit, not "2026-02-30"'],
    [["--from", "99999999999999999999"], 'not "99999999999999999999"'],
    [["--from", ""], 'not ""'],
    [["--from", "2026-03-03", "--to", "2026-03-03"], 'Flag "--to" needs a time after "--from": "2026-03-03" is not after "2026-03-03"'],
    [["--from", "5", "--time-unit", "days"], 'Flag "--time-unit" needs one of auto, s, ms, us, 100ns, ns, not "days"'],
  ];

  test.each([...MISTAKES])("%j is a mistake that names the value", async (flags, message) => {
    for (const command of [
      ["replay", log, "--rules", rule],
      ["query", "process where true", log],
    ]) {
      const { stderr, stdout, code } = await runKestrel([...command, ...flags]);
      expect({ stdout, code }).toEqual({ stdout: "", code: 2 });
      expect(stderr).toContain(message);
    }
  });
});

describe("--speed", () => {
  test.each([["0"], ["fast"], ["10xx"], ["1e3"], ["0.0"], ["Infinity"], ["1000001"], [""]])("%p is no speed", async (speed) => {
    const { stderr, code } = await runKestrel(["replay", RECORDING, "--rules", rule, `--speed=${speed}`]);
    expect(code).toBe(2);
    expect(stderr).toContain(`Flag "--speed" needs max, or a number above 0 and up to 1000000 such as 1, 10x or 0.5, not "${speed}"`);
  });

  test.each([["max"], ["1000000"], ["999999.5x"]])("%p: the same alerts", async (speed) => {
    const whole = await runKestrel(["replay", RECORDING, "--rules", FEW_RULES, "--json"]);
    const outcome = await runKestrel(["replay", RECORDING, "--rules", FEW_RULES, "--json", "--speed", speed]);
    expect({ stdout: outcome.stdout, code: outcome.code }).toEqual({ stdout: whole.stdout, code: 0 });
  });
});

/** A replay that goes on until it is told to stop. */
class RunningReplay {
  stdout = "";
  readonly child: Bun.Subprocess<"pipe", "pipe", "pipe">;
  readonly #read: Promise<string>;

  constructor(args: readonly string[]) {
    this.child = Bun.spawn([...PROGRAM, "replay", "--rules", rule, "--json", ...args], { stdin: "pipe", stdout: "pipe", stderr: "pipe" });
    this.#read = new Response(this.child.stderr).text();
    void this.#follow();
  }

  async #follow(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of this.child.stdout) this.stdout += decoder.decode(bytes, { stream: true });
  }

  /** Resolves when so many alerts were printed. */
  async alerts(count: number): Promise<void> {
    await eventually(
      () => `${count} alerts: ${this.stdout}`,
      () => this.stdout.split("\n").length > count || undefined,
    );
  }

  async stopBy(signal: "SIGINT" | "SIGTERM"): Promise<{ readonly code: number; readonly stderr: string }> {
    this.child.kill(signal);
    return { code: await this.child.exited, stderr: await this.#read };
  }
}

describe("told to stop", () => {
  const STOPPED = /^kestrel: stopped before the end: 2 events, 2 evaluated, 0 dropped; 1 rules, 2 alerts; /;

  test("while it waits for the time of the next event: alerts came at once, totals are printed, exit code 0", async () => {
    const log = await folder.write("hour.jsonl", [event(1, 1), event(2, 2), event(3, 3_600_000)].join(""));
    const running = new RunningReplay([log, "--speed", "1"]);
    await running.alerts(2);
    const { code, stderr } = await running.stopBy("SIGINT");
    expect(code).toBe(0);
    expect(stderr).toMatch(STOPPED);
  });

  test("while it waits for standard input, whose writer goes on", async () => {
    const running = new RunningReplay(["-", "--speed", "1000"]);
    running.child.stdin.write(event(1, 1) + event(2, 2));
    await running.child.stdin.flush();
    await running.alerts(2);
    const { code, stderr } = await running.stopBy("SIGTERM");
    expect(code).toBe(0);
    expect(stderr).toMatch(STOPPED);
  });
});
