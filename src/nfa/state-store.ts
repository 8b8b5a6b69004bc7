// The state of all rules: keys, their partial matches, the events those hold. It keeps the books (entries and bytes by rule and in all, last
// use, what changed since the last checkpoint) and evicts what is over quota; what a partial match means is up to the steps.
import type { Arena } from "./arena.ts";
import { DirtyRows } from "./dirty-rows.ts";
import type { EventPool } from "./event-pool.ts";
import type { HashSeed } from "./key-hash.ts";
import { KeyTable } from "./key-table.ts";
import type { StateLimits } from "./limits.ts";
import { MATCH_ROW_BYTES, MatchPool, NODE_BYTES } from "./match-pool.ts";
import { EVICTION_CAUSES, type EvictionCause } from "./ports.ts";
import type { RuleRuntime } from "./rule-runtime.ts";
import { NONE } from "./slots.ts";
import { compareTimes, TIME_MAX_HI, TIME_MAX_LO } from "./time-words.ts";

/** Kinds of change the store tells about, for traces and alerts. */
export interface StateEvents {
  /** A partial match is about to be evicted. */
  onEvict(runtime: RuleRuntime, match: number, cause: EvictionCause): void;
}

/** See the file's opening. */
export class StateStore {
  readonly keys: KeyTable;
  readonly matches: MatchPool;
  readonly owners: (RuleRuntime | undefined)[] = [];
  readonly dirty: DirtyRows = new DirtyRows();
  /** Rows of the snapshot whose keys are gone. */
  goneKeys: { readonly owner: number; readonly key: Uint8Array }[] = [];
  /** Running number of what was started or completed last. */
  order: number = 0;

  constructor(
    readonly events: EventPool,
    readonly limits: StateLimits,
    seed: HashSeed,
    readonly listener: StateEvents,
  ) {
    const arena: Arena = events.arena;
    this.keys = new KeyTable(arena, seed);
    this.matches = new MatchPool(events);
  }

  /** Bytes of all state. */
  get bytes(): number {
    return this.events.keptBytes + this.keys.bytes + this.matches.count * MATCH_ROW_BYTES + this.matches.nodeCount * NODE_BYTES;
  }

  runtimeOf(key: number): RuleRuntime {
    return this.owners[this.keys.ownerOf(key)]!;
  }

  /** A new key without matches. */
  addKey(runtime: RuleRuntime, hash: number, bytes: Uint8Array, from: number, to: number): number {
    const key = this.keys.add(runtime.owner, hash, bytes, from, to);
    this.#resizeKeys();
    this.matches.lists.clear(key);
    this.dirty.start(key);
    runtime.bytes += this.keys.bytesOf(key);
    return key;
  }

  /** Forgets a key that has no matches left. */
  dropKeyIfEmpty(key: number): void {
    const owner = this.keys.ownerOf(key);
    if (owner === NONE || !this.matches.lists.isEmpty(key)) return;
    const runtime = this.owners[owner]!;
    if (this.dirty.isSaved(key)) this.goneKeys.push({ owner, key: this.keys.keyOf(key) });
    runtime.bytes -= this.keys.bytesOf(key);
    this.keys.remove(key);
    this.#resizeKeys();
  }

  /** Notes a use of the key that changed its state. */
  touch(key: number): void {
    this.keys.touch(key);
    this.dirty.mark(key);
  }

  /** A chain one event longer; takes over the reference to the parent. */
  addNode(runtime: RuleRuntime, event: number, parent: number): number {
    const node = this.matches.addNode(event, parent);
    runtime.bytes += this.matches.nodeBytes(node);
    return node;
  }

  /** A partial match in no list yet, counted at its stage. */
  addMatch(runtime: RuleRuntime, key: number, stage: number, node: number): number {
    const match = this.matches.add(key, stage, node);
    this.matches.timers.order[match] = ++this.order;
    runtime.stageCounts[stage]!++;
    runtime.entries++;
    runtime.bytes += MATCH_ROW_BYTES;
    runtime.noteChain(stage);
    return match;
  }

  /** Another stage for a match. */
  setStage(runtime: RuleRuntime, match: number, stage: number): void {
    runtime.stageCounts[this.matches.stage[match]!]!--;
    runtime.stageCounts[stage]!++;
    this.matches.stage[match] = stage;
    runtime.noteChain(stage);
  }

  /** A completed match joins those that wait, under a new number: they alert in the order they completed. */
  startWaiting(runtime: RuleRuntime, match: number): void {
    const { matches } = this;
    matches.timers.cancel(match);
    runtime.stageCounts[matches.stage[match]!]!--;
    runtime.waiting++;
    matches.timers.order[match] = ++this.order;
    matches.appendWaiting(match);
    this.#schedule(match);
  }

  /** Takes a match out of its list and frees it with its chain. */
  dropMatch(runtime: RuleRuntime, match: number): void {
    this.matches.unlink(match);
    this.freeMatch(runtime, match);
  }

