// The watches of a running agent over itself: what it attached, what it loses, its files, the clock, and whether it runs freely.
import { resolve } from "node:path";
import type { IsolationPort } from "#api";
import { agentAlert, type Clock, type Log, type LossCounts, messageOf, type Watch } from "#core";
import { type EbpfSource, ftraceIsOff } from "#ebpf";
import type { Engine } from "#engine";
import { ClockId, clockNs } from "#ffi/libc";
import { ruleFilePaths } from "#rules";
import {
  ClockWatch,
  FileWatch,
  FtraceWatch,
  HeartbeatWatch,
  LinkWatch,
  LossWatch,
  StallWatch,
  type StorePort,
  StoreWatch,
  TracerWatch,
  Watcher,
} from "#self";
import type { Agent } from "./agent.ts";
import { IsolationWatch } from "./isolation-watch.ts";
import { HEARTBEAT, ownCommand } from "./own-command.ts";

/** What is watched. */
export interface SelfWatchParts {
  readonly source: EbpfSource;
  readonly engine: Pick<Engine, "raise" | "counters">;
  readonly api: () => ApiAddress;
  readonly isolation: Pick<IsolationPort, "status">;
  readonly alertStore: StorePort;
  readonly connections: Watch;
  readonly agent: () => Pick<Agent, "fallBack">;
  readonly clock: Clock;
  readonly log: Log;
}

const EVERY_MS = 5000;
/** A heartbeat that takes longer hangs. */
const HEARTBEAT_MS_MAX = 30_000;

/** Sensors that the acts of {@link HEARTBEAT} reach whatever the rules want of them; the others answer to some of their events only. */
const ASKED = ["exec", "fork", "exit", "file", "change", "connect"] as const;

/** A watcher, not yet started. `rulePaths`: as they were given; `dataPath`: where the acts of the heartbeat are done. */
export function selfWatch(rulePaths: readonly string[], dataPath: string, parts: SelfWatchParts): Watcher {
  const { source, engine, api, isolation, alertStore, connections, agent, clock, log } = parts;
  const losses = (): LossCounts => ({ ...source.losses(), "queue-full": engine.counters().dropped });
  const attachments = (): readonly string[] => [
    ...source.statuses().flatMap(({ attachment }) => attachment ?? []),
    ...source.policies.status().deniers.flatMap(({ act, means }) => (means === "lsm" ? `lsm/${act}` : [])),
  ];
  return new Watcher({
    watches: [
      new LinkWatch(() => source.links()),
      new FtraceWatch(ftraceIsOff, attachments, () => void fallBack(agent(), log)),
      new LossWatch(losses, () => source.produced),
      new FileWatch(() => [process.execPath, ...ruleFilePaths(rulePaths)]),
      new ClockWatch({ realtimeNs: () => clockNs(ClockId.Realtime), boottimeNs: () => clockNs(ClockId.Boottime) }),
      new StallWatch(() => clockNs(ClockId.Monotonic), { everyMs: EVERY_MS }),
      new TracerWatch(),
      new IsolationWatch(isolation),
      new StoreWatch(alertStore),
      connections,
      new HeartbeatWatch({
        counts: () => heardBy(source),
        act: () => beat(ownCommand(HEARTBEAT), resolve(dataPath, HEARTBEAT), api()),
        monotonicNs: () => clockNs(ClockId.Monotonic),
      }),
    ],
    clock,
    everyMs: EVERY_MS,
    raise: (notice) => engine.raise(agentAlert(notice, clock.nowNs())),
    log,
  });
}

async function fallBack(agent: Pick<Agent, "fallBack">, log: Log): Promise<void> {
  try {
    await agent.fallBack();
    log.write("warn", "goes on without function hooks");
  } catch (error) {
    log.write("error", "cannot go on without function hooks", { reason: messageOf(error) });
  }
}

/** Where this agent's API listens. */
export interface ApiAddress {
  readonly host: string;
  readonly port: number;
}

/** What each sensor in use counted, and what came out of the rings. */
export function heardBy(source: Pick<EbpfSource, "statuses" | "counts">): Readonly<Record<string, number>> {
  const inUse = new Set(source.statuses().flatMap(({ sensor, attachment }) => (attachment === undefined ? [] : sensor)));
  if (inUse.size === 0) return {};
  const { kernel, read } = source.counts();
  const heard = ASKED.filter((sensor) => inUse.has(sensor)).map((sensor) => [
    `Sensor ${sensor}`,
    kernel[sensor].produced + kernel[sensor].filtered,
  ]);
  return { ...Object.fromEntries(heard), "The reader of the rings": read };
}

/** Has a child do what the sensors must count. */
export async function beat(command: readonly string[], folder: string, { host, port }: ApiAddress): Promise<void> {
  const reachable = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "::1" : host;
  const child = Bun.spawn([...command, folder, reachable, String(port)], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    timeout: HEARTBEAT_MS_MAX,
    killSignal: "SIGKILL",
  });
  const [code, words] = await Promise.all([child.exited, new Response(child.stderr).text()]);
  if (code !== 0) throw new Error(words.trim() || `it ended with ${code}`);
}
