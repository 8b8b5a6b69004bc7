// Rows of a snapshot as state. Everything read is checked before it is used: a snapshot is a file, and files break. Rows are applied from the
// least recently used, which puts the lists back into their order.
import type { SavedState } from "#core";
import { validateRecord } from "#event";
import { ByteReader, Damage } from "./byte-codec.ts";
import { FORMAT_VERSION, OWN, RowKind, type SequencerParts } from "./checkpoint-writer.ts";
import { LINEAGES_PER_RULE } from "./lineage.ts";
import type { RuleRuntime } from "./rule-runtime.ts";
import { NONE } from "./slots.ts";
import { startPosition } from "./step-context.ts";

interface SavedRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A row with its reader behind the stamp. */
interface StampedRow {
  readonly stamp: number;
  readonly key: Uint8Array;
  readonly reader: ByteReader;
  readonly runtime: RuleRuntime | undefined;
}

/** Applies saved rows to an empty sequencer. Returns what is wrong with them; then the sequencer is as empty as before. */
export function restoreRows(parts: SequencerParts, state: SavedState): readonly string[] {
  const byOwner = new Map<string, SavedRow[]>();
  for (const { owner, key, value } of state) {
    const rows = byOwner.get(owner);
    if (rows === undefined) byOwner.set(owner, [{ key, value }]);
    else rows.push({ key, value });
  }
  if (byOwner.size === 0) return [];
  try {
    new Restoration(parts).run(byOwner);
    return [];
  } catch (error) {
    if (!(error instanceof Damage)) throw error;
    empty(parts);
    for (const owner of byOwner.keys()) parts.cleared.add(owner);
    return [error.message];
  }
}

/** Takes back what was applied before the damage was found. */
function empty({ events, buffer, store, lineages, position }: SequencerParts): void {
  for (const runtime of store.owners) {
    if (runtime === undefined) continue;
    store.dropOwner(runtime);
    lineages.dropOwner(runtime.owner);
    runtime.resetCounters();
  }
  lineages.dropLinks();
  lineages.goneLinks = [];
  lineages.evictions = 0;
  while (buffer.eventCount > 0) {
    const event = buffer.pop();
    buffer.freeHits(event);
    events.release(event);
  }
  Object.assign(position, startPosition());
}

class Restoration {
  /** Events by their number: rows that hold the same event share it again. */
  readonly #events = new Map<number, number>();
  /** Those the buffer does not hold. */
  readonly #borrowed: number[] = [];
  readonly #runtimes = new Map<string, RuleRuntime>();

  constructor(readonly parts: SequencerParts) {}

  run(byOwner: ReadonlyMap<string, readonly SavedRow[]>): void {
    const { store, lineages, cleared } = this.parts;
    for (const runtime of store.owners) if (runtime !== undefined) this.#runtimes.set(runtime.rule.id, runtime);
    const own = byOwner.get(OWN) ?? [];
    const head = headOf(own);
    if (head === undefined) throw new Damage("the sequencer's own row is missing");
    const reader = open(head, "the sequencer");
    checkVersion(reader);
    const keys: StampedRow[] = [];
    const marks: StampedRow[] = [];
    for (const [owner, rows] of byOwner) {
      if (owner === OWN) continue;
      const runtime = this.#accept(owner, rows);
      if (runtime === undefined) {
        cleared.add(owner);
        continue;
      }
      for (const row of rows) {
        if (row.key[0] === RowKind.Key) keys.push(stamped(row, runtime));
        else if (row.key[0] === RowKind.Mark) marks.push(stamped(row, runtime));
        else if (row.key[0] !== RowKind.Head) throw new Damage(`row of unknown kind ${row.key[0]}`);
      }
    }
    const links = own.filter(({ key }) => key[0] === RowKind.Link).map((row) => stamped(row, undefined));
    try {
      for (const row of keys.sort(byStamp)) this.#applyKey(row);
      for (const row of marks.sort(byStamp)) this.#applyMark(row);
      for (const row of links.sort(byStamp)) this.#applyLink(row);
      this.#applyOwn(reader);
    } finally {
      for (const event of this.#borrowed) this.parts.events.release(event);
    }
    lineages.dirtyMarks.take(() => true);
    lineages.dirtyLinks.take(() => true);
  }

  /** The loaded rule that the rows belong to, its counters set. */
  #accept(owner: string, rows: readonly SavedRow[]): RuleRuntime | undefined {
    const runtime = this.#runtimes.get(owner);
    const head = headOf(rows);
    if (runtime === undefined || head === undefined) return undefined;
    const reader = open(head, `rule "${owner}"`);
    checkVersion(reader);
    const { rule, counters } = runtime;
    if (reader.text() !== rule.fingerprint || (reader.u8() === 1) !== rule.matchAll) return undefined;
    counters.completions = reader.f64();
    counters.expiries = reader.f64();
    counters.longestChain = reader.f64();
    counters.keysCut = reader.f64();
    for (let cause = 0; cause < counters.evictions.length; cause++) counters.evictions[cause] = reader.f64();
    reader.end();
    runtime.isDirty = false;
    return runtime;
  }

