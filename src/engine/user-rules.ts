// The rules written in Lua or Wasm, evaluated in order in the engine's thread, since they may keep state of their own. Invariant: an evaluator is
// closed when no set of rules has it any more.
import { type Evaluator, type RecordBatch, RuleFault } from "#core";
import type { Rule } from "#rules";
import type { EngineOptions, RuleProblem } from "./engine.ts";
import { createUserRule } from "./evaluators.ts";

/** One of them. */
export interface UserRule {
  readonly rule: Rule;
  readonly evaluator: Evaluator;
}

/** What one said of a batch. */
export interface UserHits {
  readonly bits: Uint32Array;
  readonly fault: RuleFault | undefined;
}

/** See the head of this file. */
export class UserRules {
  readonly #options: Pick<EngineOptions, "registry" | "cacheDirectory" | "batchBudgetMs">;
  #inUse: readonly UserRule[] = [];

  constructor(options: Pick<EngineOptions, "registry" | "cacheDirectory" | "batchBudgetMs">) {
    this.#options = options;
  }

  /** In the order of the rules. */
  get inUse(): readonly UserRule[] {
    return this.#inUse;
  }

  /** Makes what is new among these rules, to be used or dropped. Adds to `problems`, and leaves out whose problems are known. */
  async create(rules: readonly Rule[], problems: RuleProblem[]): Promise<readonly UserRule[]> {
    const made: UserRule[] = [];
    try {
      for (const rule of rules) {
        if (rule.body.kind === "eql" || problems.some((problem) => problem.ruleId === rule.id)) continue;
        // An unchanged rule keeps its evaluator, since a module may remember what it saw.
        const kept = this.#inUse.find((user) => user.rule === rule);
        if (kept !== undefined) {
          made.push(kept);
          continue;
        }
        const { evaluator, diagnostics } = await createUserRule(rule, this.#options.registry, this.#options.cacheDirectory);
        if (evaluator === undefined) problems.push({ ruleId: rule.id, diagnostics });
        else made.push({ rule, evaluator });
      }
    } catch (error) {
      this.drop(made);
      throw error;
    }
    return made;
  }

  /** Uses these from now on, but for those that were stopped while they were made. */
  use(made: readonly UserRule[], isRunning: (rule: Rule) => boolean): void {
    const before = this.#inUse;
    this.#inUse = made.filter(({ rule }) => isRunning(rule));
    this.drop([...before, ...made]);
  }

  /** Closes those of them that are not in use. */
  drop(made: readonly UserRule[]): void {
    closeAll(made.filter((user) => !this.#inUse.includes(user)));
  }

  /** Closes the one of a rule, if there is one. */
  stop(rule: Rule): void {
    const before = this.#inUse;
    this.#inUse = before.filter((user) => user.rule !== rule);
    this.drop(before);
  }

  /** What a rule says of each record; up to the one where it failed. */
  evaluate({ evaluator }: UserRule, batch: RecordBatch): UserHits {
    const startMs = performance.now();
    try {
      const bits = evaluator.evaluate(batch);
      const { batchBudgetMs: budgetMs } = this.#options;
      const tookMs = performance.now() - startMs;
      if (budgetMs === undefined || tookMs <= budgetMs) return { bits, fault: undefined };
      throw new RuleFault("time", 0, `Took ${tookMs.toFixed(0)} ms for ${batch.count} events, ${budgetMs} ms are allowed`);
    } catch (error) {
      if (!(error instanceof RuleFault)) throw error;
      const bits = new Uint32Array(batch.count);
      if (error.place !== undefined) bits.set(error.place.hitsBefore);
      return { bits, fault: error };
    }
  }

  /** Closes all. */
  close(): void {
    closeAll(this.#inUse);
    this.#inUse = [];
  }
}

function closeAll(userRules: readonly UserRule[]): void {
  for (const { evaluator } of userRules) evaluator.close();
}
