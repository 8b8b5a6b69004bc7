// Whom no response may touch: init, the kernel, the agent with its helpers and the processes that started it, and programs on a list. A listed name counts
// only for a program of the system: what a process calls itself, or a copy of it under /tmp, protects nobody.
import { closeSync, openSync, realpathSync } from "node:fs";
import { type FileStatus, fileStatus } from "#ffi/descriptors";
import type { HostProcess, Processes } from "./processes.ts";

/** Programs that keep a machine reachable and running. */
export const DEFAULT_PROTECTED: readonly string[] = [
  "init",
  "systemd",
  "systemd-journald",
  "systemd-logind",
  "systemd-networkd",
  "systemd-resolved",
  "systemd-udevd",
  "sshd",
  "sshd-session",
  "agetty",
  "login",
  "dbus-daemon",
  "dbus-broker",
  "NetworkManager",
  "containerd",
  "dockerd",
  "crio",
  "kubelet",
];

/** Settings of a {@link Protection}. */
export interface ProtectionOptions {
  readonly processes: Processes;
  /** File names of system programs, or whole paths. */
  readonly names: readonly string[];
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
  readonly #names: ReadonlySet<string>;
  readonly #paths: ReadonlySet<string>;
  readonly #fileFacts: (path: string) => FileFacts | undefined;
  readonly #realPath: (path: string) => string | undefined;

  constructor({ processes, names, ownPid, fileFacts = readFileFacts, realPath = readRealPath }: ProtectionOptions) {
    this.#processes = processes;
    this.#ownPid = ownPid;
    this.#names = new Set(names.filter((name) => !name.includes("/")));
    this.#paths = new Set(names.filter((name) => name.startsWith("/")));
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
   * Why nobody may be kept from running a file; `undefined` when they may. The agent's own file is no reason: with `BUN_BE_BUN` in the environment
   * it runs any script for whoever starts it.
   */
  reasonToRun({ path, device, inode, uid, isShared }: RunnableFile): string | undefined {
    if (!this.#isListed(path) || uid !== 0 || isShared) return undefined;
    const here = this.#fileFacts(path);
    const isSystemFile = here !== undefined && here.device === device && here.inode === inode;
    return isSystemFile ? `${path} is on the list of protected programs` : undefined;
  }

  /** Files of this machine that are listed programs, as far as they are found in the system's folders. A link to another program is none. */
  files(): readonly FileFacts[] {
    const paths = [...this.#paths, ...PROGRAM_FOLDERS.flatMap((folder) => [...this.#names].map((name) => `${folder}/${name}`))];
    const listed = paths.map(this.#realPath).filter((path) => path !== undefined && this.#isListed(path)) as readonly string[];
    const found = listed.flatMap((path) => this.#fileFacts(path) ?? []).filter(({ uid, isShared }) => uid === 0 && !isShared);
    return [...new Map(found.map((facts) => [`${facts.device} ${facts.inode}`, facts])).values()];
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
    return this.#isListed(path) && this.#isSystemFile(pid, path, isDeleted) ? path : undefined;
  }

  #isListed(path: string): boolean {
    const name = path.slice(path.lastIndexOf("/") + 1);
    return this.#paths.has(path) || (this.#names.has(name) && SYSTEM_FOLDERS.some((folder) => path.startsWith(folder)));
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
