// Whom no response may touch: init, the kernel, the agent with its helpers and the processes that started it, and programs on a list. A listed name counts
// only for a program of the system, and where the list says so only as the system runs it: what a process calls itself, a copy of it under /tmp, or a
// process that a user started, protects nobody.
import { closeSync, openSync, realpathSync } from "node:fs";
import { type FileStatus, fileStatus } from "#ffi/descriptors";
import type { HostProcess, Processes } from "./processes.ts";
import { countsFor, eitherOf, type ProtectedProgram, type Runner, type Runners } from "./protected-programs.ts";

/** Settings of a {@link Protection}. */
export interface ProtectionOptions {
  readonly processes: Processes;
  readonly programs: readonly ProtectedProgram[];
  readonly ownPid: number;
  /** What is known of a file; for tests. */
  readonly fileFacts?: (path: string) => FileFacts | undefined;
  /** A path without symbolic links; for tests. */
  readonly realPath?: (path: string) => string | undefined;
}

/** Identity and owner of a file. */
export interface FileFacts {
  readonly device: bigint;
  readonly inode: bigint;
  readonly uid: number;
  /** Somebody but the owner may write to it. */
  readonly isShared: boolean;
}

/** The file of a listed program, and whose processes of it count. */
export interface ProtectedFile extends FileFacts {
  readonly runners: Runners;
}

/** A file somebody wants to run. */
export interface RunnableFile extends FileFacts {
  readonly path: string;
}

const O_PATH = 0o10_000_000;
const ANCESTORS_MAX = 1000;
const DELETED = " (deleted)";
/** Where listed programs are looked for. */
const PROGRAM_FOLDERS: readonly string[] = [
  "/usr/bin",
  "/usr/sbin",
  "/usr/lib/systemd",
  "/usr/lib/openssh",
  "/usr/libexec",
  "/usr/libexec/openssh",
  "/usr/lib",
  "/bin",
  "/sbin",
  "/lib/systemd",
];
const SYSTEM_FOLDERS: readonly string[] = ["/usr/", "/bin/", "/sbin/", "/lib/"];

/** See the head of this file. */
export class Protection {
  readonly #processes: Processes;
  readonly #ownPid: number;
  /** By file name, or by whole path. */
  readonly #listed: ReadonlyMap<string, Runners>;
  readonly #fileFacts: (path: string) => FileFacts | undefined;
  readonly #realPath: (path: string) => string | undefined;

  constructor({ processes, programs, ownPid, fileFacts = readFileFacts, realPath = readRealPath }: ProtectionOptions) {
    this.#processes = processes;
    this.#ownPid = ownPid;
    const listed = new Map<string, Runners>();
    for (const { name, runners } of programs) listed.set(name, eitherOf(listed.get(name) ?? [], runners));
    this.#listed = listed;
    this.#fileFacts = fileFacts;
    this.#realPath = realPath;
  }

