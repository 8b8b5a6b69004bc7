// SIGKILL at random moments while `kestrel replay --state` reads a log that grows: what the state file holds in the end is what one undisturbed
// run leaves, byte for byte. 20 kills; KESTREL_KILLS=200 for the long run, KESTREL_SEED to repeat one.
import { expect, setDefaultTimeout, test } from "bun:test";
import { statSync } from "node:fs";
import { join } from "node:path";
import { PROGRAM, runKestrel, TempFolder } from "./program.ts";
import { seededRandom } from "./recorded-hour.ts";
import { GrowingLog, keptAlerts, SEQUENCE_RULES, sequenceLines, writeSequenceRules } from "./sequence-log.ts";

const KILLS = Number(process.env["KESTREL_KILLS"] ?? 20);
const SEED = Number(process.env["KESTREL_SEED"] ?? Date.now() % 1_000_000);
/** After so many kills, or at its end, a log is finished and another one begun. */
const KILLS_OF_A_LOG = 40;
const LINES = 200_000;
const PIECE_LINES_MAX = 25_000;

setDefaultTimeout(60_000 + KILLS * 10_000);

/** When a program is killed. */
type Moment = "start" | "reading" | "commit";
const MOMENTS: readonly Moment[] = ["start", "reading", "commit"];

interface Totals {
  readonly kills: Record<Moment, number>;
  ended: number;
  repeated: number;
  torn: number;
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0;
  }
}

/** Waits for the moment to kill at; the program may end before. */
async function untilMoment(moment: Moment, { state, startMs, random }: { state: string; startMs: number; random: () => number }) {
  const beganMs = performance.now();
  if (moment === "start") return Bun.sleep(random() * startMs * 1.2);
  if (moment === "reading") return Bun.sleep(startMs * 0.7 + random() * 1200);
  // A commit is over a few hundred microseconds after the log of the database begins to grow.
  const commits = 1 + Math.floor(random() * 20);
  const afterMs = random() * 3;
  for (let seen = 0, size = sizeOf(`${state}-wal`); seen < commits && performance.now() - beganMs < startMs + 2000; ) {
    const now = sizeOf(`${state}-wal`);
    if (now !== size) seen++;
    size = now;
    await new Promise((resolve) => setImmediate(resolve));
  }
  const untilMs = performance.now() + afterMs;
  while (performance.now() < untilMs);
}

/** One program over the log as it is, killed at a moment, or not when that is undefined. Its whole lines. */
async function oneRun(
  args: readonly string[],
  killed: (() => Promise<void>) | undefined,
): Promise<{ readonly lines: readonly string[]; readonly rest: string; readonly wasKilled: boolean }> {
  const child = Bun.spawn([...PROGRAM, ...args], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const output = Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  if (killed !== undefined) {
    await Promise.race([killed(), child.exited]);
    child.kill("SIGKILL");
  }
  await child.exited;
  const [stdout, stderr] = await output;
  const wasKilled = child.signalCode === "SIGKILL";
  if (!wasKilled) expect(child.exitCode, stderr).toBe(0);
  expect(stderr).not.toMatch(/set aside|left out:|internal error/);
  const lines = stdout.split("\n");
  const rest = lines.pop() ?? "";
  return { lines, rest, wasKilled };
}

/** One log from its beginning to its end, with up to so many kills; how many there were. */
async function oneLog(seed: number, killsMax: number, startMs: number, totals: Totals): Promise<number> {
  const random = seededRandom(seed);
  using folder = new TempFolder();
  const rules = writeSequenceRules(folder.path);
  const log = new GrowingLog(folder.path, sequenceLines(LINES, seed), 1 + Math.floor(random() * 3));
  const argsWith = (state: string): readonly string[] => ["replay", ...log.files, "--rules", rules, "--json", "--state", state];
  const state = join(folder.path, "killed.state");
  const printed = new Set<string>();
  let kills = 0;
  const take = ({ lines, rest }: { readonly lines: readonly string[]; readonly rest: string }): void => {
    for (const line of lines) {
      if (printed.has(line)) totals.repeated++;
      printed.add(line);
    }
    if (rest !== "") totals.torn++;
  };
  const grow = (): void => log.grow(1 + Math.floor(random() * PIECE_LINES_MAX), random() < 0.5 ? Math.floor(random() * 200) : 0);
  for (let idle = false; kills < killsMax && !(log.isWhole && idle); ) {
    grow();
    const moment = MOMENTS[Math.floor(random() * MOMENTS.length)] as Moment;
    const growAfterMs = random() * 2 * startMs;
    const run = oneRun(argsWith(state), () => untilMoment(moment, { state, startMs, random }));
    // The log grows while it is read, too.
    const growing = Bun.sleep(growAfterMs).then(grow);
    const ended = await run;
    await growing;
    take(ended);
    idle = !ended.wasKilled;
    if (!ended.wasKilled) totals.ended++;
    else {
      totals.kills[moment]++;
      kills++;
    }
  }
  log.grow(LINES);
  const last = await oneRun(argsWith(state), undefined);
  take(last);

  const whole = join(folder.path, "whole.state");
  const expected = (await runKestrel(argsWith(whole))).lines;
  expect(new Set(expected.map((line) => (JSON.parse(line) as { readonly rule: { readonly id: string } }).rule.id)).size).toBe(
    Object.keys(SEQUENCE_RULES).length,
  );
  expect(keptAlerts(whole)).toEqual([...expected]);
  // In the same order too: nothing was stored twice, nothing late.
  expect(keptAlerts(state)).toEqual([...expected]);
  expect([...printed].toSorted()).toEqual(expected.toSorted());
  return kills;
}

test(`${KILLS} kills, seed ${SEED}`, async () => {
  using folder = new TempFolder();
  const rules = writeSequenceRules(folder.path);
  const empty = await folder.write("empty.jsonl", "");
  const beganMs = performance.now();
  await runKestrel(["replay", empty, "--rules", rules, "--state", join(folder.path, "state")]);
  const startMs = performance.now() - beganMs;
  const totals: Totals = { kills: { start: 0, reading: 0, commit: 0 }, ended: 0, repeated: 0, torn: 0 };
  let logs = 0;
  for (let kills = 0; kills < KILLS; logs++) kills += await oneLog(SEED + logs, Math.min(KILLS_OF_A_LOG, KILLS - kills), startMs, totals);
  const { start, reading, commit } = totals.kills;
  console.log(
    `${start} kills at the start (it takes ${Math.round(startMs)} ms), ${reading} while reading, ${commit} about a commit; ` +
      `${totals.ended} runs ended by themselves; ${logs} logs, seed ${SEED}; ${totals.repeated} lines printed again, ${totals.torn} torn`,
  );
  expect(start + reading + commit).toBe(KILLS);
});
