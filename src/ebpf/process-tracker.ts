// Keeps the process table in step with the kernel's events. Knows nothing of records or rings; how to look a process up that nobody told
// about comes as a function, so tests need no /proc.
import { posix } from "node:path";
import { firstArguments } from "./arguments.ts";
import type { WholeEvent } from "./exec-joiner.ts";
import type { Actor, ExecEvent } from "./kernel-event.ts";
import {
  ARGS_KEPT_BYTES,
  type Credentials,
  type ProcessEntry,
  type ProcessFacts,
  type ProcessInfo,
  type ProcessTable,
} from "./process-table.ts";
import { type ProgramTexts, TextReader } from "./program-texts.ts";
import { Flag } from "./wire.ts";

const PLAIN = new TextReader([], undefined);

/** Facts of a running process from outside the event stream. */
export type ProcessLookup = (pid: number) => ProcessFacts | undefined;

/** See the head of this file. */
export class ProcessTracker {
  readonly #table: ProcessTable;
  readonly #lookup: ProcessLookup;
  /** Processes whose beginning no event had told. */
  unknownProcesses = 0;

  constructor(table: ProcessTable, lookup: ProcessLookup) {
    this.#table = table;
    this.#lookup = lookup;
  }

  /** Takes an event in and returns the process it is about. `texts`: of an exec, when they were read already. */
  apply(event: WholeEvent, texts?: ProgramTexts): ProcessEntry {
    const entry = this.#entryOf(event.actor, event.kind === "fork" ? event.forkerPid : undefined);
    switch (event.kind) {
      case "exec":
        this.#applyExec(event, entry.info, texts);
        break;
      case "exit":
        this.#table.end(entry, Number(event.actor.timeNs));
        break;
      case "act":
        entry.info.credentials = credentialsOf(event.actor);
        break;
      case "fork":
      case "file":
      case "change":
      case "connect":
      case "accept":
      case "bind":
      case "listen":
      case "send":
      case "dns":
      case "unix":
        break;
    }
    return entry;
  }

  /** The process of an act that did not happen: of a program that was not to start, as it would have been. The table keeps what is. */
  attempt(event: WholeEvent, texts?: ProgramTexts): ProcessEntry {
    const entry = this.#entryOf(event.actor, undefined);
    if (event.kind !== "exec") return entry;
    const info = { ...entry.info };
    this.#applyExec({ ...event, workingDirectory: event.workingDirectory || info.workingDirectory }, info, texts);
    return { ...entry, info };
  }

  /** The ids of a process as far as they were known before an event; `undefined`: it is not in the table. */
  credentialsBefore(actor: Actor): Credentials | undefined {
    return this.#table.find(actor.pid, actor.startNs)?.info.credentials;
  }

  /** `forkerPid`: who has just made it. */
  #entryOf(actor: Actor, forkerPid: number | undefined): ProcessEntry {
    const known = this.#table.find(actor.pid, actor.startNs);
    if (known !== undefined) return known;
    const parent = this.#parentOf(actor, forkerPid);
    const facts = { ...this.#factsOf(actor) };
    if (forkerPid !== undefined) {
      // A fork copies its parent's credentials, which may have changed since the parent's own last event.
      if (parent !== undefined && facts.credentials !== undefined) parent.info.credentials = facts.credentials;
      return this.#table.add(facts, parent);
    }
    this.unknownProcesses++;
    return this.#table.add(
      { name: actor.comm, executable: "", args: [], commandLine: "", argsCount: 0, ...this.#seen(actor), ...facts },
      parent,
    );
  }

  // With CLONE_PARENT a process makes itself a sibling. What counts is whom the child comes from: it has that one's program and ids.
  #parentOf(actor: Actor, forkerPid: number = actor.ppid): ProcessEntry | undefined {
    if (forkerPid === actor.ppid) return this.#table.find(actor.ppid, actor.parentStartNs) ?? this.#missingParent(actor, actor.ppid);
    const forker = this.#table.current(forkerPid);
    const isAlive = forker !== undefined && forker.endNs === 0 && forker.info.startNs <= actor.startNs;
    return isAlive ? forker : this.#missingParent(actor, forkerPid);
  }

  #missingParent(actor: Actor, pid: number): ProcessEntry | undefined {
    // Pid 0 is the kernel's own.
    if (pid === 0) return undefined;
    const facts = this.#lookup(pid);
    if (facts === undefined || facts.startNs > actor.startNs) return undefined;
    this.unknownProcesses++;
    return this.#table.find(facts.pid, facts.startNs) ?? this.#table.add(facts, this.#table.current(facts.ppid ?? 0));
  }

  /** What /proc says about the actor, if it still is that process. */
  #seen(actor: Actor): Partial<ProcessFacts> {
    const facts = this.#lookup(actor.pid);
    if (facts === undefined || this.#table.entityId(facts.pid, facts.startNs) !== this.#table.entityId(actor.pid, actor.startNs)) return {};
    return facts;
  }

  #factsOf(actor: Actor): ProcessFacts {
    const { pid, startNs, ppid, pgid, sid, loginUid, ttyMajor, ttyMinor } = actor;
    return { pid, startNs, ppid, pgid, sid, loginUid, ttyMajor, ttyMinor, credentials: credentialsOf(actor) };
  }

  #applyExec(event: ExecEvent, info: ProcessInfo, texts: ProgramTexts | undefined): void {
    const { actor } = event;
    const { args, argsCount } = texts ?? PLAIN.read(event);
    info.executable = (actor.flags & Flag.PathCut) === 0 ? event.executable : (this.#seen(actor).executable ?? `…${event.executable}`);
    info.name = info.executable.slice(info.executable.lastIndexOf("/") + 1);
    info.args = firstArguments(args, ARGS_KEPT_BYTES);
    info.argsCount = argsCount;
    info.commandLine = info.args.join(" ");
    info.workingDirectory = event.workingDirectory;
    info.credentials = credentialsOf(actor);
    info.ppid = actor.ppid;
    info.pgid = actor.pgid;
    info.sid = actor.sid;
    info.loginUid = actor.loginUid;
    info.ttyMajor = actor.ttyMajor;
    info.ttyMinor = actor.ttyMinor;
    info.memfd = event.executable.startsWith("/memfd:");
    info.deleted = event.nlink === 0;
    info.script = (actor.flags & Flag.Script) === 0 ? "" : posix.resolve(event.workingDirectory || "/", event.filename);
  }
}

function credentialsOf(actor: Actor): Credentials {
  const { uid, gid, euid, egid, suid, sgid } = actor;
  return { uid, gid, euid, egid, suid, sgid };
}
