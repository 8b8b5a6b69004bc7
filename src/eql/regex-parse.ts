// Regular expression text to a tree that refa understands. Two flavours: Lucene's as EQL.md has it, and the older one of Endgame's `match`.
// Everything is bounded here, before any automaton is built: length, nesting, and the number of places the expression unrolls to.
import type { Char, CharSet, Node, NoParent } from "refa";
import { automata } from "./automata.ts";
import { foldingCodePoints, foldingEquivalents } from "./case-folding.ts";

/** `lucene`: whole text, `^ $` literal. `endgame`: from the start of the text to anywhere, `^ $` anchors, `(?:…)`. */
export type RegexFlavour = "lucene" | "endgame";

/** How a pattern is to be read. */
export interface RegexOptions {
  /** Letters match without regard to case (Unicode simple folding), also inside classes and ranges. */
  readonly folded: boolean;
  readonly flavour: RegexFlavour;
}

/** Something to say about a pattern: `[from, to)` in UTF-16 units of the pattern. */
export interface RegexIssue {
  readonly message: string;
  readonly from: number;
  readonly to: number;
}

/** Longest pattern, in UTF-16 units. */
const REGEX_LENGTH_MAX = 16_384;
/** Most groups inside one another. */
const REGEX_DEPTH_MAX = 128;
/** Most places (characters and classes) after counted repetitions are unrolled. */
const REGEX_PLACES_MAX = 1000;

/** Last code point. */
export const CODE_POINT_MAX: Char = 0x10ffff as Char;

type Tree<T extends Node["type"]> = NoParent<Extract<Node, { type: T }>>;
type Element = Tree<"Concatenation">["elements"][number];

/** A parsed piece and the number of places it unrolls to. */
interface Piece {
  readonly element: Element;
  readonly places: number;
}

interface Branches {
  readonly alternatives: Tree<"Concatenation">[];
  readonly places: number;
}

/** A parsed pattern, or what is wrong with it. */
export type ParsedRegex =
  | {
      readonly kind: "parsed";
      readonly expression: NoParent<Extract<Node, { type: "Expression" }>>;
      readonly warnings: readonly RegexIssue[];
    }
  | { readonly kind: "failed"; readonly error: RegexIssue };

class PatternError extends Error {
  constructor(readonly issue: RegexIssue) {
    super(issue.message);
  }
}

/** Parses a pattern. Never throws. */
export function parseRegex(pattern: string, options: RegexOptions): ParsedRegex {
  if (pattern.length > REGEX_LENGTH_MAX) {
    const message = `The regular expression has ${pattern.length} characters, at most ${REGEX_LENGTH_MAX} are allowed`;
    return { kind: "failed", error: { message, from: 0, to: pattern.length } };
  }
  const parser = new PatternParser(pattern, options);
  try {
    const { alternatives } = parser.whole();
    return { kind: "parsed", expression: { type: "Expression", alternatives }, warnings: parser.warnings };
  } catch (error) {
    if (error instanceof PatternError) return { kind: "failed", error: error.issue };
    throw error;
  }
}

const DIGITS: readonly (readonly [number, number])[] = [[0x30, 0x39]];
const SPACES: readonly (readonly [number, number])[] = [
  [0x09, 0x0d],
  [0x20, 0x20],
];
const WORDS: readonly (readonly [number, number])[] = [
  [0x30, 0x39],
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
];
const SHORTHANDS: Readonly<Record<string, readonly (readonly [number, number])[]>> = { d: DIGITS, s: SPACES, w: WORDS };
const CONTROLS: Readonly<Record<string, number>> = { n: 0x0a, r: 0x0d, t: 0x09, f: 0x0c };
const LUCENE_OPERATORS = '~&@#<>"';

class PatternParser {
  readonly warnings: RegexIssue[] = [];
  #at = 0;
  #depth = 0;
  constructor(
    readonly pattern: string,
    readonly options: RegexOptions,
  ) {}

