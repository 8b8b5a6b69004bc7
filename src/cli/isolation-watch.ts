// Whether an isolation that was asked for is in force: root can detach its programs or remove their pins, and the machine is on the network again.
import type { IsolationPort } from "#api";
import type { Finding, Watch } from "#core";

/** See the head of this file. */
export class IsolationWatch implements Watch {
  readonly name = "isolation-lost";
  readonly title = "The machine is not isolated any more";
  readonly kind = "state";
  readonly #isolation: Pick<IsolationPort, "status">;

  constructor(isolation: Pick<IsolationPort, "status">) {
    this.#isolation = isolation;
  }

  look(): readonly Finding[] {
    const { state, reason } = this.#isolation.status();
    if (state !== "failed") return [];
    return [{ subject: "isolation", message: `The machine is not isolated from the network, though it was asked for: ${reason}` }];
  }
}
