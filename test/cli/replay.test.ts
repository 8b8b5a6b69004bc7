// kestrel replay: the same bytes on every run, every number of partitions, either back end, from JSON and from .klog; what it says besides.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { EventFileError, JsonDecoder, KlogWriter, readLineChunks } from "#event";
import { SchemaRegistry } from "#schema";
import { jsonLines, type Outcome, RECORDING, RULES, readJsonLines, runKestrel, TempFolder } from "./program.ts";
import { recordedHour } from "./recorded-hour.ts";

setDefaultTimeout(120_000);

const SEED = 7;
const HOUR_EVENTS = 20_000;
const folder = new TempFolder();
afterAll(() => folder[Symbol.dispose]());
const hourJson = join(folder.path, "hour.jsonl");
const hourKlog = join(folder.path, "hour.klog");

interface Alert {
  readonly id: string;
  readonly "@timestamp": string;
  readonly rule: { readonly id: string };
  readonly seq: number;
  readonly events: readonly { readonly event: { readonly sequence: number } }[];
}

/** Rules whose alerts show one event and come later all the same: for lineage, and for what has not happened since. */
const SEQUENCED_RULES: ReadonlySet<string> = new Set([
  "kestrel.credentials-read-below-web-server",
  "kestrel.security-service-left-stopped",
]);

/** JSON lines as `kestrel run --record` would have written them. */
async function record(from: string, to: string): Promise<number> {
  const registry = new SchemaRegistry();
  const decoder = new JsonDecoder(registry, {});
  const writer = KlogWriter.open(to, registry);
  for await (const chunk of readLineChunks(from)) {
    for (let index = 0; index < chunk.numbers.length; index++) {
      const size = decoder.decodeBytes(chunk.bytes, chunk.from[index] as number, chunk.to[index] as number);
      if (typeof size !== "number") throw new EventFileError("cannot-read", size.message);
      writer.append(decoder.builder.bytes, 0, size);
    }
  }
  writer.close();
  return writer.recordsWritten;
}

beforeAll(async () => {
  await Bun.write(hourJson, recordedHour(HOUR_EVENTS, SEED));
  expect(await record(hourJson, hourKlog)).toBe(HOUR_EVENTS);
});

function sha256(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}

/** Rules that are compiled quickly, for the tests that need no more. */
const FEW_RULES = join(RULES, "execution");

function replay(file: string, ...flags: string[]): Promise<Outcome> {
  return replayWith(FEW_RULES, file, ...flags);
}

async function replayWith(rules: string, file: string, ...flags: string[]): Promise<Outcome> {
  const outcome = await runKestrel(["replay", file, "--rules", rules, "--json", ...flags]);
  expect(outcome.code, outcome.stderr).toBe(0);
  return outcome;
}

describe(`a recorded hour of ${HOUR_EVENTS} events, seed ${SEED}`, () => {
  test("three times on 1, 2 and 4 partitions, from .klog: identical bytes; and from JSON, and in Lua", async () => {
    const runs: [string, Outcome][] = [];
    for (const partitions of ["1", "2", "4"]) {
      const rounds = await Promise.all([1, 2, 3].map(() => replayWith(RULES, hourKlog, "--partitions", partitions)));
      for (const [round, outcome] of rounds.entries()) runs.push([`${partitions} partitions, round ${round + 1}`, outcome]);
    }
    for (const partitions of ["1", "4"])
      runs.push([`JSON, ${partitions} partitions`, await replayWith(RULES, hourJson, "--partitions", partitions)]);
    runs.push(["Lua, 2 partitions", await replayWith(RULES, hourKlog, "--partitions", "2", "--backend", "lua")]);

    const [, first] = runs[0] as [string, Outcome];
    const digest = sha256(first.stdout);
    console.log(`recorded hour: ${first.lines.length} alerts, sha256 ${digest}`);
    expect(runs.map(([name, { stdout }]) => [name, sha256(stdout)])).toEqual(runs.map(([name]) => [name, digest]));
    for (const [, { stderr }] of runs)
      expect(stderr).toMatch(new RegExp(`^kestrel: ${HOUR_EVENTS} events, ${HOUR_EVENTS} evaluated, 0 dropped; `));

    const alerts = jsonLines<Alert>(first);
    expect(alerts.length).toBeGreaterThan(100);
    expect(new Set(alerts.map(({ rule }) => rule.id)).size).toBeGreaterThan(15);
    const ofOneEvent = alerts.filter(({ rule, events }) => events.length === 1 && !SEQUENCED_RULES.has(rule.id));
    expect(ofOneEvent.length).toBeGreaterThan(100);
    expect(ofOneEvent.every(({ seq }, index) => index === 0 || seq >= (ofOneEvent[index - 1] as Alert).seq)).toBe(true);
  });
});

