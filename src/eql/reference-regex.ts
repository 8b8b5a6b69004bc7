// The reference meaning of a regular expression: a tree, and for each node the set of positions where a match that starts at a position can
// end. Sets instead of backtracking, so every pattern takes polynomial time. Slow and simple; the back ends compile to automata instead.
import { foldingEquivalents } from "./case-folding.ts";
import type { RegexOptions } from "./regex-parse.ts";

type Matcher =
  | { readonly kind: "set"; readonly has: (codePoint: number) => boolean }
  | { readonly kind: "sequence"; readonly parts: readonly Matcher[] }
  | { readonly kind: "choice"; readonly options: readonly Matcher[] }
  | { readonly kind: "repeat"; readonly body: Matcher; readonly min: number; readonly max: number };

type Range = readonly [low: number, high: number];

const DIGIT: readonly Range[] = [[0x30, 0x39]];
const SPACE: readonly Range[] = [
  [0x09, 0x0d],
  [0x20, 0x20],
];
const WORD: readonly Range[] = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
const ENDGAME_CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, a: 7 };
const ANY: Matcher = { kind: "set", has: () => true };
const REST: Matcher = { kind: "repeat", body: ANY, min: 0, max: Number.POSITIVE_INFINITY };

/**
 * Tests whether the text matches: `lucene` the whole of it, `endgame` from its start, unless an alternative ends in `$`. The pattern is one
 * that the regex compiler accepts; what it does not accept throws.
 */
export function referenceRegex(pattern: string, options: RegexOptions): (text: string) => boolean {
  const matcher = new PatternReader(pattern, options).read();
  return (text) => {
    const codePoints = Array.from(text, (character) => character.codePointAt(0)!);
    return ends(matcher, codePoints, new Set([0])).has(codePoints.length);
  };
}

function ends(matcher: Matcher, text: readonly number[], starts: ReadonlySet<number>): ReadonlySet<number> {
  switch (matcher.kind) {
    case "set":
      return new Set([...starts].filter((at) => at < text.length && matcher.has(text[at]!)).map((at) => at + 1));
    case "sequence":
      return matcher.parts.reduce((reached, part) => ends(part, text, reached), starts);
    case "choice":
      return new Set(matcher.options.flatMap((option) => [...ends(option, text, starts)]));
    case "repeat": {
      let current = starts;
      const reached = new Set(matcher.min === 0 ? starts : []);
      const seen = new Set<string>();
      for (let count = 1; count <= matcher.max && current.size > 0; count++) {
        current = ends(matcher.body, text, current);
        if (count >= matcher.min) for (const at of current) reached.add(at);
        // The sets repeat sooner or later; beyond the minimum a repeated set brings nothing new.
        const key = [...current].sort((a, b) => a - b).join();
        if (count >= matcher.min && seen.has(key)) break;
        if (count >= matcher.min) seen.add(key);
      }
      return reached;
    }
  }
}

class PatternReader {
  readonly #characters: readonly string[];
  readonly #options: RegexOptions;
  #at = 0;
  #depth = 0;

  constructor(pattern: string, options: RegexOptions) {
    this.#characters = [...pattern];
    this.#options = options;
  }

