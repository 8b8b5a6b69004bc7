// Join keys of events as bytes: for each part a tag and the value. Integers of every type and whole floats are one value; text equals text
// only. Folded text is lower-cased by code point (String.toLowerCase), which is simple folding for all but a few letters. Text goes from the
// record into the key as bytes; only folding and computed keys make strings.
import { Entry, EntryFlag, EntryType, type Scalar } from "#schema";
import type { EventPool } from "./event-pool.ts";
import type { KeySpec } from "./plan-table.ts";
import type { PlanEvaluator } from "./ports.ts";
import { fieldWord } from "./record-words.ts";
import { NONE } from "./slots.ts";

const enum Tag {
  Null = 0,
  Integer = 1,
  /** An integer that only u64 holds. */
  Unsigned = 2,
  Float = 3,
  False = 4,
  True = 5,
  Text = 6,
}

const SCRATCH_FIRST = 4096;
/** A larger scratch buffer does not outlive the event that needed it. */
const SCRATCH_KEPT: number = 1 << 20;
const I64_MAX = (1n << 63n) - 1n;
const I64_MIN = -(1n << 63n);
const TWO_32 = 4294967296;
const ASCII = /^[\0-\x7f]*$/;
const decoder = new TextDecoder();

/** What `read` makes keys for. */
export interface KeyRequest {
  readonly spec: KeySpec;
  readonly isFolded: boolean;
  readonly evaluator: PlanEvaluator | undefined;
  readonly keysMax: number;
}

/** Makes keys into a scratch buffer: key i is `bytes[starts[i], ends[i])` and good for the slots in `bits[i]`. */
export class KeyReader {
  bytes: Uint8Array = new Uint8Array(SCRATCH_FIRST);
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  readonly bits: number[] = [];
  count: number = 0;
  /** Keys left out since the last look because one event had too many. */
  cut: number = 0;
  #end = 0;
  #view = new DataView(this.bytes.buffer);
  #text = Buffer.from(this.bytes.buffer);
  // Values of every part as pieces of the buffer, made before the keys are put together from them.
  readonly #pieceStarts: number[] = [];
  readonly #pieceEnds: number[] = [];
  readonly #partPieces: number[] = [];

  constructor(readonly events: EventPool) {}

  /** Forgets the keys of the event before. */
  clear(): void {
    this.count = 0;
    this.#end = 0;
    if (this.bytes.length > SCRATCH_KEPT) this.#use(new Uint8Array(SCRATCH_FIRST));
  }

  /** Adds the event's keys under a spec, for these slots; a key that is there already gets the slots too. False when a part is missing. */
  read(request: KeyRequest, event: number, bits: number): boolean {
    const { parts } = request.spec;
    this.#pieceStarts.length = 0;
    this.#pieceEnds.length = 0;
    this.#partPieces.length = 0;
    let keys = 1;
    for (let part = 0; part < parts.length; part++) {
      const before = this.#pieceStarts.length;
      this.#partPieces.push(before);
      this.#readPart(request, event, part);
      const values = this.#pieceStarts.length - before;
      if (values === 0) return false;
      keys *= values;
    }
    this.#partPieces.push(this.#pieceStarts.length);
    if (keys === 1) {
      // The pieces stand one after another: they are the key.
      this.#commit(this.#pieceStarts[0] ?? this.#end, bits);
      return true;
    }
    const kept = Math.min(keys, request.keysMax);
    this.cut += keys - kept;
    for (let key = 0; key < kept; key++) this.#addKey(parts.length, key, keys, bits);
    return true;
  }

  // The last part's values change fastest.
  #addKey(parts: number, key: number, keys: number, bits: number): void {
    const start = this.#end;
    let rest = key;
    let below = keys;
    for (let part = 0; part < parts; part++) {
      const first = this.#partPieces[part]!;
      below /= this.#partPieces[part + 1]! - first;
      const piece = first + Math.floor(rest / below);
      rest %= below;
      const from = this.#pieceStarts[piece]!;
      const to = this.#pieceEnds[piece]!;
      this.#reserve(to - from);
      this.bytes.copyWithin(this.#end, from, to);
      this.#end += to - from;
    }
    this.#commit(start, bits);
  }

