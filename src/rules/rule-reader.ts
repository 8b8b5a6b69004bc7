// A positioned mapping → a validated rule, or findings. Checks shape, limits and words; what a query means is checked by `rule-check.ts`.
import { SEVERITIES, type Severity } from "#schema";
import {
  type Dialect,
  RULE_TEXT_LENGTH_MAX,
  type Rule,
  type RuleAction,
  type RuleBody,
  type RuleFormat,
  type RuleMode,
  type RuleScope,
  type RuleTests,
  type SequenceMatching,
  type Throttle,
} from "./rule.ts";
import { RULE_KEYS, type RuleKey } from "./rule-keys.ts";
import { kindName, type MapNode, type SourceNode, type TextNode } from "./source-node.ts";
import type { Findings, Place } from "./source-text.ts";
import { didYouMean } from "./suggestion.ts";
import { readTests } from "./test-reader.ts";
import { readThrottle } from "./throttle-reader.ts";

const ID = /^[\p{L}\p{N}_][^\s\p{C}"'`\\]{0,254}$/u;
const NAME_LENGTH_MAX = 300;
const DESCRIPTION_LENGTH_MAX = 32_768;
const LIST_LENGTH_MAX = 256;
const TAG_LENGTH_MAX = 200;
const URL_LENGTH_MAX = 2048;

const DIALECTS: readonly Dialect[] = ["default", "endgame"];
const MATCHINGS: readonly SequenceMatching[] = ["latest", "all"];
const ACTIONS: readonly RuleAction[] = ["alert", "kill", "suspend", "deny"];
const SCOPES: readonly RuleScope[] = ["process", "tree"];
const MODES: readonly RuleMode[] = ["monitor", "enforce"];

/** How a file's rules are read. */
export interface ReadContext {
  readonly file: string;
  readonly format: RuleFormat;
  readonly findings: Findings;
  /** Lists exported by other tools carry keys of their own; those are left out instead of being errors. */
  readonly foreignKeys: boolean;
  /** Id for a rule that has none; without it a missing id is an error. */
  readonly defaultId?: string;
  /** Bytes of the file a `wasm` key names, or undefined after a finding. */
  readonly readWasm: (path: TextNode) => Uint8Array | undefined;
}

/** A rule and where its texts stand, so that findings about them can be placed; `rule` is null when the findings hold an error. */
export interface ReadRule {
  readonly id: string | null;
  readonly rule: Rule | null;
  readonly values: RuleValues;
  readonly place: Place;
}

/** The value node of each key that was given. */
export type RuleValues = ReadonlyMap<RuleKey, SourceNode>;

/** Reads one mapping. Every key is read even after an error, so that one run shows all findings. */
export function readRule(node: MapNode, context: ReadContext): ReadRule {
  const { findings } = context;
  const values = knownValues(node, context);
  const reader = new ValueReader(values, findings);
  const id = readId(reader, context, node);
  const body = readBody(reader, context, node);
  const parts = {
    name: reader.text("name", NAME_LENGTH_MAX) ?? id ?? "",
    description: reader.text("description", DESCRIPTION_LENGTH_MAX) ?? "",
    severity: reader.word<Severity>("severity", SEVERITIES) ?? "medium",
    tags: reader.texts("tags", TAG_LENGTH_MAX),
    references: reader.texts("references", URL_LENGTH_MAX),
    enabled: reader.bool("enabled") ?? true,
    match: reader.word<SequenceMatching>("match", MATCHINGS) ?? "latest",
    capture: reader.texts("capture", TAG_LENGTH_MAX),
    exceptions: reader.texts("exceptions", RULE_TEXT_LENGTH_MAX),
    action: reader.word<RuleAction>("action", ACTIONS) ?? "alert",
    scope: reader.word<RuleScope>("scope", SCOPES) ?? "process",
    mode: reader.word<RuleMode>("mode", MODES) ?? "monitor",
  };
  const throttle: Throttle | null = readThrottle(values.get("throttle"), findings);
  const tests: RuleTests = readTests(values.get("tests"), findings);
  warnAboutAction(parts.action, values, findings);
  const span = findings.source.span(node.from);
  const source = { file: context.file, format: context.format, line: span.line, column: span.column };
  const rule = findings.failed || id === undefined || body === undefined ? null : { id, ...parts, body, throttle, tests, source };
  return { id: id ?? null, rule, values, place: { from: node.from, to: node.from } };
}

function knownValues(node: MapNode, context: ReadContext): RuleValues {
  const values = new Map<RuleKey, SourceNode>();
  for (const { key, place, value } of node.entries) {
    const known = RULE_KEYS.find((name) => name === key);
    if (known !== undefined) values.set(known, value);
    else if (!context.foreignKeys) context.findings.error("unknown-key", `Unknown key "${shown(key)}"${hint(key)}`, place);
  }
  return values;
}

function hint(key: string): string {
  return didYouMean(key, RULE_KEYS) || `; the keys are ${RULE_KEYS.join(", ")}`;
}

function readId(reader: ValueReader, context: ReadContext, node: MapNode): string | undefined {
  const { findings, defaultId } = context;
  const value = reader.values.get("id");
  const place = value ?? { from: node.from, to: node.from };
  // Lists from elsewhere number their rules.
  const id = value?.kind === "number" && context.foreignKeys ? String(value.value) : (reader.text("id", 1000) ?? defaultId);
  if (id === undefined) {
    // A value of another kind was reported as it was read.
    if (value === undefined || value.kind === "null")
      findings.error("missing-key", 'This rule has no "id": give it a unique, stable one', place);
    return undefined;
  }
  if (ID.test(id)) return id;
  const message = `"${shown(id)}" is not a rule id: begin with a letter or digit, use no spaces, quotes or backslashes, at most 255 characters`;
  findings.error("bad-id", message, place);
  return undefined;
}

function readBody(reader: ValueReader, context: ReadContext, node: MapNode): RuleBody | undefined {
  const { findings } = context;
  const given = (["query", "lua", "wasm", "wasm_base64"] as const).filter((key) => reader.values.has(key));
  const [first, second] = given;
  const dialect = reader.word<Dialect>("dialect", DIALECTS);
  if (first === undefined) {
    findings.error("missing-key", 'This rule has no "query" (nor "lua" or "wasm")', { from: node.from, to: node.from });
    return undefined;
  }
  if (second !== undefined) {
    findings.error("two-bodies", `A rule has one of query, lua and wasm; this one has "${first}" and "${second}"`, place(reader, second));
    return undefined;
  }
  if (dialect !== undefined && first !== "query") {
    findings.error("dialect-without-query", `"dialect" is for "query", this rule has "${first}"`, place(reader, "dialect"));
  }
  if (reader.values.has("match") && first !== "query") {
    findings.error("match-without-query", `"match" is for "query", this rule has "${first}"`, place(reader, "match"));
  }
  const text = reader.textNode(first, first === "wasm_base64" ? Number.MAX_SAFE_INTEGER : RULE_TEXT_LENGTH_MAX);
  if (text === undefined) return undefined;
  switch (first) {
    case "query":
      return { kind: "eql", query: text.value, dialect: dialect ?? "default" };
    case "lua":
      return { kind: "lua", source: text.value };
    case "wasm": {
      const bytes = context.readWasm(text);
      return bytes === undefined ? undefined : { kind: "wasm", bytes };
    }
    case "wasm_base64": {
      const bytes = decodeBase64(text, findings);
      return bytes === undefined ? undefined : { kind: "wasm", bytes };
    }
  }
}

function decodeBase64(text: TextNode, findings: Findings): Uint8Array | undefined {
  const packed = text.value.replaceAll(/\s+/g, "");
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(packed) || packed.length % 4 !== 0) {
    findings.error("bad-base64", "This is not base64 text", text);
    return undefined;
  }
  return wasmModule(Uint8Array.from(Buffer.from(packed, "base64")), text, findings);
}

