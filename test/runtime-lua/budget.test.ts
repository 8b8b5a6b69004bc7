// Rules that would run for ever, fill the memory or hide from their budget: each is stopped with the right kind, and another rule goes on.
import { describe, expect, test } from "bun:test";
import { RuleFault } from "#core";
import { createLuaRuleEvaluator } from "#runtime-lua";
import { Sandbox } from "../../src/runtime-lua/sandbox.ts";
import { batchOf, registry } from "./records.ts";

const batch = batchOf([{ "process.name": "nc", "process.command_line": "a".repeat(100_000) }]);

function faultOf(body: string): RuleFault | undefined {
  const { evaluator, diagnostics } = createLuaRuleEvaluator(`function pred_eval(event)\n${body}\nend`, registry);
  expect(diagnostics).toEqual([]);
  try {
    evaluator!.evaluate(batch);
    return undefined;
  } catch (error) {
    if (error instanceof RuleFault) return error;
    throw error;
  } finally {
    evaluator!.close();
  }
}

const BOMBS: Readonly<Record<string, string>> = {
  "endless while": "while true do end",
  "endless repeat": "repeat until false",
  "endless for": "for i = 1, math.huge do end",
  "for without a step": "for i = 1, 2, 0 do end return false",
  "goto loop": "::again:: goto again",
  "goto out of a loop, backwards": "::again:: while true do goto again end",
  "tail recursion": "local function f() return f() end f()",
  "mutual recursion": "local f, g f = function() return g() end g = function() return f() end f()",
  "iterator that never ends": "for _ in function() return 1 end do end",
  "__index loop":
    "local t = setmetatable({}, { __index = function(t, k) return t[k + 1] end }) while true do pcall(function() return t[1] end) end",
  "__eq and __lt loop":
    "local m = {} m.__lt = function(a, b) return true end local a, b = setmetatable({}, m), setmetatable({}, m) while a < b do end",
  "__concat loop":
    "local t t = setmetatable({}, { __concat = function(a, b) return t .. t end }) while true do pcall(function() return t .. 1 end) end",
  "__call loop": "local t t = setmetatable({}, { __call = function(self) return t() end }) t()",
  "__tostring loop":
    "local t t = setmetatable({}, { __tostring = function() return tostring(t) end }) while true do pcall(tostring, t) end",
  "sort with a lying order":
    "local t = {} for i = 1, 50000 do t[i] = i end table.sort(t, function() return true end) while true do table.sort(t, function() return true end) end",
  "pcall around a loop": "while true do pcall(function() while true do end end) end",
  "pcall of pcall": "local function f() return pcall(f) end while true do f() end",
  "xpcall handler that loops": "xpcall(function() error('x') end, function() while true do end end)",
  "error in a handler after the end": "xpcall(function() while true do end end, function() while true do end end) return true",
  "pattern that backtracks": "return (('a'):rep(5000)):find(('a-'):rep(12) .. 'b')",
  "pattern on a long text": `return event["process.command_line"]:find(".-.-.-b")`,
  "nested optional pattern": "return (('a'):rep(40)):match(('a?'):rep(40) .. ('a'):rep(40) .. 'b')",
  "gmatch without progress": "local s = ('a'):rep(100000) while true do for _ in s:gmatch('') do end end",
  "gsub growth": "local s = 'a' while true do s = s:gsub('.', '%0%0') if #s > 60000 then s = 'a' end end",
  "plain find, long needle": "local s, n = ('a'):rep(200000), ('a'):rep(100000) .. 'b' while true do s:find(n, 1, true) end",
  "comparison of long texts": "local a, b = ('a'):rep(500000) .. 'b', ('a'):rep(500000) .. 'c' while a < b do end",
  "arithmetic on long digits": "local a = ('1'):rep(500000) local x = 0 while true do x = a + 1 x = -a x = a % 7 end",
  "loop bounds of long digits": "local a = ('1'):rep(500000) while true do for i = a, 0 do end end",
  "tonumber of long digits": "local a = ('1'):rep(500000) while true do tonumber(a) end",
  "long field again and again": `while true do local x = event["process.command_line"] end`,
  "glob with many stars": `local p = ("*a"):rep(30) .. "b" while true do glob_match(p, event["process.command_line"]) end`,
  "insert at the front": "local t = {} while true do table.insert(t, 1, 0) end",
  "select in a loop": "local function f(...) while true do local x = select(-1, ...) end end f(unpack({}, 1, 200))",
  "pairs again and again": "local t = {} for i = 1, 1000 do t['k' .. i] = i end while true do for k in pairs(t) do break end end",
  "table rebuilt at every new key":
    "local t = {} for i = 1, 131072 do t[i * 1024] = 1 end local n = 1 while true do t[n * 1024] = nil t[(n + 131072) * 1024] = 1 n = n + 1 end",
  "table rebuilt, raw":
    "local t = {} for i = 1, 65536 do t[i + 0.5] = 1 end local n = 1 while true do rawset(t, n + 0.5, nil) t[n + 65536.5] = 1 n = n + 1 end",
  "straight code in a loop": `while true do ${"local x = 1 x = x + 1 ".repeat(90)} end`,
  "table.concat again and again": "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(900) end while true do table.concat(t) end",
  "format again and again": "while true do string.format('%99d%99d%99d', 1, 2, 3) end",
};

describe("fuel", () => {
  for (const [name, body] of Object.entries(BOMBS)) {
    test(name, () => {
      const fault = faultOf(body);
      if (name === "for without a step" && fault === undefined) return;
      expect(fault?.kind).toBe("fuel");
      expect(fault?.predicate).toBe(0);
      expect(fault?.message).toContain("used up its 5000000 ticks");
    });
  }
});

