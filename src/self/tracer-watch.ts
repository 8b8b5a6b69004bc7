// Whether a debugger holds one of the agent's threads: it can make the agent do and overlook anything.
import { readdirSync, readFileSync } from "node:fs";
import { type Finding, lineBehind, type Watch } from "#core";

/** See the head of this file. */
export class TracerWatch implements Watch {
  readonly name = "tracer";
  readonly title = "The agent is being traced";
  readonly kind = "state";
  readonly #process: string;

  /** `process`: its folder in /proc. */
  constructor(process = "/proc/self") {
    this.#process = process;
  }

  look(): readonly Finding[] {
    const found = new Map<string, Finding>();
    for (const thread of readdirSync(`${this.#process}/task`)) {
      const tracer = lineBehind(statusOf(`${this.#process}/task/${thread}`), "TracerPid:\t") ?? "0";
      if (tracer === "0" || found.has(tracer)) continue;
      const name = lineBehind(statusOf(`/proc/${tracer}`), "Name:\t") ?? "";
      const message = `Process ${tracer}${name === "" ? "" : ` (${name})`} traces the agent`;
      found.set(tracer, { subject: tracer, message, facts: { "process.pid": Number(tracer), "process.name": name } });
    }
    return [...found.values()];
  }
}

/** Empty when the thread has ended meanwhile. */
function statusOf(folder: string): string {
  try {
    return readFileSync(`${folder}/status`, "utf8");
  } catch {
    return "";
  }
}
