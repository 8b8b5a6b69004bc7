// Every process known, by pid, with the facts of its current program and its line of ancestors. Invariant: bounded. The dead are kept a
// while for events that come late, then dropped; a line of ancestors is a flat list, so a chain of short-lived parents cannot grow.
import { CLOCK_TICK_NS, entityIdOf } from "#core";
import type { ProgramFacts } from "./program-inspector.ts";

/** Most ancestors kept for a process. */
export const ANCESTORS_MAX = 20;
/** Most processes in the table. The oldest dead go first, then the oldest. */
const PROCESSES_MAX = 65_536;
/** How long a dead process stays, in nanoseconds of boot time. */
export const DEAD_KEPT_NS = 5_000_000_000;
/** Most dead processes kept: a storm of short ones must not fill memory. */
export const DEAD_MAX = 4096;
/** Bytes of arguments kept for a process, to show with its children. The event of its own exec has them all. */
export const ARGS_KEPT_BYTES = 4096;

/** User and group ids of a process. */
export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  readonly euid: number;
  readonly egid: number;
  readonly suid: number;
  readonly sgid: number;
}

/** What is known about one process. The program's facts change with each exec; the identity never does. */
export interface ProcessInfo {
  readonly pid: number;
  readonly startNs: number;
  readonly entityId: string;
  ppid: number;
  pgid: number;
  sid: number;
  name: string;
  executable: string;
  /** The first arguments, see {@link ARGS_KEPT_BYTES}. */
  args: readonly string[];
  argsCount: number;
  commandLine: string;
  workingDirectory: string;
  credentials: Credentials;
  loginUid: number;
  ttyMajor: number;
  ttyMinor: number;
  memfd: boolean;
  deleted: boolean;
  script: string;
  /** What is known of the file of its program; `undefined`: nobody looked yet. */
  program: ProgramFacts | undefined;
  /** Package that brought that file; empty: none; `undefined`: not known. */
  packageName: string | undefined;
  /** Nanoseconds since 1970 from which on it runs this program, when that was seen. */
  programSinceNs: bigint;
}

/** One process and the processes that forked it, nearest first. */
export interface ProcessEntry {
  readonly info: ProcessInfo;
  readonly ancestors: readonly ProcessInfo[];
  /** Boot time of its end; 0 while it lives. */
  endNs: number;
}

/** Facts to start an entry from; what is missing is unknown. */
export type ProcessFacts = Partial<Omit<ProcessInfo, "entityId">> & { readonly pid: number; readonly startNs: number };

const NOBODY: Credentials = { uid: 0, gid: 0, euid: 0, egid: 0, suid: 0, sgid: 0 };

/** See the head of this file. */
export class ProcessTable {
  readonly #bootId: string;
  readonly #entries = new Map<number, ProcessEntry>();
  /** Dead entries in the order they died. */
  readonly #dead: ProcessEntry[] = [];
  readonly #sizeMax: number;

  /** `bootId` makes entity ids of different boots differ. */
  constructor(bootId: string, sizeMax: number = PROCESSES_MAX) {
    this.#bootId = bootId;
    this.#sizeMax = sizeMax;
  }

  /** Processes in the table, the recently dead included. */
  get size(): number {
    return this.#entries.size;
  }

