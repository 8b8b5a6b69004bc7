// Walks the blocks of an open `.klog` file. Tells damage that can be stepped over (payload) from damage that cannot (header, torn tail).
import { readSync } from "node:fs";
import { EventFileError } from "./file-error.ts";
import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  checksumOf,
  KLOG_HEADER_BYTES,
  KLOG_VERSION,
  readBlockHeader,
  readFileHeader,
} from "./klog-format.ts";

/** What stands at a position: a block, a block whose payload is damaged, the end, or bytes that are no whole block. */
export type ScanResult =
  | { readonly kind: "block"; readonly header: BlockHeader; readonly payload: Uint8Array; readonly end: number }
  | { readonly kind: "damaged"; readonly header: BlockHeader; readonly problem: string; readonly end: number }
  | { readonly kind: "end" }
  | { readonly kind: "stop"; readonly problem: string };

/** Checks the file header. Throws {@link EventFileError} unless this code reads such files. */
export function checkFileHeader(file: number, path: string): void {
  const bytes = new Uint8Array(KLOG_HEADER_BYTES);
  const version = readFileHeader(bytes.subarray(0, readFully(file, bytes, 0)));
  if (typeof version === "string") throw new EventFileError("not-klog", `"${path}" is not a .klog file: ${version}`);
  if (version > KLOG_VERSION) {
    throw new EventFileError("newer-version", `"${path}" is .klog version ${version}, this Kestrel reads up to ${KLOG_VERSION}: update it`);
  }
}

/** Reads what stands at `position` of a file of `size` bytes. */
export function scanBlock(file: number, position: number, size: number): ScanResult {
  if (position === size) return { kind: "end" };
  if (position + BLOCK_HEADER_BYTES > size) return { kind: "stop", problem: "block header is cut off" };
  const head = new Uint8Array(BLOCK_HEADER_BYTES);
  if (readFully(file, head, position) < BLOCK_HEADER_BYTES) return { kind: "stop", problem: "block header is cut off" };
  const header = readBlockHeader(head);
  if (typeof header === "string") return { kind: "stop", problem: header };
  const end = position + BLOCK_HEADER_BYTES + header.storedBytes;
  if (end > size) return { kind: "stop", problem: "block is cut off" };
  const payload = new Uint8Array(header.storedBytes);
  if (readFully(file, payload, position + BLOCK_HEADER_BYTES) < payload.length) return { kind: "stop", problem: "block is cut off" };
  if (checksumOf(payload) !== header.checksum) return { kind: "damaged", header, problem: "block checksum does not fit", end };
  return { kind: "block", header, payload, end };
}

function readFully(file: number, bytes: Uint8Array, position: number): number {
  let done = 0;
  while (done < bytes.length) {
    const count = readSync(file, bytes, done, bytes.length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}
