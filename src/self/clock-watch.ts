// Whether somebody set the clock. Events, sequences and alerts carry its time, so a clock that is set hides the order of things.
import type { Finding, Watch } from "#core";

/** Clocks, nanoseconds. The boot clock counts through sleep and cannot be set. */
export interface Clocks {
  realtimeNs(): bigint;
  boottimeNs(): bigint;
}

/** A time service moves the clock by at most 500 ppm; what it steps at once below this is no news. */
const STEP_NS_MIN = 1_000_000_000n;
const SLEW_PARTS = 1000n;

/** See the head of this file. */
export class ClockWatch implements Watch {
  readonly name = "clock";
  readonly title = "The machine's clock was set";
  readonly kind = "moment";
  readonly #clocks: Clocks;
  #last: { readonly bootNs: bigint; readonly offsetNs: bigint } | undefined;

  constructor(clocks: Clocks) {
    this.#clocks = clocks;
  }

  look(): readonly Finding[] {
    const bootNs = this.#clocks.boottimeNs();
    const offsetNs = this.#clocks.realtimeNs() - bootNs;
    const last = this.#last;
    this.#last = { bootNs, offsetNs };
    if (last === undefined) return [];
    const stepNs = offsetNs - last.offsetNs;
    const size = stepNs < 0n ? -stepNs : stepNs;
    if (size < STEP_NS_MIN + (bootNs - last.bootNs) / SLEW_PARTS) return [];
    const seconds = (Number(size) / 1e9).toFixed(1);
    const message = `The machine's clock was set ${stepNs < 0n ? "back" : "forward"} by ${seconds} s`;
    return [{ subject: stepNs < 0n ? "back" : "forward", message, facts: { "kestrel.self.step_ns": stepNs } }];
  }
}
