// Unicode simple case folding of strings. Text without capitals and letters beyond ASCII is answered as it is, without a copy.
import { allocate, finish, finishKept, keep } from "./arena";
import { FOLDING_ROWS, FOLDING_TABLE } from "./folding-table.generated";
import { bytesOf, decode, encode, sizeOf, widthOf } from "./text";

/** What folding does to a text. */
const NOTHING: i32 = 0;
const ASCII: i32 = 1;
const GENERAL: i32 = 2;

/** Simple case folding of one code point. */
export function foldCodePoint(codePoint: u32): u32 {
  if (codePoint < 0x80) return codePoint - 0x41 < 26 ? codePoint + 32 : codePoint;
  let low = 0;
  let high = FOLDING_ROWS;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (codePoint > load<u32>(FOLDING_TABLE + (<usize>middle << 4) + 4)) low = middle + 1;
    else high = middle;
  }
  if (low == FOLDING_ROWS) return codePoint;
  const row = FOLDING_TABLE + (<usize>low << 4);
  const first = load<u32>(row);
  if (codePoint < first || (codePoint - first) % load<u32>(row + 8) != 0) return codePoint;
  return codePoint + load<u32>(row + 12);
}

/** The folded text as a temporary string; the same address when folding changes nothing. */
export function fold(text: usize): usize {
  const work = workFor(text);
  if (work == NOTHING) return text;
  const folded = allocate(roomFor(text, work));
  return finish(folded, write(text, bytesOf(folded), work));
}

/** The folded text, kept until the end of the event. */
export function foldKept(text: usize): usize {
  const work = workFor(text);
  if (work == NOTHING) return text;
  const folded = keep(roomFor(text, work));
  return finishKept(folded, write(text, bytesOf(folded), work));
}

function workFor(text: usize): i32 {
  let at = bytesOf(text);
  const end = at + sizeOf(text);
  let work = NOTHING;
  for (; at + 16 <= end; at += 16) {
    const chunk = v128.load(at);
    if (i8x16.bitmask(chunk) != 0) return GENERAL;
    if (v128.any_true(isCapital(chunk))) work = ASCII;
  }
  for (; at < end; ++at) {
    const byte: u32 = load<u8>(at);
    if (byte >= 0x80) return GENERAL;
    if (byte - 0x41 < 26) work = ASCII;
  }
  return work;
}

/** A code point of two bytes may fold to one of three, so the room is half as much again. */
function roomFor(text: usize, work: i32): usize {
  const size: usize = sizeOf(text);
  return 4 + (work == ASCII ? size : size + (size >> 1) + 4);
}

// @ts-ignore: decorator
@inline
function isCapital(chunk: v128): v128 {
  return i8x16.lt_u(i8x16.sub(chunk, i8x16.splat(0x41)), i8x16.splat(26));
}

/** Writes the folded bytes; answers the address after them. */
function write(text: usize, out: usize, work: i32): usize {
  let at = bytesOf(text);
  const end = at + sizeOf(text);
  if (work == GENERAL) {
    while (at < end) {
      const width = widthOf(load<u8>(at));
      out = encode(out, foldCodePoint(decode(at, width)));
      at += width;
    }
    return out;
  }
  for (; at + 16 <= end; at += 16, out += 16) {
    const chunk = v128.load(at);
    v128.store(out, v128.or(chunk, v128.and(isCapital(chunk), i8x16.splat(0x20))));
  }
  for (; at < end; ++at, ++out) {
    const byte: u32 = load<u8>(at);
    store<u8>(out, byte - 0x41 < 26 ? byte | 0x20 : byte);
  }
  return out;
}