describe("replay", () => {
  test("of the shipped recording: alerts only after the ordinary morning, all with rule, events and ancestry", async () => {
    const outcome = await replayWith(RULES, RECORDING);
    const alerts = jsonLines<Alert & { ancestry: unknown[]; message: string }>(outcome);
    expect(alerts.length).toBeGreaterThanOrEqual(20);
    const recorded = readJsonLines<Alert["events"][number]>(RECORDING);
    expect(alerts.some(({ events }) => events.length > 1)).toBe(true);
    for (const alert of alerts) {
      expect(alert.seq).toBeGreaterThanOrEqual(29);
      expect(alert.events.at(-1)).toEqual(recorded[alert.seq]);
      expect(alert.events).toEqual(alert.events.map(({ event }) => recorded[event.sequence - 1]!));
      expect(alert.ancestry.length).toBeGreaterThan(0);
      expect(alert.id).toMatch(/^[0-9a-f]{32}$/);
    }
    expect(new Set(alerts.map(({ id }) => id)).size).toBe(alerts.length);
  });

  test("of compressed files and standard input: the same alerts", async () => {
    const bytes = await Bun.file(RECORDING).bytes();
    const plain = await replay(RECORDING);
    const gz = await folder.write("recording.jsonl.gz", Bun.gzipSync(bytes));
    expect((await replay(gz)).stdout).toBe(plain.stdout);
    const piped = await runKestrel(["replay", "-", "--rules", FEW_RULES, "--json"], { stdin: bytes });
    expect(piped.stdout).toBe(plain.stdout);
  });

  test("without --rules uses the built-in ones", async () => {
    const { lines, code } = await runKestrel(["replay", RECORDING, "--json"]);
    expect(code).toBe(0);
    expect(lines.length).toBeGreaterThanOrEqual(20);
  });

  test("for people: one block an alert, with command line, user and ancestry", async () => {
    const { stdout } = await runKestrel(["replay", RECORDING, "--rules", `${RULES}/execution`]);
    expect(stdout).toMatch(/^2026-03-02 08:\d\d:\d\d\.\d{3} +CRITICAL +Shell redirected to a network device$/m);
    expect(stdout).toMatch(/^ +command +sh -c bash/m);
    expect(stdout).toMatch(/^ +user +www-data \(33\)$/m);
    expect(stdout).toMatch(/^ +ancestry +php-fpm8\.2 \(561\) ← php-fpm8\.2 \(540\) ← systemd \(1\)$/m);
  });

  test("malformed lines are counted and named, the others evaluated", async () => {
    const text = await Bun.file(RECORDING).text();
    const lines = text.split("\n");
    lines.splice(3, 0, "not json", '{"half":', "[1,2]");
    const torn = await folder.write("torn.jsonl", lines.join("\n"));
    const plain = await replay(RECORDING);
    const outcome = await replay(torn);
    expect(outcome.stderr).toMatch(/74 events, 74 evaluated, 0 dropped, 3 lines or blocks left out; /);
    expect([...outcome.stderr.matchAll(/torn\.jsonl:(\d+): /g)].map((match) => match[1])).toEqual(["4", "5", "6"]);
    expect(outcome.stdout).toBe(plain.stdout);
  });

  test("a torn .klog is read up to its last whole block, and says so", async () => {
    const bytes = await Bun.file(hourKlog).bytes();
    const torn = await folder.write("torn.klog", bytes.subarray(0, bytes.length - 1000));
    const whole = await replay(hourKlog);
    const outcome = await replay(torn);
    expect(outcome.lines.length).toBeGreaterThan(0);
    expect(whole.stdout.startsWith(outcome.stdout)).toBe(true);
    expect(outcome.stderr).toMatch(/torn\.klog: at byte \d+: /);
    expect(outcome.stderr).toMatch(/, 1 lines or blocks left out; /);
  });

  test("a broken rule is said and left out, the others run", async () => {
    await folder.write("rules/good.yaml", 'id: good\nquery: process where process.name == "dash"\n');
    await folder.write("rules/bad.yaml", "id: bad\nquery: process where process.nam == 1\n");
    const { lines, stderr, code } = await runKestrel(["replay", RECORDING, "--rules", join(folder.path, "rules"), "--json"]);
    expect({ code, found: lines.length > 0 }).toEqual({ code: 0, found: true });
    expect(stderr).toMatch(/bad\.yaml:2:\d+: error: Unknown field "process\.nam"/);
    expect(stderr).toContain("; 1 rules, ");
    const none = await runKestrel(["replay", RECORDING, "--rules", join(folder.path, "rules", "bad.yaml"), "--json"]);
    expect(none).toMatchObject({ code: 2, stdout: "" });
    expect(none.stderr).toContain("No rule loads from");
  });

  test("naming the default tiebreaker changes nothing", async () => {
    const named = await replay(RECORDING, "--tiebreaker", "event.sequence");
    expect(named.stdout).toBe((await replay(RECORDING)).stdout);
  });

  test("takes time and category from other fields", async () => {
    const rule = await folder.write("shade.yaml", 'id: shade\nquery: paint where process.name == "red"\n');
    const stdin =
      '{"kind":"paint","process":{"name":"red"},"when":1451606400}\n{"kind":"file","process":{"name":"red"},"when":1451606401}\n';
    for (const [when, unit] of [
      [1_451_606_400, "s"],
      [1_451_606_400_000, "ms"],
      [1_451_606_400_000_000, "us"],
    ] as const) {
      const outcome = await runKestrel(
        ["replay", "-", "--rules", rule, "--json", "--timestamp", "when", "--category", "kind", "--time-unit", unit],
        {
          stdin: stdin.replace("1451606400}", `${when}}`),
        },
      );
      const alerts = jsonLines<Alert>(outcome);
      expect(alerts.map(({ rule: { id } }) => id)).toEqual(["shade"]);
      expect(alerts[0]?.["@timestamp"]).toBe("2016-01-01T00:00:00.000Z");
    }
  });
});
