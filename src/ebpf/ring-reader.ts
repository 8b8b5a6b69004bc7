// The rings of the sensors, read as one stream in the order of the records' times. Invariants: the records of one process come in the order it made
// them, whatever rings they are in; what was read is given back to the kernel while the rest is still being worked on, so a turn that takes
// long costs no records that come meanwhile.
import { RingBuffer } from "#ffi/ring-buffer";
import { recordTime } from "./decode.ts";
import type { LoadedSensors } from "./loader.ts";

/** Bytes of each ring. */
export interface RingSizes {
  readonly processRingBytes: number;
  readonly activityRingBytes: number;
}

/** Records after which their room is given back: an atomic store, so a few dozen hide it. */
const RELEASE_EVERY = 64;

/** See the head of this file. */
export class RingReader {
  #processes: RingBuffer | undefined;
  #activity: RingBuffer | undefined;
  /** Boot time of the snapshot, ns. */
  #untilNs = 0;

  /** Opens what the sensors have brought; a ring comes with the first sensor that needs it. */
  open(sensors: Pick<LoadedSensors, "map">, { processRingBytes, activityRingBytes }: RingSizes): void {
    this.#processes ??= ringOf(sensors, "process_ring", processRingBytes);
    this.#activity ??= ringOf(sensors, "activity_ring", activityRingBytes);
  }

  /**
   * Looks how far the kernel has come, and gives the bytes that wait. `nowNs`: boot time from before the look. Of what happened up to then all
   * that a process did is seen, or nothing behind it: its sensor had sent it before its next one took the time.
   */
  snapshot(nowNs: bigint): number {
    this.#untilNs = Number(nowNs);
    return (this.#activity?.snapshot() ?? 0) + (this.#processes?.snapshot() ?? 0);
  }

  /**
   * Gives at most `countMax` records before the snapshot to `take`, which steps over each. A record that a CPU is still writing ends it: what is
   * behind that in the other ring may be younger. Returns how many there were.
   */
  read(countMax: number, take: (ring: RingBuffer) => void): number {
    const [processes, activity] = [this.#processes, this.#activity];
    let [processNs, activityNs] = [timeOfNext(processes), timeOfNext(activity)];
    let count = 0;
    while (count < countMax && Math.min(processNs, activityNs) <= this.#untilNs) {
      if (activity !== undefined && activityNs < processNs) {
        take(activity);
        activityNs = timeOfNext(activity);
      } else if (processes !== undefined) {
        take(processes);
        processNs = timeOfNext(processes);
      }
      if (++count % RELEASE_EVERY === 0) this.#release();
    }
    this.#release();
    return count;
  }

  #release(): void {
    this.#processes?.release();
    this.#activity?.release();
  }

  /** Closes both. Twice is fine. */
  close(): void {
    this.#processes?.close();
    this.#activity?.close();
    this.#processes = undefined;
    this.#activity = undefined;
  }
}

function ringOf(sensors: Pick<LoadedSensors, "map">, name: "process_ring" | "activity_ring", sizeBytes: number): RingBuffer | undefined {
  const map = sensors.map(name);
  return map === undefined ? undefined : new RingBuffer(map.fd, sizeBytes);
}

/** Boot time of the next record, ns; infinite at the end of a ring, and NaN, which nothing is less than, before one still being written. */
function timeOfNext(ring: RingBuffer | undefined): number {
  if (ring === undefined) return Number.POSITIVE_INFINITY;
  if (ring.next()) return recordTime(ring.bytes, ring.offset, ring.length);
  return ring.isWaiting ? Number.NaN : Number.POSITIVE_INFINITY;
}
