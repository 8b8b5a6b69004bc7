// What kestrel run does about its own rights before it opens anything: gives up capabilities by executing itself, refuses system calls, looks
// whether others can change the files it trusts.
import { writeFileSync } from "node:fs";
import { KestrelError, type Log } from "#core";
import { ruleFilePaths } from "#rules";
import { checkTrusted, type Hardening, harden, type RightsKept, shedRights } from "#self";
import { type Arguments, usageError } from "./arguments.ts";
import type { DataDirectory } from "./data-directory.ts";
import { ownCommand } from "./own-command.ts";

const SECOND = "KESTREL_RIGHTS_GIVEN_UP";
/**
 * The runtime's last compiler spends more on code that runs some thousand times than that code ever saves, on the processors that the
 * watched programs need: asked four times as late, a fresh agent's processor time in its first 4,000 programs falls by a quarter.
 */
const RUNTIME: Readonly<Record<string, string>> = { BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: "400000" };
const FIRST_FREE_PORT = 1024;
/** Most files named one by one. */
const NAMED_MAX = 5;

/** Gives up what the agent does not need; may end by executing this program again. */
export function giveUpRights(args: Arguments): readonly Hardening[] {
  const kept = keptRights(args);
  const isSecond = process.env[SECOND] === "1";
  delete process.env[SECOND];
  const isRoot = process.geteuid?.() === 0;
  const port = Number(/:(\d+)$/.exec(args.text("listen") ?? "")?.[1] ?? 0);
  const problem = shedRights({ kept, lowPort: port > 0 && port < FIRST_FREE_PORT, isSecond, executeAgain });
  const detail = problem ?? (kept === "all" ? "all kept, as asked" : `only those of "${kept}" are left`);
  const capabilities: Hardening = { name: "capabilities", done: problem === undefined, detail };
  if (kept === "all") return [capabilities];
  return [capabilities, ...harden(isRoot, (score) => writeFileSync("/proc/self/oom_score_adj", String(score)))];
}

function keptRights(args: Arguments): RightsKept {
  const kept = args.text("rights") ?? "usual";
  if (kept !== "usual" && kept !== "least" && kept !== "all") throw usageError(`Flag "--rights" needs usual, least or all, not "${kept}"`);
  return kept;
}

function executeAgain(): void {
  process.execve?.(process.execPath, [...ownCommand(...process.argv.slice(2))], { ...RUNTIME, ...process.env, [SECOND]: "1" });
}

/** Says what was done. */
export function sayHardening(done: readonly Hardening[], log: Log): void {
  for (const { name, done: isDone, detail } of done) {
    // Inside a container root often may not ask for this one, and the agent does its work all the same.
    const level = isDone ? "debug" : name === "memory pressure" ? "info" : "warn";
    log.write(level, `own ${name}: ${detail}`);
  }
}

/** Refuses a database that others could write to; warns of rules, program and folders that others can change, since whoever does commands the agent. */
export function checkOwnFiles(data: DataDirectory, rulePaths: readonly string[], log: Log): void {
  const user = process.geteuid?.() ?? 0;
  for (const path of [data.database, `${data.database}-wal`, `${data.database}-shm`]) {
    const own = checkTrusted(path, user).find((each) => each.path === path);
    if (own !== undefined) throw new KestrelError("data-directory", `Cannot use the database "${path}": ${own.reason}`);
  }
  const trusted = [data.path, process.execPath, ...ruleFilePaths(rulePaths)];
  const found = new Map(trusted.flatMap((path) => checkTrusted(path, user)).map((each) => [each.path, each.reason]));
  for (const [path, reason] of [...found].slice(0, NAMED_MAX))
    log.write("warn", "others can change what this agent trusts", { path, reason });
  if (found.size > NAMED_MAX) log.write("warn", "others can change more of what this agent trusts", { files: found.size - NAMED_MAX });
}
