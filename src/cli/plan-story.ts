// What became of each event in a plan, told from the sequencer's traces: a story for each event that met a step, a line for what time decided, and
// at the end what is still under way. Invariant: stories come in the order in which the sequencer took the events.
import type { QueryDescription } from "#eql";
import type { RecordView } from "#event";
import type { Trace, TracedChain } from "#nfa";
import type { RulePlan } from "#schema";
import { type ConjunctList, verdictText } from "./conjunct-verdict.ts";
import { clip, type EventWords, spanText, timeText } from "./event-words.ts";
import { chainText, NearMisses } from "./near-misses.ts";

const LIVE_MAX = 100_000;
const VALUE_LENGTH_MAX = 60;

/** One thing that happened. */
export interface Note {
  readonly kind: Trace["kind"] | "no-effect" | "not-met";
  /** `step 2 of 3`, `until`, `child of`; empty when it is about a whole sequence. */
  readonly place: string;
  readonly key: string;
  /** `seq` of the events of the sequence it is about. */
  readonly sequence: readonly bigint[];
  readonly text: string;
}

/** An event, or undefined an instant, with what happened. */
export interface Story {
  readonly event: { readonly seq: bigint; readonly subject: string } | undefined;
  readonly timeNs: bigint;
  readonly notes: readonly Note[];
}

/** What is still under way when the log ends. */
export interface Pending {
  readonly sequence: readonly bigint[];
  readonly key: string;
  readonly text: string;
}

/** What the end of the log brings. */
export interface Ending {
  readonly matches: number;
  readonly pending: readonly Pending[];
  readonly nearMisses: readonly string[];
  /** Events that met each step, until included. */
  readonly met: readonly number[];
}

/** What a story is told with. */
export interface StoryOptions {
  readonly plan: RulePlan;
  readonly description: QueryDescription;
  /** By slot: of steps and until. */
  readonly conjuncts: readonly ConjunctList[];
  readonly words: EventWords;
  /** Tell also of events that met no step. */
  readonly all: boolean;
  tell(story: Story): void;
}

interface OpenEvent {
  readonly event: { readonly seq: bigint; readonly subject: string };
  readonly timeNs: bigint;
  readonly slots: number;
  readonly told: Set<number>;
  readonly notes: Note[];
}

interface Live extends TracedChain {
  readonly key: string;
  readonly slot: number;
  readonly waits: boolean;
  refusal: string | undefined;
}

/** See the head of this file. */
export class PlanStory {
  readonly #options: StoryOptions;
  readonly #stepCount: number;
  readonly #untilSlot: number;
  readonly #linkSlot: number;
  /** Step of each positive event of a match, in order. */
  readonly #stages: readonly number[];
  readonly #nearMisses: NearMisses;
  readonly #live = new Map<string, Live>();
  readonly #met: number[];
  #open: OpenEvent[] = [];
  #openIsOver = false;
  #matches = 0;
  #lastNs: bigint = -(1n << 63n);
  readonly #pending: Pending[] = [];

  constructor(options: StoryOptions) {
    const { plan } = options;
    this.#options = options;
    this.#stepCount = plan.steps.length;
    this.#untilSlot = plan.until === undefined ? -1 : plan.steps.length;
    this.#linkSlot = plan.identity === undefined ? -1 : plan.steps.length + (plan.until === undefined ? 0 : 1) + plan.lineages.length;
    this.#stages = plan.steps.flatMap((step, slot) => (step.missing ? [] : new Array<number>(step.runs).fill(slot)));
    this.#nearMisses = new NearMisses(plan.maxspanNs);
    this.#met = new Array<number>(plan.steps.length + (plan.until === undefined ? 0 : 1)).fill(0);
  }

  /** Matches so far. */
  get matches(): number {
    return this.#matches;
  }

