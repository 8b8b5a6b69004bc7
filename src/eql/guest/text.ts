// Strings of the guest: an address of { u32 byteLength, UTF-8 bytes, zeros up to a multiple of 8 }, 8-byte aligned, as in a record's heap.
// The zero padding is part of the contract: comparing and hashing read whole words. Nothing here writes to a string it was given.

// @ts-ignore: decorator
@inline
export function sizeOf(text: usize): u32 {
  return load<u32>(text);
}

// @ts-ignore: decorator
@inline
export function bytesOf(text: usize): usize {
  return text + 4;
}

/** Whether two strings are the same bytes. The length word is compared with the first four bytes. */
export function equal(a: usize, b: usize): bool {
  if (a == b) return true;
  if (load<u64>(a) != load<u64>(b)) return false;
  const end = (sizeOf(a) + 11) & ~7;
  for (let at: u32 = 8; at < end; at += 8) {
    if (load<u64>(a + at) != load<u64>(b + at)) return false;
  }
  return true;
}

/** Whether `size` bytes at two places are the same; reads nothing beyond them. */
export function sameBytes(a: usize, b: usize, size: u32): bool {
  let at: u32 = 0;
  for (; at + 8 <= size; at += 8) {
    if (load<u64>(a + at) != load<u64>(b + at)) return false;
  }
  for (; at < size; ++at) {
    if (load<u8>(a + at) != load<u8>(b + at)) return false;
  }
  return true;
}

/** Order by bytes, which for UTF-8 is the order of code points: negative, 0 or positive. */
export function compare(a: usize, b: usize): i32 {
  const sizeA = sizeOf(a);
  const sizeB = sizeOf(b);
  const size = min(sizeA, sizeB);
  const bytesA = bytesOf(a);
  const bytesB = bytesOf(b);
  for (let at: u32 = 0; at < size; ++at) {
    const difference = <i32>load<u8>(bytesA + at) - <i32>load<u8>(bytesB + at);
    if (difference != 0) return difference;
  }
  return sizeA < sizeB ? -1 : sizeA > sizeB ? 1 : 0;
}

/** Whether `text` begins with `part`. */
export function startsWith(text: usize, part: usize): bool {
  const size = sizeOf(part);
  return size <= sizeOf(text) && sameBytes(bytesOf(text), bytesOf(part), size);
}

/** Whether `text` ends with `part`. */
export function endsWith(text: usize, part: usize): bool {
  const size = sizeOf(part);
  const textSize = sizeOf(text);
  return size <= textSize && sameBytes(bytesOf(text) + textSize - size, bytesOf(part), size);
}

/**
 * Address of the first occurrence of `size` bytes at `part` in [from, end), or 0. Sixteen places are tried at once: a place is looked at
 * only where both the first and the last byte agree.
 */
export function findBytes(from: usize, end: usize, part: usize, size: u32): usize {
  if (size == 0) return from;
  if (from + size > end) return 0;
  const lastStart = end - size;
  const lastOffset = size - 1;
  const first = i8x16.splat(load<i8>(part));
  const last = i8x16.splat(load<i8>(part + lastOffset));
  let at = from;
  for (; at + lastOffset + 16 <= end; at += 16) {
    const match = v128.and(i8x16.eq(v128.load(at), first), i8x16.eq(v128.load(at + lastOffset), last));
    let mask = i8x16.bitmask(match);
    while (mask != 0) {
      const place = at + <usize>ctz(mask);
      if (sameBytes(place, part, size)) return place;
      mask &= mask - 1;
    }
  }
  for (; at <= lastStart; ++at) {
    if (load<u8>(at) == load<u8>(part) && sameBytes(at, part, size)) return at;
  }
  return 0;
}

/** Whether `part` occurs in `text`; an empty part occurs everywhere. */
export function contains(text: usize, part: usize): bool {
  const bytes = bytesOf(text);
  return findBytes(bytes, bytes + sizeOf(text), bytesOf(part), sizeOf(part)) != 0;
}

// @ts-ignore: decorator
@inline
export function isContinuation(byte: u32): bool {
  return (byte & 0xc0) == 0x80;
}

