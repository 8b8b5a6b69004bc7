// What a rule must not reach or keep: libraries, addresses, the rewriting's own names, and state from one event to the next.
import { describe, expect, test } from "bun:test";
import { createLuaRuleEvaluator } from "#runtime-lua";
import { batchOf, registry } from "./records.ts";

const batch = batchOf([{ "process.name": "a" }, { "process.name": "b" }, { "process.name": "c" }]);

function findings(source: string): readonly string[] {
  const { evaluator, diagnostics } = createLuaRuleEvaluator(source, registry);
  evaluator?.close();
  return diagnostics.map((item) => `${item.span.line}:${item.span.column} ${item.code}: ${item.message}`);
}

function failure(source: string): string {
  const { evaluator, diagnostics } = createLuaRuleEvaluator(source, registry);
  expect(diagnostics).toEqual([]);
  try {
    return `hits ${[...evaluator!.evaluate(batch)]}`;
  } catch (error) {
    return (error as Error).message;
  } finally {
    evaluator!.close();
  }
}

describe("names that do not exist", () => {
  const names =
    "io os ffi require load loadstring loadfile dofile debug package jit module setfenv getfenv newproxy collectgarbage coroutine gcinfo print rawlen rawequals _G _VERSION arg";
  for (const name of names.split(" ")) {
    test(name, () => expect(findings(`return ${name}`)[0]).toStartWith(`1:8 unknown-name: Unknown name "${name}"`));
  }
  test("parts of libraries", () => {
    for (const name of ["string.dump", "math.random", "math.randomseed", "math.sin", "table.foreach", "string.gfind"]) {
      expect(failure(`return ${name} ~= nil`)).toBe("hits 0,0,0");
    }
  });
  test("a near name is suggested", () => expect(findings("return tostrin(1)")[0]).toContain('did you mean "tostring"?'));
});

describe("ways around", () => {
  for (const [name, source, expected] of [
    ["the metatable of strings", `return getmetatable("") == nil`, "hits 1,1,1"],
    ["string methods are the bounded ones", `return ("x").rep == string.rep and ("x").dump == nil`, "hits 1,1,1"],
    ["the event's metatable", `return getmetatable(event) == false`, "hits 1,1,1"],
    ["a new metatable for the event", "setmetatable(event, {}) return true", "Cannot change a table"],
    ["a field of the event", "event.x = 1 return true", "event.x"],
    ["rawset on the event", `rawset(event, "x", 1) return true`, "Cannot change a table"],
    ["rawset on a library", `rawset(string, "rep", 1) return true`, "Cannot change a table"],
    ["table.insert into a library", "table.insert(string, 1) return true", "Cannot change a table"],
    ["a library function replaced", "string.rep = nil return true", "Cannot change a table"],
    ["weak tables", `setmetatable({}, { __mode = "k" }) return true`, "Weak tables are not available"],
    ["weak tables, later", `local m = {} setmetatable({}, m) m.__mode = "k" return true`, "Weak tables are not available"],
    ["weak tables, raw", `local m = {} rawset(m, "__mode", "k") return true`, "Weak tables are not available"],
    ["pairs over tables as keys", "for k in pairs({ [{}] = 1 }) do end return true", "has no order"],
    ["addresses in text", `return tostring({}) .. tostring(tostring) .. string.format("%s", {}) == "tablefunctiontable"`, "hits 1,1,1"],
    ["addresses by %p", `return string.format("%p", {})`, "invalid option '%p'"],
    ["addresses in errors", `local ok, e = pcall(function() error({}) end) return type(e) == "table"`, "hits 1,1,1"],
    ["next with a key", "return next({ 1, 2 }, 1)", "use pairs"],
    ["powers that differ between machines", "return 2 ^ 0.3 > 1", "other powers differ"],
    ["an unknown field made of parts", `return event["process" .. ".nam"]`, "Unknown field 'process.nam'"],
    ["bits of numbers too large for them", "return bit.bor(1e300, 0) == 0", "number from -2^51 to 2^51"],
    ["whole numbers too large for %d", `return string.format("%d", 1e300) == ""`, "number from -2^51 to 2^51"],
    ["positions outside all texts", `return ("abc"):sub(-math.huge, math.huge) == "abc" and ("abc"):sub(0 / 0) == "abc"`, "hits 1,1,1"],
    ["a text metatable by index", `return ("x").y == nil`, "hits 1,1,1"],
  ] as const) {
    test(name, () => {
      const { evaluator, diagnostics } = createLuaRuleEvaluator(source, registry);
      evaluator?.close();
      const said = diagnostics.length > 0 ? diagnostics.map((item) => item.message).join() : failure(source);
      expect(said).toContain(expected);
    });
  }
});