  #applyOwn(reader: ByteReader): void {
    const { events, buffer, store, lineages, position } = this.parts;
    position.watermarkHi = reader.u32() | 0;
    position.watermarkLo = reader.u32();
    position.eventNumber = reader.f64();
    position.lateEvents = reader.f64();
    position.lateDrops = reader.f64();
    position.forcedReleases = reader.f64();
    store.order = reader.f64();
    store.keys.clock = reader.f64();
    lineages.marks.clock = reader.f64();
    lineages.links.clock = reader.f64();
    lineages.evictions = reader.f64();
    const owners: (RuleRuntime | undefined)[] = [];
    for (let count = reader.u32(); count > 0; count--) owners.push(this.#runtimes.get(reader.text()));
    for (let count = reader.u32(); count > 0; count--) {
      const event = this.#readEvent(reader);
      // One reference is the buffer's, one is taken back with the borrowed ones.
      events.share(event);
      let last = NONE;
      for (let hits = reader.u32(); hits > 0; hits--) {
        const runtime = owners[reader.below(owners.length)];
        const slots = reader.u32();
        if (runtime !== undefined) last = buffer.addHit(event, last, runtime.owner, slots);
      }
      buffer.push(event);
    }
    reader.end();
  }

  #applyKey({ stamp, key, reader, runtime }: StampedRow): void {
    const { store } = this.parts;
    const { matches, keys } = store;
    const hash = keys.hash(runtime!.owner, key, 1, key.length);
    if (keys.find(runtime!.owner, hash, key, 1, key.length) !== NONE) throw new Damage("a key is there twice");
    const row = store.addKey(runtime!, hash, key, 1, key.length);
    keys.stamp[row] = stamp;
    store.dirty.markSaved(row);
    const found: number[] = [];
    for (let count = reader.u32(); count > 0; count--) found.push(this.#readEvent(reader));
    const nodes: number[] = [];
    const lengths: number[] = [];
    try {
      for (let count = reader.u32(); count > 0; count--) {
        const event = found[reader.below(found.length)]!;
        const parent = reader.below(nodes.length + 1) - 1;
        if (parent !== NONE) matches.retainNode(nodes[parent]!);
        lengths.push(parent === NONE ? 1 : lengths[parent]! + 1);
        nodes.push(store.addNode(runtime!, event, parent === NONE ? NONE : nodes[parent]!));
      }
      for (const isWaiting of [false, true]) {
        for (let count = reader.u32(); count > 0; count--) this.#applyMatch(reader, row, { nodes, lengths, isWaiting });
      }
    } finally {
      // The matches have their own references now.
      for (const node of nodes.reverse()) runtime!.bytes -= matches.releaseChain(node);
    }
    reader.end();
  }

