// Names behind numbers: users and groups from /etc/passwd and /etc/group, cgroup paths from the cgroup v2 tree. All are caches that look
// again when their file changed or a number is unknown, at most once a second. No lookup leaves the machine.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const LOOK_AGAIN_NS = 1_000_000_000;
const FILE_BYTES_MAX = 16 << 20;
const CGROUPS_MAX = 16_384;
const CGROUP_DEPTH_MAX = 32;

/** Names of one file of the form `name:x:id:…`. */
export class IdNames {
  readonly #path: string;
  #names = new Map<number, string>();
  #stamp = "";
  #lookedNs = Number.NEGATIVE_INFINITY;

  constructor(path: string) {
    this.#path = path;
  }

  /** Name of an id, `undefined` when the file has none. `nowNs` is any steady clock. */
  nameOf(id: number, nowNs: number): string | undefined {
    if (nowNs - this.#lookedNs >= LOOK_AGAIN_NS) {
      this.#lookedNs = nowNs;
      this.#refresh();
    }
    return this.#names.get(id);
  }

  #refresh(): void {
    try {
      const { mtimeMs, size, ino } = statSync(this.#path);
      const stamp = `${mtimeMs}/${size}/${ino}`;
      if (stamp === this.#stamp || size > FILE_BYTES_MAX) return;
      this.#stamp = stamp;
      this.#names = parseIdNames(readFileSync(this.#path, "utf8"));
    } catch {
      // No such file: numbers stay numbers.
    }
  }
}

/** Parses `name:password:id:…` lines; the first name of an id counts. */
export function parseIdNames(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split("\n")) {
    const [name = "", , id = ""] = line.split(":");
    if (name !== "" && /^\d+$/.test(id) && !names.has(Number(id))) names.set(Number(id), name);
  }
  return names;
}

/** Paths of cgroup v2 groups by id; the id is the folder's inode number. */
export class CgroupPaths {
  readonly #root: string | undefined;
  #paths = new Map<bigint, string>();
  readonly #unknown = new Set<bigint>();
  #lookedNs = Number.NEGATIVE_INFINITY;

  constructor(root: string | undefined) {
    this.#root = root;
  }

  /** Path of a group below the mount, `/` for the root itself. */
  pathOf(id: bigint, nowNs: number): string | undefined {
    const known = this.#paths.get(id);
    if (known !== undefined || this.#root === undefined || this.#unknown.has(id)) return known;
    if (nowNs - this.#lookedNs < LOOK_AGAIN_NS) return undefined;
    this.#lookedNs = nowNs;
    this.#paths = new Map();
    this.#scan(this.#root, "/", 0);
    const found = this.#paths.get(id);
    // A group outside the mount or already removed stays unknown: it must not cause a scan each second.
    if (found === undefined && this.#unknown.size < CGROUPS_MAX) this.#unknown.add(id);
    return found;
  }

  #scan(folder: string, path: string, depth: number): void {
    if (this.#paths.size >= CGROUPS_MAX || depth > CGROUP_DEPTH_MAX) return;
    try {
      this.#paths.set(statSync(folder, { bigint: true }).ino, path);
      for (const child of readdirSync(folder, { withFileTypes: true })) {
        if (child.isDirectory()) this.#scan(join(folder, child.name), path === "/" ? `/${child.name}` : `${path}/${child.name}`, depth + 1);
      }
    } catch {
      // The group went away while we looked.
    }
  }
}
