// Hands released events to the steps of their rules: lineages first, then by key the missing steps, until and the positive steps. Events with
// equal ordinals go through each part together, so that their arrival does not matter to missing steps. Also fires what time makes due.
import { KeyReader, type KeyRequest } from "./key-reader.ts";
import type { Lineages } from "./lineage.ts";
import { lowestSlot, slotBit } from "./plan-table.ts";
import type { ReorderBuffer } from "./reorder-buffer.ts";
import type { RuleRuntime } from "./rule-runtime.ts";
import { SequenceSteps } from "./sequence-steps.ts";
import { SetSteps } from "./set-steps.ts";
import { NONE } from "./slots.ts";
import type { StepContext } from "./step-context.ts";

/** Parts of a hit. */
const enum Phase {
  Lineage = 1,
  Missing = 2,
  Steps = 4,
  All = 7,
}

/** See the file's opening. */
export class Dispatcher {
  /** The event at hand, for who is told of an eviction. */
  event: number = NONE;
  readonly #keys: KeyReader;
  readonly #sequences: SequenceSteps;
  readonly #sets: SetSteps;
  /** Keys and rules that the events at hand may have changed. */
  readonly #touchedKeys: number[] = [];
  readonly #touchedRules: RuleRuntime[] = [];

  constructor(
    readonly context: StepContext,
    readonly buffer: ReorderBuffer,
    readonly lineages: Lineages,
    /** Owners all of whose rows in the snapshot are to go. */
    readonly cleared: Set<string>,
  ) {
    this.#keys = new KeyReader(context.events);
    this.#sequences = new SequenceSteps(context);
    this.#sets = new SetSteps(context);
  }

  /** Handles events with equal ordinals in the order they arrived. Their hits are the caller's to free. */
  handle(events: readonly number[]): void {
    if (this.context.output.onTurn !== undefined) for (const event of events) this.#announce(event);
    if (events.length === 1) this.#handleOne(events[0]!, Phase.All);
    else {
      for (const phase of [Phase.Lineage, Phase.Missing, Phase.Steps]) for (const event of events) this.#handleOne(event, phase);
    }
    this.#sequences.clearMissing();
    this.context.clearReported();
    this.#tidy();
  }

  /** Fires deadlines before the time, in their order: what waited alerts, the rest expires. */
  fireBefore(timeHi: number, timeLo: number): void {
    const { context } = this;
    const { store } = context;
    const { matches } = store;
    let lastHi = 0;
    let lastLo = 0;
    context.mayRepeat = true;
    for (let match = matches.timers.pop(timeHi, timeLo); match !== NONE; match = matches.timers.pop(timeHi, timeLo)) {
      const key = matches.key[match]!;
      const runtime = store.runtimeOf(key);
      const { deadlineHi, deadlineLo } = matches.timers;
      if (deadlineHi[match] !== lastHi || deadlineLo[match] !== lastLo) context.clearReported();
      lastHi = deadlineHi[match]!;
      lastLo = deadlineLo[match]!;
      this.#fire(runtime, match, key);
      store.dropMatch(runtime, match);
      store.dirty.mark(key);
      store.dropKeyIfEmpty(key);
    }
    context.clearReported();
  }

  /** Drops all state of a rule, in the snapshot too. */
  dropState(runtime: RuleRuntime): void {
    this.context.store.dropOwner(runtime);
    this.lineages.dropOwner(runtime.owner);
    this.cleared.add(runtime.rule.id);
    runtime.isDirty = true;
  }

