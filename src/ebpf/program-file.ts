// Reads the file of a program that was started and says what is in it. The path is a watched process's and may lead elsewhere by now: what is
// opened counts only if device, inode, size and time of the last change are those the kernel saw at the exec, before and after reading.
// Nothing here waits for a file system in our own thread: one that a process serves may never answer, not even to a close. Looked up, read and
// closed by the threads of the runtime, hashed here between other work, a fraction of a millisecond at a time.
import { type BigIntStats, close, constants, fstat, open, read } from "node:fs";
import { stat } from "node:fs/promises";
import { type ElfFacts, readElf } from "./elf.ts";

/** A file to look at, as the kernel saw it. */
export interface ProgramFile {
  readonly pid: number;
  readonly ppid: number;
  /** As the process saw it. */
  readonly path: string;
  /** As the kernel counts: major << 20 | minor. */
  readonly device: number;
  readonly inode: bigint;
  readonly sizeBytes: number;
  readonly changeNs: bigint;
}

/** What a file must be to count; without an inode any inode of any device will do. */
type Wanted = Pick<ProgramFile, "device" | "sizeBytes" | "changeNs"> & { readonly inode: bigint | undefined };

/** Why nothing is known of a file. `gone`: no longer there under any name tried; `changed`: not what ran. */
export type Unreadable = "gone" | "changed" | "failed";

/** What is in a file. */
export interface FileContent {
  readonly sha256: string;
  readonly elf: ElfFacts | undefined;
  /** Whether the process was still running it after it was read: then nobody could have changed it meanwhile. */
  readonly isRunning: boolean;
  /** Whether it stands at its path in our own root. */
  readonly isAtPath: boolean;
}

/** A file that was opened and is what the kernel saw. Whoever has it closes it, or reads it, which does. */
export interface OpenFile {
  readonly fd: number;
  readonly file: ProgramFile;
  readonly wanted: Wanted;
  /** The kernel's link of the process, when it was opened by that. */
  readonly link: string | undefined;
}

const CHUNK_BYTES = 256 << 10;
// Never waits for the other end of a pipe, never makes a terminal ours.
const OPEN_FLAGS: number = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/** Opens the file: by way of the process, then by its path in our root and in its parent's, which a process that is gone leaves. */
export async function openProgram(file: ProgramFile): Promise<OpenFile | Unreadable> {
  const link = `/proc/${file.pid}/exe`;
  const places = file.path.startsWith("/") ? [link, file.path, `/proc/${file.ppid}/root${file.path}`] : [link];
  let worst: Unreadable = "gone";
  for (const place of places) {
    // Which file it is the kernel's own link says better than numbers, which layered file systems have several of.
    const wanted: Wanted = place === link ? { ...file, inode: undefined } : file;
    const fd = await openAt(place, wanted);
    if (typeof fd === "number") return { fd, file, wanted, link: place === link ? link : undefined };
    if (fd === "changed") worst = fd;
  }
  return worst;
}

/** Room for one part of a file; of one reader at a time. */
export function createChunk(): Uint8Array {
  return new Uint8Array(CHUNK_BYTES);
}

/** Reads an open file, part by part through `chunk`, and closes it. */
export async function readProgram({ fd, file, wanted, link }: OpenFile, chunk: Uint8Array): Promise<FileContent | Unreadable> {
  try {
    const sha256 = await hashOf(fd, wanted.sizeBytes, chunk);
    const elf = await readElf((offset, length) => readAt(fd, offset, length));
    if (sha256 === undefined || !isSame(await statOfOpen(fd), wanted)) return "changed";
    const isRunning = link !== undefined && isSame(await statOf(link), wanted);
    return { sha256, elf, isRunning, isAtPath: await standsAt(file.path, file) };
  } catch {
    return "failed";
  } finally {
    await closeProgram(fd);
  }
}

/** Closes a file that was opened; resolves when its file system has heard of it. */
export function closeProgram(fd: number): Promise<void> {
  return new Promise((resolve) => close(fd, () => resolve()));
}

/** Whether the file stands at a path in our own root. */
export async function standsAt(path: string, file: ProgramFile): Promise<boolean> {
  return path.startsWith("/") && isSame(await statOf(path), file);
}

async function openAt(place: string, wanted: Wanted): Promise<number | Unreadable> {
  // Looked at before it is opened: a device may act on being opened.
  const found = await statOf(place);
  if (found === undefined) return "gone";
  if (!isSame(found, wanted)) return "changed";
  const fd = await openBare(place);
  if (fd === undefined) return "gone";
  if (isSame(await statOfOpen(fd), wanted)) return fd;
  await closeProgram(fd);
  return "changed";
}

/** A plain descriptor: nothing closes it but us. */
function openBare(place: string): Promise<number | undefined> {
  return new Promise((resolve) => open(place, OPEN_FLAGS, (error, fd) => resolve(error === null ? fd : undefined)));
}

async function statOf(place: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(place, { bigint: true });
  } catch {
    return undefined;
  }
}

function statOfOpen(fd: number): Promise<BigIntStats | undefined> {
  return new Promise((resolve) => fstat(fd, { bigint: true }, (error, found) => resolve(error === null ? found : undefined)));
}

function isSame(found: BigIntStats | undefined, { device, inode, sizeBytes, changeNs }: Wanted): boolean {
  if (found?.isFile() !== true || found.size !== BigInt(sizeBytes) || found.ctimeNs !== changeNs) return false;
  // The device too: a file system that a process serves may give its files any other number it likes.
  return inode === undefined || (found.ino === inode && kernelDevice(found.dev) === device);
}

/** A device number as stat(2) gives it, in the kernel's own form. */
export function kernelDevice(dev: bigint): number {
  const major = (dev >> 8n) & 0xfffn;
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xfff00n);
  return Number((major << 20n) | minor);
}

async function hashOf(fd: number, sizeBytes: number, chunk: Uint8Array): Promise<string | undefined> {
  const hasher = new Bun.CryptoHasher("sha256");
  for (let done = 0; done < sizeBytes; ) {
    const count = await readChunk(fd, chunk.subarray(0, sizeBytes - done), done);
    if (count === 0) return undefined;
    hasher.update(chunk.subarray(0, count));
    done += count;
  }
  return hasher.digest("hex");
}

function readChunk(fd: number, chunk: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, chunk, 0, chunk.byteLength, position, (error, count) => (error === null ? resolve(count) : reject(error)));
  });
}

async function readAt(fd: number, offset: number, length: number): Promise<Uint8Array> {
  if (!Number.isSafeInteger(offset) || length <= 0) return new Uint8Array(0);
  const bytes = new Uint8Array(length);
  return bytes.subarray(0, await readChunk(fd, bytes, offset));
}
