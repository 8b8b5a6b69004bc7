// Sensors come and go with what the rules can match, while they run: real programs, the real kernel. Nothing of a sensor that stays is lost, and
// whatever happens produced = pushed + lost + left out.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EbpfSource } from "#ebpf";
import { type Demand, everyEvent, SchemaRegistry } from "#schema";
import { ALL_WORDS } from "../../src/ebpf/event-words.ts";
import { Collector } from "./collector.ts";
import { type Fields, refusal } from "./live.ts";

// Generous, since machines are noisy and no test here measures time; it only ends what hangs.
setDefaultTimeout(60_000);
const EVERYTHING = everyEvent(ALL_WORDS);

const wanting = (...actions: readonly string[]): Demand => EVERYTHING.filter(({ words }) => actions.includes(words[2]));

if (refusal !== undefined) console.log(`skipped: sensors that come and go (${refusal})`);
describe.skipIf(refusal !== undefined)("while the sensors run", () => {
  const folder = mkdtempSync(join(tmpdir(), "kestrel-demand-"));
  const registry = new SchemaRegistry();
  const source = new EbpfSource({ registry });
  const collector = new Collector(registry);
  beforeAll(async () => {
    source.setDemand(wanting("end"));
    await source.start(collector);
  });
  afterAll(async () => {
    await source.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const attached = (): readonly string[] =>
    source.statuses().flatMap(({ sensor, attachment }) => (attachment === undefined ? [] : [sensor]));
  const needed = (): readonly string[] => source.statuses().flatMap(({ sensor, needed: isNeeded }) => (isNeeded ? [sensor] : []));

  /** Runs a shell to its end; actions of its own events, as they came. Its number may have been another's on a busy machine, before. */
  async function actionsOf(script: string): Promise<readonly string[]> {
    const earlier = new Set(collector.all(() => true));
    const { pid } = Bun.spawn(["/bin/sh", "-c", script], { cwd: folder, stdin: "ignore", stdout: "ignore", stderr: "inherit" });
    const isOurs = (fields: Fields): boolean => fields["process.pid"] === BigInt(pid) && !earlier.has(fields);
    await collector.find((fields) => isOurs(fields) && fields["event.action"] === "end");
    return collector.all(isOurs).map((fields) => String(fields["event.action"]));
  }

  test("only what is wanted is attached and sent; the process table is kept all the same", async () => {
    expect(attached()).toEqual(["exit", "exec", "fork"]);
    expect(needed()).toEqual(["exit", "exec", "fork"]);
    expect(await actionsOf("echo > a; mv a b")).toEqual(["end"]);
    const last = collector.all((fields) => fields["process.command_line"] === "/bin/sh -c echo > a; mv a b").at(-1);
    expect(last?.["process.parent.pid"]).toBe(BigInt(process.pid));
    expect(source.filtered()["no-rule"]).toBeGreaterThan(0);
  });

  test("a wish attaches a sensor and one less detaches it, again and again", async () => {
    for (let turn = 0; turn < 3; turn++) {
      source.setDemand(wanting("end", "creation"));
      await source.settled();
      expect(attached()).toEqual(["exit", "exec", "fork", "file", "change"]);
      expect(await actionsOf("echo > c; echo >> c; rm c")).toEqual(["creation", "end"]);
      source.setDemand(wanting("end", "exec"));
      expect(attached()).toEqual(["exit", "exec", "fork"]);
      expect(await actionsOf("echo > c; rm c")).toEqual(["exec", "end"]);
    }
    source.setDemand(EVERYTHING);
    await source.settled();
    // A kernel may be built without modules.
    const possible = source.statuses().filter(({ sensor, refused }) => sensor !== "module" || refused.length === 0);
    expect(attached()).toEqual(possible.map(({ sensor }) => sensor));
    expect(await actionsOf("echo > d; exec mv d e")).toEqual(["fork", "exec", "creation", "exec", "rename", "end"]);
  });

  test("sensors that stay lose nothing while others come and go, from inside the sink too", async () => {
    const marker = `kestrel-demand-${process.pid}`;
    const shell = Bun.spawn(["/bin/sh", "-c", `i=0; while [ $i -lt 300 ]; do /bin/true ${marker}; i=$((i+1)); done`]);
    let turns = 0;
    for (let running = true; running; turns++) {
      source.setDemand(turns % 2 === 0 ? wanting("exec") : EVERYTHING);
      if (turns % 4 === 1) await source.settled();
      running = await Promise.race([shell.exited.then(() => false), new Promise<boolean>((resolve) => setImmediate(() => resolve(true)))]);
    }
    source.setDemand(EVERYTHING);
    await actionsOf("exec /bin/true");
    expect(
      collector.all(({ "event.action": action, "process.args": args }) => action === "exec" && String(args).includes(marker)).length,
    ).toBe(301);
    expect(turns).toBeGreaterThan(2);
    const push = collector.push.bind(collector);
    let within = 0;
    collector.push = (bytes, offset) => {
      if (within++ < 20) source.setDemand(within % 2 === 0 ? wanting("end", "exec", "fork") : EVERYTHING);
      return push(bytes, offset);
    };
    source.setDemand(EVERYTHING);
    expect(await actionsOf("for i in 1 2 3 4 5 6 7 8 9; do /bin/true; done")).toContain("end");
    expect(within).toBeGreaterThan(20);
  });

  test("produced = pushed + lost + left out", async () => {
    source.setDemand(wanting("end", "rename"));
    await source.settled();
    await actionsOf("i=0; while [ $i -lt 50 ]; do echo > f; mv f g; i=$((i+1)); done");
    await source.stop();
    const { pushed, refused } = source.counts();
    const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((all, count) => all + count, 0);
    expect(refused).toBe(0);
    expect(source.produced).toBe(pushed + sum(source.losses()) + sum(source.filtered()));
  });
});
