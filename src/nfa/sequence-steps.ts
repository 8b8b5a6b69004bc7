// Steps of sequences. Missing steps act first, on what waits at their gap; then the stages from last to first, so that an event advances a
// match once; what reaches a gap whose missing event is at hand dies at once. The list of a key is ordered by stage, the furthest first, with
// what a leading missing step remembers (stage 0) at its end.
import { highestSlot, lowestSlot, slotBit } from "./plan-table.ts";
import type { TraceKind } from "./ports.ts";
import type { RuleRuntime } from "./rule-runtime.ts";
import { NONE } from "./slots.ts";
import type { StateStore } from "./state-store.ts";
import type { StepContext } from "./step-context.ts";
import { compareTimes } from "./time-words.ts";

/** Handles released events of sequence plans. */
export class SequenceSteps {
  readonly #store: StateStore;
  /** Whether the key at hand changed since `takeChange`. */
  #hasChanged = false;
  // Missing events of the current ordinal: the key they came under, their slots, the event.
  readonly #hotKeys: number[] = [];
  readonly #hotBits: number[] = [];
  readonly #hotEvents: number[] = [];

  constructor(readonly context: StepContext) {
    this.#store = context.store;
  }

  /** Whether something changed since the last call. */
  takeChange(): boolean {
    const changed = this.#hasChanged;
    this.#hasChanged = false;
    return changed;
  }