  read(): Matcher {
    const matcher = this.#choice();
    if (this.#at < this.#characters.length) throw new SyntaxError(`Unexpected "${this.#peek()}"`);
    return matcher;
  }

  #choice(): Matcher {
    const options = [this.#sequence()];
    while (this.#take("|")) options.push(this.#sequence());
    return options.length === 1 ? options[0]! : { kind: "choice", options };
  }

  #sequence(): Matcher {
    const parts: Matcher[] = [];
    const open = this.#depth === 0 && this.#isEndgame;
    if (open) this.#take("^");
    while (this.#at < this.#characters.length && this.#peek() !== "|" && this.#peek() !== ")") {
      if (open && this.#take("$")) return { kind: "sequence", parts };
      parts.push(this.#repeated());
    }
    return { kind: "sequence", parts: open ? [...parts, REST] : parts };
  }

  get #isEndgame(): boolean {
    return this.#options.flavour === "endgame";
  }

  #repeated(): Matcher {
    let body = this.#single();
    for (;;) {
      if (this.#take("*")) body = { kind: "repeat", body, min: 0, max: Number.POSITIVE_INFINITY };
      else if (this.#take("+")) body = { kind: "repeat", body, min: 1, max: Number.POSITIVE_INFINITY };
      else if (this.#take("?")) body = { kind: "repeat", body, min: 0, max: 1 };
      else if (this.#take("{")) body = { kind: "repeat", body, ...this.#bounds() };
      else return body;
    }
  }

  #bounds(): { readonly min: number; readonly max: number } {
    const min = this.#number();
    let max = min;
    if (this.#take(",")) max = this.#peek() === "}" ? Number.POSITIVE_INFINITY : this.#number();
    if (!this.#take("}")) throw new SyntaxError("Expected }");
    return { min, max };
  }

  #number(): number {
    let digits = "";
    while (/^\d$/.test(this.#peek())) digits += this.#next();
    if (digits === "") throw new SyntaxError("Expected a number");
    return Number(digits);
  }

  #single(): Matcher {
    const character = this.#next();
    if (character === "(") {
      if (this.#take("?")) this.#next();
      this.#depth++;
      const inner = this.#choice();
      this.#depth--;
      if (!this.#take(")")) throw new SyntaxError("Expected )");
      return inner;
    }
    if (character === "[") return this.#characterClass();
    if (character === ".") return ANY;
    if (character === '"' && !this.#isEndgame) return this.#quoted();
    if (character === "\\") return this.#set([this.#escape()]);
    return this.#set([rangesOf(character.codePointAt(0)!)]);
  }

  /** Lucene: everything up to the next double quote is literal. */
  #quoted(): Matcher {
    const parts: Matcher[] = [];
    while (!this.#take('"')) parts.push(this.#set([rangesOf(this.#next().codePointAt(0)!)]));
    return { kind: "sequence", parts };
  }

  /** Ranges of an escape after the backslash; a capital class is a predicate, so ranges are complemented here. */
  #escape(): readonly Range[] {
    const character = this.#next();
    switch (character) {
      case "d":
        return DIGIT;
      case "s":
        return SPACE;
      case "w":
        return WORD;
      case "D":
        return complement(DIGIT);
      case "S":
        return complement(SPACE);
      case "W":
        return complement(WORD);
      default:
        return rangesOf((this.#isEndgame ? ENDGAME_CONTROLS[character] : undefined) ?? character.codePointAt(0)!);
    }
  }

  #characterClass(): Matcher {
    const negated = this.#take("^");
    const pieces: (readonly Range[])[] = [];
    for (let first = true; first || this.#peek() !== "]"; first = false) {
      const low = this.#classItem();
      if (this.#peek() !== "-" || this.#characters[this.#at + 1] === "]" || low.length !== 1 || low[0]![0] !== low[0]![1]) {
        pieces.push(low);
        continue;
      }
      this.#next();
      pieces.push([[low[0]![0], this.#classItem()[0]![1]]]);
    }
    this.#next();
    const inside = this.#set(pieces);
    return negated ? { kind: "set", has: (codePoint) => !inside.has(codePoint) } : inside;
  }

  #classItem(): readonly Range[] {
    const character = this.#next();
    return character === "\\" ? this.#escape() : rangesOf(character.codePointAt(0)!);
  }

  #set(pieces: readonly (readonly Range[])[]): Extract<Matcher, { readonly kind: "set" }> {
    const ranges = pieces.flat();
    const inRanges = (codePoint: number) => ranges.some(([low, high]) => codePoint >= low && codePoint <= high);
    if (!this.#options.folded) return { kind: "set", has: inRanges };
    return { kind: "set", has: (codePoint) => foldingEquivalents(codePoint).some(inRanges) };
  }

  #peek(): string {
    return this.#characters[this.#at] ?? "";
  }

  #take(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    const character = this.#characters[this.#at++];
    if (character === undefined) throw new SyntaxError("Unexpected end");
    return character;
  }
}

function rangesOf(codePoint: number): readonly Range[] {
  return [[codePoint, codePoint]];
}

function complement(ranges: readonly Range[]): readonly Range[] {
  const gaps: Range[] = [];
  let next = 0;
  for (const [low, high] of ranges) {
    if (low > next) gaps.push([next, low - 1]);
    next = high + 1;
  }
  gaps.push([next, 0x10ffff]);
  return gaps;
}
