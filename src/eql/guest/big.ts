// Big natural numbers for exact float printing and reading: four registers of { u32 limbs in use, u32 limb… }, least limb first, no leading zeros.
// Largest use: 770 digits times 10^309, or 10^1100 times 2^64, both under 4,000 bits; a register holds 8,160.

const LIMBS_MAX: i32 = 255;

export const BIG_A: usize = memory.data(1024, 8);
export const BIG_B: usize = memory.data(1024, 8);
export const BIG_C: usize = memory.data(1024, 8);
export const BIG_D: usize = memory.data(1024, 8);

// @ts-ignore: decorator
@inline
function limbAt(big: usize, index: i32): usize {
  return big + 4 + (<usize>index << 2);
}

// @ts-ignore: decorator
@inline
function sizeOfBig(big: usize): i32 {
  return load<i32>(big);
}

export function setBig(big: usize, value: u64): void {
  store<u32>(big + 4, <u32>value);
  store<u32>(big + 8, <u32>(value >> 32));
  store<i32>(big, value == 0 ? 0 : value >> 32 == 0 ? 1 : 2);
}

export function equalsZero(big: usize): bool {
  return sizeOfBig(big) == 0;
}

/** big × factor + addend. */
export function multiplyAdd(big: usize, factor: u32, addend: u32): void {
  const size = sizeOfBig(big);
  let carry: u64 = addend;
  for (let index = 0; index < size; ++index) {
    carry += <u64>load<u32>(limbAt(big, index)) * factor;
    store<u32>(limbAt(big, index), <u32>carry);
    carry >>= 32;
  }
  if (carry != 0) append(big, <u32>carry);
}

function append(big: usize, limb: u32): void {
  const size = sizeOfBig(big);
  if (size == LIMBS_MAX) unreachable();
  store<u32>(limbAt(big, size), limb);
  store<i32>(big, size + 1);
}

/** big × 10^power. */
export function powerOfTen(big: usize, power: i32): void {
  for (; power >= 9; power -= 9) multiplyAdd(big, 1000000000, 0);
  for (; power > 0; --power) multiplyAdd(big, 10, 0);
}

export function shiftLeft(big: usize, bits: i32): void {
  const size = sizeOfBig(big);
  const whole = bits >> 5;
  if (size == 0 || bits == 0) return;
  if (size + whole > LIMBS_MAX) unreachable();
  if (whole > 0) {
    memory.copy(limbAt(big, whole), limbAt(big, 0), <usize>size << 2);
    memory.fill(limbAt(big, 0), 0, <usize>whole << 2);
    store<i32>(big, size + whole);
  }
  if ((bits & 31) != 0) multiplyAdd(big, 1 << (bits & 31), 0);
}

export function bitLength(big: usize): i32 {
  const size = sizeOfBig(big);
  return size == 0 ? 0 : (size << 5) - <i32>clz(load<u32>(limbAt(big, size - 1)));
}

export function compareBig(a: usize, b: usize): i32 {
  const sizeA = sizeOfBig(a);
  const sizeB = sizeOfBig(b);
  if (sizeA != sizeB) return sizeA < sizeB ? -1 : 1;
  for (let index = sizeA - 1; index >= 0; --index) {
    const limbA = load<u32>(limbAt(a, index));
    const limbB = load<u32>(limbAt(b, index));
    if (limbA != limbB) return limbA < limbB ? -1 : 1;
  }
  return 0;
}

/** a − b, where a ≥ b. */
export function subtract(a: usize, b: usize): void {
  const sizeA = sizeOfBig(a);
  const sizeB = sizeOfBig(b);
  let borrow: i64 = 0;
  for (let index = 0; index < sizeA; ++index) {
    borrow += <i64>load<u32>(limbAt(a, index)) - (index < sizeB ? <i64>load<u32>(limbAt(b, index)) : 0);
    store<u32>(limbAt(a, index), <u32>borrow);
    borrow >>= 32;
  }
  let size = sizeA;
  while (size > 0 && load<u32>(limbAt(a, size - 1)) == 0) --size;
  store<i32>(a, size);
}

const SUM: usize = memory.data(1032, 8);

/** Whether a + b > c, or ≥ c when `inclusive`. */
export function sumExceeds(a: usize, b: usize, c: usize, inclusive: bool): bool {
  const size = max(sizeOfBig(a), sizeOfBig(b));
  let carry: u64 = 0;
  for (let index = 0; index < size; ++index) {
    if (index < sizeOfBig(a)) carry += load<u32>(limbAt(a, index));
    if (index < sizeOfBig(b)) carry += load<u32>(limbAt(b, index));
    store<u32>(limbAt(SUM, index), <u32>carry);
    carry >>= 32;
  }
  store<i32>(SUM, size);
  if (carry != 0) append(SUM, <u32>carry);
  const order = compareBig(SUM, c);
  return inclusive ? order >= 0 : order > 0;
}
