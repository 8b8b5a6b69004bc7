// Whether hooks in functions run: root can switch them all off.
import { readFileSync } from "node:fs";

const SWITCH = "/proc/sys/kernel/ftrace_enabled";

/** Since Linux 6 programs still attach to functions while ftrace is switched off, without an error, and never run. */
export function ftraceIsOff(path: string = SWITCH): boolean {
  try {
    return readFileSync(path, "utf8").trim() === "0";
  } catch {
    // A kernel built without the switch.
    return false;
  }
}
