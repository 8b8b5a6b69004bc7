// UTF-8 checks for bytes from outside. Records hold valid UTF-8 only: whoever takes bytes repairs them with the one treatment here.
import { isUtf8 as nativeIsUtf8 } from "node:buffer";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Whether the bytes are valid UTF-8. */
export function isUtf8(bytes: Uint8Array): boolean {
  return nativeIsUtf8(bytes);
}

/** Text of bytes that may be broken: each maximal broken piece becomes one U+FFFD, as the WHATWG Encoding standard says. */
export function repairUtf8(bytes: Uint8Array, offset: number, length: number): string {
  return decoder.decode(bytes.subarray(offset, offset + length));
}
