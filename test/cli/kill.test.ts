// SIGKILL at a random moment, again and again on the same data: the database opens, every alert that was served is there, the recording reads up
// to its last whole block. Three rounds; KESTREL_KILLS=100 for the long run, KESTREL_SEED to repeat one.
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { KlogReader } from "#event";
import { SchemaRegistry } from "#schema";
import { Store } from "#store";
import { AgentProcess, type AlertJson, markerRule, sensorsRun } from "./agent-process.ts";
import { TempFolder } from "./program.ts";
import { seededRandom } from "./recorded-hour.ts";

const KILLS = Number(process.env["KESTREL_KILLS"] ?? 3);
const SEED = Number(process.env["KESTREL_SEED"] ?? Date.now() % 1_000_000);
const KILL_AFTER_MS_MAX = 1200;

setDefaultTimeout(60_000 + KILLS * 20_000);

/** Starts programs that the rule alerts on, until told to stop. */
function load(marker: string): { stop(): void } {
  const child = Bun.spawn(["sh", "-c", 'while :; do /bin/true "$1"; done', "sh", marker], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  return { stop: () => child.kill("SIGKILL") };
}

test.skipIf(!sensorsRun())(`${KILLS} kills under load, seed ${SEED}`, async () => {
  const random = seededRandom(SEED);
  using folder = new TempFolder();
  const data = join(folder.path, "data");
  const marker = `kestrel-kill-${process.pid}`;
  const rule = await folder.write("rule.yaml", markerRule("kill.marker", marker));
  const served = new Set<string>();
  let records = 0;
  for (let round = 0; round < KILLS; round++) {
    const klog = join(folder.path, `${round}.klog`);
    await using agent = await AgentProcess.start(data, ["--rules", rule, "--record", klog]);
    const streamed = await agent.follow();
    const running = load(marker);
    const listed: AlertJson[] = [];
    try {
      const killAtMs = performance.now() + random() * KILL_AFTER_MS_MAX;
      // The list is asked all the time, so that the kill may fall into an answer; one that was cut short was not served.
      const asking = (async () => {
        for (;;) listed.push(...(await agent.listed()));
      })().catch(() => undefined);
      while (performance.now() < killAtMs || (streamed.length === 0 && listed.length === 0)) {
        expect(agent.child.exitCode, agent.stderr).toBe(null);
        await Bun.sleep(1);
      }
      await agent.kill();
      await asking;
    } finally {
      running.stop();
    }
    for (const { id } of [...streamed, ...listed, ...agent.printed]) served.add(id);

    const { store, setAside } = Store.open(join(data, "kestrel.db"));
    try {
      expect(setAside).toBeUndefined();
      expect([...served].filter((id) => store.get(id) === undefined)).toEqual([]);
    } finally {
      store.close();
    }
    records += readableRecords(klog);
  }
  console.log(`${KILLS} kills, seed ${SEED}: ${served.size} alerts served and all kept, ${records} recorded events read`);
  expect(served.size).toBeGreaterThanOrEqual(KILLS);
});

/** Records of a recording whose writer was killed; at most its last block may be torn. */
function readableRecords(path: string): number {
  const reader = KlogReader.open(path, new SchemaRegistry());
  let count = 0;
  try {
    for (let block = reader.next(); block !== undefined; block = reader.next()) count += block.count;
    expect(reader.summary.problems.length).toBeLessThanOrEqual(1);
  } finally {
    reader.close();
  }
  return count;
}