  /** Notes how far the log goes: what ends later is still under way when it ends. */
  reach(timeNs: bigint): void {
    if (timeNs > this.#lastNs) this.#lastNs = timeNs;
  }

  /** An event's turn. */
  turn(slots: number, record: RecordView): void {
    if (this.#openIsOver) this.#flush();
    for (let slot = 0; slot < this.#met.length; slot++) if (((slots >>> slot) & 1) === 1) this.#met[slot]!++;
    const event = { seq: record.seq + 1n, subject: this.#options.words.subject(record) };
    const open = { event, timeNs: record.timeNs, slots, told: new Set<number>(), notes: [] as Note[] };
    if (this.#stepSlots(slots) === 0 && this.#options.all) this.#whyNot(open, record);
    this.#open.push(open);
    // Events of one ordinal have their turns together; there are never this many.
    if (this.#open.length > 1024) this.#flush();
  }

  /** What happened to an event or a sequence. */
  trace(trace: Trace): void {
    const { kind, record, chain } = trace;
    if (record !== undefined) this.#openIsOver = true;
    const seq = record === undefined ? chain?.seqs.at(-1) : record.seq;
    const open = this.#open.find(({ event }) => seq !== undefined && event.seq === seq + 1n);
    const key = this.#keyText(trace);
    const known = chain === undefined ? undefined : this.#live.get(liveKey(key, chain.seqs));
    const isByTime = record === undefined && (kind === "expired" || known?.waits === true);
    if (kind === "expired" && chain !== undefined && (chain.deadlineNs ?? this.#lastNs) >= this.#lastNs) {
      this.#leftOver(trace, chain, key);
      return;
    }
    const text = this.#textOf(trace, key, known);
    this.#follow(trace, key, known);
    if (text === "") return;
    const sequence = (chain?.seqs ?? []).map((number) => number + 1n);
    const ending = kind.startsWith("killed-by-") ? this.#endingSlots(kind, open?.slots ?? 0) : [];
    const isWhole = kind === "completed" || kind === "expired" || kind === "overwritten";
    const place = isWhole ? "" : this.#place(trace, ending[0]);
    // What kills a sequence at its last step is a leading missing event that came earlier.
    const when = kind === "killed-by-missing" && ending.length === 0 ? " before" : "";
    const note = { kind, place, key, sequence, text: text + when };
    if (isByTime || open === undefined) {
      this.#flush();
      const timeNs = (kind === "expired" ? chain?.deadlineNs : known?.deadlineNs) ?? this.#lastNs;
      this.#options.tell({ event: undefined, timeNs, notes: [note] });
      return;
    }
    for (const slot of ending.length === 0 ? [trace.slot] : ending) open.told.add(slot);
    open.notes.push(note);
  }

  /** The log ended and the sequencer was told so. */
  finish(): Ending {
    this.#flush();
    for (const live of this.#live.values()) this.#pend(live, live.key, live.slot, live.refusal);
    return {
      matches: this.#matches,
      pending: this.#pending,
      nearMisses: this.#nearMisses.sentences((slot) => this.#met[slot] ?? 0),
      met: this.#met,
    };
  }

  #flush(): void {
    const open = this.#open;
    this.#open = [];
    this.#openIsOver = false;
    for (const { event, timeNs, slots, told, notes } of open) {
      for (let slot = 0; slot < this.#linkOr(32); slot++) {
        if (((slots >>> slot) & 1) === 1 && !told.has(slot)) notes.push(this.#silent(slot));
      }
      if (notes.length > 0) this.#options.tell({ event, timeNs, notes });
    }
  }

  #linkOr(other: number): number {
    return this.#linkSlot < 0 ? other : this.#linkSlot;
  }

  #stepSlots(slots: number): number {
    return this.#linkSlot < 0 ? slots : slots & ((1 << this.#linkSlot) - 1);
  }

  /** A slot that was met without a trace. */
  #silent(slot: number): Note {
    const step = this.#options.plan.steps[slot];
    const text =
      slot === this.#untilSlot
        ? "nothing is under way that it ends"
        : step?.missing === true
          ? "must be missing, but nothing waits for it not to come"
          : "has its event already, or the key was reported";
    return { kind: "no-effect", place: this.#placeOf(slot, undefined), key: "", sequence: [], text };
  }

  #whyNot(open: OpenEvent, record: RecordView): void {
    for (const [slot, list] of this.#options.conjuncts.entries()) {
      const verdict = list.firstFailure(record);
      if (verdict === undefined) continue;
      open.notes.push({ kind: "not-met", place: this.#placeOf(slot, undefined), key: "", sequence: [], text: verdictText(verdict) });
    }
  }

  /** Slots of an event by which it can have ended a sequence; the trace names the step that the sequence waited for. */
  #endingSlots(kind: Trace["kind"], slots: number): readonly number[] {
    if (kind === "killed-by-until") return [this.#untilSlot];
    return this.#options.plan.steps.flatMap((step, slot) => (step.missing && ((slots >>> slot) & 1) === 1 ? [slot] : []));
  }

  #place({ slot, chain, kind }: Trace, ending: number | undefined): string {
    if (ending !== undefined) return this.#placeOf(ending, undefined);
    const takes = kind === "started" || kind === "advanced" || kind === "waiting";
    return this.#placeOf(slot, takes ? chain : undefined);
  }

  #placeOf(slot: number, chain: TracedChain | undefined): string {
    const { plan } = this.#options;
    const step = plan.steps[slot];
    if (slot === this.#untilSlot) return "until";
    if (step === undefined) {
      const lineage = plan.lineages[slot - this.#stepCount - (this.#untilSlot < 0 ? 0 : 1)];
      return lineage === undefined ? "process" : `${lineage.relation} of`;
    }
    if (plan.kind === "event") return "event";
    const run = chain === undefined || step.runs === 1 || plan.kind !== "sequence" ? 0 : chain.seqs.length - this.#stages.indexOf(slot);
    return `step ${slot + 1} of ${this.#stepCount}${run === 0 ? "" : `, ${run} of ${step.runs}`}`;
  }

  #keyText({ slot, keys }: Trace): string {
    const { steps, until } = this.#options.description;
    const names = (steps[slot] ?? until ?? steps[0])?.keys ?? [];
    return keys.map((value, index) => `${clip(names[index]?.text ?? "", VALUE_LENGTH_MAX)}=${clip(value, VALUE_LENGTH_MAX)}`).join(" ");
  }

  #textOf(trace: Trace, key: string, known: Live | undefined): string {
    const { kind, chain, slot, record } = trace;
    const seqs = (chain?.seqs ?? []).map((seq) => seq + 1n);
    switch (kind) {
      case "started":
        return this.#options.plan.kind === "sequence" ? "starts a sequence" : "taken";
      case "advanced": {
        const after = record === undefined || chain === undefined ? "" : `, ${spanText(record.timeNs - chain.firstNs)} after the first`;
        return `goes on from ${chainText(seqs.slice(0, -1))}${after}`;
      }
      case "marked":
        return "its process is remembered";
      case "remembered":
        return `must be missing: sequences that end within ${spanText(this.#options.plan.maxspanNs ?? 0n)} do not match`;
      case "overwritten":
        return `the newer takes the place of ${chainText(seqs)}`;
      case "killed-by-missing":
        return `ends ${chainText(seqs)}: a step that must be missing came`;
      case "killed-by-until":
        return `ends ${chainText(seqs)}`;
      case "nothing-waiting":
        return this.#strayText(trace, key);
      case "not-after":
        return `has the same place in time as ${chainText(seqs.slice(-1))} and cannot follow it`;
      case "key-missing":
        return `has no ${this.#missingKeys(trace)}`;
      case "residual-false":
        return this.#refusal(trace);
      case "waiting":
        return `all there; waits until ${timeOrEnd(chain?.deadlineNs)} that the rest does not come`;
      case "completed": {
        this.#matches++;
        const nothing = known?.waits === true ? ", nothing came that must not" : "";
        return `MATCH ${this.#matches}: ${chainText(seqs)}${nothing}`;
      }
      case "expired":
        return `the maxspan of ${chainText(seqs)} is over, ${this.#placeOf(slot, undefined)} did not come`;
      case "evicted":
        return `${chainText(seqs)} is forgotten for lack of room`;
    }
  }

  #strayText({ slot, record }: Trace, key: string): string {
    const timeNs = record?.timeNs ?? 0n;
    const end = this.#nearMisses.stray(slot, { seq: (record?.seq ?? 0n) + 1n, timeNs, key });
    if (end === undefined) return `nothing waits for it${key === "" ? "" : ` under ${key}`}`;
    const overNs = end.firstNs + (this.#options.plan.maxspanNs ?? 0n);
    return `too late for ${chainText(end.seqs)}: its maxspan was over at ${timeText(overNs)}, ${spanText(timeNs - overNs)} before`;
  }

  #missingKeys({ slot, record }: Trace): string {
    const { plan } = this.#options;
    const keys = (plan.steps[slot] ?? plan.until)?.keys ?? [];
    const absent = keys.filter(({ fieldId, nullJoins }) => !nullJoins && fieldId !== undefined && record?.has(fieldId) === false);
    return (absent.length === 0 ? keys : absent).map(({ text }) => clip(text, VALUE_LENGTH_MAX)).join(" and no ");
  }

  #refusal({ slot, scope }: Trace): string {
    const list = this.#options.conjuncts[slot];
    if (scope === undefined || list === undefined) return "what it says about other events does not hold";
    const asked = { event: scope.record, earlier: (step: number) => scope.earlier(step), lineage: (index: number) => scope.lineage(index) };
    const verdict = list.firstWaitingFailure(asked);
    return verdict === undefined ? "what it says about other events does not hold" : verdictText(verdict);
  }

  // Keeps account of what is under way, and of how what is not ended.
  #follow(trace: Trace, key: string, known: Live | undefined): void {
    const { kind, chain, slot, record } = trace;
    const { plan } = this.#options;
    if (kind === "residual-false" && known !== undefined) {
      known.refusal = `#${(record?.seq ?? 0n) + 1n} met step ${slot + 1}, but ${this.#refusal(trace)}`;
      return;
    }
    if (chain === undefined || kind === "not-after" || kind === "residual-false") return;
    if (kind === "advanced" && plan.steps[slot]?.fork !== true) this.#live.delete(liveKey(key, chain.seqs.slice(0, -1)));
    if (kind === "started" || kind === "advanced" || kind === "waiting") {
      const waits = kind === "waiting";
      const next = waits ? this.#stepCount - 1 : (this.#stages[chain.seqs.length] ?? slot);
      if (this.#live.size < LIVE_MAX) this.#live.set(liveKey(key, chain.seqs), { ...chain, key, slot: next, waits, refusal: undefined });
      return;
    }
    if (kind === "completed" && plan.kind !== "sequence") {
      for (const [place, live] of this.#live) if (live.key === key) this.#live.delete(place);
    }
    this.#live.delete(liveKey(key, chain.seqs));
    if (kind === "killed-by-missing" || kind === "killed-by-until") {
      const by = `#${(record?.seq ?? 0n) + 1n} ended it, ${kind === "killed-by-until" ? "it met until" : "it met a step that must be missing"}`;
      this.#deadEnd(chain, key, known, { slot, cause: "ended", by });
    }
    if (kind === "expired") this.#deadEnd(chain, key, known, { slot, cause: "expired", by: "" });
  }

  #deadEnd(
    chain: TracedChain,
    key: string,
    known: Live | undefined,
    end: { readonly slot: number; readonly cause: "expired" | "pending" | "ended"; readonly by: string },
  ): void {
    if (this.#options.plan.kind !== "sequence") return;
    this.#nearMisses.add({
      ...end,
      seqs: chain.seqs.map((seq) => seq + 1n),
      key,
      firstNs: chain.firstNs,
      waitedFor: `step ${end.slot + 1}`,
      taken: chain.seqs.length,
      total: this.#stages.length,
      refusal: known?.refusal,
    });
  }

  /** A sequence whose time had not come when the log ended. */
  #leftOver({ slot }: Trace, chain: TracedChain, key: string): void {
    const known = this.#live.get(liveKey(key, chain.seqs));
    this.#live.delete(liveKey(key, chain.seqs));
    this.#pend(chain, key, slot, known?.refusal);
  }

  #pend(chain: TracedChain, key: string, slot: number, refusal: string | undefined): void {
    const sequence = chain.seqs.map((seq) => seq + 1n);
    const until = chain.deadlineNs === undefined ? "" : ` until ${timeOrEnd(chain.deadlineNs)}`;
    const { kind } = this.#options.plan;
    const waits = kind === "sequence" ? `waits for step ${slot + 1}${until}` : "waits for the other steps";
    this.#pending.push({ sequence, key, text: `${chain.seqs.length} of ${this.#stages.length} events, ${waits}` });
    this.#deadEnd(chain, key, { ...chain, key, slot, waits: false, refusal }, { slot, cause: "pending", by: "" });
  }
}

function liveKey(key: string, seqs: readonly bigint[]): string {
  return `${seqs.join()} ${key}`;
}

function timeOrEnd(timeNs: bigint | undefined): string {
  return timeNs === undefined ? "the end of the log" : timeText(timeNs);
}
