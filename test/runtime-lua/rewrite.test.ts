// The rewritten program means what the author wrote, on the same lines; and whatever the text, the answer is a diagnostic, soon.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { LuaState } from "#ffi/luajit";
import { createLuaRuleEvaluator } from "#runtime-lua";
import { batchOf, registry } from "./records.ts";

const SEED = Number(Date.now() % 2 ** 31);
const batch = batchOf([{ "process.name": "nc" }]);

/** What an expression gives inside a rule, printed by the rule itself. */
function inRule(body: string): string {
  const source = `function pred_eval(event) capture_field("r", (function() ${body} end)()) return true end`;
  const { evaluator, diagnostics } = createLuaRuleEvaluator(source, registry);
  expect(diagnostics.map((item) => item.message)).toEqual([]);
  try {
    evaluator!.evaluate(batch);
    return evaluator!.emission?.(0)?.captures[0]?.[1] ?? "nothing";
  } catch (error) {
    return /attempt|error/.test((error as Error).message) ? "error" : (error as Error).message;
  } finally {
    evaluator!.close();
  }
}

const plain = new LuaState();
const runText = plain.load("return tostring(assert(loadstring(...))())", "=plain");

/** What LuaJIT makes of the author's own text. */
function inLua(body: string): string {
  try {
    return new TextDecoder().decode(plain.call(runText, [body]) as Uint8Array);
  } catch {
    return "error";
  }
}

const leaf = fc.constantFrom(
  "1",
  "2.5",
  "0",
  "x",
  "y",
  `"a"`,
  `"10"`,
  "nil",
  "true",
  "false",
  "t.n",
  "t[1]",
  "f(1, 2)",
  "(f(1, 2))",
  "#t",
  "-x",
);
const { expression } = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    leaf,
    fc
      .tuple(
        tie("expression"),
        fc.constantFrom("+", "-", "*", "/", "%", "..", "==", "~=", "<", "<=", ">", ">=", "and", "or"),
        tie("expression"),
      )
      .map(([left, operator, right]) => `${left} ${operator} ${right}`),
    tie("expression").map((inner) => `(${inner})`),
    fc.tuple(fc.constantFrom("not ", "- ", "#"), tie("expression")).map(([operator, inner]) => `${operator}(${inner})`),
    tie("expression").map((inner) => `select("#", f(${inner}))`),
    tie("expression").map((inner) => `({ ${inner}, f(1, 2), (f(1, 2)) })[2]`),
    tie("expression").map((inner) => `(function(...) local a, b = ... return b == nil and a or b end)(${inner})`),
  ),
}));

test("expressions mean the same", () => {
  const prelude = "local x, y, t = 3, -2, { 7, n = 5 } local function f(a, b) return a, b end ";
  let valued = 0;
  fc.assert(
    fc.property(expression, (text) => {
      const expected = inLua(`${prelude}return ${text}`);
      if (expected !== "error") valued++;
      expect(`${text} = ${inRule(`${prelude}return ${text}`)}`).toBe(`${text} = ${expected}`);
    }),
    { seed: SEED, numRuns: 400 },
  );
  expect(valued).toBeGreaterThan(100);
});

describe("programs mean the same", () => {
  for (const body of [
    "local t = {} for i = 3, 1, -1 do t[#t + 1] = i end return table.concat(t, ',')",
    "local s = 0 for i = 1, 10 do if i % 2 == 0 then goto skip end s = s + i ::skip:: end return s",
    "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end return fib(15)",
    "local t = setmetatable({}, { __index = function(_, k) return k .. '!' end }) return t.a .. t[1]",
    "local t = setmetatable({}, { __add = function(a, b) return 'sum' end, __concat = function() return 'cat' end }) return (t + 1) .. (1 .. t) .. (t .. t)",
    "local t = setmetatable({}, { __concat = function(a, b) return type(a) .. type(b) end }) return 'a' .. 'b' .. t",
    "local t = setmetatable({}, { __newindex = function(t, k, v) rawset(t, k, v * 2) end }) t.a = 4 return t.a",
    "local fs = {} for i = 1, 3 do local n = i fs[i] = function() n = n + 1 return n end end return fs[1]() + fs[1]() + fs[2]()",
    "local fs = {} for i = 1, 3 do fs[i] = function() i = i + 10 return i end end return fs[1]() + fs[1]() + fs[3]()",
    "local t = { f = function(self, n) return self.k + n end, k = 1 } return t:f(2) + t.f({ k = 10 }, 5)",
    "local t = {} function t.a() return 1 end function t:b() return self == t end t.c = {} function t.c.d(...) return select('#', ...) end return t.a() .. tostring(t:b()) .. t.c.d(1, 2)",
    "local a, b, c = (function() return 1, 2, 3 end)() return a + b + c",
    "local i, t = 1, {} i, t[i] = i + 1, 20 return i .. tostring(t[1]) .. tostring(t[2])",
    "local n = 0 while n < 5 do n = n + 1 if n == 3 then break end end return n",
    "local x = 1 do local x = 2 end local x = x return tostring(x)",
    "return ([[\nline]]) .. '\\65\\10\\\\' .. \"q\\\"'\"",
    "local s = 'x' return s:rep(3):upper():lower() .. ('y'):rep(2)",
    "local function v(...) return ... end return select('#', v(), v(1, 2), v(nil, nil))",
    "local t = { v = 1, [2] = 'b', 'a'; 'c' } return t[1] .. t[2] .. t.v",
    "return type(nil) .. type(type) .. tostring(not nil == true)",
    "local r = '' for k, v in ipairs({ 'a', 'b', nil, 'd' }) do r = r .. k .. v end return r",
    "local ok, e = pcall(error, { code = 7 }) return tostring(ok) .. e.code",
    "return select(2, xpcall(function() error('x', 0) end, function(m) return m .. '!' end))",
    "return tostring(1e15) .. ' ' .. 0.1 .. ' ' .. 1e100 .. ' ' .. -0.0 .. ' ' .. 123456789012",
  ]) {
    test(body.slice(0, 80), () => expect(inRule(body)).toBe(inLua(body)));
  }
});