  #applyMatch(
    reader: ByteReader,
    row: number,
    chains: { readonly nodes: readonly number[]; readonly lengths: readonly number[]; readonly isWaiting: boolean },
  ): void {
    const { store } = this.parts;
    const { matches } = store;
    const runtime = store.runtimeOf(row);
    const { stageCount, plan } = runtime.table;
    const { isWaiting } = chains;
    const stage = reader.below(stageCount + 1);
    const node = reader.below(chains.nodes.length + 1) - 1;
    const length = node === NONE ? 0 : chains.lengths[node]!;
    const isSequence = plan.kind === "sequence";
    const above = matches.lists.tail[row]!;
    const isOutOfOrder = isSequence && !isWaiting && above !== NONE && matches.stage[above]! < stage;
    if (length !== (isSequence ? stage : Math.min(stage, 1)) || isOutOfOrder)
      throw new Damage(`partial match at stage ${stage} has ${length} events`);
    if (isWaiting !== (isSequence && stage === stageCount)) throw new Damage("partial match is in the wrong list");
    if (node !== NONE) matches.retainNode(chains.nodes[node]!);
    const match = store.addMatch(runtime, row, stage, node === NONE ? NONE : chains.nodes[node]!);
    if (isWaiting) store.restoreWaiting(runtime, match);
    else matches.insert(match, above);
    const hi = reader.u32() | 0;
    store.setDeadline(match, hi, reader.u32(), reader.f64());
    matches.hasLead[match] = reader.u8();
    matches.leadHi[match] = reader.u32() | 0;
    matches.leadLo[match] = reader.u32();
  }

  #applyMark({ stamp, key, reader, runtime }: StampedRow): void {
    const { lineages } = this.parts;
    const index = key[1] ?? LINEAGES_PER_RULE;
    if (index >= runtime!.table.plan.lineages.length) throw new Damage(`lineage ${index} is unknown`);
    const row = lineages.addMark(runtime!.owner * LINEAGES_PER_RULE + index, { bytes: key, from: 2, to: key.length });
    lineages.marks.stamp[row] = stamp;
    reader.end();
  }

  #applyLink({ stamp, key, reader }: StampedRow): void {
    const { lineages } = this.parts;
    if (key.length < 5) throw new Damage("link is cut off");
    const family = lineages.familyOf({ entityId: key[1]! | (key[2]! << 8), parentId: key[3]! | (key[4]! << 8) });
    const parent = reader.blob();
    const row = lineages.addLink(family, { bytes: key, from: 5, to: key.length }, { bytes: parent, from: 0, to: parent.length });
    lineages.links.stamp[row] = stamp;
    reader.end();
  }

  #readEvent(reader: ByteReader): number {
    const { events } = this.parts;
    const number = reader.f64();
    const record = reader.blob();
    const known = this.#events.get(number);
    if (known !== undefined) {
      if (!Buffer.from(events.copy(known).buffer).equals(record)) throw new Damage(`event ${number} is there in two forms`);
      return known;
    }
    const problem = validateRecord(record, 0, record.length);
    if (problem !== undefined) throw new Damage(problem);
    const event = events.add(record, 0, record.length, number);
    this.#events.set(number, event);
    this.#borrowed.push(event);
    return event;
  }
}

function headOf(rows: readonly SavedRow[]): Uint8Array | undefined {
  return rows.find(({ key }) => key[0] === RowKind.Head && key.length === 1)?.value;
}

function open(value: Uint8Array, whose: string): ByteReader {
  try {
    return new ByteReader(value);
  } catch (error) {
    throw error instanceof Damage ? new Damage(`Row of ${whose}: ${error.message}`) : error;
  }
}

function stamped({ key, value }: SavedRow, runtime: RuleRuntime | undefined): StampedRow {
  const reader = open(value, runtime === undefined ? "a link" : `rule "${runtime.rule.id}"`);
  return { stamp: reader.f64(), key, reader, runtime };
}

function byStamp(first: StampedRow, second: StampedRow): number {
  return first.stamp - second.stamp;
}

function checkVersion(reader: ByteReader): void {
  const version = reader.u32();
  if (version !== FORMAT_VERSION) throw new Damage(`format version ${version} is not ${FORMAT_VERSION}`);
}