  /** Id of one process for ever: boot, pid and start. The start counts in ticks, all that /proc tells, so both sources agree. */
  entityId(pid: number, startNs: number): string {
    return entityIdOf(this.#bootId, pid, tickOf(startNs));
  }

  /** The process with this pid that began then; `undefined` when the table has no such process, or another one under this pid. */
  find(pid: number, startNs: number): ProcessEntry | undefined {
    const entry = this.#entries.get(pid);
    return entry !== undefined && isOneStart(entry.info.startNs, startNs) ? entry : undefined;
  }

  /** Whoever has this pid now, or had it last. */
  current(pid: number): ProcessEntry | undefined {
    return this.#entries.get(pid);
  }

  /** The living processes that descend from this one as far as their lines of ancestors reach, whoever their parent is by now. */
  descendants(entityId: string): readonly ProcessInfo[] {
    const found: ProcessInfo[] = [];
    for (const { info, ancestors, endNs } of this.#entries.values()) {
      if (endNs === 0 && ancestors.some((ancestor) => ancestor.entityId === entityId)) found.push(info);
    }
    return found;
  }

  /** Enters a process, in place of another one that had its pid. The parent's facts are inherited where `facts` is silent. */
  add(facts: ProcessFacts, parent: ProcessEntry | undefined): ProcessEntry {
    const from = parent?.info;
    const info: ProcessInfo = {
      pid: facts.pid,
      startNs: facts.startNs,
      entityId: this.entityId(facts.pid, facts.startNs),
      ppid: facts.ppid ?? from?.pid ?? 0,
      pgid: facts.pgid ?? from?.pgid ?? 0,
      sid: facts.sid ?? from?.sid ?? 0,
      name: facts.name ?? from?.name ?? "",
      executable: facts.executable ?? from?.executable ?? "",
      args: facts.args ?? from?.args ?? [],
      argsCount: facts.argsCount ?? from?.argsCount ?? 0,
      commandLine: facts.commandLine ?? from?.commandLine ?? "",
      workingDirectory: facts.workingDirectory ?? from?.workingDirectory ?? "",
      credentials: facts.credentials ?? from?.credentials ?? NOBODY,
      loginUid: facts.loginUid ?? from?.loginUid ?? 0xffff_ffff,
      ttyMajor: facts.ttyMajor ?? from?.ttyMajor ?? 0,
      ttyMinor: facts.ttyMinor ?? from?.ttyMinor ?? 0,
      memfd: facts.memfd ?? from?.memfd ?? false,
      deleted: facts.deleted ?? from?.deleted ?? false,
      script: facts.script ?? from?.script ?? "",
      program: facts.program ?? from?.program,
      packageName: facts.packageName ?? from?.packageName,
      programSinceNs: facts.programSinceNs ?? from?.programSinceNs ?? 0n,
    };
    const ancestors = parent === undefined ? [] : [parent.info, ...parent.ancestors.slice(0, ANCESTORS_MAX - 1)];
    const entry: ProcessEntry = { info, ancestors, endNs: 0 };
    this.#entries.delete(info.pid);
    this.#entries.set(info.pid, entry);
    if (this.#entries.size > this.#sizeMax) this.#evict();
    return entry;
  }

  /** Notes the end of a process. It stays findable for {@link DEAD_KEPT_NS}. */
  end(entry: ProcessEntry, timeNs: number): void {
    if (entry.endNs !== 0) return;
    entry.endNs = Math.max(1, timeNs);
    this.#dead.push(entry);
    if (this.#dead.length > DEAD_MAX) this.#forget(this.#dead.shift()!);
  }

  /** Drops processes that died long before `nowNs`. Returns how many. */
  expire(nowNs: number): number {
    let count = 0;
    while (count < this.#dead.length && this.#dead[count]!.endNs + DEAD_KEPT_NS < nowNs) this.#forget(this.#dead[count++]!);
    this.#dead.splice(0, count);
    return count;
  }

  #evict(): void {
    while (this.#entries.size > this.#sizeMax) {
      const dead = this.#dead.shift();
      if (dead !== undefined) {
        this.#forget(dead);
        continue;
      }
      const oldest = this.#entries.keys().next();
      if (oldest.done === true) return;
      this.#entries.delete(oldest.value);
    }
  }

  #forget(entry: ProcessEntry): void {
    if (this.#entries.get(entry.info.pid) === entry) this.#entries.delete(entry.info.pid);
  }
}

/**
 * Whether two starts of one pid are the same. Of two exact ones, and a pid may be chosen, a nanosecond makes the difference; /proc rounds down
 * to ticks. An exact start on a tick's border is one in 10⁷.
 */
function isOneStart(a: number, b: number): boolean {
  return a === b || (tickOf(a) === tickOf(b) && (a % CLOCK_TICK_NS === 0 || b % CLOCK_TICK_NS === 0));
}

function tickOf(startNs: number): number {
  return Math.floor(startNs / CLOCK_TICK_NS);
}
