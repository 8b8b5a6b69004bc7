// What watching costs the programs that are watched: the same acts on the bare machine, with empty programs at the sensors' places (the
// floor), with an agent that has no rule, one whose only rule asks for files in one folder, one whose only rule asks for files made in containers, of
// which there are none, one that has all shipped rules, and one that besides has a rule which wants every event, so that no sensor is off and
// nothing is left out. They take turns in every round, so that a busy machine is busy for each; figures are medians of the differences within a round. They are processor time, which includes the sensors' programs and,
// unlike the clock, not what others and the agent do meanwhile; the clock's are in the notes.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BUILTIN_RULES } from "../../src/cli/builtin-rules.generated.ts";
import { Floor } from "./floor.ts";
import { median, printAlone, type Row, type Section, skipped } from "./row.ts";
import { AgentHome, type EventCounts, RunningAgent, whyNoAgent } from "./running-agent.ts";

const ROUNDS = 5;
/** One kind of act: as the program that does it calls it, and whether that is in the folder for temporary files, where each program run is an alert. */
interface Act {
  readonly name: string;
  readonly act: string;
  readonly isTemporary: boolean;
  /** Of all rounds together. */
  readonly count: number;
  readonly what: string;
}

/** In this order: the first is done by an agent whose code has not run yet, each other by one that is warm. */
const PROBES: readonly Act[] = [
  { name: "first exec", act: "exec", isTemporary: false, count: 20_000, what: "fork and exec, the first an agent sees" },
  { name: "exec", act: "exec", isTemporary: false, count: 20_000, what: "fork and exec" },
  { name: "alert", act: "exec", isTemporary: true, count: 20_000, what: "fork and exec that one of the shipped rules matches" },
  { name: "storm", act: "storm", isTemporary: true, count: 20_000, what: "file compiled: 14 opens, a rename, a deletion" },
  { name: "write", act: "write", isTemporary: true, count: 1_000_000, what: "write of 16 bytes" },
  { name: "connect", act: "connect", isTemporary: true, count: 50_000, what: "connection on the loopback" },
];
const SETTLE_LOOKS = 100;
const LOOK_EVERY_MS = 100;

const WATCHERS = ["bare", "floor", "no rules", "one folder", "containers", "all rules", "every event"] as const;
type Watcher = (typeof WATCHERS)[number];

const SHIPPED = join(import.meta.dir, "../../rules");
const ONE_FOLDER = [{ id: "bench.folder", query: 'file where event.type in ("creation", "change") and file.path like "/etc/cron.d/*"' }];
const CONTAINERS = [{ id: "bench.containers", query: 'file where event.type in ("creation", "change") and container.id != null' }];
const EVERY_EVENT = [{ id: "bench.every-event", lua: "return false" }];

/** Nanoseconds an act took. */
interface Times {
  readonly ns: number;
  readonly clockNs: number;
}

/** One probe under one watcher in one round. */
interface Measured extends Times {
  /** Of the agent, for all acts of the round. */
  readonly cpuSeconds: number;
  readonly produced: number;
  readonly dropped: number;
  readonly filtered: number;
}

/** Does a part of the acts. */
type Probe = (act: Act, count: number) => Promise<Times>;

/** Where acts are done. */
interface Folders {
  readonly temporary: string;
  readonly other: string;
}

function compile(source: readonly string[], to: string, input = ""): void {
  const { success, stderr } = Bun.spawnSync(["clang", "-O1", "-static", ...source, "-o", to], { stdin: Buffer.from(input) });
  if (!success) throw new Error(stderr.toString());
}

/** Everything the agent was told so far, once it has dealt with it. Other programs go on making events, so it may never be still. */
async function settled(agent: RunningAgent): Promise<EventCounts> {
  for (let looks = 0; ; looks++) {
    const { events } = await agent.status();
    if (looks === SETTLE_LOOKS || events.produced === events.evaluated + events.dropped + events.filtered) return events;
    await Bun.sleep(LOOK_EVERY_MS);
  }
}

async function underAgent(home: AgentHome, rules: readonly string[], probe: Probe): Promise<readonly Measured[]> {
  const agent = await RunningAgent.start(home, home.data("data"), rules);
  const measured: Measured[] = [];
  try {
    for (const act of PROBES) {
      const [before, cpuBefore] = [await settled(agent), agent.cpuSeconds()];
      const times = await probe(act, act.count / ROUNDS);
      const after = await settled(agent);
      measured.push({
        ...times,
        cpuSeconds: agent.cpuSeconds() - cpuBefore,
        produced: after.produced - before.produced,
        dropped: after.dropped - before.dropped,
        filtered: after.filtered - before.filtered,
      });
    }
  } finally {
    await agent.stop();
  }
  return measured;
}

async function alone(probe: Probe): Promise<readonly Measured[]> {
  const measured: Measured[] = [];
  for (const act of PROBES)
    measured.push({ ...(await probe(act, act.count / ROUNDS)), cpuSeconds: 0, produced: 0, dropped: 0, filtered: 0 });
  return measured;
}

async function underFloor(inUse: ReadonlyMap<string, string>, probe: Probe): Promise<readonly Measured[]> {
  using _floor = new Floor(inUse);
  return await alone(probe);
}

/** Where the agent's sensors are on this machine. */
async function attachments(home: AgentHome): Promise<ReadonlyMap<string, string>> {
  const agent = await RunningAgent.start(home, home.data("data"));
  try {
    return new Map((await agent.status()).sensors.map(({ name, attachment }) => [name, attachment]));
  } finally {
    await agent.stop();
  }
}

