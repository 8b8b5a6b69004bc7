// Memory shared with native code and the checks in front of every call. bun:ffi converts silently (304 as u8 is 48, a missing integer is
// 0), and the storage of a small typed array moves; so: explicit ArrayBuffers with an owner, and a check for every integer that is not
// ours.
import { CString, ptr as pointerOf, read, toArrayBuffer } from "bun:ffi";
import { NativeError, type Pointer } from "./handle.ts";

const U64_MAX = (1n << 64n) - 1n;
const I64_MIN = -(1n << 63n);
const I64_MAX = (1n << 63n) - 1n;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Small buffers made last. A buffer of this size outlives the expression that made it, whatever else that expression allocates. */
const RECENT_COUNT = 256;
const RECENT_BYTES_MAX = 4096;
const recent: (NativeBuffer | undefined)[] = new Array(RECENT_COUNT);
let recentNext = 0;

/**
 * A zeroed block of memory that native code may use while this object is referenced. The block is one explicit ArrayBuffer of at least
 * 16 bytes, so its address never changes; `address` is 8-byte aligned.
 */
export class NativeBuffer {
  readonly buffer: ArrayBuffer;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView<ArrayBuffer>;
  readonly ptr: Pointer;

  constructor(byteLength: number) {
    checkSize(byteLength, "byteLength");
    // JavaScriptCore puts storage of up to a few words inside the cell; 16 bytes and an even word keep it outside and aligned.
    this.buffer = new ArrayBuffer(Math.max(16, (byteLength + 7) & ~7));
    this.bytes = new Uint8Array(this.buffer, 0, byteLength);
    this.view = new DataView(this.buffer, 0, byteLength);
    this.ptr = pointerOf(this.buffer);
    if (byteLength <= RECENT_BYTES_MAX) {
      // `f(a().ptr, b().ptr)` leaves nothing that refers to a's buffer while b allocates, and a collection there would free it.
      recent[recentNext] = this;
      recentNext = (recentNext + 1) % RECENT_COUNT;
    }
  }

  /** A copy of bytes. */
  static from(bytes: Uint8Array): NativeBuffer {
    const copy = new NativeBuffer(bytes.byteLength);
    copy.bytes.set(bytes);
    return copy;
  }

  /** NUL-terminated UTF-8. Text with a NUL inside is refused: C would see another, shorter text. */
  static cstring(text: string): NativeBuffer {
    if (typeof text !== "string") throw new NativeError("type", "memory", `Expected a string, got ${describe(text)}`);
    if (text.includes("\0")) throw new NativeError("range", "memory", `Text ${JSON.stringify(text.slice(0, 60))} contains a NUL`);
    const bytes = encoder.encode(text);
    const copy = new NativeBuffer(bytes.byteLength + 1);
    copy.bytes.set(bytes);
    return copy;
  }

  get byteLength(): number {
    return this.bytes.byteLength;
  }

  /** Little-endian u32 at a byte offset. */
  u32(offsetBytes = 0): number {
    return this.view.getUint32(offsetBytes, true);
  }

  /** Little-endian i32 at a byte offset. */
  i32(offsetBytes = 0): number {
    return this.view.getInt32(offsetBytes, true);
  }

  /** Little-endian u64 at a byte offset. */
  u64(offsetBytes = 0): bigint {
    return this.view.getBigUint64(offsetBytes, true);
  }

  /** Pointer stored at a byte offset, `undefined` for NULL: for out-parameters. */
  pointer(offsetBytes = 0): Pointer | undefined {
    const value = this.view.getUint32(offsetBytes, true) + this.view.getUint32(offsetBytes + 4, true) * 2 ** 32;
    return value === 0 ? undefined : checkPointer(value, "stored pointer");
  }

  /** Stores a pointer at a byte offset. */
  setPointer(offsetBytes: number, pointer: Pointer | undefined): void {
    this.view.setBigUint64(offsetBytes, BigInt(pointer ?? 0), true);
  }
}

/** An integer in [min, max], or NativeError `range` before any native call sees it. */
export function checkInteger(value: number, what: string, bounds: { readonly min: number; readonly max: number }): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < bounds.min || value > bounds.max) {
    throw new NativeError("range", "ffi", `${what} must be an integer from ${bounds.min} to ${bounds.max}, got ${describe(value)}`);
  }
  return value;
}

const U8 = { min: 0, max: 0xff };
const U16 = { min: 0, max: 0xffff };
const U32 = { min: 0, max: 0xffff_ffff };
const I32 = { min: -0x8000_0000, max: 0x7fff_ffff };
const SIZE = { min: 0, max: Number.MAX_SAFE_INTEGER };

/** A value that fits C `uint8_t`. */
export function checkU8(value: number, what: string): number {
  return checkInteger(value, what, U8);
}

