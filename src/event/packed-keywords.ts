// A list of strings as it stands in a record's heap, made once for lists that many records carry: setting it is a copy. Offsets count from
// the piece's own first byte. Data only; RecordBuilder.keywordsPacked puts it in.
import { ARRAY_ELEMENTS_MAX, STRING_BYTES_MAX } from "#schema";

/** See the head of this file. Made by {@link packKeywords}. */
export interface PackedKeywords {
  /** Strings, then the array; a multiple of 8 bytes. Empty for a list the builder must cut, which it then sets as it would without. */
  readonly words: Uint32Array;
  /** Word at which the array begins: its count, then the offsets of the strings. */
  readonly arrayWord: number;
  readonly list: readonly string[];
}

/** Packs a list for {@link RecordBuilder.keywordsPacked}; a lone surrogate becomes U+FFFD. */
export function packKeywords(list: readonly string[]): PackedKeywords {
  const texts = list.map((text) => Buffer.from(text.toWellFormed(), "utf8"));
  const mustBeCut = list.length > ARRAY_ELEMENTS_MAX || texts.some((text) => text.length > STRING_BYTES_MAX);
  if (list.length === 0 || mustBeCut) return { words: new Uint32Array(0), arrayWord: 0, list };
  const arrayByte = texts.reduce((sum, text) => sum + padded(4 + text.length), 0);
  const bytes = Buffer.alloc(arrayByte + padded(4 + 4 * texts.length));
  let at = 0;
  bytes.writeUInt32LE(texts.length, arrayByte);
  for (const [index, text] of texts.entries()) {
    bytes.writeUInt32LE(text.length, at);
    bytes.set(text, at + 4);
    bytes.writeUInt32LE(at, arrayByte + 4 + 4 * index);
    at += padded(4 + text.length);
  }
  const words = new Uint32Array(bytes.length >>> 2);
  for (let index = 0; index < words.length; index++) words[index] = bytes.readUInt32LE(index * 4);
  return { words, arrayWord: arrayByte >>> 2, list };
}

function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}
