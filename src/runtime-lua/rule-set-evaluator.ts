// Evaluator of a compiled rule set's Lua form: the same predicates, ids and bits as its Wasm form. The program is the compiler's own, so it
// runs unmetered; its work is linear in the record.
import { type Evaluator, KestrelError, messageOf, type RecordBatch, RuleFault } from "#core";
import { LuaError, type LuaFunction, type LuaState } from "#ffi/luajit";
import { hitWords, type RuleSetProgram } from "#schema";
import { BatchMemory } from "./batch-memory.ts";
import { PRELUDE } from "./prelude.ts";
import bootText from "./rule-set.lua" with { type: "text" };
import { openState } from "./sandbox.ts";

/** Prepares a rule set for evaluation by LuaJIT. Throws KestrelError when its Lua form does not load, which is a bug of the compiler. */
export function createLuaRuleSetEvaluator(program: RuleSetProgram): Evaluator {
  return new LuaRuleSetEvaluator(program);
}

class LuaRuleSetEvaluator implements Evaluator {
  readonly predicateCount: number;
  readonly #program: RuleSetProgram;
  readonly #words: number;
  readonly #state: LuaState;
  readonly #run: LuaFunction;
  readonly #memory = new BatchMemory();

  constructor(program: RuleSetProgram) {
    this.predicateCount = program.predicates.length;
    this.#program = program;
    this.#words = hitWords(this.predicateCount);
    this.#state = openState();
    try {
      const boot = this.#state.load(bootText, "=kestrel-boot");
      const [describe, run] = this.#state.callForHeld(boot, [PRELUDE, program.lua], 2);
      this.#run = run as LuaFunction;
      this.#state.setErrorHandler(describe as LuaFunction);
    } catch (error) {
      this.#state.close();
      if (error instanceof LuaError) throw new KestrelError("bad-program", `Cannot load the rule set: ${error.message}`, { cause: error });
      throw error;
    }
  }

  evaluate(batch: RecordBatch): Uint32Array {
    if (this.#state.closed) throw new KestrelError("closed", "Rule set evaluator is closed");
    const { batchAddress, outAddress, hits } = this.#memory.take(batch, this.#words);
    if (hits.length === 0) return hits;
    const result = this.#state.call3(this.#run, batchAddress, batch.count, outAddress);
    if (typeof result !== "number") throw this.#fault(result);
    return hits;
  }

  close(): void {
    this.#state.close();
  }

  #fault(error: LuaError): RuleFault {
    const [, current, text] = /^(-?\d+)\n(.*)$/s.exec(error.message) ?? ["", "-1", messageOf(error)];
    const predicate = Number(current);
    const info = this.#program.predicates[predicate];
    const rule = info === undefined ? "Rule set" : `Rule "${info.ruleId}"`;
    const kind = error.code === "lua-memory" ? "memory" : "error";
    return new RuleFault(kind, info === undefined ? -1 : predicate, `${rule} failed: ${text}`, { cause: error });
  }
}