/** Bytes of the code point whose first byte is given. */
// @ts-ignore: decorator
@inline
export function widthOf(lead: u32): u32 {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/** Code points in [from, end). */
export function countCodePoints(from: usize, end: usize): u32 {
  let count: u32 = 0;
  let at = from;
  for (; at + 16 <= end; at += 16) {
    // A continuation byte is below -64 as a signed byte.
    count += popcnt(i8x16.bitmask(i8x16.ge_s(v128.load(at), i8x16.splat(-64))));
  }
  for (; at < end; ++at) {
    if (!isContinuation(load<u8>(at))) ++count;
  }
  return count;
}

/** Address `count` code points after `from`, at most `end`. */
export function skipCodePoints(from: usize, end: usize, count: u32): usize {
  let at = from;
  while (count >= 16 && at + 16 <= end) {
    if (i8x16.bitmask(v128.load(at)) != 0) break;
    at += 16;
    count -= 16;
  }
  while (count > 0 && at < end) {
    at += widthOf(load<u8>(at));
    --count;
  }
  return min(at, end);
}

/** Address `count` code points before `end`, or 0 when [from, end) has fewer. */
export function skipBack(from: usize, end: usize, count: u32): usize {
  let at = end;
  while (count > 0) {
    if (at <= from) return 0;
    --at;
    while (at > from && isContinuation(load<u8>(at))) --at;
    --count;
  }
  return at;
}

/** The code point at `at`; `width` bytes as {@link widthOf} says. The bytes are valid UTF-8. */
export function decode(at: usize, width: u32): u32 {
  const lead: u32 = load<u8>(at);
  if (width == 1) return lead;
  if (width == 2) return ((lead & 0x1f) << 6) | (load<u8>(at + 1) & 0x3f);
  if (width == 3) return ((lead & 0x0f) << 12) | ((load<u8>(at + 1) & 0x3f) << 6) | (load<u8>(at + 2) & 0x3f);
  return ((lead & 0x07) << 18) | ((load<u8>(at + 1) & 0x3f) << 12) | ((load<u8>(at + 2) & 0x3f) << 6) | (load<u8>(at + 3) & 0x3f);
}

/** Writes a code point as UTF-8; answers the address after it. */
export function encode(at: usize, codePoint: u32): usize {
  if (codePoint < 0x80) {
    store<u8>(at, codePoint);
    return at + 1;
  }
  if (codePoint < 0x800) {
    store<u8>(at, 0xc0 | (codePoint >> 6));
    store<u8>(at + 1, 0x80 | (codePoint & 0x3f));
    return at + 2;
  }
  if (codePoint < 0x10000) {
    store<u8>(at, 0xe0 | (codePoint >> 12));
    store<u8>(at + 1, 0x80 | ((codePoint >> 6) & 0x3f));
    store<u8>(at + 2, 0x80 | (codePoint & 0x3f));
    return at + 3;
  }
  store<u8>(at, 0xf0 | (codePoint >> 18));
  store<u8>(at + 1, 0x80 | ((codePoint >> 12) & 0x3f));
  store<u8>(at + 2, 0x80 | ((codePoint >> 6) & 0x3f));
  store<u8>(at + 3, 0x80 | (codePoint & 0x3f));
  return at + 4;
}

/** Hash of a string, over whole words with their padding; `hashText` in wasm-pool.ts computes the same. */
export function hash(text: usize): u32 {
  // Two chains side by side hide half of the multiplications' latency.
  const end = (sizeOf(text) + 11) & ~7;
  let even: u32 = 0x9e3779b9;
  let odd: u32 = 0x7f4a7c15;
  for (let at: u32 = 0; at < end; at += 8) {
    even = (even ^ load<u32>(text + at)) * 0x85ebca6b;
    odd = (odd ^ load<u32>(text + at + 4)) * 0xc2b2ae35;
  }
  const value = even ^ rotl(odd, 16) ^ (even >> 15);
  return (value * 0x27d4eb2f) ^ (value >> 13);
}
