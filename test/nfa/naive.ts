// A matcher that reads like EQL.md and is in no hurry: plain lists, whole streams, the missing steps judged by looking at every event there
// is. It shares no code with the sequencer.
import type { KeyPart, RulePlan, Scalar } from "../../src/schema/index.ts";
import { MS, slotsOf, type TestEvent, type TestPlan } from "./fixture.ts";

interface Placed {
  readonly event: TestEvent;
  /** Position in the stream, which is its arrival. */
  readonly index: number;
}

interface Pending {
  readonly events: readonly Placed[];
  /** Number of steps taken, runs counted. */
  readonly stage: number;
}

interface KeyState {
  pending: Pending[];
  /** Join: an event per step. Sample: candidates per step. */
  slots: Placed[][];
  isDone: boolean;
}

interface Result {
  readonly events: readonly (Placed | "!")[];
  /** When it alerts: trailing missing steps wait for the end of the span. */
  readonly at: number;
}

const KEY_FIELD = 110;

/** Results of a plan over a stream in the order they come out, each as positions in the stream. */
export function naiveResults(test: TestPlan, stream: readonly TestEvent[]): readonly string[] {
  const naive = new Naive(test, stream);
  naive.run();
  return naive.results;
}

/** Result lists by when they come: in the order found, those that wait by the end of their span. */
class Naive {
  readonly plan: RulePlan;
  readonly ordered: readonly Placed[];
  readonly keys = new Map<string, KeyState>();
  readonly found: Result[] = [];
  /** Slot of each stage: positive steps, runs written out. */
  readonly stages: readonly number[];
  readonly span: number;

  constructor(
    readonly test: TestPlan,
    stream: readonly TestEvent[],
  ) {
    this.plan = test.plan;
    this.stages = this.plan.steps.flatMap((step, slot) => (step.missing ? [] : new Array<number>(step.runs).fill(slot)));
    const { maxspanNs } = this.plan;
    this.span = maxspanNs === undefined ? (test.ttlMs ?? Number.POSITIVE_INFINITY) : Number(maxspanNs / MS);
    this.ordered = stream
      .map((event, index) => ({ event, index }))
      .sort((first, second) => this.#order(first, second) || first.index - second.index);
  }

  get results(): readonly string[] {
    const isTrailing = this.plan.steps.at(-1)?.missing === true;
    // Sorting is stable: of one deadline, as they completed.
    const sorted = isTrailing ? [...this.found].sort((first, second) => first.at - second.at) : this.found;
    const texts = sorted.map(({ events }) => events.map((placed) => (placed === "!" ? "!" : placed.index)).join(" "));
    // The same events under two keys are one result.
    return texts.filter((text, position) => texts.indexOf(text) === position);
  }

  run(): void {
    for (const placed of this.ordered) {
      const slots = slotsOf(this.plan, placed.event);
      const has = (slot: number): boolean => ((slots >>> slot) & 1) === 1;
      const byKey = new Map<string, Set<number>>();
      for (const slot of this.#slotsByRank()) {
        if (!has(slot)) continue;
        for (const key of this.#keysOf(slot, placed.event)) byKey.set(key, (byKey.get(key) ?? new Set()).add(slot));
      }
      for (const [key, met] of byKey) {
        let state = this.keys.get(key);
        if (state === undefined) {
          state = { pending: [], slots: this.stages.map(() => []), isDone: false };
          this.keys.set(key, state);
        }
        this.#take(key, state, placed, met);
      }
    }
  }

  /** The last positive step first, for results under several keys have its order. */
  #slotsByRank(): readonly number[] {
    const slots = this.plan.steps.map((_, slot) => slot).reverse();
    const until = this.plan.until === undefined ? [] : [this.plan.steps.length];
    return [
      ...slots.filter((slot) => !this.plan.steps[slot]!.missing),
      ...slots.filter((slot) => this.plan.steps[slot]!.missing),
      ...until,
    ];
  }

  #take(key: string, state: KeyState, placed: Placed, met: ReadonlySet<number>): void {
    const isUntil = this.plan.until !== undefined && met.has(this.plan.steps.length);
    const until = (): void => {
      state.pending = [];
      if (this.plan.kind === "join") state.slots = this.stages.map(() => []);
    };
    if (isUntil && this.plan.untilFirst) until();
    switch (this.plan.kind) {
      case "sample":
        this.#sample(state, placed, met);
        break;
      case "join":
        this.#join(state, placed, met);
        break;
      default:
        this.#sequence(key, state, placed, met);
    }
    if (isUntil && !this.plan.untilFirst) until();
  }

