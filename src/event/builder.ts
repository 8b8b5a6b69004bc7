// Builds one record at a time into a reused buffer. Invariant: `finish` always leaves a record that `validateRecord` accepts, with valid
// UTF-8 in every string; data never makes it throw. What passes a limit is cut at a code-point border and flagged.
import {
  ARRAY_ELEMENTS_MAX,
  ENTRY_BYTES,
  EntryFlag,
  EntryType,
  type FieldType,
  type FieldValue,
  Header,
  RECORD_BYTES_MAX,
  RECORD_FIELDS_MAX,
  RECORD_HEADER_BYTES,
  RecordFlag,
  type Scalar,
  STRING_BYTES_MAX,
} from "#schema";
import { canonicalIp, formatIp } from "./ip.ts";
import { isOffset, type PackedFields, packFields } from "./packed-fields.ts";
import type { PackedKeywords } from "./packed-keywords.ts";
import { isUtf8, repairUtf8 } from "./utf8.ts";

// While a record grows, its heap starts where a record with the most entries would have it; `finish` moves it down.
const HEAP_BASE: number = RECORD_HEADER_BYTES + RECORD_FIELDS_MAX * ENTRY_BYTES;
// Kept free for every field still to come, so that a number, an empty string or a list of one always fits after long strings.
const FIELD_RESERVE_BYTES = 24;
const HEAP_BYTES_MAX: number = RECORD_BYTES_MAX - HEAP_BASE - RECORD_FIELDS_MAX * FIELD_RESERVE_BYTES;
const CAPACITY_FIRST: number = 64 << 10;
const SHORT_TEXT = 48;
const U64_MAX = (1n << 64n) - 1n;
const I64_MAX = (1n << 63n) - 1n;
const I64_MIN = -(1n << 63n);

/** Entry type that holds a field of this declared type. */
export function entryTypeOf(type: FieldType): EntryType {
  switch (type) {
    case "keyword":
    case "keyword[]":
      return EntryType.Keyword;
    case "i64":
      return EntryType.I64;
    case "u64":
      return EntryType.U64;
    case "f64":
      return EntryType.F64;
    case "bool":
      return EntryType.Bool;
    case "ip":
      return EntryType.Ip;
    case "date":
      return EntryType.Date;
  }
}

/**
 * Builds records: `begin`, setters in any order, `finish`. After `finish` the record is `bytes[0, length)` until the next `begin`.
 * Setting a field twice keeps the last value. Setters that can refuse a value return false and leave the field as it was.
 */
export class RecordBuilder {
  #capacity = CAPACITY_FIRST;
  #bytes: Uint8Array;
  #words: Uint32Array;
  #view: DataView;
  #text: Buffer;
  /** Pairs of words as they will stand in the record; offsets count from the heap's start until `finish`. */
  readonly #entries = new Uint32Array(RECORD_FIELDS_MAX * 2);
  #count = 0;
  #heap = HEAP_BASE;
  #heapCommitted = HEAP_BASE;
  /** Whether the string put last was cut. */
  #cut = false;
  #category = 0;
  #flags = 0;
  #timeLo = 0;
  #timeHi = 0;
  readonly #elements = new Uint32Array(ARRAY_ELEMENTS_MAX);
  #elementCount = -1;
  #elementField = 0;
  #elementType = EntryType.Keyword;
  #elementFlags = 0;

  constructor() {
    this.#bytes = new Uint8Array(0);
    this.#words = new Uint32Array(0);
    this.#view = new DataView(new ArrayBuffer(0));
    this.#text = Buffer.alloc(0);
    this.#allocate(CAPACITY_FIRST);
  }

  /** The buffer the record is built in. May be another one after the next `begin`. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Fields set since `begin`, doubles included. */
  get fieldCount(): number {
    return this.#count;
  }

