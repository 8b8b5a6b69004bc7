// Time as a value. Only the live agent asks a Clock; rules and sequences see event time alone, so replay gives the same result.

/** Cancels a timer. */
export type Cancel = () => void;

/** A source of wall time and timers. */
export interface Clock {
  /** Nanoseconds since 1970-01-01 UTC. */
  nowNs(): bigint;
  /** Runs `task` once after `delayMs` milliseconds. */
  after(delayMs: number, task: () => void): Cancel;
}

/** The machine's clock. */
export class SystemClock implements Clock {
  nowNs(): bigint {
    return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;
  }

  after(delayMs: number, task: () => void): Cancel {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  }
}

/** A clock that moves only when told: for tests and simulation. */
export class MockClock implements Clock {
  #nowNs: bigint;
  #timers: { readonly dueNs: bigint; readonly task: () => void }[] = [];

  constructor(startNs = 0n) {
    this.#nowNs = startNs;
  }

  nowNs(): bigint {
    return this.#nowNs;
  }

  after(delayMs: number, task: () => void): Cancel {
    const timer = { dueNs: this.#nowNs + BigInt(Math.round(delayMs * 1e6)), task };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Moves time forward, running due timers in order of their due time. */
  advance(milliseconds: number): void {
    const endNs = this.#nowNs + BigInt(Math.round(milliseconds * 1e6));
    for (;;) {
      const due = this.#timers.filter((timer) => timer.dueNs <= endNs).sort((a, b) => (a.dueNs < b.dueNs ? -1 : 1))[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((other) => other !== due);
      this.#nowNs = due.dueNs;
      due.task();
    }
    this.#nowNs = endNs;
  }
}
