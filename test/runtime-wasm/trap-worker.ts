// A worker of threads.test.ts: evaluates records that trap, that loop and that are fine, and tells what happened.
import { RuleFault } from "#core";
import { createRuleSetEvaluator, WasmRuntime } from "#runtime-wasm";
import { SchemaRegistry } from "#schema";
import { batchOf } from "./batches.ts";

declare const self: { onmessage: (event: MessageEvent<Uint8Array>) => void };

self.onmessage = (event) => {
  const runtime = new WasmRuntime();
  const program = { wasm: event.data, lua: "", predicates: [{ ruleId: "r" }] };
  const evaluator = createRuleSetEvaluator(program, { runtime, fuel: 1_000_000 });
  const registry = new SchemaRegistry();
  const answers: string[] = [];
  for (let round = 0; round < 3; round++) {
    for (const category of [3, 4, 5, 4]) {
      try {
        answers.push([...evaluator.evaluate(batchOf(registry, [{ category }]))].join());
      } catch (error) {
        answers.push(error instanceof RuleFault ? error.kind : String(error));
      }
    }
  }
  evaluator.close();
  runtime.close();
  postMessage(answers);
};
postMessage("ready");
