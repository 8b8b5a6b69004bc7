// Both rings as one stream: the order of what is read, with rings written here as the kernel writes them; and that the room of what was read is the
// kernel's again before the turn ends.
import { afterAll, describe, expect, test } from "bun:test";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BpfMap, BpfObject } from "#ffi/libbpf";
import { ClockId, clockNs } from "#ffi/libc";
import type { RingBuffer } from "#ffi/ring-buffer";
import { RingReader } from "../../src/ebpf/ring-reader.ts";

/** 512 records of forks. */
const RING_BYTES = 64 << 10;
const PPID_OFFSET = 40;

function loaded(): BpfObject | string {
  const object = BpfObject.open("fork", readFileSync(join(import.meta.dir, "../../build/bpf/fork.bpf.o")));
  try {
    object.setMaxEntries("process_ring", RING_BYTES);
    object.load();
    return object;
  } catch (error) {
    object.close();
    return String(error);
  }
}

const PAGE_BYTES = 4096;
const BUSY_BIT = 0x8000_0000;
/** As long as the head of every record. */
const RECORD_BYTES = 128;

/** The file of a ring, in the kernel's place: records with a time and nothing else. */
class WrittenRing {
  readonly fd: number;
  #produced = 0;

  constructor(path: string) {
    this.fd = openSync(path, "w+");
    writeSync(this.fd, new Uint8Array(2 * PAGE_BYTES + RING_BYTES));
  }

  /** Adds a record; `isBusy`: it is still being written. Returns where it is, for `finish`. */
  add(timeNs: bigint, isBusy = false): number {
    const at = 2 * PAGE_BYTES + this.#produced;
    writeSync(this.fd, Uint32Array.of((RECORD_BYTES | (isBusy ? BUSY_BIT : 0)) >>> 0, 0), 0, 8, at);
    writeSync(this.fd, BigUint64Array.of(timeNs), 0, 8, at + 8);
    this.#produced += RECORD_BYTES + 8;
    writeSync(this.fd, BigUint64Array.of(BigInt(this.#produced)), 0, 8, PAGE_BYTES);
    return at;
  }

  finish(at: number): void {
    writeSync(this.fd, Uint32Array.of(RECORD_BYTES), 0, 4, at);
  }
}

describe("rings written here", () => {
  const folder = mkdtempSync(join(tmpdir(), "kestrel-rings-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  function withRings(act: (rings: Readonly<Record<"processes" | "activity", WrittenRing>>, read: () => readonly bigint[]) => void): void {
    const processes = new WrittenRing(join(folder, "processes"));
    const activity = new WrittenRing(join(folder, "activity"));
    const reader = new RingReader();
    const map = (name: string): BpfMap => (name === "process_ring" ? processes : activity) as unknown as BpfMap;
    reader.open({ map }, { processRingBytes: RING_BYTES, activityRingBytes: RING_BYTES });
    act({ processes, activity }, () => {
      const times: bigint[] = [];
      reader.snapshot(clockNs(ClockId.Boottime));
      reader.read(100, (ring) => {
        times.push(new DataView(ring.bytes.buffer, ring.bytes.byteOffset + ring.offset).getBigUint64(0, true));
        ring.skip();
      });
      return times;
    });
    reader.close();
    for (const { fd } of [processes, activity]) closeSync(fd);
  }

  test("the older record first, whichever ring it is in", () => {
    withRings(({ processes, activity }, read) => {
      for (const time of [10n, 40n, 50n]) processes.add(time);
      for (const time of [20n, 30n, 60n]) activity.add(time);
      expect(read()).toEqual([10n, 20n, 30n, 40n, 50n, 60n]);
      expect(read()).toEqual([]);
    });
  });

  test("a record that is still being written: nothing younger passes it in the other ring", () => {
    withRings(({ processes, activity }, read) => {
      activity.add(10n);
      const busy = activity.add(20n, true);
      processes.add(30n);
      expect(read()).toEqual([10n]);
      activity.finish(busy);
      expect(read()).toEqual([20n, 30n]);
    });
  });

  test("what happened after the look waits for the next: of the same process, something earlier may be in a ring looked at before", () => {
    withRings(({ processes, activity }, read) => {
      const later = clockNs(ClockId.Boottime) + 50_000_000n;
      processes.add(later);
      activity.add(10n);
      expect(read()).toEqual([10n]);
      Bun.sleepSync(60);
      activity.add(later - 1n);
      expect(read()).toEqual([later - 1n, later]);
    });
  });

  test("no record at all, and then one", () => {
    withRings(({ activity }, read) => {
      expect(read()).toEqual([]);
      activity.add(1n);
      expect(read()).toEqual([1n]);
    });
  });
});

const object = loaded();
if (typeof object === "string") console.log(`skipped: ${object}`);

/** Pid of a shell that made so many processes. */
function forks(count: number): number {
  const script = `i=0; while [ $i -lt ${count} ]; do (exit 0); i=$((i+1)); done; echo "$$"`;
  return Number(Bun.spawnSync(["/bin/sh", "-c", script]).stdout.toString());
}

describe.skipIf(typeof object === "string")("rings of the kernel", () => {
  test("records that come while a long turn is read find room", () => {
    const loadedObject = object as BpfObject;
    const rings = new RingReader();
    rings.open(
      { map: (name) => (name === "process_ring" ? loadedObject.map(name) : undefined) },
      { processRingBytes: RING_BYTES, activityRingBytes: RING_BYTES },
    );
    const link = loadedObject.attach("kestrel_fork");
    const shells = new Set([forks(400)]);
    let [taken, mine] = [0, 0];
    const take = (ring: RingBuffer): void => {
      const { bytes, offset } = ring;
      if (shells.has(new DataView(bytes.buffer, bytes.byteOffset + offset).getUint32(PPID_OFFSET, true))) mine++;
      ring.skip();
      // The ring could not hold both together.
      if (++taken === 390) shells.add(forks(300));
    };
    rings.snapshot(clockNs(ClockId.Boottime));
    rings.read(10_000, take);
    rings.snapshot(clockNs(ClockId.Boottime));
    rings.read(10_000, take);
    link.close();
    rings.close();
    loadedObject.close();
    expect(mine).toBe(700);
  });
});