  /** The whole pattern. In Endgame's flavour an alternative that does not end in `$` may be followed by anything. */
  whole(): Branches {
    const branches = this.#branches();
    if (this.#at < this.pattern.length) this.#fail(`Unmatched ")"; a parenthesis itself is written \\)`, this.#at, this.#at + 1);
    return branches;
  }

  #branches(): Branches {
    const alternatives: Tree<"Concatenation">[] = [];
    let places = 0;
    do {
      const start = this.#at;
      const pieces = this.#sequence();
      places += pieces.reduce((sum, piece) => sum + piece.places, 0);
      this.#checkPlaces(places, start);
      alternatives.push({ type: "Concatenation", elements: pieces.map((piece) => piece.element) });
    } while (this.#accept("|"));
    return { alternatives, places };
  }

  #sequence(): Piece[] {
    const pieces: Piece[] = [];
    const topLevel = this.#depth === 0;
    let open = topLevel && this.options.flavour === "endgame";
    if (this.options.flavour === "endgame" && this.#peek() === "^") this.#anchor(topLevel);
    let places = 0;
    for (let next = this.#peek(); next !== "" && next !== "|" && next !== ")"; next = this.#peek()) {
      if (next === "$" && this.options.flavour === "endgame") {
        this.#anchor(topLevel);
        open = false;
        const after = this.#peek();
        if (after !== "" && after !== "|") this.#fail(`"$" is only understood at the end of the pattern`, this.#at - 1, this.#at);
        break;
      }
      const start = this.#at;
      const piece = this.#repeated(this.#atom());
      places += piece.places;
      this.#checkPlaces(places, start);
      pieces.push(piece);
    }
    if (open)
      pieces.push({
        element: repeat([{ type: "Concatenation", elements: [characters(set([[0, CODE_POINT_MAX]]))] }], 0, Number.POSITIVE_INFINITY),
        places: 1,
      });
    return pieces;
  }

  #anchor(topLevel: boolean): void {
    const from = this.#at++;
    if (!topLevel)
      this.#fail(`"${this.pattern[from]}" is not understood inside a group; a dollar or caret itself is written with \\`, from, from + 1);
  }

