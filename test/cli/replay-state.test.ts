// kestrel replay --state: a log in pieces gives what it gives whole; state that cannot be used is set aside, a log or a file that is another one
// is refused, a full disk loses nothing.
import { Database } from "bun:sqlite";
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Store } from "#store";
import { type Outcome, runKestrel, TempFolder } from "./program.ts";
import { seededRandom } from "./recorded-hour.ts";
import { GrowingLog, keptAlerts, SEQUENCE_RULES, sequenceLines, writeSequenceRules } from "./sequence-log.ts";

setDefaultTimeout(120_000);

const LINES = sequenceLines(6000, 3);

/** A folder with the rules and a log. */
class Place extends TempFolder {
  readonly rules: string = writeSequenceRules(this.path);
  readonly log: GrowingLog;
  readonly state: string = join(this.path, "state");

  constructor(fileCount = 1) {
    super();
    this.log = new GrowingLog(this.path, LINES, fileCount);
  }

  async replay(more: readonly string[] = [], state: string = this.state): Promise<Outcome> {
    return runKestrel(["replay", ...this.log.files, "--rules", this.rules, "--json", "--reorder", "3s", "--state", state, ...more]);
  }

  /** What one run over the whole log prints. */
  async whole(): Promise<readonly string[]> {
    this.log.grow(LINES.length);
    const { lines, code } = await this.replay([], join(this.path, "whole"));
    expect(code).toBe(0);
    return lines;
  }
}

interface Printed {
  readonly rule: { readonly id: string };
  readonly events: readonly { readonly "@timestamp": string }[];
}

const parsed = (line: string): Printed => JSON.parse(line) as Printed;

describe("a log in pieces gives what it gives whole", () => {
  for (const [name, files, partitions] of [
    ["one file", 1, "1"],
    ["three files merged", 3, "1"],
    ["one file, three partitions", 1, "3"],
  ] as const) {
    test(name, async () => {
      using place = new Place(files);
      const random = seededRandom(17);
      const printed: string[] = [];
      let pieces = 0;
      for (; !place.log.isWhole; pieces++) {
        place.log.grow(1 + Math.floor(random() * 1000), Math.floor(random() * 150));
        const { lines, code, stderr } = await place.replay(["--partitions", partitions]);
        expect(code, stderr).toBe(0);
        printed.push(...lines);
      }
      const expected = await place.whole();
      expect(pieces).toBeGreaterThan(10);
      expect(new Set(expected.map((line) => parsed(line).rule.id)).size).toBe(Object.keys(SEQUENCE_RULES).length);
      expect(printed).toEqual([...expected]);
      expect(keptAlerts(place.state)).toEqual([...expected]);
      // Nothing new: nothing said.
      expect((await place.replay()).lines).toEqual([]);
    });
  }

  test("wherever it is run from", async () => {
    using place = new Place();
    const file = place.log.files[0] as string;
    const args = ["--rules", place.rules, "--json", "--reorder", "3s", "--state", place.state];
    const printed: string[] = [];
    for (const [name, cwd] of [
      [basename(file), place.path],
      [file, "/"],
      [`rules/../${basename(file)}`, place.path],
    ] as const) {
      place.log.grow(LINES.length / 3);
      printed.push(...(await runKestrel(["replay", name, ...args], { cwd })).lines);
    }
    expect(printed).toEqual([...(await place.whole())]);
  });
});

/** Changes a state file behind the program's back. */
function meddle(path: string, sql: string): void {
  const database = new Database(path);
  try {
    database.run(sql);
  } finally {
    database.close();
  }
}

describe("state that cannot be used is reported and set aside, and the log read anew", () => {
  for (const [name, sql, said] of [
    ["a row is damaged", "UPDATE state_rows SET value = randomblob(length(value)) WHERE id = 5", /fails its checksum/],
    ["another version wrote it", "UPDATE state_header SET format = 9", /it has format 9, this Kestrel reads format \d+/],
    ["rows are lost", "DELETE FROM state_header", /there are rows, but no header/],
  ] as const) {
    test(name, async () => {
      using place = new Place();
      place.log.grow(3000);
      const first = await place.replay();
      meddle(place.state, sql);
      const expected = await place.whole();
      const { lines, stderr, code } = await place.replay();
      expect(code, stderr).toBe(0);
      expect(stderr).toMatch(said);
      expect(stderr).toContain("set aside as table state_rows_damaged");
      expect(stderr).toContain(`${LINES.length} events`);
      // Alerts were not damaged: they are there, and are not raised again.
      expect([...first.lines, ...lines]).toEqual([...expected]);
      expect(keptAlerts(place.state)).toEqual([...expected]);
      expect((await place.replay()).stderr).not.toContain("set aside");
    });
  }
});

