// How much state the sequencer keeps, and for how long.

/** Bounds of the sequencer's state. What passes one is evicted or released early, and counted. */
export interface StateLimits {
  /** Partial matches of all rules. */
  readonly entriesMax: number;
  /** Bytes of all rules' state: the events they hold, each counted once, keys and rows. Lineage marks may take a quarter of as many besides. */
  readonly bytesMax: number;
  /** Partial matches of one rule. */
  readonly ruleEntriesMax: number;
  /** Bytes of one rule's state: the events it holds counted for every partial match that took them. */
  readonly ruleBytesMax: number;
  /** Keys one event can have in one step when its key fields have several values; more are cut and counted. */
  readonly keysPerEventMax: number;
  /** How long partial matches of rules without maxspan live, in event time from their first event; undefined: for ever. */
  readonly ttlNs: bigint | undefined;
  /** How much later than the newest event another may come and still find its place. */
  readonly reorderNs: bigint;
  /** Hits the reorder buffer holds; more are released early, the oldest first. */
  readonly reorderHitsMax: number;
  /** Bytes of events in the reorder buffer; more are released early. */
  readonly reorderBytesMax: number;
  /** Processes one lineage of one rule remembers. */
  readonly lineageMarksMax: number;
  /** Processes whose parent is remembered. */
  readonly lineageLinksMax: number;
}

/** Bounds unless the caller has others. */
export const STATE_LIMITS: StateLimits = {
  entriesMax: 1_048_576,
  bytesMax: 128 << 20,
  ruleEntriesMax: 262_144,
  ruleBytesMax: 64 << 20,
  keysPerEventMax: 64,
  ttlNs: 86_400_000_000_000n,
  reorderNs: 100_000_000n,
  reorderHitsMax: 65_536,
  reorderBytesMax: 32 << 20,
  lineageMarksMax: 65_536,
  lineageLinksMax: 262_144,
};
