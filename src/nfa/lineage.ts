// Which processes stand in a rule's lineages, and who is whose parent. A mark is the entity id of a process whose event satisfied the inner
// query; a link is a process's parent. Both are bounded; the least recently used goes first. Keys are the bytes KeyReader makes of an id.
import type { KeyPart, ProcessIdentity } from "#schema";
import { DirtyRows } from "./dirty-rows.ts";
import type { EventPool } from "./event-pool.ts";
import type { HashSeed } from "./key-hash.ts";
import { KeyReader } from "./key-reader.ts";
import { KeyTable } from "./key-table.ts";
import type { StateLimits } from "./limits.ts";
import type { KeySpec } from "./plan-table.ts";
import type { RuleRuntime } from "./rule-runtime.ts";
import { NONE, resized } from "./slots.ts";
import type { LineageAnswers } from "./step-context.ts";

/** Generations that are followed: enough for every real process, and the end of a circle of links. */
const DEPTH_MAX = 64;
/** Marks of all rules take at most this part of the bytes for state: many rules with full lineages would pass every other bound. */
const MARKS_SHARE = 4;
/** Lineages a rule can have: the marks' owner is rule × this + lineage. */
export const LINEAGES_PER_RULE = 32;

/** A key somewhere: bytes of a table's arena or of the reader. */
interface Key {
  bytes: Uint8Array;
  from: number;
  to: number;
}

/** See the file's opening. */
export class Lineages implements LineageAnswers {
  readonly marks: KeyTable;
  readonly links: KeyTable;
  readonly dirtyMarks: DirtyRows = new DirtyRows();
  readonly dirtyLinks: DirtyRows = new DirtyRows();
  /** Rows of the snapshot that are gone. */
  goneMarks: { readonly set: number; readonly key: Uint8Array }[] = [];
  goneLinks: { readonly family: number; readonly key: Uint8Array }[] = [];
  evictions: number = 0;
  readonly families: { readonly entityId: number; readonly parentId: number }[] = [];
  readonly #markCounts: number[] = [];
  /** Cell with the parent's key, by link. */
  #parentAddress = new Uint32Array(0);
  #parentLength = new Uint32Array(0);
  readonly #reader: KeyReader;
  readonly #specs = new Map<number, KeySpec>();
  readonly #at: Key = { bytes: new Uint8Array(0), from: 0, to: 0 };

  constructor(
    readonly events: EventPool,
    readonly limits: Pick<StateLimits, "lineageMarksMax" | "lineageLinksMax" | "bytesMax">,
    seed: HashSeed,
  ) {
    this.marks = new KeyTable(events.arena, seed);
    this.links = new KeyTable(events.arena, seed);
    this.#reader = new KeyReader(events);
  }

  /** Bytes of all marks and links. */
  get bytes(): number {
    return this.marks.bytes + this.links.bytes * 2;
  }

