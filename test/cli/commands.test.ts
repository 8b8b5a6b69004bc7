// The commands as a person meets them first: help, suggestions, version, rules, doctor, and what a wrong word answers.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { asNobody, jsonLines, PROGRAM, RULES, runKestrel, TempFolder } from "./program.ts";

setDefaultTimeout(60_000);
console.log(`command line tests run ${PROGRAM.join(" ")}`);

const COMMANDS = ["run", "replay", "query", "explain", "check", "test", "doctor", "record", "isolate", "rules", "schema", "version"];

describe("help", () => {
  for (const command of COMMANDS) {
    test(`kestrel ${command} --help explains itself with an example`, async () => {
      const { stdout, stderr, code } = await runKestrel([command, "--help"]);
      expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
      expect(stdout.startsWith(`kestrel ${command}`)).toBe(true);
      const examples = stdout.slice(stdout.search(/^Examples?$/m)).split("\n");
      expect(examples.slice(1).filter((line) => line.includes(`kestrel ${command}`)).length).toBeGreaterThan(0);
      expect((await runKestrel(["help", command])).stdout).toBe(stdout);
    });
  }

  test("the overview names every command", async () => {
    const { stdout, code } = await runKestrel(["--help"]);
    expect(code).toBe(0);
    expect([...stdout.matchAll(/^ {2}([a-z]+) {2}/gm)].map((match) => match[1])).toEqual(COMMANDS);
    expect((await runKestrel(["help"])).stdout).toBe(stdout);
    expect(await runKestrel([])).toMatchObject({ code: 2, stdout: "" });
  });

  test("every flag that the help of a command names is taken by it", async () => {
    for (const command of COMMANDS) {
      const { stdout } = await runKestrel([command, "--help"]);
      const flags = [...stdout.matchAll(/^ {2}(--[a-z-]+)(?: [A-Z])?/gm)].flatMap(([text, flag]) =>
        / [A-Z]$/.test(text) ? [flag as string, "/nonexistent"] : [flag as string],
      );
      expect(`${command}: ${flags}`).toContain("--");
      // Words that are too many, or name nothing, end the command before it does anything.
      const { stderr } = await runKestrel([command, ...flags, "/nonexistent", "/nonexistent"]);
      expect(`${command} ${flags}: ${stderr}`).not.toMatch(/Unknown flag|does not take|argument missing/);
    }
  });
});

