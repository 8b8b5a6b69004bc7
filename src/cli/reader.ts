// The hidden command that reads the files of programs: a child of kestrel run, which asks it over its standard input, kills it when a filesystem holds it,
// and ends it when there is nothing to read. It has no rights but to read.
import { writeSync } from "node:fs";
import { SystemClock } from "#core";
import { READER_THREADS, serveProgramFiles } from "#ebpf";
import { keepRightsToRead } from "#self";
import { EXIT, usageError } from "./arguments.ts";
import { ownCommand, READER } from "./own-command.ts";

const SECOND = "KESTREL_READS";
const STDOUT = 1;
/**
 * Threads for all questions at one time, and one for what else the runtime does. The hashing is native code: without the later compilers 500 files take
 * a fifth less processor time, and leave 18 MB of memory behind instead of 20.
 */
const RUNTIME: Readonly<Record<string, string>> = { UV_THREADPOOL_SIZE: String(READER_THREADS + 1), BUN_JSC_useDFGJIT: "0" };

/** Runs the command. Does not come back: threads that a filesystem holds would be waited for. */
export async function reader(argv: readonly string[]): Promise<number> {
  if (argv.length > 0 || process.stdin.isTTY)
    throw usageError(`"${READER}" is a part of "kestrel run", which starts it when there are files to read`);
  // A terminal sends its signals to everybody in the foreground: the agent decides when this ends.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
  keepRightsToRead({ isSecond: process.env[SECOND] === "1", executeAgain });
  const output = (text: string): void => {
    for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(writeSync(STDOUT, rest));
  };
  try {
    await serveProgramFiles({ input: Bun.stdin.stream(), output, clock: new SystemClock() });
  } finally {
    process.exit(EXIT.ok);
  }
}

/** With an environment of its own: nothing of the agent's is needed. */
function executeAgain(): void {
  process.execve?.(process.execPath, [...ownCommand(READER)], { ...RUNTIME, [SECOND]: "1" });
}
