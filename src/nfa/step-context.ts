// What all kinds of steps share: residuals with what they may look at, completed matches, traces, a rule's faults.
import { RuleFault } from "#core";
import { RecordView } from "#event";
import type { EventPool } from "./event-pool.ts";
import { keyTexts } from "./key-reader.ts";
import { slotBit } from "./plan-table.ts";
import type { Match, SequencedRule, StepScope, Trace, TracedChain, TraceKind } from "./ports.ts";
import type { RuleRuntime } from "./rule-runtime.ts";
import { NONE } from "./slots.ts";
import type { StateStore } from "./state-store.ts";
import { TIME_MAX_HI, TIME_MAX_LO, TIME_MIN_HI, timeOf } from "./time-words.ts";

/** Answers whether an event's process stands in a lineage of a rule. */
export interface LineageAnswers {
  answer(runtime: RuleRuntime, index: number, event: number): boolean | null;
}

/** The one scope object, pointed at what a residual is asked about. */
class Scope implements StepScope {
  event: number = NONE;
  runtime: RuleRuntime | undefined;
  /** Chain of the partial match, NONE when there is none. */
  node: number = NONE;
  stage: number = 0;
  /** Key of a join, whose matches are one event each. */
  joinKey: number = NONE;

  constructor(
    readonly store: StateStore,
    readonly lineages: LineageAnswers,
  ) {}

  get record(): RecordView {
    return this.store.events.view(this.event, 0);
  }

  // Own functions, so that an evaluator can take the scope apart.
  readonly earlier = (step: number): RecordView | undefined => {
    const { matches, events } = this.store;
    const { stageSteps } = this.runtime!.table;
    if (this.joinKey !== NONE) {
      for (let match = matches.lists.head[this.joinKey]!; match !== NONE; match = matches.next[match]!) {
        const node = matches.node[match]!;
        if (stageSteps[matches.stage[match]! - 1] === step && node !== NONE) return events.view(matches.nodeEvent[node]!, step + 1);
      }
      return undefined;
    }
    for (let node = this.node, stage = this.stage - 1; node !== NONE; node = matches.nodeParent[node]!, stage--) {
      if (stageSteps[stage] === step) return events.view(matches.nodeEvent[node]!, step + 1);
    }
    return undefined;
  };

  readonly lineage = (index: number): boolean | null => this.lineages.answer(this.runtime!, index, this.event);
}

/** Deadline of what time does not end. */
const NEVER: bigint = timeOf(TIME_MAX_HI, TIME_MAX_LO);

/** Calls that leave the sequencer. */
export interface StepOutput {
  onMatch(match: Match): void;
  onFault(ruleId: string, error: unknown, record: Uint8Array): void;
  readonly onTrace: ((trace: Trace) => void) | undefined;
  /** Told of an event's slots in a rule when its turn comes, before any trace of it. `record` is valid only during the call. */
  readonly onTurn?: (rule: SequencedRule, slots: number, record: RecordView) => void;
}

/** What a trace is about. */
export interface TracePlace {
  readonly slot: number;
  /** NONE when time was the reason. */
  readonly event: number;
  /** A row of the key table, or a key that has none. */
  readonly key: number | Uint8Array;
  /** The partial match, or the events of one that is complete. */
  readonly match?: number | readonly number[];
}

/** How far the sequencer has come. */
export interface Position {
  /** Nothing earlier than this comes in time any more. */
  watermarkHi: number;
  watermarkLo: number;
  /** Events with hits so far. */
  eventNumber: number;
  lateEvents: number;
  lateDrops: number;
  forcedReleases: number;
}

/** The position before the first record. */
export function startPosition(): Position {
  return { watermarkHi: TIME_MIN_HI, watermarkLo: 0, eventNumber: 0, lateEvents: 0, lateDrops: 0, forcedReleases: 0 };
}

/** See the file's opening. */
export class StepContext {
  readonly events: EventPool;
  /** Whether the event processed now came later than the watermark. */
  isLate = false;
  /** Whether what completes now can be the same events under another key: the event has several keys, or a deadline is due. */
  mayRepeat = false;
  /** Rules that failed since the last look. */
  readonly faulted: RuleRuntime[] = [];
  /** Event lists already reported for the event or the deadline at hand: under a second key they are the same result. */
  readonly #reported = new Set<string>();
  readonly #scope: Scope;

  constructor(
    readonly store: StateStore,
    readonly position: Position,
    readonly output: StepOutput,
    lineages: LineageAnswers,
  ) {
    this.events = store.events;
    this.#scope = new Scope(store, lineages);
  }

  get isTracing(): boolean {
    return this.output.onTrace !== undefined;
  }

