// Whether every sensor still hears something. A sensor that counted nothing for a while is asked: the agent has a harmless act done that it must
// count. That finds what no link tells: a table emptied, hooks switched off in another way, records that never come out of the ring.
import { type Finding, messageOf, type Watch } from "#core";

/** What a heartbeat needs. */
export interface HeartbeatOptions {
  /** What each sensor in use counted so far, by name. One that is not in use is not in it, and not asked. */
  readonly counts: () => Readonly<Record<string, number>>;
  /** Does the acts, in another process, since the agent leaves out its own. Rejects when they could not be done. */
  readonly act: () => Promise<void>;
  readonly monotonicNs: () => bigint;
}

type Counts = Readonly<Record<string, number>>;

/** How long a sensor may be silent before it is asked: an act costs some 50 ms of one CPU, and a busy machine never needs it. */
const SILENCE_NS_MAX = 60_000_000_000n;

/** See the head of this file. */
export class HeartbeatWatch implements Watch {
  readonly name = "heartbeat";
  readonly title = "A sensor hears nothing any more";
  readonly kind = "state";
  readonly #options: HeartbeatOptions;
  #since: { readonly ns: bigint; readonly counts: Counts };
  /** Counts when the sensors were asked, and those that were silent. */
  #asked: { readonly counts: Counts; readonly silent: readonly string[] } | undefined;
  #answer: "none" | "waiting" | "done" | { readonly failed: string } = "none";
  /** Sensors that did not answer, with what they had counted. */
  #deaf = new Map<string, number>();

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#since = { ns: options.monotonicNs(), counts: options.counts() };
  }

  look(): readonly Finding[] {
    const [counts, nowNs] = [this.#options.counts(), this.#options.monotonicNs()];
    for (const [name, before] of this.#deaf) if (counts[name] !== before) this.#deaf.delete(name);
    if (this.#answer === "done") this.#judge(counts);
    else if (this.#answer === "none" && nowNs - this.#since.ns >= SILENCE_NS_MAX) this.#ask(counts, nowNs);
    return [...this.#failure(), ...[...this.#deaf.keys()].map(findingOf)];
  }

  #ask(counts: Counts, nowNs: bigint): void {
    const before = this.#since.counts;
    this.#since = { ns: nowNs, counts };
    // In use only since then: it was not there to hear anything.
    const silent = Object.keys(counts).filter((name) => before[name] === counts[name] && before[name] !== undefined);
    if (silent.length === 0) return;
    this.#asked = { counts, silent };
    this.#answer = "waiting";
    this.#options.act().then(
      () => {
        this.#answer = "done";
      },
      (error: unknown) => {
        this.#answer = { failed: messageOf(error) };
      },
    );
  }

  #judge(counts: Counts): void {
    for (const name of this.#asked?.silent ?? []) {
      const now = counts[name];
      if (now !== undefined && now === this.#asked?.counts[name]) this.#deaf.set(name, now);
    }
    this.#answer = "none";
  }

  #failure(): readonly Finding[] {
    if (typeof this.#answer === "string") return [];
    const { failed } = this.#answer;
    this.#answer = "none";
    return [{ subject: "heartbeat", message: `Silent sensors could not be asked: ${failed}` }];
  }
}

function findingOf(name: string): Finding {
  const message = `${name} counted nothing of an act that it must count: it is blind, or its records do not arrive`;
  return { subject: name, message, facts: { "kestrel.self.sensor": name } };
}
