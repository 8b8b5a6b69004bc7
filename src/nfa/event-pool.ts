// Events that the sequencer holds on to: whole records, each once, with their place in the order of events. Counted references: the reorder
// buffer and every partial match that has taken the event. Invariant: an event with no reference is gone.
import { RecordView } from "#event";
import { Entry, EntryFlag, EntryType, Header } from "#schema";
import type { Arena } from "./arena.ts";
import { fieldWord } from "./record-words.ts";
import { NONE, resized, Slots } from "./slots.ts";

/** What the events' tiebreakers are; numbers sort before text, a missing one last. */
const enum Tie {
  Number = 0,
  Text = 1,
  Missing = 2,
}

/** Field that orders events of equal time, and whether events equal in both may still follow each other (by arrival). */
export interface Tiebreak {
  readonly fieldId: number;
  readonly strict: boolean;
}

/** Bytes a row here takes beside its record. */
const EVENT_ROW_BYTES = 56;

const TWO_32 = 4294967296;

/** Rows of events. */
export class EventPool {
  timeHi: Int32Array = new Int32Array(0);
  timeLo: Uint32Array = new Uint32Array(0);
  /** Running number of the event among those with hits: its arrival. */
  number: Float64Array = new Float64Array(0);
  /** First of the event's hits while it waits in the reorder buffer. */
  firstHit: Int32Array = new Int32Array(0);
  address: Uint32Array = new Uint32Array(0);
  /** Bytes of events that partial matches hold, each counted once. */
  keptBytes: number = 0;
  readonly #slots = new Slots();
  #size = new Uint32Array(0);
  #references = new Int32Array(0);
  /** References of partial matches. */
  #kept = new Int32Array(0);
  #tie = new Uint8Array(0);
  #tieHi = new Float64Array(0);
  #tieLo = new Float64Array(0);
  #source: Uint8Array = new Uint8Array(0);
  #sourceBuffer: Buffer = Buffer.alloc(0);
  /** By chunk and role: a view whose buffer stays the same costs nothing to point elsewhere. */
  readonly #views: ((RecordView | undefined)[] | undefined)[] = [];

  constructor(
    readonly arena: Arena,
    readonly tiebreak: Tiebreak,
  ) {
    arena.onDrop = (chunk) => {
      this.#views[chunk] = undefined;
    };
  }

  /** Events held. */
  get count(): number {
    return this.#slots.used;
  }

