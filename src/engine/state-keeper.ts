// Decides when the engine's state is kept and puts it together: what the sequencer changed, the throttles, and the place in the source that
// both cover. Invariant: a change is in exactly one checkpoint that was kept; one that could not be kept goes into the next.
import type { Checkpoint, Clock, Kept, SavedState, StateRow } from "#core";
import type { RuleState } from "./rule-state.ts";

/** When and what to keep. */
export interface KeepOptions {
  /** Least time between two checkpoints; a costly one is followed by a longer pause. */
  readonly intervalMs: number;
  /**
   * For sources that cannot be read again. Keeps with every alert of a sequence too, or a restart could complete the same sequence twice; and
   * not when nothing changed but the time, since there is no place in the source to go back to.
   */
  readonly live: boolean;
  /** What the source needs to go on after so many records of this run. */
  readonly position: (records: number) => string;
}

/** Keeping may take this part of the time: a checkpoint that took 10 ms is followed by 200 ms without one. */
const COST_SHARE = 20;
const THROTTLE_OWNER = "kestrel/throttle";

/** What a keeper collects from. */
interface KeptParts {
  readonly takeCheckpoint: () => Checkpoint;
  /** Whether events wait to be put in order: they are in the sequencer's own row. */
  readonly isBuffering: () => boolean;
  readonly states: () => Iterable<RuleState>;
}

/** See the head of this file. */
export class StateKeeper {
  readonly #options: KeepOptions;
  readonly #clock: Clock;
  readonly #parts: KeptParts;
  #dueNs: bigint;
  #unkept: Checkpoint | undefined;

  constructor(options: KeepOptions, clock: Clock, parts: KeptParts) {
    this.#options = options;
    this.#clock = clock;
    this.#parts = parts;
    this.#dueNs = clock.nowNs() + msToNs(options.intervalMs);
  }

  /** Whether it is time: `sequenceAlerts` were raised since the last call. */
  isDue(sequenceAlerts: boolean): boolean {
    return (sequenceAlerts && this.#options.live) || this.#clock.nowNs() >= this.#dueNs;
  }

  /** Gives `keep` what is to be kept after so many records, if anything; `keep` answers whether that was done. */
  keep(records: number, keep: (kept: Kept | undefined) => boolean, atEnd: boolean): void {
    const startNs = this.#clock.nowNs();
    const checkpoint = joined(this.#unkept, withThrottles(this.#parts.takeCheckpoint(), this.#parts.states()));
    if (this.#options.live && !atEnd && isOnlyTime(checkpoint) && !this.#parts.isBuffering()) keep(undefined);
    else this.#unkept = keep({ checkpoint, position: this.#options.position(records) }) ? undefined : checkpoint;
    const nowNs = this.#clock.nowNs();
    const pauseNs = (nowNs - startNs) * BigInt(COST_SHARE);
    const leastNs = msToNs(this.#options.intervalMs);
    this.#dueNs = nowNs + (pauseNs > leastNs ? pauseNs : leastNs);
  }
}

/** The sequencer's own row, which every checkpoint has. */
function isOnlyTime({ cleared, rows }: Checkpoint): boolean {
  return cleared.length === 0 && rows.length <= 1;
}

function msToNs(ms: number): bigint {
  return BigInt(Math.round(ms * 1e6));
}

function withThrottles(checkpoint: Checkpoint, states: Iterable<RuleState>): Checkpoint {
  const rows: StateRow[] = [...checkpoint.rows];
  for (const state of states) {
    const value = state.takeThrottle();
    if (value !== undefined) rows.push({ owner: THROTTLE_OWNER, key: new TextEncoder().encode(state.rule.id), value });
  }
  return { cleared: checkpoint.cleared, rows };
}

/** One checkpoint that does what both do, one after the other. */
function joined(first: Checkpoint | undefined, second: Checkpoint): Checkpoint {
  if (first === undefined) return second;
  const gone = new Set(second.cleared);
  const rows = new Map<string, StateRow>();
  const nameOf = ({ owner, key }: StateRow): string => `${owner}\0${Buffer.from(key).toString("latin1")}`;
  for (const row of first.rows) if (!gone.has(row.owner)) rows.set(nameOf(row), row);
  for (const row of second.rows) rows.set(nameOf(row), row);
  return { cleared: [...new Set([...first.cleared, ...second.cleared])], rows: [...rows.values()] };
}

/** Gives throttles of an earlier run back to their rules; the rest of the state is what it returns. */
export function restoreThrottles(state: SavedState, stateOf: (ruleId: string) => RuleState | undefined): SavedState {
  const rest: { readonly owner: string; readonly key: Uint8Array; readonly value: Uint8Array }[] = [];
  for (const row of state) {
    if (row.owner === THROTTLE_OWNER) stateOf(new TextDecoder().decode(row.key))?.restoreThrottle(row.value);
    else rest.push(row);
  }
  return rest;
}
