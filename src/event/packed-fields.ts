// Several fields as they stand in a record, made once for what many records share: setting them is a copy. Offsets count from the piece's own first
// byte. Data only; RecordBuilder.pack makes it, RecordBuilder.fieldsPacked puts it in.
import { EntryFlag, EntryType } from "#schema";

/** See the head of this file. */
export interface PackedFields {
  /** Pairs of words, as in a record. */
  readonly entries: Uint32Array;
  /** Strings, numbers and lists; a multiple of 8 bytes. */
  readonly words: Uint32Array;
  /** Words at which lists of offsets begin: their count, then the offsets. */
  readonly lists: Uint32Array;
}

/** Whether the payload of an entry with this head is an offset. */
export function isOffset(head: number): boolean {
  return ((head >>> 16) & 0xff) !== EntryType.Bool || isList(head);
}

/** Packs a builder's entries, whose offsets count from `base` bytes before the first of `words`. Takes both over. */
export function packFields(entries: Uint32Array, words: Uint32Array, base: number): PackedFields {
  const lists: number[] = [];
  for (let index = 0; index < entries.length; index += 2) {
    const head = entries[index]!;
    if (!isOffset(head)) continue;
    entries[index + 1]! -= base;
    if (!isList(head) || ((head >>> 16) & 0xff) === EntryType.Bool) continue;
    const list = entries[index + 1]! >>> 2;
    lists.push(list);
    for (let element = 1; element <= words[list]!; element++) words[list + element]! -= base;
  }
  return { entries, words, lists: Uint32Array.from(lists) };
}

function isList(head: number): boolean {
  return ((head >>> 24) & EntryFlag.Array) !== 0;
}