describe("nothing is kept between events", () => {
  for (const [name, source, expected] of [
    ["a global", "n = 0 function pred_eval() n = n + 1 return n > 1 end", "made while the rule loaded"],
    ["a local of the chunk", "local n = 0 function pred_eval() n = n + 1 return n > 1 end", "Cannot assign 'n'"],
    [
      "an upvalue of a closure",
      "local function make() local n = 0 return function() n = n + 1 return n end end local c = make() function pred_eval() return c() > 1 end",
      "Cannot assign 'n'",
    ],
    [
      "a parameter of a closure",
      "local function make(n) return function() n = n + 1 return n end end local c = make(0) function pred_eval() return c() > 1 end",
      "Cannot assign 'n'",
    ],
    [
      "a loop variable",
      "local c for i = 1, 1 do c = function() i = i + 1 return i end end function pred_eval() return c() > 2 end",
      "Cannot assign 'i'",
    ],
    ["a table", "local t = {} function pred_eval() t[#t + 1] = 1 return #t > 1 end", "made while the rule loaded"],
    ["a table inside a table", "local t = { a = { b = {} } } function pred_eval() t.a.b.c = 1 end", "made while the rule loaded"],
    [
      "a table in a metatable",
      "local t = setmetatable({}, { __index = { n = {} } }) function pred_eval() t.n.x = 1 end",
      "made while the rule loaded",
    ],
    [
      "a table only a closure holds",
      "local get do local t = {} get = function() return t end end function pred_eval() get().x = 1 end",
      "made while the rule loaded",
    ],
    ["a table as a key", "local t = { [{}] = 1 } local k k = {} t[k] = k function pred_eval() k.x = 1 end", "made while the rule loaded"],
    ["table.sort", "local t = { 2, 1 } function pred_eval() table.sort(t) end", "made while the rule loaded"],
    ["table.remove", "local t = { 2, 1 } function pred_eval() table.remove(t) end", "made while the rule loaded"],
    ["setmetatable", "local t = {} function pred_eval() setmetatable(t, {}) end", "made while the rule loaded"],
    ["a function replaced", "function helper() end function pred_eval() helper = 1 end", "made while the rule loaded"],
    ["several at once", "local a, t = 0, {} function pred_eval() a, t.x = 1, 2 end", "Cannot assign 'a'"],
    ["a function statement", "local t = {} function pred_eval() function t.f() end end", "made while the rule loaded"],
    ["caught", "local n = 0 function pred_eval() pcall(function() n = n + 1 end) return n > 0 end", "hits 0,0,0"],
    [
      "what the event made may change",
      "function pred_eval() local n, t = 0, {} local function up() n = n + 1 t[n] = n end up() up() return #t == 2 end",
      "hits 1,1,1",
    ],
    [
      "while loading all may change",
      "local t, n = {}, 0 local function up() n = n + 1 t[n] = n end up() function pred_init() up() end function pred_eval() return #t == 2 end",
      "hits 1,1,1",
    ],
  ] as const) {
    test(name, () => expect(failure(source)).toContain(expected));
  }
});

describe("diagnostics", () => {
  for (const [source, expected] of [
    ["return (1", "1:10 syntax: ')' expected near '<eof>'"],
    ["local x = 1\nreturn x ==", "2:12 syntax: "],
    ["local __kestrel_cells = {} return 1", `1:7 reserved-name: Name "__kestrel_cells" begins with "__kestrel"`],
    ["return 1LL", `1:8 number-suffix: Number "1LL"`],
    ["return 2i", `1:8 number-suffix: Number "2i"`],
    ["return ...", `1:8 vararg: "..." has no meaning outside a function`],
    [`return event["process.nam"]`, `1:14 unknown-field: Unknown field "process.nam", did you mean "process.name"?`],
    [`return event:get("proces.name")`, `1:18 unknown-field: Unknown field "proces.name", did you mean "process.name"?`],
    ["return event.process.name", `1:8 unknown-field: "event.process" is not a field`],
    ["x = 1 return x", "1:1 global-assignment: "],
    ["local x = 1", "1:1 no-predicate: "],
    ["", "1:1 no-predicate: "],
    [`local s = "žž" return nope`, "1:23 unknown-name: "],
    ["goto nowhere return 1", "1:1 syntax: No visible label 'nowhere' for <goto>"],
    ["break", "1:6 syntax: "],
    [`do local x = 1 "end" return 1`, "1:1"],
    [`return "\\q"`, "1:"],
    ["\u001bLuaJ return 1", "1:1 syntax: "],
  ] as const) {
    test(JSON.stringify(source), () => expect(findings(source)[0]).toStartWith(expected));
  }

  test("several at once", () => expect(findings("return nope1 and nope2 and nope3").length).toBe(3));
  test("global fields of the event without dots", () => expect(failure("return event.message == nil")).toBe("hits 1,1,1"));
});
