// Modes set by people: kept, taken back, and never made of a setting that holds something else.
import { expect, test } from "bun:test";
import { ResponseModes } from "../../src/cli/response-modes.ts";

function storeOf(text?: string): {
  value: string | undefined;
  fails: boolean;
  setting: () => string | undefined;
  setSetting: (key: string, value: string | undefined) => void;
} {
  const store = {
    value: text,
    fails: false,
    setting: () => store.value,
    setSetting: (_key: string, value: string | undefined) => {
      if (store.fails) throw new Error("full");
      store.value = value;
    },
  };
  return store;
}

test("given, kept over a restart, taken back", () => {
  const store = storeOf();
  const modes = new ResponseModes(store);
  expect(modes.given("a")).toBeUndefined();
  modes.give("a", "enforce");
  modes.give("b", "monitor");
  const later = new ResponseModes(store);
  expect([later.given("a"), later.given("b")]).toEqual(["enforce", "monitor"]);
  later.give("a", undefined);
  later.give("b", undefined);
  expect([later.given("a"), store.value]).toEqual([undefined, undefined]);
});

test("a mode that cannot be kept is not given", () => {
  const store = storeOf();
  const modes = new ResponseModes(store);
  store.fails = true;
  expect(() => modes.give("a", "enforce")).toThrow("full");
  expect(modes.given("a")).toBeUndefined();
});

test.each(["", "{", "5", "null", "{}", '[["a","on"],[1,"enforce"],"x",null]'])("a setting that holds %j gives nothing", (text) => {
  expect(new ResponseModes(storeOf(text)).given("a")).toBeUndefined();
});
