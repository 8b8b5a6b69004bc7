// Keys of owners: an open-addressing table over rows, each row a key's bytes in the arena with its place in two lists by last use, its
// owner's and everybody's. Keys are compared byte by byte; what they mean is up to the caller. What is read together lies together, in one
// cache line: over a million keys every column of its own is a miss of its own.
import type { Arena } from "./arena.ts";
import { type HashSeed, hashKey } from "./key-hash.ts";
import { NONE, resized, Slots } from "./slots.ts";

const TABLE_FIRST = 128;

/** Bytes a row takes beside its key: the columns here and up to four table cells. */
const KEY_ROW_BYTES = 72;

/** Words of a row that a search reads. */
const enum Row {
  Hash = 0,
  Owner = 1,
  KeyAddress = 2,
  KeyLength = 3,
  Words = 4,
}

/** Words of a row's places in the lists. */
const enum Link {
  Older = 0,
  Newer = 1,
  OwnerOlder = 2,
  OwnerNewer = 3,
  Words = 4,
}

/** Rows of keys. */
export class KeyTable {
  /** When the row was last used, by a clock that counts uses. */
  stamp: Float64Array = new Float64Array(0);
  /** Bytes of all rows and their keys. */
  bytes = 0;
  /** Uses so far. */
  clock = 0;
  /** Least recently used row of all. */
  oldest: number = NONE;
  readonly slots: Slots = new Slots();
  #newest = NONE;
  readonly #ownerOldest: number[] = [];
  readonly #ownerNewest: number[] = [];
  #rows = new Int32Array(0);
  #links = new Int32Array(0);
  /** Pairs: the hash, and the row or NONE. */
  #table = new Int32Array(TABLE_FIRST * 2).fill(NONE);

  constructor(
    readonly arena: Arena,
    readonly seed: HashSeed,
  ) {}

  /** The row's owner; NONE when the row is free. */
  ownerOf(row: number): number {
    return this.#rows[row * Row.Words + Row.Owner]!;
  }

  /** The owner's least recently used row. */
  oldestOf(owner: number): number {
    return this.#ownerOldest[owner] ?? NONE;
  }

  /** Hash of a key, for `find` and `add`. */
  hash(owner: number, bytes: Uint8Array, from: number, to: number): number {
    return hashKey(this.seed, owner, bytes, from, to);
  }

  /** Row of the owner's key `bytes[from, to)`, NONE when there is none. */
  find(owner: number, hash: number, bytes: Uint8Array, from: number, to: number): number {
    const table = this.#table;
    const rows = this.#rows;
    const mask = (table.length >>> 1) - 1;
    const signed = hash | 0;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const row = table[at * 2 + 1]!;
      if (row === NONE) return NONE;
      if (table[at * 2] !== signed) continue;
      const base = row * Row.Words;
      if (rows[base + Row.Owner] === owner && rows[base + Row.KeyLength] === to - from && this.#equals(row, bytes, from)) return row;
    }
  }

