// The store as the API reads it: alerts listed from the database, new ones told after they are stored.
import type { AlertFilter, AlertReader, StoredAlert } from "#api";
import type { Store, StoreSink } from "#store";

/** Joins a store and its sink to the port of the API. */
export function alertReader(store: Store, sink: StoreSink): AlertReader {
  return {
    list: (filter: AlertFilter, page): readonly StoredAlert[] => store.list(filter, page),
    after: (position, limit) => store.after(position, limit),
    get: (alertId) => store.get(alertId),
    latestPosition: () => store.latestPosition(),
    subscribe: (listener) => sink.subscribe(listener),
  };
}
