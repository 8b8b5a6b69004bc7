// How long a replay at a given speed waits before a record: event time since the first record, divided by the speed, against the clock.
import { Header, RecordFlag } from "#schema";
import type { Clock } from "./clock.ts";
import type { ReplayInput } from "./replay-input.ts";
import { wordAt } from "./time-words.ts";

/** Below this no timer is started: no clock is that exact. */
const WAIT_MS_MIN = 1;
/** Timers cannot be set for longer than 24 days; a wait is made of pieces. */
const WAIT_MS_MAX = 3_600_000;

/** Paces one replay. Times are doubles of milliseconds, exact to a microsecond. */
export class Pace {
  readonly #clock: Clock;
  readonly #speed: number;
  /** Event time and clock at the first record with a time. */
  #startEventMs = Number.NaN;
  #startClockMs = 0;
  /** Records up to this event time are due. */
  #dueMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, speed: number) {
    this.#clock = clock;
    this.#speed = speed;
  }

  /** Milliseconds until the record may be pushed; 0: now. One without a time of its own follows the one before it at once. */
  waitMs(input: ReplayInput): number {
    const eventMs = (input.timeHi * 4_294_967_296 + input.timeLo) / 1e6;
    if (eventMs <= this.#dueMs || (wordAt(input.bytes, input.offset + Header.Flags) & RecordFlag.TimeUnknown) !== 0) return 0;
    const nowMs = Number(this.#clock.nowNs()) / 1e6;
    if (Number.isNaN(this.#startEventMs)) {
      this.#startEventMs = eventMs;
      this.#startClockMs = nowMs;
    }
    this.#dueMs = this.#startEventMs + (nowMs - this.#startClockMs) * this.#speed;
    const waitMs = (eventMs - this.#dueMs) / this.#speed;
    return waitMs < WAIT_MS_MIN ? 0 : Math.min(waitMs, WAIT_MS_MAX);
  }
}
