// Numbers to text and back, exactly: a float prints as the shortest decimal that reads back (the digits JavaScript prints), and a decimal reads
// as the nearest float. Free-format printing after Steele, White, Burger and Dybvig; both directions on big integers, with fast paths.
import { allocate, finish } from "./arena";
import { BIG_A, BIG_B, BIG_C, BIG_D, bitLength, compareBig, equalsZero, multiplyAdd, powerOfTen, setBig, shiftLeft, subtract, sumExceeds } from "./big";
import { BIG, FLOAT, INTEGER, setNull, tagged } from "./number";
import { bytesOf, sizeOf } from "./text";

const DIGITS: usize = memory.data(32, 8);

/** A u64 in decimal. */
function writeDecimal(out: usize, value: u64): usize {
  let size: usize = 1;
  for (let rest = value; rest >= 10; rest /= 10) ++size;
  for (let at = out + size; at > out; ) {
    store<u8>(--at, 0x30 + <u8>(value % 10));
    value /= 10;
  }
  return out + size;
}

/** An i64 as text. */
export function intToText(value: i64): usize {
  const text = allocate(28);
  let out = text + 4;
  if (value < 0) store<u8>(out++, 0x2d);
  return finish(text, writeDecimal(out, value < 0 ? <u64>-value : <u64>value));
}

/** A tagged number as text. */
export function numberToText(tag: i32, bits: i64): usize {
  if (tag == INTEGER) return intToText(bits);
  if (tag == FLOAT) return floatToText(reinterpret<f64>(bits));
  const text = allocate(28);
  return finish(text, writeDecimal(text + 4, <u64>bits));
}

/** A float as text: as JavaScript prints it, with `.0` after a whole number without exponent. */
export function floatToText(value: f64): usize {
  const text = allocate(36);
  let out = text + 4;
  if (!isFinite(value)) return finish(text, writeWord(out, value));
  if (value == 0) {
    store<u8>(out, 0x30);
    return finish(text, pointZero(out + 1));
  }
  if (value < 0) store<u8>(out++, 0x2d);
  const point = shortestDigits(abs(value));
  const count = <i32>load<u8>(DIGITS);
  return finish(text, layOut(out, count, point));
}

function writeWord(out: usize, value: f64): usize {
  const word = isNaN(value) ? 0x4e614e : 0x666e49;
  if (value < 0) store<u8>(out++, 0x2d);
  store<u8>(out, isNaN(value) ? 0x4e : 0x49);
  store<u8>(out + 1, (word >> 8) & 0xff);
  store<u8>(out + 2, isNaN(value) ? 0x4e : 0x66);
  if (isNaN(value)) return out + 3;
  store<u32>(out + 3, 0x74696e69);
  store<u8>(out + 7, 0x79);
  return out + 8;
}

function pointZero(out: usize): usize {
  store<u8>(out, 0x2e);
  store<u8>(out + 1, 0x30);
  return out + 2;
}

function digits(out: usize, from: i32, end: i32): usize {
  for (let index = from; index < end; ++index) store<u8>(out++, load<u8>(DIGITS + 1 + index));
  return out;
}

/** Lays `count` digits out with the decimal point after `point` of them. */
function layOut(out: usize, count: i32, point: i32): usize {
  if (count <= point && point <= 21) {
    out = digits(out, 0, count);
    for (let index = count; index < point; ++index) store<u8>(out++, 0x30);
    return pointZero(out);
  }
  if (0 < point && point <= 21) {
    out = digits(out, 0, point);
    store<u8>(out++, 0x2e);
    return digits(out, point, count);
  }
  if (-6 < point && point <= 0) {
    store<u8>(out++, 0x30);
    store<u8>(out++, 0x2e);
    for (let index = point; index < 0; ++index) store<u8>(out++, 0x30);
    return digits(out, 0, count);
  }
  out = digits(out, 0, 1);
  if (count > 1) {
    store<u8>(out++, 0x2e);
    out = digits(out, 1, count);
  }
  const exponent = point - 1;
  store<u8>(out++, 0x65);
  store<u8>(out++, exponent < 0 ? 0x2d : 0x2b);
  return writeDecimal(out, <u64>(exponent < 0 ? -exponent : exponent));
}

/**
 * Digits of a positive finite float into DIGITS (count, then the ASCII digits); answers the place of the decimal point. A = remainder, B = scale,
 * C and D = half the gap to the next float above and below, all times the same factor.
 */
