// Unicode simple case folding over the generated table: the one definition of "the same letter" for both back ends and the evaluator.
// Folding maps code point to code point, so a folded text has as many code points as the text itself.
import { FOLDING_RANGES } from "./case-folding.generated.ts";

/** Simple case folding of one code point. */
export function foldCodePoint(codePoint: number): number {
  if (codePoint < 0x80) return codePoint >= 0x41 && codePoint <= 0x5a ? codePoint + 32 : codePoint;
  let low = 0;
  let high = FOLDING_RANGES.length / 4;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (codePoint > FOLDING_RANGES[middle * 4 + 1]!) low = middle + 1;
    else high = middle;
  }
  const range = low * 4;
  if (range >= FOLDING_RANGES.length || codePoint < FOLDING_RANGES[range]!) return codePoint;
  return (codePoint - FOLDING_RANGES[range]!) % FOLDING_RANGES[range + 2]! === 0 ? codePoint + FOLDING_RANGES[range + 3]! : codePoint;
}

/** Simple case folding of a text. */
export function foldText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the ASCII range is meant
  if (/^[\x00-\x7f]*$/.test(text)) return text.toLowerCase();
  let folded = "";
  for (const character of text) folded += String.fromCodePoint(foldCodePoint(character.codePointAt(0)!));
  return folded;
}

let equivalents: ReadonlyMap<number, readonly number[]> | undefined;

/** Every code point that folds like this one, itself included. */
export function foldingEquivalents(codePoint: number): readonly number[] {
  equivalents ??= buildEquivalents();
  const folded = foldCodePoint(codePoint);
  return equivalents.get(folded) ?? [folded];
}

/** Code points that take part in folding, ascending: the only ones for which {@link foldingEquivalents} has company. */
export function foldingCodePoints(): Iterable<readonly number[]> {
  equivalents ??= buildEquivalents();
  return equivalents.values();
}

function buildEquivalents(): ReadonlyMap<number, readonly number[]> {
  const classes = new Map<number, number[]>();
  const add = (codePoint: number, folded: number): void => {
    const members = classes.get(folded);
    if (members === undefined) classes.set(folded, [folded, codePoint]);
    else members.push(codePoint);
  };
  for (let range = 0; range < FOLDING_RANGES.length; range += 4) {
    const [start, end, stride, delta] = FOLDING_RANGES.slice(range, range + 4) as [number, number, number, number];
    for (let codePoint = start; codePoint <= end; codePoint += stride) add(codePoint, codePoint + delta);
  }
  return classes;
}
