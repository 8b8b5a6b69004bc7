// The rules of a running agent by id: built in, from files, or uploaded. Knows texts and findings; what is armed is the engine's affair.
import type { RuleDetail, RuleOrigin, RuleText } from "#api";
import { loadRules, parseRuleText, type Rule, type RuleEntry, type RuleFormat } from "#rules";
import type { Diagnostic, SchemaRegistry } from "#schema";
import type { Store } from "#store";
import { BUILTIN_RULES } from "./builtin-rules.generated.ts";

/** One rule with where it came from. `rule` is null when its text has errors. */
export interface BookEntry {
  readonly id: string;
  readonly rule: Rule | null;
  readonly origin: RuleOrigin;
  readonly format: RuleDetail["format"];
  readonly text: string;
  readonly diagnostics: readonly Diagnostic[];
}

/** The built-in rules, parsed. */
export function builtinEntries(registry: SchemaRegistry): BookEntry[] {
  return BUILTIN_RULES.flatMap(({ file, text }) =>
    bookEntries(parseRuleText(text, { file, format: "yaml", registry }).entries, { origin: "built-in", format: "yaml", text }),
  );
}

/** The rules of files and folders, with the findings of the broken ones. */
export async function fileEntries(
  paths: readonly string[],
  registry: SchemaRegistry,
): Promise<{ entries: BookEntry[]; findings: readonly string[] }> {
  const loaded = await loadRules(paths, { registry });
  return {
    entries: loaded.entries.flatMap((entry) =>
      bookEntries([entry], { origin: "file", format: wireFormat(entry.rule?.source.format), text: "" }),
    ),
    findings: loaded.problems.map((problem) => `${problem.file}:${problem.diagnostic.span.line}: ${problem.diagnostic.message}`),
  };
}

/** The uploaded rules of the store. */
export function uploadedEntries(store: Store, registry: SchemaRegistry): BookEntry[] {
  return store.rules().map(({ id, format, text }) => uploadedEntry(id, { format: wireFormat(format as RuleFormat), text }, registry));
}

/** One uploaded text as an entry; broken texts and texts of another id are entries with findings. Without an id the rule's own counts. */
export function uploadedEntry(wanted: string | null, { format, text }: RuleText, registry: SchemaRegistry): BookEntry {
  const { entries } = parseRuleText(text, { file: `${wanted ?? "rule"}.${format}`, format, registry });
  const [entry] = entries;
  const id = wanted ?? entry?.id ?? "";
  const base = { id, origin: "api" as const, format, text };
  if (entry === undefined) return { ...base, rule: null, diagnostics: [finding("no-rule", "The text holds no rule")] };
  if (entries.length > 1) {
    return { ...base, rule: null, diagnostics: [finding("several-rules", `The text holds ${entries.length} rules, send one at a time`)] };
  }
  if (entry.id !== null && entry.id !== id) {
    return { ...base, rule: null, diagnostics: [finding("other-id", `The rule's id is "${entry.id}", but it was sent as "${id}"`)] };
  }
  return { ...base, rule: entry.rule, diagnostics: entry.diagnostics };
}

function bookEntries(entries: readonly RuleEntry[], from: Pick<BookEntry, "origin" | "format" | "text">): BookEntry[] {
  return entries.flatMap((entry) =>
    entry.id === null ? [] : [{ id: entry.id, rule: entry.rule, diagnostics: entry.diagnostics, ...from }],
  );
}

function wireFormat(format: RuleFormat | undefined): RuleDetail["format"] {
  return format === undefined || format === "jsonl" ? "yaml" : format;
}

function finding(code: string, message: string): Diagnostic {
  return { severity: "error", code, message, span: { from: 0, to: 0, line: 1, column: 1 } };
}