  /** Bytes a string set now can have before it is cut. */
  get room(): number {
    return Math.min(STRING_BYTES_MAX, HEAP_BASE + HEAP_BYTES_MAX - this.#heap);
  }

  /** Starts a record, dropping an unfinished one. */
  begin(category: number, timeNs: bigint): void {
    this.begin2(category, Number(BigInt.asUintN(32, timeNs)), Number(BigInt.asUintN(32, timeNs >> 32n)));
  }

  /** Starts a record; the time as two 32-bit words, so that the hot path makes no bigint. */
  begin2(category: number, timeLo: number, timeHi: number): void {
    this.#count = 0;
    this.#heap = HEAP_BASE;
    this.#heapCommitted = HEAP_BASE;
    this.#elementCount = -1;
    this.#category = category;
    this.#flags = 0;
    this.#timeLo = timeLo;
    this.#timeHi = timeHi;
  }

  /** Category given after `begin`. */
  setCategory(category: number): void {
    this.#category = category;
  }

  /** Event time given after `begin`, as two words of nanoseconds since 1970. */
  setTime(timeLo: number, timeHi: number): void {
    this.#timeLo = timeLo;
    this.#timeHi = timeHi;
  }

  /** Adds {@link RecordFlag} bits to the header. */
  addFlags(flags: number): void {
    this.#flags |= flags;
  }

  /** Sets a string. A lone surrogate becomes U+FFFD. */
  keyword(id: number, text: string): void {
    this.#setString(id, EntryType.Keyword, text);
  }

  /** Sets a string from bytes; each broken UTF-8 sequence becomes U+FFFD. */
  keywordBytes(id: number, source: Uint8Array, offset: number, length: number): void {
    const at = this.#putBytes(source, offset, length);
    this.#add(id, EntryType.Keyword, this.#cut ? EntryFlag.Truncated : 0, at);
  }

  /** Sets a list of strings; an empty list sets nothing. */
  keywords(id: number, list: readonly string[]): void {
    this.beginKeywords(id);
    for (const text of list) this.pushKeyword(text);
    this.endKeywords();
  }

  /** Sets a list of strings that was packed before: the same bytes as {@link keywords}, by copying. An empty list sets nothing. */
  keywordsPacked(id: number, packed: PackedKeywords): void {
    const { words, arrayWord, list } = packed;
    if (words.length === 0 || this.#heap + words.byteLength > HEAP_BASE + HEAP_BYTES_MAX) {
      this.keywords(id, list);
      return;
    }
    const at = this.#take(words.byteLength);
    const base = at - HEAP_BASE;
    this.#words.set(words, at >>> 2);
    this.#shift((at >>> 2) + arrayWord, base);
    this.#add(id, EntryType.Keyword, EntryFlag.Array, base + arrayWord * 4);
  }

  /** What {@link pack} packs from: the fields set from here on. */
  mark(): { readonly count: number; readonly heap: number } {
    return { count: this.#count, heap: this.#heap };
  }

  /** The fields set since a mark, for {@link fieldsPacked}; `undefined` when something of the record was cut so far. */
  pack({ count, heap }: ReturnType<RecordBuilder["mark"]>): PackedFields | undefined {
    if ((this.#flags & RecordFlag.Truncated) !== 0) return undefined;
    const entries = this.#entries.slice(count * 2, this.#count * 2);
    return packFields(entries, this.#words.slice(heap >>> 2, this.#heap >>> 2), heap - HEAP_BASE);
  }

  /** Sets fields that were packed before: the same bytes as setting each, by copying. False, and none is set, when they do not fit. */
  fieldsPacked({ entries, words, lists }: PackedFields): boolean {
    const first = this.#count * 2;
    if (this.#heap + words.byteLength > HEAP_BASE + HEAP_BYTES_MAX || first + entries.length > RECORD_FIELDS_MAX * 2) return false;
    const at = this.#take(words.byteLength);
    const base = at - HEAP_BASE;
    this.#words.set(words, at >>> 2);
    for (let list = 0; list < lists.length; list++) this.#shift((at >>> 2) + lists[list]!, base);
    for (let index = 0; index < entries.length; index += 2) {
      const head = entries[index]!;
      this.#entries[first + index] = head;
      this.#entries[first + index + 1] = isOffset(head) ? entries[index + 1]! + base : entries[index + 1]!;
    }
    this.#count += entries.length >>> 1;
    this.#heapCommitted = this.#heap;
    return true;
  }

  /** Starts a list of strings whose length is not known yet: `pushKeyword…`, then `endKeywords`. No other setter in between. */
  beginKeywords(id: number): void {
    this.#beginArray(id, EntryType.Keyword);
  }

  /** Adds a string to the list begun last. */
  pushKeyword(text: string): void {
    if (this.#hasElementRoom(16)) this.#pushString(this.#putText(text));
  }

  /** Adds a string from bytes to the list begun last. */
  pushKeywordBytes(source: Uint8Array, offset: number, length: number): void {
    if (this.#hasElementRoom(16)) this.#pushString(this.#putBytes(source, offset, length));
  }

  /** Marks the list begun last as cut short by its source. */
  markTruncated(): void {
    this.#elementFlags |= EntryFlag.Truncated;
  }

  /** Ends the list; an empty one sets nothing. */
  endKeywords(): void {
    this.#endArray();
  }

  /** Marks the whole record as cut somewhere: the source itself shortened a value. */
  markRecordTruncated(): void {
    this.#flags |= RecordFlag.Truncated;
  }

  /** Sets a signed integer; false when it does not fit 64 bits. */
  i64(id: number, value: bigint): boolean {
    return this.#setBig(id, EntryType.I64, value);
  }

  /** Sets a signed integer from a safe integer number. */
  i64Number(id: number, value: number): boolean {
    return this.#setInteger(id, EntryType.I64, value);
  }

  /** Sets a signed integer from its two words. */
  i64Words(id: number, lo: number, hi: number): void {
    this.#setWords(id, EntryType.I64, lo, hi);
  }

  /** Sets an unsigned integer; false when it does not fit 64 bits. */
  u64(id: number, value: bigint): boolean {
    return this.#setBig(id, EntryType.U64, value);
  }

  /** Sets an unsigned integer from a safe integer number. */
  u64Number(id: number, value: number): boolean {
    return value >= 0 && this.#setInteger(id, EntryType.U64, value);
  }

  /** Sets an unsigned integer from its two words. */
  u64Words(id: number, lo: number, hi: number): void {
    this.#setWords(id, EntryType.U64, lo, hi);
  }

  /** Sets a date in nanoseconds since 1970; false when it does not fit 64 bits. */
  date(id: number, ns: bigint): boolean {
    return this.#setBig(id, EntryType.Date, ns);
  }

  /** Sets a date from its two words. */
  dateWords(id: number, lo: number, hi: number): void {
    this.#setWords(id, EntryType.Date, lo, hi);
  }

  /** Sets a float; false for NaN and infinities, which JSON cannot say. */
  f64(id: number, value: number): boolean {
    if (!Number.isFinite(value)) return false;
    const at = this.#take(8);
    this.#view.setFloat64(at, value, true);
    this.#add(id, EntryType.F64, 0, at - HEAP_BASE);
    return true;
  }

  /** Sets a boolean. */
  bool(id: number, value: boolean): void {
    this.#add(id, EntryType.Bool, 0, value ? 1 : 0);
  }

  /** Sets an address under its canonical text; false when the text is no address. */
  ip(id: number, text: string): boolean {
    const canonical = canonicalIp(text);
    if (canonical === undefined) return false;
    this.#setString(id, EntryType.Ip, canonical);
    return true;
  }

  /** Sets an address whose text is what {@link canonicalIp} gave. */
  ipCanonical(id: number, text: string): void {
    this.#setString(id, EntryType.Ip, text);
  }

  /** Sets an address from 4 or 16 bytes in network order. */
  ipBytes(id: number, source: Uint8Array, offset: number, length: 4 | 16): void {
    this.#setString(id, EntryType.Ip, formatIp(source, offset, length));
  }

  /** Sets a field to one value or a list of values; false when some value does not fit the type. An empty list sets nothing. */
  value(id: number, type: FieldType, value: FieldValue): boolean {
    if (typeof value !== "object") return this.#scalar(id, entryTypeOf(type), value);
    const entryType = entryTypeOf(type);
    const start = this.#heap;
    this.#beginArray(id, entryType);
    for (const item of value) {
      if (this.#hasElementRoom(16) && !this.#pushScalar(entryType, item)) {
        this.#elementCount = -1;
        this.#heap = start;
        return false;
      }
    }
    this.#endArray();
    return true;
  }

  /** Sorts the entries, writes the header and returns the record's bytes. Seq is 0: the bus gives it. */
  finish(): number {
    const count = this.#sortEntries();
    const heapStart = RECORD_HEADER_BYTES + count * ENTRY_BYTES;
    const heapBytes = this.#heap - HEAP_BASE;
    const words = this.#words;
    this.#rebase(count, heapStart);
    this.#bytes.copyWithin(heapStart, HEAP_BASE, this.#heap);
    let shape = 0x811c9dc5;
    for (let index = 0; index < count; index++) {
      const head = this.#entries[index * 2]!;
      shape = Math.imul(shape ^ head, 0x01000193);
      words[(RECORD_HEADER_BYTES >>> 2) + index * 2] = head;
      words[(RECORD_HEADER_BYTES >>> 2) + index * 2 + 1] = this.#entries[index * 2 + 1]!;
    }
    const size = heapStart + heapBytes;
    words[Header.Size >>> 2] = size;
    words[Header.Category >>> 2] = (this.#category & 0xffff) | (count << 16);
    words[Header.Shape >>> 2] = shape;
    words[Header.Flags >>> 2] = this.#flags;
    words[Header.Seq >>> 2] = 0;
    words[(Header.Seq >>> 2) + 1] = 0;
    words[Header.Time >>> 2] = this.#timeLo;
    words[(Header.Time >>> 2) + 1] = this.#timeHi;
    return size;
  }

  // Stable insertion sort: sources set fields nearly in id order. Of equal ids the last stays. Returns the number of entries left.
  #sortEntries(): number {
    const entries = this.#entries;
    const end = this.#count * 2;
    let out = 0;
    for (let index = 0; index < end; index += 2) {
      const head = entries[index]!;
      const payload = entries[index + 1]!;
      const id = head & 0xffff;
      let at = out;
      while (at > 0 && (entries[at - 2]! & 0xffff) > id) at -= 2;
      if (at > 0 && (entries[at - 2]! & 0xffff) === id) {
        at -= 2;
      } else {
        for (let move = out; move > at; move -= 2) {
          entries[move] = entries[move - 2]!;
          entries[move + 1] = entries[move - 1]!;
        }
        out += 2;
      }
      entries[at] = head;
      entries[at + 1] = payload;
    }
    return out >>> 1;
  }

  // Turns heap-relative payloads into record offsets, list elements included.
  #rebase(count: number, heapStart: number): void {
    const entries = this.#entries;
    for (let index = 0; index < count; index++) {
      const head = entries[index * 2]!;
      if (!isOffset(head)) continue;
      const isBool = ((head >>> 16) & 0xff) === EntryType.Bool;
      if (!isBool && ((head >>> 24) & EntryFlag.Array) !== 0) this.#shift((entries[index * 2 + 1]! + HEAP_BASE) >>> 2, heapStart);
      entries[index * 2 + 1]! += heapStart;
    }
  }

  // Moves the offsets of the list at a word of the buffer.
  #shift(list: number, bytes: number): void {
    const words = this.#words;
    const end = list + words[list]!;
    for (let element = list + 1; element <= end; element++) words[element]! += bytes;
  }

  #scalar(id: number, type: EntryType, value: Scalar): boolean {
    switch (type) {
      case EntryType.Keyword:
        if (typeof value !== "string") return false;
        this.#setString(id, type, value);
        return true;
      case EntryType.Ip:
        return typeof value === "string" && this.ip(id, value);
      case EntryType.Bool:
        if (typeof value !== "boolean") return false;
        this.bool(id, value);
        return true;
      case EntryType.F64:
        return typeof value === "number" && this.f64(id, value);
      default:
        if (typeof value === "bigint") return this.#setBig(id, type, value);
        return typeof value === "number" && (type !== EntryType.U64 || value >= 0) && this.#setInteger(id, type, value);
    }
  }

  #pushScalar(type: EntryType, value: Scalar): boolean {
    switch (type) {
      case EntryType.Keyword:
      case EntryType.Ip: {
        const text = typeof value !== "string" ? undefined : type === EntryType.Ip ? canonicalIp(value) : value;
        if (text === undefined) return false;
        this.#pushString(this.#putText(text));
        return true;
      }
      case EntryType.Bool:
        if (typeof value !== "boolean") return false;
        this.#elements[this.#elementCount++] = value ? 1 : 0;
        return true;
      case EntryType.F64: {
        if (typeof value !== "number" || !Number.isFinite(value)) return false;
        const at = this.#take(8);
        this.#view.setFloat64(at, value, true);
        this.#elements[this.#elementCount++] = at - HEAP_BASE;
        return true;
      }
      default: {
        const big =
          typeof value === "bigint" ? value : typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : undefined;
        if (big === undefined || !fits(type, big)) return false;
        const at = this.#take(8);
        this.#view.setBigUint64(at, BigInt.asUintN(64, big), true);
        this.#elements[this.#elementCount++] = at - HEAP_BASE;
        return true;
      }
    }
  }

  #setString(id: number, type: EntryType, text: string): void {
    const at = this.#putText(text);
    this.#add(id, type, this.#cut ? EntryFlag.Truncated : 0, at);
  }

  #setBig(id: number, type: EntryType, value: bigint): boolean {
    if (!fits(type, value)) return false;
    const at = this.#take(8);
    this.#view.setBigUint64(at, BigInt.asUintN(64, value), true);
    this.#add(id, type, 0, at - HEAP_BASE);
    return true;
  }

  #setInteger(id: number, type: EntryType, value: number): boolean {
    if (!Number.isSafeInteger(value)) return false;
    this.#setWords(id, type, value >>> 0, Math.floor(value / 4294967296));
    return true;
  }

  #setWords(id: number, type: EntryType, lo: number, hi: number): void {
    const at = this.#take(8);
    this.#words[at >>> 2] = lo;
    this.#words[(at >>> 2) + 1] = hi;
    this.#add(id, type, 0, at - HEAP_BASE);
  }

