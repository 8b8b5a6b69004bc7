// Door of the self room: what the agent gives up at its start, and how it watches over itself. Knows no rules and no sensors.
export { ClockWatch } from "./clock-watch.ts";
export { FileWatch } from "./file-watch.ts";
export { FtraceWatch } from "./ftrace-watch.ts";
export { HeartbeatWatch } from "./heartbeat-watch.ts";
export { type AttachedProgram, LinkWatch } from "./link-watch.ts";
export { LossWatch } from "./loss-watch.ts";
export { type Hardening, harden, keepRightsToRead, type RightsKept, type ShedOptions, shedRights } from "./rights.ts";
export { checkTrusted, type Distrust } from "./root-only.ts";
export { StallWatch } from "./stall-watch.ts";
export { type StorePort, StoreWatch } from "./store-watch.ts";
export { TracerWatch } from "./tracer-watch.ts";
export { Watcher, type WatcherOptions, type WatchStatus } from "./watcher.ts";
