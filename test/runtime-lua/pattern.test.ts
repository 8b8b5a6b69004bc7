// Our matcher of Lua patterns against LuaJIT's own, on random patterns and texts.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { LuaState } from "#ffi/luajit";
import budgetText from "../../src/runtime-lua/budget.lua" with { type: "text" };
import patternText from "../../src/runtime-lua/pattern.lua" with { type: "text" };

const SEED = Number(Date.now() % 2 ** 31);

// Runs one call on both libraries and prints both results; an error prints as its bare message.
const COMPARE = `
local budget_text, pattern_text = ...
local budget = loadstring(budget_text, "=budget")(1000000)
local ours = loadstring(pattern_text, "=pattern")(budget)
budget.begin(10000000, 1)
local function show(ok, ...)
  if not ok then return "error" end
  local out = {}
  for i = 1, select("#", ...) do out[i] = type(select(i, ...)) .. ":" .. tostring((select(i, ...))) end
  return table.concat(out, ",")
end
local function all(library, text, pattern)
  local out = {}
  for a, b in library.gmatch(text, pattern) do
    out[#out + 1] = tostring(a) .. "/" .. tostring(b)
    if #out > 50 then break end
  end
  return table.concat(out, ",")
end
local function one(library, name, text, pattern, extra)
  if name == "gmatch" then return show(pcall(all, library, text, pattern)) end
  return show(pcall(library[name], text, pattern, extra))
end
return function(name, text, pattern, extra)
  budget.begin(10000000, 1)
  return one(ours, name, text, pattern, extra) .. "|" .. one(string, name, text, pattern, extra)
end`;

const state = new LuaState();
const [compare] = state.callForHeld(state.load(COMPARE, "=compare"), [budgetText, patternText], 1);

function both(name: string, text: string, pattern: string, extra: string | number | null): readonly [string, string] {
  const result = new TextDecoder("latin1").decode(state.call(compare!, [name, text, pattern, extra]) as Uint8Array);
  const at = result.indexOf("|");
  return [result.slice(0, at), result.slice(at + 1)];
}

const item = fc.constantFrom(
  ..."a b . %a %d %s %w %A %W %p %x %. %% [ab] [^a] [a-c] [%d_] []] [^]] [a-] ( ) () %1 %b() %f[%w] ^ $ - %".split(" "),
);
const quantifier = fc.constantFrom("", "", "", "*", "+", "-", "?");
const pattern = fc.array(fc.tuple(item, quantifier), { maxLength: 6 }).map((parts) => parts.map(([set, count]) => set + count).join(""));
const text = fc.string({ unit: fc.constantFrom(..."aabbc1_ ()[]%.-".split("")), maxLength: 12 });

for (const name of ["find", "match", "gmatch", "gsub"]) {
  test(`${name} agrees with LuaJIT's`, () => {
    let matched = 0;
    fc.assert(
      fc.property(text, pattern, (subject, wanted) => {
        // A '^' in gmatch has no meaning in the manual; LuaJIT takes it for a character.
        if (name === "gmatch" && wanted.startsWith("^")) return;
        const [ours, theirs] = both(name, subject, wanted, name === "gsub" ? "<%0>" : null);
        // LuaJIT sees a malformed part only when it gets there; we see it at once.
        if (ours === "error" && theirs !== "error") return;
        if (theirs !== "error" && theirs !== "nil:nil") matched++;
        expect(`${subject} ~ ${wanted}: ${ours}`).toBe(`${subject} ~ ${wanted}: ${theirs}`);
      }),
      { seed: SEED, numRuns: 3000 },
    );
    expect(matched).toBeGreaterThan(300);
  });
}

test("every character class agrees on every byte", () => {
  for (const name of "adlswxpucADLSWXPUC") {
    for (let code = 0; code < 256; code++) {
      const bytes = Uint8Array.of(code);
      const result = new TextDecoder("latin1").decode(state.call(compare!, ["find", bytes, `%${name}`, null]) as Uint8Array);
      const half = (result.length - 1) / 2;
      expect(`${name} ${code} ${result.slice(0, half)}`).toBe(`${name} ${code} ${result.slice(half + 1)}`);
    }
  }
});

test("positions from the start and the end", () => {
  for (let init = -5; init <= 5; init++) {
    for (const wanted of ["a", "b*", "^a", "()", "a.", "[%]]"]) {
      for (const name of ["find", "match"]) {
        const [ours, theirs] = both(name, "aba", wanted, init);
        expect(`${name} ${wanted} ${init} ${ours}`).toBe(`${name} ${wanted} ${init} ${theirs}`);
      }
    }
  }
});
