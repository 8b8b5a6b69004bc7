// Enforced rules whose action this machine does not carry out as they ask: said in the log when they are armed or switched to enforce, and with the
// rule in the API. Invariant: a rule is said once for the same reasons, and no more than a few rules at a time.
import type { Log } from "#core";
import { type KernelAbilities, type RuleReach, type Rung, shortfallOf } from "#engine";
import type { Rule } from "#rules";
import type { Diagnostic } from "#schema";
import { RUNG_TEXT } from "./rung-text.ts";

/** What is asked for that. */
export interface ShortfallParts {
  /** Asked once, when a rule needs it. */
  readonly abilities: () => KernelAbilities;
  readonly modeOf: (rule: Rule) => Rule["mode"];
  readonly log: Log;
}

/** Rules that get a line of their own at one time; the others are told by number. */
const LINES_MAX = 10;
const REASONS_LENGTH_MAX = 500;

/** See the head of this file. */
export class Shortfalls {
  readonly #parts: ShortfallParts;
  #abilities: KernelAbilities | undefined;
  #rules: readonly (readonly [rule: Rule, reach: RuleReach])[] = [];
  #said = new Map<string, string>();
  #isWatching = false;

  constructor(parts: ShortfallParts) {
    this.#parts = parts;
  }

  /** Takes the rules that are armed now, with what decides how far their actions reach. */
  use(rules: readonly Rule[], reach: readonly RuleReach[]): void {
    const reachOf = new Map(reach.map((one) => [one.ruleId, one]));
    this.#rules = rules.flatMap((rule) => {
      const found = reachOf.get(rule.id);
      return found === undefined ? [] : [[rule, found] as const];
    });
    this.say();
  }

  /** The sensors run: from now on actions are carried out. */
  start(): void {
    this.#isWatching = true;
    this.say();
  }

  /** What the kernel lets us do may have changed. */
  askAgain(): void {
    this.#abilities = undefined;
    this.say();
  }

  /** Says what is new. */
  say(): void {
    if (!this.#isWatching) return;
    const found = this.#rules.flatMap(([rule, reach]) => {
      const rung = this.#rungOf(rule, reach);
      return rung === undefined ? [] : [{ rule: rule.id, ...wordsOf(rung) }];
    });
    const said = new Map(found.map((words) => [words.rule, JSON.stringify(words)]));
    const news = found.filter(({ rule }) => this.#said.get(rule) !== said.get(rule));
    this.#said = said;
    for (const words of news.slice(0, LINES_MAX)) this.#parts.log.write("warn", "a rule's action is not carried out as it asks", words);
    if (news.length > LINES_MAX) {
      const rules = news.length - LINES_MAX;
      this.#parts.log.write("warn", "more rules whose action is not carried out as they ask: kestrel check tells them", { rules });
    }
  }

  /** A finding for the API about a rule, if it has one. */
  diagnostics(ruleId: string): readonly Diagnostic[] {
    const found = this.#isWatching ? this.#rules.find(([{ id }]) => id === ruleId) : undefined;
    const rung = found && this.#rungOf(...found);
    if (rung === undefined) return [];
    const { asks, comes, because } = wordsOf(rung);
    const message = `The rule asks to ${asks}; on this machine that comes: ${comes}; because: ${because}`;
    return [{ severity: "warning", code: "action-falls-short", message, span: { from: 0, to: 0, line: 1, column: 1 } }];
  }

  #rungOf(rule: Rule, reach: RuleReach): Rung | undefined {
    if (this.#parts.modeOf(rule) !== "enforce") return undefined;
    this.#abilities ??= this.#parts.abilities();
    return shortfallOf(rule, reach, this.#abilities);
  }
}

function wordsOf({ action, rung, means, leaves, whyNotHigher }: Rung): {
  readonly asks: string;
  readonly comes: string;
  readonly because: string;
} {
  const reasons = [...leaves, ...whyNotHigher].join("; ");
  const because = reasons.length > REASONS_LENGTH_MAX ? `${reasons.slice(0, REASONS_LENGTH_MAX)}…` : reasons;
  return { asks: action, comes: `${RUNG_TEXT[rung]}, ${means}`, because };
}
