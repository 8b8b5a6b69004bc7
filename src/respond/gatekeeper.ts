// The gatekeeper: a process of its own that is asked by the kernel before a program runs and asks the agent in turn. Invariants: nobody waits longer
// than the deadline; when the agent does not answer, is stopped or dies, the operator's choice decides (open or closed) and the agent is not waited
// for again until it speaks; the agent, its helpers and process 1 are never held. It decides nothing else, starts no program, and sits in
// poll(2) instead of an event loop.
import { openSync, readFileSync, readlinkSync, readSync } from "node:fs";
import { messageOf } from "#core";
import { type FileStatus, fileStatus, isNosuidMount, Poll, PollSet } from "#ffi/descriptors";
import { EVENTS_PER_READ_MAX, ExecPermissionGroup } from "#ffi/fanotify";
import { NativeError } from "#ffi/handle";
import { ClockId, clockNs, closeFd } from "#ffi/libc";
import { ClearFiles, fileKey, isSettled } from "./clear-files.ts";
import { ExecSteps } from "./exec-steps.ts";
import { gateMounts, servedFilesystems } from "./gate-mounts.ts";
import {
  type KeeperConfig,
  type KeeperCounts,
  type MarksMessage,
  NO_COUNTS,
  type ProgramFile,
  runnable,
  runnerAfter,
  type ToKeeper,
} from "./gate-wire.ts";
import type { KeeperChannel } from "./keeper-channel.ts";
import { LinuxProcesses } from "./processes.ts";
import { type NextFile, nextFileOf } from "./program-file.ts";
import type { Runner } from "./protected-programs.ts";
import { Protection } from "./protection.ts";
import { readThreadStatus, type ThreadStatus } from "./thread-status.ts";

/** Most programs that wait for the agent at one time: each holds a descriptor. The others wait in the kernel. */
export const WAITING_MAX = 512;
/** Mounts named in one message; the rest only counts. */
const MOUNTS_TOLD_MAX = 256;
/** Most reads after the agent's death: programs that keep coming are not denied for ever. */
const LAST_READS_MAX = 64;
const S_ISUID = 0o4000;
const S_ISGID = 0o2000;
const S_IXGRP = 0o010;
const MOUNTINFO = "/proc/self/mountinfo";

/** Why no program can be held here; undefined: it can. */
export function whyNoGate(): string | undefined {
  try {
    ExecPermissionGroup.open().close();
    return undefined;
  } catch (error) {
    return `the kernel lets no program be held: ${messageOf(error)}`;
  }
}

/** Places of what is waited for. */
const enum Place {
  Group = 0,
  Input = 1,
  Output = 2,
  Mounts = 3,
  Count = 4,
}

/** A program that waits for the agent's word. */
interface Waiting {
  readonly fd: number;
  readonly startNs: bigint;
  readonly deadlineMs: number;
  readonly file: ProgramFile;
  readonly runner: Runner;
  readonly key: string;
  readonly next: NextFile | undefined;
  readonly canKeep: boolean;
}

/** What is counted here; of files that are known there is a list. */
type Counters = { -readonly [Name in Exclude<keyof KeeperCounts, "known">]: number };

/** See the head of this file. */
export class Gatekeeper {
  readonly #config: KeeperConfig;
  readonly #channel: KeeperChannel;
  readonly #group: ExecPermissionGroup;
  readonly #protection: Protection;
  readonly #clear = new ClearFiles();
  readonly #steps = new ExecSteps();
  /** In the order of their deadlines. */
  readonly #waiting = new Map<number, Waiting>();
  /** What was answered without the agent, oldest first: its verdict may still come. */
  readonly #answered = new Map<number, { readonly allowed: boolean; readonly waitedNs: number }>();
  readonly #marked = new Map<string, string>();
  /** Devices whose files may not be asked for anything. One that is unmounted may still have programs: it stays. */
  readonly #served = new Set<string>();
  readonly #poll = new PollSet(Place.Count);
  readonly #mountinfo: number;
  readonly #counts: Counters = { ...NO_COUNTS };
  #nextId = 0;
  /** The agent missed a deadline and has not been heard since. */
  #isAway = false;
  #ended = false;

