// The Lua back end: predicates in, one chunk out (ABI: RuleSetProgram in #schema). Same meaning as the Wasm form, for where no Wasm runs and as
// its cross-check; the support text gives EQL's values their meaning in Lua.
import { hitWords } from "#schema";
import { FOLDING_RANGES } from "./case-folding.generated.ts";
import type { ConditionNode } from "./ir.ts";
import matchText from "./lua-match.lua" with { type: "text" };
import numberText from "./lua-number.lua" with { type: "text" };
import { LuaPrinter } from "./lua-print.ts";
import supportText from "./lua-support.lua" with { type: "text" };
import { collectFacts } from "./rule-set-facts.ts";

/** The chunk of a rule set; predicate i is `roots[i]`. */
export function emitLua(roots: readonly ConditionNode[]): string {
  const printer = new LuaPrinter(collectFacts(roots));
  const predicates = roots.map((root) => printer.predicate(root));
  const words = hitWords(roots.length);
  return `local k = ...
local S = (function(...)
${supportText}
end)(k, {${FOLDING_RANGES.join()}});
(function(...)
${numberText}
end)(k, S);
(function(...)
${matchText}
end)(k, S);
local math = k.math
local N, P, V = {}, {}, S.variables;
${printer.chunks().join("\n")}
${predicateChunks(predicates).join("\n")}
local current = k.current
return function(batch, count, out)
  k.open(batch)
  k.clear(out, count * ${words})
  local at, hits = 0, 0
  for record = 0, count - 1 do
    at = k.record(at)
    S.begin()
    for p = 0, ${roots.length - 1} do
      current[0] = p
      if P[p]() then
        k.hit(record * ${words} + (p - p % 32) / 32, p % 32)
        hits = hits + 1
      end
    end
  end
  current[0] = -1
  return hits
end
`;
}

/** Only what is the rule set's own in its chunk: functions over `S`, N and V, which {@link emitLua} defines before. */
export function emitLuaPredicates(roots: readonly ConditionNode[]): string {
  const printer = new LuaPrinter(collectFacts(roots));
  const predicates = roots.map((root) => printer.predicate(root));
  return `${[...printer.chunks(), ...predicateChunks(predicates)].join("\n")}\n`;
}

/** Predicates by number, a bounded many to a function. */
function predicateChunks(predicates: readonly string[]): string[] {
  const chunks: string[] = [];
  for (let first = 0; first < predicates.length; first += 200) {
    const lines = predicates.slice(first, first + 200).map((text, index) => `P[${first + index}] = ${text}`);
    chunks.push(`(function()\n${lines.join("\n")}\nend)();`);
  }
  return chunks;
}
