// Partial matches and the chains of events they have taken. A chain's node names an event and the node before; chains that fork share their
// beginning. Partial matches of a key stand in two lists: those under way by stage, the furthest first, then by arrival; and those that are
// complete but wait for a trailing missing event not to come.
import type { EventPool } from "./event-pool.ts";
import { NONE, resized, Slots } from "./slots.ts";
import { TimerWheel } from "./timer-wheel.ts";

/** Bytes of a partial match and of a node beside the event. */
export const MATCH_ROW_BYTES = 72;
export const NODE_BYTES = 16;

/** Heads and tails of the two lists, by the row of the key. */
export class MatchLists {
  head: Int32Array = new Int32Array(0);
  tail: Int32Array = new Int32Array(0);
  waitingHead: Int32Array = new Int32Array(0);
  waitingTail: Int32Array = new Int32Array(0);

  resize(capacity: number): void {
    this.head = resized(this.head, capacity);
    this.tail = resized(this.tail, capacity);
    this.waitingHead = resized(this.waitingHead, capacity);
    this.waitingTail = resized(this.waitingTail, capacity);
  }

  /** Starts a key without matches. */
  clear(key: number): void {
    this.head[key] = NONE;
    this.tail[key] = NONE;
    this.waitingHead[key] = NONE;
    this.waitingTail[key] = NONE;
  }

  isEmpty(key: number): boolean {
    return this.head[key] === NONE && this.waitingHead[key] === NONE;
  }
}

/** Rows of partial matches and of nodes. */
export class MatchPool {
  readonly lists: MatchLists = new MatchLists();
  readonly timers: TimerWheel = new TimerWheel();
  /** Row of the key. */
  key: Int32Array = new Int32Array(0);
  stage: Int32Array = new Int32Array(0);
  /** Last node of the chain, NONE when it has no events. */
  node: Int32Array = new Int32Array(0);
  next: Int32Array = new Int32Array(0);
  previous: Int32Array = new Int32Array(0);
  /** Until when the latest leading missing event before the first event speaks against a match. */
  leadHi: Int32Array = new Int32Array(0);
  leadLo: Uint32Array = new Uint32Array(0);
  hasLead: Uint8Array = new Uint8Array(0);
  isWaiting: Uint8Array = new Uint8Array(0);
  nodeEvent: Int32Array = new Int32Array(0);
  nodeParent: Int32Array = new Int32Array(0);
  readonly #slots = new Slots();
  readonly #nodeSlots = new Slots();
  #nodeReferences = new Int32Array(0);

  constructor(readonly events: EventPool) {}

  /** Partial matches, and nodes. */
  get count(): number {
    return this.#slots.used;
  }

  get nodeCount(): number {
    return this.#nodeSlots.used;
  }

  /** A partial match in no list. It takes over the caller's reference to the node. */
  add(key: number, stage: number, node: number): number {
    const match = this.#slots.take();
    if (this.#slots.capacity !== this.key.length) this.#resize();
    this.key[match] = key;
    this.stage[match] = stage;
    this.node[match] = node;
    this.hasLead[match] = 0;
    this.isWaiting[match] = 0;
    return match;
  }

  /** Frees a partial match that is in no list any more; its chain is released by the caller. */
  free(match: number): void {
    this.timers.cancel(match);
    this.#slots.give(match);
    if (this.#slots.capacity !== this.key.length) this.#resize();
  }

  /** Puts a match into its key's list behind `after`, NONE for the front. */
  insert(match: number, after: number): void {
    const { head, tail } = this.lists;
    const key = this.key[match]!;
    const next = after === NONE ? head[key]! : this.next[after]!;
    this.previous[match] = after;
    this.next[match] = next;
    if (after === NONE) head[key] = match;
    else this.next[after] = match;
    if (next === NONE) tail[key] = match;
    else this.previous[next] = match;
  }

  /** Puts a match at the end of its key's waiting list. */
  appendWaiting(match: number): void {
    const { waitingHead, waitingTail } = this.lists;
    const key = this.key[match]!;
    const last = waitingTail[key]!;
    this.isWaiting[match] = 1;
    this.previous[match] = last;
    this.next[match] = NONE;
    if (last === NONE) waitingHead[key] = match;
    else this.next[last] = match;
    waitingTail[key] = match;
  }

  /** Takes a match out of the list it is in. */
  unlink(match: number): void {
    const key = this.key[match]!;
    const isWaiting = this.isWaiting[match] === 1;
    const heads = isWaiting ? this.lists.waitingHead : this.lists.head;
    const tails = isWaiting ? this.lists.waitingTail : this.lists.tail;
    const next = this.next[match]!;
    const previous = this.previous[match]!;
    if (previous === NONE) heads[key] = next;
    else this.next[previous] = next;
    if (next === NONE) tails[key] = previous;
    else this.previous[next] = previous;
  }

  /** A node with one reference; it takes over the caller's reference to the parent. */
  addNode(event: number, parent: number): number {
    const node = this.#nodeSlots.take();
    if (this.#nodeSlots.capacity !== this.nodeEvent.length) this.#resizeNodes();
    this.nodeEvent[node] = event;
    this.nodeParent[node] = parent;
    this.#nodeReferences[node] = 1;
    this.events.keep(event);
    return node;
  }

  /** One more reference to a chain. */
  retainNode(node: number): void {
    this.#nodeReferences[node]!++;
  }

  /** Takes back a reference to a chain. Returns the bytes that became free. */
  releaseChain(last: number): number {
    let bytes = 0;
    let node = last;
    while (node !== NONE && --this.#nodeReferences[node]! === 0) {
      const parent = this.nodeParent[node]!;
      bytes += this.nodeBytes(node);
      this.events.letGo(this.nodeEvent[node]!);
      this.#nodeSlots.give(node);
      if (this.#nodeSlots.capacity !== this.nodeEvent.length) this.#resizeNodes();
      node = parent;
    }
    return bytes;
  }

  /** Bytes a node is charged with. */
  nodeBytes(node: number): number {
    return NODE_BYTES + this.events.bytesOf(this.nodeEvent[node]!);
  }

  #resize(): void {
    const { capacity } = this.#slots;
    this.timers.resize(capacity);
    this.key = resized(this.key, capacity);
    this.stage = resized(this.stage, capacity);
    this.node = resized(this.node, capacity);
    this.next = resized(this.next, capacity);
    this.previous = resized(this.previous, capacity);
    this.leadHi = resized(this.leadHi, capacity);
    this.leadLo = resized(this.leadLo, capacity);
    this.hasLead = resized(this.hasLead, capacity);
    this.isWaiting = resized(this.isWaiting, capacity);
  }

  #resizeNodes(): void {
    const { capacity } = this.#nodeSlots;
    this.nodeEvent = resized(this.nodeEvent, capacity);
    this.nodeParent = resized(this.nodeParent, capacity);
    this.#nodeReferences = resized(this.#nodeReferences, capacity);
  }
}