test("errors name the author's line wherever it is", () => {
  const filler = [
    "local s = [[",
    "two",
    "]]",
    "local t = { 1,",
    "  2,",
    "}",
    "if t[1] == 2 then",
    "  s = 'x'",
    "elseif t[2]",
    "then s = 'y' end",
    "-- a comment",
    "--[[ long",
    "]]",
  ];
  for (let at = 0; at <= filler.length; at++) {
    if (![0, 3, 6, 10, 11, 13].includes(at)) continue;
    const lines = [...filler.slice(0, at), "local bad = nil + 1", ...filler.slice(at), "return true"];
    const { evaluator } = createLuaRuleEvaluator(lines.join("\n"), registry);
    expect(() => evaluator!.evaluate(batch)).toThrow(`at line ${at + 1}: `);
    evaluator!.close();
  }
});

describe("hostile texts", () => {
  const big = 46_000;
  for (const [name, text] of Object.entries({
    parentheses: `return ${"(".repeat(10_000)}1${")".repeat(10_000)}`,
    "open parentheses": `return ${"(".repeat(big)}`,
    tables: `return ${"{".repeat(10_000)}${"}".repeat(10_000)}`,
    brackets: `return ${"a[".repeat(10_000)}`,
    nots: `return ${"not ".repeat(10_000)}1`,
    minuses: `return ${"- ".repeat(10_000)}1`,
    powers: `return ${"2^".repeat(10_000)}1`,
    concats: `return ${"'a'..".repeat(9_000)}'a' == 'x'`,
    sums: `return ${"1+".repeat(20_000)}1`,
    names: `local a = 1 return ${"a+".repeat(20_000)}a`,
    ors: `local a = 1 return ${"a or ".repeat(9_000)}a`,
    calls: `local f return f${"()".repeat(20_000)}`,
    members: `local f return f${".a".repeat(20_000)}`,
    functions: `return ${"function() ".repeat(4_000)}`,
    blocks: `${"do ".repeat(10_000)}`,
    ifs: `${"if a then ".repeat(4_000)}`,
    elseifs: `local a if a then ${"elseif a then ".repeat(3_000)} end return 1`,
    locals: `${"local a ".repeat(5_000)} return 1`,
    labels: `${Array.from({ length: 3000 }, (_, i) => `::l${i}::`).join(" ")} return 1`,
    gotos: `${"goto x ".repeat(6_000)} ::x:: return 1`,
    "long string": `return "${"x".repeat(big)}" == ""`,
    "unfinished long string": `return [[${"x".repeat(big)}`,
    "long name": `local ${"x".repeat(big)} = 1 return ${"x".repeat(big)}`,
    "a million bytes": "x".repeat(1_000_000),
    semicolons: ";".repeat(big),
  })) {
    test(name, () => {
      const { evaluator, diagnostics } = createLuaRuleEvaluator(text, registry);
      if (evaluator === undefined) expect(diagnostics[0]?.severity).toBe("error");
      else evaluator.close();
    });
  }

  const token = fc.constantFrom(
    ..."and break do else elseif end false for function goto if in local nil not or repeat return then true until while a b event x.y 1 0x1 'a' \"b\" [[c]] ... .. . : :: ; , = == ~= < > <= >= + - * / % ^ # ( ) [ ] { } pred_eval".split(
      " ",
    ),
  );
  test("any tokens", () => {
    fc.assert(
      fc.property(fc.array(token, { maxLength: 25 }), (tokens) => checkAny(tokens.join(" "))),
      { seed: SEED, numRuns: 1500 },
    );
  });
  test("any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => checkAny(text)),
      { seed: SEED, numRuns: 500 },
    );
  });
});

/** A text is refused with an error inside it, or gives an evaluator that evaluates or faults. */
function checkAny(text: string): void {
  const { evaluator, diagnostics } = createLuaRuleEvaluator(text, registry);
  if (evaluator === undefined) {
    const [first] = diagnostics;
    expect(first?.severity).toBe("error");
    expect(first!.span.from).toBeLessThanOrEqual(text.length);
    expect(first!.span.line).toBeGreaterThan(0);
    return;
  }
  try {
    evaluator.evaluate(batch);
  } catch (error) {
    expect((error as Error).name).toBe("RuleFault");
  }
  evaluator.close();
}
