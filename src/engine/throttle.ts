// Limits the alerts of one rule: at most `limit` for each key in a window of event time. Bounded; counts what it holds back.

/** Most keys one rule remembers; the least recently used is forgotten first. */
export const THROTTLE_KEYS_MAX = 10_000;

interface Window {
  startNs: bigint;
  count: number;
}

/** State of one rule's throttle. */
export class Throttle {
  readonly #windows = new Map<string, Window>();
  readonly #windowNs: bigint;
  readonly #limit: number;
  /** Alerts held back so far. */
  suppressed = 0;
  #changed = false;

  constructor(limit: number, windowMs: number) {
    this.#limit = limit;
    this.#windowNs = BigInt(windowMs) * 1_000_000n;
  }

  /** Whether an alert with this key at this event time may pass. */
  admit(key: string, timeNs: bigint): boolean {
    this.#changed = true;
    let window = this.#windows.get(key);
    if (window !== undefined) this.#windows.delete(key);
    // Events of several CPUs come a little out of order: an earlier one counts in the window it just missed. A clock that was set back
    // by more than that begins a new one.
    if (window === undefined || timeNs - window.startNs >= this.#windowNs || window.startNs - timeNs >= this.#windowNs)
      window = { startNs: timeNs, count: 0 };
    this.#windows.set(key, window);
    if (this.#windows.size > THROTTLE_KEYS_MAX) this.#windows.delete(this.#windows.keys().next().value as string);
    if (window.count >= this.#limit) {
      this.suppressed++;
      return false;
    }
    window.count++;
    return true;
  }

  /** The windows as text, least recently used first, when they changed since the last call. */
  takeChanged(): string | undefined {
    if (!this.#changed) return undefined;
    this.#changed = false;
    return JSON.stringify([...this.#windows].map(([key, { startNs, count }]) => [key, String(startNs), count]));
  }

  /** Takes up windows that {@link takeChanged} gave; a text that is none leaves the throttle as it is. */
  restore(text: string): void {
    const windows = readWindows(text);
    if (windows === undefined) return;
    this.#windows.clear();
    for (const [key, window] of windows) this.#windows.set(key, window);
  }
}

function readWindows(text: string): readonly (readonly [string, Window])[] | undefined {
  try {
    const rows = JSON.parse(text) as readonly (readonly [string, string, number])[];
    return rows.slice(-THROTTLE_KEYS_MAX).map(([key, startNs, count]) => [String(key), { startNs: BigInt(startNs), count: Number(count) }]);
  } catch {
    return undefined;
  }
}
