// Whether the agent's program and rule files are still those it started with. A change while it runs does nothing yet: it is what the next start
// would run.
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import type { Finding, Watch } from "#core";

interface Identity {
  /** Inode, size and times: what can only stay the same if nobody touched the file. */
  readonly stat: string;
  /** Of the content; undefined for files too large to read while events wait. */
  readonly hash: string | undefined;
}

/** Larger ones are known by inode, size and times alone. */
const HASHED_BYTES_MAX = 1 << 20;
/** Most files watched; more than that many rule files are not told apart by people either. */
const FILES_MAX = 10_000;

/** See the head of this file. */
export class FileWatch implements Watch {
  readonly name = "files";
  readonly title = "The agent's program or rules were changed on disk";
  readonly kind = "moment";
  readonly #paths: () => readonly string[];
  readonly #known: Map<string, Identity | undefined>;

  /** `paths` is asked at every look: folders of rules get new files. */
  constructor(paths: () => readonly string[]) {
    this.#paths = paths;
    this.#known = new Map(
      paths()
        .slice(0, FILES_MAX)
        .map((path) => [path, identityOf(path, undefined)]),
    );
  }

  look(): readonly Finding[] {
    const found: Finding[] = [];
    for (const path of this.#paths()) if (this.#known.size < FILES_MAX && !this.#known.has(path)) this.#known.set(path, undefined);
    for (const [path, before] of this.#known) {
      const now = identityOf(path, before);
      if (now === before) continue;
      this.#known.set(path, now);
      const what = whatHappened(before, now);
      if (what !== undefined)
        found.push({ subject: path, message: `${path} was ${what} while the agent runs`, facts: { "file.path": path } });
    }
    return found;
  }
}

function whatHappened(before: Identity | undefined, now: Identity | undefined): string | undefined {
  if (now === undefined) return "removed";
  if (before === undefined) return "made";
  // Its times or rights changed, or it was replaced by the same.
  return before.hash !== undefined && before.hash === now.hash ? undefined : "changed";
}

/** `before` itself when nothing about the file changed; undefined when there is none. */
function identityOf(path: string, before: Identity | undefined): Identity | undefined {
  try {
    const status = statSync(path, { bigint: true });
    const { dev, ino, size, mtimeNs, ctimeNs } = status;
    const stat = [dev, ino, size, mtimeNs, ctimeNs].join();
    if (before?.stat === stat) return before;
    // A pipe or device among the rules would never end.
    const hash = !status.isFile() || size > HASHED_BYTES_MAX ? undefined : createHash("sha256").update(readFileSync(path)).digest("hex");
    return { stat, hash };
  } catch {
    return undefined;
  }
}