describe("a wrong word", () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [["qury"], /unknown command "qury", did you mean "query"\?/],
    [["zzzz"], /unknown command "zzzz"\n/],
    [["help", "qury"], /unknown command "qury", did you mean "query"\?/],
    [["query", "--jsn", "any where true", "x"], /Unknown flag "--jsn", did you mean "--json"\?\nSee "kestrel query --help"/],
    [["replay", "--partitons=2", "x"], /Unknown flag "--partitons", did you mean "--partitions"\?/],
    [["check", "--lenient-field", "x"], /did you mean "--lenient-fields"\?/],
    [["replay", "x", "--partitions", "0"], /"--partitions" needs a whole number from 1 to 64, not "0"/],
    [["replay", "x", "--partitions", "two"], /not "two"/],
    [["replay", "x", "--backend", "js"], /"--backend" needs wasm or lua, not "js"/],
    [["replay", "x", "--time-unit", "weeks"], /"--time-unit" needs one of auto, s, ms, us, 100ns, ns, not "weeks"/],
    [["replay"], /Name at least one event log/],
    [["check"], /Name at least one rule file/],
    [["query"], /Give a query and at least one event log/],
    [["query", "any where true"], /Name at least one event log/],
    [["query", "any where true", "x", "--dialect", "sql"], /"--dialect" needs default or endgame, not "sql"/],
    [["query", "--query-file", "/nonexistent/q.eql", "x"], /Cannot read the query file "\/nonexistent\/q.eql"/],
    [["query", "any where true", "/nonexistent/x.jsonl"], /Cannot read "\/nonexistent\/x.jsonl": ENOENT/],
    [["query", "any where true", "x", "--id"], /--id/],
    [["replay", "/nonexistent/x.jsonl"], /Cannot read "\/nonexistent\/x.jsonl": ENOENT/],
    [["run", "rules/"], /Unexpected argument "rules\/"; rule paths go behind --rules/],
    [["doctor", "foo"], /^kestrel: Unexpected argument "foo"\nSee "kestrel doctor --help"\n$/],
    [["version", "foo"], /^kestrel: Unexpected argument "foo"\nSee/],
    [["--version", "foo"], /^kestrel: Unexpected argument "foo"\nSee/],
    [["help", "run", "foo"], /^kestrel: Unexpected argument "foo"\nSee/],
    [["isolate", "status", "foo"], /Say on, off or status, not "status foo"/],
    [["run", "--constructor", "x"], /Unknown flag "--constructor"/],
    [
      ["run", "--isolation-cgroup", "/nonexist"],
      /"--isolation-cgroup" needs the folder of a control group \(v2\), which "\/nonexist" is not/,
    ],
    [["run", "--isolation-cgroup", ""], /which "" is not/],
    [["run", "--protect", ""], /"--protect" needs file names or whole paths, not ""/],
    [["run", "--protect", "a,,b"], /"--protect" needs file names or whole paths, not ""/],
    [["run", "--gate-deadline", "-1"], /^kestrel: Flag "--gate-deadline" needs a whole number from 10 to 60000, not "-1"\nSee/],
    [["run", "--partitions", "-1"], /^kestrel: Flag "--partitions" needs a whole number from 1 to 64, not "-1"\nSee/],
    [["record", "f", "--seconds", "-5"], /^kestrel: Flag "--seconds" needs a whole number from 1 to 31536000, not "-5"\nSee/],
    [["replay", "f", "--speed", "-2"], /^kestrel: .*"--speed".*"-2".*\nSee/],
    [
      ["replay", "f", "--rules", "--json"],
      /^kestrel: Flag "--rules" has no value before "--json"; if that is the value, write "--rules=--json"\nSee/,
    ],
    [["record", "/nonexistent/f.klog", "--without", "foo"], /^kestrel: There is no sensor "foo"/],
    [["record", "/nonexistent/f.klog", "--redact", "("], /^kestrel: Cannot use --redact "\("/],
    [["record", "/", "--json"], /^kestrel: Cannot open "\/": EISDIR/],
    [["record"], /Name one file to write/],
    [["record", "-"], /add --json/],
    [["rules", "/nonexistent/r.yaml"], /No rule loads from \/nonexistent\/r.yaml/],
    [["rules", "show"], /Name the rule to show/],
    [["rules", "show", "kestrel.exec-from-smh"], /No rule "kestrel.exec-from-smh", did you mean "kestrel.exec-from-shm"\?/],
    [["check", "x", "--schema", "/nonexistent/s.json"], /Cannot read schema file "\/nonexistent\/s.json"/],
  ];
  for (const [args, message] of cases) {
    test(`kestrel ${args.join(" ")}`, async () => {
      const { stdout, stderr, code } = await runKestrel(args);
      expect(stderr).toMatch(message);
      expect(stderr).not.toContain("internal error");
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    });
  }
});

test("output that cannot be written is no error of the program", async () => {
  const { stderr, code } = await runKestrel(["-c", 'exec "$@" > /dev/full', "sh", ...PROGRAM, "schema"], { program: ["sh"] });
  expect(stderr).toBe("kestrel: Cannot write the output: ENOSPC: no space left on device, write\n");
  expect(code).toBe(3);
});

const nobody = asNobody();
test.skipIf(nobody === undefined)("a recording without rights ends and says what is missing", async () => {
  using folder = new TempFolder();
  chmodSync(folder.path, 0o777);
  const { stdout, stderr, code } = await runKestrel(["record", join(folder.path, "x.klog")], { through: nobody ?? [] });
  expect(stderr).toContain("Run as root");
  expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
});

test("an address to listen on that is none is refused before anything is opened", async () => {
  using folder = new TempFolder();
  const data = join(folder.path, "data");
  const { stdout, stderr, code } = await runKestrel(["run", "--data", data, "--listen", "foo"]);
  expect(stderr).toMatch(/^kestrel: Cannot listen on "foo": expected HOST:PORT/);
  expect({ code, stdout, isMade: existsSync(data) }).toEqual({ code: 2, stdout: "", isMade: false });
});

