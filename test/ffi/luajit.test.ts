// LuaJIT's wrapper: values across the border, errors as values, and misuse.
import { describe, expect, test } from "bun:test";
import { NativeError } from "#ffi/handle";
import { LuaError, LuaState, type LuaValue } from "#ffi/luajit";

function run(text: string, ...args: readonly LuaValue[]): LuaValue {
  using state = new LuaState();
  return state.call(state.load(text, "=test"), args);
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof NativeError) return error.code;
    throw error;
  }
  return "nothing thrown";
}

describe("values", () => {
  const bytes = Uint8Array.of(0, 255, 10, 128);
  for (const value of [null, true, false, 0, -1.5, 2 ** 53, Number.POSITIVE_INFINITY, bytes]) {
    test(`${Bun.inspect(value)} comes back`, () => expect(run("return ...", value)).toEqual(value));
  }

  test("text goes in as UTF-8", () => expect(run("return #...", "žluť")).toBe(6));
  test("a missing result is nil", () => expect(run("return")).toBeNull());
  test("a table cannot come back by copy", () => expect(codeOf(() => run("return {}"))).toBe("type"));
  test("the JIT is on", () => expect(run("return jit.status()")).toBe(true));

  test("many calls leave the stack as it was", () => {
    using state = new LuaState();
    const add = state.load("local a, b, c = ... return a + b + c", "=add");
    for (let i = 0; i < 1000; i++) expect(state.call3(add, i, 2, 3)).toBe(i + 5);
    expect(state.memoryKib).toBeGreaterThan(1);
  });

  test("the JIT can be turned off and on", () => {
    using state = new LuaState();
    const status = state.load("return (jit.status())", "=jit");
    expect(state.setJit(false)).toBe(true);
    expect(state.call(status, [])).toBe(false);
    expect(state.setJit(true)).toBe(true);
    expect(state.call(status, [])).toBe(true);
  });
});

describe("errors", () => {
  test("syntax", () => expect(codeOf(() => run("x = = 1"))).toBe("lua-syntax"));
  test("run time", () => expect(() => run("error('bad thing')")).toThrow("bad thing"));
  test("an error value that is no text", () => expect(() => run("error({})")).toThrow("error value is a table"));
  test("bytecode is refused", () => {
    const code = run("return string.dump(function() end)") as Uint8Array;
    using state = new LuaState();
    expect(codeOf(() => state.load(code, "=code"))).toBe("lua-syntax");
  });

  test("call3 gives an error as a value and the state goes on", () => {
    using state = new LuaState();
    const fn = state.load("local a = ... if a == 1 then error('one') end return a", "=fn");
    expect(state.call3(fn, 1, 0, 0)).toBeInstanceOf(LuaError);
    expect(state.call3(fn, 2, 0, 0)).toBe(2);
  });

  test("check tells without running", () => {
    using state = new LuaState();
    expect(state.check("error('never')", "=test")).toBeUndefined();
    expect(state.check("for", "=test")?.code).toBe("lua-syntax");
  });

  test("an error handler makes the message", () => {
    using state = new LuaState();
    const [handler] = state.callForHeld(state.load("return function(e) return 'seen: ' .. e end", "=h"), [], 1);
    state.setErrorHandler(handler!);
    expect(() => state.call(state.load("error('x', 0)", "=test"), [])).toThrow("seen: x");
  });
});

describe("misuse", () => {
  test("closing twice is fine, use after close is not", () => {
    const state = new LuaState();
    const fn = state.load("return 1", "=test");
    state.close();
    state.close();
    expect(state.closed).toBe(true);
    expect(codeOf(() => state.call(fn, []))).toBe("closed");
    expect(codeOf(() => state.call3(fn, 1, 2, 3))).toBe("closed");
    expect(codeOf(() => state.load("return 1", "=test"))).toBe("closed");
    expect(codeOf(() => state.memoryKib)).toBe("closed");
  });

  test("a function of another state", () => {
    using one = new LuaState();
    using other = new LuaState();
    const fn = one.load("return 1", "=test");
    expect(codeOf(() => other.call(fn, []))).toBe("wrong-state");
    expect(codeOf(() => other.call3(fn, 1, 2, 3))).toBe("wrong-state");
  });

  test("more functions or arguments than there are slots", () => {
    using state = new LuaState();
    const fn = state.load("return select('#', ...)", "=test");
    expect(codeOf(() => state.call(fn, new Array(100).fill(1)))).toBe("range");
    expect(codeOf(() => state.callForHeld(fn, [], -1))).toBe("range");
    expect(state.call(fn, [1, 2])).toBe(2);
  });

  test("a value Lua cannot take", () => {
    using state = new LuaState();
    const fn = state.load("return 1", "=test");
    expect(codeOf(() => state.call(fn, [Symbol("x") as never]))).toBe("type");
    expect(state.call(fn, [])).toBe(1);
  });

  test("a chunk name with a NUL", () => {
    using state = new LuaState();
    expect(codeOf(() => state.load("return 1", "a\0b"))).toBe("range");
  });
});