  /** Forgets the missing events of the ordinal before. */
  clearMissing(): void {
    if (this.#hotKeys.length === 0) return;
    this.#hotKeys.length = 0;
    this.#hotBits.length = 0;
    this.#hotEvents.length = 0;
  }

  /** An event of missing steps: kills what waits at their gaps, and is kept in mind while its ordinal lasts. */
  takeMissing(runtime: RuleRuntime, key: number, event: number, bits: number): void {
    const { table } = runtime;
    const { matches } = this.#store;
    this.#hotKeys.push(key);
    this.#hotBits.push(bits);
    this.#hotEvents.push(event);
    if ((bits & table.trailingBits) !== 0) {
      for (let match = matches.lists.waitingHead[key]!; match !== NONE; ) {
        const next = matches.next[match]!;
        if (this.#isKilledBy(runtime, match, event, bits & table.trailingBits)) this.#kill(runtime, match, event, "killed-by-missing");
        match = next;
      }
    }
    if ((bits & ~(table.leadingBits | table.trailingBits)) !== 0) {
      for (let match = matches.lists.head[key]!; match !== NONE; ) {
        const next = matches.next[match]!;
        const gap = bits & table.gapBits[matches.stage[match]!]!;
        if (this.#isKilledBy(runtime, match, event, gap)) this.#kill(runtime, match, event, "killed-by-missing");
        match = next;
      }
    }
    if ((bits & table.leadingBits) !== 0) this.#rememberLeading(runtime, key, event, bits & table.leadingBits);
  }

  /** An event of positive steps, from the last stage to the first. */
  takeSteps(runtime: RuleRuntime, key: number, event: number, bits: number): void {
    const { table } = runtime;
    const { matches } = this.#store;
    if (this.context.isTracing) this.#traceIdle(runtime, key, event, bits);
    const lastStage = Math.max(table.firstStages[lowestSlot(bits)]!, 1);
    let match = matches.lists.head[key]!;
    while (match !== NONE && matches.stage[match]! >= lastStage) {
      const stage = matches.stage[match]!;
      const isMet = (bits & slotBit(table.stageSteps[stage]!)) !== 0;
      // What advances goes to the end of the stage above.
      let above = matches.previous[match]!;
      do {
        const next = matches.next[match]!;
        if (isMet) above = this.#advance(runtime, match, event, above);
        match = next;
      } while (match !== NONE && matches.stage[match] === stage);
    }
    if ((bits & slotBit(table.stageSteps[0]!)) !== 0) this.#start(runtime, key, event);
  }

  /** An until event: ends what is under way, not what only waits. */
  takeUntil(runtime: RuleRuntime, key: number, event: number): void {
    const { matches } = this.#store;
    for (let match = matches.lists.head[key]!; match !== NONE && matches.stage[match]! > 0; ) {
      const next = matches.next[match]!;
      if (
        this.context.events.compare(event, this.#lastEvent(match)) >= 0 &&
        this.context.holds(runtime, runtime.table.untilSlot, event, match)
      ) {
        this.#kill(runtime, match, event, "killed-by-until");
      }
      match = next;
    }
  }

  // Returns the last match of the stages above this one.
  #advance(runtime: RuleRuntime, match: number, event: number, above: number): number {
    const { table } = runtime;
    const { matches } = this.#store;
    const stage = matches.stage[match]!;
    const slot = table.stageSteps[stage]!;
    if (this.context.events.compare(event, this.#lastEvent(match)) <= 0) {
      this.#trace("not-after", runtime, match, event);
      return above;
    }
    if (!this.context.holds(runtime, slot, event, match)) {
      this.#trace("residual-false", runtime, match, event);
      return above;
    }
    this.#hasChanged = true;
    const moved = (table.forkBits & slotBit(slot)) !== 0 ? this.#copy(runtime, match) : match;
    if (moved === match) matches.unlink(match);
    matches.node[moved] = this.#store.addNode(runtime, event, matches.node[moved]!);
    this.#store.setStage(runtime, moved, stage + 1);
    this.#trace("advanced", runtime, moved, event);
    if (stage + 1 < table.stageCount) return this.#place(runtime, moved, event, above);
    this.#finish(runtime, moved, event);
    return above;
  }

  /** Puts a match that is in no list behind `above`, overwriting what is at its stage. Returns the last match of its stage. */
  #place(runtime: RuleRuntime, match: number, event: number, above: number): number {
    const { matches } = this.#store;
    let behind = above;
    if (!runtime.rule.matchAll && above !== NONE && matches.stage[above] === matches.stage[match]) {
      // Only a late event can be older than what is there.
      if (this.context.events.compare(this.#lastEvent(above), event) > 0) {
        this.#trace("overwritten", runtime, match, event);
        this.#store.freeMatch(runtime, match);
        return above;
      }
      behind = matches.previous[above]!;
      this.#kill(runtime, above, event, "overwritten");
    }
    matches.insert(match, behind);
    if (!this.#isHot(runtime, match, runtime.table.gapBits[matches.stage[match]!]!)) return match;
    this.#kill(runtime, match, event, "killed-by-missing");
    return behind;
  }

  #start(runtime: RuleRuntime, key: number, event: number): void {
    const { matches, events } = this.#store;
    const { table } = runtime;
    if (!this.context.holds(runtime, table.stageSteps[0]!, event, NONE)) {
      if (this.context.isTracing) this.context.trace("residual-false", runtime, { slot: table.stageSteps[0]!, event, key });
      return;
    }
    this.#hasChanged = true;
    const match = this.#store.addMatch(runtime, key, 1, this.#store.addNode(runtime, event, NONE));
    this.#store.startSpan(runtime, match, events.timeHi[event]!, events.timeLo[event]!);
    let above = matches.lists.tail[key]!;
    if (above !== NONE && matches.stage[above] === 0) {
      this.#takeLead(match, above);
      above = matches.previous[above]!;
    }
    this.#trace("started", runtime, match, event);
    if (table.stageCount === 1) this.#finish(runtime, match, event);
    else this.#place(runtime, match, event, above);
  }

  // A leading missing event counts when it is not after the first event; both have the same span to their deadlines.
  #takeLead(match: number, lead: number): void {
    const { matches } = this.#store;
    const { deadlineHi, deadlineLo } = matches.timers;
    if (compareTimes(deadlineHi[lead]!, deadlineLo[lead]!, deadlineHi[match]!, deadlineLo[match]!) > 0) return;
    matches.hasLead[match] = 1;
    matches.leadHi[match] = deadlineHi[lead]!;
    matches.leadLo[match] = deadlineLo[lead]!;
  }

  /** The last positive step is done: alert, or wait for what must not come. The match is in no list. */
  #finish(runtime: RuleRuntime, match: number, event: number): void {
    const { matches, events } = this.#store;
    const { table } = runtime;
    const timeHi = events.timeHi[event]!;
    const timeLo = events.timeLo[event]!;
    if (matches.hasLead[match] === 1 && compareTimes(matches.leadHi[match]!, matches.leadLo[match]!, timeHi, timeLo) >= 0) {
      this.#trace("killed-by-missing", runtime, match, event);
      this.#store.freeMatch(runtime, match);
      return;
    }
    if (table.trailingBits === 0) {
      this.context.complete(runtime, matches.key[match]!, matches.node[match]!, table.stageSteps[table.stageCount - 1]!);
      this.#store.freeMatch(runtime, match);
      return;
    }
    const { position } = this.context;
    if (this.context.isLate && this.#store.isOver(match, position.watermarkHi, position.watermarkLo)) {
      // Whether the missing event came cannot be said any more.
      position.lateDrops++;
      this.#store.freeMatch(runtime, match);
      return;
    }
    this.#store.startWaiting(runtime, match);
    this.#trace("waiting", runtime, match, event);
    if (this.#isHot(runtime, match, table.trailingBits)) this.#kill(runtime, match, event, "killed-by-missing");
  }

  #rememberLeading(runtime: RuleRuntime, key: number, event: number, bits: number): void {
    if (!this.#anyHolds(runtime, event, NONE, bits)) return;
    if (this.context.isTracing) this.context.trace("remembered", runtime, { slot: lowestSlot(bits), event, key });
    const { matches, events } = this.#store;
    let lead = matches.lists.tail[key]!;
    if (lead === NONE || matches.stage[lead] !== 0) {
      lead = this.#store.addMatch(runtime, key, 0, NONE);
      matches.insert(lead, matches.lists.tail[key]!);
    } else {
      // An event that comes late may be older than the one that is remembered.
      const { deadlineHi, deadlineLo } = matches.timers;
      const hi = deadlineHi[lead]!;
      const lo = deadlineLo[lead]!;
      matches.timers.cancel(lead);
      this.#store.startSpan(runtime, lead, events.timeHi[event]!, events.timeLo[event]!);
      if (compareTimes(hi, lo, deadlineHi[lead]!, deadlineLo[lead]!) > 0) {
        this.#store.setDeadline(lead, hi, lo);
        return;
      }
      this.#hasChanged = true;
      return;
    }
    this.#store.startSpan(runtime, lead, events.timeHi[event]!, events.timeLo[event]!);
    this.#hasChanged = true;
  }

  #copy(runtime: RuleRuntime, match: number): number {
    const { matches } = this.#store;
    matches.retainNode(matches.node[match]!);
    const copy = this.#store.addMatch(runtime, matches.key[match]!, matches.stage[match]!, matches.node[match]!);
    this.#store.setDeadline(copy, matches.timers.deadlineHi[match]!, matches.timers.deadlineLo[match]!);
    matches.hasLead[copy] = matches.hasLead[match]!;
    matches.leadHi[copy] = matches.leadHi[match]!;
    matches.leadLo[copy] = matches.leadLo[match]!;
    return copy;
  }

  #lastEvent(match: number): number {
    const { matches } = this.#store;
    return matches.nodeEvent[matches.node[match]!]!;
  }

  /** Whether a missing event of the current ordinal forbids the place a match has come to. */
  #isHot(runtime: RuleRuntime, match: number, gap: number): boolean {
    if (gap === 0) return false;
    const key = this.#store.matches.key[match]!;
    for (let index = 0; index < this.#hotKeys.length; index++) {
      if (this.#hotKeys[index] === key && this.#isKilledBy(runtime, match, this.#hotEvents[index]!, this.#hotBits[index]! & gap))
        return true;
    }
    return false;
  }

  // Both bounds are inclusive: from the event taken last to, for what waits, the end of the span.
  #isKilledBy(runtime: RuleRuntime, match: number, event: number, bits: number): boolean {
    if (bits === 0) return false;
    const { matches, events } = this.#store;
    if (events.compare(event, this.#lastEvent(match)) < 0) return false;
    if (matches.isWaiting[match] === 1 && this.#store.isOver(match, events.timeHi[event]!, events.timeLo[event]!)) return false;
    return this.#anyHolds(runtime, event, match, bits);
  }

  #anyHolds(runtime: RuleRuntime, event: number, match: number, bits: number): boolean {
    for (let rest = bits; rest !== 0; rest &= rest - 1) {
      if (this.context.holds(runtime, lowestSlot(rest), event, match)) return true;
    }
    return false;
  }

  #kill(runtime: RuleRuntime, match: number, event: number, why: TraceKind): void {
    this.#hasChanged = true;
    this.#trace(why, runtime, match, event);
    this.#store.dropMatch(runtime, match);
  }

  #trace(kind: TraceKind, runtime: RuleRuntime, match: number, event: number): void {
    if (!this.context.isTracing) return;
    const { matches } = this.#store;
    const stage = matches.stage[match]!;
    const taken = kind === "started" || kind === "advanced" || kind === "waiting";
    const slot = runtime.table.stageSteps[taken ? stage - 1 : Math.min(stage, runtime.table.stageCount - 1)]!;
    this.context.trace(kind, runtime, { slot, event, key: matches.key[match]!, match });
  }

  // Steps of the event for which no match waits.
  #traceIdle(runtime: RuleRuntime, key: number, event: number, bits: number): void {
    const { table } = runtime;
    const { matches } = this.#store;
    let idle = bits & ~slotBit(table.stageSteps[0]!);
    for (let match = matches.lists.head[key]!; match !== NONE; match = matches.next[match]!) {
      idle &= ~slotBit(table.stageSteps[matches.stage[match]!]!);
    }
    for (; idle !== 0; idle &= ~slotBit(highestSlot(idle))) {
      this.context.trace("nothing-waiting", runtime, { slot: highestSlot(idle), event, key });
    }
  }
}