/** A value that fits C `uint16_t`. */
export function checkU16(value: number, what: string): number {
  return checkInteger(value, what, U16);
}

/** A value that fits C `uint32_t`. */
export function checkU32(value: number, what: string): number {
  return checkInteger(value, what, U32);
}

/** A value that fits C `int32_t`. */
export function checkI32(value: number, what: string): number {
  return checkInteger(value, what, I32);
}

/** A length, count or offset: a non-negative safe integer. */
export function checkSize(value: number, what: string): number {
  return checkInteger(value, what, SIZE);
}

/** A value that fits C `uint64_t`, as the bigint bun:ffi wants. */
export function checkU64(value: number | bigint, what: string): bigint {
  return checkBig(value, what, { min: 0n, max: U64_MAX });
}

/** A value that fits C `int64_t`, as the bigint bun:ffi wants. */
export function checkI64(value: number | bigint, what: string): bigint {
  return checkBig(value, what, { min: I64_MIN, max: I64_MAX });
}

function checkBig(value: number | bigint, what: string, bounds: { readonly min: bigint; readonly max: bigint }): bigint {
  const exact = typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value));
  const big = exact ? BigInt(value) : undefined;
  if (big === undefined || big < bounds.min || big > bounds.max) {
    throw new NativeError("range", "ffi", `${what} must be an integer from ${bounds.min} to ${bounds.max}, got ${describe(value)}`);
  }
  return big;
}

/** A pointer that is not NULL and can be held exactly by a number. */
export function checkPointer(value: number | bigint | null | undefined, what: string): Pointer {
  const address = typeof value === "bigint" ? Number(value) : value;
  if (typeof address !== "number" || !Number.isSafeInteger(address) || address <= 0) {
    throw new NativeError("null-pointer", "ffi", `${what} must be a pointer, got ${describe(value)}`);
  }
  return address as Pointer;
}

/**
 * Address of a view's bytes, for one call that reads them before it returns. The view must be over an explicit ArrayBuffer (file contents,
 * a batch): the storage of a small typed array made by itself moves.
 */
export function addressOf(view: Uint8Array): Pointer {
  return pointerAt(checkPointer(pointerOf(view.buffer), "view"), view.byteOffset);
}

/** Address `offsetBytes` behind a pointer. */
export function pointerAt(pointer: Pointer, offsetBytes: number): Pointer {
  return checkPointer(pointer + checkSize(offsetBytes, "offsetBytes"), "address");
}

/** Text at a NUL-terminated C string, `""` for NULL. */
export function readCString(pointer: Pointer | bigint | null): string {
  return pointer === null || pointer === 0n ? "" : String(new CString(pointer));
}

/** UTF-8 text of `byteLength` bytes at an address; invalid bytes become U+FFFD. */
export function readText(pointer: Pointer, byteLength: number): string {
  return byteLength === 0 ? "" : decoder.decode(nativeView(pointer, byteLength));
}

/** Pointer stored at an address, `undefined` for NULL. */
export function readPointer(pointer: Pointer, offsetBytes = 0): Pointer | undefined {
  const value = read.ptr(checkPointer(pointer, "pointer"), offsetBytes);
  return value === 0 ? undefined : checkPointer(value, "stored pointer");
}

/** u32 stored at an address. */
export function readU32(pointer: Pointer, offsetBytes = 0): number {
  return read.u32(checkPointer(pointer, "pointer"), offsetBytes);
}

/** i32 stored at an address. */
export function readI32(pointer: Pointer, offsetBytes = 0): number {
  return read.i32(checkPointer(pointer, "pointer"), offsetBytes);
}

/** u64 stored at an address. */
export function readU64(pointer: Pointer, offsetBytes = 0): bigint {
  return read.u64(checkPointer(pointer, "pointer"), offsetBytes);
}

/**
 * A view of native memory, without a copy. It is valid only while the native owner keeps the memory: never return it out of a wrapper.
 */
export function nativeView(pointer: Pointer, byteLength: number): Uint8Array<ArrayBuffer> {
  checkSize(byteLength, "byteLength");
  if (byteLength === 0) return new Uint8Array(new ArrayBuffer(0));
  return new Uint8Array(toArrayBuffer(checkPointer(pointer, "pointer"), 0, byteLength));
}

/** Copies bytes to a native address. The caller vouches for `bytes.byteLength` bytes of room. */
export function copyIn(pointer: Pointer, bytes: Uint8Array): void {
  nativeView(pointer, bytes.byteLength).set(bytes);
}

/** A copy of native memory that outlives its owner. */
export function copyOut(pointer: Pointer, byteLength: number): Uint8Array<ArrayBuffer> {
  return nativeView(pointer, byteLength).slice();
}

function describe(value: unknown): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.slice(0, 60));
    case "object":
      return value === null ? "null" : "an object";
    case "function":
      return "a function";
    default:
      return String(value);
  }
}
