// Holds a process as a debugger does, without stopping it, until its own standard input ends.
import { dlopen } from "bun:ffi";

const PTRACE_SEIZE = 0x4206;

/** What it says once it tried. */
export type TracerAnswer = "traces" | "refused";

if (import.meta.main) {
  const libc = dlopen("libc.so.6", { ptrace: { args: ["i64", "i64", "i64", "i64"], returns: "i64" } });
  const answer: TracerAnswer = Number(libc.symbols.ptrace(PTRACE_SEIZE, Number(process.argv[2]), 0, 0)) === 0 ? "traces" : "refused";
  console.log(answer);
  for await (const _ of Bun.stdin.stream());
}
