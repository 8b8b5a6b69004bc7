// Names behind numbers: users and groups from /etc/passwd and /etc/group. Caches that look again when their file changed, at most once a
// second. No lookup leaves the machine.
import { readFileSync, statSync } from "node:fs";

const LOOK_AGAIN_NS = 1_000_000_000;
const FILE_BYTES_MAX = 16 << 20;

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
