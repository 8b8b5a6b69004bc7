// What the numbers of a log's time field mean, as nanoseconds since 1970.
import { type DateWords, joinWords, millisToWords, parseDate, secondsToWords } from "./date.ts";

/**
 * Unit of a numeric timestamp. `100ns` are Windows file times, counted from 1601. `auto` goes by the number: with a fraction, and from
 * 10⁹ to 9·10⁹ (the years 2001 to 2262), seconds; else what fits a date as milliseconds, then microseconds, `100ns`, nanoseconds.
 */
export type TimestampUnit = "auto" | "s" | "ms" | "us" | "100ns" | "ns";

// Largest counts that still are dates within 64-bit nanoseconds.
const SECONDS_MIN = 1_000_000_000;
const SECONDS_MAX = 9_223_372_035;
const MILLIS_MAX = 9_223_372_036_854;
const MICROS_MAX = 9_223_372_036_854_000;
const FILETIME_MAX = 1_000_000_000_000_000_000n;
const FILETIME_EPOCH = 116_444_736_000_000_000n;
const I64_MAX = (1n << 63n) - 1n;

/** Converts a number that a double holds exactly. False: no date in 64 bits. */
export function numberToWords(value: number, unit: TimestampUnit, out: DateWords): boolean {
  if (!Number.isFinite(value)) return false;
  if (!Number.isInteger(value)) {
    const perSecond = unit === "ms" ? 1e3 : unit === "us" ? 1e6 : unit === "ns" ? 1e9 : 1;
    if (unit === "100ns") return false;
    const seconds = Math.floor(value / perSecond);
    return secondsToWords(seconds, Math.min(999_999_999, Math.round((value / perSecond - seconds) * 1e9)), out);
  }
  const size = Math.abs(value);
  if (unit === "s" || (unit === "auto" && value >= SECONDS_MIN && value <= SECONDS_MAX)) return secondsToWords(value, 0, out);
  if (unit === "ms" || (unit === "auto" && size <= MILLIS_MAX)) return size <= MILLIS_MAX && millisToWords(value, out);
  if (unit === "us" || (unit === "auto" && size <= MICROS_MAX)) {
    const seconds = Math.floor(value / 1e6);
    return size <= MICROS_MAX && secondsToWords(seconds, (value - seconds * 1e6) * 1000, out);
  }
  return Number.isSafeInteger(value) && bigintToWords(BigInt(value), unit, out);
}

/** Converts an integer of any size. False: no date in 64 bits. */
export function bigintToWords(value: bigint, unit: TimestampUnit, out: DateWords): boolean {
  const number = Number(value);
  if (unit === "s" || unit === "ms" || unit === "us") return Number.isSafeInteger(number) && numberToWords(number, unit, out);
  const magnitude = value < 0n ? -value : value;
  if (unit === "auto" && magnitude <= BigInt(MICROS_MAX)) return numberToWords(number, unit, out);
  const isFiletime = unit === "100ns" || (unit === "auto" && magnitude < FILETIME_MAX);
  const ns = isFiletime ? (value - FILETIME_EPOCH) * 100n : value;
  if (ns > I64_MAX || ns < -I64_MAX) return false;
  out.lo = Number(BigInt.asUintN(32, ns));
  out.hi = Number(ns >> 32n);
  return true;
}

/** Text of an integer. */
export const INTEGER: RegExp = /^-?\d{1,30}$/;
const DECIMAL = /^-?\d{1,20}\.\d{1,12}$/;

/** Converts the text of a number. False: no number, or no date in 64 bits. */
export function textToWords(text: string, unit: TimestampUnit, out: DateWords): boolean {
  if (INTEGER.test(text)) return bigintToWords(BigInt(text), unit, out);
  return DECIMAL.test(text) && numberToWords(Number(text), unit, out);
}

/** Reads a time as the timestamp field of an event is read: ISO 8601, or a number of a unit. `undefined` when it is neither. */
export function parseTimestamp(text: string, unit: TimestampUnit): bigint | undefined {
  const words: DateWords = { lo: 0, hi: 0, canonical: false };
  return parseDate(text) ?? (textToWords(text, unit, words) ? joinWords(words) : undefined);
}
