// How far a replay has come in each file, for another replay that continues there. The log keeps the places of the records pushed last, since
// a checkpoint covers records that were pushed some batches ago. Bounded.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { assert } from "./error.ts";
import { joinTime, splitTime } from "./time-words.ts";

/** An input and its last record, as far as the log of positions keeps them. */
export interface InputPlace {
  readonly name: string;
  /** Its turn among equal times: the order in which the files were named. */
  readonly index: number;
  readonly kind: ReplayPlace["kind"];
  /** Records up to and with this one, those before a resumed position included. */
  readonly records: number;
  /** Number of its line; for `.klog` where its block starts. */
  readonly at: number;
  /** For `.klog`: records of that block up to and with this one; 0 for lines. */
  readonly inBlock: number;
  /** Event time of the record; for one without a time that of the record before it. */
  readonly timeLo: number;
  readonly timeHi: number;
}

/** A place in a file: the last record read of it. */
export type ReplayPlace =
  | {
      readonly kind: "line";
      readonly line: number;
      /** Time of its event, which the next one gets if it has none; nanoseconds in decimal. */
      readonly timeNs: string;
    }
  | {
      readonly kind: "block";
      /** Where its block starts. */
      readonly position: number;
      /** Records of the block up to and with it. */
      readonly records: number;
    };

/** How far a replay has come in one file. Plain data: JSON keeps it. */
export interface ReplayPosition {
  /** As it was named. */
  readonly file: string;
  /** Events read of it. */
  readonly records: number;
  readonly place: ReplayPlace;
  /** What the file was: its size then, and a hash of its first bytes. Zero and empty for what is no file, such as standard input. */
  readonly size: number;
  readonly head: string;
}

/** Size of a file and a hash of its first bytes. */
export type Fingerprint = Pick<ReplayPosition, "size" | "head">;

const HEAD_BYTES = 4096;
/** Records whose places are kept: more than the largest bus holds in flight (130 batches of 256). */
const RECORDS_KEPT = 65_536;

/** Of what is no regular file: it cannot be compared. */
export const NO_FILE: Fingerprint = { size: 0, head: "" };

/** The fingerprint of a file, the empty one of what is no regular file; nothing when it cannot be opened: whoever reads it says why. */
export function fingerprintOf(path: string, sizeMost: number = Number.POSITIVE_INFINITY): Fingerprint | undefined {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch {
    return undefined;
  }
  try {
    const stat = fstatSync(file);
    if (!stat.isFile()) return NO_FILE;
    const bytes = new Uint8Array(Math.min(HEAD_BYTES, stat.size, sizeMost));
    const count = readSync(file, bytes, 0, bytes.length, 0);
    return { size: stat.size, head: new Bun.CryptoHasher("sha256").update(bytes.subarray(0, count)).digest("hex") };
  } finally {
    closeSync(file);
  }
}

/** Why a file cannot be the one that a position was kept of; `undefined` when it can: it may have grown. */
export function changeSince(position: ReplayPosition): string | undefined {
  if (position.size === 0) return undefined;
  const now = fingerprintOf(position.file, position.size);
  if (now === undefined) return undefined;
  const { size, head } = now;
  if (size < position.size) return `it has ${size} bytes and had ${position.size}`;
  return head === position.head ? undefined : "its first bytes have changed";
}

/** Numbers kept of one record, in this order. */
const enum Column {
  Index = 0,
  Records = 1,
  At = 2,
  InBlock = 3,
  TimeLo = 4,
  TimeHi = 5,
  Count = 6,
}

/** The places of the records pushed last. */
export class PositionLog {
  readonly #inputs: readonly InputPlace[];
  readonly #fingerprints: readonly Fingerprint[];
  /** One row for each input: its last record that is no longer in the ring. No records: none of it was read. */
  readonly #base: Float64Array;
  readonly #ring = new Float64Array(RECORDS_KEPT * Column.Count);
  #pushed = 0;
  /** Records that the base covers. */
  #left = 0;

  constructor(inputs: readonly InputPlace[], fingerprints: readonly Fingerprint[], resumed: readonly (ReplayPosition | undefined)[]) {
    this.#inputs = inputs;
    this.#fingerprints = fingerprints;
    this.#base = new Float64Array(inputs.length * Column.Count);
    for (const [index, position] of resumed.entries()) if (position !== undefined) this.#base.set(rowOf(position), index * Column.Count);
  }

  /** Notes the record of an input that was pushed now. */
  note({ index, records, at, inBlock, timeLo, timeHi }: InputPlace): void {
    const ring = this.#ring;
    const row = (this.#pushed % RECORDS_KEPT) * Column.Count;
    if (this.#pushed - this.#left === RECORDS_KEPT) {
      this.#base.set(ring.subarray(row, row + Column.Count), (ring[row + Column.Index] as number) * Column.Count);
      this.#left++;
    }
    ring[row + Column.Index] = index;
    ring[row + Column.Records] = records;
    ring[row + Column.At] = at;
    ring[row + Column.InBlock] = inBlock;
    ring[row + Column.TimeLo] = timeLo;
    ring[row + Column.TimeHi] = timeHi;
    this.#pushed++;
  }

  /** Positions after so many records were pushed in all; files of which none was read are left out. */
  after(pushed: number): readonly ReplayPosition[] {
    assert(pushed >= this.#left && pushed <= this.#pushed, "positions are kept of the records pushed last");
    const rows = this.#base.slice();
    for (let count = this.#left; count < pushed; count++) {
      const row = (count % RECORDS_KEPT) * Column.Count;
      rows.set(this.#ring.subarray(row, row + Column.Count), (this.#ring[row + Column.Index] as number) * Column.Count);
    }
    return this.#inputs.flatMap((input, index) => {
      const row = rows.subarray(index * Column.Count, (index + 1) * Column.Count);
      return row[Column.Records] === 0 ? [] : [positionOf(input, row, this.#fingerprints[index] as Fingerprint)];
    });
  }
}

function rowOf({ records, place }: ReplayPosition): readonly number[] {
  if (place.kind === "block") return [0, records, place.position, place.records, 0, 0];
  const { lo, hi } = splitTime(BigInt(place.timeNs));
  return [0, records, place.line, 0, lo, hi];
}

function positionOf(input: InputPlace, row: Float64Array, fingerprint: Fingerprint): ReplayPosition {
  const [, records, at, inBlock, timeLo, timeHi] = row as unknown as readonly [number, number, number, number, number, number];
  const place: ReplayPlace =
    input.kind === "block"
      ? { kind: "block", position: at, records: inBlock }
      : { kind: "line", line: at, timeNs: String(joinTime(timeLo, timeHi)) };
  return { file: input.name, records, place, ...fingerprint };
}
