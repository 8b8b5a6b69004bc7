// Whether the agent itself stood still: stopped by a signal, frozen, or starved. What happened meanwhile waits in the rings, or was dropped there.
import type { Finding, Watch } from "#core";

/** Longest delay of a look that is still no news. */
const STALL_MS_MIN = 10_000;

/** See the head of this file. */
export class StallWatch implements Watch {
  readonly name = "stall";
  readonly title = "The agent stood still";
  readonly kind = "moment";
  readonly #monotonicNs: () => bigint;
  readonly #boundNs: bigint;
  #lastNs: bigint | undefined;

  /** `monotonicNs`: a clock that stands while the whole machine sleeps, since then nothing is missed. */
  constructor(
    monotonicNs: () => bigint,
    { everyMs, stallMsMin = STALL_MS_MIN }: { readonly everyMs: number; readonly stallMsMin?: number },
  ) {
    this.#monotonicNs = monotonicNs;
    this.#boundNs = BigInt(everyMs + stallMsMin) * 1_000_000n;
  }

  look(): readonly Finding[] {
    const nowNs = this.#monotonicNs();
    const passedNs = this.#lastNs === undefined ? 0n : nowNs - this.#lastNs;
    this.#lastNs = nowNs;
    if (passedNs < this.#boundNs) return [];
    const message = `The agent stood still for ${(Number(passedNs) / 1e9).toFixed(0)} s: stopped, frozen or starved`;
    return [{ subject: "agent", message, facts: { "kestrel.self.stall_ns": passedNs } }];
  }
}
