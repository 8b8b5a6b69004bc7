// The Wasm back end: predicates in, one module out (ABI: RuleSetProgram in #schema).
import type { ConditionNode } from "./ir.ts";
import { collectFacts } from "./rule-set-facts.ts";
import { ConditionWriter, type SharedFunctions } from "./wasm-condition.ts";
import { ProgramLayout } from "./wasm-layout.ts";
import { guest, link } from "./wasm-link.ts";

/** The module of a rule set; predicate i is `roots[i]`. */
export function emitWasm(roots: readonly ConditionNode[]): Uint8Array {
  const library = guest();
  const facts = collectFacts(roots);
  const layout = new ProgramLayout(library, facts);
  const shared: SharedFunctions = new Map([...facts.shared].map((node, index) => [node, library.functionCount + index]));
  const functions = [...facts.shared].map((node) => new ConditionWriter(library, layout, shared).remembered(node));
  const firstPredicate = library.functionCount + functions.length;
  for (const root of roots) functions.push(new ConditionWriter(library, layout, shared).predicate(root));
  const { heapBase, program } = layout.finish(roots);
  return link({
    functions,
    predicates: roots.map((_, index) => firstPredicate + index),
    data: [
      { address: layout.programAddress, bytes: program },
      { address: layout.pool.base, bytes: layout.pool.bytes() },
    ],
    heapBase,
  });
}
