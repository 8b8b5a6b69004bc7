// Looks at every watch again and again, and raises an alert for what is new. Invariants: a watch that cannot look is a finding itself; the same
// finding raises no second alert while it lasts, nor soon after; what was held back is counted.
import type { AgentNotice, Cancel, Clock, Finding, Log, MetricFamily, Watch } from "#core";
import { messageOf, metricBy } from "#core";

/** What a watcher is made of. */
export interface WatcherOptions {
  readonly watches: readonly Watch[];
  readonly clock: Clock;
  readonly everyMs: number;
  readonly raise: (notice: AgentNotice) => void;
  readonly log: Log;
}

/** How one watch stands, for status. */
export interface WatchStatus {
  readonly name: string;
  readonly title: string;
  /** What is not as it must be now; empty for a moment that has passed. */
  readonly findings: readonly string[];
  /** Findings since the agent started. */
  readonly count: number;
}

interface Watched {
  readonly watch: Watch;
  /** Present findings by subject. */
  present: Map<string, Finding>;
  /** When each subject was last in an alert. */
  readonly raisedNs: Map<string, bigint>;
  count: number;
  heldBack: number;
}

const FAMILY = "kestrel.self.";
const TAGS: readonly string[] = ["attack.defense_evasion", "attack.t1562.001"];
/** A finding that comes and goes is told no more often. */
const REPEAT_NS = 600_000_000_000n;
/** Subjects remembered for that, of each watch. */
const SUBJECTS_MAX = 1024;
const CANNOT_LOOK = "cannot look";

/** See the head of this file. */
export class Watcher {
  readonly #options: WatcherOptions;
  readonly #watched: readonly Watched[];
  #cancel: Cancel | undefined;

  constructor(options: WatcherOptions) {
    this.#options = options;
    this.#watched = options.watches.map((watch) => ({ watch, present: new Map(), raisedNs: new Map(), count: 0, heldBack: 0 }));
  }

  /** Looks at once, for what things are like now, and then again and again. */
  start(): void {
    this.#cancel = this.#options.clock.after(this.#options.everyMs, () => this.start());
    this.#lookAll();
  }

  /** Looks at one watch as soon as what is under way is done, for whoever knows that there is news. Not before the start nor after the end. */
  lookSoon(name: string): void {
    this.#options.clock.after(0, () => {
      const watched = this.#watched.find(({ watch }) => watch.name === name);
      if (this.#cancel !== undefined && watched !== undefined) this.#look(watched);
    });
  }

  /** Looks no more. Twice is fine. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** How each watch stands. */
  statuses(): readonly WatchStatus[] {
    return this.#watched.map(({ watch: { name, title }, present, count }) => {
      return { name, title, findings: [...present.values()].map(({ message }) => message), count };
    });
  }

  /** Figures for `/metrics`. */
  metrics(): readonly MetricFamily[] {
    const by = (value: (watched: Watched) => number): Record<string, number> =>
      Object.fromEntries(this.#watched.map((watched) => [watched.watch.name, value(watched)]));
    const findings = {
      type: "counter",
      name: "kestrel_self_findings_total",
      help: "What was not as it must be about the agent itself",
    } as const;
    const present = { type: "gauge", name: "kestrel_self_findings_present", help: "What is not as it must be now" } as const;
    const held = {
      type: "counter",
      name: "kestrel_self_findings_held_back_total",
      help: "Findings again so soon that no alert was raised",
    } as const;
    return [
      metricBy(
        findings,
        "watch",
        by(({ count }) => count),
      ),
      metricBy(
        present,
        "watch",
        by(({ present: now }) => now.size),
      ),
      metricBy(
        held,
        "watch",
        by(({ heldBack }) => heldBack),
      ),
    ];
  }

  #lookAll(): void {
    for (const watched of this.#watched) this.#look(watched);
  }

  #look(watched: Watched): void {
    const { watch, present } = watched;
    const found = new Map(lookAt(watch).map((finding) => [finding.subject, finding]));
    for (const finding of found.values()) {
      if (watch.kind === "state" && present.has(finding.subject)) continue;
      this.#tell(watched, finding);
    }
    for (const { subject, message } of present.values()) {
      if (!found.has(subject)) this.#options.log.write("info", "no longer so", { watch: watch.name, finding: message });
    }
    watched.present = watch.kind === "state" ? found : new Map();
  }

  #tell(watched: Watched, { subject, message, facts = {} }: Finding): void {
    const { watch, raisedNs } = watched;
    const nowNs = this.#options.clock.nowNs();
    watched.count++;
    const before = raisedNs.get(subject);
    // The clock may be what is wrong: set back, it must not hold alerts back for longer.
    if (before !== undefined && nowNs >= before && nowNs - before < REPEAT_NS) {
      watched.heldBack++;
      return;
    }
    raisedNs.delete(subject);
    raisedNs.set(subject, nowNs);
    const [oldest] = raisedNs.keys();
    if (raisedNs.size > SUBJECTS_MAX && oldest !== undefined) raisedNs.delete(oldest);
    this.#options.log.write("error", message, { watch: watch.name });
    const captures = { "kestrel.self.subject": subject, ...facts };
    this.#options.raise({
      ruleId: `${FAMILY}${watch.name}`,
      ruleName: subject === CANNOT_LOOK ? "Self-defence cannot look" : watch.title,
      severity: "high",
      tags: TAGS,
      message,
      captures,
    });
  }
}

function lookAt(watch: Watch): readonly Finding[] {
  try {
    return watch.look();
  } catch (error) {
    return [{ subject: CANNOT_LOOK, message: `Self-defence cannot look at "${watch.name}": ${messageOf(error)}` }];
  }
}
