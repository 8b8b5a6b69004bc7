// Door of the store room: alerts, uploaded rules and settings in one SQLite file that survives the death of the process.
export {
  ALERT_BYTES_MAX_DEFAULT,
  ALERTS_MAX_DEFAULT,
  type AlertQuery,
  FILE_BYTES_MAX_DEFAULT,
  readAlert,
  Store,
  type StoredAlert,
  type StoredRule,
  type StoreOpening,
  type StoreOptions,
} from "./store.ts";
export type { StoreErrorCode } from "./store-error.ts";
export { type StoredListener, StoreSink } from "./store-sink.ts";
