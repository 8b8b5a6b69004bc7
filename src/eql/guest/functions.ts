// String functions of EQL. Positions and lengths count code points; a string result is temporary or a part of nothing else. 0 is null.
import { allocate, copy, finish } from "./arena";
import { bytesOf, countCodePoints, findBytes, sameBytes, sizeOf, skipCodePoints } from "./text";

/** Code points of a text. */
export function length(text: usize): i64 {
  const bytes = bytesOf(text);
  return countCodePoints(bytes, bytes + sizeOf(text));
}

/** First position of `part` at or after max(start, 0), -1 when there is none or `start` lies behind the end. */
export function indexOf(text: usize, part: usize, start: i64): i64 {
  const bytes = bytesOf(text);
  const end = bytes + sizeOf(text);
  let from = bytes;
  if (start > 0) {
    if (start > length(text)) return -1;
    from = skipCodePoints(bytes, end, <u32>start);
  }
  const place = findBytes(from, end, bytesOf(part), sizeOf(part));
  if (place == 0) return -1;
  return countCodePoints(bytes, place);
}

/** Code points [start, end) of a text; negative positions count from its end. */
export function substring(text: usize, start: i64, end: i64): usize {
  const count = length(text);
  const first = clamp(start, count);
  const last = clamp(end, count);
  const bytes = bytesOf(text);
  const bytesEnd = bytes + sizeOf(text);
  const from = skipCodePoints(bytes, bytesEnd, <u32>first);
  if (last <= first) return copy(from, from);
  return copy(from, skipCodePoints(from, bytesEnd, <u32>(last - first)));
}

function clamp(position: i64, count: i64): i64 {
  if (position < 0) position += count;
  return position < 0 ? 0 : position > count ? count : position;
}

/**
 * What lies between the first `left` and the first (greedy: last) `right` after it, 0 when either is missing. It is searched in `searched`,
 * which is `text` itself or `text` folded; the answer is cut from `text`.
 */
export function between(text: usize, searched: usize, left: usize, right: usize, greedy: i32): usize {
  const bytes = bytesOf(searched);
  const end = bytes + sizeOf(searched);
  const place = findBytes(bytes, end, bytesOf(left), sizeOf(left));
  if (place == 0) return 0;
  const from = place + sizeOf(left);
  const until = greedy ? findLast(from, end, right) : findBytes(from, end, bytesOf(right), sizeOf(right));
  if (until == 0) return 0;
  const own = bytesOf(text);
  if (own == bytes) return copy(from, until);
  // Folding keeps the number of code points, not of bytes.
  const ownEnd = own + sizeOf(text);
  const ownFrom = skipCodePoints(own, ownEnd, countCodePoints(bytes, from));
  return copy(ownFrom, skipCodePoints(ownFrom, ownEnd, countCodePoints(from, until)));
}

/** An empty temporary string. */
export function emptyText(): usize {
  const text = allocate(4);
  return finish(text, text + 4);
}

function findLast(from: usize, end: usize, part: usize): usize {
  const size = sizeOf(part);
  if (from + size > end) return 0;
  for (let at = end - size; at >= from; --at) {
    if (sameBytes(at, bytesOf(part), size)) return at;
  }
  return 0;
}

/** Two texts joined. */
export function concat(a: usize, b: usize): usize {
  const sizeA: usize = sizeOf(a);
  const sizeB: usize = sizeOf(b);
  const text = allocate(sizeA + sizeB + 4);
  const bytes = bytesOf(text);
  memory.copy(bytes, bytesOf(a), sizeA);
  memory.copy(bytes + sizeA, bytesOf(b), sizeB);
  return finish(text, bytes + sizeA + sizeB);
}
