// The built binary as a running agent, for benches and the soak: started with its own data folder on a free port, watched through its status
// and /proc, stopped by SIGTERM. The binary is copied first, so that a build meanwhile changes nothing.
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";

const BINARY = join(import.meta.dir, "../../dist/kestrel");
const ARMED_WITHIN_MS = 60_000;
const STOPPED_WITHIN_MS = 60_000;

/** Event counters of `/v1/status`. */
export interface EventCounts {
  readonly produced: number;
  readonly evaluated: number;
  readonly dropped: number;
  readonly droppedByCause: Readonly<Record<string, number>>;
  readonly filtered: number;
  readonly filteredByCause: Readonly<Record<string, number>>;
  readonly perSecond: number;
}

/** What benches read of `/v1/status`. */
export interface Status {
  readonly events: EventCounts;
  readonly alertCount: number;
  readonly sensors: readonly { readonly name: string; readonly state: string; readonly attachment: string }[];
}

/** Resident memory in KiB, as the kernel splits it. */
export interface Memory {
  readonly total: number;
  readonly anonymous: number;
  readonly file: number;
  readonly shared: number;
}

/** A folder of one bench: a copy of the binary and data folders. Removed by {@link AgentHome.remove}. */
export class AgentHome {
  readonly directory: string = mkdtempSync(join(tmpdir(), "kestrel-bench-"));
  readonly binary: string = join(this.directory, "kestrel");

  constructor() {
    copyFileSync(BINARY, this.binary);
  }

  /** Where a data folder of this name is. */
  data(name: string): string {
    return join(this.directory, name);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Why no agent can be measured here; empty when one can. */
export function whyNoAgent(): string {
  if (!existsSync(BINARY)) return `${BINARY} is not built`;
  return process.geteuid?.() === 0 ? "" : "loading BPF needs root";
}

/** An agent that was started and has armed its rules. */
export class RunningAgent {
  readonly #child: Subprocess<"ignore", "ignore", "pipe">;
  readonly #token: string;
  readonly #url: string;
  /** From before the process was made until it said "armed", in milliseconds. */
  readonly armedMs: number;
  /** Whether the sensors run; otherwise the agent replays its recording. */
  readonly watching: boolean;

  private constructor(child: Subprocess<"ignore", "ignore", "pipe">, said: Said, data: string) {
    this.#child = child;
    this.armedMs = said.armedMs;
    this.#url = said.url;
    this.watching = said.watching;
    this.#token = readFileSync(join(data, "token"), "utf8").trim();
  }

  /** Starts one, with more arguments, and waits until it is armed. */
  static async start(home: AgentHome, data: string, more: readonly string[] = []): Promise<RunningAgent> {
    const startNs = Bun.nanoseconds();
    const child = Bun.spawn([home.binary, "run", "--listen", "127.0.0.1:0", "--data", data, ...more], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "pipe",
    });
    const giveUp = setTimeout(() => child.kill("SIGKILL"), ARMED_WITHIN_MS);
    try {
      return new RunningAgent(child, await readUntilArmed(child, startNs), data);
    } finally {
      clearTimeout(giveUp);
    }
  }

  get pid(): number {
    return this.#child.pid;
  }

  async status(): Promise<Status> {
    return (await (await this.#get("v1/status")).json()) as Status;
  }

  /** Value of a metric without labels. */
  async metric(name: string): Promise<number> {
    const text = await (await this.#get("metrics")).text();
    const value = new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1];
    if (value === undefined) throw new Error(`The agent has no metric "${name}"`);
    return Number(value);
  }

  async #get(path: string): Promise<Response> {
    const response = await fetch(`${this.#url}${path}`, { headers: { Authorization: `Bearer ${this.#token}` } });
    if (!response.ok) throw new Error(`"${path}" answers ${response.status}`);
    return response;
  }

  /** Resident memory now. */
  memory(): Memory {
    const text = readFileSync(`/proc/${this.pid}/status`, "utf8");
    const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? Number.NaN);
    return { total: kib("VmRSS"), anonymous: kib("RssAnon"), file: kib("RssFile"), shared: kib("RssShmem") };
  }

  /** Processor time used so far by it and its children, those that have ended included, in seconds. */
  cpuSeconds(): number {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .reduce((seconds, pid) => seconds + cpuSecondsOf(pid, this.pid), 0);
  }

  /** Asks it to end, kills it if it does not; its exit code. */
  async stop(): Promise<number> {
    this.#child.kill("SIGTERM");
    const giveUp = setTimeout(() => this.#child.kill("SIGKILL"), STOPPED_WITHIN_MS);
    try {
      return await this.#child.exited;
    } finally {
      clearTimeout(giveUp);
    }
  }
}

/** Processor time of a process that is the agent or a child of it, and of what ended under it; 0 of another. */
function cpuSecondsOf(pid: string, agent: number): number {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
    if (pid !== String(agent) && fields[1] !== String(agent)) return 0;
    return fields.slice(11, 15).reduce((ticks, field) => ticks + Number(field), 0) / 100;
  } catch {
    // It has ended since the folder was listed.
    return 0;
  }
}

interface Said {
  readonly url: string;
  readonly armedMs: number;
  readonly watching: boolean;
}

async function readUntilArmed(child: Subprocess<"ignore", "ignore", "pipe">, startNs: number): Promise<Said> {
  const decoder = new TextDecoder();
  let text = "";
  const reader = child.stderr.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    text += decoder.decode(part.value, { stream: true });
    if (!/armed \d+ rules/.test(text)) continue;
    const armedMs = (Bun.nanoseconds() - startNs) / 1e6;
    // Read on, so that the pipe never fills.
    void (async () => {
      while (!(await reader.read()).done);
    })();
    return { url: /page on (\S+)/.exec(text)?.[1] ?? "", armedMs, watching: !text.includes("NOT being watched") };
  }
  throw new Error(`The agent ended with ${await child.exited}: ${text}`);
}
