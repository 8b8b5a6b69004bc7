// Which rule `kestrel explain` is asked about: one of a file, a built-in one, or a query on the command line.
import { existsSync } from "node:fs";
import { fieldsOf, formatDiagnostic, type QuerySource } from "#eql";
import { loadRules, type Rule, type RuleBody, type RuleProblem } from "#rules";
import { nearestName, type SchemaRegistry } from "#schema";
import { usageError } from "./arguments.ts";
import { builtinRules } from "./rule-book.ts";
import { printable } from "./terminal.ts";

const IDS_SHOWN_MAX = 10;

/** A rule to explain. */
export interface ExplainedRule {
  readonly id: string;
  readonly name: string;
  readonly severity: string | undefined;
  readonly matchAll: boolean;
  /** Undefined for a Lua or Wasm rule. */
  readonly source: QuerySource | undefined;
  readonly body: RuleBody;
}

/** Where to look for a rule. */
export interface RuleRequest {
  readonly path: string;
  /** Id inside the file; needed when it has several. */
  readonly id: string | undefined;
  readonly registry: SchemaRegistry;
  readonly lenientFields: boolean;
}

/** A rule of a file or a built-in one. With findings that are errors there is no rule. */
export async function findRule(
  request: RuleRequest,
): Promise<{ readonly rule: ExplainedRule | undefined; readonly findings: readonly string[] }> {
  const { path, id, registry, lenientFields } = request;
  if (!existsSync(path)) {
    const rules = await builtinRules(registry);
    const rule = rules.find((other) => other.id === path);
    if (rule !== undefined) return { rule: explained(rule, lenientFields), findings: [] };
    const nearest = nearestName(
      path,
      rules.map((other) => other.id),
    );
    throw usageError(
      `No file and no built-in rule is called "${printable(path)}"${nearest === undefined ? "" : `, did you mean "${nearest}"?`}`,
    );
  }
  const { entries, problems } = await loadRules([path], { registry, lenientFields });
  const named = id === undefined ? entries : entries.filter((entry) => entry.id === id);
  const ids = entries.flatMap((entry) => entry.id ?? []);
  if (named.length === 0 && id !== undefined) {
    const nearest = nearestName(id, ids);
    throw usageError(
      `No rule "${printable(id)}" in ${printable(path)}${nearest === undefined ? "" : `, did you mean "${printable(nearest)}"?`}`,
    );
  }
  if (named.length === 0) throw usageError(`${printable(path)} holds no rule`);
  if (named.length > 1) throw usageError(`${printable(path)} holds ${named.length} rules, choose one with --id: ${listed(ids)}`);
  const entry = named[0] as (typeof named)[number];
  const own = problems.filter((problem) => entry.diagnostics.includes(problem.diagnostic));
  return { rule: entry.rule === null ? undefined : explained(entry.rule, lenientFields), findings: own.flatMap(findingLines) };
}

function listed(ids: readonly string[]): string {
  const shown = ids.slice(0, IDS_SHOWN_MAX).map(printable).join(", ");
  return ids.length > IDS_SHOWN_MAX ? `${shown}, …` : shown;
}

function findingLines({ file, diagnostic: { severity, code, message, span }, excerpt }: RuleProblem): string[] {
  const place = `${printable(file)}:${span.line}:${span.column}`;
  return [`${place}: ${severity}: ${printable(message)} [${code}]`, ...excerpt.split("\n").filter((line) => line !== "")];
}

function explained({ id, name, severity, match, body, exceptions }: Rule, lenientFields: boolean): ExplainedRule {
  const source: QuerySource | undefined =
    body.kind === "eql" ? { id, text: body.query, dialect: body.dialect, exceptions, lenientFields, purpose: "rule" } : undefined;
  return { id, name, severity, matchAll: match === "all", source, body };
}

/** A query of the command line as a rule. */
export function queryAsRule(text: string, dialect: QuerySource["dialect"]): ExplainedRule & { readonly source: QuerySource } {
  const source: QuerySource = { id: "query", text, dialect, exceptions: [], lenientFields: dialect === "endgame", purpose: "query" };
  return { id: "query", name: "", severity: undefined, matchAll: false, source, body: { kind: "eql", query: text, dialect } };
}

/** Names of the fields a query reads, for those whose types only the events tell. */
export function queryFields({ text, dialect }: QuerySource): readonly string[] {
  return fieldsOf(text, dialect).map((field) => field.name);
}

/** Findings about a query as lines. */
export function queryFindings(source: QuerySource, diagnostics: Parameters<typeof formatDiagnostic>[1][]): readonly string[] {
  return diagnostics.map((diagnostic) => formatDiagnostic(source.text, diagnostic, { file: source.id }));
}
