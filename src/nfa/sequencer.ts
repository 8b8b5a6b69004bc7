// The sequencer: hits in, matches out. It puts events into order (reorder buffer, watermark), hands them on as the watermark passes them, and
// moves time. Invariant: what it does depends on records, hits and promises of time alone, never on where batches end.
import { assert, type Checkpoint, type SavedState } from "#core";
import { recordSize } from "#event";
import { Header } from "#schema";
import { Arena } from "./arena.ts";
import { restoreRows } from "./checkpoint-reader.ts";
import { changedRows, type SequencerParts } from "./checkpoint-writer.ts";
import { Dispatcher } from "./dispatcher.ts";
import { EventPool, type Tiebreak } from "./event-pool.ts";
import type { HashSeed } from "./key-hash.ts";
import type { StateLimits } from "./limits.ts";
import { Lineages } from "./lineage.ts";
import type { EvictionCause, SequencedRule, SequencerMetrics } from "./ports.ts";
import { ReorderBuffer } from "./reorder-buffer.ts";
import { RuleRuntime } from "./rule-runtime.ts";
import { NONE } from "./slots.ts";
import { StateStore } from "./state-store.ts";
import { type Position, StepContext, type StepOutput, startPosition } from "./step-context.ts";
import { compareTimes, highWord, lowWord, TIME_MAX_HI, TIME_MAX_LO, TIME_MIN_HI } from "./time-words.ts";

/** What the sequencer needs to know and whom it tells. Its callbacks must not call it back. */
export interface SequencerOptions extends StepOutput {
  readonly limits: StateLimits;
  readonly tiebreak: Tiebreak;
  /** A rule lost state to a quota for the first time. `record`: the event that was one too many. */
  onEviction(ruleId: string, cause: EvictionCause, record: Uint8Array): void;
  /** Secret of the key table's hash; no result depends on it. Random unless given. */
  readonly hashSeed?: HashSeed;
}

/**
 * Runs the plans of all loaded rules. For every record, in the order of seq: `begin`, a `hit` for each rule that some slot of was met, `end`.
 * Matches come out of `end`, `progress` and `finish`.
 */
export class Sequencer {
  readonly #options: SequencerOptions;
  readonly #events: EventPool;
  readonly #buffer: ReorderBuffer;
  readonly #store: StateStore;
  readonly #lineages: Lineages;
  readonly #context: StepContext;
  readonly #dispatcher: Dispatcher;
  #rules: readonly RuleRuntime[] = [];
  readonly #freeOwners: number[] = [];
  #reorderHi: number;
  #reorderLo: number;
  // The record between begin and end.
  #bytes: Uint8Array = new Uint8Array(0);
  #offset = 0;
  #timeHi = 0;
  #timeLo = 0;
  #event = NONE;
  #lastHit = NONE;
  readonly #position: Position = startPosition();
  /** Owners all of whose rows go with the next checkpoint. */
  readonly #cleared = new Set<string>();
  readonly #group: number[] = [];

  readonly #parts: SequencerParts;

