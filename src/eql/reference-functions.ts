// The functions of the reference evaluator on single elements: text by code points, numbers from text, wildcard patterns.
import { unreachable } from "./ast.ts";
import { foldText } from "./case-folding.ts";
import { type ConstantValue, type FunctionName, type Pattern, Wild } from "./ir.ts";

const I64_MIN = -(1n << 63n);
const I64_MAX = (1n << 63n) - 1n;

/** Result of a function on one element for each operand; null is no result. */
export function callFunction(name: FunctionName, operands: readonly ConstantValue[], folded: boolean): ConstantValue | null {
  const text = (index: number) => [...String(operands[index])];
  const int = (index: number) => operands[index] as bigint;
  switch (name) {
    case "length":
      return BigInt(text(0).length);
    case "indexOf":
      return position(foldAll(folded, text(0)), foldAll(folded, text(1)), int(2));
    case "substring":
      return substring(text(0), int(1), int(2));
    case "between":
      return between({ text: text(0), left: text(1), right: text(2), greedy: operands[3] === true, folded }) ?? "";
    case "betweenOrNull":
      return between({ text: text(0), left: text(1), right: text(2), greedy: operands[3] === true, folded });
    case "concat":
      return operands.map(String).join("");
    case "parseNumber":
      return parseNumber(String(operands[0]), Number(int(1)));
    default:
      return unreachable(name);
  }
}

/** The text, folded when asked for. */
export function foldIf(folded: boolean, text: string): string {
  return folded ? foldText(text) : text;
}

function foldAll(folded: boolean, characters: readonly string[]): readonly string[] {
  return folded ? characters.map(foldText) : characters;
}

/** Order by code points, which for UTF-16 is not the order of code units. */
export function compareText(left: string, right: string): number {
  const a = [...left];
  const b = [...right];
  for (let i = 0; i < a.length && i < b.length; i++) {
    const difference = a[i]!.codePointAt(0)! - b[i]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

function foundAt(text: readonly string[], part: readonly string[], at: number): boolean {
  return at + part.length <= text.length && part.every((character, i) => text[at + i] === character);
}

function position(text: readonly string[], part: readonly string[], start: bigint): bigint | null {
  for (let at = start < 0n ? 0n : start; at + BigInt(part.length) <= BigInt(text.length); at++) {
    if (foundAt(text, part, Number(at))) return at;
  }
  return null;
}

function substring(text: readonly string[], start: bigint, end: bigint): string {
  const length = BigInt(text.length);
  const clamp = (value: bigint) => {
    const fromStart = value < 0n ? value + length : value;
    return Number(fromStart < 0n ? 0n : fromStart > length ? length : fromStart);
  };
  return text.slice(clamp(start), clamp(end)).join("");
}

interface Between {
  readonly text: readonly string[];
  readonly left: readonly string[];
  readonly right: readonly string[];
  readonly greedy: boolean;
  readonly folded: boolean;
}

function between({ text, left, right, greedy, folded }: Between): string | null {
  const searched = foldAll(folded, text);
  const leftAt = position(searched, foldAll(folded, left), 0n);
  if (leftAt === null) return null;
  const from = Number(leftAt) + left.length;
  const folderRight = foldAll(folded, right);
  const hits: number[] = [];
  for (let at = from; at <= text.length; at++) if (foundAt(searched, folderRight, at)) hits.push(at);
  const to = greedy ? hits.at(-1) : hits[0];
  return to === undefined ? null : text.slice(from, to).join("");
}

function parseNumber(padded: string, base: number): bigint | number | null {
  if (base !== 0 && (base < 2 || base > 36)) return null;
  const text = padded.replace(/^[\t-\r ]+|[\t-\r ]+$/g, "");
  const [, sign = "", body = ""] = /^([+-]?)(.*)$/su.exec(text) ?? [];
  const hexadecimal = /^0[xX](.+)$/su.exec(body)?.[1];
  if (hexadecimal !== undefined && (base === 0 || base === 16)) return integerIn(16, sign, hexadecimal);
  if (base !== 0 && base !== 10) return integerIn(base, sign, body);
  if (/^[0-9]+$/.test(body)) {
    const value = BigInt(sign === "-" ? `-${body}` : body);
    if (value >= I64_MIN && value <= I64_MAX) return value;
  } else if (!/^([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$/.test(body)) return null;
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}

function integerIn(base: number, sign: string, digits: string): bigint | null {
  let value = 0n;
  for (const digit of digits) {
    const weight = /^[0-9a-z]$/i.test(digit) ? Number.parseInt(digit, 36) : base;
    if (weight >= base) return null;
    value = value * BigInt(base) + BigInt(weight);
  }
  const signed = sign === "-" ? -value : value;
  return digits !== "" && signed >= I64_MIN && signed <= I64_MAX ? signed : null;
}

/** Shortest decimal that reads back, with `.0` after a whole number. */
export function textOfFloat(value: number): string {
  const text = String(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

/** Whether the whole text matches a wildcard pattern: for each prefix of the pattern the set of positions it can end at. */
export function matchesPattern(text: string, pattern: Pattern, folded: boolean): boolean {
  const characters = [...foldIf(folded, text)];
  let positions = new Set([0]);
  for (const piece of pattern) {
    const next = new Set<number>();
    for (const at of positions) {
      if (piece === Wild.Many) for (let end = at; end <= characters.length; end++) next.add(end);
      else if (piece === Wild.One) next.add(at + 1);
      else {
        const literal = [...foldIf(folded, piece)];
        if (foundAt(characters, literal, at)) next.add(at + literal.length);
      }
    }
    positions = next;
  }
  return positions.has(characters.length);
}
