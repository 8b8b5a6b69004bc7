// Functions of the production evaluator on one element for each operand. What grows with the text is paid for.
import { unreachable } from "./ast.ts";
import { foldText } from "./case-folding.ts";
import { between, codePointCount, indexOf, substring } from "./fast-text.ts";
import type { CallNode, ConstantValue } from "./ir.ts";
import { callFunction } from "./reference-functions.ts";

/** Longer texts than this are looked at before they are read: reading digits takes their number squared. */
const PLAIN_NUMBER_LENGTH_MAX = 512;
/** More digits than this, the first not 0, are out of every range. */
const DIGITS_MAX = 400;

/** See `parseNumber` in ir.ts. */
export function parseNumber(text: string, base: bigint): ConstantValue | null {
  if (text.length <= PLAIN_NUMBER_LENGTH_MAX) return callFunction("parseNumber", [text, base], false);
  let from = 0;
  let to = text.length;
  while (from < to && isSpace(text.charCodeAt(from))) from++;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to--;
  const trimmed = text.slice(from, to);
  const hasPrefix = (base === 0n || base === 16n) && /^[+-]?0[xX]/.test(trimmed);
  const found = (hasPrefix ? /^([+-]?)(0[xX])0*([0-9A-Za-z]+)$/ : /^([+-]?)()0*([0-9A-Za-z]+)$/).exec(trimmed);
  if (found === null) {
    // A decimal with a point or a signed exponent. Whatever else there is, spaces in the middle too, is no number in any base.
    const isDecimal = (base === 0n || base === 10n) && /^[+-]?[0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?$/.test(trimmed);
    return isDecimal ? callFunction("parseNumber", [trimmed, base], false) : null;
  }
  const [, sign = "", prefix = "", digits = ""] = found;
  const isExact = (base !== 0n && base !== 10n) || prefix !== "" || /^[0-9]+$/.test(digits);
  // With an exponent: read as a decimal, at once.
  if (!isExact) return callFunction("parseNumber", [trimmed, base], false);
  if (digits.length > DIGITS_MAX) return null;
  return callFunction("parseNumber", [sign + prefix + digits, base], false);
}

/** As the reference sees it: tab to carriage return, and space. */
function isSpace(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}

/** Result of a call; null is no result. `spend` is told what it costs. */
export function callValue(node: CallNode, row: readonly ConstantValue[], spend: (steps: number) => void): ConstantValue | null {
  const text = (index: number): string => String(row[index]);
  const int = (index: number): bigint => row[index] as bigint;
  const fold = (value: string): string => (node.folded ? foldText(value) : value);
  const first = text(0);
  spend(first.length >> 5);
  switch (node.name) {
    case "length":
      return BigInt(codePointCount(first));
    case "indexOf":
      return indexOf(fold(first), fold(text(1)), int(2));
    case "substring":
      return substring(first, int(1), int(2));
    case "between":
    case "betweenOrNull": {
      const found = between({ text: first, left: text(1), right: text(2), greedy: row[3] === true, folded: node.folded });
      return found ?? (node.name === "between" ? "" : null);
    }
    case "concat": {
      const joined = row.map(String).join("");
      // Results are kept until the evaluation ends, so length costs memory too.
      spend(joined.length >> 2);
      return joined;
    }
    case "parseNumber":
      return parseNumber(first, int(1));
    default:
      return unreachable(node.name);
  }
}