type Results = ReadonlyMap<Watcher, readonly (readonly Measured[])[]>;

async function measure({ temporary, other }: Folders, home: AgentHome): Promise<Results> {
  const program = join(temporary, "probe");
  compile([join(import.meta.dir, "sensor-probe.c")], program);
  for (const folder of [temporary, other]) compile(["-nostdlib", "-x", "c", "-"], join(folder, "nothing"), NOTHING);
  const rulesIn = (name: string, rules: readonly unknown[]): readonly string[] => {
    writeFileSync(join(temporary, name), JSON.stringify(rules));
    return ["--rules", join(temporary, name)];
  };
  const shipped = BUILTIN_RULES.flatMap(({ file }) => ["--rules", join(SHIPPED, "..", file)]);
  const probe: Probe = async ({ name, act, isTemporary }, count) => {
    const cwd = isTemporary ? temporary : other;
    const child = Bun.spawn([program, act, String(count)], { cwd, stdout: "pipe", stderr: "inherit" });
    const [clockNs = 0, ns = 0] = (await new Response(child.stdout).text()).split(" ").map(Number);
    if ((await child.exited) !== 0 || !(ns > 0)) throw new Error(`The probe ${name} failed`);
    return { ns, clockNs };
  };
  const inUse = await attachments(home);
  const ways: Readonly<Record<Watcher, () => Promise<readonly Measured[]>>> = {
    bare: () => alone(probe),
    floor: () => underFloor(inUse, probe),
    "no rules": () => underAgent(home, rulesIn("none.json", []), probe),
    "one folder": () => underAgent(home, rulesIn("folder.json", ONE_FOLDER), probe),
    containers: () => underAgent(home, rulesIn("containers.json", CONTAINERS), probe),
    "all rules": () => underAgent(home, [], probe),
    "every event": () => underAgent(home, [...shipped, ...rulesIn("every.json", EVERY_EVENT)], probe),
  };
  const results = new Map<Watcher, (readonly Measured[])[]>(WATCHERS.map((watcher) => [watcher, []]));
  for (let round = 0; round < ROUNDS; round++) {
    // Each goes first in its turn.
    for (let turn = 0; turn < WATCHERS.length; turn++) {
      const watcher = WATCHERS[(turn + round) % WATCHERS.length]!;
      results.get(watcher)?.push(await ways[watcher]());
    }
  }
  return results;
}

const NOTHING =
  process.arch === "arm64"
    ? 'void _start(void) { __asm__ volatile("mov x8, #93; mov x0, #0; svc #0"); }'
    : 'void _start(void) { __asm__ volatile("mov $60, %eax; xor %edi, %edi; syscall"); }';

function rowsOf(results: Results): readonly Row[] {
  return PROBES.flatMap(({ name, count, what }, index) => {
    const of = (watcher: Watcher): readonly Measured[] => (results.get(watcher) ?? []).map((round) => round[index]!);
    const bare = of("bare");
    const added = (watcher: Watcher, kind: "ns" | "clockNs" = "ns"): number =>
      median(of(watcher).map((measured, round) => measured[kind] - bare[round]![kind]));
    const byClock = (watcher: Watcher): string => `by the clock ${Math.round(added(watcher, "clockNs"))} ns`;
    const noteOf = (watcher: Watcher): string => {
      const sum = (pick: (measured: Measured) => number): number => of(watcher).reduce((total, one) => total + pick(one), 0);
      const cpuUs = (sum((one) => one.cpuSeconds) * 1e6) / count;
      return `${byClock(watcher)}; agent's CPU ${cpuUs.toFixed(2)} µs; of ${sum((one) => one.produced)} events ${sum((one) => one.filtered)} left out, ${sum((one) => one.dropped)} dropped`;
    };
    const title = `${count.toLocaleString("en-US")} × ${name}`;
    return [
      {
        name: `${title}, bare`,
        value: median(bare.map(({ ns }) => ns)),
        unit: "ns",
        note: `${what}; by the clock ${Math.round(median(bare.map(({ clockNs }) => clockNs)))} ns`,
      },
      { name: `${title}: added by empty programs`, value: added("floor"), unit: "ns", note: byClock("floor") },
      { name: `${title}: added, agent without rules`, value: added("no rules"), unit: "ns", note: noteOf("no rules") },
      { name: `${title}: added, rule for one folder`, value: added("one folder"), unit: "ns", note: noteOf("one folder") },
      { name: `${title}: added, rule for containers`, value: added("containers"), unit: "ns", note: noteOf("containers") },
      { name: `${title}: added, agent with all rules`, value: added("all rules"), unit: "ns", note: noteOf("all rules") },
      { name: `${title}: added, and a rule for every event`, value: added("every event"), unit: "ns", note: noteOf("every event") },
    ];
  });
}

async function rows(): Promise<readonly Row[]> {
  const reason = whyNoAgent() || (Bun.which("clang") === null ? "no clang" : "");
  if (reason !== "") return skipped("what watching costs", reason);
  const folders = {
    temporary: mkdtempSync(join(tmpdir(), "kestrel-sensors-")),
    other: mkdtempSync(join(import.meta.dir, "../../build/sensors-")),
  };
  const home = new AgentHome();
  try {
    return rowsOf(await measure(folders, home));
  } finally {
    home.remove();
    for (const folder of Object.values(folders)) rmSync(folder, { recursive: true, force: true });
  }
}

/** See the head of this file. */
export const sensorsSection: Section = { name: "sensors", rows };

if (import.meta.main) await printAlone(sensorsSection);
