// Folders by number: what is refused. That one is found is in the tests of control groups.
import { expect, test } from "bun:test";
import { openGroupFolder } from "#ffi/file-handles";
import { codeOf } from "./code-of.ts";

test("bad arguments and a descriptor of nothing throw", () => {
  expect(() => openGroupFolder(2 ** 31, 1n)).toThrow("mountFd");
  expect(() => openGroupFolder(0, -1n)).toThrow("id");
  expect(() => openGroupFolder(0, 1n << 64n)).toThrow("id");
  const refused = codeOf(() => openGroupFolder(-1, 1n));
  // Not even looked at without the right to.
  expect(refused).toBe(process.getuid?.() === 0 ? "EBADF" : "EPERM");
});
