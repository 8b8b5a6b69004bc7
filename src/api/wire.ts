// The JSON bodies of the API: each type beside the schema that checks it. Names are stable; a field is added, never renamed or reused.
import { z } from "zod";

/** Body of every answer that is not a success. */
export interface ErrorBody {
  /** Stable kebab-case code. */
  readonly code: string;
  readonly message: string;
  readonly details?: unknown;
}

/** Severity on the wire. */
type WireSeverity = "low" | "medium" | "high" | "critical";

/** One finding of the compiler. */
export interface WireDiagnostic {
  readonly severity: "error" | "warning";
  readonly code: string;
  readonly message: string;
  readonly line: number;
  readonly column: number;
}

/** Whether a rule's action is only reported or carried out. */
type WireMode = "monitor" | "enforce";

/** What a client may change of any rule; null gives the rule back the mode of its text. */
export interface WireRuleChange {
  readonly mode: WireMode | null;
}

/** What a live agent did about an alert, as core's `encodeResponse` says it. */
interface WireResponse {
  readonly action: "kill" | "suspend" | "deny";
  readonly mode: WireMode;
  readonly scope: "process" | "tree";
  readonly outcome: "done" | "would" | "gone" | "refused" | "failed";
  readonly means: "none" | "sigkill" | "sigstop" | "freeze" | "fanotify" | "lsm" | "cgroup" | "bpf_signal";
  readonly target_pid: number;
  readonly process_count: number;
  readonly latency_ns: number;
  readonly reason: string;
}

/** A rule in the list. */
export interface WireRule {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly severity: WireSeverity;
  readonly tags: readonly string[];
  readonly references: readonly string[];
  readonly state: "armed" | "disabled" | "quarantined" | "invalid";
  readonly stateReason: string;
  readonly origin: "file" | "api" | "built-in";
  readonly action: "alert" | "kill" | "suspend" | "deny";
  readonly scope: "process" | "tree";
  readonly mode: WireMode;
  readonly modeOfText: WireMode;
  readonly alertCount: number;
}

/** Text forms on the wire. */
export type WireRuleFormat = "yaml" | "json" | "eql" | "toml";

/** A rule with its text. */
export interface WireRuleDetail extends WireRule {
  readonly format: WireRuleFormat;
  readonly text: string;
  readonly diagnostics: readonly WireDiagnostic[];
}

/** A rule text sent by a client. */
export interface WireRuleText {
  readonly format: WireRuleFormat;
  readonly text: string;
}

/** What the compiler said. */
export interface WireRuleCheck {
  readonly ok: boolean;
  readonly id: string | null;
  readonly diagnostics: readonly WireDiagnostic[];
}

/** One alert, as core's `encodeAlert` says it. */
export interface WireAlert {
  readonly id: string;
  readonly "@timestamp": string;
  readonly kind: "rule" | "quarantine" | "eviction" | "agent";
  readonly severity: WireSeverity;
  readonly rule: { readonly id: string; readonly name: string; readonly tags: readonly string[] };
  /** ECS threat fields of the rule's ATT&CK tags. */
  readonly threat?: Readonly<Record<string, unknown>> | undefined;
  readonly message: string;
  readonly response?: WireResponse | undefined;
  readonly captures: Readonly<Record<string, unknown>>;
  /** Nearest first. */
  readonly ancestry: readonly { readonly pid: number; readonly name: string; readonly executable: string }[];
  /** Whole ECS documents. */
  readonly events: readonly Readonly<Record<string, unknown>>[];
  /** A 64-bit integer, exact in the text. */
  readonly seq: number;
}

/** A page of alerts, newest first. */
export interface WireAlertPage {
  readonly alerts: readonly WireAlert[];
  readonly next: string | null;
}

/** The agent's state. */
export interface WireStatus {
  readonly version: string;
  readonly hostName: string;
  readonly state: "starting" | "armed" | "draining";
  readonly startedAt: string;
  readonly rules: Readonly<Record<"armed" | "disabled" | "quarantined" | "invalid", number>>;
  readonly events: {
    readonly produced: number;
    readonly evaluated: number;
    readonly dropped: number;
    readonly droppedByCause: Readonly<Record<string, number>>;
    readonly filtered: number;
    readonly filteredByCause: Readonly<Record<string, number>>;
    readonly perSecond: number;
  };
  readonly alertCount: number;
  readonly memoryBytes: number;
  readonly self: readonly { readonly name: string; readonly title: string; readonly findings: readonly string[]; readonly count: number }[];
  readonly records: readonly { readonly kind: string; readonly produced: number; readonly dropped: number; readonly filtered: number }[];
  readonly sensors: readonly {
    readonly name: string;
    readonly state: "on" | "fallback" | "unused" | "off";
    readonly attachment: string;
    readonly reason: string;
  }[];
}

