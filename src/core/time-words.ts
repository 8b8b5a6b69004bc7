// 64-bit times as two 32-bit words, low unsigned and high signed, so that comparing two makes no bigint; and the words of a record's header.

/** A time in nanoseconds since 1970. */
export interface TimeWords {
  readonly lo: number;
  readonly hi: number;
}

/** Splits a time. */
export function splitTime(ns: bigint): TimeWords {
  return { lo: Number(BigInt.asUintN(32, ns)), hi: Number(BigInt.asIntN(64, ns) >> 32n) };
}

/** Joins what {@link splitTime} split. */
export function joinTime(lo: number, hi: number): bigint {
  return (BigInt(hi) << 32n) | BigInt(lo);
}

/** A little-endian word at any place, signed. */
export function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}
