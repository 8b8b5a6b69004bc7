// What a rule means: its query and exceptions through the EQL compiler, its field names against the registry. Findings come back as places
// in the rule file, wherever the text stood there.
import { type QuerySource, type RegexBudget, regexBudget } from "#eql";
import type { Diagnostic, SchemaRegistry } from "#schema";
import { type Dialect, RULE_TEXT_LENGTH_MAX } from "./rule.ts";
import type { RuleKey } from "./rule-keys.ts";
import { type RuleValues, shown } from "./rule-reader.ts";
import type { SourceNode, TextNode } from "./source-node.ts";
import type { Findings } from "./source-text.ts";
import { didYouMean } from "./suggestion.ts";

/** The EQL compiler's check: findings with spans in the query's text. Never throws. */
export type QueryCheck = (query: QuerySource, registry: SchemaRegistry) => readonly Diagnostic[];

/** What rules are checked against. */
export interface CheckContext {
  readonly registry: SchemaRegistry;
  /** Unknown fields are warnings instead of errors. */
  readonly lenientFields: boolean;
  readonly checkQuery: QueryCheck;
}

// An exception is a bare condition; the compiler wants a whole query around it.
const EXCEPTION_PREFIX = "any where ";

/** Adds every finding about what the rule says; also for a rule that already has errors, so that one run shows all of them. */
export function checkRule(id: string | null, values: RuleValues, context: CheckContext, findings: Findings): void {
  const named = values.get("dialect");
  const dialect = named?.kind === "text" && named.value === "endgame" ? "endgame" : "default";
  const textContext = { ...context, id: id ?? "", dialect, findings, budget: regexBudget() } as const;
  const query = values.get("query");
  if (query?.kind === "text") checkText(query, "", textContext);
  for (const item of itemsOf(values, "exceptions")) {
    if (item.kind === "text") checkText(item, EXCEPTION_PREFIX, textContext);
  }
  for (const item of itemsOf(values, "capture")) checkField(item, context, findings);
  const throttle = values.get("throttle");
  const by = throttle?.kind === "map" ? throttle.entries.find((entry) => entry.key === "by")?.value : undefined;
  for (const item of by === undefined ? [] : by.kind === "list" ? by.items : [by]) checkField(item, context, findings);
}

interface TextContext extends CheckContext {
  readonly id: string;
  readonly dialect: Dialect;
  readonly findings: Findings;
  readonly budget: RegexBudget;
}

function checkText(node: TextNode, prefix: string, context: TextContext): void {
  const { id, dialect, lenientFields, findings, budget } = context;
  if (node.value.trim() === "" || node.value.length > RULE_TEXT_LENGTH_MAX) return;
  const query: QuerySource = { id, text: prefix + node.value, dialect, exceptions: [], lenientFields, regexBudget: budget };
  for (const diagnostic of context.checkQuery(query, context.registry)) {
    const from = node.locate(diagnostic.span.from - prefix.length);
    // The end is found from the last character, so a span never grows over the indentation of the next line.
    const to = diagnostic.span.to > diagnostic.span.from ? node.locate(diagnostic.span.to - prefix.length - 1) + 1 : from;
    findings.add({ ...diagnostic, span: findings.source.span(from, Math.max(from, to)) });
  }
}

function checkField(node: SourceNode, context: CheckContext, findings: Findings): void {
  if (node.kind !== "text") return;
  const name = node.value.trim();
  if (name === "" || context.registry.byName(name) !== undefined) return;
  const names = context.registry.fields().map((field) => field.name);
  const message = `Unknown field "${shown(name)}"${didYouMean(name, names)}`;
  if (context.lenientFields) findings.warning("unknown-field", message, node);
  else findings.error("unknown-field", message, node);
}

function itemsOf(values: RuleValues, key: RuleKey): readonly SourceNode[] {
  const node = values.get(key);
  return node?.kind === "list" ? node.items : [];
}
