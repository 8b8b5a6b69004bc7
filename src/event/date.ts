// Dates as nanoseconds since 1970 UTC in 64 bits (1677 to 2262) and as ISO 8601 text. One text for one date: UTC with `Z` and three, six or
// nine fraction digits, no more than needed.

/** What the parsers here write: a reused result, so that the hot path makes no object. Valid until the next call. */
export interface DateWords {
  lo: number;
  hi: number;
  /** Whether the text was the one that {@link formatDate} prints. */
  canonical: boolean;
}

/** Parses ISO 8601 (`T` or a space, any fraction, `Z` or an offset or neither: UTC) from ASCII bytes. False: no date, or outside 64 bits. */
export function parseDateBytes(bytes: Uint8Array, from: number, to: number, out: DateWords): boolean {
  if (to - from < 10 || to - from > 64 || bytes[from + 4] !== DASH || bytes[from + 7] !== DASH) return false;
  const year = digits(bytes, from, 4);
  const month = digits(bytes, from + 5, 2);
  const day = digits(bytes, from + 8, 2);
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return false;
  let seconds = daysSinceEpoch(year, month, day) * 86_400;
  let at = from + 10;
  let nanos = 0;
  out.canonical = false;
  if (at < to) {
    const separator = bytes[at];
    const hour = at + 6 <= to ? digits(bytes, at + 1, 2) : -1;
    const minute = at + 6 <= to && bytes[at + 3] === COLON ? digits(bytes, at + 4, 2) : -1;
    if ((separator !== LETTER_T && separator !== LOWER_T && separator !== SPACE) || hour < 0 || hour > 23 || minute < 0 || minute > 59)
      return false;
    seconds += hour * 3600 + minute * 60;
    at += 6;
    let fractionDigits = 0;
    if (at < to && bytes[at] === COLON) {
      const second = at + 3 <= to ? digits(bytes, at + 1, 2) : -1;
      if (second < 0 || second > 59) return false;
      seconds += second;
      at += 3;
      if (at < to && bytes[at] === DOT) {
        const start = ++at;
        let scale = 100_000_000;
        for (; at < to && isDigit(bytes[at]!); at++) {
          nanos += (bytes[at]! - ZERO) * scale;
          scale = Math.floor(scale / 10);
        }
        fractionDigits = at - start;
        if (fractionDigits === 0) return false;
      }
    }
    if (at + 1 === to && bytes[at] === LETTER_Z) {
      out.canonical = separator === LETTER_T && fractionDigits === canonicalDigits(nanos);
    } else {
      const offset = zoneSeconds(bytes, at, to);
      if (Number.isNaN(offset)) return false;
      seconds -= offset;
    }
  }
  return secondsToWords(seconds, nanos, out);
}

/** Parses ISO 8601 text as {@link parseDateBytes} does; nanoseconds since 1970, or `undefined` when it is no date. */
export function parseDate(text: string): bigint | undefined {
  if (text.length > 64) return undefined;
  const bytes = encoder.encode(text);
  return parseDateBytes(bytes, 0, bytes.length, words) ? joinWords(words) : undefined;
}

/** The canonical text of a date. */
export function formatDate(ns: bigint): string {
  let millis = ns / 1_000_000n;
  let rest = Number(ns % 1_000_000n);
  if (rest < 0) {
    rest += 1_000_000;
    millis -= 1n;
  }
  const text = new Date(Number(millis)).toISOString();
  if (rest === 0) return text;
  const fraction = rest % 1000 === 0 ? String(rest / 1000).padStart(3, "0") : String(rest).padStart(6, "0");
  return `${text.slice(0, -1)}${fraction}Z`;
}

/** Seconds and nanoseconds (0…999,999,999) as the two words of nanoseconds. False when they do not fit 64 bits. */
export function secondsToWords(seconds: number, nanos: number, out: DateWords): boolean {
  if (!(seconds >= -9_223_372_036 && seconds < 9_223_372_036)) return false;
  // seconds × 10⁹ in 16-bit steps: every product stays below 2⁵³.
  const high = Math.floor(seconds / 4294967296);
  const low = seconds >>> 0;
  const product0 = (low & 0xffff) * 1e9;
  const product1 = (low >>> 16) * 1e9;
  const sum = product0 + (product1 % 65536) * 65536 + nanos;
  out.lo = sum >>> 0;
  out.hi = (Math.floor(product1 / 65536) + Math.floor(sum / 4294967296) + high * 1e9) | 0;
  return true;
}

/** Whole milliseconds since 1970 as the two words of nanoseconds. False when they do not fit 64 bits. */
export function millisToWords(millis: number, out: DateWords): boolean {
  const seconds = Math.floor(millis / 1000);
  return secondsToWords(seconds, (millis - seconds * 1000) * 1_000_000, out);
}

/** Two words as one signed number of nanoseconds. */
export function joinWords(value: Pick<DateWords, "lo" | "hi">): bigint {
  return (BigInt(value.hi) << 32n) | BigInt(value.lo);
}

const ZERO = 48;
const DASH = 45;
const COLON = 58;
const DOT = 46;
const SPACE = 32;
const LETTER_T = 84;
const LOWER_T = 116;
const LETTER_Z = 90;
const LOWER_Z = 122;

const encoder = new TextEncoder();
const words: DateWords = { lo: 0, hi: 0, canonical: false };

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= 57;
}

// Number of `count` digits, or -1.
function digits(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let index = 0; index < count; index++) {
    const byte = bytes[at + index]!;
    if (!isDigit(byte)) return -1;
    value = value * 10 + byte - ZERO;
  }
  return value;
}

function canonicalDigits(nanos: number): number {
  if (nanos % 1_000_000 === 0) return 3;
  return nanos % 1000 === 0 ? 6 : 9;
}

// Offset of `Z`, nothing, `+hh`, `+hhmm` or `+hh:mm`; NaN when it is none of these.
function zoneSeconds(bytes: Uint8Array, at: number, to: number): number {
  if (at === to) return 0;
  if (at + 1 === to && (bytes[at] === LETTER_Z || bytes[at] === LOWER_Z)) return 0;
  const sign = bytes[at] === 43 ? 1 : bytes[at] === DASH ? -1 : 0;
  const colon = bytes[at + 3] === COLON ? 1 : 0;
  const length = to - at;
  if (sign === 0 || (length !== 3 && length !== 5 + colon)) return Number.NaN;
  const hours = digits(bytes, at + 1, 2);
  const minutes = length === 3 ? 0 : digits(bytes, at + 3 + colon, 2);
  return hours < 0 || hours > 23 || minutes < 0 || minutes > 59 ? Number.NaN : sign * (hours * 3600 + minutes * 60);
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

// Days from 1970-01-01 in the proleptic Gregorian calendar. Years start in March, so that the leap day is the last.
function daysSinceEpoch(year: number, month: number, day: number): number {
  const shifted = month > 2 ? year : year - 1;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468;
}