/** Most characters of one rule text. */
const RULE_TEXT_MAX: number = 1 << 20;
/** Longest rule id. */
const RULE_ID_MAX = 200;

/** Media types of a body that is a rule's text as it is, and the form that text is in. */
export const RULE_MEDIA_TYPES: Readonly<Record<string, WireRuleFormat>> = {
  "application/yaml": "yaml",
  "text/yaml": "yaml",
  "application/x-yaml": "yaml",
  "application/toml": "toml",
  "text/toml": "toml",
  "text/x-eql": "eql",
};

const count = z.int().min(0);
const severity = z.enum(["low", "medium", "high", "critical"]);
const ruleState = z.enum(["armed", "disabled", "quarantined", "invalid"]);
const ruleMode = z.enum(["monitor", "enforce"]);
const ruleFormat = z.enum(["yaml", "json", "eql", "toml"]);

/** Schema of {@link ErrorBody}. */
export const errorBody: z.ZodType<ErrorBody> = z
  .object({ code: z.string(), message: z.string(), details: z.unknown().optional() })
  .meta({ id: "Error", description: "Body of every answer that is not a success." });

const diagnostic = z
  .object({ severity: z.enum(["error", "warning"]), code: z.string(), message: z.string(), line: count, column: count })
  .meta({ id: "Diagnostic", description: "One finding of the compiler; line and column count from 1." });

const ruleFields = {
  id: z.string(),
  name: z.string(),
  description: z.string(),
  severity,
  tags: z.array(z.string()),
  references: z.array(z.string()),
  state: ruleState,
  stateReason: z.string().meta({ description: "Why a rule that is not armed is not; empty otherwise." }),
  origin: z.enum(["file", "api", "built-in"]).meta({ description: "Only rules of origin api can be changed here." }),
  action: z.enum(["alert", "kill", "suspend", "deny"]),
  scope: z
    .enum(["process", "tree"])
    .meta({ description: "Whom the action is for: the event's process, or all that descends from it too." }),
  mode: ruleMode.meta({ description: "In effect. monitor: the action is only reported. enforce: it is carried out." }),
  modeOfText: ruleMode.meta({ description: "What the rule's text says; another mode is in effect when somebody switched it." }),
  alertCount: count,
};

const rule = z.object(ruleFields).meta({ id: "Rule" });

/** Schema of the rule list. */
export const ruleList: z.ZodType<{ readonly rules: readonly WireRule[] }> = z.object({ rules: z.array(rule) });

/** Schema of {@link WireRuleDetail}. */
export const ruleDetail: z.ZodType<WireRuleDetail> = z
  .object({ ...ruleFields, format: ruleFormat, text: z.string(), diagnostics: z.array(diagnostic) })
  .meta({ id: "RuleDetail" });

/** Schema of {@link WireRuleText}. */
export const ruleText: z.ZodType<WireRuleText> = z
  .strictObject({ format: ruleFormat, text: z.string().max(RULE_TEXT_MAX) })
  .meta({ id: "RuleText", description: "A rule file's text and the form it is in." });

/** Schema of {@link WireRuleChange}. */
export const ruleChange: z.ZodType<WireRuleChange> = z
  .strictObject({ mode: ruleMode.nullable().meta({ description: "null: the mode of the rule's text." }) })
  .meta({ id: "RuleChange" });

/** Schema of {@link WireRuleCheck}. */
export const ruleCheck: z.ZodType<WireRuleCheck> = z
  .object({ ok: z.boolean(), id: z.string().nullable(), diagnostics: z.array(diagnostic) })
  .meta({ id: "RuleCheck" });

/** Schema of a rule id in a path. */
export const ruleIdParams: z.ZodType<{ readonly id: string }> = z.object({
  id: z
    .string()
    .min(1)
    .max(RULE_ID_MAX)
    .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]*$/, "A rule id is letters, digits, and . _ : - inside")
    .meta({ description: "The rule's id." }),
});

/** Schema of an alert id in a path. */
export const alertIdParams: z.ZodType<{ readonly id: string }> = z.object({
  id: z
    .string()
    .regex(/^[0-9a-f]{32}$/, "An alert id is 32 hex digits")
    .meta({ description: "The alert's id." }),
});

/** Filters of the alert list, as strings of the query. */
export interface AlertQuery {
  readonly rule?: string | undefined;
  readonly severity?: WireSeverity | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly text?: string | undefined;
  readonly limit?: string | undefined;
  readonly cursor?: string | undefined;
}

