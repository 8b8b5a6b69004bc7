// Whether function hooks still run. Root can switch them all off with one sysctl; they stay attached and say nothing. Then what needs no hooks takes
// their place.
import type { Finding, Watch } from "#core";

/** See the head of this file. */
export class FtraceWatch implements Watch {
  readonly name = "ftrace";
  readonly title = "Function hooks of the kernel were switched off";
  readonly kind = "state";
  readonly #isOff: () => boolean;
  readonly #attachments: () => readonly string[];
  readonly #fallBack: () => void;
  /** Hooks that were in use when they were switched off. */
  #lost: readonly string[] = [];

  /** `attachments`: those in use, by name. `fallBack`: told to do without hooks. */
  constructor(isOff: () => boolean, attachments: () => readonly string[], fallBack: () => void) {
    this.#isOff = isOff;
    this.#attachments = attachments;
    this.#fallBack = fallBack;
  }

  look(): readonly Finding[] {
    const isOff = this.#isOff();
    const hooks = isOff ? this.#attachments().filter((name) => /\b(?:fentry|fexit|lsm)\//.test(name)) : [];
    if (hooks.length > 0) this.#fallBack();
    if (!isOff) this.#lost = [];
    else if (this.#lost.length === 0) this.#lost = hooks;
    if (this.#lost.length === 0) return [];
    const message = `kernel.ftrace_enabled is 0: ${this.#lost.join(", ")} see nothing; what needs no such hooks stands in for them until Kestrel starts anew`;
    return [{ subject: "kernel.ftrace_enabled", message }];
  }
}
