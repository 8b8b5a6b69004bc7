// The store of a running agent: opened with words on what was wrong with it, what it does not take as metrics, and let go of with a word on what it never took.
import { type Log, type MetricFamily, metric } from "#core";
import { Store, type StoreSink } from "#store";
import type { DataDirectory } from "./data-directory.ts";

/** Opens the agent's database; says when another had to be made. */
export function openStore(data: DataDirectory, log: Log): Store {
  const { store, setAside } = Store.open(data.database, { onProgress: (line) => log.write("info", line) });
  if (setAside !== undefined) log.write("error", "the database was damaged and set aside; a new one is in use", { file: setAside });
  return store;
}

/** Figures of what could not be stored at once. */
export function storeFamilies(sink: Pick<StoreSink, "counts">): readonly MetricFamily[] {
  const { waiting, lost } = sink.counts();
  return [
    metric("gauge", "kestrel_store_alerts_waiting", "Alerts that wait in memory until they can be stored", waiting),
    metric("counter", "kestrel_store_alerts_lost_total", "Alerts that were never stored, only printed", lost),
  ];
}

/** Tries what waits a last time and says what is not in the store. */
export function finishStoring(sink: Pick<StoreSink, "retry" | "counts" | "trouble">, log: Log): void {
  sink.retry();
  const { waiting, lost } = sink.counts();
  if (waiting + lost === 0) return;
  log.write("error", "alerts were printed but not stored", { alerts: waiting + lost, reason: sink.trouble()?.reason ?? "too many waited" });
}
