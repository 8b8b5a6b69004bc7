// What a source counts, and what that means for whoever asks whether anything was lost.
import type { LossCounts } from "#core";
import type { CounterTable } from "./counters.ts";
import type { ReaderCounts } from "./file-reader.ts";
import type { InspectCounts } from "./program-inspector.ts";

/** Counters of a running source, for status and metrics. */
export interface EbpfCounts {
  /** The kernel's counts for each kind of record. */
  readonly kernel: CounterTable;
  /** Records read from the rings. */
  readonly read: number;
  /** Records given to the sink. */
  readonly pushed: number;
  /** Pushed records the sink did not take; the sink counts them as dropped. */
  readonly refused: number;
  /** Ring records no sensor of ours can have sent, and events of which no record could be made. */
  readonly malformed: number;
  /** Pieces of arguments, which became part of an exec record. */
  readonly joined: number;
  /** Pieces of arguments that were lost: their exec's arguments end early. */
  readonly piecesLost: number;
  /** Calls that set ids to what they were already: no events. */
  readonly unchanged: number;
  /** Records that nobody can use, left out after the process table had seen them. */
  readonly unwanted: number;
  /** Records of denied attempts, which no sensor sent. */
  readonly attempts: number;
  /** Execs that waited for what is in their file, and of these those let go before it was known. */
  readonly held: number;
  readonly heldTooLong: number;
  /** Files of programs: known, and why others are not. */
  readonly files: InspectCounts | undefined;
  /** How the reader of these files fares. */
  readonly readers: ReaderCounts;
  /** Processes whose beginning was not seen. */
  readonly unknownProcesses: number;
  /** Processes in the table. */
  readonly processes: number;
}

/** Events that are lost, by cause. */
export function lossesOf({ kernel, malformed }: EbpfCounts): LossCounts {
  let ringFull = 0;
  // A lost piece of arguments is no lost event: its exec comes all the same, with a shorter command line.
  for (const [kind, counts] of Object.entries(kernel)) if (kind !== "args") ringFull += counts.dropped;
  return { "ring-full": ringFull, malformed };
}

/** Events that were left out because no rule can match them, by where that was: before the kernel made a record, or behind the process table. */
export function filteredOf({ kernel, unwanted }: EbpfCounts): LossCounts {
  let inKernel = 0;
  for (const counts of Object.values(kernel)) inKernel += counts.filtered;
  return { kernel: inKernel, "no-rule": unwanted };
}

/** Records the sensors tried to send: evaluated + dropped + filtered. Pieces of arguments and calls that changed nothing are not records. */
export function producedOf({ kernel, attempts, unchanged }: EbpfCounts): number {
  let produced = attempts - unchanged;
  for (const [kind, counts] of Object.entries(kernel)) if (kind !== "args") produced += counts.produced + counts.filtered;
  return produced;
}
