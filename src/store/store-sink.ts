// Alerts into the store. Invariants: a listener hears of an alert only when it is stored; an alert that cannot be stored waits within bounds for the
// store to work again, which `trouble` tells, or is counted as lost.
import { type Alert, encodeAlert, type Kept, KestrelError, messageOf, type Sink, stringifyJson } from "#core";
import type { Store, StoredAlert } from "./store.ts";
import { isOfTheValues } from "./store-error.ts";

/** Hears of each new alert after it is stored. Must not throw. */
type StoredListener = (alert: StoredAlert) => void;

/** What a sink may be told to do otherwise. */
export interface StoreSinkOptions {
  /** Called when storing fails after it worked. Must not throw. */
  readonly onTrouble?: () => void;
  /** A clock that is never set. */
  readonly monotonicMs?: () => number;
}

/** Why alerts or state are not stored now. */
export interface StoreTrouble {
  readonly reason: string;
  readonly alertsWaiting: number;
  /** Since the start, those that nothing can store any more. */
  readonly alertsLost: number;
}

const WAITING_ALERTS_MAX = 1000;
const WAITING_BYTES_MAX = 8 << 20;
/** A store that failed is left alone for so long: each attempt writes all that waits, and at a locked database also waits. */
const PAUSE_MS = 1000;

/** Puts alerts into a store at once: a commit without fsync is cheaper than the promise would be to keep with a queue. */
export class StoreSink implements Sink {
  readonly name = "store";
  readonly keepsState = true;
  readonly #store: Store;
  readonly #onTrouble: (() => void) | undefined;
  readonly #monotonicMs: () => number;
  readonly #listeners = new Set<StoredListener>();
  #waiting: Alert[] = [];
  #waitingBytes = 0;
  #lost = 0;
  /** What the last attempt at alerts failed with, and at state, where that failed alone. */
  #failure: { readonly error: unknown; readonly atMs: number } | undefined;
  #stateFailure: unknown;

  constructor(store: Store, { onTrouble, monotonicMs = () => performance.now() }: StoreSinkOptions = {}) {
    this.#store = store;
    this.#onTrouble = onTrouble;
    this.#monotonicMs = monotonicMs;
  }

  /**
   * Stores alerts and what is to be kept of the engine's state in one transaction, then tells of the new alerts; one that is there already is
   * not told again. Throws `KestrelError` when that cannot be done; the alerts wait then. Where only the tables of the state are damaged, the
   * alerts are stored all the same before it throws.
   */
  take(alerts: readonly Alert[], kept?: Kept): void {
    if (this.#failure !== undefined && this.#monotonicMs() - this.#failure.atMs < PAUSE_MS) {
      this.#hold(alerts);
      throw this.#failure.error;
    }
    const worked = this.trouble() === undefined;
    try {
      this.#commit(alerts, kept);
    } catch (error) {
      if (worked) this.#onTrouble?.();
      throw error;
    }
  }

  /** Stores what waits, if that can be done now. */
  retry(): void {
    if (this.#waiting.length === 0) return;
    try {
      this.#commit([], undefined);
    } catch {
      // It is in `trouble`.
    }
  }

  /** Why alerts or state are not stored now; undefined when they are. */
  trouble(): StoreTrouble | undefined {
    const error = this.#failure?.error ?? this.#stateFailure;
    if (error === undefined) return undefined;
    return { reason: messageOf(error), alertsWaiting: this.#waiting.length, alertsLost: this.#lost };
  }

  /** Alerts that wait for the store to work again, and those that nothing can store any more. */
  counts(): { readonly waiting: number; readonly lost: number } {
    return { waiting: this.#waiting.length, lost: this.#lost };
  }

  /** Calls `listener` for each alert stored from now on, in order; the result ends it. */
  subscribe(listener: StoredListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #commit(alerts: readonly Alert[], kept: Kept | undefined): void {
    try {
      this.#tell(this.#store.commit([...this.#waiting, ...alerts], kept?.checkpoint, kept?.position));
      this.#wait([]);
      this.#failure = undefined;
      if (kept !== undefined) this.#stateFailure = undefined;
    } catch (error) {
      if (kept !== undefined && error instanceof KestrelError && error.code === "store-damaged") {
        this.#stateFailure = error;
        this.#commit(alerts, undefined);
      } else if (isOfTheValues(error)) this.#storeSingly(alerts);
      else this.#fail(error, alerts);
      throw error;
    }
  }

  /** One of them is what no database takes: it must not keep the others out. Where the store fails for another reason, the rest waits. */
  #storeSingly(alerts: readonly Alert[]): void {
    const all = [...this.#waiting, ...alerts];
    this.#wait([]);
    this.#failure = undefined;
    for (const [index, alert] of all.entries()) {
      try {
        this.#tell(this.#store.insertAlerts([alert]));
      } catch (error) {
        if (isOfTheValues(error)) {
          this.#lost++;
          continue;
        }
        this.#fail(error, all.slice(index));
        return;
      }
    }
  }

  #fail(error: unknown, alerts: readonly Alert[]): void {
    this.#failure = { error, atMs: this.#monotonicMs() };
    this.#hold(alerts);
  }

  #wait(alerts: Alert[]): void {
    this.#waiting = alerts;
    this.#waitingBytes = 0;
  }

  #hold(alerts: readonly Alert[]): void {
    for (const alert of alerts) {
      const bytes = this.#waiting.length < WAITING_ALERTS_MAX ? Buffer.byteLength(stringifyJson(encodeAlert(alert))) : Infinity;
      if (this.#waitingBytes + bytes > WAITING_BYTES_MAX) {
        this.#lost++;
        continue;
      }
      this.#waiting.push(alert);
      this.#waitingBytes += bytes;
    }
  }

  #tell(stored: readonly StoredAlert[]): void {
    for (const alert of stored) for (const listener of this.#listeners) listener(alert);
  }
}
