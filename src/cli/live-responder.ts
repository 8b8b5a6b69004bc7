// The responder of a running agent: this machine's processes, what the sensors know of descent, the protect list, the modes people set.
import { readFileSync } from "node:fs";
import { type Clock, cgroupRoot, type Log } from "#core";
import { DEFAULT_PROTECTED, type Lineage, LinuxProcesses, LiveResponder, Protection } from "#respond";
import { usageError } from "./arguments.ts";
import type { ResponseModes } from "./response-modes.ts";

/** A responder that leaves the programs of `protect` alone too: lists of file names and paths, as people type them. */
export function liveResponder(
  protect: readonly string[],
  parts: { readonly source: Lineage; readonly modes: ResponseModes; readonly clock: Clock; readonly log: Log },
): LiveResponder {
  const { source, modes, clock, log } = parts;
  const processes = new LinuxProcesses();
  const names = [...DEFAULT_PROTECTED, ...protect.flatMap((text) => text.split(",")).filter((name) => name !== "")];
  for (const name of names) {
    if (name.includes("/") && !name.startsWith("/")) throw usageError(`Flag "--protect" needs file names or whole paths, not "${name}"`);
  }
  return new LiveResponder({
    processes,
    protection: new Protection({ processes, names, ownPid: process.pid }),
    lineage: source,
    clock,
    log,
    ownPid: process.pid,
    cgroupRoot: cgroupRoot(readFileSync("/proc/self/mounts", "utf8")),
    modeOf: (ruleId, own) => modes.given(ruleId) ?? own,
  });
}
