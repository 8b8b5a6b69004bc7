// Arguments of a process from the bytes the kernel holds: each ended by a NUL. Whatever the process put there is data; nothing is trusted
// to be UTF-8, to have an end, or to be short.
import { ARRAY_ELEMENTS_MAX } from "#schema";

/** Arguments as text. */
export interface ArgumentList {
  /** At most ARRAY_ELEMENTS_MAX of them. */
  readonly args: readonly string[];
  /** How many the bytes hold. */
  readonly count: number;
}

/** Splits the bytes. The last argument may lack its NUL when the bytes were cut. */
export function splitArguments(bytes: Uint8Array): ArgumentList {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const args: string[] = [];
  let count = 0;
  for (let start = 0; start < buffer.length; count++) {
    const nul = buffer.indexOf(0, start);
    const end = nul < 0 ? buffer.length : nul;
    if (args.length < ARRAY_ELEMENTS_MAX) args.push(buffer.toString("utf8", start, end));
    start = end + 1;
  }
  return { args, count };
}

/** The first arguments that have at most `bytesMax` UTF-16 units together; the one that passes the limit is cut. */
export function firstArguments(args: readonly string[], bytesMax: number): readonly string[] {
  let room = bytesMax;
  for (const [index, argument] of args.entries()) {
    room -= argument.length + 1;
    if (room < 0) return [...args.slice(0, index), argument.slice(0, Math.max(0, argument.length + room + 1))];
  }
  return args;
}