/** The bytes, if they begin as a Wasm module does. */
export function wasmModule(bytes: Uint8Array, place: Place, findings: Findings): Uint8Array | undefined {
  if (bytes[0] === 0 && bytes[1] === 0x61 && bytes[2] === 0x73 && bytes[3] === 0x6d) return bytes;
  findings.error("not-wasm", "These bytes are not a Wasm module: it begins with \\0asm", place);
  return undefined;
}

function warnAboutAction(action: RuleAction, values: RuleValues, findings: Findings): void {
  const scope = values.get("scope");
  if (scope?.kind === "text" && scope.value === "tree" && action !== "kill" && action !== "suspend")
    findings.warning("scope-without-action", 'Scope "tree" is for the actions "kill" and "suspend"', scope);
  const throttle = values.get("throttle");
  if (action !== "alert" && throttle !== undefined && throttle.kind !== "null")
    findings.warning("throttle-ignored", "A rule with an action has no throttle: what it does, it says", throttle);
}

function place(reader: ValueReader, key: RuleKey): Place {
  return reader.values.get(key) ?? { from: 0, to: 0 };
}

/** A text from a file, fit for a message. */
export function shown(text: string): string {
  const flat = text.replaceAll(/\p{Cc}/gu, " ");
  return flat.length > 80 ? `${flat.slice(0, 80)}…` : flat;
}

