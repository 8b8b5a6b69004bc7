// Alerts into the store. Invariant: a listener, and every sink after this one, hears of an alert only when it is stored.
import type { Alert, Checkpoint, Sink } from "#core";
import type { Store, StoredAlert } from "./store.ts";

/** Hears of each new alert after it is stored. Must not throw. */
type StoredListener = (alert: StoredAlert) => void;

/** Puts alerts into a store at once: a commit without fsync is cheaper than the promise would be to keep with a queue. */
export class StoreSink implements Sink {
  readonly name = "store";
  readonly #store: Store;
  readonly #listeners = new Set<StoredListener>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** Stores one alert; one that is there already is not told again. Throws `KestrelError` when it cannot be stored. */
  take(alert: Alert): void {
    this.commit([alert]);
  }

  /**
   * Stores alerts, a checkpoint of the sequence state and its position in one transaction (`Store.commit`), then tells of the new alerts.
   * Throws as `take` does.
   */
  commit(alerts: readonly Alert[], checkpoint?: Checkpoint, position?: string): void {
    for (const stored of this.#store.commit(alerts, checkpoint, position)) for (const listener of this.#listeners) listener(stored);
  }

  /** Calls `listener` for each alert stored from now on, in order; the result ends it. */
  subscribe(listener: StoredListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
