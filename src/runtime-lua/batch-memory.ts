// Memory of one evaluator's batches: the hit words, and the batch's address for Lua. Both are explicit ArrayBuffers, which do not move; both
// are referenced here until the next batch, since an address alone keeps nothing alive.
import type { RecordBatch } from "#core";
import { luaAddress } from "#ffi/luajit";
import { NativeBuffer } from "#ffi/memory";

/** A batch as Lua takes it. */
export interface TakenBatch {
  readonly batchAddress: number;
  readonly outAddress: number;
  /** The hit words, valid until the next batch. */
  readonly hits: Uint32Array;
}

const ALIGNMENT = 8;

/** Keeps the memory of one batch at a time. */
export class BatchMemory {
  #out = new NativeBuffer(0);
  #copy = new NativeBuffer(0);
  /** The last batch's bytes: an address alone would not keep them. */
  readonly #kept: [Uint8Array | undefined] = [undefined];

  /** Addresses of a batch and of its hit words. */
  take(batch: RecordBatch, words: number): TakenBatch {
    const wordCount = batch.count * words;
    if (this.#out.byteLength < wordCount * 4) this.#out = new NativeBuffer(wordCount * 4);
    const hits = new Uint32Array(this.#out.buffer, 0, wordCount);
    return { batchAddress: this.#address(batch), outAddress: this.#out.ptr, hits };
  }

  #address(batch: RecordBatch): number {
    if (batch.count === 0) return 0;
    this.#kept[0] = batch.bytes;
    const first = batch.offsets[0] ?? 0;
    const address = luaAddress(batch.bytes) + first;
    if (address % ALIGNMENT === 0) return address;
    // A batch cut out of a file may begin anywhere; Lua reads whole words.
    if (this.#copy.byteLength < batch.length) this.#copy = new NativeBuffer(batch.length);
    this.#copy.bytes.set(batch.bytes.subarray(first, batch.length));
    return this.#copy.ptr;
  }
}
