// Fields of the record at hand. One pass over its entries fills the slots of the fields that predicates read; folded copies and the ids of
// constants are made when first asked for. An entry whose type is not the declared one is left out: the field is missing.
//
// A slot: { count, words, type, table, foldedTable, idsEpoch, ids, foldedIdsEpoch, foldedIds, foldedEpoch, foldedWords, fieldId }, u32 each.
// `words` are payload words of the elements; a string's word is its offset from the record, also for folded copies elsewhere (modulo 2^32).
import { keep, resetArenas } from "./arena";
import { foldKept } from "./fold";
import { regexAny, wildcardAny } from "./pattern";
import { FIELD_COUNT, FIELD_MAP, MEMO_END, MEMO_START, SLOT_COUNT, SLOTS, epoch, record, setEpoch, setRecord } from "./program";
import { contains, endsWith, equal, hash, sizeOf, startsWith } from "./text";

const SLOT_BYTES: u32 = 48;
const WORDS: usize = 4;
const TYPE: usize = 8;
const TABLE: usize = 12;
const IDS_EPOCH: usize = 20;
const IDS: usize = 24;
const FOLDED_EPOCH: usize = 36;
const FOLDED_WORDS: usize = 40;

const HEADER_BYTES: usize = 32;
const ENTRY_BYTES: usize = 8;
const ENTRY_ARRAY: u32 = 1;

/** The three truths. */
const FALSE: i32 = 0;
const TRUE: i32 = 1;
const NULL: i32 = 2;

/** Makes `address` the record at hand. */
export function enterRecord(address: usize): void {
  setRecord(address);
  resetArenas();
  const next = epoch + 1;
  setEpoch(next);
  if (next == 0) forgetStamps();
  const map = load<u32>(FIELD_MAP);
  const known = load<u32>(FIELD_COUNT);
  const end = address + HEADER_BYTES + (<usize>load<u16>(address + 6) << 3);
  for (let entry: usize = address + HEADER_BYTES; entry < end; entry += ENTRY_BYTES) {
    const id: u32 = load<u16>(entry);
    if (id >= known) return;
    const slot = load<u32>(map + (id << 2));
    if (slot == 0 || load<u8>(entry + 2) != load<u32>(slot + TYPE)) continue;
    if (load<u8>(entry + 3) & ENTRY_ARRAY) {
      const list = address + load<u32>(entry + 4);
      store<u32>(slot, load<u32>(list));
      store<u32>(slot + WORDS, <u32>(list + 4));
    } else {
      store<u32>(slot, 1);
      store<u32>(slot + WORDS, <u32>(entry + 4));
    }
  }
}

/** Empties the slots after an event. */
export function leaveRecord(): void {
  const start = load<u32>(SLOTS);
  const end = start + load<u32>(SLOT_COUNT) * SLOT_BYTES;
  for (let slot: usize = start; slot < end; slot += SLOT_BYTES) store<u32>(slot, 0);
}

/** After 2^32 events the epoch begins anew, and what was stamped long ago must not look fresh. */
function forgetStamps(): void {
  const memo = load<u32>(MEMO_START);
  memory.fill(memo, 0, load<u32>(MEMO_END) - memo);
  const start = load<u32>(SLOTS);
  const end = start + load<u32>(SLOT_COUNT) * SLOT_BYTES;
  for (let slot: usize = start; slot < end; slot += SLOT_BYTES) {
    store<u32>(slot + IDS_EPOCH, 0);
    store<u32>(slot + IDS_EPOCH + 8, 0);
    store<u32>(slot + FOLDED_EPOCH, 0);
  }
  setEpoch(1);
}

/** Payload words of a field's elements, folded or as they are. */
export function wordsOf(slot: usize, folded: i32): usize {
  if (!folded) return <usize>load<u32>(slot + WORDS);
  if (load<u32>(slot + FOLDED_EPOCH) == epoch) return load<u32>(slot + FOLDED_WORDS);
  const count = load<u32>(slot);
  const words = <usize>load<u32>(slot + WORDS);
  const copies = keep(<usize>count << 2);
  for (let at: u32 = 0; at < count << 2; at += 4) {
    store<u32>(copies + at, <u32>(foldKept(record + load<u32>(words + at)) - record));
  }
  store<u32>(slot + FOLDED_EPOCH, epoch);
  store<u32>(slot + FOLDED_WORDS, <u32>copies);
  return copies;
}

