// How far a rule's action reaches: what of the rule decides that is found with the compiler, once; a machine's abilities come to it later.
import type { Rule } from "#rules";
import type { KernelCondition, SchemaRegistry } from "#schema";
import { gateRule } from "./gate-rules.ts";
import { ANY_KERNEL, type Climber, type KernelAbilities, RUNG_NAMES, type Rung, rungOf } from "./ladder.ts";
import { type CompilableRule, querySource } from "./query-source.ts";

/** What of a rule with an action decides which rung it reaches. Plain data. */
export interface RuleReach {
  readonly ruleId: string;
  readonly condition: KernelCondition | undefined;
  readonly whyNotAtGate: string | undefined;
}

/** Undefined for a rule that only alerts. */
export async function reachOf(rule: CompilableRule, registry: SchemaRegistry): Promise<RuleReach | undefined> {
  if (rule.action === "alert") return undefined;
  const { kernelConditionOf } = await import("#eql");
  const condition = rule.body.kind === "eql" ? kernelConditionOf(querySource(rule), registry) : undefined;
  const whyNotAtGate = rule.action === "deny" ? (await gateRule(rule, registry)).reason : undefined;
  return { ruleId: rule.id, condition, whyNotAtGate };
}

/**
 * What a rule's action comes to on this kernel where that is less than its word or less than another kernel would do: a denial that is none, an act
 * that comes later, or not for all that the rule matches. Undefined where nothing is amiss.
 */
export function shortfallOf(rule: Climber["rule"] & Pick<Rule, "id">, reach: RuleReach, kernel: KernelAbilities): Rung | undefined {
  const here = rungOf({ rule, ...reach, kernel });
  const best = rungOf({ rule, ...reach, kernel: ANY_KERNEL });
  if (here === undefined || best === undefined) return undefined;
  const [level, bestLevel] = [RUNG_NAMES.indexOf(here.rung), RUNG_NAMES.indexOf(best.rung)];
  // A program that is held until it is denied never runs, as with a denial in the kernel.
  if (rule.action === "deny" && here.rung === "at-the-gate") return undefined;
  const isDenied = rule.action !== "deny" || here.rung === "in-kernel";
  const leavesMore = here.leaves.some((left) => !best.leaves.includes(left));
  return !isDenied || level > bestLevel || leavesMore ? here : undefined;
}

/** Whether a rule's action comes after the alert, for some of its matches at least, even where the kernel can do all that kernels can. */
export function actsAfterAlert(rule: Climber["rule"], reach: RuleReach): boolean {
  const best = rungOf({ rule, ...reach, kernel: ANY_KERNEL });
  return rule.action !== "deny" && (best?.rung === "after-alert" || (best?.rung === "at-once" && best.leaves.length > 0));
}
