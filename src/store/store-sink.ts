// Alerts into the store. Invariant: a listener, and every sink after this one, hears of an alert only when it is stored.
import { type Alert, type Kept, KestrelError, type Sink } from "#core";
import type { Store, StoredAlert } from "./store.ts";

/** Hears of each new alert after it is stored. Must not throw. */
type StoredListener = (alert: StoredAlert) => void;

/** Puts alerts into a store at once: a commit without fsync is cheaper than the promise would be to keep with a queue. */
export class StoreSink implements Sink {
  readonly name = "store";
  readonly keepsState = true;
  readonly #store: Store;
  readonly #listeners = new Set<StoredListener>();

  constructor(store: Store) {
    this.#store = store;
  }

  /**
   * Stores alerts and what is to be kept of the engine's state in one transaction, then tells of the new alerts; one that is there already is
   * not told again. Throws `KestrelError` when that cannot be done. Where only the tables of the state are damaged, the alerts are stored all
   * the same before it throws.
   */
  take(alerts: readonly Alert[], kept?: Kept): void {
    try {
      this.#tell(this.#store.commit(alerts, kept?.checkpoint, kept?.position));
    } catch (error) {
      if (kept !== undefined && error instanceof KestrelError && error.code === "store-damaged")
        this.#tell(this.#store.insertAlerts(alerts));
      throw error;
    }
  }

  #tell(stored: readonly StoredAlert[]): void {
    for (const alert of stored) for (const listener of this.#listeners) listener(alert);
  }

  /** Calls `listener` for each alert stored from now on, in order; the result ends it. */
  subscribe(listener: StoredListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
