// One system call with nothing in its arguments, for tests; as a worker it makes those it is sent the numbers of.
declare const self: Worker;

import { dlopen } from "bun:ffi";
import { getSystemErrorName } from "node:util";
import { errnoNumber } from "#ffi/libc";

const libc = dlopen("libc.so.6", { syscall: { args: ["i64", "i64", "i64", "i64", "i64", "i64"], returns: "i64" } });

/** Name of its error, or `done`. */
export function attempted(number: number): string {
  const result = Number(libc.symbols.syscall(number, -1, 0, 0, 0, 0));
  return result === -1 ? getSystemErrorName(-errnoNumber()) : "done";
}

if (!Bun.isMainThread) {
  self.onmessage = ({ data }: { readonly data: readonly (readonly number[])[] }) => {
    postMessage(data.map(([number = 0]) => attempted(number)));
  };
}
