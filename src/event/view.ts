// Reads a record in place. Invariant: a view trusts its bytes: whatever comes from outside goes through `validateRecord` first.
import {
  ENTRY_BYTES,
  Entry,
  EntryFlag,
  EntryType,
  type FieldReader,
  type FieldValue,
  Header,
  RECORD_HEADER_BYTES,
  type Scalar,
} from "#schema";

const ENTRY_WORDS: number = ENTRY_BYTES >>> 2;
const HEADER_WORDS: number = RECORD_HEADER_BYTES >>> 2;

/** Bytes of the record at `offset`. */
export function recordSize(bytes: Uint8Array, offset: number): number {
  return (bytes[offset]! | (bytes[offset + 1]! << 8) | (bytes[offset + 2]! << 16) | (bytes[offset + 3]! << 24)) >>> 0;
}

/** Writes the record's position in its source: what the bus does as it numbers records. */
export function setRecordSeq(bytes: Uint8Array, offset: number, seqLo: number, seqHi: number): void {
  writeWord(bytes, offset + Header.Seq, seqLo);
  writeWord(bytes, offset + Header.Seq + 4, seqHi);
}

function writeWord(bytes: Uint8Array, at: number, word: number): void {
  bytes[at] = word;
  bytes[at + 1] = word >>> 8;
  bytes[at + 2] = word >>> 16;
  bytes[at + 3] = word >>> 24;
}

/** A record as an object. One view is reused for many records; what its methods return stays valid. */
export class RecordView implements FieldReader {
  #bytes: Uint8Array = new Uint8Array(0);
  #words: Uint32Array = new Uint32Array(0);
  #data: DataView = new DataView(new ArrayBuffer(0));
  #text: Buffer = Buffer.alloc(0);
  /** The whole record, a character a byte, see {@link readAll}; empty otherwise. */
  #latin = "";
  #offset = 0;
  #base = 0;
  #count = 0;

