// Messages between the agent and its own processes.
import { expect, test } from "bun:test";
import { LINE_LENGTH_MAX, LineReader } from "../../src/core/message-lines.ts";

test("lines come in pieces; what is no message is passed over", () => {
  const reader = new LineReader<{ readonly kind: string }>();
  expect(reader.take('{"kind":"a"}\n{"ki')).toEqual([{ kind: "a" }]);
  expect(reader.take('nd":"b"}\nnonsense\n[]\n{"kind":1}\nnull\n{"kind":"c"}\n')).toEqual([{ kind: "b" }, { kind: "c" }]);
  reader.take("x".repeat(LINE_LENGTH_MAX + 1));
  expect(reader.take('{"kind":"d"}\n')).toEqual([{ kind: "d" }]);
});
