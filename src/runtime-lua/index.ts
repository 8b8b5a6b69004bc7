// Door of the Lua runtime room: compiled rule sets and users' own Lua rules inside LuaJIT, with tick and memory budgets and the JIT on.
//
// A user's rule is Lua 5.1 with goto, in one of two forms:
//   - a chunk that ends with `return …`: the chunk runs for every event, with the event in `event`;
//       return event["process.name"] == "nc" and glob_match("*-e*", event["process.command_line"] or "")
//   - a chunk that defines `function pred_eval(event) … return true end`, and if it likes `pred_init()` (once, after loading) and
//     `pred_capture(event)` (after a match). What it builds while it loads is read-only while it sees events.
// The event: `event["process.name"]` or `event:get("process.name")` is nil, a string, number, boolean, or a list for list fields;
// `event:all(name)` always a list, `event:has(name)` a boolean, `event:category()` the category's name. Field names are written as text.
// 64-bit integers are numbers up to 2^53 and decimal text beyond; dates are milliseconds since 1970 with a fraction; ips are text.
// Functions: re_match(pattern, text) with the pattern written as text, glob_match(pattern, text), capture_field(name, value), alert_emit(text),
// event_get_str/i64/u64/f64/bool(name), and the deterministic parts of string, table, math, bit and the base library (library.lua).
// `pairs` goes through a list first, then numbers, strings and booleans in order. There is no time, random, I/O, load or coroutine.

export type { RegexCompiler, RegexMachine } from "./regex-table.ts";
export {
  createLuaRuleEvaluator,
  LUA_EVENT_TICKS,
  LUA_LOAD_TICKS,
  LUA_MEMORY_KIB,
  type LuaRuleOptions,
  type LuaRuleResult,
} from "./rule-evaluator.ts";
export { createLuaRuleSetEvaluator } from "./rule-set-evaluator.ts";
export { LUA_CAPTURES_MAX, LUA_MESSAGES_MAX, LUA_TEXT_BYTES_MAX } from "./sandbox.ts";
