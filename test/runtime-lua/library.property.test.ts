// Any function of the library with any arguments: a value or the rule's own fault, soon, and the same one every time.
import { expect, setDefaultTimeout, test } from "bun:test";
import fc from "fast-check";
import { RuleFault } from "#core";
import { createLuaRuleEvaluator } from "#runtime-lua";
import { batchOf, registry } from "./records.ts";

// Generous, since machines are noisy and no test here measures time; it only ends what hangs.
setDefaultTimeout(60_000);
const SEED = Number(Date.now() % 2 ** 31);
const batch = batchOf([{ "process.name": "nc", "process.args": ["a", "b"] }]);

const FUNCTIONS = [
  ..."byte char find format gmatch gsub len lower match rep reverse sub upper".split(" ").map((name) => `string.${name}`),
  ..."concat insert remove sort".split(" ").map((name) => `table.${name}`),
  ..."abs ceil floor fmod log max min modf sqrt".split(" ").map((name) => `math.${name}`),
  ..."arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex".split(" ").map((name) => `bit.${name}`),
  ..."assert error getmetatable ipairs next pairs pcall rawequal rawget rawset select setmetatable tonumber tostring type unpack xpcall".split(
    " ",
  ),
  ..."glob_match capture_field alert_emit event_get_str event_get_i64 event.get event.all event.has event.category".split(" "),
];
const argument = fc.constantFrom(
  ..."nil|true|0|1|-1|2|3.5|1e300|-1e300|2^31|-2^31|2^53|1/0|-1/0|0/0|''|'a'|'abc'|'%d'|'%s%s'|'(a*)'|'%1'|'process.name'|'#'|LONG|{}|{1,2,3}|{a=1}|{{}}|META|event|string|type|print_none|function(...) return ... end|function() error({}) end".split(
    "|",
  ),
);
const PRELUDE = `local LONG, META, print_none = ("ab"):rep(30000), setmetatable({}, { __index = function(_, k) return k end, __call = function(...) return ... end, __tostring = function() return "meta" end, __lt = function() return true end, __concat = function() return "c" end, __metatable = 1 }), nil `;

const call = fc
  .tuple(fc.constantFrom(...FUNCTIONS), fc.array(argument, { maxLength: 4 }))
  .map(([name, args]) => `${name}(${args.join(", ")})`);

/** What a rule with these calls says, once. */
function outcome(body: string): string {
  const { evaluator, diagnostics } = createLuaRuleEvaluator(body, registry, { eventTicks: 200_000 });
  if (evaluator === undefined) return `refused: ${diagnostics[0]?.message}`;
  try {
    evaluator.evaluate(batch);
    return JSON.stringify(evaluator.emission?.(0) ?? null);
  } catch (error) {
    if (!(error instanceof RuleFault)) throw error;
    return `${error.kind}: ${error.message}`;
  } finally {
    evaluator.close();
  }
}

test("any call", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(call, call, (first, second) => {
      const body = `function pred_eval(event) ${PRELUDE}
        local results = { pcall(function() return ${first} end) }
        for i = 1, 4 do capture_field("first" .. i, tostring(results[i])) end
        capture_field("second", tostring((${second})))
        return true
      end`;
      const result = outcome(body);
      seen.add(result.startsWith("{") ? "value" : result.split(":")[0]!);
      expect(result).not.toMatch(/0x[0-9a-f]{6}|cdata/);
      expect(outcome(body)).toBe(result);
    }),
    { seed: SEED, numRuns: 500 },
  );
  expect([...seen].sort()).toEqual(expect.arrayContaining(["error", "value"]));
});