test("a rule that changed forgets its own pending sequences and no others", async () => {
  using place = new Place();
  const expected = await place.whole();
  using cut = new Place();
  cut.log.grow(3000);
  const first = await cut.replay();
  cut.log.grow(LINES.length);
  writeSequenceRules(cut.path, { pair: SEQUENCE_RULES["pair"]!.replace("sequence", "sequence /* changed */") });
  const printed = [...first.lines, ...(await cut.replay()).lines];
  const ofPair = (lines: readonly string[], is: boolean): readonly string[] =>
    lines.filter((line) => (parsed(line).rule.id === "pair") === is);
  expect(ofPair(printed, false)).toEqual([...ofPair(expected, false)]);
  // What began behind the cut is found: what is lost waited, or was in the reorder buffer.
  const cutAt = Date.parse((JSON.parse(LINES[2999] as string) as { readonly "@timestamp": string })["@timestamp"]);
  const lost = ofPair(expected, true).filter((line) => !printed.includes(line));
  expect(lost.length).toBeGreaterThan(0);
  expect(ofPair(printed, true).length).toBe(ofPair(expected, true).length - lost.length);
  for (const line of lost) expect(Date.parse(parsed(line).events[0]!["@timestamp"])).toBeLessThanOrEqual(cutAt);
});

describe("is refused", () => {
  for (const partitions of ["1", "2"]) {
    test(`a log that was replaced, by its name: ${partitions} partitions`, async () => {
      using place = new Place(2);
      place.log.grow(4000);
      const first = await place.replay();
      const file = place.log.files[1] as string;
      const copy = join(place.path, "copy");
      copyFileSync(file, copy);
      for (const [replace, reason] of [
        [() => truncateSync(file, 1000), "it has 1000 bytes and had"],
        [() => writeFileSync(file, readFileSync(copy, "utf8").replace("2026", "2027")), "its first bytes have changed"],
      ] as const) {
        replace();
        const { lines, stderr, code } = await place.replay(["--partitions", partitions]);
        expect({ lines, code }).toEqual({ lines: [], code: 2 });
        expect(stderr).toContain(`Cannot continue in "${file}": ${reason}`);
      }
      copyFileSync(copy, file);
      const expected = await place.whole();
      expect([...first.lines, ...(await place.replay()).lines]).toEqual([...expected]);
    });
  }

  test("an events file instead of the state, untouched", async () => {
    using place = new Place(2);
    place.log.grow(100);
    for (const [name, bytes] of [
      ["events", readFileSync(place.log.files[0] as string)],
      ["other database", new Database(":memory:").serialize()],
    ] as const) {
      const path = await place.write(name, bytes);
      if (name !== "events") meddle(path, "CREATE TABLE theirs (x)");
      const before = readFileSync(path);
      const { lines, stderr, code } = await place.replay([], path);
      expect({ name, lines, code }).toEqual({ name, lines: [], code: 3 });
      expect(stderr).toContain(
        `"${path}" is ${name === "events" ? "not a file that Kestrel keeps its state in" : "a database of another program"}`,
      );
      expect(readFileSync(path).equals(before)).toBe(true);
    }
  });

  test("the state of an agent, untouched", async () => {
    using place = new Place();
    place.log.grow(100);
    const { store } = Store.open(place.state);
    store.commit([], { cleared: [], rows: [] }, "12");
    store.close();
    const { stderr, code } = await place.replay();
    expect({ code, said: stderr.includes("belongs to another command") }).toEqual({ code: 2, said: true });
    const again = Store.open(place.state).store;
    expect(again.loadState()).toMatchObject({ kind: "saved", position: "12" });
    again.close();
  });
});

describe("a full disk", () => {
  const outside = new TempFolder();
  const disk = join(outside.path, "disk");
  mkdirSync(disk, { recursive: true });
  const mount = (...args: readonly string[]): boolean => Bun.spawnSync(["mount", ...args], { stderr: "ignore" }).exitCode === 0;
  const mounted = process.geteuid?.() === 0 && mount("-t", "tmpfs", "-o", "size=600k,mode=0700", "tmpfs", disk);
  if (!mounted) console.log("skipped: a full disk under --state (cannot mount a small file system here)");
  afterAll(() => {
    if (mounted) Bun.spawnSync(["umount", disk]);
    outside[Symbol.dispose]();
  });

  test.skipIf(!mounted)("ends the run with the reason, and the next one goes on from what was kept", async () => {
    using place = new Place();
    const expected = await place.whole();
    const state = join(disk, "state");
    const full = await place.replay([], state);
    expect(full.code).toBe(3);
    expect(full.stderr).toMatch(/Cannot store alerts.* in ".*state": .*full; free space\); run it again/);
    expect(full.stderr.split("\n").length).toBeLessThan(6);
    expect(mount("-o", "remount,size=64m", disk)).toBe(true);
    const rest = await place.replay([], state);
    expect(rest.code, rest.stderr).toBe(0);
    expect(rest.stderr).not.toContain("set aside");
    expect(keptAlerts(state)).toEqual([...expected]);
    expect([...new Set([...full.lines, ...rest.lines])]).toEqual([...expected]);
  });
});
