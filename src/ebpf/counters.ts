// The kernel's own account of what the sensors sent, per kind of record, summed over the CPUs. Invariant: for each kind, produced =
// read from the ring + dropped, once the ring is empty.
import { type BpfMap, possibleCpus } from "#ffi/libbpf";
import { NativeBuffer } from "#ffi/memory";
import { Counter, Op } from "./wire.ts";

/** Counts of one kind of record. */
export interface SensorCounts {
  /** Records the sensor tried to send. */
  readonly produced: number;
  /** Of these, refused because the ring was full. */
  readonly dropped: number;
  /** Sent with a path or arguments cut. */
  readonly truncated: number;
  /** Sent with something that could not be read. */
  readonly readFailed: number;
  /** Not made, because no rule can match them: beside those produced. */
  readonly filtered: number;
}

/** Kinds of records, as the kernel side counts them. */
type CountedKind =
  | "exec"
  | "args"
  | "fork"
  | "exit"
  | "file"
  | "connect"
  | "change"
  | "act"
  | "bind"
  | "listen"
  | "send"
  | "dns"
  | "accept"
  | "denied"
  | "unix";

const ROWS: readonly (readonly [CountedKind, Op])[] = [
  ["exec", Op.Exec],
  ["args", Op.Args],
  ["fork", Op.Fork],
  ["exit", Op.Exit],
  ["file", Op.File],
  ["connect", Op.Connect],
  ["change", Op.Change],
  ["act", Op.Act],
  ["bind", Op.Bind],
  ["listen", Op.Listen],
  ["send", Op.Send],
  ["dns", Op.Dns],
  ["accept", Op.Accept],
  ["denied", Op.Denied],
  ["unix", Op.Unix],
];

/** All rows. */
export type CounterTable = Readonly<Record<CountedKind, SensorCounts>>;

/** The table before anything was counted. */
export const NO_COUNTS: CounterTable = tableOf(() => ({ produced: 0, dropped: 0, truncated: 0, readFailed: 0, filtered: 0 }));

function tableOf(rowOf: (op: Op) => SensorCounts): CounterTable {
  return Object.fromEntries(ROWS.map(([kind, op]) => [kind, rowOf(op)])) as CounterTable;
}

/** Reads the counter map. */
export class CounterReader {
  readonly #map: BpfMap;
  readonly #row: NativeBuffer;

  constructor(map: BpfMap) {
    this.#map = map;
    this.#row = new NativeBuffer(possibleCpus() * Counter.Size);
  }

  /** The counts of this moment. */
  read(): CounterTable {
    return tableOf((op) => this.#readRow(op));
  }

  #readRow(op: number): SensorCounts {
    const key = new Uint8Array(Uint32Array.of(op).buffer);
    const sum = { produced: 0, dropped: 0, truncated: 0, readFailed: 0, filtered: 0 };
    if (!this.#map.lookup(key, this.#row)) return sum;
    for (let at = 0; at < this.#row.byteLength; at += Counter.Size) {
      sum.produced += Number(this.#row.u64(at + Counter.Produced));
      sum.dropped += Number(this.#row.u64(at + Counter.Dropped));
      sum.truncated += Number(this.#row.u64(at + Counter.Truncated));
      sum.readFailed += Number(this.#row.u64(at + Counter.ReadFailed));
      sum.filtered += Number(this.#row.u64(at + Counter.Filtered));
    }
    return sum;
  }
}
