// The `.klog` file: a file header, then blocks. A block is a header with its own checksum and a payload: records one after another, or the
// names of fields and categories that the records behind it use. Little endian. Numbers here are written to disk and never reused.
//
//   file header   KLOG_HEADER_BYTES: magic (8), u32 version, u32 CRC-32 of the bytes before it
//   block header  BLOCK_HEADER_BYTES, see BlockField
//   payload       as stored; when compressed, one zstd frame

/** First bytes of every `.klog` file; the high bit and the line ends catch transfers as text. */
export const KLOG_MAGIC: Uint8Array = Uint8Array.of(0x89, 0x4b, 0x4c, 0x4f, 0x47, 0x0d, 0x0a, 0x1a);
/** Version this code writes, and the newest it reads. */
export const KLOG_VERSION = 1;
/** Bytes of the file header. */
export const KLOG_HEADER_BYTES = 16;
/** Bytes of a block header. */
export const BLOCK_HEADER_BYTES = 32;
/** Most payload bytes of one block, before compression. */
export const BLOCK_BYTES_MAX: number = 1 << 20;
/** Most records of one block. */
export const BLOCK_RECORDS_MAX = 8192;

/** Byte offsets inside a block header. */
const enum BlockField {
  /** u32: BLOCK_MAGIC. */
  Magic = 0,
  /** u8: {@link BlockKind}. */
  Kind = 4,
  /** u8: {@link BlockFlag} bits. */
  Flags = 5,
  /** u32: payload bytes in the file. */
  StoredBytes = 8,
  /** u32: payload bytes before compression. */
  PlainBytes = 12,
  /** u32: records, or 0. */
  Count = 16,
  /** u32: CRC-32 of the payload as stored. */
  PayloadChecksum = 20,
  /** u32: zero. */
  Reserved = 24,
  /** u32: CRC-32 of the header bytes before this one. */
  HeaderChecksum = 28,
}

/** First word of a block: "KBLK". */
const BLOCK_MAGIC = 0x4b4c424b;

/** What a block's payload is. */
export const enum BlockKind {
  Records = 1,
  /** JSON: `{"fields":[[id,name,type]…],"categories":[[id,name]…]}`; adds to the names before it, and replaces those of the same ids. */
  Names = 2,
}

/** How a block's payload is stored. */
export const enum BlockFlag {
  Zstd = 1,
}

/** A block header, read. */
export interface BlockHeader {
  readonly kind: number;
  readonly flags: number;
  readonly storedBytes: number;
  readonly plainBytes: number;
  readonly count: number;
  readonly checksum: number;
}

/** The file header. */
export function fileHeader(): Uint8Array {
  const bytes = new Uint8Array(KLOG_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(KLOG_MAGIC);
  view.setUint32(8, KLOG_VERSION, true);
  view.setUint32(12, checksumOf(bytes.subarray(0, 12)), true);
  return bytes;
}

/** Version in a file header; a text when it is none. */
export function readFileHeader(bytes: Uint8Array): number | string {
  if (bytes.length < KLOG_HEADER_BYTES || KLOG_MAGIC.some((byte, index) => bytes[index] !== byte)) return "it does not start as one";
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (view.getUint32(12, true) !== checksumOf(bytes.subarray(0, 12))) return "its header is damaged";
  return view.getUint32(8, true);
}

/** Writes a block header into `out`. */
export function writeBlockHeader(out: Uint8Array, header: BlockHeader): void {
  const view = new DataView(out.buffer, out.byteOffset, BLOCK_HEADER_BYTES);
  view.setUint32(BlockField.Magic, BLOCK_MAGIC, true);
  view.setUint32(BlockField.Kind, header.kind | (header.flags << 8), true);
  view.setUint32(BlockField.StoredBytes, header.storedBytes, true);
  view.setUint32(BlockField.PlainBytes, header.plainBytes, true);
  view.setUint32(BlockField.Count, header.count, true);
  view.setUint32(BlockField.PayloadChecksum, header.checksum, true);
  view.setUint32(BlockField.Reserved, 0, true);
  view.setUint32(BlockField.HeaderChecksum, checksumOf(out.subarray(0, BlockField.HeaderChecksum)), true);
}

/** Reads a block header; a text when its bytes cannot be trusted, its lengths included. */
export function readBlockHeader(bytes: Uint8Array): BlockHeader | string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, BLOCK_HEADER_BYTES);
  if (view.getUint32(BlockField.Magic, true) !== BLOCK_MAGIC) return "no block starts here";
  if (view.getUint32(BlockField.HeaderChecksum, true) !== checksumOf(bytes.subarray(0, BlockField.HeaderChecksum)))
    return "block header is damaged";
  const header: BlockHeader = {
    kind: bytes[BlockField.Kind]!,
    flags: bytes[BlockField.Flags]!,
    storedBytes: view.getUint32(BlockField.StoredBytes, true),
    plainBytes: view.getUint32(BlockField.PlainBytes, true),
    count: view.getUint32(BlockField.Count, true),
    checksum: view.getUint32(BlockField.PayloadChecksum, true),
  };
  if (header.storedBytes > BLOCK_BYTES_MAX * 2 || header.plainBytes > BLOCK_BYTES_MAX) return "block is larger than any can be";
  return header;
}

/** CRC-32 of bytes. */
export function checksumOf(bytes: Uint8Array): number {
  return Bun.hash.crc32(bytes);
}
