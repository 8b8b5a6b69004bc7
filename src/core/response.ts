// What is done about an alert, beyond saying it: the request the engine makes, the port that carries it out, and the account of the act.
// Only a live agent has a responder; a replay has none, so it never acts.
import type { RulePolicy } from "#schema";

/** What a rule can ask for beside the alert. */
export type ResponseAction = "kill" | "suspend" | "deny";

/** Whether the action is only reported (`monitor`) or carried out (`enforce`). */
export type ResponseMode = "monitor" | "enforce";

/** Whom the action is for: the event's process alone, or with everything that descends from it. */
export type ResponseScope = "process" | "tree";

/** How far a response came. */
export type ResponseOutcome =
  /** It was carried out. */
  | "done"
  /** The rule's mode is monitor: nothing was touched. */
  | "would"
  /** The process had ended, or another one has its number now: nothing was touched. */
  | "gone"
  /** The process is protected: nothing was touched. */
  | "refused"
  /** The system did not let us, or nothing here can carry the action out. */
  | "failed";

/** How it was carried out, or would have been. */
export type ResponseMeans =
  | "none"
  | "sigkill"
  | "sigstop"
  | "freeze"
  /** Before the program ran, at the gate. */
  | "fanotify"
  /** In the kernel: the act was denied by a security module's hook, or by a control group's; who did it was killed by the sensor. */
  | "lsm"
  | "cgroup"
  | "bpf_signal";

/** The account of one response, part of its alert. */
export interface AlertResponse {
  readonly action: ResponseAction;
  readonly mode: ResponseMode;
  readonly scope: ResponseScope;
  readonly outcome: ResponseOutcome;
  readonly means: ResponseMeans;
  /** Process the event is about; 0 when it names none. */
  readonly targetPid: number;
  /** Processes the response reached, or would have. */
  readonly processCount: number;
  /** From the event's time to the end of the act, or to the decision not to act. */
  readonly latencyNs: bigint;
  /** One sentence for people; empty when there is nothing to add. */
  readonly reason: string;
}

/** What a program in the kernel did about the act before its event came. */
export interface KernelResponse {
  /** It decided that the rule matches. */
  readonly matched: boolean;
  /** It carried the rule's action out. */
  readonly acted: boolean;
  /** It left a protected process or program alone. */
  readonly spared: boolean;
  /** The program was not started, by this rule's policy or another's: the event's process is who tried to. */
  readonly notStarted: boolean;
  readonly means: ResponseMeans;
  readonly latencyNs: bigint;
}

/** What the engine asks for when a rule with an action matched. */
export interface ResponseRequest {
  readonly ruleId: string;
  readonly action: ResponseAction;
  /** As the rule's text says. */
  readonly mode: ResponseMode;
  readonly scope: ResponseScope;
  /** 0 when the event names no process. */
  readonly pid: number;
  /** Names the process for good, where the pid is reused; empty when the event has none. */
  readonly entityId: string;
  /** Of the event, nanoseconds since 1970. */
  readonly timeNs: bigint;
  /** When the kernel had a say in it. */
  readonly kernel?: KernelResponse;
}

/** Carries responses out. Synchronous, because every microsecond counts, and it never throws: what went wrong is in the account. */
export interface Responder {
  /** Undefined when there is nothing to account for: whoever responds has been told not to. */
  respond(request: ResponseRequest): AlertResponse | undefined;
  /** Policies of the rules that are armed now, for whoever can act by them in the kernel. */
  usePolicies?(policies: readonly RulePolicy[]): void;
}