  private constructor(config: KeeperConfig, channel: KeeperChannel, group: ExecPermissionGroup) {
    this.#config = config;
    this.#channel = channel;
    this.#group = group;
    this.#protection = new Protection({ processes: new LinuxProcesses(), programs: config.programs, ownPid: config.agentPid });
    this.#mountinfo = openSync(MOUNTINFO, "r");
  }

  /** Stands at the gate until the agent ends. Where the kernel refuses, tells the agent why. */
  static run(config: KeeperConfig, channel: KeeperChannel): void {
    let group: ExecPermissionGroup;
    try {
      group = ExecPermissionGroup.open();
    } catch (error) {
      const code = error instanceof NativeError ? error.code : "failed";
      channel.send({ kind: "failed", code, reason: messageOf(error) });
      return;
    }
    const keeper = new Gatekeeper(config, channel, group);
    try {
      keeper.#updateMarks();
      while (!keeper.#ended) keeper.#turn();
    } finally {
      // Whatever is not answered the kernel allows now.
      group.close();
    }
  }

  #turn(): void {
    const isFull = this.#waiting.size >= WAITING_MAX;
    this.#poll.set(Place.Group, isFull ? -1 : this.#group.fd, Poll.In);
    this.#channel.watch(this.#poll, Place.Input, Place.Output);
    this.#poll.set(Place.Mounts, this.#mountinfo, Poll.Priority);
    this.#poll.wait(this.#timeoutMs());
    if (this.#poll.found(Place.Output) !== 0) this.#channel.flush();
    // First what the agent says: it may be just in time.
    if (this.#poll.found(Place.Input) !== 0) for (const message of this.#channel.receive()) this.#take(message);
    this.#passDeadlines(performance.now());
    if (this.#channel.ended) this.#leave(false);
    else {
      if (this.#poll.found(Place.Group) !== 0) this.#readEvents();
      if (this.#poll.found(Place.Mounts) !== 0) this.#updateMarks();
    }
  }

  #timeoutMs(): number {
    const first = this.#waiting.values().next();
    return first.done === true ? -1 : Math.max(0, Math.ceil(first.value.deadlineMs - performance.now()));
  }

  #take(message: ToKeeper): void {
    this.#isAway = false;
    switch (message.kind) {
      case "verdict":
        this.#verdict(message.id, message.allow, message.keep);
        break;
      case "forget":
        this.#clear.clear();
        break;
      case "ping":
        this.#channel.send({ kind: "pong", counts: { ...this.#counts, known: this.#clear.size } });
        break;
      case "end":
        this.#leave(true);
        break;
      case "config":
        break;
    }
  }

  #verdict(id: number, allow: boolean, keep: boolean): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) {
      const answered = this.#answered.get(id);
      this.#answered.delete(id);
      if (answered !== undefined) this.#channel.send({ kind: "done", id, inTime: false, ...answered });
      return;
    }
    this.#waiting.delete(id);
    if (keep && waiting.canKeep) this.#clear.add(waiting.key, waiting.next);
    const waitedNs = this.#answer(waiting, allow);
    if (!allow) this.#channel.send({ kind: "done", id, allowed: false, inTime: true, waitedNs });
  }

  /** Gives the kernel its answer and lets go of the file. Nanoseconds from the question to the answer. */
  #answer({ fd, startNs }: Pick<Waiting, "fd" | "startNs">, allow: boolean): number {
    this.#group.respond(fd, allow);
    closeFd(fd);
    const waitedNs = Number(clockNs(ClockId.Monotonic) - startNs);
    this.#counts[allow ? "allowed" : "denied"]++;
    this.#counts.waitedNs += waitedNs;
    this.#counts.waitedMaxNs = Math.max(this.#counts.waitedMaxNs, waitedNs);
    return waitedNs;
  }

