// What the HTTP room needs from the agent and the store, as small structural interfaces. cli hands in the implementations; a test hands in its own.
import type { MetricFamily } from "#core";
import type { Diagnostic, Severity } from "#schema";

/** Text forms a rule can be sent in. `eql` is a query with `// key: value` lines before it. */
type RuleFormat = "yaml" | "json" | "eql" | "toml";

/** Where a rule stands: `armed` rules see events; the others say why not. */
export type RuleState = "armed" | "disabled" | "quarantined" | "invalid";

/** Who brought a rule: a file or folder given at start, the API, or the rules inside the binary. Only `api` rules can be changed here. */
export type RuleOrigin = "file" | "api" | "built-in";

/** One rule in a list. */
export interface RuleSummary {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly severity: Severity;
  readonly tags: readonly string[];
  readonly references: readonly string[];
  readonly state: RuleState;
  /** Why a rule that is not armed is not; empty otherwise. */
  readonly stateReason: string;
  readonly origin: RuleOrigin;
  readonly action: "alert" | "kill" | "suspend" | "deny";
  readonly scope: "process" | "tree";
  /** Mode in effect. */
  readonly mode: "monitor" | "enforce";
  /** Mode that the rule's text names; another one is in effect when somebody switched it. */
  readonly modeOfText: "monitor" | "enforce";
  /** Alerts this rule raised since the agent started. */
  readonly alertCount: number;
}

/** One rule with its text. */
export interface RuleDetail extends RuleSummary {
  readonly format: RuleFormat;
  readonly text: string;
  readonly diagnostics: readonly Diagnostic[];
}

/** A rule text with the form it is in. */
export interface RuleText {
  readonly format: RuleFormat;
  readonly text: string;
}

/** What the compiler says about a rule text. `id` is the rule's own id, when it could be read. */
export interface RuleCheck {
  readonly ok: boolean;
  readonly id?: string;
  readonly diagnostics: readonly Diagnostic[];
}

/** One sensor's state. */
export interface SensorStatus {
  readonly name: string;
  /** `unused`: no armed rule can match its events, so it is not attached; `off`: this machine refused it. */
  readonly state: "on" | "fallback" | "unused" | "off";
  /** How it is attached, for example `tracepoint sched/sched_process_exec`; empty when it is not. */
  readonly attachment: string;
  /** Why it is on its fallback, unused or off; empty when on. */
  readonly reason: string;
}

/** One kind of records in the kernel's own account. */
export interface RecordStatus {
  /** `exec`, `file` and so on; `args`: pieces of long command lines. */
  readonly kind: string;
  /** Records that were to be sent. */
  readonly produced: number;
  /** Of these, lost because the ring was full. */
  readonly dropped: number;
  /** Not made, because no armed rule can match them; beside those produced. */
  readonly filtered: number;
}

/** The agent at this moment. Counters count from its start. */
export interface AgentStatus {
  readonly version: string;
  readonly hostName: string;
  readonly state: "starting" | "armed" | "draining";
  readonly startedNs: bigint;
  readonly rules: Readonly<Record<RuleState, number>>;
  readonly eventsProduced: number;
  readonly eventsEvaluated: number;
  /** Lost events by cause; a cause without loss may be left out. */
  readonly eventsDropped: Readonly<Record<string, number>>;
  /** Events left out because no armed rule can match them, by where. Produced = evaluated + dropped + filtered + those on their way. */
  readonly eventsFiltered: Readonly<Record<string, number>>;
  /** Over the last few seconds. */
  readonly eventsPerSecond: number;
  readonly alertCount: number;
  readonly memoryBytes: number;
  readonly sensors: readonly SensorStatus[];
  /** What the sensors sent, by kind. */
  readonly records: readonly RecordStatus[];
  readonly self: readonly SelfStatus[];
}