if (PROGRAM.length > 1) console.log("skipped: files of the runtime in the current folder (dist/kestrel is older than the sources)");

// Whoever starts it as root need not trust the folder that he stands in.
test.skipIf(PROGRAM.length > 1)("what lies in the current folder is no part of the program", async () => {
  using folder = new TempFolder();
  await folder.write("preloaded.js", 'console.log("preloaded");');
  await folder.write("bunfig.toml", 'preload = ["./preloaded.js"]\n');
  await folder.write(".env", "BUN_CONFIG_PRELOAD=./preloaded.js\nKESTREL_FROM_FOLDER=1\n");
  await folder.write("package.json", "{");
  await folder.write("tsconfig.json", "{");
  expect(await runKestrel(["version"], { cwd: folder.path })).toEqual(await runKestrel(["version"], { cwd: "/" }));
});

test("version is the package's, for people and for machines", async () => {
  const { stdout, code } = await runKestrel(["version"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(new RegExp(`^kestrel ${packageJson.version.replaceAll(".", "\\.")} \\(`));
  expect(jsonLines(await runKestrel(["version", "--json"]))).toEqual([
    { version: packageJson.version, commit: expect.any(String), bun: expect.any(String), arch: process.arch },
  ]);
  expect((await runKestrel(["--version"])).stdout).toBe(stdout);
});

describe("rules", () => {
  interface Listed {
    readonly id: string;
    readonly kind: string;
    readonly enabled: boolean;
  }

  test("the built-in rules are those of the folder, samples apart", async () => {
    const builtin = jsonLines<Listed>(await runKestrel(["rules", "--json"]));
    const folder = jsonLines<Listed>(await runKestrel(["rules", RULES, "--json"]));
    expect(builtin.length).toBeGreaterThanOrEqual(25);
    const sorted = (rules: readonly Listed[]): readonly Listed[] => rules.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    expect(sorted(builtin)).toEqual(sorted(folder.filter(({ id }) => !id.startsWith("kestrel.sample."))));
    const text = await runKestrel(["rules"]);
    expect(text.lines).toHaveLength(builtin.length);
  });

  test("show prints a rule that can be checked and tested again", async () => {
    using folder = new TempFolder();
    const shown = await runKestrel(["rules", "show", "kestrel.exec-from-shm"]);
    expect(shown.stdout).toContain("id: kestrel.exec-from-shm");
    await folder.write("shown.yaml", shown.stdout);
    expect(await runKestrel(["check", folder.path])).toMatchObject({ code: 0 });
    expect(await runKestrel(["test", folder.path])).toMatchObject({ code: 0 });
  });

  test("a broken file is said on standard error, the others are listed", async () => {
    using folder = new TempFolder();
    await folder.write("a.yaml", "id: a\nquery: process where true\n");
    await folder.write("b.yaml", "id: b\nquery: process where\n");
    const { lines, stderr, code } = await runKestrel(["rules", folder.path]);
    expect({ count: lines.length, code }).toEqual({ count: 1, code: 0 });
    expect(stderr).toMatch(/b\.yaml:2:/);
  });
});

describe("doctor", () => {
  test("says the same as text and as JSON, and exits 3 exactly when no sensor can run", async () => {
    const [report] = jsonLines<{ kernel: string; error?: string; sensors: { sensor: string }[]; notCovered: string[] }>(
      await runKestrel(["doctor", "--json"]),
    );
    const text = await runKestrel(["doctor"]);
    expect(text.stdout).toContain(report?.kernel ?? "missing");
    for (const line of report?.notCovered ?? ["missing"]) expect(text.stdout).toContain(line);
    for (const { sensor } of report?.sensors ?? []) expect(text.stdout).toContain(`sensor ${sensor}`);
    expect(text.code).toBe(report?.error === undefined ? 0 : 3);
  });

  test.skipIf(nobody === undefined)("without rights it exits 3 and says what is missing", async () => {
    const { stdout, code } = await runKestrel(["doctor"], { through: nobody ?? [] });
    expect(code).toBe(3);
    expect(stdout).toContain("CAP_BPF");
    expect(stdout).toMatch(/No sensor can run here: .*[Rr]un as root/s);
  });
});
