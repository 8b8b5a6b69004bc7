// Keys of owners: an open-addressing table over rows, each row a key's bytes in the arena with its place in two lists by last use, its
// owner's and everybody's. Keys are compared byte by byte; what they mean is up to the caller.
import type { Arena } from "./arena.ts";
import { type HashSeed, hashKey } from "./key-hash.ts";
import { NONE, resized, Slots } from "./slots.ts";

const TABLE_FIRST = 128;

/** Bytes a row takes beside its key: the columns here and two table cells. */
const KEY_ROW_BYTES = 56;

/** Rows of keys. */
export class KeyTable {
  owner: Int32Array = new Int32Array(0);
  /** When the row was last used, by a clock that counts uses. */
  stamp: Float64Array = new Float64Array(0);
  keyAddress: Uint32Array = new Uint32Array(0);
  keyLength: Uint32Array = new Uint32Array(0);
  /** Bytes of all rows and their keys. */
  bytes: number = 0;
  /** Uses so far. */
  clock: number = 0;
  /** Least recently used row of all. */
  oldest: number = NONE;
  readonly slots: Slots = new Slots();
  #newest = NONE;
  readonly #ownerOldest: number[] = [];
  readonly #ownerNewest: number[] = [];
  #hash = new Uint32Array(0);
  #older = new Int32Array(0);
  #newer = new Int32Array(0);
  #ownerOlder = new Int32Array(0);
  #ownerNewer = new Int32Array(0);
  #table = new Int32Array(TABLE_FIRST).fill(NONE);

  constructor(
    readonly arena: Arena,
    readonly seed: HashSeed,
  ) {}

  /** The owner's least recently used row. */
  oldestOf(owner: number): number {
    return this.#ownerOldest[owner] ?? NONE;
  }

  /** The row used next after this one by its owner. */
  newerOfOwner(row: number): number {
    return this.#ownerNewer[row]!;
  }

  /** Hash of a key, for `find` and `add`. */
  hash(owner: number, bytes: Uint8Array, from: number, to: number): number {
    return hashKey(this.seed, owner, bytes, from, to);
  }

  /** Row of the owner's key `bytes[from, to)`, NONE when there is none. */
  find(owner: number, hash: number, bytes: Uint8Array, from: number, to: number): number {
    const table = this.#table;
    const mask = table.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const row = table[at]!;
      if (row === NONE) return NONE;
      if (this.#hash[row] === hash && this.owner[row] === owner && this.keyLength[row] === to - from && this.#equals(row, bytes, from)) {
        return row;
      }
    }
  }

  /** A new row for a key that is not there yet. Its place by use is the newest. */
  add(owner: number, hash: number, bytes: Uint8Array, from: number, to: number): number {
    const row = this.slots.take();
    if (this.slots.capacity !== this.owner.length) this.#resize();
    const address = this.arena.take(to - from);
    const target = this.arena.bytesOf(address);
    const offset = this.arena.offsetOf(address);
    for (let index = 0; index < to - from; index++) target[offset + index] = bytes[from + index]!;
    this.owner[row] = owner;
    this.keyAddress[row] = address;
    this.keyLength[row] = to - from;
    this.#hash[row] = hash;
    if (this.slots.used * 2 > this.#table.length) this.#grow();
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
    this.arena.give(this.keyAddress[row]!);
    this.owner[row] = NONE;
    this.slots.give(row);
    if (this.slots.capacity !== this.owner.length) {
      this.#resize();
      this.#table = new Int32Array(TABLE_FIRST).fill(NONE);
    }
  }

  /** A copy of the row's key. */
  keyOf(row: number): Uint8Array {
    const offset = this.arena.offsetOf(this.keyAddress[row]!);
    return this.arena.bytesOf(this.keyAddress[row]!).slice(offset, offset + this.keyLength[row]!);
  }

  /** Bytes the row takes. */
  bytesOf(row: number): number {
    return KEY_ROW_BYTES + this.arena.chargeOf(this.keyAddress[row]!);
  }

  #equals(row: number, bytes: Uint8Array, from: number): boolean {
    const address = this.keyAddress[row]!;
    const own = this.arena.bytesOf(address);
    const offset = this.arena.offsetOf(address);
    const length = this.keyLength[row]!;
    for (let index = 0; index < length; index++) if (own[offset + index] !== bytes[from + index]) return false;
    return true;
  }

  #insert(row: number): void {
    const table = this.#table;
    const mask = table.length - 1;
    let at = this.#hash[row]! & mask;
    while (table[at] !== NONE) at = (at + 1) & mask;
    table[at] = row;
  }

  // Rows behind the hole move up where their hash lets them, so that no search stops early and no tombstone is left.
  #erase(row: number): void {
    const table = this.#table;
    const mask = table.length - 1;
    let hole = this.#hash[row]! & mask;
    while (table[hole] !== row) hole = (hole + 1) & mask;
    for (let at = (hole + 1) & mask; table[at] !== NONE; at = (at + 1) & mask) {
      const home = this.#hash[table[at]!]! & mask;
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        table[hole] = table[at]!;
        hole = at;
      }
    }
    table[hole] = NONE;
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Int32Array(old.length * 2).fill(NONE);
    for (const row of old) if (row !== NONE) this.#insert(row);
  }

  #append(row: number): void {
    const owner = this.owner[row]!;
    this.stamp[row] = ++this.clock;
    this.#older[row] = this.#newest;
    this.#newer[row] = NONE;
    if (this.#newest !== NONE) this.#newer[this.#newest] = row;
    else this.oldest = row;
    this.#newest = row;
    const last = this.#ownerNewest[owner] ?? NONE;
    this.#ownerOlder[row] = last;
    this.#ownerNewer[row] = NONE;
    if (last !== NONE) this.#ownerNewer[last] = row;
    else this.#ownerOldest[owner] = row;
    this.#ownerNewest[owner] = row;
  }

  #detach(row: number): void {
    const older = this.#older[row]!;
    const newer = this.#newer[row]!;
    if (older !== NONE) this.#newer[older] = newer;
    else this.oldest = newer;
    if (newer !== NONE) this.#older[newer] = older;
    else this.#newest = older;
    const owner = this.owner[row]!;
    const ownerOlder = this.#ownerOlder[row]!;
    const ownerNewer = this.#ownerNewer[row]!;
    if (ownerOlder !== NONE) this.#ownerNewer[ownerOlder] = ownerNewer;
    else this.#ownerOldest[owner] = ownerNewer;
    if (ownerNewer !== NONE) this.#ownerOlder[ownerNewer] = ownerOlder;
    else this.#ownerNewest[owner] = ownerOlder;
  }

  #resize(): void {
    const { capacity } = this.slots;
    this.owner = resized(this.owner, capacity);
    this.stamp = resized(this.stamp, capacity);
    this.keyAddress = resized(this.keyAddress, capacity);
    this.keyLength = resized(this.keyLength, capacity);
    this.#hash = resized(this.#hash, capacity);
    this.#older = resized(this.#older, capacity);
    this.#newer = resized(this.#newer, capacity);
    this.#ownerOlder = resized(this.#ownerOlder, capacity);
    this.#ownerNewer = resized(this.#ownerNewer, capacity);
  }
}
