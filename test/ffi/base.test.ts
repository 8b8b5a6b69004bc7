// Handles, native memory, argument checks, the C library, and opening bundled libraries.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, openSync, readFileSync, readSync, writeSync } from "node:fs";
import fc from "fast-check";
import { Handle, type Pointer } from "#ffi/handle";
import { ClockId, clockNs, closeFd, effectiveUserId, isOwnSealedFile, pidfdOpen, pidfdSendSignal, sealedMemoryFile } from "#ffi/libc";
import { openLibrary, unpackToDirectory } from "#ffi/library";
import {
  addressOf,
  checkI32,
  checkI64,
  checkPointer,
  checkSize,
  checkU8,
  checkU16,
  checkU32,
  checkU64,
  copyIn,
  copyOut,
  NativeBuffer,
  nativeView,
  readCString,
  readPointer,
  readU32,
  readU64,
} from "#ffi/memory";
import { codeOf } from "./code-of.ts";

// Generous, since machines are noisy and no test here measures time; it only ends what hangs.
setDefaultTimeout(60_000);
describe("Handle", () => {
  const make = (freed: Pointer[]) => new Handle("libx", "x_t", 64 as Pointer, (pointer) => freed.push(pointer));

  test("frees once, however often it is closed", () => {
    const freed: Pointer[] = [];
    const handle = make(freed);
    handle.close();
    handle.close();
    handle[Symbol.dispose]();
    expect(freed).toEqual([64 as Pointer]);
  });

  test("refuses use after close and names the type", () => {
    const handle = make([]);
    expect(handle.ptr).toBe(64 as Pointer);
    handle.close();
    expect(handle.closed).toBe(true);
    expect(() => handle.ptr).toThrow("x_t is already closed");
    expect(codeOf(() => handle.assertOpen())).toBe("closed");
  });

  test("what was handed over is not freed and not usable", () => {
    const freed: Pointer[] = [];
    const handle = make(freed);
    expect(handle.consume()).toBe(64 as Pointer);
    handle.close();
    expect(freed).toEqual([]);
    expect(() => handle.ptr).toThrow("handed over");
    expect(codeOf(() => handle.consume())).toBe("closed");
  });

  test("is freed at the end of a using block", () => {
    const freed: Pointer[] = [];
    {
      using handle = make(freed);
      expect(handle.closed).toBe(false);
    }
    expect(freed.length).toBe(1);
  });

  for (const pointer of [null, undefined, 0 as Pointer, Number.NaN as Pointer, (1n << 60n) as bigint]) {
    test(`refuses ${pointer} as a pointer`, () => expect(codeOf(() => new Handle("libx", "x_t", pointer))).toBe("null-pointer"));
  }
});

describe("argument checks", () => {
  const missing = undefined as unknown as number;
  const cases: readonly (readonly [string, (value: number) => unknown, number, number])[] = [
    ["u8", (value) => checkU8(value, "v"), 0, 255],
    ["u16", (value) => checkU16(value, "v"), 0, 65_535],
    ["u32", (value) => checkU32(value, "v"), 0, 2 ** 32 - 1],
    ["i32", (value) => checkI32(value, "v"), -(2 ** 31), 2 ** 31 - 1],
    ["size", (value) => checkSize(value, "v"), 0, Number.MAX_SAFE_INTEGER],
    ["u64", (value) => checkU64(value, "v"), 0, Number.MAX_SAFE_INTEGER],
    ["i64", (value) => checkI64(value, "v"), Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  ];
  for (const [name, check, low, high] of cases) {
    test(`${name} takes its range and nothing else`, () => {
      expect([Number(check(low)), Number(check(high))]).toEqual([low, high]);
      for (const bad of [
        low - 1,
        high + 1,
        0.5,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        missing,
        null as unknown as number,
        "1" as unknown as number,
      ]) {
        expect(codeOf(() => check(bad))).toBe("range");
      }
    });
  }

  test("64-bit limits are exact", () => {
    expect(checkU64(2n ** 64n - 1n, "v")).toBe(2n ** 64n - 1n);
    expect(codeOf(() => checkU64(2n ** 64n, "v"))).toBe("range");
    expect(codeOf(() => checkU64(-1n, "v"))).toBe("range");
    expect(checkI64(-(2n ** 63n), "v")).toBe(-(2n ** 63n));
    expect(codeOf(() => checkI64(2n ** 63n, "v"))).toBe("range");
  });

  test("the message names the argument, the range and the value", () => {
    expect(() => checkU8(304, "prefixLength")).toThrow("prefixLength must be an integer from 0 to 255, got 304");
  });

  test("pointers: NULL, fractions and lossy bigints are refused", () => {
    for (const bad of [0, 0n, null, undefined, 1.5, -8, 1n << 60n]) expect(codeOf(() => checkPointer(bad, "p"))).toBe("null-pointer");
    expect(checkPointer(4096n, "p")).toBe(4096 as Pointer);
  });
});

describe("NativeBuffer", () => {
  test("keeps its address when its views are touched and garbage is collected", () => {
    const buffers = Array.from({ length: 200 }, (_, index) => new NativeBuffer(index % 40));
    for (const [index, buffer] of buffers.entries()) buffer.bytes.fill(index);
    Bun.gc(true);
    for (const [index, buffer] of buffers.entries()) {
      expect(buffer.ptr % 8).toBe(0);
      expect(addressOf(buffer.bytes)).toBe(buffer.ptr);
      expect([...nativeView(buffer.ptr, buffer.byteLength)]).toEqual(new Array(index % 40).fill(index));
    }
  });

  test("a buffer outlives the expression that made it, through collections", () => {
    for (let round = 0; round < 50; round++) {
      const address = NativeBuffer.cstring(`text ${round}`).ptr;
      Bun.gc(true);
      // Takes the place of anything that was freed.
      const others = Array.from({ length: 50 }, () => new NativeBuffer(16).bytes.fill(65));
      expect(readCString(address)).toBe(`text ${round}`);
      expect(others.length).toBe(50);
    }
  });

  test("property: C strings round trip, a NUL inside is refused", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        if (text.includes("\0")) expect(codeOf(() => NativeBuffer.cstring(text))).toBe("range");
        else expect(readCString(NativeBuffer.cstring(text).ptr)).toBe(text.toWellFormed());
      }),
    );
    expect(readCString(null)).toBe("");
  });

  test("stores and reads pointers and words", () => {
    const buffer = new NativeBuffer(24);
    const target = NativeBuffer.from(new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]));
    expect(buffer.pointer(8)).toBeUndefined();
    buffer.setPointer(8, target.ptr);
    expect(buffer.pointer(8)).toBe(target.ptr);
    expect(readPointer(buffer.ptr, 8)).toBe(target.ptr);
    expect([readU32(target.ptr), readU64(target.ptr)]).toEqual([0x04030201, 0x0807060504030201n]);
    copyIn(target.ptr, new Uint8Array([9, 9]));
    expect([...copyOut(target.ptr, 3)]).toEqual([9, 9, 3]);
  });

  test("refuses sizes that are none", () => {
    expect(codeOf(() => new NativeBuffer(-1))).toBe("range");
    expect(codeOf(() => new NativeBuffer(undefined as unknown as number))).toBe("range");
    expect(codeOf(() => nativeView(0 as Pointer, 8))).toBe("null-pointer");
  });
});