  /** Whether the slot's residual holds for the event and a partial match (NONE for none). */
  holds(runtime: RuleRuntime, slot: number, event: number, match: number): boolean {
    if ((runtime.table.residualBits & slotBit(slot)) === 0) return true;
    const { matches } = this.store;
    const scope = this.#scope;
    scope.node = match === NONE ? NONE : matches.node[match]!;
    scope.stage = match === NONE ? 0 : matches.stage[match]!;
    scope.joinKey = NONE;
    return this.#ask(runtime, slot, event);
  }

  /** The same for a join, where each filled step is an earlier event. */
  holdsInKey(runtime: RuleRuntime, slot: number, event: number, key: number): boolean {
    if ((runtime.table.residualBits & slotBit(slot)) === 0) return true;
    this.#scope.joinKey = key;
    return this.#ask(runtime, slot, event);
  }

  #ask(runtime: RuleRuntime, slot: number, event: number): boolean {
    if (runtime.isFaulted) return false;
    this.#scope.runtime = runtime;
    this.#scope.event = event;
    try {
      return runtime.rule.evaluator?.holds(slot, this.#scope) ?? true;
    } catch (error) {
      this.fault(runtime, error, event);
      return false;
    }
  }

  /** Stops a rule whose evaluator failed; throws what is no rule's failure. */
  fault(runtime: RuleRuntime, error: unknown, event: number): void {
    if (!(error instanceof RuleFault)) throw error;
    runtime.isFaulted = true;
    this.faulted.push(runtime);
    this.output.onFault(runtime.rule.id, error, this.events.copy(event));
  }

  /** Forgets what was reported: another event or deadline comes. */
  clearReported(): void {
    if (this.#reported.size > 0) this.#reported.clear();
  }

  /** Reports a chain of as many events as the plan has stages, once for the same events. */
  complete(runtime: RuleRuntime, key: number, last: number, slot: number): void {
    const { matches } = this.store;
    const found: number[] = [];
    for (let node = last; node !== NONE; node = matches.nodeParent[node]!) found.push(matches.nodeEvent[node]!);
    this.completeWith(runtime, key, found.reverse(), slot);
  }

  /** The same with the events in the order of the stages; `slot` for the trace. */
  completeWith(runtime: RuleRuntime, key: number, found: readonly number[], slot: number): void {
    if (runtime.isFaulted) return;
    if (this.mayRepeat && this.#isReported(runtime, found)) return;
    runtime.counters.completions++;
    runtime.noteChain(found.length);
    runtime.isDirty = true;
    if (this.isTracing) this.trace("completed", runtime, { slot, event: NONE, key, match: found });
    this.output.onMatch({
      rule: runtime.rule,
      records: runtime.table.places.map((stage) => (stage === NONE ? undefined : this.events.copy(found[stage]!))),
      keys: this.#keyTexts(key),
    });
  }

  /** Whether the same events were reported already; from now on they are. */
  #isReported(runtime: RuleRuntime, found: readonly number[]): boolean {
    const identity = `${runtime.owner}:${found.map((event) => this.events.number[event]).join()}`;
    if (this.#reported.has(identity)) return true;
    this.#reported.add(identity);
    return false;
  }

  /** Tells the trace. Callers ask `isTracing` first. */
  trace(kind: TraceKind, runtime: RuleRuntime, { slot, event, key, match = NONE }: TracePlace): void {
    this.output.onTrace?.({
      rule: runtime.rule,
      kind,
      slot,
      record: event === NONE ? undefined : this.events.view(event, 0),
      keys: this.#keyTexts(key),
      chain: match === NONE ? undefined : this.#chainOf(match),
      scope: kind === "residual-false" ? this.#scope : undefined,
    });
  }

  #chainOf(match: number | readonly number[]): TracedChain {
    const { matches } = this.store;
    const found: number[] = [];
    if (typeof match !== "number") found.push(...match);
    else for (let node = matches.node[match]!; node !== NONE; node = matches.nodeParent[node]!) found.unshift(matches.nodeEvent[node]!);
    const { deadlineHi, deadlineLo } = matches.timers;
    const deadlineNs = typeof match === "number" ? timeOf(deadlineHi[match]!, deadlineLo[match]!) : NEVER;
    const times = found.map((event) => timeOf(this.events.timeHi[event]!, this.events.timeLo[event]!));
    return {
      seqs: found.map((event) => new RecordView().reset(this.events.copy(event), 0).seq),
      firstNs: times.reduce(earlier, NEVER),
      deadlineNs: deadlineNs === NEVER ? undefined : deadlineNs,
    };
  }

  #keyTexts(key: number | Uint8Array): readonly string[] {
    return key === NONE ? [] : keyTexts(typeof key === "number" ? this.store.keys.keyOf(key) : key);
  }
}

function earlier(first: bigint, second: bigint): bigint {
  return second < first ? second : first;
}
