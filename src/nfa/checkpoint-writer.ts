// State as rows of a snapshot. A rule's rows belong to the rule's id: one with its fingerprint and counters, one for each key with its partial
// matches and the events they hold, one for each marked process. The rest belongs to the empty id: links, and one row for the sequencer itself.
import type { StateRow } from "#core";
import { ByteWriter } from "./byte-codec.ts";
import type { EventPool } from "./event-pool.ts";
import { LINEAGES_PER_RULE, type Lineages } from "./lineage.ts";
import type { MatchPool } from "./match-pool.ts";
import type { ReorderBuffer } from "./reorder-buffer.ts";
import type { RuleRuntime } from "./rule-runtime.ts";
import { NONE } from "./slots.ts";
import type { StateStore } from "./state-store.ts";
import type { Position } from "./step-context.ts";

/** Version of all rows. Another one is not read. */
export const FORMAT_VERSION = 1;
/** Owner of what belongs to no rule. */
export const OWN = "";

/** First byte of a row's key. */
export const enum RowKind {
  /** Of a rule: fingerprint and counters. Of the sequencer: position, counters, reorder buffer. */
  Head = 0,
  Key = 1,
  Mark = 2,
  Link = 3,
}

/** All of a sequencer that a snapshot holds. */
export interface SequencerParts {
  readonly events: EventPool;
  readonly buffer: ReorderBuffer;
  readonly store: StateStore;
  readonly lineages: Lineages;
  readonly position: Position;
  /** Owners all of whose rows are to go. */
  readonly cleared: Set<string>;
}

/** Rows that changed since the last call. */
export function changedRows(parts: SequencerParts): readonly StateRow[] {
  const rows: StateRow[] = [];
  const writer = new ByteWriter();
  goneRows(parts, rows);
  for (const runtime of parts.store.owners) {
    if (runtime?.isDirty !== true) continue;
    runtime.isDirty = false;
    rows.push({ owner: runtime.rule.id, key: headKey(), value: ruleRow(writer, runtime) });
  }
  keyRows(parts.store, writer, rows);
  lineageRows(parts, writer, rows);
  rows.push({ owner: OWN, key: headKey(), value: ownRow(parts, writer) });
  return rows;
}

/** Key of an owner's first row. */
function headKey(): Uint8Array {
  return Uint8Array.of(RowKind.Head);
}

function prefixed(key: Uint8Array, ...prefix: readonly number[]): Uint8Array {
  const row = new Uint8Array(prefix.length + key.length);
  row.set(prefix);
  row.set(key, prefix.length);
  return row;
}

function markKey(set: number, key: Uint8Array): Uint8Array {
  return prefixed(key, RowKind.Mark, set % LINEAGES_PER_RULE);
}

function linkKey(lineages: Lineages, family: number, key: Uint8Array): Uint8Array {
  const { entityId, parentId } = lineages.families[family]!;
  return prefixed(key, RowKind.Link, entityId & 255, entityId >>> 8, parentId & 255, parentId >>> 8);
}

// Before the rows that changed: a key that went and came back has both.
function goneRows({ store, lineages }: SequencerParts, rows: StateRow[]): void {
  const idOf = (owner: number): string => store.owners[owner]!.rule.id;
  for (const { owner, key } of store.goneKeys) rows.push({ owner: idOf(owner), key: prefixed(key, RowKind.Key), value: undefined });
  for (const { set, key } of lineages.goneMarks) {
    rows.push({ owner: idOf(Math.floor(set / LINEAGES_PER_RULE)), key: markKey(set, key), value: undefined });
  }
  for (const { family, key } of lineages.goneLinks) rows.push({ owner: OWN, key: linkKey(lineages, family, key), value: undefined });
  store.goneKeys = [];
  lineages.goneMarks = [];
  lineages.goneLinks = [];
}

function ruleRow(writer: ByteWriter, { rule, counters }: RuleRuntime): Uint8Array {
  writer
    .u32(FORMAT_VERSION)
    .text(rule.fingerprint)
    .u8(rule.matchAll ? 1 : 0);
  writer.f64(counters.completions).f64(counters.expiries).f64(counters.longestChain).f64(counters.keysCut);
  for (const count of counters.evictions) writer.f64(count);
  return writer.finish();
}

function keyRows(store: StateStore, writer: ByteWriter, rows: StateRow[]): void {
  const { keys } = store;
  const encoder = new KeyEncoder(store, writer);
  store.dirty.take((key) => {
    const owner = keys.ownerOf(key);
    if (owner === NONE) return false;
    rows.push({ owner: store.owners[owner]!.rule.id, key: prefixed(keys.keyOf(key), RowKind.Key), value: encoder.encode(key) });
    return true;
  });
}