  #repeated(piece: Piece): Piece {
    let repeated = piece;
    for (;;) {
      const start = this.#at;
      const range = this.#quantifier();
      if (range === undefined) return repeated;
      const [min, max] = range;
      const copies = max === Number.POSITIVE_INFINITY ? min + 1 : Math.max(max, 1);
      const places = Math.max(repeated.places, 1) * copies;
      this.#checkPlaces(places, start);
      repeated = { element: repeat([{ type: "Concatenation", elements: [repeated.element] }], min, max), places };
    }
  }

  /** Bounds of the quantifier here, if there is one. A `?` or `+` after it says how much to take first, which for a whole text is all the same. */
  #quantifier(): readonly [number, number] | undefined {
    if (this.#accept("*")) return [0, Number.POSITIVE_INFINITY];
    if (this.#accept("+")) return [1, Number.POSITIVE_INFINITY];
    if (this.#accept("?")) return [0, 1];
    if (this.#peek() !== "{") return undefined;
    const from = this.#at;
    const match = /^\{(\d{1,9})(?:(,)(\d{0,9}))?\}/.exec(this.pattern.slice(from, from + 24));
    if (match === null) return this.#fail(`"{" begins a repetition like {2}, {2,} or {2,5}; a brace itself is written \\{`, from, from + 1);
    this.#at += match[0].length;
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] === "" ? Number.POSITIVE_INFINITY : Number(match[3]);
    if (max < min) this.#fail(`The repetition ${match[0]} is empty: ${min} is more than ${max}`, from, this.#at);
    return [min, max];
  }

  #atom(): Piece {
    const from = this.#at;
    const next = this.#next();
    switch (next) {
      case "(":
        return this.#group(from);
      case "[":
        return { element: characters(this.#characterClass(from)), places: 1 };
      case ".":
        return { element: characters(set([[0, CODE_POINT_MAX]])), places: 1 };
      case "\\":
        return { element: characters(this.#close(this.#escape(from))), places: 1 };
      case "*":
      case "+":
      case "?":
        return this.#fail(`Nothing to repeat before "${next}"; the character itself is written \\${next}`, from, this.#at);
      case "{":
        return this.#fail(`Nothing to repeat before "{"; a brace itself is written \\{`, from, this.#at);
      default:
        if (this.options.flavour === "lucene" && LUCENE_OPERATORS.includes(next)) this.#warnOperator(next, from);
    }
    return { element: characters(this.#close(single(next.codePointAt(0)!))), places: 1 };
  }

  #warnOperator(operator: string, from: number): void {
    const message = `"${operator}" is taken literally here; Lucene gives it a meaning, write \\${operator} to be plain`;
    this.warnings.push({ message, from, to: from + 1 });
  }

  #group(from: number): Piece {
    if (this.pattern.startsWith("?", this.#at)) {
      const plain = this.options.flavour === "endgame" && this.pattern.startsWith("?:", this.#at);
      if (!plain) this.#fail(`Groups that begin with "(?" cannot be compiled to an automaton; use plain parentheses`, from, this.#at + 1);
      this.#at += 2;
    }
    if (++this.#depth > REGEX_DEPTH_MAX) this.#fail(`More than ${REGEX_DEPTH_MAX} groups inside one another`, from, from + 1);
    const { alternatives, places } = this.#branches();
    this.#depth--;
    if (!this.#accept(")")) this.#fail(`"(" is never closed; a parenthesis itself is written \\(`, from, from + 1);
    return { element: { type: "Alternation", alternatives }, places };
  }

  #escape(from: number): CharSet {
    if (this.#at >= this.pattern.length)
      return this.#fail(`The pattern ends in a lone backslash; a backslash itself is written \\\\`, from, this.#at);
    const next = this.#next();
    const shorthand = SHORTHANDS[next.toLowerCase()];
    if (shorthand !== undefined) return next === next.toLowerCase() ? set(shorthand) : set(shorthand).negate();
    if (this.options.flavour === "endgame" && /[1-9bBAZzGkpP]/.test(next)) {
      this.#fail(`"\\${next}" cannot be compiled to an automaton`, from, this.#at);
    }
    return single(CONTROLS[next] ?? next.codePointAt(0)!);
  }

  #characterClass(from: number): CharSet {
    const negated = this.#accept("^");
    let result = set([]);
    for (let first = true; first || this.#peek() !== "]"; first = false) {
      if (this.#at >= this.pattern.length) this.#fail(`"[" is never closed; a bracket itself is written \\[`, from, from + 1);
      const start = this.#at;
      const low = this.#classMember();
      if (low.size === 1 && this.#peek() === "-" && this.pattern[this.#at + 1] !== "]" && this.#at + 1 < this.pattern.length) {
        this.#at++;
        const high = this.#classMember();
        result = result.union(this.#range(low, high, start));
      } else result = result.union(low);
    }
    this.#at++;
    const closed = this.#close(result);
    return negated ? closed.negate() : closed;
  }

  #classMember(): CharSet {
    const from = this.#at;
    const next = this.#next();
    return next === "\\" ? this.#escape(from) : single(next.codePointAt(0)!);
  }

  #range(low: CharSet, high: CharSet, from: number): CharSet {
    if (high.size !== 1) this.#fail(`A range needs single characters on both sides`, from, this.#at);
    const min = low.ranges[0]!.min;
    const max = high.ranges[0]!.max;
    if (max < min) this.#fail(`The range ${this.pattern.slice(from, this.#at)} is empty: its end comes before its start`, from, this.#at);
    return set([[min, max]]);
  }

  /** With everything that folds like a member. */
  #close(members: CharSet): CharSet {
    if (!this.options.folded) return members;
    if (members.size === 1) return set(foldingEquivalents(members.ranges[0]!.min).map((codePoint) => [codePoint, codePoint]));
    const added: [number, number][] = [];
    for (const family of foldingCodePoints()) {
      if (!family.some((codePoint) => members.has(codePoint as Char))) continue;
      for (const codePoint of family) added.push([codePoint, codePoint]);
    }
    return members.union(set(added));
  }

  #checkPlaces(places: number, from: number): void {
    if (places <= REGEX_PLACES_MAX) return;
    this.#fail(`The regular expression unrolls to more than ${REGEX_PLACES_MAX} characters; use smaller repetition counts`, from, this.#at);
  }

  #peek(): string {
    return this.pattern[this.#at] ?? "";
  }

  /** The code point here, as a string. */
  #next(): string {
    const character = String.fromCodePoint(this.pattern.codePointAt(this.#at) ?? 0);
    this.#at += character.length;
    return character;
  }

  #accept(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #fail(message: string, from: number, to: number): never {
    throw new PatternError({ message, from, to });
  }
}

function set(ranges: readonly (readonly [number, number])[]): CharSet {
  const { CharSet } = automata();
  return CharSet.empty(CODE_POINT_MAX).union(ranges.map(([min, max]) => ({ min: min as Char, max: max as Char })));
}

function single(codePoint: number): CharSet {
  return set([[codePoint, codePoint]]);
}

function characters(charSet: CharSet): Element {
  return { type: "CharacterClass", characters: charSet };
}

function repeat(alternatives: Tree<"Concatenation">[], min: number, max: number): Element {
  return { type: "Quantifier", min, max, lazy: false, alternatives };
}
