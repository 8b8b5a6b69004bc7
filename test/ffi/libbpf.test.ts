// libbpf and the mapped ring: real objects on the real kernel where it allows, and misuse everywhere.

import { heapStats } from "bun:jsc";
import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BpfObject, libbpfVersion, possibleCpus } from "#ffi/libbpf";
import { NativeBuffer } from "#ffi/memory";
import { RingBuffer } from "#ffi/ring-buffer";
import { codeOf } from "./code-of.ts";

const RING_BYTES = 64 << 10;
const bytes = readFileSync(join(import.meta.dir, "../../build/bpf/fork.bpf.o"));

function loadFork(): BpfObject {
  const object = BpfObject.open("fork", bytes);
  try {
    object.setMaxEntries("process_ring", RING_BYTES);
    object.load();
    return object;
  } catch (error) {
    object.close();
    throw error;
  }
}

const refusal = codeOf(() => loadFork().close());
const ready = refusal === "no error";
if (!ready) console.log(`skipped: loading BPF objects (${refusal}: needs root, or CAP_BPF and CAP_PERFMON)`);

test("version and CPUs", () => {
  expect(libbpfVersion()).toMatch(/^v\d+\.\d+/);
  expect(possibleCpus()).toBeGreaterThan(0);
});

describe("misuse", () => {
  test("bytes that are no object", () => {
    for (const content of [new Uint8Array(0), new Uint8Array(64), bytes.subarray(0, 200)]) {
      expect(codeOf(() => BpfObject.open("bad", content))).toMatch(/^(E[A-Z]+|LIBBPF_FORMAT)$/);
    }
  });

  test("names that do not exist, before load", () => {
    using object = BpfObject.open("fork", bytes);
    expect(codeOf(() => object.setAutoload("nothing", true))).toBe("no-program");
    expect(codeOf(() => object.map("nothing"))).toBe("no-map");
    expect(codeOf(() => object.map("process_ring"))).toBe("not-loaded");
    expect(codeOf(() => object.setAutoload("a\0b", true))).toBe("range");
    expect(object.hasMap("nothing")).toBe(false);
  });

  test("numbers out of range", () => {
    using object = BpfObject.open("fork", bytes);
    expect(codeOf(() => object.setMaxEntries("process_ring", -1))).toBe("range");
    expect(codeOf(() => object.setMaxEntries("process_ring", 2 ** 32))).toBe("range");
    expect(codeOf(() => object.reuseMap("process_ring", 1.5))).toBe("range");
    expect(codeOf(() => new RingBuffer(0, 5000))).toBe("range");
    expect(codeOf(() => new RingBuffer(0, 0))).toBe("range");
    expect(codeOf(() => new RingBuffer(-1, 4096))).toMatch(/^E[A-Z]+$/);
  });

  test("twice closed is fine, used afterwards is not", () => {
    const object = BpfObject.open("fork", bytes);
    object.close();
    object.close();
    expect(codeOf(() => object.load())).toBe("closed");
    expect(codeOf(() => object.attach("kestrel_fork"))).toBe("closed");
    expect(codeOf(() => object.hasMap("process_ring"))).toBe("closed");
  });
});

describe.skipIf(!ready)("on this kernel", () => {
  const object = ready ? loadFork() : undefined;
  afterAll(() => object?.close());

  test("after load it is too late to configure", () => {
    expect(codeOf(() => object?.load())).toBe("loaded");
    expect(codeOf(() => object?.setMaxEntries("process_ring", 4096))).toBe("loaded");
    expect(codeOf(() => object?.setAutoload("kestrel_fork", true))).toBe("loaded");
  });

  test("a program the verifier refuses: the errno, and the verifier's own words", () => {
    using broken = BpfObject.open("broken", bytes);
    // The program then writes a record into something that is no ring.
    broken.reuseMap("process_ring", object!.map("counters").fd);
    expect(codeOf(() => broken.load())).toBe("EINVAL");
    using again = BpfObject.open("again", bytes);
    again.reuseMap("process_ring", object!.map("counters").fd);
    expect(() => again.load()).toThrow(/cannot pass map_type/);
  });

  test("room for the verifier's words is let go after the load", () => {
    Bun.gc(true);
    const before = heapStats().extraMemorySize;
    const objects = Array.from({ length: 4 }, loadFork);
    Bun.gc(true);
    const grownBytes = heapStats().extraMemorySize - before;
    for (const object of objects) object.close();
    expect(grownBytes).toBeLessThan(8 << 20);
  });

  test("map elements: per-CPU values come one after another", () => {
    const counters = object!.map("counters");
    const row = new NativeBuffer(possibleCpus() * 40);
    expect(counters.lookup(new Uint8Array(Uint32Array.of(1).buffer), row)).toBe(true);
    expect(counters.lookup(new Uint8Array(Uint32Array.of(1000).buffer), row)).toBe(false);
  });

  test("keys and values of another size than the map's", () => {
    const counters = object!.map("counters");
    const key = new Uint8Array(Uint32Array.of(1).buffer);
    expect(codeOf(() => counters.lookup(key, new NativeBuffer(possibleCpus() * 32)))).toBe("range");
    expect(codeOf(() => counters.lookup(key.subarray(0, 2), new NativeBuffer(possibleCpus() * 40)))).toBe("range");
    expect(codeOf(() => counters.update(key, new Uint8Array(40)))).toBe("range");
    expect(codeOf(() => counters.delete(new Uint8Array(8)))).toBe("range");
  });

  test("a child is one record in the ring; after detaching it is none", () => {
    using ring = new RingBuffer(object!.map("process_ring").fd, RING_BYTES);
    const link = object!.attach("kestrel_fork");
    const pids: number[] = [];
    const read = () =>
      ring.read((data, offset) => pids.push(new DataView(data.buffer, data.byteOffset + offset).getUint32(32, true)), 1000);
    const pid = Bun.spawnSync(["/bin/true"]).pid;
    read();
    expect(pids).toContain(pid);
    link.close();
    link.close();
    pids.length = 0;
    const later = Bun.spawnSync(["/bin/true"]).pid;
    read();
    expect(pids).not.toContain(later);
  });

  test("the ring goes round many times without losing its place", () => {
    using ring = new RingBuffer(object!.map("process_ring").fd, RING_BYTES);
    const link = object!.attach("kestrel_fork");
    let seen = 0;
    let mine = 0;
    for (let turn = 0; turn < 8; turn++) {
      const script = 'i=0; while [ $i -lt 120 ]; do (exit 0); i=$((i+1)); done; echo "$$"';
      const shell = Number(Bun.spawnSync(["/bin/sh", "-c", script]).stdout.toString());
      seen += ring.read((data, offset) => {
        if (new DataView(data.buffer, data.byteOffset + offset).getUint32(40, true) === shell) mine++;
      }, 100_000);
    }
    link.close();
    expect(mine).toBe(8 * 120);
    expect(seen * 128).toBeGreaterThan(RING_BYTES);
  });

  test("a closed ring refuses; the map's owner closed first is no matter for the ring", () => {
    const owner = loadFork();
    const map = owner.map("process_ring");
    const ring = new RingBuffer(map.fd, RING_BYTES);
    owner.close();
    expect(ring.read(() => undefined, 10)).toBe(0);
    expect(codeOf(() => map.fd)).toBe("closed");
    ring.close();
    ring.close();
    for (const use of [
      () => ring.snapshot(),
      () => ring.next(),
      () => ring.bytes,
      () => ring.release(),
      () => ring.read(() => undefined, 1),
    ]) {
      expect(codeOf(use)).toBe("closed");
    }
  });
});
