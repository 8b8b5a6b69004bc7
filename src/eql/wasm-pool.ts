// Constant data of a module: strings, patterns, automata, sets, each once, laid out as the guest reads them. Addresses are final when given.
import { type AddressBlock, type Pattern, type RegexNode, Wild } from "./ir.ts";
import type { RegexTable } from "./regex.ts";

const UTF8 = new TextEncoder();

/** Stands for `?` in a piece; UTF-8 never has this byte. */
const ANY_ONE = 0xff;

/** Kinds of pattern in the guest's pattern.ts. */
const enum PatternKind {
  Prefix = 1,
  Suffix = 2,
  Contains = 3,
  Affixes = 4,
  Any = 5,
  Pieces = 6,
}

const ANCHORED_START = 1;
const ANCHORED_END = 2;

/** Hash of a string in its padded form; `hash` in the guest's text.ts computes the same. */
export function hashText(text: string): number {
  const image = stringImage(UTF8.encode(text));
  const view = new DataView(image.buffer);
  let even = 0x9e3779b9;
  let odd = 0x7f4a7c15;
  for (let at = 0; at < image.length; at += 8) {
    even = Math.imul(even ^ view.getUint32(at, true), 0x85ebca6b);
    odd = Math.imul(odd ^ view.getUint32(at + 4, true), 0xc2b2ae35);
  }
  const value = even ^ ((odd << 16) | (odd >>> 16)) ^ (even >>> 15);
  return (Math.imul(value, 0x27d4eb2f) ^ (value >>> 13)) >>> 0;
}

/** { u32 length, bytes, zeros up to a multiple of 8 }. */
function stringImage(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const image = new Uint8Array((bytes.length + 11) & ~7);
  new DataView(image.buffer).setUint32(0, bytes.length, true);
  image.set(bytes, 4);
  return image;
}

/** Collects data from a base address on. Everything is 8-byte aligned. */
export class DataPool {
  #bytes = new Uint8Array(4096);
  #length = 0;
  readonly #known = new Map<string, number>();

  constructor(readonly base: number) {}

  /** First address behind what was added. */
  get end(): number {
    return this.base + this.#length;
  }

