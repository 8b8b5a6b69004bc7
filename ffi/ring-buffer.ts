// A BPF ring buffer mapped into this process and read in place: no system call and no callback for a record. Layout: kernel
// Documentation/bpf/ringbuf.rst: one consumer page (ours to write), one producer page, then the data. The kernel offers the
// data twice in a row so that no record wraps; only the first copy is mapped, since the second would count as resident memory again, and
// the one record in a round that wraps is copied.
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
  /** Holds a record that wraps; grows to the longest. */
  #joined = new Uint8Array(new ArrayBuffer(4096));
  #record: Uint8Array;
  #offset = 0;
  #length = 0;
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
      this.#producer = mapping("ring", mapFd, { offsetBytes: page, byteLength: page + sizeBytes, writable: false });
    } catch (error) {
      this.#consumer.close();
      throw error;
    }
    this.#sizeBytes = sizeBytes;
    this.#consumed = bigView(this.#consumer.ptr);
    this.#produced = bigView(this.#producer.ptr);
    this.#data = nativeView(pointerAt(this.#producer.ptr, page), sizeBytes);
    this.#words = new Uint32Array(this.#data.buffer, this.#data.byteOffset, sizeBytes >>> 2);
    this.#record = this.#data;
    this.#position = Number(Atomics.load(this.#consumed, 0));
    this.#end = this.#position;
  }

  /** Bytes the ring holds. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Looks how far the kernel has come; `next` goes no further than this. Returns the bytes that wait. */
  snapshot(): number {
    this.#consumer.ptr;
    this.#end = Number(this.#produced[0]);
    this.#fence();
    return this.#end - this.#position;
  }

  /**
   * Whether a finished record is next before the snapshot; it is then `bytes[offset, offset + length)` until `release`. Discarded records
   * are passed over. A record that a CPU is still writing holds back those behind it, so the order is kept.
   */
  next(): boolean {
    const words = this.#words;
    const mask = this.#sizeBytes - 1;
    this.#consumer.ptr;
    while (this.#position < this.#end) {
      const at = this.#position & mask;
      const word = words[at >>> 2]!;
      if ((word & BUSY_BIT) !== 0) return false;
      this.#fence();
      const length = word & LENGTH_MASK;
      if ((word & DISCARD_BIT) === 0) {
        this.#locate(at + RECORD_HEADER_BYTES, Math.min(length, this.#sizeBytes - RECORD_HEADER_BYTES));
        return true;
      }
      this.#position += strideOf(length);
    }
    return false;
  }

  /** Whether `next` stopped at a record that a CPU is still writing, or has one to give. */
  get isWaiting(): boolean {
    return this.#position < this.#end;
  }

  /** Where the record of the last `next` lies. */
  get bytes(): Uint8Array {
    this.#consumer.ptr;
    return this.#record;
  }

  get offset(): number {
    return this.#offset;
  }

  get length(): number {
    return this.#length;
  }

  /** Steps over the record of the last `next`. */
  skip(): void {
    this.#position += strideOf(this.#length);
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
    while (count < countMax && this.next()) {
      take(this.#record, this.#offset, this.#length);
      this.skip();
      count++;
    }
    if (count > 0) this.release();
    return count;
  }

  #locate(offset: number, length: number): void {
    this.#length = length;
    // The header may be the last thing before the end: then the whole record is at the start.
    const start = offset === this.#sizeBytes ? 0 : offset;
    if (start + length <= this.#sizeBytes) {
      this.#record = this.#data;
      this.#offset = start;
      return;
    }
    if (this.#joined.byteLength < length) this.#joined = new Uint8Array(new ArrayBuffer(length));
    const first = this.#sizeBytes - start;
    this.#joined.set(this.#data.subarray(start), 0);
    this.#joined.set(this.#data.subarray(0, length - first), first);
    this.#record = this.#joined;
    this.#offset = 0;
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

/** Bytes from one record's header to the next. */
function strideOf(length: number): number {
  return (length + RECORD_HEADER_BYTES + 7) & ~7;
}

function mapping(kind: string, fd: number, span: MappedSpan): Handle {
  return new Handle(LIBRARY, kind, mapShared(fd, span), (address) => unmap(address, span.byteLength));
}

function bigView(pointer: Pointer): BigUint64Array<ArrayBuffer> {
  const bytes = nativeView(pointer, 8);
  return new BigUint64Array(bytes.buffer, bytes.byteOffset, 1);
}
