// Whether function hooks still run. Root can switch them all off with one sysctl; they stay attached and say nothing.
import { readFileSync } from "node:fs";
import type { Finding, Watch } from "#core";

const SWITCH = "/proc/sys/kernel/ftrace_enabled";

/** See the head of this file. */
export class FtraceWatch implements Watch {
  readonly name = "ftrace";
  readonly title = "Function hooks of the kernel were switched off";
  readonly kind = "state";
  readonly #attachments: () => readonly string[];
  readonly #path: string;

  /** `attachments`: those in use, by name. */
  constructor(attachments: () => readonly string[], path: string = SWITCH) {
    this.#attachments = attachments;
    this.#path = path;
  }

  look(): readonly Finding[] {
    const hooks = this.#attachments().filter((name) => /\b(?:fentry|fexit|lsm)\//.test(name));
    if (hooks.length === 0 || readSwitch(this.#path) !== "0") return [];
    const message = `kernel.ftrace_enabled is 0: ${hooks.join(", ")} see nothing; set it to 1 again`;
    return [{ subject: "kernel.ftrace_enabled", message }];
  }
}

/** Undefined on a kernel without the switch. */
function readSwitch(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return undefined;
  }
}
