// Deadlines in event time: eight wheels of 32 buckets over ticks of 2^24 ns (17 ms), which together reach over all 64-bit times, and a heap
// for what is due within the tick that is reached. Rows come out exactly when asked for, in order of deadline, then of `order`.
import { NONE, resized } from "./slots.ts";
import { compareTimes } from "./time-words.ts";

const LEVELS = 8;
const LEVEL_BITS = 5;
const BUCKETS = 32;
/** Place of a row that no timer holds, and of one in the heap; buckets are 0 to 255. */
const NOWHERE = -1;
const IN_HEAP = 256;

/** Timers by row number; the caller owns the numbers. */
export class TimerWheel {
  deadlineHi: Int32Array = new Int32Array(0);
  deadlineLo: Uint32Array = new Uint32Array(0);
  /** Breaks ties between equal deadlines. */
  order: Float64Array = new Float64Array(0);
  #next = new Int32Array(0);
  /** Previous row of the bucket; in the heap, the position. */
  #previous = new Int32Array(0);
  #place = new Int16Array(0);
  readonly #heads = new Int32Array(LEVELS * BUCKETS).fill(NONE);
  readonly #occupied = new Int32Array(LEVELS);
  readonly #heap: number[] = [];
  /** The tick reached, in two halves of 20 bits. */
  #tickHi = 0;
  #tickLo = 0;

  /** Makes room for rows below `capacity`. */
  resize(capacity: number): void {
    const before = this.#place.length;
    this.deadlineHi = resized(this.deadlineHi, capacity);
    this.deadlineLo = resized(this.deadlineLo, capacity);
    this.order = resized(this.order, capacity);
    this.#next = resized(this.#next, capacity);
    this.#previous = resized(this.#previous, capacity);
    this.#place = resized(this.#place, capacity);
    if (capacity > before) this.#place.fill(NOWHERE, before);
  }

  /** Sets a timer for the row's deadline and order, which are set before and stay until it is out or cancelled. */
  schedule(row: number): void {
    const hi = tickHigh(this.deadlineHi[row]!);
    const lo = tickLow(this.deadlineHi[row]!, this.deadlineLo[row]!);
    if (hi < this.#tickHi || (hi === this.#tickHi && lo <= this.#tickLo)) {
      this.#push(row);
      return;
    }
    const highBits = hi ^ this.#tickHi;
    const group = Math.floor((31 - Math.clz32(highBits !== 0 ? highBits : lo ^ this.#tickLo)) / LEVEL_BITS);
    const digit = ((highBits !== 0 ? hi : lo) >>> (group * LEVEL_BITS)) & (BUCKETS - 1);
    const level = highBits !== 0 ? group + LEVELS / 2 : group;
    const bucket = level * BUCKETS + digit;
    const head = this.#heads[bucket]!;
    this.#next[row] = head;
    this.#previous[row] = NONE;
    if (head !== NONE) this.#previous[head] = row;
    this.#heads[bucket] = row;
    this.#place[row] = bucket;
    this.#occupied[level]! |= 1 << digit;
  }

  /** Forgets the row's timer if it has one. */
  cancel(row: number): void {
    const place = this.#place[row]!;
    if (place === NOWHERE) return;
    this.#place[row] = NOWHERE;
    if (place === IN_HEAP) {
      this.#removeAt(this.#previous[row]!);
      return;
    }
    const next = this.#next[row]!;
    const previous = this.#previous[row]!;
    if (next !== NONE) this.#previous[next] = previous;
    if (previous !== NONE) this.#next[previous] = next;
    else {
      this.#heads[place] = next;
      if (next === NONE) this.#occupied[place >>> LEVEL_BITS]! &= ~(1 << (place & (BUCKETS - 1)));
    }
  }

  /** Takes out the next row whose deadline is before the time; NONE when there is none. */
  pop(timeHi: number, timeLo: number): number {
    for (;;) {
      const top = this.#heap[0];
      if (top !== undefined) {
        if (compareTimes(this.deadlineHi[top]!, this.deadlineLo[top]!, timeHi, timeLo) >= 0) return NONE;
        this.#place[top] = NOWHERE;
        this.#removeAt(0);
        return top;
      }
      if (!this.#advance(tickHigh(timeHi), tickLow(timeHi, timeLo))) return NONE;
    }
  }

  /** Moves on to the next bucket that is not after the tick and spreads its rows; false when there is none. */
  #advance(toHi: number, toLo: number): boolean {
    if (toHi < this.#tickHi || (toHi === this.#tickHi && toLo <= this.#tickLo)) return false;
    for (let level = 0; level < LEVELS; level++) {
      const inHigh = level >= LEVELS / 2;
      const shift = (inHigh ? level - LEVELS / 2 : level) * LEVEL_BITS;
      const half = inHigh ? this.#tickHi : this.#tickLo;
      const digit = (half >>> shift) & (BUCKETS - 1);
      const later = this.#occupied[level]! & ~((2 << digit) - 1);
      if (later === 0) continue;
      const next = 31 - Math.clz32(later & -later);
      const start = (half & ~((BUCKETS << shift) - 1)) | (next << shift);
      const startHi = inHigh ? start : this.#tickHi;
      const startLo = inHigh ? 0 : start;
      if (startHi > toHi || (startHi === toHi && startLo > toLo)) break;
      this.#tickHi = startHi;
      this.#tickLo = startLo;
      this.#spread(level * BUCKETS + next);
      return true;
    }
    this.#tickHi = toHi;
    this.#tickLo = toLo;
    return false;
  }

  #spread(bucket: number): void {
    let row = this.#heads[bucket]!;
    this.#heads[bucket] = NONE;
    this.#occupied[bucket >>> LEVEL_BITS]! &= ~(1 << (bucket & (BUCKETS - 1)));
    while (row !== NONE) {
      const next = this.#next[row]!;
      this.schedule(row);
      row = next;
    }
  }

  #push(row: number): void {
    this.#place[row] = IN_HEAP;
    this.#heap.push(row);
    this.#siftUp(this.#heap.length - 1, row);
  }

  #removeAt(position: number): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (position === heap.length) return;
    if (position > 0 && this.#isBefore(last, heap[(position - 1) >>> 1]!)) this.#siftUp(position, last);
    else this.#siftDown(position, last);
  }

  #siftUp(from: number, row: number): void {
    const heap = this.#heap;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (!this.#isBefore(row, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      this.#previous[heap[at]!] = at;
      at = parent;
    }
    heap[at] = row;
    this.#previous[row] = at;
  }

  #siftDown(from: number, row: number): void {
    const heap = this.#heap;
    let at = from;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!this.#isBefore(heap[child]!, row)) break;
      heap[at] = heap[child]!;
      this.#previous[heap[at]!] = at;
      at = child;
    }
    heap[at] = row;
    this.#previous[row] = at;
  }

  #isBefore(first: number, second: number): boolean {
    const order = compareTimes(this.deadlineHi[first]!, this.deadlineLo[first]!, this.deadlineHi[second]!, this.deadlineLo[second]!);
    return order !== 0 ? order < 0 : this.order[first]! < this.order[second]!;
  }
}

// A tick is the time without its 24 low bits, moved so that the earliest time is 0: 40 bits.
function tickHigh(timeHi: number): number {
  return (timeHi ^ 0x80000000) >>> 12;
}

function tickLow(timeHi: number, timeLo: number): number {
  return ((timeHi & 0xfff) << 8) | (timeLo >>> 24);
}