const dateTime = z.iso.datetime({ offset: true });

/** Schema of {@link AlertQuery}. Unknown names are refused, so a misspelt filter is not taken for "no filter". */
export const alertQuery: z.ZodType<AlertQuery> = z.strictObject({
  rule: z.string().min(1).max(RULE_ID_MAX).optional().meta({ description: "Only alerts of the rule with this id." }),
  severity: severity.optional().meta({ description: "Only alerts of this severity or a worse one." }),
  since: dateTime.optional().meta({ description: "Only alerts whose last event is at this time or later, RFC 3339." }),
  until: dateTime.optional().meta({ description: "Only alerts whose last event is at this time or earlier, RFC 3339." }),
  text: z.string().min(1).max(1000).optional().meta({ description: "Only alerts that contain this text, letter case ignored." }),
  limit: z
    .string()
    .regex(/^([1-9]\d{0,2}|1000)$/, "The limit is a number from 1 to 1000")
    .optional()
    .meta({ description: "Most alerts in the answer, 1 to 1000; 100 when left out." }),
  cursor: z.string().max(100).optional().meta({ description: "The next value of the page before; the other filters stay the same." }),
});

const anyObject = z.record(z.string(), z.unknown());

const response = z
  .object({
    action: z.enum(["kill", "suspend", "deny"]),
    mode: ruleMode,
    scope: z.enum(["process", "tree"]),
    outcome: z.enum(["done", "would", "gone", "refused", "failed"]).meta({
      description:
        "done: carried out. would: not, the mode is monitor. gone: the process had ended. refused: it is protected. failed: see reason.",
    }),
    means: z.enum(["none", "sigkill", "sigstop", "freeze", "fanotify", "lsm", "cgroup", "bpf_signal"]),
    target_pid: count.meta({ description: "Process the event is about; 0 when it names none." }),
    process_count: count.meta({ description: "Processes reached, or that would have been." }),
    latency_ns: count.meta({ description: "From the event to the end of the act." }),
    reason: z.string(),
  })
  .meta({ id: "Response" });

/** Schema of {@link WireAlert}. */
export const alert: z.ZodType<WireAlert> = z
  .object({
    id: z.string(),
    "@timestamp": dateTime.meta({ description: "Time of the last event, to the nanosecond." }),
    kind: z.enum(["rule", "quarantine", "eviction", "agent"]).meta({
      description:
        "quarantine: a rule was stopped because it failed. eviction: a rule began to forget pending sequences. agent: about the agent itself.",
    }),
    severity,
    rule: z.object({ id: z.string(), name: z.string(), tags: z.array(z.string()) }),
    threat: anyObject.optional().meta({ description: "ECS threat fields of the rule's ATT&CK tags." }),
    message: z.string(),
    response: response.optional().meta({ description: "What the agent did about it, or in mode monitor would have done." }),
    captures: anyObject,
    ancestry: z.array(z.object({ pid: z.number(), name: z.string(), executable: z.string() })).meta({ description: "Nearest first." }),
    events: z.array(anyObject).meta({ description: "Whole ECS documents, oldest first." }),
    seq: z.number().meta({ description: "Position of the last event in its source: a 64-bit integer." }),
  })
  .meta({ id: "Alert" });

/** Schema of {@link WireAlertPage}. */
export const alertPage: z.ZodType<WireAlertPage> = z.object({
  alerts: z.array(alert),
  next: z.string().nullable().meta({ description: "Cursor of the next, older page; null when this is the last." }),
});

/** Schema of {@link WireStatus}. */
export const status: z.ZodType<WireStatus> = z
  .object({
    version: z.string(),
    hostName: z.string(),
    state: z.enum(["starting", "armed", "draining"]),
    startedAt: dateTime,
    rules: z.object({ armed: count, disabled: count, quarantined: count, invalid: count }),
    events: z.object({
      produced: count,
      evaluated: count,
      dropped: count,
      droppedByCause: z.record(z.string(), count),
      filtered: count,
      filteredByCause: z.record(z.string(), count),
      perSecond: z.number().min(0),
    }),
    alertCount: count,
    memoryBytes: count,
    self: z
      .array(z.object({ name: z.string(), title: z.string(), findings: z.array(z.string()), count }))
      .meta({ description: "The agent's watches over itself; findings are what is not as it must be now." }),
    records: z.array(z.object({ kind: z.string(), produced: count, dropped: count, filtered: count })),
    sensors: z.array(
      z.object({ name: z.string(), state: z.enum(["on", "fallback", "unused", "off"]), attachment: z.string(), reason: z.string() }),
    ),
  })
  .meta({ id: "Status" });
