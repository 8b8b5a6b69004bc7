// Door of the respond room: carries out what rules ask for beside the alert, and isolates the machine. Knows no rules and no sensors.

export { ExecGate, type ExecGateOptions, type GateCounts, type GateStatus } from "./exec-gate.ts";
export type { GateAccount } from "./gate-ledger.ts";
export type { GateFail, KeeperConfig } from "./gate-wire.ts";
export { Gatekeeper, whyNoGate } from "./gatekeeper.ts";
export {
  type DroppedPackets,
  HostIsolation,
  type HostIsolationOptions,
  type IsolationPolicy,
  type IsolationState,
} from "./host-isolation.ts";
export { KeeperChannel } from "./keeper-channel.ts";
export { type AllowedNetwork, holds, parseAllowed } from "./networks.ts";
export { LinuxProcesses } from "./processes.ts";
export { type ProtectedProgram, protectedPrograms } from "./protected-programs.ts";
export { Protection } from "./protection.ts";
export { type Gate, type Lineage, LiveResponder, type LiveResponderOptions } from "./responder.ts";
