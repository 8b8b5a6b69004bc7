// The built binary as a running agent: from exec to armed, and what it holds in memory when nothing much happens.

import { median, printAlone, type Row, type Section, skipped } from "./row.ts";
import { AgentHome, type Memory, RunningAgent, whyNoAgent } from "./running-agent.ts";

const WARM_STARTS = 5;
const IDLE_MS = 60_000;

/** Time from exec to armed; stops the agent again. */
async function armedMs(home: AgentHome, data: string): Promise<number> {
  const agent = await RunningAgent.start(home, data);
  const code = await agent.stop();
  if (code !== 0) throw new Error(`The agent ended with ${code}`);
  return agent.armedMs;
}

async function idleMemory(home: AgentHome, data: string): Promise<Memory | undefined> {
  const agent = await RunningAgent.start(home, data);
  try {
    if (!agent.watching) return undefined;
    // The passing of time is what is measured here.
    await Bun.sleep(IDLE_MS);
    return agent.memory();
  } finally {
    await agent.stop();
  }
}

async function rows(): Promise<readonly Row[]> {
  const reason = whyNoAgent();
  if (reason !== "") return skipped("the agent's start and memory", reason);
  const home = new AgentHome();
  try {
    const data = home.data("data");
    const cold = await armedMs(home, data);
    const warm: number[] = [];
    for (let start = 0; start < WARM_STARTS; start++) warm.push(await armedMs(home, data));
    const starts: Row[] = [
      { name: "exec to armed, no cache", value: cold, unit: "ms", note: "once" },
      { name: "exec to armed, warm cache", value: median(warm), unit: "ms", note: `of ${WARM_STARTS}, ${spread(warm)}` },
    ];
    const memory = await idleMemory(home, data);
    if (memory === undefined) return [...starts, ...skipped("idle memory", "the kernel lets the agent watch nothing")];
    const mb = (name: string, kib: number, note = ""): Row => ({ name, value: kib / 1024, unit: "MiB", note });
    return [
      ...starts,
      mb("idle memory after 60 s, VmRSS", memory.total, "built-in rules, all sensors"),
      mb("of that anonymous", memory.anonymous),
      mb("of that file pages", memory.file, "code, given back under pressure"),
      mb("of that shared", memory.shared, "batches, rings, libraries in memory files"),
    ];
  } finally {
    home.remove();
  }
}

function spread(values: readonly number[]): string {
  return `${Math.round(Math.min(...values))} to ${Math.round(Math.max(...values))}`;
}

/** The agent. */
export const agentSection: Section = { name: "agent", rows };

if (import.meta.main) await printAlone(agentSection);
