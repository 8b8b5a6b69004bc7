// Facts of a program that is about to run, as an event of its start would have them: the process as /proc and the table know it, with the program it
// will have. Reads a process that waits and cannot go on. Decides nothing.
import type { ExecAttempt } from "#core";
import type { Actor } from "./kernel-event.ts";
import type { ProcessEntry, ProcessFacts, ProcessInfo, ProcessTable } from "./process-table.ts";
import type { ProcessLookup } from "./process-tracker.ts";

/** What {@link witness} found: the event, the process with the program it will have, and the process as the table has it. */
export interface Witnessed {
  readonly actor: Actor;
  readonly entry: ProcessEntry;
  readonly known: ProcessEntry;
}

/** `undefined`: the process is gone. */
export function witness(attempt: ExecAttempt, table: ProcessTable, lookup: ProcessLookup): Witnessed | undefined {
  const facts = lookup(attempt.pid);
  if (facts === undefined) return undefined;
  const known = table.find(facts.pid, facts.startNs) ?? table.add(facts, table.current(facts.ppid ?? 0));
  const info = infoAfter(attempt, facts, known.info);
  return { actor: actorOf(attempt, info, known), entry: { info, ancestors: known.ancestors, endNs: 0 }, known };
}

function infoAfter(attempt: ExecAttempt, facts: ProcessFacts, before: ProcessInfo): ProcessInfo {
  const { uid, gid, euid, egid, executable, script, isDeleted } = attempt;
  const { pgid = 0, sid = 0, ppid = 0, loginUid = before.loginUid, ttyMajor = 0, ttyMinor = 0, workingDirectory = "" } = facts;
  return {
    ...before,
    ...{ ppid, pgid, sid, loginUid, ttyMajor, ttyMinor, workingDirectory, executable, script },
    name: executable.slice(executable.lastIndexOf("/") + 1),
    memfd: executable.startsWith("/memfd:"),
    deleted: isDeleted,
    // What is known is of the program that runs now.
    program: undefined,
    packageName: undefined,
    // The start of a program saves the effective ids.
    credentials: { uid, gid, euid, egid, suid: euid, sgid: egid },
  };
}

function actorOf({ bootNs, pid }: ExecAttempt, info: ProcessInfo, { ancestors }: ProcessEntry): Actor {
  const { startNs, ppid, pgid, sid, loginUid, ttyMajor, ttyMinor, credentials } = info;
  return {
    timeNs: bootNs,
    note: undefined,
    startNs,
    parentStartNs: ancestors[0]?.startNs ?? 0,
    cgroupId: 0n,
    pid,
    // Whichever thread asks, the program runs as the first.
    tid: pid,
    ppid,
    vpid: 0,
    ...credentials,
    loginUid,
    pgid,
    sid,
    ttyMajor,
    ttyMinor,
    flags: 0,
    comm: "",
  };
}
