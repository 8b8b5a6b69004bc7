// Bearer token check. Both sides are hashed first, so the comparison takes the same time whatever the length and content of the guess.
import { createHash, timingSafeEqual } from "node:crypto";
import type { Clock, Log, MetricFamily } from "#core";
import { metric } from "#core";

/** Failures are logged at most once in this time; all are counted. */
const LOG_INTERVAL_NS = 10_000_000_000n;

/** Checks tokens and counts failures. */
export class Guard {
  readonly #digest: Buffer;
  readonly #clock: Clock;
  readonly #log: Log | undefined;
  #failures = 0;
  #failuresLogged = 0;
  #loggedNs: bigint | undefined;

  constructor(token: string, clock: Clock, log: Log | undefined) {
    this.#digest = digest(token);
    this.#clock = clock;
    this.#log = log;
  }

  /** Whether an Authorization header carries the token. */
  allows(authorization: string | undefined): boolean {
    const match = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization ?? "");
    const presented = match?.[1];
    // Without a token there is nothing to compare: only its absence shows in the time.
    if (presented !== undefined && timingSafeEqual(digest(presented), this.#digest)) return true;
    this.#fail(presented === undefined ? "no bearer token" : "wrong token");
    return false;
  }

  #fail(reason: string): void {
    this.#failures++;
    const nowNs = this.#clock.nowNs();
    if (this.#loggedNs !== undefined && nowNs - this.#loggedNs < LOG_INTERVAL_NS) return;
    this.#log?.write("warn", "Refused API requests", { reason, count: this.#failures - this.#failuresLogged });
    this.#failuresLogged = this.#failures;
    this.#loggedNs = nowNs;
  }

  /** Counters for `/metrics`. */
  metrics(): readonly MetricFamily[] {
    return [metric("counter", "kestrel_api_auth_failures_total", "API requests refused for want of the right token.", this.#failures)];
  }
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
