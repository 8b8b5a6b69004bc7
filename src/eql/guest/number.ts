// Arithmetic with null and the tagged numbers of EQL. A function that can be null says so in `isNull`; a tagged result has its tag in `tag`.
// Tags: INTEGER an i64, BIG an integer from 2^63 to 2^64-1 as u64 bits, FLOAT the bits of an f64.

/** Whether the last call gave null. */
export let isNull: i32 = 0;
/** Tag of the last tagged result. */
export let tag: i32 = 0;

export const INTEGER: i32 = 0;
export const BIG: i32 = 1;
export const FLOAT: i32 = 2;

/** Operators in the order of wasm-value.ts. */
const ADD: i32 = 0;
const SUBTRACT: i32 = 1;
const MULTIPLY: i32 = 2;
const DIVIDE: i32 = 3;
const MODULO: i32 = 4;
const FLOOR_DIVIDE: i32 = 5;
const FLOOR_MODULO: i32 = 6;

const EQ: i32 = 0;
const LT: i32 = 1;
const LE: i32 = 2;
const GT: i32 = 3;

export function setNull(value: i32): void {
  isNull = value;
}

/** A tagged result. */
export function tagged(newTag: i32, bits: i64): i64 {
  tag = newTag;
  return bits;
}

/** Integer arithmetic: null on overflow and division by zero. */
export function arithmeticInt(operator: i32, a: i64, b: i64): i64 {
  isNull = 0;
  if (operator == ADD) {
    const sum = a + b;
    isNull = i32(((a ^ sum) & (b ^ sum)) < 0);
    return sum;
  }
  if (operator == SUBTRACT) {
    const difference = a - b;
    isNull = i32(((a ^ b) & (a ^ difference)) < 0);
    return difference;
  }
  if (operator == MULTIPLY) {
    const product = a * b;
    if (a == -1) isNull = i32(b == i64.MIN_VALUE);
    else if (a != 0) isNull = i32(product / a != b);
    return product;
  }
  if (b == 0) {
    isNull = 1;
    return 0;
  }
  if (b == -1) {
    // The machine's division traps on the one overflow there is.
    if (operator == MODULO || operator == FLOOR_MODULO) return 0;
    isNull = i32(a == i64.MIN_VALUE);
    return -a;
  }
  const quotient = a / b;
  const rest = a - quotient * b;
  const adjust = rest != 0 && (rest ^ b) < 0;
  if (operator == DIVIDE) return quotient;
  if (operator == MODULO) return rest;
  if (operator == FLOOR_DIVIDE) return adjust ? quotient - 1 : quotient;
  return adjust ? rest + b : rest;
}

/** Float arithmetic: null when the result is not finite, and on division by zero. */
export function arithmeticFloat(operator: i32, a: f64, b: f64): f64 {
  let result: f64;
  if (operator == ADD) result = a + b;
  else if (operator == SUBTRACT) result = a - b;
  else if (operator == MULTIPLY) result = a * b;
  else if (operator == DIVIDE || operator == FLOOR_DIVIDE) result = a / b;
  else {
    result = b == 0 ? NaN : a % b;
    if (operator == FLOOR_MODULO && result != 0 && result < 0 != b < 0) result += b;
  }
  isNull = i32(!isFinite(result));
  return result;
}

/** A tagged number as a float. */
export function floatOf(numberTag: i32, bits: i64): f64 {
  if (numberTag == INTEGER) return <f64>bits;
  if (numberTag == BIG) return <f64>(<u64>bits);
  return reinterpret<f64>(bits);
}

/** Arithmetic on tagged numbers: two integers stay integers, beyond i64 is null, anything with a float is float. */
export function arithmeticNumber(operator: i32, tagA: i32, a: i64, tagB: i32, b: i64): i64 {
  if (tagA == BIG || tagB == BIG) {
    isNull = 1;
    return 0;
  }
  if (tagA == INTEGER && tagB == INTEGER) {
    tag = INTEGER;
    return arithmeticInt(operator, a, b);
  }
  tag = FLOAT;
  return reinterpret<i64>(arithmeticFloat(operator, floatOf(tagA, a), floatOf(tagB, b)));
}

/** Compares tagged numbers: integers exactly, anything with a float as floats. */
export function compareNumber(operator: i32, tagA: i32, a: i64, tagB: i32, b: i64): i32 {
  if (tagA == FLOAT || tagB == FLOAT) return compareFloat(operator, floatOf(tagA, a), floatOf(tagB, b));
  if (tagA != tagB) return fits(operator, tagA < tagB ? -1 : 1);
  if (a == b) return fits(operator, 0);
  return fits(operator, <u64>a < <u64>b == (tagA == BIG || (a ^ b) >= 0) ? -1 : 1);
}

function compareFloat(operator: i32, a: f64, b: f64): i32 {
  if (operator == EQ) return i32(a == b);
  if (operator == LT) return i32(a < b);
  if (operator == LE) return i32(a <= b);
  return operator == GT ? i32(a > b) : i32(a >= b);
}

/** Whether an order (negative, 0, positive) satisfies an operator. */
export function fits(operator: i32, order: i32): i32 {
  if (operator == EQ) return i32(order == 0);
  if (operator == LT) return i32(order < 0);
  if (operator == LE) return i32(order <= 0);
  return operator == GT ? i32(order > 0) : i32(order >= 0);
}

/** A tagged number as an i64: null for fractions and what does not fit. */
export function numberToInt(numberTag: i32, bits: i64): i64 {
  isNull = i32(numberTag == BIG);
  if (numberTag != FLOAT) return bits;
  const value = reinterpret<f64>(bits);
  if (value != trunc(value) || value < -9223372036854775808.0 || value >= 9223372036854775808.0) {
    isNull = 1;
    return 0;
  }
  return <i64>value;
}
