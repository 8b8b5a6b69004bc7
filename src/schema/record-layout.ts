// Layout of a record: the one event format (header, field entries sorted by field id, heap). Little endian, all offsets in bytes.
//
//   header    RECORD_HEADER_BYTES
//   entries   fieldCount × ENTRY_BYTES, ascending by field id
//   heap      8-byte aligned pieces: strings, 64-bit numbers, arrays
//
// A scalar's payload word is: bool the value 0/1 itself; keyword, ip the offset of { u32 byteLength, UTF-8 bytes, zero padding to 8 };
// i64, u64, f64, date the offset of 8 bytes. With EntryFlag.Array the payload is the offset of { u32 count, count × payload word }.
// Offsets count from the record's first byte.

/** Byte offsets inside a record's header. */
export const enum Header {
  /** u32: bytes of the whole record, a multiple of 8. */
  Size = 0,
  /** u16: category id, see CategoryTable. */
  Category = 4,
  /** u16: number of field entries. */
  FieldCount = 6,
  /** u32: FNV-1a hash over the first word (id, type, flags) of every entry, a word at a time; equal shapes have equal entry positions. */
  Shape = 8,
  /** u32: {@link RecordFlag} bits. */
  Flags = 12,
  /** u64: position in the source's order, given by the bus. */
  Seq = 16,
  /** i64: event time, nanoseconds since 1970-01-01 UTC. */
  Time = 24,
}

/** Bytes of a record's header. */
export const RECORD_HEADER_BYTES = 32;

/** Bits of the header's flags word. */
export const enum RecordFlag {
  /** Some string of this record was cut at a limit; the entry carries EntryFlag.Truncated. */
  Truncated = 1,
  /** The event had no usable time; the header's time is that of the event before it in its source. */
  TimeUnknown = 2,
}

/** Byte offsets inside one field entry. */
export const enum Entry {
  /** u16: field id. */
  FieldId = 0,
  /** u8: {@link EntryType}. */
  Type = 2,
  /** u8: {@link EntryFlag} bits. */
  Flags = 3,
  /** u32: payload word. */
  Payload = 4,
}

/** Bytes of one field entry. */
export const ENTRY_BYTES = 8;

/** Type code of an entry; a `keyword[]` field is Keyword with EntryFlag.Array. Numbers are never reused: `.klog` files hold them. */
export const enum EntryType {
  Keyword = 0,
  I64 = 1,
  U64 = 2,
  F64 = 3,
  Bool = 4,
  Ip = 5,
  Date = 6,
}

/** Bits of an entry's flags byte. */
export const enum EntryFlag {
  Array = 1,
  Truncated = 2,
}

/** Most bytes of one record. A builder that would pass it cuts strings and sets the Truncated flags. */
export const RECORD_BYTES_MAX: number = 1 << 20;
/** Most bytes of one string in a record. */
export const STRING_BYTES_MAX: number = 256 << 10;
/** Most field entries of one record. */
export const RECORD_FIELDS_MAX = 1024;
/** Most elements of one array in a record. */
export const ARRAY_ELEMENTS_MAX = 16384;
