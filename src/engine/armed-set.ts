// Which rule each predicate of a compiled set belongs to, and what besides: its gate, its sequence, its policy. Rules that do not compile are left
// out, with the reasons.
import type { Rule } from "#rules";
import { type Diagnostic, planSlots } from "#schema";
import type { CompiledRules } from "./compile.ts";
import type { RuleProblem } from "./engine.ts";
import type { ArmedSet } from "./partition.ts";

/** What partitions take up of rules and what was compiled of them, in the same order. Adds to `problems`. */
export function armedSet(rules: readonly Rule[], compiled: CompiledRules, problems: RuleProblem[]): ArmedSet {
  const byPredicate: Rule[] = [];
  const gates = new Map<string, number>();
  const plans: ArmedSet["plans"][number][] = [];
  const slots = new Int32Array(compiled.program.predicates.length).fill(-1);
  rules.forEach((rule, index) => {
    const predicate = compiled.predicates[index] as number;
    const diagnostics = compiled.diagnostics[index] as readonly Diagnostic[];
    if (diagnostics.some((diagnostic) => diagnostic.severity === "error")) problems.push({ ruleId: rule.id, diagnostics });
    const plan = compiled.plans[index];
    if (plan !== undefined) {
      for (const [slot, id] of planSlots(plan).entries()) {
        byPredicate[id] = rule;
        // Of a Lua or Wasm rule the plan was refused.
        if (rule.body.kind === "eql") slots[id] = plans.length * 32 + slot;
      }
      if (rule.body.kind === "eql") plans.push({ rule, plan });
    }
    if (predicate < 0) return;
    byPredicate[predicate] = rule;
    // Of a Lua or Wasm rule with exceptions it says that none holds.
    if (rule.body.kind !== "eql") gates.set(rule.id, predicate);
  });
  const refused = new Set(problems.map(({ ruleId }) => ruleId));
  const policies = compiled.policies.filter(({ ruleId }) => !refused.has(ruleId));
  return { program: compiled.program, rules: byPredicate, plans, slots, gates, policies };
}
