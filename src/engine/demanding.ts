// What the armed rules want of the sources' events, told whenever it changes: after an arming, and when a rule is stopped. Knows no sensor:
// whoever owns some is told words and tests. Invariant: what any running rule can match is in what was told last.
import { type Demand, mergedDemand } from "#schema";

/** Who is told. It may not call back into the engine. */
export type DemandListener = (demand: Demand) => void;

/** See the head of this file. */
export class Demanding {
  readonly #listener: DemandListener | undefined;
  #byRule = new Map<string, Demand>();

  constructor(listener: DemandListener | undefined) {
    this.#listener = listener;
  }

  /** Other rules are armed. */
  use(rules: Iterable<readonly [ruleId: string, demand: Demand]>): void {
    this.#byRule = new Map(rules);
    this.#tell();
  }

  /** A rule was stopped. */
  drop(ruleId: string): void {
    if (this.#byRule.delete(ruleId)) this.#tell();
  }

  #tell(): void {
    this.#listener?.(mergedDemand(this.#byRule.values()));
  }
}
