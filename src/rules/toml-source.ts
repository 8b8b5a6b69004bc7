// The public TOML rule form (`[rule] query = …`) → the same positioned mapping our own formats give. Only EQL rules are taken; keys that
// mean nothing to Kestrel are left out, since these files come from elsewhere.
import { parse, TomlError } from "smol-toml";
import type { EventJson } from "./rule.ts";
import { type MapEntry, type MapNode, type SourceNode, textNode } from "./source-node.ts";
import type { Findings, Place } from "./source-text.ts";
import { type TomlPlace, tomlPlaces } from "./toml-places.ts";

const RISK_LOW_MAX = 21;
const RISK_MEDIUM_MAX = 47;
const RISK_HIGH_MAX = 73;

const NOWHERE: TomlPlace = { from: 0, to: 0, style: "verbatim" };

type Table = { readonly [key: string]: unknown };

/** The rule of a TOML text as a mapping of Kestrel's keys, or undefined after findings. */
export function readToml(findings: Findings): MapNode | undefined {
  const { text } = findings.source;
  let document: Table;
  try {
    document = parse(text, { integersAsBigInt: "asNeeded" });
  } catch (error) {
    findings.error("toml-syntax", tomlMessage(error), tomlPlace(error, findings));
    return undefined;
  }
  const places = tomlPlaces(text);
  const rule = table(document["rule"]);
  if (rule === undefined) {
    findings.error("not-a-rule", "This TOML file has no [rule] table", { from: 0, to: 0 });
    return undefined;
  }
  const placeOf = (key: string): TomlPlace => places.get(`rule.${key}`) ?? places.get("rule") ?? NOWHERE;
  if (!isEql(rule, findings, placeOf)) return undefined;
  const entries: MapEntry[] = [];
  const put = (key: string, from: string, value: unknown): void => {
    if (value === undefined) return;
    const place = placeOf(from);
    entries.push({ key, place, value: nodeOf(value as EventJson, text, place) });
  };
  put("id", rule["rule_id"] === undefined ? "id" : "rule_id", rule["rule_id"] ?? rule["id"]);
  put("name", "name", rule["name"]);
  put("description", "description", rule["description"]);
  put("severity", rule["severity"] === undefined ? "risk_score" : "severity", rule["severity"] ?? severityOf(rule["risk_score"]));
  put("query", "query", rule["query"]);
  put("references", rule["references"] === undefined ? "reference" : "references", rule["references"] ?? rule["reference"]);
  put("enabled", "enabled", rule["enabled"]);
  const tags = [...textList(rule["tags"]), ...attackTags([rule["threat"], document["threat"]])];
  if (tags.length > 0) put("tags", "tags", [...new Set(tags)]);
  const whole = places.get("rule") ?? NOWHERE;
  return { kind: "map", entries, from: whole.from, to: text.length };
}

function isEql(rule: Table, findings: Findings, placeOf: (key: string) => Place): boolean {
  const { type } = rule;
  const language = rule["language"] ?? (type === undefined || type === "eql" ? "eql" : undefined);
  if (language === "eql" && (type === undefined || type === "eql")) return true;
  const named = typeof language === "string" && language !== "eql" ? `Language "${language}"` : `Rule type "${String(type)}"`;
  findings.error(
    "not-eql",
    `${named} is not EQL: Kestrel reads this form only for EQL rules`,
    placeOf(rule["language"] === undefined ? "type" : "language"),
  );
  return false;
}

function tomlMessage(error: unknown): string {
  if (!(error instanceof Error)) return "Cannot read this TOML";
  // The parser appends a code excerpt to its message; the finding has its own.
  return `Cannot read this TOML: ${(error.message.split("\n")[0] ?? "").replace(/^Invalid TOML document: /, "").replace(/\.$/, "")}`;
}

function tomlPlace(error: unknown, findings: Findings): Place {
  if (!(error instanceof TomlError)) return { from: 0, to: 0 };
  const lines = findings.source.text.split("\n");
  let from = error.column - 1;
  for (let line = 0; line < error.line - 1; line++) from += (lines[line]?.length ?? 0) + 1;
  return { from, to: from + 1 };
}

/** Trees of a TOML value; every part has the place of its key, since the parser gives no positions, but a text can be aligned. */
function nodeOf(value: EventJson | Date, text: string, place: TomlPlace): SourceNode {
  if (value === null) return { kind: "null", ...place };
  if (value instanceof Date) return textNode(value.toISOString(), text, place, "verbatim");
  switch (typeof value) {
    case "string":
      return textNode(value, text, place, place.style);
    case "number":
    case "bigint":
      return { kind: "number", value, ...place };
    case "boolean":
      return { kind: "bool", value, ...place };
    default:
      if (Array.isArray(value)) return { kind: "list", items: value.map((item) => nodeOf(item, text, place)), ...place };
      return {
        kind: "map",
        entries: Object.entries(value).map(([key, item]) => ({ key, place, value: nodeOf(item, text, place) })),
        ...place,
      };
  }
}

function severityOf(riskScore: unknown): string | undefined {
  if (typeof riskScore !== "number") return undefined;
  if (riskScore <= RISK_LOW_MAX) return "low";
  if (riskScore <= RISK_MEDIUM_MAX) return "medium";
  return riskScore <= RISK_HIGH_MAX ? "high" : "critical";
}

/** ATT&CK tags of threat lists: tactics by name, techniques and sub-techniques by id. */
function attackTags(threats: readonly unknown[]): string[] {
  const tags: string[] = [];
  for (const threat of threats.flatMap(tableList)) {
    const tactic = table(threat["tactic"])?.["name"];
    if (typeof tactic === "string") tags.push(`attack.${tactic.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`);
    for (const technique of tableList(threat["technique"])) {
      for (const { id } of [technique, ...tableList(technique["subtechnique"])]) {
        if (typeof id === "string" && /^T\d{4}(\.\d{3})?$/.test(id)) tags.push(`attack.${id.toLowerCase()}`);
      }
    }
  }
  return tags;
}

function table(value: unknown): Table | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Table) : undefined;
}

function tableList(value: unknown): Table[] {
  return (Array.isArray(value) ? value : [value]).map(table).filter((item) => item !== undefined);
}

function textList(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : [];
}