  /** The event satisfies the inner query of a lineage. */
  mark(runtime: RuleRuntime, index: number, event: number): void {
    const { identity } = runtime.table.plan;
    if (identity === undefined || this.#read(event, identity.entityId) === 0) return;
    const { bytes, starts, ends } = this.#reader;
    this.addMark(runtime.owner * LINEAGES_PER_RULE + index, { bytes, from: starts[0]!, to: ends[0]! });
  }

  /** Marks a process. Returns the mark's row. */
  addMark(set: number, key: Readonly<Key>): number {
    const { marks } = this;
    const hash = marks.hash(set, key.bytes, key.from, key.to);
    let row = marks.find(set, hash, key.bytes, key.from, key.to);
    if (row === NONE) {
      row = marks.add(set, hash, key.bytes, key.from, key.to);
      this.dirtyMarks.resize(marks.slots.capacity);
      this.dirtyMarks.start(row);
      this.#markCounts[set] = (this.#markCounts[set] ?? 0) + 1;
    } else marks.touch(row);
    this.dirtyMarks.mark(row);
    if (this.#markCounts[set]! > this.limits.lineageMarksMax) this.#evictMark(marks.oldestOf(set));
    while (marks.bytes > this.limits.bytesMax / MARKS_SHARE && marks.oldest !== row) this.#evictMark(marks.oldest);
    return row;
  }

  /** The event says who the parent of its process is. */
  link(runtime: RuleRuntime, event: number): void {
    const { identity } = runtime.table.plan;
    if (identity === undefined || this.#read(event, identity.entityId) === 0) return;
    const { bytes, starts, ends } = this.#reader;
    const child = { bytes: bytes.slice(starts[0], ends[0]), from: 0, to: ends[0]! - starts[0]! };
    if (this.#read(event, identity.parentId) === 0) return;
    this.addLink(this.familyOf(identity), child, { bytes: this.#reader.bytes, from: this.#reader.starts[0]!, to: this.#reader.ends[0]! });
  }

  /** Number of the links that two fields make. */
  familyOf(identity: Pick<ProcessIdentity, "entityId" | "parentId">): number {
    const { entityId, parentId } = identity;
    const known = this.families.findIndex((family) => family.entityId === entityId && family.parentId === parentId);
    return known !== NONE ? known : this.families.push({ entityId, parentId }) - 1;
  }

  /** Remembers a parent. Returns the link's row. */
  addLink(family: number, child: Readonly<Key>, parent: Readonly<Key>): number {
    const { links } = this;
    const { arena } = this.events;
    const hash = links.hash(family, child.bytes, child.from, child.to);
    let row = links.find(family, hash, child.bytes, child.from, child.to);
    if (row === NONE) {
      row = links.add(family, hash, child.bytes, child.from, child.to);
      this.#resizeLinks();
      this.dirtyLinks.start(row);
    } else {
      links.touch(row);
      arena.give(this.#parentAddress[row]!);
    }
    const address = arena.take(parent.to - parent.from);
    arena.bytesOf(address).set(parent.bytes.subarray(parent.from, parent.to), arena.offsetOf(address));
    this.#parentAddress[row] = address;
    this.#parentLength[row] = parent.to - parent.from;
    this.dirtyLinks.mark(row);
    if (links.slots.used > this.limits.lineageLinksMax) {
      this.evictions++;
      this.#removeLink(links.oldest);
    }
    return row;
  }

  /** Key of a link's parent. */
  parentOf(row: number): Uint8Array {
    const { arena } = this.events;
    const offset = arena.offsetOf(this.#parentAddress[row]!);
    return arena.bytesOf(this.#parentAddress[row]!).slice(offset, offset + this.#parentLength[row]!);
  }

  answer(runtime: RuleRuntime, index: number, event: number): boolean | null {
    const { identity, lineages } = runtime.table.plan;
    const lineage = lineages[index];
    if (identity === undefined || lineage === undefined) return null;
    const set = runtime.owner * LINEAGES_PER_RULE + index;
    switch (lineage.relation) {
      case "event":
        return this.#readFirst(event, identity.entityId) ? this.#isMarked(set) : null;
      case "child":
        if (this.#goToParent(identity, event)) return this.#isMarked(set);
        return this.#read(event, identity.entityId) === 0 ? null : false;
      case "descendant":
        return this.#isDescendant(identity, set, event);
    }
  }

  /** Forgets a rule's marks. */
  dropOwner(owner: number): void {
    for (let index = 0; index < LINEAGES_PER_RULE; index++) {
      const set = owner * LINEAGES_PER_RULE + index;
      for (let row = this.marks.oldestOf(set); row !== NONE; row = this.marks.oldestOf(set)) {
        // The whole owner goes from the snapshot.
        this.dirtyMarks.start(row);
        this.#removeMark(set, row);
      }
    }
    this.goneMarks = this.goneMarks.filter((gone) => Math.floor(gone.set / LINEAGES_PER_RULE) !== owner);
  }

  /** Forgets all links. */
  dropLinks(): void {
    while (this.links.oldest !== NONE) this.#removeLink(this.links.oldest);
  }

  #isDescendant(identity: ProcessIdentity, set: number, event: number): boolean | null {
    const ancestors = identity.ancestryId === undefined ? 0 : this.#read(event, identity.ancestryId);
    if (ancestors > 0) {
      for (let ancestor = 0; ancestor < ancestors; ancestor++) {
        this.#goToKey(ancestor);
        if (this.#isMarked(set)) return true;
      }
      return false;
    }
    if (!this.#goToParent(identity, event)) return this.#read(event, identity.entityId) === 0 ? null : false;
    const family = this.familyOf(identity);
    for (let depth = 0; depth < DEPTH_MAX; depth++) {
      if (this.#isMarked(set)) return true;
      if (!this.#follow(family)) return false;
    }
    return false;
  }

  // The event's own word first, then its list of ancestors, then what another event said.
  #goToParent(identity: ProcessIdentity, event: number): boolean {
    if (this.#readFirst(event, identity.parentId)) return true;
    if (identity.ancestryId !== undefined && this.#readFirst(event, identity.ancestryId)) return true;
    return this.#readFirst(event, identity.entityId) && this.#follow(this.familyOf(identity));
  }

  /** Goes from a process to its parent, if that is known. */
  #follow(family: number): boolean {
    const at = this.#at;
    const { links } = this;
    const { arena } = this.events;
    const row = links.find(family, links.hash(family, at.bytes, at.from, at.to), at.bytes, at.from, at.to);
    if (row === NONE) return false;
    links.touch(row);
    this.dirtyLinks.mark(row);
    at.bytes = arena.bytesOf(this.#parentAddress[row]!);
    at.from = arena.offsetOf(this.#parentAddress[row]!);
    at.to = at.from + this.#parentLength[row]!;
    return true;
  }

  #isMarked(set: number): boolean {
    const at = this.#at;
    const { marks } = this;
    const row = marks.find(set, marks.hash(set, at.bytes, at.from, at.to), at.bytes, at.from, at.to);
    if (row === NONE) return false;
    marks.touch(row);
    this.dirtyMarks.mark(row);
    return true;
  }

  #readFirst(event: number, fieldId: number): boolean {
    if (this.#read(event, fieldId) === 0) return false;
    this.#goToKey(0);
    return true;
  }

  #goToKey(key: number): void {
    this.#at.bytes = this.#reader.bytes;
    this.#at.from = this.#reader.starts[key]!;
    this.#at.to = this.#reader.ends[key]!;
  }

  /** Reads a field's values; returns how many there are. */
  #read(event: number, fieldId: number): number {
    let spec = this.#specs.get(fieldId);
    if (spec === undefined) {
      const part: KeyPart = { text: "", fieldId, expression: undefined, nullJoins: false };
      spec = { parts: [part], slot: 0, bits: 1 };
      this.#specs.set(fieldId, spec);
    }
    this.#reader.clear();
    this.#reader.read({ spec, isFolded: false, evaluator: undefined, keysMax: DEPTH_MAX }, event, 1);
    return this.#reader.count;
  }

  #evictMark(row: number): void {
    this.evictions++;
    this.#removeMark(this.marks.ownerOf(row), row);
  }

  #removeMark(set: number, row: number): void {
    if (this.dirtyMarks.isSaved(row)) this.goneMarks.push({ set, key: this.marks.keyOf(row) });
    this.marks.remove(row);
    this.dirtyMarks.resize(this.marks.slots.capacity);
    this.#markCounts[set]!--;
  }

  #removeLink(row: number): void {
    if (this.dirtyLinks.isSaved(row)) this.goneLinks.push({ family: this.links.ownerOf(row), key: this.links.keyOf(row) });
    this.events.arena.give(this.#parentAddress[row]!);
    this.links.remove(row);
    this.#resizeLinks();
  }

  #resizeLinks(): void {
    const { capacity } = this.links.slots;
    this.dirtyLinks.resize(capacity);
    if (capacity === this.#parentAddress.length) return;
    this.#parentAddress = resized(this.#parentAddress, capacity);
    this.#parentLength = resized(this.#parentLength, capacity);
  }
}
