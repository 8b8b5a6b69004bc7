// Wildcard matching of whole texts in TypeScript, for user rules and for checks beside the compiled form: `*` any run, `?` one code point.
import { foldText } from "./case-folding.ts";

/** Whether the whole text matches the pattern. Time grows with text × pieces of the pattern at most, never exponentially. */
export function globMatch(pattern: string, text: string, folded = false): boolean {
  const expected = [...(folded ? foldText(pattern) : pattern)];
  const characters = [...(folded ? foldText(text) : text)];
  let at = 0;
  let place = 0;
  let star = -1;
  let starPlace = 0;
  while (at < characters.length) {
    if (place < expected.length && expected[place] === "*") {
      star = place++;
      starPlace = at;
    } else if (place < expected.length && (expected[place] === "?" || expected[place] === characters[at])) {
      place++;
      at++;
    } else if (star >= 0) {
      place = star + 1;
      at = ++starPlace;
    } else return false;
  }
  while (expected[place] === "*") place++;
  return place === expected.length;
}
