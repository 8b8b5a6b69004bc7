// "Did you mean" for mistyped words.
import { nearestName } from "#schema";

/** `, did you mean "x"?` or nothing. */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const known = nearestName(word, candidates);
  return known === undefined ? "" : `, did you mean "${known}"?`;
}
