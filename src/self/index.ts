// Door of the self room: what the agent gives up at its start, and how it watches over itself. Knows no rules and no sensors.

export { type Hardening, harden, type RightsKept, type ShedOptions, shedRights } from "./rights.ts";
export { checkTrusted, type Distrust } from "./root-only.ts";
