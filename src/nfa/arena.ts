// Memory for records and keys: cells of 80 sizes in pages of 64 KiB, 16 pages a chunk; larger cells have a chunk of their own. A chunk that
// is empty is freed at once, not when the garbage collector comes by, except one that is kept so that the border between two chunks costs nothing.
import { assert } from "#core";
import { NONE, resized } from "./slots.ts";

const PAGE_BYTES: number = 64 << 10;
const PAGES_PER_CHUNK = 16;
const CHUNK_BYTES: number = PAGE_BYTES * PAGES_PER_CHUNK;
const ALL_PAGES: number = (1 << PAGES_PER_CHUNK) - 1;
const UNIT = 16;
/** An address is page × 4096 + unit in the page. */
const PAGE_UNITS_SHIFT = 12;
const PAGE_UNITS_MASK = 0xfff;
const CLASSES = 80;
/** Class of a page whose chunk is one large cell. */
const LARGE = 255;

/** Class of cells for this many bytes: 16 apart up to 256, then eight to each doubling. */
function classOf(size: number): number {
  const units = Math.max(1, (size + UNIT - 1) >>> 4);
  if (units <= 16) return units - 1;
  const shift = 31 - Math.clz32(units - 1) - 3;
  return 16 + (shift - 1) * 8 + (((units - 1) >>> shift) - 8);
}

function classUnits(index: number): number {
  if (index < 16) return index + 1;
  const shift = ((index - 16) >>> 3) + 1;
  return (((index - 16) & 7) + 9) << shift;
}

/** Units of a cell of each class, and the bytes of page it really takes. */
const UNITS: Uint16Array = Uint16Array.from({ length: CLASSES }, (_, index) => classUnits(index));
const CHARGES: Uint32Array = Uint32Array.from(UNITS, (units) => Math.floor(PAGE_BYTES / Math.floor(PAGE_BYTES / (units * UNIT))));

/** Cells by address. An address is a positive integer below 2^32. */
export class Arena {
  /** Bytes of all cells in use, by what they take of their pages. */
  usedBytes: number = 0;
  /** Bytes of all chunks. */
  chunkBytes: number = 0;
  /** Told when a buffer goes, for tables beside it that would keep it alive. */
  onDrop: (chunk: number) => void = () => {};
  readonly #chunks: (Uint8Array<ArrayBuffer> | undefined)[] = [];
  readonly #words: (Uint32Array | undefined)[] = [];
  readonly #freePages: number[] = [];
  readonly #freeChunks: number[] = [];
  #spare = NONE;
  #pageClass = new Uint8Array(PAGES_PER_CHUNK);
  #pageUsed = new Int32Array(PAGES_PER_CHUNK);
  /** Unit of the page's first free cell, the next one's in its first word; NONE at the end. */
  #pageFree = new Int32Array(PAGES_PER_CHUNK);
  /** First unit never used. */
  #pageFresh = new Int32Array(PAGES_PER_CHUNK);
  #pageNext = new Int32Array(PAGES_PER_CHUNK);
  #pagePrevious = new Int32Array(PAGES_PER_CHUNK);
  /** First page of each class that has a free cell. */
  readonly #open = new Int32Array(CLASSES).fill(NONE);

  /** The buffer a cell is in; the same object for all cells of a chunk. */
  bytesOf(address: number): Uint8Array {
    return this.#chunks[address >>> (PAGE_UNITS_SHIFT + 4)]!;
  }

  /** The same buffer as words. */
  wordsOf(address: number): Uint32Array {
    return this.#words[address >>> (PAGE_UNITS_SHIFT + 4)]!;
  }

  /** Number of the buffer, for tables beside it. */
  chunkOf(address: number): number {
    return address >>> (PAGE_UNITS_SHIFT + 4);
  }

  /** Where in its buffer a cell starts, a multiple of 16. */
  offsetOf(address: number): number {
    return (((address >>> PAGE_UNITS_SHIFT) & (PAGES_PER_CHUNK - 1)) << 16) + ((address & PAGE_UNITS_MASK) << 4);
  }

  /** What a cell takes. */
  chargeOf(address: number): number {
    const index = this.#pageClass[address >>> PAGE_UNITS_SHIFT]!;
    return index === LARGE ? this.bytesOf(address).length : CHARGES[index]!;
  }

