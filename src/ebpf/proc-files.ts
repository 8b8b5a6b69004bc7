// What /proc tells about a process, for the table at start and for processes whose fork was lost. Every read may fail because the process
// has gone; that is an answer, not an error. The texts are the watched process's own: data only.
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { CLOCK_TICK_NS, lineBehind } from "#core";
import { firstArguments, splitArguments } from "./arguments.ts";
import { ARGS_KEPT_BYTES, type Credentials, type ProcessFacts, type ProcessTable } from "./process-table.ts";
import type { ProcessLookup } from "./process-tracker.ts";

/** Bytes of a command line read from /proc. */
const CMDLINE_BYTES_MAX = 64 << 10;
const DELETED = " (deleted)";

function read(pid: number, file: string): Buffer | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`);
  } catch {
    return undefined;
  }
}

function link(pid: number, file: string): string {
  try {
    return readlinkSync(`/proc/${pid}/${file}`);
  } catch {
    return "";
  }
}

/** Fields of /proc/PID/stat behind the name, which may itself hold blanks and parentheses. */
function statFields(pid: number): { readonly comm: string; readonly fields: readonly number[] } | undefined {
  const text = read(pid, "stat")?.toString("utf8");
  if (text === undefined) return undefined;
  const close = text.lastIndexOf(")");
  const comm = text.slice(text.indexOf("(") + 1, close);
  const fields = text.slice(close + 2).split(" ");
  return fields.length < 20 ? undefined : { comm, fields: fields.map(Number) };
}

function credentialsOf(status: string): Credentials {
  const ids = (name: string): number[] =>
    (lineBehind(status, `${name}:`) ?? "")
      .trim()
      .split(/\s+/)
      .map((text) => Number(text) || 0);
  const [uid = 0, euid = uid, suid = uid] = ids("Uid");
  const [gid = 0, egid = gid, sgid = gid] = ids("Gid");
  return { uid, euid, suid, gid, egid, sgid };
}

/** Facts of a running process; `undefined` when there is none. */
export function readProcess(pid: number): ProcessFacts | undefined {
  const stat = statFields(pid);
  if (stat === undefined) return undefined;
  // Numbers as in proc(5), less the three that stand before: state is 0.
  const [, ppid = 0, pgid = 0, sid = 0, tty = 0] = stat.fields;
  const list = splitArguments(read(pid, "cmdline")?.subarray(0, CMDLINE_BYTES_MAX) ?? new Uint8Array(0));
  const args = firstArguments(list.args, ARGS_KEPT_BYTES);
  const target = link(pid, "exe");
  const deleted = target.endsWith(DELETED);
  const executable = deleted ? target.slice(0, -DELETED.length) : target;
  const loginUid = Number(read(pid, "loginuid")?.toString("utf8") ?? 0xffff_ffff);
  return {
    pid,
    startNs: (stat.fields[19] ?? 0) * CLOCK_TICK_NS,
    ppid,
    pgid,
    sid,
    name: executable === "" ? stat.comm : executable.slice(executable.lastIndexOf("/") + 1),
    executable,
    args,
    argsCount: list.count,
    commandLine: args.join(" "),
    workingDirectory: link(pid, "cwd"),
    credentials: credentialsOf(read(pid, "status")?.toString("utf8") ?? ""),
    loginUid,
    // The kernel's encoding for user space: minor in bits 0–7 and 20–31, major in 8–19.
    ttyMajor: (tty >>> 8) & 0xfff,
    ttyMinor: (tty & 0xff) | ((tty >>> 12) & 0xfff00),
    memfd: executable.startsWith("/memfd:"),
    deleted,
  };
}

/**
 * Enters every running process that the table does not know, parents first. Call it when the sensors are already attached: what starts
 * meanwhile then comes twice rather than never, and the table keeps what it has. `lookup` reads one process. Returns how many were entered.
 */
export function primeTable(table: ProcessTable, lookup: ProcessLookup = readProcess): number {
  const waiting = new Map<number, ProcessFacts>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const facts = lookup(Number(name));
    if (facts !== undefined && table.find(facts.pid, facts.startNs) === undefined) waiting.set(facts.pid, facts);
  }
  const count = waiting.size;
  const enter = (facts: ProcessFacts, depth: number): void => {
    if (!waiting.delete(facts.pid)) return;
    const parent = waiting.get(facts.ppid ?? 0);
    // Pids are read one after another, so reuse could make a circle; the delete above breaks it, the depth bounds the stack.
    if (parent !== undefined && depth < 1000) enter(parent, depth + 1);
    table.add(facts, table.current(facts.ppid ?? 0));
  };
  for (const facts of [...waiting.values()]) enter(facts, 0);
  return count;
}
