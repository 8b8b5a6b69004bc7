// Wildcard patterns and regular expressions over prepared tables; the layouts are written by wasm-pool.ts. Both are linear in the text
// for each piece of the pattern, and neither allocates.
import { bytesOf, contains, decode, endsWith, equal, findBytes, sameBytes, sizeOf, skipBack, startsWith, widthOf } from "./text";

/** Kinds of a wildcard pattern, cheapest first. */
const EXACT: u32 = 0;
const PREFIX: u32 = 1;
const SUFFIX: u32 = 2;
const CONTAINS: u32 = 3;
const AFFIXES: u32 = 4;
const ANY: u32 = 5;

const ANCHORED_START: u32 = 1;
const ANCHORED_END: u32 = 2;
/** Stands for `?` inside a piece: a byte that UTF-8 does not have. */
const ANY_ONE: u32 = 0xff;

/** Whether the text matches a pattern: { u32 kind, u32 a, u32 b, u32 flags, u32 pieces, u32 address of each piece }. */
export function wildcard(text: usize, pattern: usize): bool {
  const kind = load<u32>(pattern);
  const part = load<u32>(pattern + 4);
  if (kind == EXACT) return equal(text, part);
  if (kind == PREFIX) return startsWith(text, part);
  if (kind == SUFFIX) return endsWith(text, part);
  if (kind == CONTAINS) return contains(text, part);
  if (kind == ANY) return true;
  if (kind == AFFIXES) {
    const tail = load<u32>(pattern + 8);
    return sizeOf(text) >= sizeOf(part) + sizeOf(tail) && startsWith(text, part) && endsWith(text, tail);
  }
  return pieces(text, pattern);
}

/** Whether the text matches any of { u32 count, u32 pattern… }. */
export function wildcardAny(text: usize, list: usize): bool {
  const end = list + 4 + (load<u32>(list) << 2);
  for (let at = list + 4; at < end; at += 4) {
    if (wildcard(text, load<u32>(at))) return true;
  }
  return false;
}

/** Pieces between stars, each with its own `?`: { u32 code points, u32 has `?`, string }. The first place a piece fits is the best one. */
function pieces(text: usize, pattern: usize): bool {
  const flags = load<u32>(pattern + 12);
  let piece = pattern + 20;
  let last = piece + ((load<u32>(pattern + 16) - 1) << 2);
  let from = bytesOf(text);
  let end = from + sizeOf(text);
  if (flags & ANCHORED_START) {
    const place = matchAt(from, end, load<u32>(piece));
    if (place == 0) return false;
    if (piece == last) return !(flags & ANCHORED_END) || place == end;
    from = place;
    piece += 4;
  }
  if (flags & ANCHORED_END) {
    const tail = load<u32>(last);
    const start = skipBack(from, end, load<u32>(tail));
    if (start == 0 || matchAt(start, end, tail) != end) return false;
    end = start;
    last -= 4;
  }
  for (; piece <= last; piece += 4) {
    from = search(from, end, load<u32>(piece));
    if (from == 0) return false;
  }
  return true;
}

/** Address after the piece matched at `at`, or 0. */
function matchAt(at: usize, end: usize, piece: usize): usize {
  const part = piece + 8;
  const size = sizeOf(part);
  const bytes = bytesOf(part);
  if (load<u32>(piece + 4) == 0) return at + size <= end && sameBytes(at, bytes, size) ? at + size : 0;
  for (let index: u32 = 0; index < size; ++index) {
    if (at >= end) return 0;
    const byte: u32 = load<u8>(bytes + index);
    if (byte == ANY_ONE) at += widthOf(load<u8>(at));
    else if (load<u8>(at) == byte) ++at;
    else return 0;
  }
  return at <= end ? at : 0;
}

/** Address after the first place from `from` on where the piece matches, or 0. */
function search(from: usize, end: usize, piece: usize): usize {
  const part = piece + 8;
  if (load<u32>(piece + 4) == 0) {
    const place = findBytes(from, end, bytesOf(part), sizeOf(part));
    return place == 0 ? 0 : place + sizeOf(part);
  }
  for (let at = from; at <= end; ) {
    const place = matchAt(at, end, piece);
    if (place != 0) return place;
    if (at == end) break;
    at += widthOf(load<u8>(at));
  }
  return 0;
}

/** Bits of a state's byte in a DFA table. */
const ACCEPTS: u32 = 1;
/** No way out of this state: the answer is known. */
const FINAL: u32 = 2;

/**
 * Whether the whole text is accepted by a DFA: { u32 start, u32 classes, u32 ranges, u32 address of ranges (u32 first, u32 class),
 * u32 address of u16 transitions, u32 address of state bytes, u8 class of each ASCII byte × 128 }.
 */
export function regex(text: usize, table: usize): bool {
  let state = load<u32>(table);
  const classes = load<u32>(table + 4);
  const transitions = load<u32>(table + 16);
  const states = load<u32>(table + 20);
  const ascii = table + 24;
  let at = bytesOf(text);
  const end = at + sizeOf(text);
  while (at < end) {
    if (load<u8>(states + state) & FINAL) break;
    const lead: u32 = load<u8>(at);
    let symbol: u32;
    if (lead < 0x80) {
      symbol = load<u8>(ascii + lead);
      ++at;
    } else {
      const width = widthOf(lead);
      symbol = classOf(decode(at, width), table);
      at += width;
    }
    state = load<u16>(transitions + ((state * classes + symbol) << 1));
  }
  return (load<u8>(states + state) & ACCEPTS) != 0;
}

/** Class of a code point beyond ASCII: that of the last range that begins at or before it. */
function classOf(codePoint: u32, table: usize): u32 {
  const ranges = load<u32>(table + 12);
  let low: u32 = 0;
  let high = load<u32>(table + 8);
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (codePoint < load<u32>(ranges + (middle << 3))) high = middle;
    else low = middle;
  }
  return load<u32>(ranges + (low << 3) + 4);
}

/** Whether the whole text is accepted by any DFA of { u32 count, u32 table… }. */
export function regexAny(text: usize, list: usize): bool {
  const end = list + 4 + (load<u32>(list) << 2);
  for (let at = list + 4; at < end; at += 4) {
    if (regex(text, load<u32>(at))) return true;
  }
  return false;
}