  /** A cell of at least this many bytes, with whatever was in it. */
  take(size: number): number {
    if (size > PAGE_BYTES) return this.#takeLarge(size);
    const index = classOf(size);
    let page = this.#open[index]!;
    if (page === NONE) page = this.#openPage(index);
    const units = UNITS[index]!;
    let unit = this.#pageFree[page]!;
    if (unit !== NONE) {
      const words = this.#words[page >>> 4]!;
      this.#pageFree[page] = words[(((page & 15) << 16) + (unit << 4)) >>> 2]! | 0;
    } else {
      unit = this.#pageFresh[page]!;
      this.#pageFresh[page] = unit + units;
    }
    this.#pageUsed[page]!++;
    if (this.#isFull(page, units)) this.#unlink(page, index);
    this.usedBytes += CHARGES[index]!;
    return ((page << PAGE_UNITS_SHIFT) | unit) >>> 0;
  }

  /** Takes a cell back. */
  give(address: number): void {
    const page = address >>> PAGE_UNITS_SHIFT;
    const index = this.#pageClass[page]!;
    if (index === LARGE) {
      this.usedBytes -= this.bytesOf(address).length;
      this.#dropChunk(page >>> 4);
      return;
    }
    const unit = address & PAGE_UNITS_MASK;
    const wasFull = this.#isFull(page, UNITS[index]!);
    this.#words[page >>> 4]![(((page & 15) << 16) + (unit << 4)) >>> 2] = this.#pageFree[page]!;
    this.#pageFree[page] = unit;
    this.usedBytes -= CHARGES[index]!;
    if (wasFull) this.#link(page, index);
    if (--this.#pageUsed[page]! === 0) this.#closePage(page, index);
  }

  #isFull(page: number, units: number): boolean {
    return this.#pageFree[page] === NONE && this.#pageFresh[page]! + units > 1 << PAGE_UNITS_SHIFT;
  }

  #openPage(index: number): number {
    let chunk = this.#freePages.findIndex((mask) => mask !== 0);
    if (chunk === NONE) chunk = this.#addChunk(CHUNK_BYTES);
    if (chunk === this.#spare) this.#spare = NONE;
    const mask = this.#freePages[chunk]!;
    const page = chunk * PAGES_PER_CHUNK + (31 - Math.clz32(mask & -mask));
    this.#freePages[chunk] = mask & (mask - 1);
    this.#pageClass[page] = index;
    this.#pageUsed[page] = 0;
    this.#pageFree[page] = NONE;
    this.#pageFresh[page] = 0;
    this.#link(page, index);
    return page;
  }

  #closePage(page: number, index: number): void {
    this.#unlink(page, index);
    const chunk = page >>> 4;
    this.#freePages[chunk]! |= 1 << (page & 15);
    if (this.#freePages[chunk] !== ALL_PAGES) return;
    if (this.#spare === NONE) this.#spare = chunk;
    else this.#dropChunk(chunk);
  }

  #takeLarge(size: number): number {
    const chunk = this.#addChunk((size + 4095) & ~4095);
    this.#freePages[chunk] = 0;
    this.#pageClass[chunk * PAGES_PER_CHUNK] = LARGE;
    this.usedBytes += this.#chunks[chunk]!.length;
    return (chunk * PAGES_PER_CHUNK * (1 << PAGE_UNITS_SHIFT)) >>> 0;
  }

  #addChunk(size: number): number {
    const chunk = this.#freeChunks.pop() ?? this.#chunks.length;
    assert(chunk < 1 << 16, "the arena is within what its addresses can name");
    const bytes = new Uint8Array(new ArrayBuffer(size));
    this.#chunks[chunk] = bytes;
    this.#words[chunk] = new Uint32Array(bytes.buffer);
    this.#freePages[chunk] = ALL_PAGES;
    this.chunkBytes += size;
    const pages = (chunk + 1) * PAGES_PER_CHUNK;
    if (pages > this.#pageClass.length) this.#resizePages(pages * 2);
    return chunk;
  }

  #dropChunk(chunk: number): void {
    const bytes = this.#chunks[chunk]!;
    this.chunkBytes -= bytes.length;
    this.#chunks[chunk] = undefined;
    this.#words[chunk] = undefined;
    this.#freePages[chunk] = 0;
    this.#freeChunks.push(chunk);
    this.onDrop(chunk);
    bytes.buffer.transfer(0);
  }

  #resizePages(pages: number): void {
    this.#pageClass = resized(this.#pageClass, pages);
    this.#pageUsed = resized(this.#pageUsed, pages);
    this.#pageFree = resized(this.#pageFree, pages);
    this.#pageFresh = resized(this.#pageFresh, pages);
    this.#pageNext = resized(this.#pageNext, pages);
    this.#pagePrevious = resized(this.#pagePrevious, pages);
  }

  #link(page: number, index: number): void {
    const next = this.#open[index]!;
    this.#pagePrevious[page] = NONE;
    this.#pageNext[page] = next;
    if (next !== NONE) this.#pagePrevious[next] = page;
    this.#open[index] = page;
  }

  #unlink(page: number, index: number): void {
    const next = this.#pageNext[page]!;
    const previous = this.#pagePrevious[page]!;
    if (next !== NONE) this.#pagePrevious[next] = previous;
    if (previous !== NONE) this.#pageNext[previous] = next;
    else this.#open[index] = next;
  }
}
