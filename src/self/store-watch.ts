// Whether alerts and kept sequences can be stored: a full disk or a damaged file leaves only the other ways an alert goes. Looking tries again what
// waits, so that it is stored as soon as that can be done and not only with the next alert.
import type { Finding, Watch } from "#core";

/** What stores alerts. */
export interface StorePort {
  /** Stores what waits, if that can be done now. */
  retry(): void;
  /** Why it cannot store; undefined when it can. */
  trouble(): { readonly reason: string; readonly alertsWaiting: number; readonly alertsLost: number } | undefined;
}

/** See the head of this file. */
export class StoreWatch implements Watch {
  readonly name = "store";
  readonly title = "Alerts cannot be stored";
  readonly kind = "state";
  readonly #store: StorePort;

  constructor(store: StorePort) {
    this.#store = store;
  }

  look(): readonly Finding[] {
    this.#store.retry();
    const trouble = this.#store.trouble();
    if (trouble === undefined) return [];
    const { reason, alertsWaiting, alertsLost } = trouble;
    const meanwhile = `${alertsWaiting} alerts wait in memory, ${alertsLost} were only printed`;
    const facts = { "kestrel.self.alerts_waiting": alertsWaiting, "kestrel.self.alerts_lost": alertsLost };
    return [{ subject: "store", message: `${reason}; ${meanwhile}`, facts }];
  }
}