/** For each element of a field the id of the constant it equals, 0 for none. */
export function idsOf(slot: usize, folded: i32): usize {
  const stamp = slot + IDS_EPOCH + (<usize>folded << 3);
  if (load<u32>(stamp) == epoch) return load<u32>(stamp + 4);
  const count = load<u32>(slot);
  const words = wordsOf(slot, folded);
  const table = load<u32>(slot + TABLE + (<usize>folded << 2));
  const ids = keep(<usize>count << 2);
  for (let at: u32 = 0; at < count << 2; at += 4) store<u32>(ids + at, lookup(table, record + load<u32>(words + at)));
  store<u32>(stamp, epoch);
  store<u32>(stamp + 4, <u32>ids);
  return ids;
}

/** Id of a text in a table { mask, bytesMax, (hash, text, id, 0)… }, open addressing; 0 when it is not there. */
function lookup(table: usize, text: usize): u32 {
  if (sizeOf(text) > load<u32>(table + 4)) return 0;
  const mask = load<u32>(table);
  const code = hash(text);
  let index = code & mask;
  let entry = table + 8 + (<usize>index << 4);
  while (load<u32>(entry + 4) != 0) {
    if (load<u32>(entry) == code && equal(load<u32>(entry + 4), text)) return load<u32>(entry + 8);
    index = (index + 1) & mask;
    entry = table + 8 + (<usize>index << 4);
  }
  return 0;
}

// @ts-ignore: decorator
@inline
function outcome(count: u32): i32 {
  return count == 0 ? NULL : FALSE;
}

/** Whether an element of the field is the constant with this id. */
export function fieldIs(slot: usize, folded: i32, id: u32): i32 {
  const count = load<u32>(slot);
  if (count == 0) return NULL;
  const ids = idsOf(slot, folded);
  for (let at: u32 = 0; at < count << 2; at += 4) {
    if (load<u32>(ids + at) == id) return TRUE;
  }
  return FALSE;
}

/** Whether an element of the field is a constant whose bit is set. */
export function fieldIn(slot: usize, folded: i32, bits: usize): i32 {
  const count = load<u32>(slot);
  if (count == 0) return NULL;
  const ids = idsOf(slot, folded);
  for (let at: u32 = 0; at < count << 2; at += 4) {
    const id = load<u32>(ids + at);
    if ((load<u8>(bits + (id >> 3)) >> (id & 7)) & 1) return TRUE;
  }
  return FALSE;
}

/** Whether an element matches one of the wildcard patterns. */
export function fieldLike(slot: usize, folded: i32, patterns: usize): i32 {
  const count = load<u32>(slot);
  if (count == 0) return NULL;
  const words = wordsOf(slot, folded);
  for (let at: u32 = 0; at < count << 2; at += 4) {
    if (wildcardAny(record + load<u32>(words + at), patterns)) return TRUE;
  }
  return FALSE;
}

/** Whether an element is accepted by one of the automata; those that ignore case have it in their tables. */
export function fieldRegex(slot: usize, tables: usize): i32 {
  const count = load<u32>(slot);
  const words = <usize>load<u32>(slot + WORDS);
  for (let at: u32 = 0; at < count << 2; at += 4) {
    if (regexAny(record + load<u32>(words + at), tables)) return TRUE;
  }
  return outcome(count);
}

/** Whether an element holds `part` in a place; `test` as in {@link textTest}. */
export function fieldTest(slot: usize, folded: i32, test: i32, part: usize): i32 {
  const count = load<u32>(slot);
  if (count == 0) return NULL;
  const words = wordsOf(slot, folded);
  for (let at: u32 = 0; at < count << 2; at += 4) {
    if (textTest(record + load<u32>(words + at), part, test)) return TRUE;
  }
  return FALSE;
}

/** 0 startsWith, 1 endsWith, 2 contains (never an empty part), 3 contains or empty. */
export function textTest(text: usize, part: usize, test: i32): bool {
  if (test == 0) return startsWith(text, part);
  if (test == 1) return endsWith(text, part);
  return (test == 3 || sizeOf(part) != 0) && contains(text, part);
}

/** Whether the event is of a category: by its header, or, where that names none, by the elements of the category field. */
export function isCategory(id: u32, slot: usize, name: usize): i32 {
  const own: u32 = load<u16>(record + 4);
  if (own == id && id != 1) return TRUE;
  if (own != 1 && own != 2) return FALSE;
  const count = load<u32>(slot);
  const words = <usize>load<u32>(slot + WORDS);
  for (let at: u32 = 0; at < count << 2; at += 4) {
    if (equal(record + load<u32>(words + at), name)) return TRUE;
  }
  return FALSE;
}