  /** Copies a record in, with one reference. */
  add(bytes: Uint8Array, offset: number, size: number, number: number): number {
    const event = this.#slots.take();
    if (this.#slots.capacity !== this.#size.length) this.#resize();
    const { arena } = this;
    const address = arena.take(size);
    this.#copyIn(bytes, offset, size, address);
    this.address[event] = address;
    this.#size[event] = size;
    this.#references[event] = 1;
    this.#kept[event] = 0;
    this.number[event] = number;
    this.firstHit[event] = NONE;
    const words = arena.wordsOf(address);
    const base = arena.offsetOf(address) >>> 2;
    this.timeLo[event] = words[base + (Header.Time >>> 2)]!;
    this.timeHi[event] = words[base + (Header.Time >>> 2) + 1]!;
    this.#readTie(event, words, base);
    return event;
  }

  // Through a buffer made once for each batch: a subarray for every record is garbage, and a loop over words costs 400 ns for 336 bytes.
  #copyIn(bytes: Uint8Array, offset: number, size: number, address: number): void {
    if (bytes !== this.#source) {
      this.#source = bytes;
      this.#sourceBuffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }
    this.#sourceBuffer.copy(this.arena.bytesOf(address), this.arena.offsetOf(address), offset, offset + size);
  }

  /** One more reference, of a partial match. */
  keep(event: number): void {
    this.#references[event]!++;
    if (this.#kept[event]!++ === 0) this.keptBytes += this.bytesOf(event);
  }

  /** Takes back a reference of a partial match. */
  letGo(event: number): void {
    if (--this.#kept[event]! === 0) this.keptBytes -= this.bytesOf(event);
    this.release(event);
  }

  /** One more reference that `release` takes back. */
  share(event: number): void {
    this.#references[event]!++;
  }

  /** Takes back the reference `add` or `share` gave. */
  release(event: number): void {
    if (--this.#references[event]! > 0) return;
    this.arena.give(this.address[event]!);
    this.#slots.give(event);
    if (this.#slots.capacity !== this.#size.length) this.#resize();
  }

  /** What an event takes. */
  bytesOf(event: number): number {
    return this.arena.chargeOf(this.address[event]!) + EVENT_ROW_BYTES;
  }

  /** A view on the event. Views of different roles can be used side by side; of one role the last asked for is valid. */
  view(event: number, role: number): RecordView {
    const address = this.address[event]!;
    const chunk = this.arena.chunkOf(address);
    const bytes = this.arena.bytesOf(address);
    let views = this.#views[chunk];
    if (views === undefined) {
      views = [];
      this.#views[chunk] = views;
    }
    let view = views[role];
    if (view === undefined) {
      view = new RecordView();
      views[role] = view;
    }
    return view.reset(bytes, this.arena.offsetOf(address));
  }

  /** A copy of the event's record. */
  copy(event: number): Uint8Array {
    const offset = this.arena.offsetOf(this.address[event]!);
    return this.arena.bytesOf(this.address[event]!).slice(offset, offset + this.#size[event]!);
  }

  /** Bytes of the event's record. */
  sizeOf(event: number): number {
    return this.#size[event]!;
  }

  /** Below, at or above zero as the first event comes before, with or after the second. */
  compare(first: number, second: number): number {
    const hi = this.timeHi[first]! - this.timeHi[second]!;
    if (hi !== 0) return hi;
    const lo = this.timeLo[first]! - this.timeLo[second]!;
    if (lo !== 0) return lo;
    const tie = this.#compareTies(first, second);
    return tie !== 0 || this.tiebreak.strict ? tie : this.number[first]! - this.number[second]!;
  }

  /** The order of release: events with equal ordinals as they arrived. */
  compareArrivals(first: number, second: number): number {
    const order = this.compare(first, second);
    return order !== 0 ? order : this.number[first]! - this.number[second]!;
  }

  #compareTies(first: number, second: number): number {
    const kind = this.#tie[first]! - this.#tie[second]!;
    if (kind !== 0) return kind;
    if (this.#tie[first] === Tie.Text) return this.#compareTexts(first, second);
    const hi = this.#tieHi[first]! - this.#tieHi[second]!;
    return hi !== 0 ? hi : this.#tieLo[first]! - this.#tieLo[second]!;
  }

  // A text tiebreaker is rare enough to be read where it is: its place in the buffer and its length stand in the tie columns.
  #compareTexts(first: number, second: number): number {
    const [firstBytes, secondBytes] = [first, second].map((event) => {
      const from = this.arena.offsetOf(this.address[event]!) + this.#tieHi[event]!;
      return this.arena.bytesOf(this.address[event]!).subarray(from, from + this.#tieLo[event]!);
    });
    return Buffer.compare(firstBytes!, secondBytes!);
  }

  #readTie(event: number, words: Uint32Array, base: number): void {
    const at = fieldWord(words, base, this.tiebreak.fieldId);
    if (at === NONE) {
      this.#setTie(event, Tie.Missing, 0, 0);
      return;
    }
    const head = words[at]!;
    let payload = words[at + 1]!;
    // Of several values the first.
    if (((head >>> (Entry.Flags * 8)) & EntryFlag.Array) !== 0) payload = words[base + (payload >>> 2) + 1]!;
    const lo = words[base + (payload >>> 2)]!;
    const hi = words[base + (payload >>> 2) + 1]!;
    switch ((head >>> (Entry.Type * 8)) & 0xff) {
      case EntryType.Keyword:
      case EntryType.Ip:
        this.#setTie(event, Tie.Text, payload + 4, lo);
        return;
      case EntryType.U64:
        this.#setTie(event, Tie.Number, hi, lo);
        return;
      case EntryType.Bool:
        this.#setTie(event, Tie.Number, 0, payload);
        return;
      case EntryType.F64: {
        const value = this.view(event, 0).number(this.tiebreak.fieldId) as number;
        const high = Math.floor(value / TWO_32);
        this.#setTie(event, Tie.Number, high, value - high * TWO_32);
        return;
      }
      default:
        this.#setTie(event, Tie.Number, hi | 0, lo);
    }
  }

  #setTie(event: number, kind: Tie, hi: number, lo: number): void {
    this.#tie[event] = kind;
    this.#tieHi[event] = hi;
    this.#tieLo[event] = lo;
  }

  #resize(): void {
    const { capacity } = this.#slots;
    this.timeHi = resized(this.timeHi, capacity);
    this.timeLo = resized(this.timeLo, capacity);
    this.number = resized(this.number, capacity);
    this.firstHit = resized(this.firstHit, capacity);
    this.address = resized(this.address, capacity);
    this.#size = resized(this.#size, capacity);
    this.#references = resized(this.#references, capacity);
    this.#kept = resized(this.#kept, capacity);
    this.#tie = resized(this.#tie, capacity);
    this.#tieHi = resized(this.#tieHi, capacity);
    this.#tieLo = resized(this.#tieLo, capacity);
  }
}
