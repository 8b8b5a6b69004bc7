// Door of the store room: alerts, sequence state, uploaded rules and settings in one SQLite file that survives the death of the process.
export type { DamagedState, StoredState } from "./state-table.ts";
export { type AlertQuery, readAlert, Store, type StoredAlert, type StoreOptions } from "./store.ts";
export { StoreSink, type StoreTrouble } from "./store-sink.ts";
