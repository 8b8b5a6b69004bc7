// Holds an exec, and in order all events behind it, while the file of its program is being read: only when a loaded rule asks for what is in
// the file. Invariants: events leave in the order they came; none waits longer than the deadline and the next look; the number that waits is
// bounded; every one that left too early is counted.
import type { WholeEvent } from "./exec-joiner.ts";
import type { ProgramFacts } from "./program-inspector.ts";

/** Longest wait. Reading takes 1 ms for each MB, so nearly all files are known in time. */
export const HOLD_NS_MAX = 100_000_000n;
/** Most events that wait, behind one exec or several. */
export const HELD_MAX = 2048;

interface Held {
  readonly event: WholeEvent;
  readonly facts: ProgramFacts | undefined;
  readonly sinceNs: bigint;
}

/** Takes an event that may go on; `facts` of an exec. */
export type PassOn = (event: WholeEvent, facts: ProgramFacts | undefined) => void;

/** See the head of this file. */
export class ExecHold {
  readonly #passOn: PassOn;
  readonly #holdNs: bigint;
  #held: Held[] = [];
  /** Whether execs are held at all. */
  isOn = false;
  /** Execs that waited. */
  waited = 0;
  /** Of these, let go before their file was known. */
  expired = 0;

  constructor(passOn: PassOn, holdNs: bigint = HOLD_NS_MAX) {
    this.#passOn = passOn;
    this.#holdNs = holdNs;
  }

  /** Events that wait. */
  get size(): number {
    return this.#held.length;
  }

  /** Takes the next event. `nowNs` is any steady clock, the same for {@link release}. */
  take(event: WholeEvent, facts: ProgramFacts | undefined, nowNs: bigint): void {
    const isPending = this.isOn && facts?.state === "pending";
    if (this.#held.length === 0 && !isPending) {
      this.#passOn(event, facts);
      return;
    }
    if (isPending) this.waited++;
    this.#held.push({ event, facts, sinceNs: nowNs });
    if (this.#held.length > HELD_MAX) this.#release((held) => held === this.#held[0] || !isWaiting(held));
  }

  /** Lets go what need not wait any longer; all of it without a time. */
  release(nowNs?: bigint): void {
    if (this.#held.length === 0) return;
    this.#release((held) => !isWaiting(held) || !this.isOn || nowNs === undefined || nowNs - held.sinceNs >= this.#holdNs);
  }

  #release(mayGo: (held: Held) => boolean): void {
    const waiting = this.#held.findIndex((held) => !mayGo(held));
    const going = this.#held.splice(0, waiting < 0 ? this.#held.length : waiting);
    for (const held of going) {
      if (isWaiting(held)) this.expired++;
      this.#passOn(held.event, held.facts);
    }
  }
}

function isWaiting({ facts }: Held): boolean {
  return facts?.state === "pending";
}
