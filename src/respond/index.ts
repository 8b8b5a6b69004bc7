// Door of the respond room: carries out what rules ask for beside the alert. Knows no rules and no sensors.
export { LinuxProcesses } from "./processes.ts";
export { DEFAULT_PROTECTED, Protection } from "./protection.ts";
export { type Lineage, LiveResponder, type LiveResponderOptions } from "./responder.ts";
