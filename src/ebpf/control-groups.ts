// Control groups (cgroup v2) by id: the path, and the container it names. A cache. A group that is not known yet is opened by its id. Where the
// kernel does not let us, it is looked up by way of the process that is in it, a few hundred times a second at most, then, that process being gone,
// by a walk over the whole tree; walks take at most a fiftieth of the time. Groups that were not found are not looked for again. Nothing is read
// for an event whose group is known.
import { closeSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { lineBehind } from "#core";
import { openGroupFolder } from "#ffi/file-handles";
import { NativeError } from "#ffi/handle";
import { closeFd } from "#ffi/libc";
import type { GroupFields } from "#schema";
import { containerOf } from "./container.ts";
import { openFolder } from "./loader.ts";

const WINDOW_NS = 1_000_000_000;
const GROUPS_MAX = 16_384;
const DEPTH_MAX = 32;
/** Processes asked in a second for their group: some 30 µs each. */
const ASKED_MAX = 256;
/** After a walk none for this many times as long. A walk takes some 30 µs for each group. */
const WALK_REST = 50;
const WALK_REST_NS_MAX = 1_000_000_000;
/** What was wanting and may be there at the next look. */
const PASSING: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOMEM"]);

/** How a {@link ControlGroups} looks at the machine; tests have their own. */
export interface GroupLooks {
  /** Absolute path of the group with this id below a root; `undefined`: it is gone, or has none. Throws NativeError where the kernel does not tell. */
  readonly pathOfGroup?: (root: string, id: bigint) => string | undefined;
  readonly pathOfProcess?: (pid: number) => string | undefined;
  /** To measure how long a walk takes. */
  readonly stopwatchMs?: () => number;
  /** Called before groups are forgotten. */
  readonly onForget?: () => void;
}

/** What the path of a group, below the mount, tells. */
export function groupFields(path: string): GroupFields {
  const container = containerOf(path);
  if (container === undefined) return { "process.cgroup.path": path };
  const { id, runtime, podUid } = container;
  return {
    "process.cgroup.path": path,
    "container.id": id,
    ...(runtime !== undefined && { "container.runtime": runtime }),
    ...(podUid !== undefined && {
      "orchestrator.type": "kubernetes",
      "orchestrator.resource.type": "pod",
      "orchestrator.resource.id": podUid,
    }),
  };
}

/** Path of a process's cgroup v2 group; `undefined`: it is gone. */
export function groupPathOf(pid: number): string | undefined {
  try {
    return lineBehind(readFileSync(`/proc/${pid}/cgroup`, "utf8"), "0::");
  } catch {
    return undefined;
  }
}

function groupPathAt(root: string, id: bigint): string | undefined {
  const mountFd = openFolder(root);
  try {
    const fd = openGroupFolder(mountFd, id);
    if (fd === undefined) return undefined;
    try {
      // As bytes: a name need not be text.
      const path = readlinkSync(`/proc/self/fd/${fd}`, "buffer");
      // Of a group outside of our own cgroup namespace the path does not begin at the mount, or only seems to.
      return inodeOf(path) === id ? path.toString("utf8") : undefined;
    } catch {
      // Groups can be nested deeper than a path is long.
      return undefined;
    } finally {
      closeFd(fd);
    }
  } finally {
    closeSync(mountFd);
  }
}

/** See the head of this file. */
export class ControlGroups {
  readonly #root: string | undefined;
  readonly #pathOfGroup: (root: string, id: bigint) => string | undefined;
  readonly #pathOfProcess: (pid: number) => string | undefined;
  readonly #stopwatchMs: () => number;
  readonly #onForget: () => void;
  #groups = new Map<bigint, GroupFields>();
  readonly #unknown = new Set<bigint>();
  /** The kernel opens no group by its id for us. */
  #isRefused = false;
  #windowNs = Number.NEGATIVE_INFINITY;
  #asked = 0;
  #nextWalkNs = Number.NEGATIVE_INFINITY;

  /** `root` is where cgroup v2 is mounted. */
  constructor(root: string | undefined, looks: GroupLooks = {}) {
    this.#root = root;
    this.#onForget = looks.onForget ?? (() => {});
    this.#pathOfGroup = looks.pathOfGroup ?? groupPathAt;
    this.#pathOfProcess = looks.pathOfProcess ?? groupPathOf;
    this.#stopwatchMs = looks.stopwatchMs ?? (() => performance.now());
  }

  /** The group with this id, which the process was in. `nowNs` is any steady clock. */
  groupOf(id: bigint, pid: number, nowNs: number): GroupFields | undefined {
    const known = this.#groups.get(id);
    if (known !== undefined || this.#root === undefined || this.#unknown.has(id)) return known;
    const opened = this.#open(this.#root, id);
    if (opened !== undefined || !this.#isRefused) return opened;
    if (nowNs - this.#windowNs >= WINDOW_NS) {
      this.#windowNs = nowNs;
      this.#asked = 0;
    }
    return this.#askProcess(this.#root, id, pid) ?? this.#walkFor(this.#root, id, nowNs);
  }

  /** The group a process is in now; nothing is remembered. */
  groupOfProcess(pid: number): GroupFields | undefined {
    const path = this.#root === undefined ? undefined : this.#pathOfProcess(pid);
    return path === undefined || path.split("/").includes("..") ? undefined : groupFields(path);
  }

  #open(root: string, id: bigint): GroupFields | undefined {
    if (this.#isRefused) return undefined;
    try {
      const path = this.#pathOfGroup(root, id);
      const below = path === root ? "/" : path?.startsWith(`${root}/`) === true ? path.slice(root.length) : undefined;
      if (below !== undefined) return this.#enter(id, below);
      this.#markUnknown(id);
    } catch (error) {
      if (!(error instanceof NativeError)) throw error;
      this.#isRefused = !PASSING.has(error.code);
    }
    return undefined;
  }

  #askProcess(root: string, id: bigint, pid: number): GroupFields | undefined {
    if (this.#asked >= ASKED_MAX) return undefined;
    this.#asked++;
    const path = this.#pathOfProcess(pid);
    // A path that leads out of our own cgroup namespace begins with `/..`.
    if (path === undefined || path.split("/").includes("..") || inodeOf(join(root, path)) !== id) return undefined;
    return this.#enter(id, path);
  }

  #walkFor(root: string, id: bigint, nowNs: number): GroupFields | undefined {
    if (nowNs < this.#nextWalkNs) return undefined;
    const begunMs = this.#stopwatchMs();
    this.#onForget();
    this.#groups = new Map();
    this.#walk(root, "/", 0);
    this.#nextWalkNs = nowNs + Math.min(WALK_REST_NS_MAX, (this.#stopwatchMs() - begunMs) * 1e6 * WALK_REST);
    const found = this.#groups.get(id);
    // A group outside the mount or already removed stays unknown: it must not cause a walk each second.
    if (found === undefined) this.#markUnknown(id);
    return found;
  }

  #markUnknown(id: bigint): void {
    if (this.#unknown.size < GROUPS_MAX) this.#unknown.add(id);
  }

  #walk(folder: string, path: string, depth: number): void {
    if (this.#groups.size >= GROUPS_MAX || depth > DEPTH_MAX) return;
    const id = inodeOf(folder);
    if (id === undefined) return;
    this.#enter(id, path);
    try {
      for (const child of readdirSync(folder, { withFileTypes: true })) {
        if (child.isDirectory()) this.#walk(join(folder, child.name), path === "/" ? `/${child.name}` : `${path}/${child.name}`, depth + 1);
      }
    } catch {
      // The group went away while we looked.
    }
  }

  #enter(id: bigint, path: string): GroupFields {
    const group = groupFields(path);
    if (this.#groups.size >= GROUPS_MAX) {
      this.#onForget();
      this.#groups.clear();
    }
    this.#groups.set(id, group);
    return group;
  }
}

function inodeOf(folder: string | Buffer): bigint | undefined {
  try {
    return statSync(folder, { bigint: true }).ino;
  } catch {
    return undefined;
  }
}
