// Whether the program of a process came with a package, by its path. Asks the databases of this machine, so only of files that stand at that path
// in our own root: a container has packages of its own. It says where a file came from, not that it is still as it came. The databases are
// looked at again when they have changed, once a minute at most; until they are read nothing is said.
import { lstatSync, statSync } from "node:fs";
import { readDpkg } from "./dpkg-database.ts";
import type { FileReader } from "./file-reader.ts";
import { PackageIndex } from "./package-index.ts";
import type { ProgramFacts } from "./program-inspector.ts";
import { RpmDatabase } from "./rpm-database.ts";

/** Where the databases are. */
export interface PackagePlaces {
  readonly dpkg: string;
  readonly rpm: readonly string[];
}

const PLACES: PackagePlaces = {
  dpkg: "/var/lib/dpkg",
  rpm: ["/usr/lib/sysimage/rpm/rpmdb.sqlite", "/var/lib/rpm/rpmdb.sqlite"],
};
const LOOK_AGAIN_NS = 60_000_000_000;

/** See the head of this file. */
export class Packages {
  readonly #places: PackagePlaces;
  readonly #secret: bigint;
  readonly #reader: Pick<FileReader, "standsAt">;
  #index: PackageIndex | undefined;
  #rpm: RpmDatabase | undefined;
  #stamp = "";
  #lookedNs = Number.NEGATIVE_INFINITY;
  #isReading = false;

  /** `secret` is random; the reader is closed by whoever made it. */
  constructor(secret: bigint, reader: Pick<FileReader, "standsAt">, places: PackagePlaces = PLACES) {
    this.#secret = secret;
    this.#reader = reader;
    this.#places = places;
  }

  /**
   * Name of the package of a program that is known, empty when no package has it; `undefined`: not known, or not yet. `nowNs` is any steady
   * clock.
   */
  ownerOf(path: string, program: ProgramFacts, nowNs: number): string | undefined {
    if (nowNs - this.#lookedNs >= LOOK_AGAIN_NS) {
      this.#lookedNs = nowNs;
      void this.refresh();
    }
    if ((this.#index === undefined && this.#rpm === undefined) || !this.#isAt(path, program)) return undefined;
    return this.#index?.ownerOf(path) ?? this.#rpm?.ownerOf(path) ?? "";
  }

  /** Whether the file of the program stands at the path in our own root. Looks once for a path that is new, and says so from then on. */
  #isAt(path: string, program: ProgramFacts): boolean {
    if (program.ownPath === path) return true;
    if (program.askedPath === path || path === program.file.path) return false;
    program.askedPath = path;
    this.#reader.standsAt(path, program.file, (isThere) => {
      if (isThere) program.ownPath = path;
    });
    return false;
  }

  /** Reads the databases if they have changed. Resolves when they are read. */
  async refresh(): Promise<void> {
    const stamp = [`${this.#places.dpkg}/info`, `${this.#places.dpkg}/diversions`, ...this.#places.rpm].map(stampOf).join(" ");
    if (this.#isReading || stamp === this.#stamp) return;
    this.#isReading = true;
    const index = new PackageIndex(isLink("/bin"), this.#secret);
    const hasDpkg = await readDpkg(this.#places.dpkg, index);
    this.#rpm?.close();
    this.#rpm = RpmDatabase.open(this.#places.rpm);
    this.#index = hasDpkg ? index : undefined;
    this.#stamp = stamp;
    this.#isReading = false;
  }

  /** Closes what is open. Twice is fine. */
  close(): void {
    this.#rpm?.close();
    this.#rpm = undefined;
  }
}

function stampOf(path: string): string {
  try {
    const { mtimeNs, ino } = statSync(path, { bigint: true });
    return `${ino}/${mtimeNs}`;
  } catch {
    return "-";
  }
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch {
    return false;
  }
}
