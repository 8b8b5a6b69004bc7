// The watches of a running agent over itself: what it attached, what it loses, its files, the clock, and whether it runs freely.
import type { LossCounts } from "#core";
import { agentAlert, type Clock, type Log } from "#core";
import type { EbpfSource } from "#ebpf";
import type { Engine } from "#engine";
import { ClockId, clockNs } from "#ffi/libc";
import { ruleFilePaths } from "#rules";
import { ClockWatch, FileWatch, FtraceWatch, LinkWatch, LossWatch, StallWatch, TracerWatch, Watcher } from "#self";

/** What is watched. */
export interface SelfWatchParts {
  readonly source: EbpfSource;
  readonly engine: Pick<Engine, "raise" | "counters">;
  readonly rulePaths: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
}

const EVERY_MS = 5000;

/** A watcher, not yet started. */
export function selfWatch({ source, engine, rulePaths, clock, log }: SelfWatchParts): Watcher {
  const losses = (): LossCounts => ({ ...source.losses(), "queue-full": engine.counters().dropped });
  const attachments = (): readonly string[] => source.statuses().flatMap(({ attachment }) => attachment ?? []);
  return new Watcher({
    watches: [
      new LinkWatch(() => source.links()),
      new FtraceWatch(attachments),
      new LossWatch(losses, () => source.produced),
      new FileWatch([process.execPath, ...ruleFilePaths(rulePaths)]),
      new ClockWatch({ realtimeNs: () => clockNs(ClockId.Realtime), boottimeNs: () => clockNs(ClockId.Boottime) }),
      new StallWatch(() => clockNs(ClockId.Monotonic), { everyMs: EVERY_MS }),
      new TracerWatch(),
    ],
    clock,
    everyMs: EVERY_MS,
    raise: (notice) => engine.raise(agentAlert(notice, clock.nowNs())),
    log,
  });
}
