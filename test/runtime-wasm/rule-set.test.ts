// The rule-set evaluator: bits in, bits out, blame after a trap, use after a trap, memory growth and its limit.
import { afterAll, describe, expect, test } from "bun:test";
import { KestrelError, RuleFault } from "#core";
import { createRuleSetEvaluator, WasmRuntime } from "#runtime-wasm";
import { SchemaRegistry } from "#schema";
import { batchOf } from "./batches.ts";
import { assemble, CATEGORY_AS_BITS, hitsOf, program } from "./wat.ts";

const runtime = new WasmRuntime();
const registry = new SchemaRegistry();
afterAll(() => runtime.close());

function faultOf(run: () => unknown): RuleFault {
  try {
    run();
  } catch (error) {
    if (error instanceof RuleFault) return error;
    throw error;
  }
  throw new Error("No fault");
}

describe("evaluate", () => {
  test("gives each record's bits in order", () => {
    using evaluator = disposable(createRuleSetEvaluator(program(CATEGORY_AS_BITS, 5), { runtime }));
    const batch = batchOf(registry, [{ category: 3 }, { category: 16 }, { category: 5, fields: { "process.name": "long enough" } }]);
    const hits = evaluator.value.evaluate(batch);
    expect([0, 1, 2].map((record) => hitsOf(hits, record, 5))).toEqual([[0, 1], [4], [0, 2]]);
  });

  test("overwrites the bits of the batch before", () => {
    using evaluator = disposable(createRuleSetEvaluator(program(CATEGORY_AS_BITS, 8), { runtime }));
    evaluator.value.evaluate(batchOf(registry, [{ category: 255 }, { category: 255 }]));
    expect([...evaluator.value.evaluate(batchOf(registry, [{ category: 3 }]))]).toEqual([3]);
  });

  test("grows the guest's memory for a large batch and reads the bits behind it", () => {
    using evaluator = disposable(createRuleSetEvaluator(program(CATEGORY_AS_BITS, 8), { runtime }));
    const large = { category: 7, fields: { "process.command_line": "x".repeat(200_000) } };
    const hits = evaluator.value.evaluate(batchOf(registry, [large, large, { category: 9 }]));
    expect([...hits]).toEqual([7, 7, 9]);
  });

  test("sees memory the guest grew itself", () => {
    const grow = `(drop (memory.grow (i32.const 3))) ${CATEGORY_AS_BITS}`;
    using evaluator = disposable(createRuleSetEvaluator(program(grow, 8), { runtime }));
    for (let round = 0; round < 3; round++) expect([...evaluator.value.evaluate(batchOf(registry, [{ category: 6 }]))]).toEqual([6]);
  });

  test("an empty batch and an empty rule set give no words", () => {
    using evaluator = disposable(createRuleSetEvaluator(program(CATEGORY_AS_BITS), { runtime }));
    expect(evaluator.value.evaluate(batchOf(registry, [])).length).toBe(0);
    using none = disposable(createRuleSetEvaluator(program("unreachable", 0), { runtime }));
    expect(none.value.evaluate(batchOf(registry, [{}])).length).toBe(0);
  });
});

