// Soak of the built agent, by hand: `bun test/bench/soak.ts --seconds 600 --rate 1000` keeps a steady load and samples memory and losses;
// `bun test/bench/soak.ts --flood 100000` makes that many events as fast as it can. Both end with exact accounting, and exit 1 when it fails.
import { parseArgs } from "node:util";
import { flood, SteadyLoad } from "./load.ts";
import { AgentHome, type EventCounts, type Memory, RunningAgent, whyNoAgent } from "./running-agent.ts";

const SETTLE_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 100;
/**
 * Parts of the time whose least memory is compared: the collector makes a saw, its low points show what is really held. In the first third the
 * runtime still compiles what has become hot, and keeps that.
 */
const EARLY: readonly [number, number] = [0.35, 0.55];
const LATE: readonly [number, number] = [0.8, 1];
/** Growth between them that still counts as flat: the table of processes and the database cache breathe. */
const GROWTH_MAX = 0.1;
const GROWTH_FREE_KIB = 4096;

interface Sample {
  readonly second: number;
  readonly memory: Memory;
  readonly events: EventCounts;
  /** What sequences keep, in KiB. It grows until the longest maxspan is over, a day with the shipped rules, and has a bound of its own. */
  readonly state: number;
  readonly cpuSeconds: number;
}

async function look(agent: RunningAgent, startMs: number): Promise<Sample> {
  const { events } = await agent.status();
  const state = (await agent.metric("kestrel_sequence_state_bytes")) / 1024;
  return {
    second: Math.round((performance.now() - startMs) / 1000),
    memory: agent.memory(),
    events,
    state,
    cpuSeconds: agent.cpuSeconds(),
  };
}

const COLUMNS = ["s", "produced", "evaluated", "dropped", "events/s", "CPU %", "RSS MB", "anon", "file", "shmem", "sequences"];
const WIDTH = 11;

function row(cells: readonly (string | number)[]): string {
  return cells.map((cell) => String(cell).padStart(WIDTH)).join("");
}

function line(sample: Sample, before: Sample): string {
  const { memory, events } = sample;
  const seconds = Math.max(1, sample.second - before.second);
  const mb = (kib: number): string => (kib / 1024).toFixed(1);
  return row([
    sample.second,
    events.produced,
    events.evaluated,
    events.dropped,
    Math.round((events.produced - before.events.produced) / seconds),
    (((sample.cpuSeconds - before.cpuSeconds) * 100) / seconds).toFixed(1),
    mb(memory.total),
    mb(memory.anonymous),
    mb(memory.file),
    mb(memory.shared),
    mb(sample.state),
  ]);
}

/** Waits for a moment in which every produced event is accounted for. Other programs keep making events, so it asks again. */
async function settled(agent: RunningAgent): Promise<{ readonly events: EventCounts; readonly exact: boolean }> {
  const untilMs = performance.now() + SETTLE_WITHIN_MS;
  for (;;) {
    const { events } = await agent.status();
    const exact = events.produced === events.evaluated + events.dropped + events.filtered;
    if (exact || performance.now() > untilMs) return { events, exact };
    await Bun.sleep(LOOK_EVERY_MS);
  }
}

function accountOf({ events, exact }: { readonly events: EventCounts; readonly exact: boolean }): string {
  const causes = Object.entries({ ...events.droppedByCause, ...events.filteredByCause }).map(([cause, count]) => `${cause} ${count}`);
  const sign = exact ? "=" : "IS NOT";
  return `produced ${events.produced} ${sign} evaluated ${events.evaluated} + dropped ${events.dropped} + filtered ${events.filtered} (${causes.join(", ")})`;
}

/** What is held besides the state of sequences. */
function leastHeld(samples: readonly Sample[], [from, to]: readonly [number, number]): number {
  const last = samples.length - 1;
  return Math.min(
    ...samples.slice(Math.floor(last * from), Math.floor(last * to) + 1).map(({ memory, state }) => memory.anonymous - state),
  );
}

async function steady(agent: RunningAgent, options: { seconds: number; rate: number; every: number }): Promise<boolean> {
  const startMs = performance.now();
  const samples = [await look(agent, startMs)];
  console.log(row(COLUMNS));
  const load = await SteadyLoad.start(options.rate);
  try {
    for (let due = options.every; due <= options.seconds; due += options.every) {
      await Bun.sleep(Math.max(0, startMs + due * 1000 - performance.now()));
      const sample = await look(agent, startMs);
      console.log(line(sample, samples.at(-1)!));
      samples.push(sample);
    }
  } finally {
    load.stop();
  }
  const account = await settled(agent);
  const [first, last] = [samples[0]!, samples.at(-1)!];
  const [early, late] = [leastHeld(samples, EARLY), leastHeld(samples, LATE)];
  const flat = late - early <= Math.max(GROWTH_FREE_KIB, early * GROWTH_MAX);
  const dropped = account.events.dropped - first.events.dropped;
  const seconds = last.second - first.second;
  const rate = Math.round((last.events.produced - first.events.produced) / seconds);
  const cpu = (((last.cpuSeconds - first.cpuSeconds) * 100) / seconds).toFixed(1);
  const mb = (kib: number): string => `${(kib / 1024).toFixed(1)} MB`;
  const good = dropped === 0 && account.exact && flat;
  console.log(
    `${good ? "good" : "BAD"}: ${seconds} s at ${rate} events/s (${load.events} of them made here), ${cpu} % CPU; dropped ${dropped}; ` +
      `RSS first ${mb(first.memory.total)}, last ${mb(last.memory.total)}; sequences ${mb(first.state)}, ${mb(last.state)}; least of anonymous ` +
      `without them early ${mb(early)}, late ${mb(late)}: ${flat ? "flat" : "GROWING"}; ${accountOf(account)}`,
  );
  return good;
}

async function flooded(agent: RunningAgent, eventCountMin: number): Promise<boolean> {
  const before = (await settled(agent)).events;
  const startMs = performance.now();
  await flood(eventCountMin);
  const tookS = (performance.now() - startMs) / 1000;
  const account = await settled(agent);
  const made = account.events.produced - before.produced;
  const good = account.exact && made >= eventCountMin;
  const rate = Math.round(made / tookS);
  console.log(`${good ? "good" : "BAD"}: flood of ${made} events in ${tookS.toFixed(1)} s, ${rate} events/s; ${accountOf(account)}`);
  return good;
}

async function soak(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "600" },
      rate: { type: "string", default: "1000" },
      every: { type: "string", default: "10" },
      flood: { type: "string" },
    },
  });
  const reason = whyNoAgent();
  if (reason !== "") {
    console.error(`skipped: ${reason}`);
    return 0;
  }
  const home = new AgentHome();
  const agent = await RunningAgent.start(home, home.data("data"));
  try {
    if (!agent.watching) {
      console.error("skipped: the kernel lets the agent watch nothing");
      return 0;
    }
    const options = { seconds: Number(values.seconds), rate: Number(values.rate), every: Number(values.every) };
    const good = values.flood === undefined ? await steady(agent, options) : await flooded(agent, Number(values.flood));
    return good ? 0 : 1;
  } finally {
    const code = await agent.stop();
    if (code !== 0) console.log(`BAD: the agent ended with ${code}`);
    home.remove();
  }
}

process.exit(await soak());
