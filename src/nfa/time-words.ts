// 64-bit event times as two words, high signed and low unsigned, so that the hot path makes no bigint.

/** Words of the last time there is, which is after every deadline. */
export const TIME_MAX_HI = 0x7fffffff;
export const TIME_MAX_LO = 0xffffffff;
/** High word of the earliest time. */
export const TIME_MIN_HI: number = -0x80000000;
/** Longest span. */
const SPAN_MAX: bigint = (1n << 63n) - 1n;

/** Below, at or above zero as the first time is before, at or after the second. */
export function compareTimes(firstHi: number, firstLo: number, secondHi: number, secondLo: number): number {
  return firstHi !== secondHi ? firstHi - secondHi : firstLo - secondLo;
}

/** High word, signed. */
export function highWord(timeNs: bigint): number {
  return Number(BigInt.asIntN(32, timeNs >> 32n));
}

/** Low word, unsigned. */
export function lowWord(timeNs: bigint): number {
  return Number(BigInt.asUintN(32, timeNs));
}

/** The time of two words. */
export function timeOf(hi: number, lo: number): bigint {
  return (BigInt(hi) << 32n) | BigInt(lo);
}

/** A span in nanoseconds as two words. */
export interface SpanWords {
  readonly hi: number;
  readonly lo: number;
}

/** Words of a span; `undefined` never ends. */
export function spanWords(spanNs: bigint | undefined): SpanWords | undefined {
  if (spanNs === undefined) return undefined;
  const span = spanNs > SPAN_MAX ? SPAN_MAX : spanNs;
  return { hi: highWord(span), lo: lowWord(span) };
}