  /** A new row for a key that is not there yet. Its place by use is the newest. */
  add(owner: number, hash: number, bytes: Uint8Array, from: number, to: number): number {
    const row = this.slots.take();
    if (this.slots.capacity !== this.stamp.length) this.#resize();
    const address = this.arena.take(to - from);
    const target = this.arena.bytesOf(address);
    const offset = this.arena.offsetOf(address);
    for (let index = 0; index < to - from; index++) target[offset + index] = bytes[from + index]!;
    const base = row * Row.Words;
    this.#rows[base + Row.Hash] = hash;
    this.#rows[base + Row.Owner] = owner;
    this.#rows[base + Row.KeyAddress] = address;
    this.#rows[base + Row.KeyLength] = to - from;
    if (this.slots.used * 4 > this.#table.length) this.#grow();
    this.#insert(row);
    this.#append(row);
    this.bytes += this.bytesOf(row);
    return row;
  }

  /** Notes a use of the row. */
  touch(row: number): void {
    if (this.#newest === row) {
      this.stamp[row] = ++this.clock;
      return;
    }
    this.#detach(row);
    this.#append(row);
  }

  /** Forgets a row. */
  remove(row: number): void {
    this.bytes -= this.bytesOf(row);
    this.#detach(row);
    this.#erase(row);
    this.arena.give(this.#addressOf(row));
    this.#rows[row * Row.Words + Row.Owner] = NONE;
    this.slots.give(row);
    if (this.slots.capacity !== this.stamp.length) {
      this.#resize();
      this.#table = new Int32Array(TABLE_FIRST * 2).fill(NONE);
    }
  }

  /** A copy of the row's key. */
  keyOf(row: number): Uint8Array {
    const address = this.#addressOf(row);
    const offset = this.arena.offsetOf(address);
    return this.arena.bytesOf(address).slice(offset, offset + this.#rows[row * Row.Words + Row.KeyLength]!);
  }

  /** Bytes the row takes. */
  bytesOf(row: number): number {
    return KEY_ROW_BYTES + this.arena.chargeOf(this.#addressOf(row));
  }

  #addressOf(row: number): number {
    return this.#rows[row * Row.Words + Row.KeyAddress]! >>> 0;
  }

  #equals(row: number, bytes: Uint8Array, from: number): boolean {
    const address = this.#addressOf(row);
    const own = this.arena.bytesOf(address);
    const offset = this.arena.offsetOf(address);
    const length = this.#rows[row * Row.Words + Row.KeyLength]!;
    for (let index = 0; index < length; index++) if (own[offset + index] !== bytes[from + index]) return false;
    return true;
  }

  #insert(row: number): void {
    const table = this.#table;
    const mask = (table.length >>> 1) - 1;
    const hash = this.#rows[row * Row.Words + Row.Hash]!;
    let at = hash & mask;
    while (table[at * 2 + 1] !== NONE) at = (at + 1) & mask;
    table[at * 2] = hash;
    table[at * 2 + 1] = row;
  }

  // Rows behind the hole move up where their hash lets them, so that no search stops early and no tombstone is left.
  #erase(row: number): void {
    const table = this.#table;
    const mask = (table.length >>> 1) - 1;
    let hole = this.#rows[row * Row.Words + Row.Hash]! & mask;
    while (table[hole * 2 + 1] !== row) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; table[at * 2 + 1] !== NONE; at = (at + 1) & mask) {
      const home = table[at * 2]! & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      table[hole * 2] = table[at * 2]!;
      table[hole * 2 + 1] = table[at * 2 + 1]!;
      hole = at;
    }
    table[hole * 2 + 1] = NONE;
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Int32Array(old.length * 2).fill(NONE);
    for (let at = 1; at < old.length; at += 2) if (old[at] !== NONE) this.#insert(old[at]!);
  }

  #append(row: number): void {
    const links = this.#links;
    const owner = this.ownerOf(row);
    const base = row * Link.Words;
    this.stamp[row] = ++this.clock;
    links[base + Link.Older] = this.#newest;
    links[base + Link.Newer] = NONE;
    if (this.#newest !== NONE) links[this.#newest * Link.Words + Link.Newer] = row;
    else this.oldest = row;
    this.#newest = row;
    const last = this.#ownerNewest[owner] ?? NONE;
    links[base + Link.OwnerOlder] = last;
    links[base + Link.OwnerNewer] = NONE;
    if (last !== NONE) links[last * Link.Words + Link.OwnerNewer] = row;
    else this.#ownerOldest[owner] = row;
    this.#ownerNewest[owner] = row;
  }

  #detach(row: number): void {
    const links = this.#links;
    const base = row * Link.Words;
    const older = links[base + Link.Older]!;
    const newer = links[base + Link.Newer]!;
    if (older !== NONE) links[older * Link.Words + Link.Newer] = newer;
    else this.oldest = newer;
    if (newer !== NONE) links[newer * Link.Words + Link.Older] = older;
    else this.#newest = older;
    const owner = this.ownerOf(row);
    const ownerOlder = links[base + Link.OwnerOlder]!;
    const ownerNewer = links[base + Link.OwnerNewer]!;
    if (ownerOlder !== NONE) links[ownerOlder * Link.Words + Link.OwnerNewer] = ownerNewer;
    else this.#ownerOldest[owner] = ownerNewer;
    if (ownerNewer !== NONE) links[ownerNewer * Link.Words + Link.OwnerOlder] = ownerOlder;
    else this.#ownerNewest[owner] = ownerOlder;
  }

  #resize(): void {
    const { capacity } = this.slots;
    this.stamp = resized(this.stamp, capacity);
    this.#rows = resized(this.#rows, capacity * Row.Words);
    this.#links = resized(this.#links, capacity * Link.Words);
  }
}