  /** Everything added, without the zeros at the end. */
  bytes(): Uint8Array {
    let end = this.#length;
    while (end > 0 && this.#bytes[end - 1] === 0) end--;
    return this.#bytes.subarray(0, end);
  }

  /** Room for `size` bytes, zero. */
  reserve(size: number): number {
    const place = this.#length;
    this.#length = (place + size + 7) & ~7;
    if (this.#length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    return this.base + place;
  }

  /** Overwrites a u32 at an address. */
  setWord(address: number, value: number): void {
    new DataView(this.#bytes.buffer).setUint32(address - this.base, value, true);
  }

  add(bytes: Uint8Array): number {
    const address = this.reserve(bytes.length);
    this.#bytes.set(bytes, address - this.base);
    return address;
  }

  words(values: ArrayLike<number>): number {
    const address = this.reserve(values.length * 4);
    for (let index = 0; index < values.length; index++) this.setWord(address + index * 4, values[index]!);
    return address;
  }

  string(text: string): number {
    return this.#once(`s${text}`, () => this.add(stringImage(UTF8.encode(text))));
  }

  /** A bit for each of the ids. */
  bits(ids: readonly number[], count: number): number {
    const bytes = new Uint8Array((count >> 3) + 1);
    for (const id of ids) bytes[id >> 3] = bytes[id >> 3]! | (1 << (id & 7));
    return this.#once(`b${bytes.join()}`, () => this.add(bytes));
  }

  /** A list of patterns, cheapest kinds first. */
  patterns(patterns: readonly Pattern[]): number {
    return this.#once(`l${JSON.stringify(patterns)}`, () => {
      const sorted = patterns.map((pattern) => patternParts(pattern)).sort((a, b) => a.kind - b.kind);
      return this.#list(sorted.map((parts) => this.#pattern(parts)));
    });
  }

  /** A list of automata. */
  regexes({ patterns, tables, folded, flavour }: RegexNode): number {
    return this.#once(`r${folded}${flavour}${JSON.stringify(patterns)}`, () => this.#list(tables.map((table) => this.#automaton(table))));
  }

  /** { count, 0, blocks of family, prefix bits, 16 bytes }. */
  blocks(blocks: readonly AddressBlock[]): number {
    return this.#once(`c${JSON.stringify(blocks)}`, () => {
      const image = new Uint8Array(8 + blocks.length * 24);
      const view = new DataView(image.buffer);
      view.setUint32(0, blocks.length, true);
      for (const [index, block] of blocks.entries()) {
        const at = 8 + index * 24;
        view.setUint32(at, block.bytes.length === 4 ? 4 : 6, true);
        view.setUint32(at + 4, block.prefixBits, true);
        image.set(block.bytes, at + 8);
      }
      return this.add(image);
    });
  }

  #list(addresses: readonly number[]): number {
    return this.words([addresses.length, ...addresses]);
  }

  #pattern({ kind, first, second, flags, pieces }: PatternParts): number {
    const a = first === undefined ? 0 : this.string(first);
    const b = second === undefined ? 0 : this.string(second);
    return this.words([kind, a, b, flags, pieces.length, ...pieces.map((piece) => this.#piece(piece))]);
  }

  /** { u32 code points, u32 has `?`, string }. */
  #piece(piece: readonly (string | Wild.One)[]): number {
    const bytes = piece.flatMap((part) => (part === Wild.One ? [ANY_ONE] : [...UTF8.encode(part)]));
    const codePoints = piece.reduce<number>((sum, part) => sum + (part === Wild.One ? 1 : [...part].length), 0);
    const text = stringImage(Uint8Array.from(bytes));
    const image = new Uint8Array(8 + text.length);
    const view = new DataView(image.buffer);
    view.setUint32(0, codePoints, true);
    view.setUint32(4, piece.includes(Wild.One) ? 1 : 0, true);
    image.set(text, 8);
    return this.add(image);
  }

  /** { start, classes, ranges, address of ranges, of transitions, of states, 128 ASCII classes }. */
  #automaton(table: RegexTable): number {
    const ranges: number[] = [];
    for (let index = 0; index < table.rangeStarts.length; index++) ranges.push(table.rangeStarts[index]!, table.rangeClasses[index]!);
    const rangesAt = this.words(ranges);
    const transitionsAt = this.add(new Uint8Array(table.transitions.buffer));
    const statesAt = this.add(table.states);
    const head = this.words([table.start, table.classCount, table.rangeStarts.length, rangesAt, transitionsAt, statesAt]);
    this.add(table.asciiClasses);
    return head;
  }

  #once(key: string, make: () => number): number {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const address = make();
    this.#known.set(key, address);
    return address;
  }
}

interface PatternParts {
  readonly kind: PatternKind;
  readonly first?: string;
  readonly second?: string;
  readonly flags: number;
  readonly pieces: readonly (readonly (string | Wild.One)[])[];
}

/** The simplest form of a pattern. */
function patternParts(pattern: Pattern): PatternParts {
  const none = { flags: 0, pieces: [] };
  const [a, b, c] = pattern;
  if (pattern.length === 1 && a === Wild.Many) return { ...none, kind: PatternKind.Any };
  if (pattern.length === 2 && typeof a === "string" && b === Wild.Many) return { ...none, kind: PatternKind.Prefix, first: a };
  if (pattern.length === 2 && a === Wild.Many && typeof b === "string") return { ...none, kind: PatternKind.Suffix, first: b };
  if (pattern.length === 3 && a === Wild.Many && typeof b === "string" && c === Wild.Many) {
    return { ...none, kind: PatternKind.Contains, first: b };
  }
  if (pattern.length === 3 && typeof a === "string" && b === Wild.Many && typeof c === "string") {
    return { ...none, kind: PatternKind.Affixes, first: a, second: c };
  }
  const pieces: (string | Wild.One)[][] = [[]];
  for (const part of pattern) {
    if (part === Wild.Many) pieces.push([]);
    else pieces.at(-1)!.push(part);
  }
  const flags = (pieces[0]!.length > 0 ? ANCHORED_START : 0) | (pieces.at(-1)!.length > 0 ? ANCHORED_END : 0);
  return { kind: PatternKind.Pieces, flags, pieces: pieces.filter((piece) => piece.length > 0) };
}
