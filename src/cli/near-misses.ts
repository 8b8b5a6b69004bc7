// Sequences that did not complete, and what an author would ask about them: how far they came, why they ended, what came too late or under another
// key. Keeps the furthest few; what it remembers besides is bounded.
import { spanText } from "./event-words.ts";

const KEPT_MAX = 3;
const REMEMBERED_MAX = 10_000;
const STRAYS_MAX = 100;

/** A sequence that ended before it was whole. */
export interface DeadEnd {
  readonly seqs: readonly bigint[];
  /** Its join key for people; empty without one. */
  readonly key: string;
  readonly firstNs: bigint;
  /** Slot of the step it waited for. */
  readonly slot: number;
  /** Step it waited for, for people: `step 3`. */
  readonly waitedFor: string;
  /** Events it has and events of a match. */
  readonly taken: number;
  readonly total: number;
  readonly cause: "expired" | "pending" | "ended";
  /** Of one that was ended: by what. */
  readonly by: string;
  /** Why an event that met the step was refused. */
  readonly refusal: string | undefined;
}

interface LateEvent {
  readonly seq: bigint;
  readonly timeNs: bigint;
  readonly key: string;
}

/** See the head of this file. */
export class NearMisses {
  readonly #maxspanNs: bigint | undefined;
  #furthest: DeadEnd[] = [];
  /** Expired ones by key and slot, the latest of each. */
  readonly #expired = new Map<string, DeadEnd>();
  readonly #late = new Map<DeadEnd, LateEvent>();
  /** Events per slot for which nothing waited. */
  readonly #strays = new Map<number, LateEvent[]>();

  constructor(maxspanNs: bigint | undefined) {
    this.#maxspanNs = maxspanNs;
  }

  /** A sequence ended. */
  add(end: DeadEnd): void {
    const same = this.#furthest.findIndex((other) => other.key === end.key && other.slot === end.slot && other.cause === end.cause);
    if (same >= 0 && this.#furthest[same]!.taken >= end.taken) this.#remember(end);
    else {
      if (same >= 0) this.#furthest.splice(same, 1);
      this.#furthest.push(end);
      this.#furthest = this.#furthest.sort((a, b) => b.taken - a.taken).slice(0, KEPT_MAX);
      this.#remember(end);
    }
  }

  /** An event met a step for which nothing waited. Answers the sequence that had waited for it under its key and expired. */
  stray(slot: number, event: LateEvent): DeadEnd | undefined {
    const strays = this.#strays.get(slot) ?? [];
    if (strays.length < STRAYS_MAX) this.#strays.set(slot, [...strays, event]);
    const end = this.#expired.get(placeOf(event.key, slot));
    if (end !== undefined && !this.#late.has(end)) this.#late.set(end, event);
    return end;
  }

  /** A sentence for each of the furthest. `met`: events that met a slot. */
  sentences(met: (slot: number) => number): readonly string[] {
    return this.#furthest.map((end) => {
      const key = end.key === "" ? "" : ` for ${end.key}`;
      return `${end.taken} of ${end.total} events${key} (${chainText(end.seqs)}): ${this.#reason(end, met(end.slot))}`;
    });
  }

  #reason(end: DeadEnd, met: number): string {
    if (end.cause === "ended") return end.by;
    const late = this.#late.get(end);
    if (late !== undefined && this.#maxspanNs !== undefined) {
      const after = spanText(late.timeNs - end.firstNs);
      return `the next event that met ${end.waitedFor}, #${late.seq}, came ${after} after the first, maxspan is ${spanText(this.#maxspanNs)}`;
    }
    if (end.refusal !== undefined) return end.refusal;
    if (met === 0) return `no event of the log meets ${end.waitedFor}`;
    const other = this.#strays.get(end.slot)?.find((stray) => stray.key !== end.key && stray.timeNs >= end.firstNs);
    if (other !== undefined) return `${end.waitedFor} came under another key: #${other.seq} has ${other.key}`;
    const rest = end.cause === "pending" ? "before the log ends" : `within ${spanText(this.#maxspanNs ?? 0n)} of the first event`;
    return `${end.waitedFor} did not come ${rest}`;
  }

  #remember(end: DeadEnd): void {
    if (end.cause !== "expired") return;
    const place = placeOf(end.key, end.slot);
    this.#expired.delete(place);
    this.#expired.set(place, end);
    if (this.#expired.size <= REMEMBERED_MAX) return;
    const [oldest] = this.#expired.keys();
    if (oldest !== undefined) this.#expired.delete(oldest);
  }
}

function placeOf(key: string, slot: number): string {
  return `${slot} ${key}`;
}

/** Events of a sequence: `#2 → #5`. */
export function chainText(seqs: readonly bigint[]): string {
  const shown = seqs.length > 8 ? [...seqs.slice(0, 3), undefined, ...seqs.slice(-3)] : seqs;
  return shown.map((seq) => (seq === undefined ? "…" : `#${seq}`)).join(" → ");
}
