// Says of rules on disk whether they would run, without running them: their text, their EQL, and whether Lua and Wasm bodies load.
import type { Rule } from "#rules";
import type { Diagnostic, SchemaRegistry } from "#schema";
import { createUserRule } from "./evaluators.ts";
import { type KernelAbilities, type Rung, rungOf } from "./ladder.ts";
import { reachOf } from "./reach.ts";

/** One finding about a rule with the place in its file drawn as text. */
export interface Finding {
  readonly diagnostic: Diagnostic;
  /** The source line and a caret, empty when there is no place to show. */
  readonly excerpt: string;
}

/** One rule, query or unreadable file. */
export interface CheckedRule {
  readonly file: string;
  readonly line: number;
  readonly id: string | null;
  /** No finding is an error. */
  readonly ok: boolean;
  readonly findings: readonly Finding[];
  /** What its action comes to; undefined when it only alerts or does not load. */
  readonly response: Rung | undefined;
}

/** Settings of {@link checkRules}. */
export interface CheckOptions {
  readonly registry: SchemaRegistry;
  /** Unknown fields are warnings. */
  readonly lenientFields: boolean;
  /** What the kernel in question can do about acts; asked once, if a rule has an action. */
  readonly kernel: () => KernelAbilities;
}

/** Checks every rule of files, folders and globs. */
export async function checkRules(paths: readonly string[], options: CheckOptions): Promise<readonly CheckedRule[]> {
  const { loadRules } = await import("#rules");
  const { entries, problems } = await loadRules(paths, options);
  const excerpts = new Map(problems.map((problem) => [problem.diagnostic, problem.excerpt]));
  const checked: CheckedRule[] = [];
  let kernel: KernelAbilities | undefined;
  const askKernel = (): KernelAbilities => {
    kernel ??= options.kernel();
    return kernel;
  };
  for (const entry of entries) {
    const diagnostics = [...entry.diagnostics, ...(entry.rule === null ? [] : await checkUserRule(entry.rule, options.registry))];
    checked.push({
      file: entry.file,
      line: entry.span.line,
      id: entry.id,
      ok: entry.rule !== null && diagnostics.every((diagnostic) => diagnostic.severity !== "error"),
      findings: diagnostics.map((diagnostic) => ({ diagnostic, excerpt: excerpts.get(diagnostic) ?? "" })),
      response: entry.rule === null ? undefined : await climb(entry.rule, options.registry, askKernel),
    });
  }
  return checked;
}

async function climb(rule: Rule, registry: SchemaRegistry, kernel: () => KernelAbilities): Promise<Rung | undefined> {
  const reach = await reachOf(rule, registry);
  return reach && rungOf({ rule, ...reach, kernel: kernel() });
}

/** What is wrong with a Lua or Wasm body: it is loaded once and thrown away. An EQL rule was checked with its text. */
export async function checkUserRule(rule: Rule, registry: SchemaRegistry): Promise<readonly Diagnostic[]> {
  if (rule.body.kind === "eql") return [];
  const { evaluator, diagnostics } = await createUserRule(rule, registry, undefined);
  evaluator?.close();
  return diagnostics;
}