  #passDeadlines(nowMs: number): void {
    for (const [id, waiting] of this.#waiting) {
      if (waiting.deadlineMs > nowMs) return;
      this.#isAway = true;
      this.#counts.late++;
      this.#decideAlone(id, waiting);
    }
  }

  #decideAlone(id: number, waiting: Waiting): void {
    this.#waiting.delete(id);
    const allowed = this.#allowsAlone(waiting);
    const waitedNs = this.#answer(waiting, allowed);
    if (this.#answered.size >= WAITING_MAX) this.#answered.delete(this.#answered.keys().next().value as number);
    this.#answered.set(id, { allowed, waitedNs });
  }

  #allowsAlone({ file, runner }: Pick<Waiting, "file" | "runner">): boolean {
    return this.#config.fail === "open" || this.#protection.reasonToRun(runnable(file), runner) !== undefined;
  }

  /** Answers whoever waits, and ends. */
  #leave(inOrder: boolean): void {
    this.#ended = true;
    for (const [id, waiting] of this.#waiting) {
      if (inOrder) this.#answer(waiting, true);
      else this.#decideAlone(id, waiting);
    }
    this.#waiting.clear();
    if (inOrder || this.#config.fail === "open") return;
    // Those the kernel has not told of yet would be allowed at the end.
    this.#isAway = true;
    for (let reads = 0; reads < LAST_READS_MAX && this.#readEvents() > 0; reads++);
  }

  /** How many events there were. */
  #readEvents(): number {
    const room = Math.min(EVENTS_PER_READ_MAX, WAITING_MAX - this.#waiting.size);
    const events = this.#group.read(room);
    for (const { fd, tid } of events) if (fd >= 0) this.#event(fd, tid);
    return events.length;
  }

  #event(fd: number, tid: number): void {
    this.#counts.events++;
    let isAnswered = false;
    try {
      isAnswered = this.#letThrough(fd, tid);
    } catch {
      // The thread was killed while it waited, or its file cannot be looked at: nobody can judge it.
      this.#counts.unasked++;
      this.#group.respond(fd, this.#config.fail === "open");
      isAnswered = true;
    } finally {
      if (isAnswered) closeFd(fd);
    }
  }

  /** False: the agent was asked, and the answer is still to come. */
  #letThrough(fd: number, tid: number): boolean {
    const stats = fileStatus(fd);
    const shown = this.#pathOf(fd);
    const path = stats.linkCount === 0 && shown.endsWith(DELETED) ? shown.slice(0, -DELETED.length) : shown;
    const expects = this.#steps.expects(tid);
    const role = expects === undefined ? undefined : this.#steps.roleOf(tid, stats);
    const script = role?.kind === "program" ? role.script : "";
    const key = fileKey(path, stats, script);
    if (this.#clear.has(key)) return this.#pass(fd, tid, "cached", { path, script, next: this.#clear.nextOf(key) });
    if (role?.kind === "loader") return this.#pass(fd, tid, "exempt", { path, script, next: undefined });
    const isServed = this.#served.has(stats.device);
    const next = isServed ? undefined : nextFileOf((offset, length) => readPart(fd, offset, length));
    const step = { path, script, next };
    if (next?.kind === "interpreter") return this.#pass(fd, tid, "exempt", step);
    const status = readThreadStatus(tid);
    if (status === undefined) throw new NativeError("gone", "proc", `Thread ${tid} cannot be seen`);
    if (status.pid === 1 || this.#protection.isOwn(status)) return this.#pass(fd, tid, "exempt", step);
    this.#steps.note(tid, step);
    return this.#ask({ fd, tid, stats, status, key, isServed, ...step });
  }

  /** Nobody tells a path of more than a page: then the rest must decide, the caller and his ancestors, or the operator who wants no doubt. */
  #pathOf(fd: number): string {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch (error) {
      const isTooLong = error instanceof Error && "code" in error && error.code === "ENAMETOOLONG";
      if (!isTooLong || this.#config.fail === "closed") throw error;
      return UNTOLD;
    }
  }

  #pass(fd: number, tid: number, count: "cached" | "exempt", step: Parameters<ExecSteps["note"]>[1]): true {
    this.#group.respond(fd, true);
    this.#counts[count]++;
    this.#steps.note(tid, step);
    return true;
  }

  #ask(attempt: Attempt): boolean {
    const { fd, tid, stats, status, path, script, key, next, isServed } = attempt;
    const id = this.#nextId++;
    const file: ProgramFile = {
      path,
      device: stats.device,
      inode: String(stats.inode),
      uid: stats.uid,
      mode: stats.mode,
      linkCount: stats.linkCount,
    };
    const startNs = clockNs(ClockId.Monotonic);
    const bootNs = String(clockNs(ClockId.Boottime));
    const { pid, uid, gid } = status;
    const after = idsAfter(attempt);
    const runner = runnerAfter({ uid, euid: after.euid });
    const asked = !this.#isAway && this.#channel.send({ kind: "ask", id, bootNs, pid, tid, file, script, uid, gid, ...after });
    if (!asked) {
      this.#counts.unasked++;
      const allowed = this.#allowsAlone({ file, runner });
      if (!allowed) this.#counts.denied++;
      this.#group.respond(fd, allowed);
      return true;
    }
    this.#counts.asked++;
    const canKeep = !isServed && isSettled(stats, BigInt(Date.now()) * 1_000_000n);
    this.#waiting.set(id, { fd, startNs, deadlineMs: performance.now() + this.#config.deadlineMs, file, runner, key, next, canKeep });
    return false;
  }

  /** Stands on mounts that have come, and forgets those that have gone. */
  #updateMarks(): void {
    const mountinfo = readFileSync(MOUNTINFO, "utf8");
    for (const [device, isServed] of servedFilesystems(mountinfo)) {
      if (isServed) this.#served.add(device);
      else this.#served.delete(device);
    }
    const mounts = gateMounts(mountinfo, this.#config.mounts);
    const now = new Set(mounts.map(({ filesystem }) => filesystem));
    for (const filesystem of this.#marked.keys()) if (!now.has(filesystem)) this.#marked.delete(filesystem);
    const refused: MarksMessage["refused"][number][] = [];
    for (const { path, filesystem } of mounts) {
      if (this.#marked.has(filesystem)) continue;
      try {
        this.#group.mark(path, "filesystem");
        this.#marked.set(filesystem, path);
      } catch (error) {
        refused.push({ path, reason: messageOf(error) });
      }
    }
    for (const path of this.#config.mounts ?? []) {
      if (!mounts.some((mount) => mount.path === path)) refused.push({ path, reason: "nothing is mounted there" });
    }
    this.#channel.send({
      kind: "marks",
      marked: [...this.#marked.values()].slice(0, MOUNTS_TOLD_MAX),
      refused: refused.slice(0, MOUNTS_TOLD_MAX),
    });
  }
}

const DELETED = " (deleted)";
/** As of a path whose outermost folders are missing. */
const UNTOLD = "…";

interface Attempt {
  readonly fd: number;
  readonly tid: number;
  readonly stats: FileStatus;
  readonly status: ThreadStatus;
  readonly path: string;
  readonly script: string;
  readonly key: string;
  readonly next: NextFile | undefined;
  readonly isServed: boolean;
}

/** Effective ids the program will have. */
function idsAfter({ fd, stats, status, isServed }: Attempt): { readonly euid: number; readonly egid: number } {
  const { mode, uid, gid } = stats;
  const setsUser = (mode & S_ISUID) !== 0;
  const setsGroup = (mode & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP);
  const { euid, egid, noNewPrivileges } = status;
  if ((!setsUser && !setsGroup) || noNewPrivileges || isServed || isNosuidMount(fd)) return { euid, egid };
  return { euid: setsUser ? uid : euid, egid: setsGroup ? gid : egid };
}

function readPart(fd: number, offsetBytes: number, byteLength: number): Uint8Array {
  const bytes = new Uint8Array(byteLength);
  return bytes.subarray(0, readSync(fd, bytes, 0, byteLength, offsetBytes));
}
