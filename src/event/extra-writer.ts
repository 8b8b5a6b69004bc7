// Collects the members of a line that no field holds, as the text of one JSON object: raw slices of the line under the keys they stood
// under. Invariant: what `finish` leaves is JSON that nests no deeper than the line did, and no longer than the limit.

/** Writes one object per line; keys and values are ranges of the line. */
export class ExtraWriter {
  #bytes = new Uint8Array(4096);
  #length = 0;
  #src: Uint8Array = new Uint8Array(0);
  readonly #limit: number;
  /** Keys of the objects entered, as pairs of positions. */
  #keys = new Uint32Array(256);
  #depth = 0;
  /** Objects entered that the text has opened, the outermost included. */
  #opened = 0;
  /** Whether a member was left out because the text would be too long. */
  dropped = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The buffer of the text. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Starts on another line. */
  reset(src: Uint8Array): void {
    this.#src = src;
    this.#length = 0;
    this.#depth = 0;
    this.#opened = 0;
    this.dropped = false;
  }

  /** Goes into the object under a key (quotes included). It is written only if a member inside is. */
  enter(keyFrom: number, keyTo: number): void {
    if (this.#depth * 2 === this.#keys.length) {
      const keys = new Uint32Array(this.#keys.length * 2);
      keys.set(this.#keys);
      this.#keys = keys;
    }
    this.#keys[this.#depth * 2] = keyFrom;
    this.#keys[this.#depth * 2 + 1] = keyTo;
    this.#depth++;
  }

  /** Leaves the object entered last. */
  leave(): void {
    this.#depth--;
    if (this.#opened > this.#depth + 1) {
      this.#bytes[this.#length++] = 0x7d;
      this.#opened--;
    }
  }

  /** Keeps a member. */
  member(keyFrom: number, keyTo: number, from: number, to: number): void {
    const keys = this.#keys;
    let needed = keyTo - keyFrom + to - from + 2;
    for (let level = Math.max(this.#opened, 1); level <= this.#depth; level++) needed += keys[level * 2 - 1]! - keys[level * 2 - 2]! + 4;
    // Closing braces and the outermost pair are always there to come.
    if (this.#length + needed + this.#depth + 4 > this.#limit) {
      this.dropped = true;
      return;
    }
    this.#ensure(this.#length + needed + this.#depth + 4);
    if (this.#opened === 0) {
      this.#bytes[this.#length++] = 0x7b;
      this.#opened = 1;
    }
    while (this.#opened <= this.#depth) {
      const level = this.#opened++;
      this.#key(keys[level * 2 - 2]!, keys[level * 2 - 1]!);
      this.#bytes[this.#length++] = 0x7b;
    }
    this.#key(keyFrom, keyTo);
    this.#copy(from, to);
  }

  /** Closes the object. Length of the text, 0 when nothing was kept. */
  finish(): number {
    if (this.#opened > 0) this.#bytes[this.#length++] = 0x7d;
    return this.#length;
  }

  #key(from: number, to: number): void {
    if (this.#bytes[this.#length - 1] !== 0x7b) this.#bytes[this.#length++] = 0x2c;
    this.#copy(from, to);
    this.#bytes[this.#length++] = 0x3a;
  }

  #copy(from: number, to: number): void {
    const bytes = this.#bytes;
    const src = this.#src;
    let length = this.#length;
    if (to - from > 64) {
      bytes.set(src.subarray(from, to), length);
      this.#length = length + to - from;
      return;
    }
    while (from < to) bytes[length++] = src[from++]!;
    this.#length = length;
  }

  #ensure(length: number): void {
    if (length <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(length, this.#bytes.length * 2));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
  }
}