  #commit(start: number, bits: number): void {
    for (let known = 0; known < this.count; known++) {
      if (!this.#equals(known, start)) continue;
      this.bits[known] = (this.bits[known]! | bits) >>> 0;
      this.#end = start;
      return;
    }
    this.starts[this.count] = start;
    this.ends[this.count] = this.#end;
    this.bits[this.count] = bits;
    this.count++;
  }

  #equals(key: number, start: number): boolean {
    const { bytes } = this;
    const from = this.starts[key]!;
    const length = this.#end - start;
    if (this.ends[key]! - from !== length) return false;
    for (let index = 0; index < length; index++) if (bytes[from + index] !== bytes[start + index]) return false;
    return true;
  }

  #readPart(request: KeyRequest, event: number, part: number): void {
    const { fieldId, nullJoins } = request.spec.parts[part]!;
    const before = this.#pieceStarts.length;
    if (fieldId !== undefined) this.#readField(event, fieldId, request.isFolded);
    else {
      const values = request.evaluator?.keyValues(request.spec.slot, part, this.events.view(event, 0)) ?? [];
      for (const value of values) this.#addScalar(value, request.isFolded);
    }
    if (nullJoins && this.#pieceStarts.length === before) this.#piece(this.#tag(Tag.Null, 0));
  }

  #readField(event: number, fieldId: number, isFolded: boolean): void {
    const { arena } = this.events;
    const address = this.events.address[event]!;
    const words = arena.wordsOf(address);
    const base = arena.offsetOf(address) >>> 2;
    const at = fieldWord(words, base, fieldId);
    if (at === NONE) return;
    const type = (words[at]! >>> (Entry.Type * 8)) & 0xff;
    const payload = words[at + 1]!;
    if (((words[at]! >>> (Entry.Flags * 8)) & EntryFlag.Array) === 0) {
      this.#addPayload(event, type, payload, isFolded);
      return;
    }
    const list = base + (payload >>> 2);
    const count = words[list]!;
    for (let element = 1; element <= count; element++) this.#addPayload(event, type, words[list + element]!, isFolded);
  }

  #addPayload(event: number, type: EntryType, payload: number, isFolded: boolean): void {
    const { arena } = this.events;
    const address = this.events.address[event]!;
    const words = arena.wordsOf(address);
    const offset = arena.offsetOf(address) + payload;
    switch (type) {
      case EntryType.Keyword:
      case EntryType.Ip: {
        const length = words[offset >>> 2]!;
        const source = arena.bytesOf(address);
        if (isFolded) this.#addText(Buffer.from(source.buffer, source.byteOffset + offset + 4, length).toString("utf8"), true);
        else this.#addBytes(source, offset + 4, length);
        return;
      }
      case EntryType.I64:
      case EntryType.Date:
        this.#addInteger(Tag.Integer, words[(offset >>> 2) + 1]!, words[offset >>> 2]!);
        return;
      case EntryType.U64: {
        const hi = words[(offset >>> 2) + 1]!;
        this.#addInteger(hi >>> 31 === 1 ? Tag.Unsigned : Tag.Integer, hi, words[offset >>> 2]!);
        return;
      }
      case EntryType.F64: {
        const bytes = arena.bytesOf(address);
        this.#addNumber(new DataView(bytes.buffer, bytes.byteOffset).getFloat64(offset, true));
        return;
      }
      case EntryType.Bool:
        this.#piece(this.#tag(payload === 0 ? Tag.False : Tag.True, 0));
    }
  }

  #addScalar(value: Scalar, isFolded: boolean): void {
    switch (typeof value) {
      case "string":
        this.#addText(value, isFolded);
        return;
      case "bigint":
        this.#addBigint(value);
        return;
      case "number":
        this.#addNumber(value);
        return;
      case "boolean":
        this.#piece(this.#tag(value ? Tag.True : Tag.False, 0));
    }
  }

  #addText(text: string, isFolded: boolean): void {
    const folded = isFolded ? foldText(text) : text;
    const start = this.#tag(Tag.Text, 4 + folded.length * 3);
    const length = this.#text.write(folded, this.#end + 4);
    this.#view.setUint32(this.#end, length, true);
    this.#end += 4 + length;
    this.#piece(start);
  }

  #addBytes(source: Uint8Array, from: number, length: number): void {
    const start = this.#tag(Tag.Text, 4 + length);
    const { bytes } = this;
    this.#view.setUint32(this.#end, length, true);
    const to = this.#end + 4;
    for (let index = 0; index < length; index++) bytes[to + index] = source[from + index]!;
    this.#end = to + length;
    this.#piece(start);
  }

  #addBigint(value: bigint): void {
    if (value < I64_MIN || value >= 1n << 64n) {
      // No field has such a value; a computed one is still equal to itself.
      this.#addText(`${value}`, false);
      return;
    }
    const hi = Number(BigInt.asUintN(32, value >> 32n));
    this.#addInteger(value > I64_MAX ? Tag.Unsigned : Tag.Integer, hi, Number(BigInt.asUintN(32, value)));
  }

  #addNumber(value: number): void {
    if (Number.isSafeInteger(value)) {
      this.#addInteger(Tag.Integer, Math.floor(value / TWO_32), value);
      return;
    }
    if (Number.isInteger(value) && value >= -(2 ** 63) && value < 2 ** 64) {
      this.#addBigint(BigInt(value));
      return;
    }
    const start = this.#tag(Tag.Float, 8);
    this.#view.setFloat64(this.#end, value, true);
    this.#end += 8;
    this.#piece(start);
  }

  #addInteger(tag: Tag, hi: number, lo: number): void {
    const start = this.#tag(tag, 8);
    this.#view.setUint32(this.#end, lo, true);
    this.#view.setUint32(this.#end + 4, hi, true);
    this.#end += 8;
    this.#piece(start);
  }

  // Starts a piece with room for `more` bytes behind its tag.
  #tag(tag: Tag, more: number): number {
    this.#reserve(1 + more);
    const start = this.#end;
    this.bytes[this.#end++] = tag;
    return start;
  }

  #piece(start: number): void {
    this.#pieceStarts.push(start);
    this.#pieceEnds.push(this.#end);
  }

  #reserve(more: number): void {
    if (this.#end + more <= this.bytes.length) return;
    let size = this.bytes.length;
    while (size < this.#end + more) size *= 2;
    const next = new Uint8Array(size);
    next.set(this.bytes);
    this.#use(next);
  }

  #use(bytes: Uint8Array<ArrayBuffer>): void {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer);
    this.#text = Buffer.from(bytes.buffer);
  }
}

// Code point by code point: the whole text's lower case would look at neighbours (the final sigma).
function foldText(text: string): string {
  return ASCII.test(text) ? text.toLowerCase() : Array.from(text, (point) => point.toLowerCase()).join("");
}

/** A key's values for people. */
export function keyTexts(key: Uint8Array): readonly string[] {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const texts: string[] = [];
  for (let at = 0; at < key.length; ) {
    const tag = key[at++] as Tag;
    switch (tag) {
      case Tag.Text: {
        const length = view.getUint32(at, true);
        texts.push(decoder.decode(key.subarray(at + 4, at + 4 + length)));
        at += 4 + length;
        break;
      }
      case Tag.Integer:
      case Tag.Unsigned:
        texts.push(`${tag === Tag.Unsigned ? view.getBigUint64(at, true) : view.getBigInt64(at, true)}`);
        at += 8;
        break;
      case Tag.Float:
        texts.push(`${view.getFloat64(at, true)}`);
        at += 8;
        break;
      default:
        texts.push(tag === Tag.Null ? "null" : `${tag === Tag.True}`);
    }
  }
  return texts;
}
