// The JSON form of a response, as it stands in an alert. Key order is fixed.
import type { Json } from "./alert.ts";
import type { AlertResponse, ResponseAction, ResponseMeans, ResponseMode, ResponseOutcome, ResponseScope } from "./response.ts";

const ACTIONS: readonly ResponseAction[] = ["kill", "suspend", "deny"];
const MODES: readonly ResponseMode[] = ["monitor", "enforce"];
const SCOPES: readonly ResponseScope[] = ["process", "tree"];
const OUTCOMES: readonly ResponseOutcome[] = ["done", "would", "gone", "refused", "failed"];
const MEANS: readonly ResponseMeans[] = ["none", "sigkill", "sigstop", "freeze", "fanotify", "lsm", "cgroup", "bpf_signal"];

/** The response as JSON. */
export function encodeResponse(response: AlertResponse): { readonly [key: string]: Json } {
  const { action, mode, scope, outcome, means, targetPid, processCount, latencyNs, reason } = response;
  return { action, mode, scope, outcome, means, target_pid: targetPid, process_count: processCount, latency_ns: Number(latencyNs), reason };
}

/** Reads back what {@link encodeResponse} made; `undefined` when the value is no response. */
export function decodeResponse(value: Json): AlertResponse | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const fields = value as { readonly [key: string]: Json };
  const action = oneOf(ACTIONS, fields["action"]);
  const mode = oneOf(MODES, fields["mode"]);
  const scope = oneOf(SCOPES, fields["scope"]);
  const outcome = oneOf(OUTCOMES, fields["outcome"]);
  const means = oneOf(MEANS, fields["means"]);
  const { target_pid: targetPid, process_count: processCount, latency_ns: latencyNs, reason } = fields;
  if (action === undefined || mode === undefined || scope === undefined || outcome === undefined || means === undefined) return undefined;
  if (!isCount(targetPid) || !isCount(processCount) || !isCount(latencyNs) || typeof reason !== "string") return undefined;
  return { action, mode, scope, outcome, means, targetPid, processCount, latencyNs: BigInt(latencyNs), reason };
}

function oneOf<Word extends string>(words: readonly Word[], value: Json | undefined): Word | undefined {
  return words.find((word) => word === value);
}

function isCount(value: Json | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
