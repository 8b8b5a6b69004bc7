// The rings of the sensors, read as one stream in the order of the records' times. Invariant: what was read is given back to the kernel while
// the rest is still being worked on, so a turn that takes long costs no records that come meanwhile.
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

  /** Opens what the sensors have brought; a ring comes with the first sensor that needs it. */
  open(sensors: Pick<LoadedSensors, "map">, { processRingBytes, activityRingBytes }: RingSizes): void {
    this.#processes ??= ringOf(sensors, "process_ring", processRingBytes);
    this.#activity ??= ringOf(sensors, "activity_ring", activityRingBytes);
  }

  /**
   * Looks how far the kernel has come. The process ring is looked at last: then everything that happened before a file event that is seen, in
   * the same process, is seen too. Returns the bytes that wait.
   */
  snapshot(): number {
    return (this.#activity?.snapshot() ?? 0) + (this.#processes?.snapshot() ?? 0);
  }

  /** Gives at most `countMax` records before the snapshot to `take`, which steps over each. Returns how many there were. */
  read(countMax: number, take: (ring: RingBuffer) => void): number {
    const [processes, activity] = [this.#processes, this.#activity];
    let [hasProcess, hasActivity] = [processes?.next() ?? false, activity?.next() ?? false];
    let count = 0;
    while (count < countMax && (hasProcess || hasActivity)) {
      if (processes !== undefined && hasProcess && !(activity !== undefined && hasActivity && timeOf(activity) < timeOf(processes))) {
        take(processes);
        hasProcess = processes.next();
      } else if (activity !== undefined) {
        take(activity);
        hasActivity = activity.next();
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

function timeOf(ring: RingBuffer): number {
  return recordTime(ring.bytes, ring.offset, ring.length);
}