  constructor(options: SequencerOptions) {
    const { limits, tiebreak } = options;
    const seed = options.hashSeed ?? randomSeed();
    this.#options = options;
    this.#reorderHi = highWord(limits.reorderNs);
    this.#reorderLo = lowWord(limits.reorderNs);
    this.#events = new EventPool(new Arena(), tiebreak);
    this.#buffer = new ReorderBuffer(this.#events);
    this.#store = new StateStore(this.#events, limits, seed, { onEvict: (runtime, match, cause) => this.#onEvict(runtime, match, cause) });
    this.#lineages = new Lineages(this.#events, limits, seed);
    this.#context = new StepContext(this.#store, this.#position, options, this.#lineages);
    this.#dispatcher = new Dispatcher(this.#context, this.#buffer, this.#lineages, this.#cleared);
    this.#parts = {
      events: this.#events,
      buffer: this.#buffer,
      store: this.#store,
      lineages: this.#lineages,
      position: this.#position,
      cleared: this.#cleared,
    };
  }

  /** No rules are loaded: records need not be announced. */
  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }

  /** Something waits for time to go on: a live source should promise progress even when no records come. */
  get isWaiting(): boolean {
    return this.#buffer.eventCount > 0 || this.#rules.some((runtime) => runtime.waiting > 0);
  }

  /** Replaces the rules, between two records. A rule with the same id and fingerprint keeps its state. */
  load(rules: readonly SequencedRule[]): void {
    assert(this.#event === NONE, "rules are loaded between records");
    const before = new Map(this.#rules.map((runtime) => [runtime.rule.id, runtime]));
    const kept = new Map<SequencedRule, RuleRuntime>();
    for (const rule of rules) {
      const known = before.get(rule.id);
      if (known === undefined || known.rule.fingerprint !== rule.fingerprint || known.rule.matchAll !== rule.matchAll) continue;
      known.reload(rule, this.#options.limits);
      before.delete(rule.id);
      kept.set(rule, known);
    }
    for (const runtime of before.values()) this.#drop(runtime);
    this.#rules = rules.map((rule) => kept.get(rule) ?? this.#add(rule));
  }

  /** Announces a record, with or without hits. The bytes must stay until `end`. */
  begin(bytes: Uint8Array, offset: number): void {
    this.#bytes = bytes;
    this.#offset = offset;
    this.#timeLo = wordAt(bytes, offset + Header.Time) >>> 0;
    this.#timeHi = wordAt(bytes, offset + Header.Time + 4);
  }

  /** The record met slots of a rule: bit s for slot s of `planSlots`. `rule` is its position in the list loaded last. */
  hit(rule: number, slots: number): void {
    if (this.#event === NONE) {
      const size = recordSize(this.#bytes, this.#offset);
      this.#event = this.#events.add(this.#bytes, this.#offset, size, ++this.#position.eventNumber);
    }
    this.#lastHit = this.#buffer.addHit(this.#event, this.#lastHit, this.#rules[rule]!.owner, slots);
  }

  /** Ends the record: releases what the watermark has passed. */
  end(): void {
    const event = this.#event;
    if (event !== NONE) {
      this.#event = NONE;
      this.#lastHit = NONE;
      if (compareTimes(this.#timeHi, this.#timeLo, this.#position.watermarkHi, this.#position.watermarkLo) < 0) this.#handleLate(event);
      else {
        this.#buffer.push(event);
        const { reorderHitsMax, reorderBytesMax } = this.#options.limits;
        while (this.#buffer.hitCount > reorderHitsMax || this.#buffer.bytes > reorderBytesMax) this.#forceRelease();
      }
    }
    const lo = this.#timeLo - this.#reorderLo;
    const hi = this.#timeHi - this.#reorderHi - (lo < 0 ? 1 : 0);
    if (hi < TIME_MIN_HI) return;
    this.#moveTo(hi, lo >>> 0);
  }

  /** The source promises that nothing earlier than the time comes any more. */
  progress(timeNs: bigint): void {
    this.#moveTo(highWord(timeNs), lowWord(timeNs));
  }

  /**
   * Ends a replay: everything is released, what waits for something missing alerts, what is under way expires. Later records are late: who
   * wants to go on another time takes a checkpoint instead.
   */
  finish(): void {
    this.#moveTo(TIME_MAX_HI, TIME_MAX_LO);
    while (this.#buffer.first !== NONE) this.#releaseGroup();
    this.#dispatcher.fireBefore(TIME_MAX_HI, TIME_MAX_LO);
  }

  /** What changed since the last checkpoint. Taken between two records. */
  takeCheckpoint(): Checkpoint {
    assert(this.#event === NONE, "a checkpoint is taken between records");
    const checkpoint = { cleared: [...this.#cleared], rows: changedRows(this.#parts) };
    this.#cleared.clear();
    return checkpoint;
  }

  /**
   * Goes on from saved state: after `load`, before the first record. State of rules that are not loaded or have another fingerprint is
   * dropped. Returns what is wrong with the state; unless that is empty, nothing of it is used.
   */
  restore(state: SavedState): readonly string[] {
    assert(this.#position.eventNumber === 0 && this.#event === NONE, "state is restored before the first record");
    return restoreRows(this.#parts, state);
  }

  /** Counters as they are now. */
  metrics(): SequencerMetrics {
    return {
      rules: this.#rules.map((runtime) => runtime.metrics()),
      entries: this.#store.matches.count,
      bytes: this.#store.bytes + this.#lineages.bytes + this.#buffer.bytes,
      buffered: this.#buffer.hitCount,
      lateEvents: this.#position.lateEvents,
      lateDrops: this.#position.lateDrops,
      forcedReleases: this.#position.forcedReleases,
      lineageMarks: this.#lineages.marks.slots.used,
      lineageLinks: this.#lineages.links.slots.used,
      lineageEvictions: this.#lineages.evictions,
    };
  }

  #moveTo(hi: number, lo: number): void {
    if (compareTimes(hi, lo, this.#position.watermarkHi, this.#position.watermarkLo) <= 0) return;
    this.#position.watermarkHi = hi;
    this.#position.watermarkLo = lo;
    const { timeHi, timeLo } = this.#events;
    for (let first = this.#buffer.first; first !== NONE; first = this.#buffer.first) {
      if (compareTimes(timeHi[first]!, timeLo[first]!, hi, lo) >= 0) break;
      this.#releaseGroup();
    }
    this.#dispatcher.fireBefore(hi, lo);
  }

  /** Releases the first event of the buffer and all with equal ordinals. */
  #releaseGroup(): void {
    const group = this.#group;
    const events = this.#events;
    const first = this.#buffer.pop();
    group.push(first);
    while (this.#buffer.first !== NONE && events.compare(first, this.#buffer.first) === 0) group.push(this.#buffer.pop());
    this.#dispatcher.fireBefore(events.timeHi[first]!, events.timeLo[first]!);
    this.#handleGroup();
  }

  #handleGroup(): void {
    const group = this.#group;
    this.#dispatcher.handle(group);
    for (const event of group) {
      this.#buffer.freeHits(event);
      this.#events.release(event);
    }
    group.length = 0;
  }

  #handleLate(event: number): void {
    this.#position.lateEvents++;
    this.#context.isLate = true;
    this.#group.push(event);
    this.#handleGroup();
    this.#context.isLate = false;
  }

  // What stays in the buffer is not earlier: the watermark follows, so that events before the released ones count as late.
  #forceRelease(): void {
    this.#position.forcedReleases++;
    const { timeHi, timeLo } = this.#events;
    const first = this.#buffer.first;
    const hi = timeHi[first]!;
    const lo = timeLo[first]!;
    this.#releaseGroup();
    if (compareTimes(hi, lo, this.#position.watermarkHi, this.#position.watermarkLo) > 0) this.#moveTo(hi, lo);
  }

  #add(rule: SequencedRule): RuleRuntime {
    const { owners } = this.#store;
    const runtime = new RuleRuntime(rule, this.#freeOwners.pop() ?? owners.length, this.#options.limits);
    owners[runtime.owner] = runtime;
    return runtime;
  }

  #drop(runtime: RuleRuntime): void {
    const buffer = this.#buffer;
    this.#dispatcher.dropState(runtime);
    this.#store.owners[runtime.owner] = undefined;
    this.#freeOwners.push(runtime.owner);
    for (const event of buffer.all()) {
      for (let hit = this.#events.firstHit[event]!; hit !== NONE; hit = buffer.hitNext[hit]!) {
        if (buffer.hitOwner[hit] === runtime.owner) buffer.hitOwner[hit] = NONE;
      }
    }
  }

  #onEvict(runtime: RuleRuntime, match: number, cause: EvictionCause): void {
    const { matches } = this.#store;
    const event = this.#dispatcher.event;
    if (this.#context.isTracing) {
      const stage = Math.min(matches.stage[match]!, runtime.table.stageCount - 1);
      this.#context.trace("evicted", runtime, { slot: runtime.table.stageSteps[stage]!, event, key: matches.key[match]!, match });
    }
    if (runtime.counters.evictions.some((count) => count > 0)) return;
    this.#options.onEviction(runtime.rule.id, cause, this.#events.copy(event));
  }
}

// Who sends events must not be able to make their keys collide. No result depends on the seed.
function randomSeed(): HashSeed {
  const [first, second] = crypto.getRandomValues(new Uint32Array(2));
  return { first: first!, second: second! };
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}