/** Writes a key's matches: its events, then its nodes, then its matches, each naming the ones before by position. */
class KeyEncoder {
  readonly #matches: MatchPool;
  readonly #eventAt = new Map<number, number>();
  readonly #nodeAt = new Map<number, number>();

  constructor(
    readonly store: StateStore,
    readonly writer: ByteWriter,
  ) {
    this.#matches = store.matches;
  }

  encode(key: number): Uint8Array {
    const { store, writer } = this;
    const matches = this.#matches;
    const { head, waitingHead } = matches.lists;
    this.#eventAt.clear();
    this.#nodeAt.clear();
    for (const list of [head, waitingHead]) {
      for (let match = list[key]!; match !== NONE; match = matches.next[match]!) this.#collect(matches.node[match]!);
    }
    writer.f64(store.keys.stamp[key]!).u32(this.#eventAt.size);
    for (const event of this.#eventAt.keys()) writer.f64(store.events.number[event]!).blob(store.events.copy(event));
    writer.u32(this.#nodeAt.size);
    for (const node of this.#nodeAt.keys()) {
      const parent = matches.nodeParent[node]!;
      writer.u32(this.#eventAt.get(matches.nodeEvent[node]!)!).u32(parent === NONE ? 0 : this.#nodeAt.get(parent)! + 1);
    }
    for (const list of [head, waitingHead]) this.#writeList(list[key]!);
    return writer.finish();
  }

  // A node's parent stands before it; chains can be long, so no recursion.
  #collect(last: number): void {
    const chain: number[] = [];
    for (let node = last; node !== NONE && !this.#nodeAt.has(node); node = this.#matches.nodeParent[node]!) chain.push(node);
    for (const node of chain.reverse()) {
      const event = this.#matches.nodeEvent[node]!;
      if (!this.#eventAt.has(event)) this.#eventAt.set(event, this.#eventAt.size);
      this.#nodeAt.set(node, this.#nodeAt.size);
    }
  }

  #writeList(first: number): void {
    const { writer } = this;
    const matches = this.#matches;
    const { deadlineHi, deadlineLo, order } = matches.timers;
    let count = 0;
    for (let match = first; match !== NONE; match = matches.next[match]!) count++;
    writer.u32(count);
    for (let match = first; match !== NONE; match = matches.next[match]!) {
      const node = matches.node[match]!;
      writer.u32(matches.stage[match]!).u32(node === NONE ? 0 : this.#nodeAt.get(node)! + 1);
      writer.u32(deadlineHi[match]!).u32(deadlineLo[match]!).f64(order[match]!);
      writer.u8(matches.hasLead[match]!).u32(matches.leadHi[match]!).u32(matches.leadLo[match]!);
    }
  }
}

function lineageRows({ store, lineages }: SequencerParts, writer: ByteWriter, rows: StateRow[]): void {
  const { marks, links } = lineages;
  lineages.dirtyMarks.take((row) => {
    const set = marks.ownerOf(row);
    if (set === NONE) return false;
    const owner = store.owners[Math.floor(set / LINEAGES_PER_RULE)]!.rule.id;
    rows.push({ owner, key: markKey(set, marks.keyOf(row)), value: writer.f64(marks.stamp[row]!).finish() });
    return true;
  });
  lineages.dirtyLinks.take((row) => {
    const family = links.ownerOf(row);
    if (family === NONE) return false;
    const value = writer.f64(links.stamp[row]!).blob(lineages.parentOf(row)).finish();
    rows.push({ owner: OWN, key: linkKey(lineages, family, links.keyOf(row)), value });
    return true;
  });
}

function ownRow({ events, buffer, store, lineages, position }: SequencerParts, writer: ByteWriter): Uint8Array {
  writer.u32(FORMAT_VERSION).u32(position.watermarkHi).u32(position.watermarkLo);
  writer.f64(position.eventNumber).f64(position.lateEvents).f64(position.lateDrops).f64(position.forcedReleases);
  writer.f64(store.order).f64(store.keys.clock).f64(lineages.marks.clock).f64(lineages.links.clock).f64(lineages.evictions);
  writer.u32(store.owners.length);
  for (const runtime of store.owners) writer.text(runtime?.rule.id ?? OWN);
  writer.u32(buffer.eventCount);
  for (const event of buffer.all()) {
    writer.f64(events.number[event]!).blob(events.copy(event));
    let hits = 0;
    for (let hit = events.firstHit[event]!; hit !== NONE; hit = buffer.hitNext[hit]!) if (buffer.hitOwner[hit] !== NONE) hits++;
    writer.u32(hits);
    for (let hit = events.firstHit[event]!; hit !== NONE; hit = buffer.hitNext[hit]!) {
      if (buffer.hitOwner[hit] !== NONE) writer.u32(buffer.hitOwner[hit]!).u32(buffer.hitSlots[hit]!);
    }
  }
  return writer.finish();
}
