// Wasm modules from text, for the runtime tests.
import binaryen from "assemblyscript/binaryen";
import { hitWords, type RuleSetProgram } from "#schema";

/** Assembles WebAssembly text. */
export function assemble(text: string): Uint8Array {
  const module = binaryen.parseText(text);
  module.setFeatures(binaryen.Features.All);
  const bytes = module.emitBinary();
  module.dispose();
  return new Uint8Array(bytes);
}

/** A rule-set program around the body of `eval(batch, count, out)`; `$current` is its global, the heap begins at 1024. */
export function program(body: string, predicateCount = 1, extra = ""): RuleSetProgram {
  const wasm = assemble(`(module
    (memory (export "memory") 1)
    (global $current (export "current") (mut i32) (i32.const -1))
    (global (export "heap_base") i32 (i32.const 1024))
    ${extra}
    (func (export "eval") (param $batch i32) (param $count i32) (param $out i32) (result i32)
      (local $i i32) (local $at i32) (local $sum i32)
      ${body}))`);
  return { wasm, lua: "", predicates: Array.from({ length: predicateCount }, (_, index) => ({ ruleId: `rule-${index}` })) };
}

/** Body that writes, for each record, its category as hit bits: it walks the records and reads their headers. */
export const CATEGORY_AS_BITS = `
  (local.set $at (local.get $batch))
  (block $done (loop $next
    (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
    (i32.store (i32.add (local.get $out) (i32.shl (local.get $i) (i32.const 2))) (i32.load16_u offset=4 (local.get $at)))
    (local.set $at (i32.add (local.get $at) (i32.load (local.get $at))))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br $next)))
  (i32.const 0)`;

/** Words of one record's hits as a list of predicate ids. */
export function hitsOf(hits: Uint32Array, record: number, predicateCount: number): number[] {
  const words = hitWords(predicateCount);
  return Array.from({ length: predicateCount }, (_, id) => id).filter((id) => (hits[record * words + (id >>> 5)]! >>> (id & 31)) & 1);
}