const MEMORY_BOMBS: Readonly<Record<string, string>> = {
  "concat doubling": "local s = 'a' while true do s = s .. s end",
  "concat doubling in a chain": "local s = 'a' while true do s = s .. 'x' .. s end",
  rep: "return ('x'):rep(1e9)",
  "rep without end": "return ('x'):rep(math.huge)",
  "rep of nothing": "return ('xx'):rep(1e8, '')",
  "gsub doubling": "local s = 'a' while true do s = s:gsub('.*', '%0%0', 1) end",
  "concat of a table": "local t, s = {}, ('x'):rep(1e5) for i = 1, 1000 do t[i] = s end return table.concat(t)",
  format: "local s = ('x'):rep(9e5) return string.format('%s%s', s, s)",
};

describe("memory", () => {
  for (const [name, body] of Object.entries(MEMORY_BOMBS)) {
    test(name, () => expect(faultOf(body)?.kind).toBe("memory"));
    test(`${name}, caught`, () => expect(faultOf(`while true do pcall(function() ${body} end) end`)?.kind).toMatch(/memory|fuel/));
  }

  test("many tables", () => expect(faultOf("local t = {} while true do t[#t + 1] = { {}, {}, {}, {} } end")?.kind).toMatch(/memory|fuel/));
  test("many texts", () => {
    const body = "local t = {} while true do t[#t + 1] = ('x'):rep(5000) .. #t end";
    expect(faultOf(body)?.kind).toMatch(/memory|fuel/);
    const { evaluator } = createLuaRuleEvaluator(`function pred_eval(event) ${body} end`, registry, { memoryKib: 2048 });
    expect(() => evaluator!.evaluate(batch)).toThrow("more than 2048 KiB");
  });
  test("recursion that is not a tail", () =>
    expect(faultOf("local function f(n) return 1 + f(n + 1) end return f(1)")?.kind).toBe("error"));
  test("recursion, caught again and again", () =>
    expect(faultOf("local function f(n) return 1 + f(n + 1) end while true do pcall(f, 1) end")?.kind).toBe("fuel"));
  test("very many arguments", () => {
    expect(faultOf("return unpack({}, 1, 1e7)")?.message).toContain("unpack of more than");
    expect(faultOf("return ('x'):rep(1e5):byte(1, -1)")?.message).toContain("byte of more than");
    expect(faultOf("local function f(...) return f(1, ...) end return f()")?.message).toContain("More than 250 arguments");
  });
});

test("the fault names the author's line and sticks", () => {
  const { evaluator } = createLuaRuleEvaluator("local x\nfunction pred_eval(event)\n  local y = {}\n\n  return y.a.b\nend", registry);
  expect(() => evaluator!.evaluate(batch)).toThrow("Lua rule failed at line 5: ");
  expect(() => evaluator!.evaluate(batch)).toThrow("at line 5");
  expect(evaluator!.emission?.(0)).toBeUndefined();
  evaluator!.close();
});

test("an error inside the library is blamed on the author's line", () => {
  expect(faultOf("\n\nlocal x = ('x'):rep({})")?.message).toContain("at line 4: bad argument #2 to 'rep'");
  expect(faultOf("local t = {}\nt[nil] = 1")?.message).toContain("at line 3: ");
  expect(faultOf("\nreturn 1 < {}")?.message).toContain("at line 3: attempt to compare");
  expect(faultOf("\nerror({})")?.message).toContain("error value is a table");
});

test("ticks do not depend on the JIT, the batch or what ran before", () => {
  const source = `local n = 0 for i = 1, 300 do n = n + #(event["process.name"] .. i):gsub("%d", "x") end return n > 0`;
  let least = 0;
  for (let step = 1 << 19; step >= 1; step >>= 1) {
    if (!enough(source, least + step, 1)) least += step;
  }
  for (const count of [1, 2, 100]) {
    expect(enough(source, least + 1, count)).toBe(true);
    expect(enough(source, least, count)).toBe(false);
  }
});

function enough(source: string, eventTicks: number, count: number): boolean {
  const { evaluator } = createLuaRuleEvaluator(source, registry, { eventTicks });
  try {
    evaluator!.evaluate(batchOf(new Array(count).fill({ "process.name": "nc" })));
    return true;
  } catch (error) {
    if (error instanceof RuleFault && error.kind === "fuel") return false;
    throw error;
  } finally {
    evaluator!.close();
  }
}

test("the JIT is on in a sandbox", () => {
  const sandbox = new Sandbox({ eventTicks: 1000, loadTicks: 1000, memoryKib: 1000 });
  expect(sandbox.jit).toBe(true);
  sandbox.close();
});

describe("while loading", () => {
  const codes = (source: string) => createLuaRuleEvaluator(source, registry).diagnostics;
  for (const [name, source] of Object.entries({
    "an endless chunk": "while true do end function pred_eval() end",
    "an endless pred_init": "function pred_init()\nwhile true do end end function pred_eval() end",
    "a chunk that fills the memory": "local s = 'x' while true do s = s .. s end function pred_eval() end",
    "the event too early": `local x = event_get_str("process.name") function pred_eval() end`,
    "pred_eval that is no function": "pred_eval = 1",
    "pred_capture that is no function": "function pred_eval() end pred_capture = 1",
  })) {
    test(name, () => {
      const [first] = codes(source);
      expect(first?.code).toBe("load-failed");
      expect(first?.severity).toBe("error");
    });
  }
  test("the line of a failure", () => expect(codes("\n\nlocal x = nil + 1 function pred_eval() end")[0]?.span.line).toBe(3));
});