describe("faults", () => {
  const current = (id: number) => `(global.set $current (i32.const ${id}))`;
  const cases = [
    { name: "endless loop", body: `${current(2)} (loop $l (br $l)) (i32.const 0)`, kind: "fuel", predicate: 2 },
    { name: "unreachable", body: `${current(1)} unreachable`, kind: "trap", predicate: 1 },
    { name: "load outside memory", body: `${current(0)} (i32.load (i32.const -8))`, kind: "trap", predicate: 0 },
    { name: "division by zero", body: `${current(3)} (i32.div_s (i32.const 1) (local.get $i))`, kind: "trap", predicate: 3 },
    {
      name: "endless recursion",
      body: `${current(2)} (call $deep)`,
      kind: "trap",
      predicate: 2,
      extra: "(func $deep (result i32) (i32.add (call $deep) (i32.const 1)))",
    },
    { name: "no predicate running", body: "unreachable", kind: "trap", predicate: -1 },
    { name: "predicate id of nobody", body: `${current(99)} unreachable`, kind: "trap", predicate: -1 },
  ] as const;
  for (const { name, body, kind, predicate, ...rest } of cases) {
    test(`${name} blames predicate ${predicate}, and the next batch works`, () => {
      // Traps only on records of category 3, so the same program can prove that it is usable afterwards.
      const guarded = `(if (i32.eq (i32.load16_u offset=4 (local.get $batch)) (i32.const 3)) (then (return (call $bad (local.get $batch))))) ${CATEGORY_AS_BITS}`;
      const extra = `${"extra" in rest ? rest.extra : ""} (func $bad (param $batch i32) (result i32) (local $i i32) ${body})`;
      using evaluator = disposable(createRuleSetEvaluator(program(guarded, 4, extra), { runtime, fuel: 1_000_000 }));
      const fault = faultOf(() => evaluator.value.evaluate(batchOf(registry, [{ category: 3 }])));
      expect([fault.kind, fault.predicate]).toEqual([kind, predicate]);
      if (predicate >= 0) expect(fault.message).toContain(`Rule "rule-${predicate}"`);
      expect([...evaluator.value.evaluate(batchOf(registry, [{ category: 4 }]))]).toEqual([4]);
    });
  }

  test("a batch past the memory limit is a memory fault, a smaller one still works", () => {
    using evaluator = disposable(createRuleSetEvaluator(program(CATEGORY_AS_BITS, 8), { runtime, memoryBytesMax: 192 << 10 }));
    const large = batchOf(registry, [{ fields: { "process.command_line": "x".repeat(250_000) } }]);
    expect(large.length).toBeGreaterThan(240_000);
    expect(faultOf(() => evaluator.value.evaluate(large)).kind).toBe("memory");
    expect([...evaluator.value.evaluate(batchOf(registry, [{ category: 4 }]))]).toEqual([4]);
  });

  test("a memory bomb stays inside its limit", () => {
    const bomb =
      "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (i32.store (local.get $out) (memory.size)) (i32.const 0)";
    using evaluator = disposable(createRuleSetEvaluator(program(bomb, 32), { runtime, memoryBytesMax: 4 << 20 }));
    expect(evaluator.value.evaluate(batchOf(registry, [{}]))[0]).toBeLessThanOrEqual(64);
  });
});

describe("programs that do not keep the ABI", () => {
  const cases = [
    { name: "no bytes", wasm: new Uint8Array(0), code: "invalid-module" },
    { name: "garbage", wasm: new Uint8Array([1, 2, 3, 4]), code: "compile" },
    { name: "no exports", wasm: assemble("(module)"), code: "missing-export" },
    {
      name: "eval of another type",
      wasm: assemble(
        '(module (memory (export "memory") 1) (global (export "current") i32 (i32.const 0)) (global (export "heap_base") i32 (i32.const 8)) (func (export "eval")))',
      ),
      code: "wrong-type",
    },
    { name: "an import", wasm: assemble('(module (import "env" "f" (func)))'), code: "instantiate" },
    { name: "too much memory", wasm: assemble('(module (memory (export "memory") 5000))'), code: "instantiate" },
  ];
  for (const { name, wasm, code } of cases) {
    test(`${name} is refused as ${code}`, () => {
      const make = () => createRuleSetEvaluator({ wasm, lua: "", predicates: [{ ruleId: "r" }] }, { runtime });
      expect(make).toThrow(KestrelError);
      try {
        make();
      } catch (error) {
        expect((error as KestrelError).code).toBe(code);
      }
    });
  }
});

test("close twice is fine, use after close is an error", () => {
  const evaluator = createRuleSetEvaluator(program(CATEGORY_AS_BITS), { runtime });
  evaluator.close();
  evaluator.close();
  expect(() => evaluator.evaluate(batchOf(registry, [{}]))).toThrow("closed");
});

function disposable<T extends { close(): void }>(value: T): Disposable & { readonly value: T } {
  return { value, [Symbol.dispose]: () => value.close() };
}