  #add(id: number, type: EntryType, flags: number, payload: number): void {
    if ((flags & EntryFlag.Truncated) !== 0) this.#flags |= RecordFlag.Truncated;
    if (this.#count === RECORD_FIELDS_MAX) {
      // Doubles count too: a source that repeats one field for ever must not grow the heap.
      this.#flags |= RecordFlag.Truncated;
      this.#heap = this.#heapCommitted;
      return;
    }
    this.#heapCommitted = this.#heap;
    const index = this.#count++ * 2;
    this.#entries[index] = (id & 0xffff) | (type << 16) | (flags << 24);
    this.#entries[index + 1] = payload;
  }

  #beginArray(id: number, type: EntryType): void {
    this.#elementField = id;
    this.#elementType = type;
    this.#elementCount = 0;
    this.#elementFlags = 0;
  }

  // Room for one more element with at least `bytes` of heap. The first element always fits, see FIELD_RESERVE_BYTES.
  #hasElementRoom(bytes: number): boolean {
    const count = this.#elementCount;
    if (count < ARRAY_ELEMENTS_MAX && (count === 0 || this.#heap + bytes + (count + 2) * 4 + 8 <= HEAP_BASE + HEAP_BYTES_MAX)) return true;
    this.#elementFlags |= EntryFlag.Truncated;
    return false;
  }

  #pushString(at: number): void {
    if (this.#cut) this.#elementFlags |= EntryFlag.Truncated;
    this.#elements[this.#elementCount++] = at;
  }

  #endArray(): void {
    const count = this.#elementCount;
    this.#elementCount = -1;
    if (count <= 0) return;
    const at = this.#take((4 + count * 4 + 7) & ~7);
    const words = this.#words;
    words[at >>> 2] = count;
    for (let index = 0; index < count; index++) words[(at >>> 2) + 1 + index] = this.#elements[index]!;
    if ((count & 1) === 0) words[(at >>> 2) + 1 + count] = 0;
    this.#add(this.#elementField, this.#elementType, EntryFlag.Array | this.#elementFlags, at - HEAP_BASE);
  }

  // Most bytes of a string put now. While a list grows, its own words must still fit behind the strings.
  #stringRoom(): number {
    const pending = this.#elementCount > 0 ? (this.#elementCount + 2) * 4 + 16 : 0;
    return Math.max(0, Math.min(STRING_BYTES_MAX, HEAP_BASE + HEAP_BYTES_MAX - this.#heap - 8 - pending));
  }

  // Puts a string and returns its heap offset; #cut says whether it was cut.
  #putText(text: string): number {
    const length = text.length;
    const room = this.#stringRoom();
    this.#ensure(this.#heap + 16 + Math.min(room, length * 3));
    const start = this.#heap + 4;
    const bytes = this.#bytes;
    let written = 0;
    if (length <= SHORT_TEXT && length <= room) {
      for (; written < length; written++) {
        const code = text.charCodeAt(written);
        if (code > 0x7f) break;
        bytes[start + written] = code;
      }
      if (written === length) return this.#closeString(start, written, false);
    }
    written = this.#text.write(text, start, Math.min(room, length * 3), "utf8");
    return this.#closeString(start, written, room < length * 3 && written < Buffer.byteLength(text));
  }

  #putBytes(source: Uint8Array, offset: number, length: number): number {
    const room = this.#stringRoom();
    const take = Math.min(length, room);
    this.#ensure(this.#heap + 16 + take);
    const start = this.#heap + 4;
    const bytes = this.#bytes;
    let high = 0;
    if (take <= 256) {
      for (let index = 0; index < take; index++) {
        const byte = source[offset + index]!;
        high |= byte;
        bytes[start + index] = byte;
      }
    } else {
      bytes.set(source.subarray(offset, offset + take), start);
      high = 0x80;
    }
    if (high < 0x80 && take === length) return this.#closeString(start, take, false);
    if (!isUtf8(source.subarray(offset, offset + length))) return this.#putText(repairUtf8(source, offset, length));
    let end = take;
    if (take < length) while (end > 0 && (source[offset + end]! & 0xc0) === 0x80) end--;
    return this.#closeString(start, end, end < length);
  }

  #closeString(start: number, length: number, cut: boolean): number {
    const bytes = this.#bytes;
    const end = (start + length + 7) & ~7;
    for (let index = start + length; index < end; index++) bytes[index] = 0;
    this.#words[(start - 4) >>> 2] = length;
    this.#heap = end;
    this.#cut = cut;
    return start - 4 - HEAP_BASE;
  }

  #take(bytes: number): number {
    this.#ensure(this.#heap + bytes);
    const at = this.#heap;
    this.#heap += bytes;
    return at;
  }

  #ensure(end: number): void {
    if (end > this.#capacity) this.#allocate(Math.max(this.#capacity * 2, (end + 4095) & ~4095));
  }

  #allocate(capacity: number): void {
    const buffer = new ArrayBuffer(capacity);
    const bytes = new Uint8Array(buffer);
    bytes.set(this.#bytes);
    this.#capacity = capacity;
    this.#bytes = bytes;
    this.#words = new Uint32Array(buffer);
    this.#view = new DataView(buffer);
    this.#text = Buffer.from(buffer);
  }
}

function fits(type: EntryType, value: bigint): boolean {
  return type === EntryType.U64 ? value >= 0n && value <= U64_MAX : value >= I64_MIN && value <= I64_MAX;
}
