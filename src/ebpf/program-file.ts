// Reads the file of a program that was started and says what is in it. The path is a watched process's and may lead elsewhere by now: what is
// opened counts only if device, inode, size and time of the last change are those the kernel saw at the exec, before and after reading.
// Nothing here waits for a file system in our own thread: one that a process serves may never answer, not even to a close. Looked up, read and
// closed by the threads of the runtime, each question announced before it is asked; hashed here between other work, a fraction of a
// millisecond at a time.
import { type BigIntStats, close, constants, fstat, open, read } from "node:fs";
import { type FileStatus, fileStatus } from "#ffi/descriptors";
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

/** Told whom a question goes to before each that may never be answered. False: it is not to be asked. */
export type MayAsk = (place: string) => boolean;

/** A file that was opened and is what the kernel saw. Whoever has it closes it, or reads it, which does. */
export interface OpenFile {
  readonly fd: number;
  readonly file: ProgramFile;
  readonly wanted: Wanted;
  /** Whom questions about it go to. */
  readonly place: string;
  /** The kernel's link of the process, when it was opened by that. */
  readonly link: string | undefined;
}

const CHUNK_BYTES = 256 << 10;
const O_PATH = 0o10_000_000;
// Never waits for the other end of a pipe, never makes a terminal ours.
const OPEN_FLAGS: number = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;
const S_IFMT = 0o170_000;
const S_IFREG = 0o100_000;

/** Opens the file: by way of the process, then by its path in our root and in its parent's, which a process that is gone leaves. */
export async function openProgram(file: ProgramFile, mayAsk: MayAsk): Promise<OpenFile | Unreadable> {
  const link = `/proc/${file.pid}/exe`;
  const parentRoot = `/proc/${file.ppid}/root`;
  // Which file it is the kernel's own link says better than numbers, which layered file systems have several of. It leads there without asking
  // a file system; the way to a path goes through any.
  const opened = await openAt(link, { ...file, inode: undefined }, mayAsk);
  if (typeof opened !== "string") return { ...opened, file, link };
  let worst = opened;
  if (!file.path.startsWith("/")) return worst;
  for (const [place, via] of [
    [file.path, folderOf(file.path)],
    [`${parentRoot}${file.path}`, parentRoot],
  ] as const) {
    const found = mayAsk(via) ? await openAt(place, file, mayAsk) : "failed";
    if (typeof found !== "string") return { ...found, file, link: undefined };
    if (found !== "gone") worst = found;
  }
  return worst;
}

/** Room for one part of a file; of one reader at a time. */
export function createChunk(): Uint8Array {
  return new Uint8Array(CHUNK_BYTES);
}

/** Reads an open file, part by part through `chunk`, and closes it. */
export async function readProgram(opened: OpenFile, chunk: Uint8Array, mayAsk: MayAsk): Promise<FileContent | Unreadable> {
  const { fd, file, wanted, place, link } = opened;
  try {
    if (!mayAsk(place)) return "failed";
    const sha256 = await hashOf(fd, wanted.sizeBytes, chunk);
    const elf = await readElf((offset, length) => readAt(fd, offset, length));
    if (sha256 === undefined || !isSame(await statOfOpen(fd), wanted)) return "changed";
    const isRunning = link !== undefined && isSame(await lookAt(link), wanted);
    return { sha256, elf, isRunning, isAtPath: await standsAt(file.path, file, mayAsk) };
  } catch {
    return "failed";
  } finally {
    mayAsk(place);
    await closeProgram(fd);
  }
}

/** Closes a file that was opened; resolves when its file system has heard of it. */
export function closeProgram(fd: number): Promise<void> {
  return new Promise((resolve) => close(fd, () => resolve()));
}

/** Whether the file stands at a path in our own root. */
export async function standsAt(path: string, file: ProgramFile, mayAsk: MayAsk): Promise<boolean> {
  return path.startsWith("/") && mayAsk(folderOf(path)) && isSame(await lookAt(path), file);
}

/** Who keeps silent on the way to a path is not known: in the same folder nobody is asked again. */
function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/") + 1);
}

async function openAt(path: string, wanted: Wanted, mayAsk: MayAsk): Promise<Pick<OpenFile, "fd" | "wanted" | "place"> | Unreadable> {
  // Found and looked at before it is opened for reading: a device may act on that, and whose file it is says whom the opening asks.
  const found = await openBare(path, O_PATH);
  if (found === undefined) return "gone";
  try {
    const status = statusOf(found);
    if (!isSame(status, wanted)) return "changed";
    const place = `device ${status?.device}`;
    if (!mayAsk(place)) return "failed";
    const fd = await openBare(`/proc/self/fd/${found}`, OPEN_FLAGS);
    if (fd === undefined) return "gone";
    if (isSame(await statOfOpen(fd), wanted)) return { fd, wanted, place };
    await closeProgram(fd);
    return "changed";
  } finally {
    await closeProgram(found);
  }
}

/** A plain descriptor: nothing closes it but us. */
function openBare(path: string, flags: number): Promise<number | undefined> {
  return new Promise((resolve) => open(path, flags, (error, fd) => resolve(error === null ? fd : undefined)));
}

/** What is known of a file without asking its file system; only the way there may ask one. */
async function lookAt(path: string): Promise<Seen | undefined> {
  const fd = await openBare(path, O_PATH);
  if (fd === undefined) return undefined;
  const status = statusOf(fd);
  await closeProgram(fd);
  return status;
}

/** What counts of a file's status. */
type Seen = Pick<FileStatus, "device" | "inode" | "mode" | "sizeBytes" | "ctimeNs">;

function statusOf(fd: number): Seen | undefined {
  try {
    return fileStatus(fd);
  } catch {
    return undefined;
  }
}

function statOfOpen(fd: number): Promise<Seen | undefined> {
  return new Promise((resolve) => fstat(fd, { bigint: true }, (error, found) => resolve(error === null ? seenOf(found) : undefined)));
}

function seenOf({ dev, ino, mode, size, ctimeNs }: BigIntStats): Seen {
  return { device: deviceText(kernelDevice(dev)), inode: ino, mode: Number(mode), sizeBytes: size, ctimeNs };
}

function isSame(found: Seen | undefined, { device, inode, sizeBytes, changeNs }: Wanted): boolean {
  if (found === undefined || (found.mode & S_IFMT) !== S_IFREG) return false;
  if (found.sizeBytes !== BigInt(sizeBytes) || found.ctimeNs !== changeNs) return false;
  // The device too: a file system that a process serves may give its files any other number it likes.
  return inode === undefined || (found.inode === inode && found.device === deviceText(device));
}

/** Major and minor of a device in the kernel's own form, as the kernel writes them. */
export function deviceText(device: number): string {
  return `${device >>> 20}:${device & 0xf_ffff}`;
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
