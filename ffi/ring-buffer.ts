// A BPF ring buffer mapped into this process and read in place: no system call and no callback for a record. Layout: kernel
// Documentation/bpf/ringbuf.rst: one consumer page (ours to write), one producer page, then the data twice, so a record never wraps.
// Never use Atomics on the producer side: its pages are read-only, and compiled code does Atomics.load with a locked compare-and-exchange,
// which writes and crashes. Plain loads of aligned words are whole; the fence below orders them.
import { Handle, NativeError, type Pointer } from "./handle.ts";
import { type MappedSpan, mapShared, pageBytes, unmap } from "./libc.ts";
import { checkI32, checkInteger, nativeView, pointerAt } from "./memory.ts";

const LIBRARY = "libbpf";
const RECORD_HEADER_BYTES = 8;
const BUSY_BIT = 0x8000_0000;
const DISCARD_BIT = 0x4000_0000;
const LENGTH_MASK = 0x3fff_ffff;
const SIZE_BOUNDS = { min: 4096, max: 1 << 30 };

/** Takes one record: `bytes[offset, offset + length)`, valid only until it returns. */
export type RecordTaker = (bytes: Uint8Array, offset: number, length: number) => void;

/** The reading side of one ring buffer map. Only one reader may exist for a map. */
export class RingBuffer implements Disposable {
  readonly #consumer: Handle;
  readonly #producer: Handle;
  /** The producer's position lies in the first page of the second mapping, the data begins a page later. */
  readonly #produced: BigUint64Array<ArrayBuffer>;
  readonly #consumed: BigUint64Array<ArrayBuffer>;
  readonly #data: Uint8Array<ArrayBuffer>;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #fenceWord = new Int32Array(new ArrayBuffer(16));
  readonly #sizeBytes: number;
  /** Bytes read since the map was made. Exact up to 2⁵³. */
  #position: number;
  /** Bytes of records up to the producer's position at the last snapshot. */
  #end = 0;

  constructor(mapFd: number, sizeBytes: number) {
    checkI32(mapFd, "mapFd");
    checkInteger(sizeBytes, "sizeBytes", SIZE_BOUNDS);
    const page = pageBytes();
    if ((sizeBytes & (sizeBytes - 1)) !== 0 || sizeBytes % page !== 0) {
      throw new NativeError("range", LIBRARY, `A ring buffer has a power of two bytes, in whole pages of ${page}: got ${sizeBytes}`);
    }
    // The mappings keep the map alive; its descriptor is not needed again.
    this.#consumer = mapping("consumer page", mapFd, { offsetBytes: 0, byteLength: page, writable: true });
    try {
      this.#producer = mapping("ring", mapFd, { offsetBytes: page, byteLength: page + sizeBytes * 2, writable: false });
    } catch (error) {
      this.#consumer.close();
      throw error;
    }
    this.#sizeBytes = sizeBytes;
    this.#consumed = bigView(this.#consumer.ptr);
    this.#produced = bigView(this.#producer.ptr);
    this.#data = nativeView(pointerAt(this.#producer.ptr, page), sizeBytes * 2);
    this.#words = new Uint32Array(this.#data.buffer, this.#data.byteOffset, sizeBytes >>> 1);
    this.#position = Number(Atomics.load(this.#consumed, 0));
    this.#end = this.#position;
  }

  /** Bytes the ring holds. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Looks how far the kernel has come. Returns the bytes that wait; `head` and `next` go no further than this. */
  snapshot(): number {
    this.#consumer.ptr;
    this.#end = Number(this.#produced[0]);
    this.#fence();
    return this.#end - this.#position;
  }

  /**
   * Offset in `bytes` of the first finished record before the snapshot, or -1. Discarded records are passed over. A record that a CPU is
   * still writing holds back those behind it, so the order is kept.
   */
  head(): number {
    const words = this.#words;
    const mask = this.#sizeBytes - 1;
    this.#consumer.ptr;
    while (this.#position < this.#end) {
      const at = this.#position & mask;
      const word = words[at >>> 2]!;
      if ((word & BUSY_BIT) !== 0) return -1;
      this.#fence();
      if ((word & DISCARD_BIT) === 0) return at + RECORD_HEADER_BYTES;
      this.#position += strideOf(word);
    }
    return -1;
  }

  /** Bytes of the record at `head()`, as the kernel gave them; never more than the ring. */
  lengthAt(offset: number): number {
    const length = this.#words[(offset - RECORD_HEADER_BYTES) >>> 2]! & LENGTH_MASK;
    return Math.min(length, this.#sizeBytes - RECORD_HEADER_BYTES);
  }

  /** The ring's data for reading. Content changes after `release`. */
  get bytes(): Uint8Array {
    this.#consumer.ptr;
    return this.#data;
  }

  /** Steps over the record at `head()`. Its bytes stay valid until `release`. */
  skip(offset: number): void {
    this.#position += strideOf(this.#words[(offset - RECORD_HEADER_BYTES) >>> 2]!);
  }

  /** Gives everything that was stepped over back to the kernel. */
  release(): void {
    this.#consumer.ptr;
    // One 64-bit store: two halves could be seen torn, and a position from the future makes the ring look full.
    Atomics.store(this.#consumed, 0, BigInt(this.#position));
  }

  /** Reads at most `countMax` finished records in order and gives their room back. Returns how many there were. */
  read(take: RecordTaker, countMax: number): number {
    this.snapshot();
    let count = 0;
    for (let at = this.head(); at >= 0 && count < countMax; at = this.head()) {
      take(this.#data, at, this.lengthAt(at));
      this.skip(at);
      count++;
    }
    if (count > 0) this.release();
    return count;
  }

  /** No load before it is done later, none after it earlier: an atomic operation on a word of our own is a full barrier. */
  #fence(): void {
    Atomics.load(this.#fenceWord, 0);
  }

  /** Unmaps the ring. Twice is fine; any other use afterwards throws. */
  close(): void {
    this.#consumer.close();
    this.#producer.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function strideOf(word: number): number {
  return ((word & LENGTH_MASK) + RECORD_HEADER_BYTES + 7) & ~7;
}

function mapping(kind: string, fd: number, span: MappedSpan): Handle {
  return new Handle(LIBRARY, kind, mapShared(fd, span), (address) => unmap(address, span.byteLength));
}

function bigView(pointer: Pointer): BigUint64Array<ArrayBuffer> {
  const bytes = nativeView(pointer, 8);
  return new BigUint64Array(bytes.buffer, bytes.byteOffset, 1);
}