  /** Why this process must not be touched; `undefined` when it may. */
  reason(target: HostProcess): string | undefined {
    if (target.pid <= 1) return "Process 1 is never touched";
    if (target.isKernel) return `Process ${target.pid} belongs to the kernel`;
    if (this.isOwn(target)) return "Kestrel does not touch itself";
    if (this.#isOwnAncestor(target.pid)) return `Process ${target.pid} (${target.name}) started Kestrel`;
    const program = this.#listedProgram(target.pid);
    return program === undefined ? undefined : `${program} is on the list of protected programs`;
  }

  /**
   * Whether this is the agent, or a child of it that runs the agent's file: the gatekeeper, the heartbeat, and either of them as it starts. Other
   * children, as of an agent that is process 1 of a container, are nobody's friends.
   */
  isOwn({ pid, ppid }: Pick<HostProcess, "pid" | "ppid">): boolean {
    if (pid === this.#ownPid) return true;
    if (ppid !== this.#ownPid) return false;
    const [own, its] = [this.#fileFacts(`/proc/${ppid}/exe`), this.#fileFacts(`/proc/${pid}/exe`)];
    return own !== undefined && its !== undefined && own.device === its.device && own.inode === its.inode;
  }

  /**
   * Why a file may not be kept from being run by whom the program will belong to; `undefined` when it may. The agent's own file is no reason: with
   * `BUN_BE_BUN` in the environment it runs any script for whoever starts it.
   */
  reasonToRun({ path, device, inode, uid, isShared }: RunnableFile, runner: Runner): string | undefined {
    const runners = this.#runners(path);
    if (runners === undefined || uid !== 0 || isShared || !countsFor(runners, runner)) return undefined;
    const here = this.#fileFacts(path);
    const isSystemFile = here !== undefined && here.device === device && here.inode === inode;
    return isSystemFile ? `${path} is on the list of protected programs` : undefined;
  }

  /** Files of this machine that are listed programs, as far as they are found in the system's folders. A link to another program is none. */
  files(): readonly ProtectedFile[] {
    const found = new Map<string, ProtectedFile>();
    const isPath = (name: string): boolean => name.startsWith("/");
    const paths = [...this.#listed.keys()].flatMap((name) =>
      isPath(name) ? [name] : PROGRAM_FOLDERS.map((folder) => `${folder}/${name}`),
    );
    for (const path of new Set(paths.flatMap((each) => this.#realPath(each) ?? []))) {
      const runners = this.#runners(path);
      const facts = runners && this.#fileFacts(path);
      if (runners === undefined || facts === undefined || facts.uid !== 0 || facts.isShared) continue;
      const key = `${facts.device} ${facts.inode}`;
      found.set(key, { ...facts, runners: eitherOf(found.get(key)?.runners ?? [], runners) });
    }
    return [...found.values()];
  }

  /** The agent and the processes that started it. */
  ownLine(): readonly HostProcess[] {
    const line: HostProcess[] = [];
    for (let pid = this.#ownPid; pid > 1 && line.length < ANCESTORS_MAX; ) {
      const found = this.#processes.look(pid);
      if (found === undefined) break;
      line.push(found);
      pid = found.ppid;
    }
    return line;
  }

  // Looked up each time: whoever started the agent may end, and its number pass to somebody else.
  #isOwnAncestor(pid: number): boolean {
    let current = this.#ownPid;
    for (let count = 0; count < ANCESTORS_MAX && current > 1; count++) {
      current = this.#processes.look(current)?.ppid ?? 0;
      if (current === pid) return true;
    }
    return false;
  }

  #listedProgram(pid: number): string | undefined {
    const shown = this.#processes.executable(pid);
    const isDeleted = shown.endsWith(DELETED);
    const path = isDeleted ? shown.slice(0, -DELETED.length) : shown;
    const runners = this.#runners(path);
    if (runners === undefined || !this.#isRunBy(runners, pid)) return undefined;
    return this.#isSystemFile(pid, path, isDeleted) ? path : undefined;
  }

  // Before the file is looked at: whoever runs another program in between, with other rights, is found to have another file.
  #isRunBy(runners: Runners, pid: number): boolean {
    if (runners === "anybody") return true;
    const runner = this.#processes.runner(pid);
    return runner !== undefined && countsFor(runners, runner);
  }

  /** Whose processes of a program count; undefined: it is not listed. */
  #runners(path: string): Runners | undefined {
    const named = SYSTEM_FOLDERS.some((folder) => path.startsWith(folder))
      ? this.#listed.get(path.slice(path.lastIndexOf("/") + 1))
      : undefined;
    const exact = this.#listed.get(path);
    return named === undefined || exact === undefined ? (named ?? exact) : eitherOf(named, exact);
  }

  // The path is the process's own view. Only a file that root alone can have put there counts, and it must be the one this machine has under
  // that path: in a container's tree anybody can be /usr/sbin/sshd. An updated program runs on from its deleted file, of the same device.
  #isSystemFile(pid: number, path: string, isDeleted: boolean): boolean {
    const running = this.#fileFacts(`/proc/${pid}/exe`);
    const here = this.#fileFacts(path);
    if (running === undefined || running.uid !== 0 || running.isShared) return false;
    return here !== undefined && here.device === running.device && (isDeleted || here.inode === running.inode);
  }
}

function readRealPath(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

// Without asking the filesystem: somebody may serve it, in a mount namespace of his own, who never answers.
function readFileFacts(path: string): FileFacts | undefined {
  try {
    const fd = openSync(path, O_PATH);
    try {
      return fileFactsOf(fileStatus(fd));
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined;
  }
}

/** What counts of a file's status. */
export function fileFactsOf({ device, inode, uid, mode }: Pick<FileStatus, "device" | "inode" | "uid" | "mode">): FileFacts {
  const [major = "0", minor = "0"] = device.split(":");
  return { device: deviceOf(BigInt(major), BigInt(minor)), inode, uid, isShared: (mode & 0o022) !== 0 };
}

/** A device's number as stat(2) gives it. */
function deviceOf(major: bigint, minor: bigint): bigint {
  return ((major & 0xffff_f000n) << 32n) | ((major & 0xfffn) << 8n) | ((minor & 0xffff_ff00n) << 12n) | (minor & 0xffn);
}