  /** Frees a match that is in no list. */
  freeMatch(runtime: RuleRuntime, match: number): void {
    const { matches } = this;
    if (matches.isWaiting[match] === 1) runtime.waiting--;
    else runtime.stageCounts[matches.stage[match]!]!--;
    runtime.entries--;
    runtime.bytes -= MATCH_ROW_BYTES + matches.releaseChain(matches.node[match]!);
    matches.free(match);
  }

  /** Sets the match's deadline to a time and the rule's span, and its timer. */
  startSpan(runtime: RuleRuntime, match: number, timeHi: number, timeLo: number): void {
    const { timers } = this.matches;
    const { span } = runtime.table;
    if (span === undefined) {
      timers.deadlineHi[match] = TIME_MAX_HI;
      timers.deadlineLo[match] = TIME_MAX_LO;
      return;
    }
    const lo = timeLo + span.lo;
    const hi = timeHi + span.hi + (lo > 0xffffffff ? 1 : 0);
    const isOver = hi > TIME_MAX_HI;
    timers.deadlineHi[match] = isOver ? TIME_MAX_HI : hi;
    // The last instant itself is never a deadline: nothing comes after it.
    timers.deadlineLo[match] = isOver ? TIME_MAX_LO - 1 : lo;
    this.#schedule(match);
  }

  /** A restored match that waited: no new number. */
  restoreWaiting(runtime: RuleRuntime, match: number): void {
    runtime.stageCounts[this.matches.stage[match]!]!--;
    runtime.waiting++;
    this.matches.appendWaiting(match);
  }

  /** Sets a deadline that is known, and its timer; a copy or a restored match has its order too. */
  setDeadline(match: number, hi: number, lo: number, order?: number): void {
    const { timers } = this.matches;
    timers.cancel(match);
    if (order !== undefined) timers.order[match] = order;
    timers.deadlineHi[match] = hi;
    timers.deadlineLo[match] = lo;
    this.#schedule(match);
  }

  /** Sets the timer of a match whose deadline is known; one that never ends has none. */
  #schedule(match: number): void {
    const { timers } = this.matches;
    if (timers.deadlineHi[match] === TIME_MAX_HI && timers.deadlineLo[match] === TIME_MAX_LO) return;
    timers.schedule(match);
  }

  /** Whether a match's deadline is before the time. */
  isOver(match: number, timeHi: number, timeLo: number): boolean {
    const { deadlineHi, deadlineLo } = this.matches.timers;
    return compareTimes(deadlineHi[match]!, deadlineLo[match]!, timeHi, timeLo) < 0;
  }

  /** Forgets all of a rule's state. */
  dropOwner(runtime: RuleRuntime): void {
    for (let key = this.keys.oldestOf(runtime.owner); key !== NONE; key = this.keys.oldestOf(runtime.owner)) {
      this.#clearKey(runtime, key);
      // The whole owner goes from the snapshot.
      this.dirty.start(key);
      this.dropKeyIfEmpty(key);
    }
    this.goneKeys = this.goneKeys.filter((gone) => gone.owner !== runtime.owner);
  }

  #clearKey(runtime: RuleRuntime, key: number): void {
    const { lists } = this.matches;
    while (lists.head[key] !== NONE) this.dropMatch(runtime, lists.head[key]!);
    while (lists.waitingHead[key] !== NONE) this.dropMatch(runtime, lists.waitingHead[key]!);
  }

  #resizeKeys(): void {
    const { capacity } = this.keys.slots;
    this.dirty.resize(capacity);
    if (capacity !== this.matches.lists.head.length) this.matches.lists.resize(capacity);
  }

  /** Evicts what this rule, and then all rules together, have over their quotas. */
  keepQuotas(runtime: RuleRuntime): void {
    const { limits } = this;
    while (runtime.entries > limits.ruleEntriesMax) this.#evict(this.keys.oldestOf(runtime.owner), "rule-entries");
    while (runtime.bytes > limits.ruleBytesMax && this.keys.oldestOf(runtime.owner) !== NONE) {
      this.#evict(this.keys.oldestOf(runtime.owner), "rule-bytes");
    }
    while (this.matches.count > limits.entriesMax) this.#evict(this.keys.oldest, "entries");
    while (this.keys.oldest !== NONE && this.bytes > limits.bytesMax) this.#evict(this.keys.oldest, "bytes");
  }

  // The least recently used key goes whole. Where one key can hold many matches (`match: all`, trailing missing) it loses them one at a time,
  // those furthest on and of those the oldest first: or one full quota would cost everything the rule has.
  #evict(key: number, cause: EvictionCause): void {
    const runtime = this.runtimeOf(key);
    const { lists } = this.matches;
    this.dirty.mark(key);
    do {
      const waiting = lists.waitingHead[key]!;
      const match = waiting !== NONE ? waiting : lists.head[key]!;
      if (match === NONE) break;
      this.listener.onEvict(runtime, match, cause);
      runtime.counters.evictions[EVICTION_CAUSES.indexOf(cause)]!++;
      runtime.isDirty = true;
      this.dropMatch(runtime, match);
    } while (!runtime.holdsMany);
    this.dropKeyIfEmpty(key);
  }
}
