// What is said of sinks that fail: at once, then once a minute with what came meanwhile. A full disk fails with every batch, and the log may lie on it.
import { type Clock, type Log, messageOf } from "#core";

interface Said {
  readonly atNs: bigint;
  /** Failures since, and the alerts of these. */
  failures: number;
  alerts: number;
}

const PAUSE_NS = 60_000_000_000n;

/** See the head of this file. */
export class SinkFailures {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #said = new Map<string, Said>();
  #alerts = 0;

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Alerts that a sink could not take, a failure without any counted as one. */
  get alerts(): number {
    return this.#alerts;
  }

  /** Counts a failure of a sink that was given so many alerts. */
  add(sink: string, alerts: number, error: unknown): void {
    this.#alerts += Math.max(1, alerts);
    const nowNs = this.#clock.nowNs();
    const said = this.#said.get(sink);
    // A clock that was set back does not make it wait for longer.
    if (said !== undefined && nowNs >= said.atNs && nowNs - said.atNs < PAUSE_NS) {
      said.failures++;
      said.alerts += alerts;
      return;
    }
    const values = { sink, alerts: alerts + (said?.alerts ?? 0), failures: 1 + (said?.failures ?? 0), reason: messageOf(error) };
    this.#log.write("error", "alert sink failed", values);
    this.#said.set(sink, { atNs: nowNs, failures: 0, alerts: 0 });
  }
}