  #fire(runtime: RuleRuntime, match: number, key: number): void {
    const { context } = this;
    const { matches } = context.store;
    const { table } = runtime;
    const stage = matches.stage[match]!;
    if (matches.isWaiting[match] === 1) {
      context.complete(runtime, key, matches.node[match]!, table.stageSteps[table.stageCount - 1]!);
      return;
    }
    runtime.isDirty = true;
    if (stage > 0) runtime.counters.expiries++;
    if (stage > 0 && context.isTracing) {
      context.trace("expired", runtime, { slot: table.stageSteps[Math.min(stage, table.stageCount - 1)]!, event: NONE, key, match });
    }
  }

  #announce(event: number): void {
    const { buffer, context } = this;
    for (let hit = context.events.firstHit[event]!; hit !== NONE; hit = buffer.hitNext[hit]!) {
      const runtime = context.store.owners[buffer.hitOwner[hit]!];
      if (runtime !== undefined) context.output.onTurn?.(runtime.rule, buffer.hitSlots[hit]!, context.events.view(event, 0));
    }
  }

  #handleOne(event: number, phases: Phase): void {
    const { buffer, context } = this;
    this.event = event;
    for (let hit = context.events.firstHit[event]!; hit !== NONE; hit = buffer.hitNext[hit]!) {
      const runtime = context.store.owners[buffer.hitOwner[hit]!];
      if (runtime !== undefined && !runtime.isFaulted) this.#handleHit(runtime, event, buffer.hitSlots[hit]!, phases);
    }
  }

  #handleHit(runtime: RuleRuntime, event: number, slots: number, phases: Phase): void {
    const { table } = runtime;
    if ((phases & Phase.Lineage) !== 0 && (slots & (table.lineageBits | table.linkBit)) !== 0) this.#handleLineages(runtime, event, slots);
    let bits = 0;
    if ((phases & Phase.Missing) !== 0) bits |= slots & table.missingBits;
    if ((phases & Phase.Steps) !== 0) bits |= slots & (table.positiveBits | table.untilBit);
    if (bits === 0) return;
    if (table.plan.kind === "event") {
      this.context.mayRepeat = false;
      const slot = lowestSlot(bits);
      if (this.context.holds(runtime, slot, event, NONE)) this.context.completeWith(runtime, NONE, [event], slot);
      else if (this.context.isTracing) this.context.trace("residual-false", runtime, { slot, event, key: NONE });
      return;
    }
    if (!this.#readKeys(runtime, event, bits)) return;
    this.#touchedRules.push(runtime);
    this.context.mayRepeat = this.#keys.count > 1;
    for (let index = 0; index < this.#keys.count && !runtime.isFaulted; index++) this.#handleKey(runtime, index, event, phases);
  }

  #handleLineages(runtime: RuleRuntime, event: number, slots: number): void {
    const { table } = runtime;
    for (let rest = slots & table.lineageBits; rest !== 0; rest &= rest - 1) {
      const slot = lowestSlot(rest);
      const isMarked = this.context.holds(runtime, slot, event, NONE);
      if (isMarked) this.lineages.mark(runtime, slot - table.lineageSlot, event);
      if (this.context.isTracing) this.context.trace(isMarked ? "marked" : "residual-false", runtime, { slot, event, key: NONE });
    }
    if ((slots & table.linkBit) !== 0) this.lineages.link(runtime, event);
  }

  /** Makes the keys of the slots; false when the rule failed over it. */
  #readKeys(runtime: RuleRuntime, event: number, bits: number): boolean {
    const keys = this.#keys;
    const { table } = runtime;
    keys.clear();
    keys.cut = 0;
    try {
      for (let index = 0, rest = bits; rest !== 0; index++) {
        const slot = table.keyOrder[index]!;
        if ((rest & slotBit(slot)) === 0) continue;
        const request = runtime.keyRequests.length === 1 ? runtime.keyRequests[0]! : requestFor(runtime, slot);
        const own = rest & request.spec.bits;
        rest &= ~own;
        if (keys.read(request, event, own) || !this.context.isTracing) continue;
        for (let left = own; left !== 0; left &= left - 1) {
          this.context.trace("key-missing", runtime, { slot: lowestSlot(left), event, key: NONE });
        }
      }
    } catch (error) {
      this.context.fault(runtime, error, event);
      return false;
    }
    if (keys.cut > 0) {
      runtime.counters.keysCut += keys.cut;
      runtime.isDirty = true;
    }
    return true;
  }

  #handleKey(runtime: RuleRuntime, index: number, event: number, phases: Phase): void {
    const { store } = this.context;
    const { table } = runtime;
    const { bytes, starts, ends } = this.#keys;
    const bits = this.#keys.bits[index]!;
    const from = starts[index]!;
    const to = ends[index]!;
    const hash = store.keys.hash(runtime.owner, bytes, from, to);
    let key = store.keys.find(runtime.owner, hash, bytes, from, to);
    if (key === NONE) {
      // Without a match only an event that leaves one needs the key: the first step, a leading missing one, or a missing one of which other
      // events with the same ordinal must hear.
      const isShared = phases !== Phase.All && (bits & table.missingBits) !== 0;
      if ((bits & table.openingBits) === 0 && !isShared) {
        if (this.context.isTracing) this.#traceIdle(runtime, event, bits, bytes.subarray(from, to));
        return;
      }
      key = store.addKey(runtime, hash, bytes, from, to);
    }
    this.#touchedKeys.push(key);
    if (this.#handleSteps(runtime, key, event, bits)) store.touch(key);
  }

  #handleSteps(runtime: RuleRuntime, key: number, event: number, bits: number): boolean {
    const { table } = runtime;
    const missing = bits & table.missingBits;
    const positive = bits & table.positiveBits;
    const isUntil = (bits & table.untilBit) !== 0;
    switch (table.plan.kind) {
      case "sample":
        return positive !== 0 && this.#sets.takeSample(runtime, key, event, positive);
      case "join": {
        let hasChanged = isUntil && table.plan.untilFirst && this.#sets.takeUntil(runtime, key, event);
        if (positive !== 0) hasChanged = this.#sets.takeJoin(runtime, key, event, positive) || hasChanged;
        return (isUntil && !table.plan.untilFirst && this.#sets.takeUntil(runtime, key, event)) || hasChanged;
      }
      default:
        if (missing !== 0) this.#sequences.takeMissing(runtime, key, event, missing);
        if (isUntil && table.plan.untilFirst) this.#sequences.takeUntil(runtime, key, event);
        if (positive !== 0) this.#sequences.takeSteps(runtime, key, event, positive);
        if (isUntil && !table.plan.untilFirst) this.#sequences.takeUntil(runtime, key, event);
        return this.#sequences.takeChange();
    }
  }

  #traceIdle(runtime: RuleRuntime, event: number, bits: number, key: Uint8Array): void {
    for (let rest = bits & runtime.table.positiveBits; rest !== 0; rest &= ~slotBit(lowestSlot(rest))) {
      this.context.trace("nothing-waiting", runtime, { slot: lowestSlot(rest), event, key });
    }
  }

  // Keys that hold nothing go, rules that failed lose their state, and quotas hold again before the next event.
  #tidy(): void {
    const { store, faulted } = this.context;
    for (const key of this.#touchedKeys) store.dropKeyIfEmpty(key);
    this.#touchedKeys.length = 0;
    while (faulted.length > 0) this.dropState(faulted.pop()!);
    for (const runtime of this.#touchedRules) store.keepQuotas(runtime);
    this.#touchedRules.length = 0;
  }
}

function requestFor(runtime: RuleRuntime, slot: number): KeyRequest {
  return runtime.keyRequests.find(({ spec }) => (spec.bits & slotBit(slot)) !== 0)!;
}