class ValueReader {
  constructor(
    readonly values: RuleValues,
    readonly findings: Findings,
  ) {}

  textNode(key: RuleKey, lengthMax: number): TextNode | undefined {
    const node = this.values.get(key);
    if (node === undefined) return undefined;
    if (node.kind !== "text") return this.#refuse(key, "must be a text", node);
    if (node.value.trim() === "") return this.#refuse(key, "is empty", node);
    if (node.value.length > lengthMax) {
      this.findings.error("too-long", `"${key}" has ${node.value.length} characters, at most ${lengthMax} are allowed`, node);
      return undefined;
    }
    return node;
  }

  text(key: RuleKey, lengthMax: number): string | undefined {
    const node = this.values.get(key);
    // `description:` without a value is as good as leaving the key out.
    if (node?.kind === "null" || (node?.kind === "text" && node.value === "" && key !== "id")) return undefined;
    return this.textNode(key, lengthMax)?.value.trim();
  }

  bool(key: RuleKey): boolean | undefined {
    const node = this.values.get(key);
    if (node === undefined || node.kind === "bool") return node?.value;
    return this.#refuse(key, "must be true or false", node);
  }

  word<Word extends string>(key: RuleKey, words: readonly Word[]): Word | undefined {
    const node = this.values.get(key);
    if (node === undefined) return undefined;
    if (node.kind !== "text") return this.#refuse(key, `must be one of ${words.join(", ")}`, node);
    const word = words.find((candidate) => candidate === node.value);
    if (word !== undefined) return word;
    const near = didYouMean(node.value, words);
    this.findings.error("bad-value", `"${shown(node.value)}" is not a ${key}: expected one of ${words.join(", ")}${near}`, node);
    return undefined;
  }

  texts(key: RuleKey, lengthMax: number): string[] {
    const node = this.values.get(key);
    if (node === undefined || node.kind === "null") return [];
    if (node.kind !== "list") {
      this.#refuse(key, "must be a list of texts", node);
      return [];
    }
    if (node.items.length > LIST_LENGTH_MAX) {
      this.findings.error("too-many-values", `"${key}" has ${node.items.length} values, at most ${LIST_LENGTH_MAX} are allowed`, node);
      return [];
    }
    const texts: string[] = [];
    for (const item of node.items) {
      if (item.kind !== "text" || item.value.trim() === "") {
        this.findings.error("bad-value", `"${key}" must be a list of texts, here is ${kindName(item)}`, item);
      } else if (item.value.length > lengthMax) {
        this.findings.error("too-long", `A value of "${key}" has ${item.value.length} characters, at most ${lengthMax} are allowed`, item);
      } else {
        texts.push(item.value);
      }
    }
    return texts;
  }

  #refuse(key: RuleKey, what: string, node: SourceNode): undefined {
    this.findings.error("bad-value", `"${key}" ${what}${node.kind === "text" ? "" : `, here is ${kindName(node)}`}`, node);
  }
}
