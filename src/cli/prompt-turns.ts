// Has the rings read more often while an enforced rule acts after its alert: until then the process runs.
import { actsAfterAlert, type RuleReach } from "#engine";
import type { Rule } from "#rules";

/** What is asked for that. */
export interface PromptParts {
  readonly source: { setPrompt(isOn: boolean): void };
  readonly modeOf: (rule: Rule) => Rule["mode"];
  /** False of a rule that was stopped because it failed. */
  readonly isRunning: (ruleId: string) => boolean;
}

/** See the head of this file. */
export class PromptTurns {
  readonly #parts: PromptParts;
  #rules: readonly Rule[] = [];

  constructor(parts: PromptParts) {
    this.#parts = parts;
  }

  /** Takes the rules that are armed now, with what decides how far their actions reach. */
  use(rules: readonly Rule[], reach: readonly RuleReach[]): void {
    const reachOf = new Map(reach.map((one) => [one.ruleId, one]));
    this.#rules = rules.filter((rule) => {
      const found = reachOf.get(rule.id);
      return found !== undefined && actsAfterAlert(rule, found);
    });
    this.refresh();
  }

  /** Takes over modes that have changed, and rules that were stopped. */
  refresh(): void {
    const { source, modeOf, isRunning } = this.#parts;
    source.setPrompt(this.#rules.some((rule) => modeOf(rule) === "enforce" && isRunning(rule.id)));
  }
}