describe("libc", () => {
  test("a sealed memory file holds its bytes and cannot be changed", () => {
    const content = new Uint8Array(new ArrayBuffer(5000)).fill(7);
    const fd = sealedMemoryFile("kestrel-test", content);
    const path = `/proc/self/fd/${fd}`;
    expect(new Uint8Array(readFileSync(path))).toEqual(content);
    expect(isOwnSealedFile(fd)).toBe(true);
    expect(() => writeSync(fd, new Uint8Array(1), 0, 1, 0)).toThrow("EPERM");
    expect(() => openSync(path, "r+") && writeSync(openSync(path, "r+"), "x")).toThrow(/EPERM|EACCES|ETXTBSY/);
    closeFd(fd);
  });

  test("an ordinary file is not taken for a sealed one", () => {
    const fd = openSync("/proc/self/status", "r");
    expect(isOwnSealedFile(fd)).toBe(false);
    readSync(fd, new Uint8Array(1));
    closeSync(fd);
  });

  test("clocks run forward", () => {
    const before = clockNs(ClockId.Monotonic);
    expect(clockNs(ClockId.Monotonic)).toBeGreaterThanOrEqual(before);
    expect(clockNs(ClockId.Boottime)).toBeGreaterThanOrEqual(before);
    expect(effectiveUserId()).toBe(process.geteuid?.() ?? -1);
  });

  test("a pidfd names a process; errors carry the errno name", () => {
    const fd = pidfdOpen(process.pid);
    pidfdSendSignal(fd, 0);
    closeFd(fd);
    expect(codeOf(() => pidfdSendSignal(fd, 0))).toBe("EBADF");
    expect(codeOf(() => pidfdOpen(0x3fff_ffff))).toBe("ESRCH");
    expect(codeOf(() => pidfdOpen(-1))).toBe("range");
  });
});

describe("openLibrary", () => {
  test("binds a function", () => {
    const z = openLibrary("libz", { zlibVersion: { args: [], returns: "ptr" } });
    expect(readCString(z.zlibVersion())).toMatch(/^\d+\.\d+/);
  });

  test("loads what libbpf needs before it", () => {
    const bpf = openLibrary("libbpf", { libbpf_version_string: { args: [], returns: "ptr" } });
    expect(readCString(bpf.libbpf_version_string())).toMatch(/^v1\./);
  });

  test("a missing function names itself, the library and the version", () => {
    const open = () => openLibrary("libz", { inflateBackwards: { args: [], returns: "void" } }, { version: "1.2" });
    expect(codeOf(open)).toBe("missing-symbol");
    expect(open).toThrow(/Function "inflateBackwards" is not in libz at ".*"; Kestrel needs libz 1\.2/);
  });

  test("unpacking into a private directory leaves a loaded library and no file", () => {
    const bytes = readFileSync(`${import.meta.dir}/../../build/lib/libz.so`);
    const path = unpackToDirectory("libz", bytes, new Error("memfd_create: EPERM"));
    expect(Bun.file(path).size).toBe(0);
    const maps = readFileSync("/proc/self/maps", "utf8");
    expect(maps).toContain(`${path} (deleted)`);
  });

  test("bytes that are no library end in an error that says every reason", () => {
    const open = () => unpackToDirectory("libz", Buffer.from("not a library"), new Error("memfd_create: EPERM"));
    expect(codeOf(open)).toBe("cannot-unpack");
    expect(open).toThrow(/memfd_create: EPERM/);
  });
});
