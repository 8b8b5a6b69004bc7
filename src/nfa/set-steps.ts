// Steps of joins and samples, where order does not matter. Each match of a key is one event at a step (stage = step + 1); the match at stage 0
// of a sample says that the key was reported.
import { assignEvents } from "./assignment.ts";
import { slotBit } from "./plan-table.ts";
import type { TraceKind } from "./ports.ts";
import type { RuleRuntime } from "./rule-runtime.ts";
import { NONE } from "./slots.ts";
import type { StateStore } from "./state-store.ts";
import type { StepContext, TracePlace } from "./step-context.ts";

/** Handles released events of joins and samples. Each returns whether the key changed. */
export class SetSteps {
  readonly #store: StateStore;

  constructor(readonly context: StepContext) {
    this.#store = context.store;
  }

  /** A join: the first event of each step stays until all steps have one. */
  takeJoin(runtime: RuleRuntime, key: number, event: number, bits: number): boolean {
    const { stageCount, stageSteps } = runtime.table;
    const { matches } = this.#store;
    let hasChanged = false;
    for (let stage = 0; stage < stageCount; stage++) {
      const slot = stageSteps[stage]!;
      if ((bits & slotBit(slot)) === 0 || this.#at(key, stage + 1) !== NONE) continue;
      if (!this.context.holdsInKey(runtime, slot, event, key)) {
        this.#trace("residual-false", runtime, { slot, event, key });
        continue;
      }
      this.#take(runtime, key, event, stage);
      hasChanged = true;
    }
    if (!hasChanged) return false;
    const found: number[] = [];
    for (let match = matches.lists.head[key]!; match !== NONE; match = matches.next[match]!) {
      found[matches.stage[match]! - 1] = matches.nodeEvent[matches.node[match]!]!;
    }
    for (let stage = 0; stage < stageCount; stage++) if (found[stage] === undefined) return true;
    this.context.completeWith(runtime, key, found, stageSteps[stageCount - 1]!);
    this.#clear(runtime, key, { why: undefined, event });
    return true;
  }

  /** The until event of a join. */
  takeUntil(runtime: RuleRuntime, key: number, event: number): boolean {
    if (!this.context.holdsInKey(runtime, runtime.table.untilSlot, event, key)) return false;
    const hadAny = this.#store.matches.lists.head[key] !== NONE;
    this.#clear(runtime, key, { why: "killed-by-until", event });
    return hadAny;
  }

  /** A sample: as many events for each step as there are steps, until distinct ones can be chosen. */
  takeSample(runtime: RuleRuntime, key: number, event: number, bits: number): boolean {
    const { stageCount, stageSteps } = runtime.table;
    if (this.#at(key, 0) !== NONE) return false;
    let hasChanged = false;
    for (let stage = 0; stage < stageCount; stage++) {
      const slot = stageSteps[stage]!;
      if ((bits & slotBit(slot)) === 0 || this.#count(key, stage + 1) >= stageCount) continue;
      if (!this.context.holds(runtime, slot, event, NONE)) {
        this.#trace("residual-false", runtime, { slot, event, key });
        continue;
      }
      this.#take(runtime, key, event, stage);
      hasChanged = true;
    }
    if (hasChanged) this.#report(runtime, key, event);
    return hasChanged;
  }

  #report(runtime: RuleRuntime, key: number, event: number): void {
    const { stageCount, stageSteps } = runtime.table;
    const { matches, events } = this.#store;
    const candidates = Array.from({ length: stageCount }, (): number[] => []);
    for (let match = matches.lists.head[key]!; match !== NONE; match = matches.next[match]!) {
      candidates[matches.stage[match]! - 1]!.push(matches.nodeEvent[matches.node[match]!]!);
    }
    for (const fitting of candidates) fitting.sort((first, second) => events.compareArrivals(first, second));
    const chosen = assignEvents(candidates);
    if (chosen === undefined) return;
    this.context.completeWith(runtime, key, chosen, stageSteps[stageCount - 1]!);
    this.#clear(runtime, key, { why: undefined, event });
    const done = this.#store.addMatch(runtime, key, 0, NONE);
    matches.insert(done, NONE);
    this.#store.startSpan(runtime, done, events.timeHi[event]!, events.timeLo[event]!);
  }

  #take(runtime: RuleRuntime, key: number, event: number, stage: number): void {
    const { matches, events } = this.#store;
    const match = this.#store.addMatch(runtime, key, stage + 1, this.#store.addNode(runtime, event, NONE));
    matches.insert(match, matches.lists.tail[key]!);
    this.#store.startSpan(runtime, match, events.timeHi[event]!, events.timeLo[event]!);
    this.#trace("started", runtime, { slot: runtime.table.stageSteps[stage]!, event, key, match });
  }

  /** First match of the key at a stage. */
  #at(key: number, stage: number): number {
    const { matches } = this.#store;
    for (let match = matches.lists.head[key]!; match !== NONE; match = matches.next[match]!)
      if (matches.stage[match] === stage) return match;
    return NONE;
  }

  #count(key: number, stage: number): number {
    const { matches } = this.#store;
    let count = 0;
    for (let match = matches.lists.head[key]!; match !== NONE; match = matches.next[match]!) if (matches.stage[match] === stage) count++;
    return count;
  }

  #clear(runtime: RuleRuntime, key: number, cause: { readonly why: TraceKind | undefined; readonly event: number }): void {
    const { matches } = this.#store;
    for (let match = matches.lists.head[key]!; match !== NONE; match = matches.lists.head[key]!) {
      const slot = runtime.table.stageSteps[Math.max(matches.stage[match]! - 1, 0)]!;
      if (cause.why !== undefined) this.#trace(cause.why, runtime, { slot, event: cause.event, key, match });
      this.#store.dropMatch(runtime, match);
    }
  }

  #trace(kind: TraceKind, runtime: RuleRuntime, place: TracePlace): void {
    if (this.context.isTracing) this.context.trace(kind, runtime, place);
  }
}
