// The one JSON form of an alert: what the store keeps, the API serves and the command line prints. Key order is fixed, so equal alerts are
// equal bytes.
import { formatDate, parseDate } from "#event";
import { SEVERITIES, type Severity } from "#schema";
import type { Alert, Ancestor, Json } from "./alert.ts";
import { decodeResponse, encodeResponse } from "./response-json.ts";

type JsonObject = { readonly [key: string]: Json };

/** The canonical JSON object of an alert. */
export function encodeAlert(alert: Alert): JsonObject {
  const threat = threatOf(alert.tags);
  return {
    id: alert.id,
    "@timestamp": formatDate(alert.timeNs),
    kind: alert.kind,
    severity: alert.severity,
    rule: { id: alert.ruleId, name: alert.ruleName, tags: alert.tags },
    ...(threat === undefined ? {} : { threat }),
    message: alert.message,
    ...(alert.response === undefined ? {} : { response: encodeResponse(alert.response) }),
    captures: Object.fromEntries(Object.entries(alert.captures).map(([name, value]) => [name, plain(value)])),
    ancestry: alert.ancestry.map(({ pid, name, executable }) => ({ pid, name, executable })),
    events: alert.events,
    seq: plain(alert.seq),
  };
}

// An integer that a number holds exactly as one: the same text, and nothing that keeps the whole alert from the fast printer.
function plain(value: Json): Json {
  if (typeof value === "object" && value !== null && Array.isArray(value)) return value.map(plain);
  return typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/** Reads back what {@link encodeAlert} made. `undefined` when the value is no alert: a damaged or foreign row. */
export function decodeAlert(value: Json): Alert | undefined {
  if (!isObject(value)) return undefined;
  const rule = value["rule"];
  const timeNs = typeof value["@timestamp"] === "string" ? parseDate(value["@timestamp"]) : undefined;
  const { id, kind, severity, message, captures, ancestry, events, seq } = value;
  if (!isObject(rule) || timeNs === undefined || typeof id !== "string" || typeof message !== "string") return undefined;
  if (kind !== "rule" && kind !== "quarantine" && kind !== "eviction" && kind !== "agent") return undefined;
  const { id: ruleId, name: ruleName, tags } = rule;
  if (typeof ruleId !== "string" || typeof ruleName !== "string" || !isStrings(tags) || !isSeverity(severity)) return undefined;
  if (!isObject(captures) || !isList(ancestry) || !ancestry.every(isAncestor) || !isList(events) || !events.every(isObject))
    return undefined;
  const position = typeof seq === "bigint" ? seq : typeof seq === "number" && Number.isSafeInteger(seq) ? BigInt(seq) : undefined;
  if (position === undefined) return undefined;
  const alert: Alert = { id, kind, timeNs, seq: position, ruleId, ruleName, severity, tags, message, captures, events, ancestry };
  if (value["response"] === undefined) return alert;
  const response = decodeResponse(value["response"]);
  return response === undefined ? undefined : { ...alert, response };
}

// ATT&CK tactics by the names that rule tags use, with the ids of the Enterprise matrix.
const TACTICS: Readonly<Record<string, string>> = {
  reconnaissance: "TA0043",
  resource_development: "TA0042",
  initial_access: "TA0001",
  execution: "TA0002",
  persistence: "TA0003",
  privilege_escalation: "TA0004",
  defense_evasion: "TA0005",
  credential_access: "TA0006",
  discovery: "TA0007",
  lateral_movement: "TA0008",
  collection: "TA0009",
  exfiltration: "TA0010",
  command_and_control: "TA0011",
  impact: "TA0040",
};
const TECHNIQUE = /^attack\.(t\d{4}(?:\.\d{3})?)$/i;

/** By the tags themselves: all alerts of a rule share its list. */
const threats = new WeakMap<readonly string[], { readonly threat: JsonObject | undefined }>();

function threatOf(tags: readonly string[]): JsonObject | undefined {
  let known = threats.get(tags);
  if (known === undefined) {
    known = { threat: makeThreat(tags) };
    threats.set(tags, known);
  }
  return known.threat;
}

// ECS `threat` of ATT&CK tags: `attack.execution`, `attack.t1059.004`. Other tags say nothing about a threat.
function makeThreat(tags: readonly string[]): JsonObject | undefined {
  const tactics = new Set<string>();
  const techniques = new Set<string>();
  for (const tag of tags) {
    const technique = TECHNIQUE.exec(tag)?.[1];
    const tactic = tag.toLowerCase().startsWith("attack.") ? tag.slice(7).toLowerCase().replaceAll("-", "_") : "";
    if (technique !== undefined) techniques.add(technique.toUpperCase());
    else if (Object.hasOwn(TACTICS, tactic)) tactics.add(tactic);
  }
  if (tactics.size + techniques.size === 0) return undefined;
  return {
    framework: "MITRE ATT&CK",
    ...(tactics.size > 0 && { tactic: { id: [...tactics].map((name) => TACTICS[name] as string), name: [...tactics].map(titleOf) } }),
    ...(techniques.size > 0 && { technique: { id: [...techniques] } }),
  };
}

function titleOf(tactic: string): string {
  return tactic
    .replace(/(^|_)([a-z])/g, (_, gap: string, letter: string) => `${gap && " "}${letter.toUpperCase()}`)
    .replace(" And ", " and ");
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function isStrings(value: Json | undefined): value is readonly string[] {
  return isList(value) && value.every((item) => typeof item === "string");
}

function isSeverity(value: Json | undefined): value is Severity {
  return SEVERITIES.some((severity) => severity === value);
}

function isAncestor(value: Json): value is JsonObject & Ancestor {
  return (
    isObject(value) && typeof value["pid"] === "number" && typeof value["name"] === "string" && typeof value["executable"] === "string"
  );
}