function shortestDigits(value: f64): i32 {
  const bits = reinterpret<u64>(value);
  const biased = <i32>(bits >> 52);
  const fraction = bits & 0xfffffffffffff;
  const mantissa: u64 = biased == 0 ? fraction : fraction | 0x10000000000000;
  const exponent = (biased == 0 ? 1 : biased) - 1075;
  const even = (mantissa & 1) == 0;
  const uneven = biased > 1 && fraction == 0 ? 1 : 0;
  setBig(BIG_A, mantissa);
  setBig(BIG_B, 1);
  setBig(BIG_C, 1);
  setBig(BIG_D, 1);
  shiftLeft(BIG_A, (exponent > 0 ? exponent : 0) + 1 + uneven);
  shiftLeft(BIG_B, (exponent < 0 ? -exponent : 0) + 1 + uneven);
  shiftLeft(BIG_C, (exponent > 0 ? exponent : 0) + uneven);
  shiftLeft(BIG_D, exponent > 0 ? exponent : 0);
  let point = <i32>ceil<f64>(<f64>(63 - <i32>clz(mantissa) + exponent) * 0.30102999566398120 - 1e-10);
  if (point >= 0) powerOfTen(BIG_B, point);
  else {
    powerOfTen(BIG_A, -point);
    powerOfTen(BIG_C, -point);
    powerOfTen(BIG_D, -point);
  }
  if (sumExceeds(BIG_A, BIG_C, BIG_B, even)) ++point;
  else timesTen();
  let count = 0;
  let ended = false;
  while (!ended) {
    let digit = 0;
    while (compareBig(BIG_A, BIG_B) >= 0) {
      subtract(BIG_A, BIG_B);
      ++digit;
    }
    const order = compareBig(BIG_A, BIG_D);
    const low = even ? order <= 0 : order < 0;
    const high = sumExceeds(BIG_A, BIG_C, BIG_B, even);
    // Between two digits that both read back the nearer is taken, on a tie the even one.
    const up = low && high ? sumExceeds(BIG_A, BIG_A, BIG_B, (digit & 1) != 0) : high;
    store<u8>(DIGITS + 1 + count++, 0x30 + digit + (up ? 1 : 0));
    ended = low || high;
    if (!ended) timesTen();
  }
  store<u8>(DIGITS, count);
  return point;
}

function timesTen(): void {
  multiplyAdd(BIG_A, 10, 0);
  multiplyAdd(BIG_C, 10, 0);
  multiplyAdd(BIG_D, 10, 0);
}

function fail(): i64 {
  setNull(1);
  return tagged(INTEGER, 0);
}

function digitValue(byte: u32): u32 {
  if (byte - 0x30 < 10) return byte - 0x30;
  const lower = byte | 0x20;
  return lower - 0x61 < 26 ? lower - 0x61 + 10 : 99;
}

function isSpace(byte: u32): bool {
  return byte == 0x20 || byte - 9 < 5;
}

/** Text to a tagged number; the syntax is that of `parseNumber` in ir.ts. */
export function parseNumber(text: usize, base: i64): i64 {
  setNull(0);
  let at = bytesOf(text);
  let end = at + sizeOf(text);
  if (base != 0 && (base < 2 || base > 36)) return fail();
  while (at < end && isSpace(load<u8>(at))) ++at;
  while (at < end && isSpace(load<u8>(end - 1))) --end;
  let negative = false;
  if (at < end && (load<u8>(at) == 0x2d || load<u8>(at) == 0x2b)) negative = load<u8>(at++) == 0x2d;
  if (at == end) return fail();
  let radix = <u32>base;
  if (base == 0 || base == 16) {
    const prefixed = at + 2 < end && load<u8>(at) == 0x30 && (load<u8>(at + 1) | 0x20) == 0x78;
    if (prefixed) at += 2;
    if (base == 0) radix = prefixed ? 16 : 10;
  }
  return radix == 10 ? parseDecimal(at, end, negative) : parseInteger(at, end, radix, negative);
}

function parseInteger(at: usize, end: usize, radix: u32, negative: bool): i64 {
  const limit: u64 = negative ? 0x8000000000000000 : 0x7fffffffffffffff;
  let value: u64 = 0;
  for (; at < end; ++at) {
    const digit: u64 = digitValue(load<u8>(at));
    if (digit >= radix || value > (limit - digit) / radix) return fail();
    value = value * radix + digit;
  }
  return tagged(INTEGER, negative ? <i64>(0 - value) : <i64>value);
}

/** Most digits that can make a difference to the nearest float; of those behind only whether one is not 0. */
const DIGITS_MAX: i32 = 770;

function parseDecimal(at: usize, end: usize, negative: bool): i64 {
  const start = at;
  while (at < end && <u32>load<u8>(at) - 0x30 < 10) ++at;
  const wholeEnd = at;
  let fractionEnd = at;
  if (at < end && load<u8>(at) == 0x2e) {
    ++at;
    while (at < end && <u32>load<u8>(at) - 0x30 < 10) ++at;
    fractionEnd = at;
  }
  // `5.` and `.5` are numbers, `.` is none.
  if (wholeEnd == start && fractionEnd <= wholeEnd + 1) return fail();
  let exponent: i32 = 0;
  if (at < end && (load<u8>(at) | 0x20) == 0x65) {
    ++at;
    let down = false;
    if (at < end && (load<u8>(at) == 0x2d || load<u8>(at) == 0x2b)) down = load<u8>(at++) == 0x2d;
    if (at == end) return fail();
    for (; at < end && <u32>load<u8>(at) - 0x30 < 10; ++at) exponent = min(exponent * 10 + (<i32>load<u8>(at) - 0x30), 1000000);
    if (down) exponent = -exponent;
  } else if (at == end && fractionEnd == wholeEnd && fitsInteger(start, end, negative)) return parseInteger(start, end, 10, negative);
  if (at != end) return fail();
  const value = decimalToFloat(start, wholeEnd, fractionEnd, exponent);
  if (!isFinite(value)) return fail();
  return tagged(FLOAT, reinterpret<i64>(negative ? -value : value));
}