  #sequence(key: string, state: KeyState, placed: Placed, met: ReadonlySet<number>): void {
    for (let stage = this.stages.length - 1; stage >= 0; stage--) {
      const slot = this.stages[stage]!;
      if (!met.has(slot)) continue;
      if (stage === 0) {
        this.#arrive(key, state, { events: [placed], stage: 1 });
        continue;
      }
      for (const pending of state.pending.filter((other) => other.stage === stage)) {
        const last = pending.events.at(-1)!;
        const isAfter = this.#order(placed, last) > 0;
        if (!isAfter) continue;
        // It leaves its place: to advance, because it is too late, or because a missing event came. A fork stays.
        const isTooLate = placed.event.time - pending.events[0]!.event.time > this.span;
        const isKilled = this.#hasMissing(
          key,
          this.#gapBefore(stage),
          (other) => this.#order(other, last) >= 0 && this.#order(other, placed) <= 0,
        );
        const stays = this.plan.steps[slot]!.fork && !isTooLate && !isKilled;
        if (!stays) state.pending = state.pending.filter((other) => other !== pending);
        if (!isTooLate && !isKilled) this.#arrive(key, state, { events: [...pending.events, placed], stage: stage + 1 });
      }
    }
  }

  #arrive(key: string, state: KeyState, next: Pending): void {
    if (next.stage === this.stages.length) {
      this.#complete(key, next);
      return;
    }
    if (!this.test.matchAll) state.pending = state.pending.filter((other) => other.stage !== next.stage);
    state.pending.push(next);
  }

  #complete(key: string, { events }: Pending): void {
    const first = events[0]!;
    const last = events.at(-1)!;
    const { steps } = this.plan;
    const leading = steps.findIndex((step) => !step.missing);
    const trailing = steps.findLastIndex((step) => !step.missing);
    const isMissing = (from: number, to: number): number[] => steps.map((_, slot) => slot).filter((slot) => slot >= from && slot < to);
    const before = (other: Placed): boolean => this.#order(other, first) <= 0 && other.event.time >= last.event.time - this.span;
    const after = (other: Placed): boolean => this.#order(other, last) >= 0 && other.event.time <= first.event.time + this.span;
    if (this.#hasMissing(key, isMissing(0, leading), before)) return;
    if (this.#hasMissing(key, isMissing(trailing + 1, steps.length), after)) return;
    this.#report(events, first.event.time + this.span);
  }

  #report(events: readonly Placed[], at: number): void {
    let stage = 0;
    const places = this.plan.steps.flatMap((step) =>
      Array.from({ length: step.runs }, () => (step.missing ? ("!" as const) : events[stage++]!)),
    );
    this.found.push({ events: places, at });
  }

  /** Missing steps between the step a stage stands for and the one of the stage before; none within a run. */
  #gapBefore(stage: number): readonly number[] {
    const gap: number[] = [];
    for (let slot = this.stages[stage - 1]! + 1; slot < this.stages[stage]!; slot++) gap.push(slot);
    return gap;
  }

  #hasMissing(key: string, slots: readonly number[], isIn: (other: Placed) => boolean): boolean {
    return this.ordered.some((other) =>
      slots.some(
        (slot) => ((slotsOf(this.plan, other.event) >>> slot) & 1) === 1 && this.#keysOf(slot, other.event).includes(key) && isIn(other),
      ),
    );
  }

  #join(state: KeyState, placed: Placed, met: ReadonlySet<number>): void {
    for (const [stage, slot] of this.stages.entries()) {
      state.slots[stage] = state.slots[stage]!.filter((other) => placed.event.time - other.event.time <= this.span);
      if (met.has(slot) && state.slots[stage]!.length === 0) state.slots[stage]!.push(placed);
    }
    if (state.slots.some((slot) => slot.length === 0)) return;
    this.#report(
      state.slots.map((slot) => slot[0]!),
      0,
    );
    state.slots = this.stages.map(() => []);
  }

  #sample(state: KeyState, placed: Placed, met: ReadonlySet<number>): void {
    if (state.isDone) return;
    for (const [stage, slot] of this.stages.entries()) if (met.has(slot)) state.slots[stage]!.push(placed);
    const chosen = choose(state.slots, []);
    if (chosen === undefined) return;
    state.isDone = true;
    this.#report(chosen, 0);
  }

  /** Keys as text; several for several values, none when a part is missing and null does not join. */
  #keysOf(slot: number, event: TestEvent): readonly string[] {
    const step = this.plan.steps[slot] ?? this.plan.until!;
    const parts = step.keys.map((part) => this.#valuesOf(part, event));
    return parts.reduce<readonly string[]>((keys, values) => keys.flatMap((key) => values.map((value) => `${key}/${value}`)), [""]);
  }

  #valuesOf(part: KeyPart, event: TestEvent): readonly string[] {
    const values = event.keys?.[part.fieldId! - KEY_FIELD] ?? [];
    if (values.length === 0) return part.nullJoins ? ["null"] : [];
    return values.map((value) => nameOf(value, this.plan.keysFolded));
  }

  /** Rule 3: time, then the tiebreaker with a missing one last; then arrival, unless ties are strict. */
  #order(first: Placed, second: Placed): number {
    const time = first.event.time - second.event.time;
    if (time !== 0) return time;
    const tie = (placed: Placed): number => placed.event.tie ?? Number.MAX_SAFE_INTEGER;
    return tie(first) - tie(second) || (this.test.strict ? 0 : first.index - second.index);
  }
}

/** Integers and whole floats are equal by value, text only to text. */
function nameOf(value: Scalar, isFolded: boolean): string {
  if (typeof value === "string") return `text ${isFolded ? value.toLowerCase() : value}`;
  return typeof value === "boolean" ? `bool ${value}` : `number ${value}`;
}

/** The first way to give each step an event of its own. */
function choose(candidates: readonly (readonly Placed[])[], chosen: readonly Placed[]): readonly Placed[] | undefined {
  const next = candidates[chosen.length];
  if (next === undefined) return chosen;
  for (const event of next) {
    if (chosen.includes(event)) continue;
    const whole = choose(candidates, [...chosen, event]);
    if (whole !== undefined) return whole;
  }
  return undefined;
}
