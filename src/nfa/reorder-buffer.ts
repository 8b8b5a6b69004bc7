// Events with hits that wait until the watermark has passed them: a heap in the order of events, each with a chain of its hits.
import type { EventPool } from "./event-pool.ts";
import { NONE, resized, Slots } from "./slots.ts";

/** See the file's opening. */
export class ReorderBuffer {
  hitOwner: Int32Array = new Int32Array(0);
  hitSlots: Uint32Array = new Uint32Array(0);
  hitNext: Int32Array = new Int32Array(0);
  /** Bytes of the events in the buffer. */
  bytes: number = 0;
  readonly #slots = new Slots();
  readonly #heap: number[] = [];

  constructor(readonly events: EventPool) {}

  /** Hits held, those of the event at hand included. */
  get hitCount(): number {
    return this.#slots.used;
  }

  get eventCount(): number {
    return this.#heap.length;
  }

  /** Adds a hit to an event. Hits are handled in the order they were added. */
  addHit(event: number, last: number, owner: number, slots: number): number {
    const hit = this.#slots.take();
    if (this.#slots.capacity !== this.hitOwner.length) this.#resize();
    this.hitOwner[hit] = owner;
    this.hitSlots[hit] = slots;
    this.hitNext[hit] = NONE;
    if (last === NONE) this.events.firstHit[event] = hit;
    else this.hitNext[last] = hit;
    return hit;
  }

  /** Frees an event's hits. */
  freeHits(event: number): void {
    for (let hit = this.events.firstHit[event]!; hit !== NONE; ) {
      const next = this.hitNext[hit]!;
      this.#slots.give(hit);
      hit = next;
    }
    this.events.firstHit[event] = NONE;
    if (this.#slots.capacity !== this.hitOwner.length) this.#resize();
  }

  /** The event that is released next, NONE when there is none. */
  get first(): number {
    return this.#heap[0] ?? NONE;
  }

  /** All events, in no order. */
  all(): readonly number[] {
    return this.#heap;
  }

  push(event: number): void {
    const heap = this.#heap;
    const { events } = this;
    this.bytes += events.sizeOf(event);
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (events.compareArrivals(event, heap[parent]!) >= 0) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  /** Takes out the first event; the caller frees its hits. */
  pop(): number {
    const heap = this.#heap;
    const { events } = this;
    const first = heap[0]!;
    this.bytes -= events.sizeOf(first);
    const moved = heap.pop()!;
    const count = heap.length;
    if (count === 0) return first;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= count) break;
      if (child + 1 < count && events.compareArrivals(heap[child + 1]!, heap[child]!) < 0) child++;
      if (events.compareArrivals(heap[child]!, moved) >= 0) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = moved;
    return first;
  }

  #resize(): void {
    const { capacity } = this.#slots;
    this.hitOwner = resized(this.hitOwner, capacity);
    this.hitSlots = resized(this.hitSlots, capacity);
    this.hitNext = resized(this.hitNext, capacity);
  }
}
