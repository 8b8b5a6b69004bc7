// Text functions for the production evaluator: the meaning of reference-functions.ts on UTF-16 strings, in time that grows with text plus
// part, never with their product. Positions count code points; texts without surrogates, nearly all, need no counting.
import { foldText } from "./case-folding.ts";
import { type Pattern, Wild } from "./ir.ts";

/** Up to this product of lengths the engine's own search is quick enough whatever the texts hold. */
const PLAIN_SEARCH_MAX = 1 << 16;
const SURROGATE = /[\ud800-\udfff]/;

/** First place of `part` in `text` from `from` on, in UTF-16 units; -1 when there is none. Both are well-formed. */
export function find(text: string, part: string, from = 0): number {
  if ((text.length - from) * part.length <= PLAIN_SEARCH_MAX) return text.indexOf(part, from);
  return search(text, part, from, false);
}

function findLast(text: string, part: string, from: number): number {
  if ((text.length - from) * part.length > PLAIN_SEARCH_MAX) return search(text, part, from, true);
  const at = text.lastIndexOf(part);
  return at < from ? -1 : at;
}

/** Knuth, Morris and Pratt: linear whatever the texts hold. */
function search(text: string, part: string, from: number, last: boolean): number {
  const borders = new Int32Array(part.length);
  for (let at = 1, length = 0; at < part.length; at++) {
    while (length > 0 && part.charCodeAt(at) !== part.charCodeAt(length)) length = borders[length - 1]!;
    if (part.charCodeAt(at) === part.charCodeAt(length)) length++;
    borders[at] = length;
  }
  let found = -1;
  for (let at = from, length = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    while (length > 0 && unit !== part.charCodeAt(length)) length = borders[length - 1]!;
    if (unit === part.charCodeAt(length)) length++;
    if (length < part.length) continue;
    found = at + 1 - part.length;
    if (!last) return found;
    length = borders[length - 1]!;
  }
  return found;
}

/** Number of code points. */
export function codePointCount(text: string): number {
  return SURROGATE.test(text) ? codePointsBefore(text, text.length) : text.length;
}

function codePointsBefore(text: string, unit: number): number {
  let count = 0;
  for (let at = 0; at < unit; at += widthAt(text, at)) count++;
  return count;
}

/** UTF-16 unit at which the code point number `position` begins; beyond the end, the end. */
function unitOf(text: string, position: number): number {
  let unit = 0;
  for (let count = 0; count < position && unit < text.length; count++) unit += widthAt(text, unit);
  return unit;
}

function widthAt(text: string, unit: number): number {
  const code = text.charCodeAt(unit);
  return code >= 0xd800 && code <= 0xdbff ? 2 : 1;
}

/** See `indexOf` in ir.ts; both texts already folded. */
export function indexOf(text: string, part: string, start: bigint): bigint | null {
  const from = start < 0n ? 0 : Number(start);
  if (!SURROGATE.test(text)) {
    const at = from > text.length ? -1 : find(text, part, from);
    return at === -1 ? null : BigInt(at);
  }
  if (from > codePointCount(text)) return null;
  const at = find(text, part, unitOf(text, from));
  return at === -1 ? null : BigInt(codePointsBefore(text, at));
}

/** See `substring` in ir.ts. */
export function substring(text: string, start: bigint, end: bigint): string {
  const length = codePointCount(text);
  const clamp = (position: bigint): number => {
    const fromStart = position < 0n ? position + BigInt(length) : position;
    return fromStart < 0n ? 0 : fromStart > length ? length : Number(fromStart);
  };
  const from = clamp(start);
  const to = clamp(end);
  if (from >= to) return "";
  return length === text.length ? text.slice(from, to) : text.slice(unitOf(text, from), unitOf(text, to));
}

/** What `between` looks for. */
export interface BetweenParts {
  readonly text: string;
  readonly left: string;
  readonly right: string;
  readonly greedy: boolean;
  readonly folded: boolean;
}

/** See `betweenOrNull` in ir.ts. */
export function between({ text, left, right, greedy, folded }: BetweenParts): string | null {
  const searched = folded ? foldText(text) : text;
  const before = folded ? foldText(left) : left;
  const after = folded ? foldText(right) : right;
  const leftAt = find(searched, before);
  if (leftAt === -1) return null;
  const from = leftAt + before.length;
  const to = greedy ? findLast(searched, after, from) : find(searched, after, from);
  if (to === -1) return null;
  // Folding keeps the number of code points, not that of UTF-16 units.
  if (!folded || !(SURROGATE.test(text) || SURROGATE.test(searched))) return text.slice(from, to);
  return text.slice(unitOf(text, codePointsBefore(searched, from)), unitOf(text, codePointsBefore(searched, to)));
}

/** Order by code points. */
export function compareText(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(at);
    if (a !== b) return rank(a) - rank(b);
  }
  return left.length - right.length;
}

/** UTF-16 units in the order of the code points they begin: surrogates behind everything else. */
function rank(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit;
}

/**
 * Whether the whole text matches the pattern, both already folded. Only the last `*` is ever tried again, so the work is text × longest
 * piece at most; `spend` is told of each retry.
 */
export function matchesWildcards(text: string, pattern: Pattern, spend: (steps: number) => void): boolean {
  let at = 0;
  let place = 0;
  let star = -1;
  let retryAt = 0;
  while (place < pattern.length || at < text.length) {
    const piece = pattern[place];
    if (piece === Wild.Many) {
      star = ++place;
      retryAt = at;
      if (place === pattern.length) return true;
      continue;
    }
    if (piece === Wild.One && at < text.length) {
      at += widthAt(text, at);
      place++;
      continue;
    }
    if (typeof piece === "string" && text.startsWith(piece, at)) {
      at += piece.length;
      place++;
      continue;
    }
    if (star === -1 || retryAt >= text.length) return false;
    const next = pattern[star];
    if (typeof next === "string") {
      const found = find(text, next, retryAt + widthAt(text, retryAt));
      if (found === -1) return false;
      spend(1 + ((found - retryAt) >> 5));
      retryAt = found;
    } else {
      spend(1);
      retryAt += widthAt(text, retryAt);
    }
    at = retryAt;
    place = star;
  }
  return true;
}
