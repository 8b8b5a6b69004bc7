// Both rings as one stream: the room of what was read is the kernel's again before the turn ends.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BpfObject } from "#ffi/libbpf";
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
    rings.snapshot();
    rings.read(10_000, take);
    rings.snapshot();
    rings.read(10_000, take);
    link.close();
    rings.close();
    loadedObject.close();
    expect(mine).toBe(700);
  });
});
