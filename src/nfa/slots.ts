// Numbers for the rows of a struct of arrays: taken, given back, taken again. Columns follow `capacity`; when nothing is left in use it falls
// back to its first size, so that a flood does not keep memory for ever.

/** No row, no list, no value. */
export const NONE = -1;

const CAPACITY_FIRST = 64;

type Column = Int32Array | Uint32Array | Float64Array | Uint8Array | Int16Array;

/** A column of another length with the same values as far as they fit. */
export function resized<T extends Column>(column: T, capacity: number): T {
  const Type = column.constructor as new (length: number) => T;
  const next = new Type(capacity);
  next.set(capacity < column.length ? column.subarray(0, capacity) : column);
  return next;
}

/** Hands out row numbers below `capacity`. */
export class Slots {
  capacity: number = CAPACITY_FIRST;
  /** Rows in use. */
  used: number = 0;
  #next = new Int32Array(CAPACITY_FIRST);
  #free = NONE;
  #fresh = 0;

  /** A free row. The caller resizes its columns when `capacity` changed. */
  take(): number {
    this.used++;
    const free = this.#free;
    if (free !== NONE) {
      this.#free = this.#next[free]!;
      return free;
    }
    if (this.#fresh === this.capacity) {
      this.capacity *= 2;
      this.#next = resized(this.#next, this.capacity);
    }
    return this.#fresh++;
  }

  /** Takes a row back. */
  give(row: number): void {
    this.used--;
    if (this.used > 0) {
      this.#next[row] = this.#free;
      this.#free = row;
      return;
    }
    this.#free = NONE;
    this.#fresh = 0;
    if (this.capacity === CAPACITY_FIRST) return;
    this.capacity = CAPACITY_FIRST;
    this.#next = new Int32Array(CAPACITY_FIRST);
  }
}
