// State that survives a restart, as bytes: what changed since the last checkpoint, written in one transaction with the alerts raised up to it.
// Who owns a row knows its meaning; the store knows none.

/** One piece of kept state. */
export interface StateRow {
  /** Whose it is, for example a rule's id. */
  readonly owner: string;
  /** Unique within its owner. */
  readonly key: Uint8Array;
  /** `undefined`: the row is gone. */
  readonly value: Uint8Array | undefined;
}

/** What a checkpoint writes: first `cleared`, then `rows`. */
export interface Checkpoint {
  /** Owners all of whose rows go. */
  readonly cleared: readonly string[];
  /** Rows that changed. */
  readonly rows: readonly StateRow[];
}

/** Rows of the last checkpoint, in no order. */
export type SavedState = Iterable<{ readonly owner: string; readonly key: Uint8Array; readonly value: Uint8Array }>;
