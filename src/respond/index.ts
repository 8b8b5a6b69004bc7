// Door of the respond room: carries out what rules ask for beside the alert, and isolates the machine. Knows no rules and no sensors.
export {
  type DroppedPackets,
  HostIsolation,
  type HostIsolationOptions,
  type IsolationPolicy,
  type IsolationState,
} from "./host-isolation.ts";
export { type AllowedNetwork, holds, parseAllowed } from "./networks.ts";
export { LinuxProcesses } from "./processes.ts";
export { DEFAULT_PROTECTED, Protection } from "./protection.ts";
export { type Lineage, LiveResponder, type LiveResponderOptions } from "./responder.ts";
