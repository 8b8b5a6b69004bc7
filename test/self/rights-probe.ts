// Gives up rights in a process of its own and says what became of them: for every thread, those from before and those from after, and for
// a child. Calls of the filter are made with arguments that do nothing if they were not refused.
import { readdirSync, readFileSync } from "node:fs";
import { denySystemCalls } from "#ffi/process-rights";
import { neverNeeded } from "../../src/self/system-calls.ts";
import { attempted } from "./system-call.ts";

/** With no arguments these would do something. */
const NOT_TRIED: readonly string[] = ["vhangup", "sethostname", "setdomainname", "acct"];
/** What it prints. */
export interface ProbeAnswer {
  readonly calls: readonly string[];
  /** Errors of the calls, by who made them. */
  readonly main: readonly string[];
  readonly before: readonly string[];
  readonly after: readonly string[];
  readonly child: string;
  readonly unfiltered: number;
  readonly threads: number;
  readonly write: string;
}

if (import.meta.main) await probe();

async function probe(): Promise<void> {
  const calls = neverNeeded(process.arch).filter(({ name }) => !NOT_TRIED.includes(name));
  const before = await startWorker();
  denySystemCalls(neverNeeded(process.arch).map(({ number }) => number));
  const after = await startWorker();
  const numbers = calls.map(({ number }) => [number]);
  const child = Bun.spawnSync(["unshare", "-m", "true"]);
  const threads = readdirSync("/proc/self/task").map((id) => readFileSync(`/proc/self/task/${id}/status`, "utf8"));
  console.log(
    JSON.stringify({
      calls: calls.map(({ name }) => name),
      main: numbers.map(([number = 0]) => attempted(number)),
      before: await ask(before, numbers),
      after: await ask(after, numbers),
      child: child.stderr.toString(),
      unfiltered: threads.filter((status) => !/^Seccomp:\t2$/m.test(status)).length,
      threads: threads.length,
      write: Bun.spawnSync(["echo", "still"]).stdout.toString(),
    }),
  );
  process.exit(0);
}

async function startWorker(): Promise<Worker> {
  const worker = new Worker(new URL("./system-call.ts", import.meta.url));
  await new Promise((resolve) => worker.addEventListener("open", resolve, { once: true }));
  return worker;
}

async function ask(worker: Worker, numbers: readonly number[][]): Promise<unknown> {
  const answer = new Promise((resolve) => worker.addEventListener("message", ({ data }) => resolve(data), { once: true }));
  worker.postMessage(numbers);
  return await answer;
}