function fitsInteger(at: usize, end: usize, negative: bool): bool {
  const limit: u64 = negative ? 0x8000000000000000 : 0x7fffffffffffffff;
  let value: u64 = 0;
  for (; at < end; ++at) {
    const digit: u64 = <u64>load<u8>(at) - 0x30;
    if (value > (limit - digit) / 10) return false;
    value = value * 10 + digit;
  }
  return true;
}

/** The float nearest to whole.fraction × 10^exponent. */
function decimalToFloat(start: usize, wholeEnd: usize, fractionEnd: usize, exponent: i32): f64 {
  let count = 0;
  let small: u64 = 0;
  let lost = false;
  setBig(BIG_A, 0);
  for (let at = start; at < fractionEnd; ++at) {
    if (at == wholeEnd) continue;
    const digit: u32 = <u32>load<u8>(at) - 0x30;
    const fraction = at > wholeEnd;
    if (count == DIGITS_MAX) {
      lost = lost || digit != 0;
      if (!fraction && exponent < 2000000) ++exponent;
      continue;
    }
    if (count > 0 || digit != 0) {
      ++count;
      if (count <= 15) small = small * 10 + digit;
      multiplyAdd(BIG_A, 10, digit);
    }
    if (fraction && exponent > -2000000) --exponent;
  }
  if (count == 0) return 0;
  if (count <= 15 && exponent >= -22 && exponent <= 22) {
    const power = tenTo(exponent < 0 ? -exponent : exponent);
    return exponent < 0 ? <f64>small / power : <f64>small * power;
  }
  if (count + exponent > 310) return Infinity;
  if (count + exponent < -330) return 0;
  // One more digit keeps what was lost on the right side of a half.
  if (lost) {
    multiplyAdd(BIG_A, 10, 1);
    --exponent;
  }
  setBig(BIG_B, 1);
  powerOfTen(exponent < 0 ? BIG_B : BIG_A, exponent < 0 ? -exponent : exponent);
  return quotientToFloat();
}

/** Exact powers of ten up to 10^22. */
function tenTo(power: i32): f64 {
  let value: f64 = 1;
  for (let index = 0; index < power; ++index) value *= 10;
  return value;
}

/** A / B, rounded to the nearest float, ties to even. */
function quotientToFloat(): f64 {
  // The quotient lies between 2^(scale-1) and 2^(scale+1); one bit beyond the mantissa and a rest decide the rounding.
  let scale = bitLength(BIG_A) - bitLength(BIG_B);
  let lowest = scale - 54;
  if (lowest < -1075) lowest = -1075;
  if (lowest > 0) shiftLeft(BIG_B, lowest);
  else shiftLeft(BIG_A, -lowest);
  let quotient: u64 = 0;
  let shift = bitLength(BIG_A) - bitLength(BIG_B);
  if (shift >= 0) {
    shiftLeft(BIG_B, shift);
    for (; shift >= 0; --shift) {
      quotient <<= 1;
      if (compareBig(BIG_A, BIG_B) >= 0) {
        subtract(BIG_A, BIG_B);
        quotient |= 1;
      }
      if (shift > 0) shiftLeft(BIG_A, 1);
    }
  }
  let sticky = !equalsZero(BIG_A);
  // Down to 53 bits and one that rounds.
  while (quotient >> 54 != 0) {
    sticky = sticky || (quotient & 1) != 0;
    quotient >>= 1;
    ++lowest;
  }
  const round = (quotient & 1) != 0;
  quotient >>= 1;
  ++lowest;
  if (round && (sticky || (quotient & 1) != 0)) ++quotient;
  return scaled(quotient, lowest);
}

/** quotient × 2^exponent, exact by construction, infinite beyond the largest float. */
function scaled(quotient: u64, exponent: i32): f64 {
  if (quotient == 0) return 0;
  if (quotient == 0x20000000000000) {
    quotient >>= 1;
    ++exponent;
  }
  if (quotient < 0x10000000000000) return reinterpret<f64>(quotient);
  const biased = exponent + 1075;
  if (biased >= 2047) return Infinity;
  return reinterpret<f64>((<u64>biased << 52) | (quotient & 0xfffffffffffff));
}
