// Wildcard texts to patterns. `*` is any run, `?` one code point (not in the Endgame dialect); everything else, a backslash too, is literal.
import { type Pattern, Wild } from "./ir.ts";

/** Reads a wildcard text. */
export function readPattern(text: string, questionMark: boolean): Pattern {
  const pieces: (string | Wild)[] = [];
  for (const part of text.split(questionMark ? /([*?])/ : /(\*)/)) {
    if (part === "*") {
      if (pieces.at(-1) !== Wild.Many) pieces.push(Wild.Many);
    } else if (part === "?" && questionMark) pieces.push(Wild.One);
    else if (part !== "") pieces.push(part);
  }
  return pieces;
}

/** Whether a wildcard text has a wildcard. */
export function hasWildcard(text: string, questionMark: boolean): boolean {
  return text.includes("*") || (questionMark && text.includes("?"));
}

/** A regular expression of the Endgame dialect without its lazy quantifiers: on a whole text they match the same. */
export function withoutLazyQuantifiers(source: string): string {
  let result = "";
  let inClass = false;
  for (let i = 0; i < source.length; i++) {
    const character = source[i]!;
    result += character;
    if (character === "\\") result += source[++i] ?? "";
    else if (character === "[") inClass = true;
    else if (character === "]") inClass = false;
    else if (!inClass && /[*+?}]/.test(character) && source[i + 1] === "?") i++;
  }
  return result;
}
