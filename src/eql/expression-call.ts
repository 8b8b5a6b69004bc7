// Functions of the production evaluator on one element for each operand. What grows with the text is paid for.
import { unreachable } from "./ast.ts";
import { foldText } from "./case-folding.ts";
import { between, codePointCount, indexOf, substring } from "./fast-text.ts";
import type { CallNode, ConstantValue } from "./ir.ts";
import { callFunction } from "./reference-functions.ts";

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
      // Reading digits takes their number squared.
      spend((first.length * first.length) >> 12);
      return callFunction("parseNumber", row, false);
    default:
      return unreachable(node.name);
  }
}
