// What the gate did about attempts whose alerts are still to come: the record of an attempt goes through the rules like any other, and the responder then
// asks here what was done. Invariant: bounded; each account is given out once, the oldest of a rule and a process first.
import type { AlertResponse } from "#core";

/** What the gate did for one rule about one attempt. */
export interface GateAccount extends Pick<AlertResponse, "mode" | "outcome" | "reason"> {
  /** From the kernel's question to its answer; undefined: the program was let through. */
  readonly waitedNs: number | undefined;
}

/** Most accounts that wait for their alert; the oldest are forgotten. */
export const ACCOUNTS_MAX = 8192;

/** See the head of this file. */
export class GateLedger {
  readonly #accounts = new Map<string, GateAccount[]>();
  #size = 0;

  add(ruleId: string, entityId: string, account: GateAccount): void {
    const key = keyOf(ruleId, entityId);
    const list = this.#accounts.get(key);
    if (list === undefined) this.#accounts.set(key, [account]);
    else list.push(account);
    this.#size++;
    while (this.#size > ACCOUNTS_MAX) {
      const [oldest, accounts] = this.#accounts.entries().next().value as [string, GateAccount[]];
      this.#accounts.delete(oldest);
      this.#size -= accounts.length;
    }
  }

  /** The oldest account of this rule and process, which it gives up. */
  take(ruleId: string, entityId: string): GateAccount | undefined {
    const key = keyOf(ruleId, entityId);
    const list = this.#accounts.get(key);
    const account = list?.shift();
    if (account === undefined) return undefined;
    this.#size--;
    if (list?.length === 0) this.#accounts.delete(key);
    return account;
  }
}

function keyOf(ruleId: string, entityId: string): string {
  return `${entityId}\0${ruleId}`;
}
