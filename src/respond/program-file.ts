// What the first bytes of a program file say of the files the kernel opens after it: a script's interpreter, an ELF program's loader. The kernel asks
// about those too, as if they were programs. Untrusted bytes: whatever they are, the answer is a path or nothing.

/** Bytes of the start of a file that nextFileOf wants: the kernel looks at as many for `#!`. */
const HEAD_BYTES = 256;

const ELF_CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const PT_INTERP = 3;
const HEADERS_MAX = 256;
const PATH_BYTES_MAX = 4096;

/** The next file the kernel opens to run this one. */
export interface NextFile {
  readonly kind: "interpreter" | "loader";
  readonly path: string;
}

/** Reads part of the file; fewer bytes at its end. */
export type ReadAt = (offsetBytes: number, byteLength: number) => Uint8Array;

/** See the head of this file. `undefined`: the kernel opens nothing more. */
export function nextFileOf(read: ReadAt): NextFile | undefined {
  const head = read(0, HEAD_BYTES);
  if (head[0] === 0x23 && head[1] === 0x21) {
    const path = interpreterOf(head);
    return path === "" ? undefined : { kind: "interpreter", path };
  }
  const path = loaderOf(head, read);
  return path === undefined || path === "" ? undefined : { kind: "loader", path };
}

function interpreterOf(head: Uint8Array): string {
  const text = textOf(head.subarray(2));
  return /^[ \t]*([^ \t\n\0]*)/.exec(text)?.[1] ?? "";
}

function loaderOf(head: Uint8Array, read: ReadAt): string | undefined {
  if (head.byteLength < 64 || textOf(head.subarray(0, 4)) !== "\x7fELF" || head[5] !== LITTLE_ENDIAN) return undefined;
  const is64 = head[4] === ELF_CLASS_64;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const tableAt = is64 ? Number(view.getBigUint64(32, true)) : view.getUint32(28, true);
  const size = view.getUint16(is64 ? 54 : 42, true);
  const count = Math.min(view.getUint16(is64 ? 56 : 44, true), HEADERS_MAX);
  const sizeMin = is64 ? 56 : 32;
  if (size < sizeMin || !Number.isSafeInteger(tableAt)) return undefined;
  const table = read(tableAt, size * count);
  const headers = new DataView(table.buffer, table.byteOffset, table.byteLength);
  for (let at = 0; at + sizeMin <= table.byteLength; at += size) {
    if (headers.getUint32(at, true) !== PT_INTERP) continue;
    const offset = is64 ? Number(headers.getBigUint64(at + 8, true)) : headers.getUint32(at + 4, true);
    const length = is64 ? Number(headers.getBigUint64(at + 32, true)) : headers.getUint32(at + 16, true);
    if (!Number.isSafeInteger(offset) || length < 2 || length > PATH_BYTES_MAX) return undefined;
    return textOf(read(offset, length)).split("\0", 1)[0];
  }
  return undefined;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}
