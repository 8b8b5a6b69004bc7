// Checks record bytes from outside (files, other processes). Invariant: after `undefined`, no reader of the record (view, Wasm guest, Lua
// prelude) reads outside it. The text inside strings is not checked; readers take any bytes there.
import {
  ARRAY_ELEMENTS_MAX,
  ENTRY_BYTES,
  EntryFlag,
  EntryType,
  Header,
  RECORD_BYTES_MAX,
  RECORD_FIELDS_MAX,
  RECORD_HEADER_BYTES,
  STRING_BYTES_MAX,
} from "#schema";

/** Why the bytes at `offset` are no record that ends at or before `limit`; `undefined` when they are one. */
export function validateRecord(bytes: Uint8Array, offset: number, limit: number): string | undefined {
  const end = Math.min(limit, bytes.length);
  if (offset < 0 || (offset & 7) !== 0) return `record offset ${offset} is not a multiple of 8`;
  if (offset + RECORD_HEADER_BYTES > end) return "record header is cut off";
  const size = word(bytes, offset + Header.Size);
  if (size < RECORD_HEADER_BYTES || size > RECORD_BYTES_MAX || (size & 7) !== 0) return `record size ${size} is impossible`;
  if (offset + size > end) return `record of ${size} bytes is cut off`;
  const count = bytes[offset + Header.FieldCount]! | (bytes[offset + Header.FieldCount + 1]! << 8);
  const heap = RECORD_HEADER_BYTES + count * ENTRY_BYTES;
  if (count > RECORD_FIELDS_MAX || heap > size) return `${count} fields do not fit a record of ${size} bytes`;
  const range: Heap = { heap, size, textBytes: 0 };
  let previousId = 0;
  let shape = 0x811c9dc5;
  for (let index = 0; index < count; index++) {
    const at = offset + RECORD_HEADER_BYTES + index * ENTRY_BYTES;
    const head = word(bytes, at);
    const id = head & 0xffff;
    if (id <= previousId) return `field ids are not ascending at entry ${index}`;
    previousId = id;
    const problem = checkEntry(bytes, offset, range, head, word(bytes, at + 4));
    if (problem !== undefined) return `field ${id}: ${problem}`;
    shape = Math.imul(shape ^ head, 0x01000193);
  }
  if (shape >>> 0 !== word(bytes, offset + Header.Shape)) return "shape hash does not fit the fields";
  return undefined;
}

interface Heap {
  readonly heap: number;
  readonly size: number;
  /** Bytes of all strings so far: thousands of list elements that share one long string would be read as gigabytes. */
  textBytes: number;
}

function checkEntry(bytes: Uint8Array, offset: number, range: Heap, head: number, payload: number): string | undefined {
  const type = (head >>> 16) & 0xff;
  const flags = head >>> 24;
  if (type > EntryType.Date) return `unknown type ${type}`;
  if ((flags & ~(EntryFlag.Array | EntryFlag.Truncated)) !== 0) return `unknown flags ${flags}`;
  if ((flags & EntryFlag.Array) === 0) return checkPayload(bytes, offset, range, type, payload);
  if (payload < range.heap || (payload & 7) !== 0 || payload + 8 > range.size) return `list offset ${payload} is outside the record`;
  const count = word(bytes, offset + payload);
  if (count === 0 || count > ARRAY_ELEMENTS_MAX || payload + 4 + count * 4 > range.size) return `list of ${count} does not fit the record`;
  for (let index = 0; index < count; index++) {
    const problem = checkPayload(bytes, offset, range, type, word(bytes, offset + payload + 4 + index * 4));
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function checkPayload(bytes: Uint8Array, offset: number, range: Heap, type: number, payload: number): string | undefined {
  if (type === EntryType.Bool) return payload > 1 ? `boolean is ${payload}` : undefined;
  if (payload < range.heap || (payload & 7) !== 0 || payload + 8 > range.size) return `value offset ${payload} is outside the record`;
  if (type !== EntryType.Keyword && type !== EntryType.Ip) return undefined;
  const length = word(bytes, offset + payload);
  if (length > STRING_BYTES_MAX || payload + 4 + length > range.size) return `string of ${length} bytes does not fit the record`;
  range.textBytes += length;
  return range.textBytes > range.size ? "strings overlap" : undefined;
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