  /** Points the view at the record that starts at `offset`. The record must be 4-byte aligned in its buffer (8 in batches). */
  reset(bytes: Uint8Array, offset: number): this {
    if (bytes !== this.#bytes) this.#attach(bytes);
    this.#offset = offset;
    this.#latin = "";
    this.#base = offset >>> 2;
    this.#count = this.#words[this.#base + (Header.FieldCount >>> 2)]! >>> 16;
    return this;
  }

  /** Bytes of the whole record. */
  get size(): number {
    return this.#words[this.#base + (Header.Size >>> 2)]!;
  }

  get category(): number {
    return this.#words[this.#base + (Header.Category >>> 2)]! & 0xffff;
  }

  /** Number of fields. */
  get fieldCount(): number {
    return this.#count;
  }

  /** Hash of the entries' ids, types and flags. */
  get shape(): number {
    return this.#words[this.#base + (Header.Shape >>> 2)]!;
  }

  /** {@link RecordFlag} bits. */
  get flags(): number {
    return this.#words[this.#base + (Header.Flags >>> 2)]!;
  }

  /** Position in the source's order. */
  get seq(): bigint {
    return this.#data.getBigUint64(this.#offset + Header.Seq, true);
  }

  /** Low word of the event time. */
  get timeLo(): number {
    return this.#words[this.#base + (Header.Time >>> 2)]!;
  }

  /** High word of the event time, signed. */
  get timeHi(): number {
    return this.#words[this.#base + (Header.Time >>> 2) + 1]! | 0;
  }

  /** Event time, nanoseconds since 1970. */
  get timeNs(): bigint {
    return this.#data.getBigInt64(this.#offset + Header.Time, true);
  }

  /** Index of the field's entry, -1 when the record has no such field. */
  indexOf(fieldId: number): number {
    const words = this.#words;
    const first = this.#base + HEADER_WORDS;
    let low = 0;
    let high = this.#count - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const id = words[first + middle * ENTRY_WORDS]! & 0xffff;
      if (id === fieldId) return middle;
      if (id < fieldId) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  /** Whether the record has the field. */
  has(fieldId: number): boolean {
    return this.indexOf(fieldId) >= 0;
  }

  /** Value of the field with this id. */
  value(fieldId: number): FieldValue | undefined {
    const index = this.indexOf(fieldId);
    return index < 0 ? undefined : this.valueAt(index);
  }

  /** The field's text: the string itself, of a list the first element. `undefined` for a missing field and for other types. */
  string(fieldId: number): string | undefined {
    return this.#first(fieldId, "string");
  }

  /** The field's number, of a list the first element; 64-bit integers as the nearest double. `undefined` when missing or no number. */
  number(fieldId: number): number | undefined {
    const index = this.indexOf(fieldId);
    if (index < 0) return undefined;
    const value = this.valueAt(index);
    const scalar = typeof value === "object" ? value[0] : value;
    return typeof scalar === "number" || typeof scalar === "bigint" ? Number(scalar) : undefined;
  }

  /** The field's strings as a list, whether it holds one or several; empty when missing or of another type. */
  strings(fieldId: number): readonly string[] {
    const value = this.value(fieldId);
    if (typeof value === "string") return [value];
    return typeof value === "object" && typeof value[0] === "string" ? (value as readonly string[]) : [];
  }

  /** Field id of entry `index`, 0 ≤ index < fieldCount, ascending. */
  idAt(index: number): number {
    return this.#words[this.#base + HEADER_WORDS + index * ENTRY_WORDS]! & 0xffff;
  }

  /** Type of entry `index`. */
  typeAt(index: number): EntryType {
    return (this.#words[this.#base + HEADER_WORDS + index * ENTRY_WORDS]! >>> (Entry.Type * 8)) & 0xff;
  }

  /** {@link EntryFlag} bits of entry `index`. */
  flagsAt(index: number): number {
    return this.#words[this.#base + HEADER_WORDS + index * ENTRY_WORDS]! >>> (Entry.Flags * 8);
  }

  /** Prepares for reading most fields of this record: a text then costs 10 ns instead of 50, unless it is not ASCII. Twice is fine. */
  readAll(): this {
    if (this.#latin === "") this.#latin = this.#text.toString("latin1", this.#offset, this.#offset + this.size);
    return this;
  }

  /** Value of entry `index`. */
  valueAt(index: number): FieldValue {
    const payload = this.#words[this.#base + HEADER_WORDS + index * ENTRY_WORDS + 1]!;
    const type = this.typeAt(index);
    if ((this.flagsAt(index) & EntryFlag.Array) === 0) return this.#scalar(type, payload);
    const at = this.#base + (payload >>> 2);
    const count = this.#words[at]!;
    const list: Scalar[] = new Array(count);
    for (let element = 0; element < count; element++) list[element] = this.#scalar(type, this.#words[at + 1 + element]!);
    return list;
  }

  /** The integer of entry `index`, of type I64 or U64 and no list, when a number holds it exactly. */
  integerAt(index: number): number | undefined {
    const at = this.#base + (this.#words[this.#base + HEADER_WORDS + index * ENTRY_WORDS + 1]! >>> 2);
    const high = this.typeAt(index) === EntryType.I64 ? this.#words[at + 1]! | 0 : this.#words[at + 1]!;
    const value = high * 0x1_0000_0000 + this.#words[at]!;
    return Number.isSafeInteger(value) ? value : undefined;
  }

  /** A copy of the record's bytes. */
  copy(): Uint8Array {
    return this.#bytes.slice(this.#offset, this.#offset + this.size);
  }

  #first(fieldId: number, kind: "string"): string | undefined {
    const index = this.indexOf(fieldId);
    if (index < 0) return undefined;
    const value = this.valueAt(index);
    const scalar = typeof value === "object" ? value[0] : value;
    return typeof scalar === kind ? (scalar as string) : undefined;
  }

  #scalar(type: EntryType, payload: number): Scalar {
    switch (type) {
      case EntryType.Keyword:
      case EntryType.Ip: {
        const at = this.#offset + payload;
        const length = this.#words[at >>> 2]!;
        if (this.#latin !== "" && this.#isAscii((at >>> 2) + 1, length)) return this.#latin.slice(payload + 4, payload + 4 + length);
        return this.#text.toString("utf8", at + 4, at + 4 + length);
      }
      case EntryType.I64:
      case EntryType.Date:
        return this.#data.getBigInt64(this.#offset + payload, true);
      case EntryType.U64:
        return this.#data.getBigUint64(this.#offset + payload, true);
      case EntryType.F64:
        return this.#data.getFloat64(this.#offset + payload, true);
      case EntryType.Bool:
        return payload !== 0;
    }
  }

  /** Whether the text that starts with this word is. */
  #isAscii(word: number, length: number): boolean {
    const words = this.#words;
    const end = word + (length >>> 2);
    let high = 0;
    for (let at = word; at < end; at++) high |= words[at]!;
    if ((length & 3) !== 0) high |= words[end]! << (32 - 8 * (length & 3));
    return (high & 0x8080_8080) === 0;
  }

  #attach(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
    this.#data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
}
