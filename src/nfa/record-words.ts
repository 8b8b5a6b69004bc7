// Reads a record's entries as words where a RecordView would make strings and bigints.
import { ENTRY_BYTES, Header, RECORD_HEADER_BYTES } from "#schema";
import { NONE } from "./slots.ts";

const ENTRY_WORDS: number = ENTRY_BYTES >>> 2;
const HEADER_WORDS: number = RECORD_HEADER_BYTES >>> 2;

/** Index of the first word of the field's entry in the record that starts at word `base`; NONE when it has no such field. */
export function fieldWord(words: Uint32Array, base: number, fieldId: number): number {
  const first = base + HEADER_WORDS;
  let low = 0;
  let high = (words[base + (Header.FieldCount >>> 2)]! >>> 16) - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const at = first + middle * ENTRY_WORDS;
    const id = words[at]! & 0xffff;
    if (id === fieldId) return at;
    if (id < fieldId) low = middle + 1;
    else high = middle - 1;
  }
  return NONE;
}