/** One of the agent's watches over itself. */
export interface SelfStatus {
  readonly name: string;
  readonly title: string;
  /** What is not as it must be now. */
  readonly findings: readonly string[];
  /** Findings since the agent started. */
  readonly count: number;
}

/** What an operator asks for when isolating the machine. Networks as people write them. */
export interface IsolationRequest {
  readonly allow: readonly string[];
  /** May reach this API and nothing else. */
  readonly clients: readonly string[];
  readonly whenAgentStops: "keep" | "lift";
  /** Go on although the client that asks would be cut off. */
  readonly cutCaller: boolean;
}

/** The isolation in force, and what was asked for. */
export interface IsolationStatus {
  /** `failed`: asked for and not in force. `unavailable`: cannot be had here. */
  readonly state: "on" | "off" | "failed" | "unavailable";
  readonly reason: string;
  readonly scope: "machine" | "group";
  readonly allow: readonly string[];
  readonly clients: readonly string[];
  readonly whenAgentStops: "keep" | "lift";
  readonly sinceNs: bigint | undefined;
  readonly askedBy: string;
  readonly pinnedAt: string | undefined;
  readonly liftByHand: string | undefined;
  readonly egress: { readonly packets: number; readonly bytes: number };
  readonly ingress: { readonly packets: number; readonly bytes: number };
}

/** The switch of the machine's isolation. `caller`: address of the client, as its socket tells it. */
export interface IsolationPort {
  status(): IsolationStatus;
  /** In force when it returns. KestrelError `bad-network`, `would-cut-caller`, `no-remote-clients`, or one that says why it cannot be done. */
  isolate(request: IsolationRequest, caller: string): void;
  /** Lifted when it returns; fine when there is none. */
  lift(caller: string): void;
}

/** The running agent. Methods answer from memory; only a rule change takes time. */
export interface AgentPort {
  status(): AgentStatus;
  rules(): readonly RuleSummary[];
  rule(id: string): RuleDetail | undefined;
  /** Compiles without saving. */
  validateRule(rule: RuleText): Promise<RuleCheck>;
  /** Compiles, saves and arms. Called only with an `id` that is free or whose rule has origin `api`, never two at a time. */
  putRule(id: string, rule: RuleText): Promise<RuleCheck>;
  /** Disarms and removes a rule of origin `api`. */
  deleteRule(id: string): Promise<void>;
  /** Switches the mode of a known rule, at once and for good; `undefined` gives it back the mode of its text. */
  setMode(id: string, mode: "monitor" | "enforce" | undefined): void;
  metrics(): readonly MetricFamily[];
}

/** An alert as the store holds it. */
export interface StoredAlert {
  /** Grows by arrival and is never reused: the cursor of lists and the id of stream messages. From 1. */
  readonly position: number;
  /** The alert as core's `encodeAlert` prints it: one line. */
  readonly json: string;
}

/** Conditions on alerts, all of which must hold. */
export interface AlertFilter {
  readonly ruleId?: string;
  /** This severity or a worse one. */
  readonly severityMin?: Severity;
  /** First event time included. */
  readonly sinceNs?: bigint;
  /** Last event time included. */
  readonly untilNs?: bigint;
  /** Text that appears in the alert, letter case ignored. */
  readonly text?: string;
}

/** Stored alerts, read and followed. An alert is stored before a subscriber hears of it. */
export interface AlertReader {
  /** Newest first, at most `limit`, only positions below `before` when given. */
  list(filter: AlertFilter, page: { readonly before?: number; readonly limit: number }): readonly StoredAlert[];
  /** Oldest first, at most `limit`, only positions above `position`. */
  after(position: number, limit: number): readonly StoredAlert[];
  get(alertId: string): StoredAlert | undefined;
  /** Position of the newest alert, 0 when there is none. */
  latestPosition(): number;
  /** Calls `listener` for each alert stored from now on, in order; the result ends it. The listener does not throw. */
  subscribe(listener: (alert: StoredAlert) => void): () => void;
}
