// Which package a path belongs to, for hundreds of thousands of paths in little memory: one number for each, 37 bits of a hash of the path and
// 16 of the package, sorted. The hash has a secret of this process, so nobody can choose a path that is taken for another. Pure.

/** Most packages: their number has 16 bits. */
export const PACKAGES_MAX = 65_536;
/** Most paths: 16 MB. */
const PATHS_MAX: number = 2 << 20;

const HASH_RANGE = 2 ** 37;

/** Folders that were merged into /usr, as they are still called in old lists. */
const MERGED = /^\/(?:bin|sbin|lib|lib32|lib64|libx32)\//;

/** See the head of this file. */
export class PackageIndex {
  readonly #isMerged: boolean;
  readonly #secret: bigint;
  readonly #names: string[] = [];
  #entries = new Float64Array(1024);
  #count = 0;
  #isSorted = false;

  /** `isMerged`: /bin and its like are links into /usr. `secret` is random. */
  constructor(isMerged: boolean, secret: bigint) {
    this.#isMerged = isMerged;
    this.#secret = secret;
  }

  /** Paths in the index. */
  get size(): number {
    return this.#count;
  }

  /** Begins a package; {@link add} adds to it. False: there are too many. */
  begin(name: string): boolean {
    if (this.#names.length >= PACKAGES_MAX) return false;
    this.#names.push(name);
    return true;
  }

  /** Adds a path to the package begun last. What passes the limit is left out. */
  add(path: string): void {
    if (this.#count >= PATHS_MAX || this.#names.length === 0) return;
    if (this.#count === this.#entries.length) {
      const larger = new Float64Array(Math.max(1024, this.#count * 2));
      larger.set(this.#entries);
      this.#entries = larger;
    }
    this.#entries[this.#count++] = this.#keyOf(path) + this.#names.length - 1;
    this.#isSorted = false;
  }

  /** Name of the package; `undefined` when none has the path. */
  ownerOf(path: string): string | undefined {
    if (!this.#isSorted) {
      this.#entries = this.#entries.slice(0, this.#count).sort();
      this.#isSorted = true;
    }
    const key = this.#keyOf(path);
    let [low, high] = [0, this.#count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#entries[middle]! < key) low = middle + 1;
      else high = middle;
    }
    const found = this.#entries[low];
    return low < this.#count && found! < key + PACKAGES_MAX ? this.#names[found! - key] : undefined;
  }

  #keyOf(path: string): number {
    const name = this.#isMerged && MERGED.test(path) ? `/usr${path}` : path;
    return Number(Bun.hash.wyhash(name, this.#secret) % BigInt(HASH_RANGE)) * PACKAGES_MAX;
  }
}
