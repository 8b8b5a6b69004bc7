// Reads and writes the rows of a snapshot. Invariant: the reader never reads outside its bytes: what does not fit is Damage, which `restore`
// turns into a problem text.

/** A row that is not what was written. */
export class Damage extends Error {
  override readonly name = "Damage";
}

/** Grows as it is written; `finish` gives a copy with a checksum before it. */
export class ByteWriter {
  #bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #length = CHECKSUM_BYTES;

  u8(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  u32(value: number): this {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
    return this;
  }

  f64(value: number): this {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
    return this;
  }

  /** Bytes with their length. */
  blob(value: Uint8Array): this {
    this.u32(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
    return this;
  }

  text(value: string): this {
    return this.blob(new TextEncoder().encode(value));
  }

  /** The bytes written, behind their checksum. Starts the next row. */
  finish(): Uint8Array {
    const body = this.#bytes.subarray(CHECKSUM_BYTES, this.#length);
    this.#view.setUint32(0, Bun.hash.crc32(body), true);
    const row = this.#bytes.slice(0, this.#length);
    this.#length = CHECKSUM_BYTES;
    return row;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    let size = this.#bytes.length;
    while (size < this.#length + more) size *= 2;
    const next = new Uint8Array(size);
    next.set(this.#bytes);
    this.#bytes = next;
    this.#view = new DataView(next.buffer);
  }
}

const CHECKSUM_BYTES = 4;

/** Reads what a ByteWriter wrote. */
export class ByteReader {
  readonly #view: DataView;
  #at = CHECKSUM_BYTES;

  constructor(readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < CHECKSUM_BYTES) throw new Damage("row is cut off");
    if (this.#view.getUint32(0, true) !== Bun.hash.crc32(bytes.subarray(CHECKSUM_BYTES))) throw new Damage("checksum does not fit");
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  /** A word that must be below a bound, for what is used as an index or a count. */
  below(bound: number): number {
    const value = this.u32();
    if (value >= bound) throw new Damage(`${value} is not below ${bound}`);
    return value;
  }

  f64(): number {
    const value = this.#view.getFloat64(this.#take(8), true);
    if (Number.isNaN(value)) throw new Damage("a number is none");
    return value;
  }

  /** A copy of bytes with their length, which is a multiple of nothing and starts an own buffer. */
  blob(): Uint8Array {
    const length = this.u32();
    const from = this.#take(length);
    return this.bytes.slice(from, from + length);
  }

  text(): string {
    return new TextDecoder().decode(this.blob());
  }

  /** Everything must have been read. */
  end(): void {
    if (this.#at !== this.bytes.length) throw new Damage(`${this.bytes.length - this.#at} bytes too many`);
  }

  #take(count: number): number {
    const at = this.#at;
    if (count > this.bytes.length - at) throw new Damage("row is cut off");
    this.#at += count;
    return at;
  }
}
