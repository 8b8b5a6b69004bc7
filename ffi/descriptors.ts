// Descriptors without an event loop: wait for several, read and write what is possible at once, and what a mount allows. For a process that must
// answer at once and therefore blocks in poll(2) instead of returning to Bun's loop. No policy here.
import type { Pointer } from "./handle.ts";
import { OpenHow, PollFd, StatVfs, Statx } from "./layouts.ts";
import { closeFd, errnoNumber, libcError } from "./libc.ts";
import { checkI32, checkInteger, checkSize, NativeBuffer } from "./memory.ts";
import { type Bound, bindSymbols } from "./symbols.ts";

const SYMBOLS = {
  poll: { args: ["ptr", "u64", "i32"], returns: "i32" }, // fds, nfds, timeout
  read: { args: ["i32", "ptr", "u64"], returns: "i64" }, // fd, buf, count
  write: { args: ["i32", "ptr", "u64"], returns: "i64" }, // fd, buf, count
  fcntl: { args: ["i32", "i32", "u64"], returns: "i32" }, // fd, cmd, arg
  statx: { args: ["i32", "ptr", "i32", "u32", "ptr"], returns: "i32" }, // dirfd, pathname, flags, mask, statxbuf
  syscall: { args: ["i64", "i64", "ptr", "ptr", "u64"], returns: "i64" }, // openat2: number, dirfd, pathname, how, size
  fstatvfs: { args: ["i32", "ptr"], returns: "i32" }, // fd, buf
} as const;

let bound: Bound<typeof SYMBOLS> | undefined;

function libc(): Bound<typeof SYMBOLS> {
  bound ??= bindSymbols({ path: "libc.so.6", library: "libc" }, SYMBOLS);
  return bound;
}

const F_GETFL = 3;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;
const EINTR = 4;
const EAGAIN = 11;
const EINVAL = 22;
const ST_NOSUID = 2;
const AT_EMPTY_PATH = 0x1000;
const AT_STATX_DONT_SYNC = 0x4000;
const STATX_BASIC_STATS = 0x7ff;
const O_PATH = 0o10_000_000n;
const O_CLOEXEC = 0o2_000_000n;
const RESOLVE_IN_ROOT = 0x10n;
const RESOLVE_CACHED = 0x20n;
/** From the generic table, the same on x86-64 and arm64. */
const SYS_OPENAT2 = 437;
const I16_MAX = 0x7fff;

/** Events of poll(2). */
export const enum Poll {
  In = 1,
  Priority = 2,
  Out = 4,
  Error = 8,
  HangUp = 16,
}

/** A fixed number of descriptors to wait for. */
export class PollSet {
  readonly #memory: NativeBuffer;
  readonly #count: number;

  constructor(count: number) {
    this.#count = checkInteger(count, "count", { min: 1, max: 1024 });
    this.#memory = new NativeBuffer(count * PollFd.Bytes);
    for (let index = 0; index < count; index++) this.set(index, -1, 0);
  }

  /** What to wait for at a place; -1 for nothing. */
  set(index: number, fd: number, events: number): void {
    const at = this.#place(index);
    this.#memory.view.setInt32(at + PollFd.Fd, checkI32(fd, "fd"), true);
    this.#memory.view.setInt16(at + PollFd.Events, checkInteger(events, "events", { min: 0, max: I16_MAX }), true);
    this.#memory.view.setInt16(at + PollFd.Revents, 0, true);
  }

  /** Waits until one of them is ready, a signal comes, or the time is over; -1 waits for ever. */
  wait(timeoutMs: number): void {
    if (libc().poll(this.#memory.ptr, BigInt(this.#count), checkI32(timeoutMs, "timeoutMs")) >= 0) return;
    const errno = errnoNumber();
    // What an interrupted call left in the answers is of the call before.
    for (let index = 0; index < this.#count; index++) this.#memory.view.setInt16(index * PollFd.Bytes + PollFd.Revents, 0, true);
    if (errno !== EINTR) throw libcError("poll", `${this.#count} descriptors`, errno);
  }

  /** What the last wait found at a place: bits of {@link Poll}. */
  found(index: number): number {
    return this.#memory.view.getInt16(this.#place(index) + PollFd.Revents, true);
  }

  #place(index: number): number {
    return checkInteger(index, "index", { min: 0, max: this.#count - 1 }) * PollFd.Bytes;
  }
}

/** Makes reads and writes of a descriptor return at once. */
export function setNonBlocking(fd: number): void {
  const flags = libc().fcntl(checkI32(fd, "fd"), F_GETFL, 0n);
  if (flags < 0 || libc().fcntl(fd, F_SETFL, BigInt(flags | O_NONBLOCK)) !== 0) throw libcError("fcntl O_NONBLOCK", `fd ${fd}`);
}

/** Reads into a buffer. The number of bytes, 0 at the end; `undefined` when there is nothing yet. */
export function readAvailable(fd: number, buffer: NativeBuffer): number | undefined {
  const count = Number(libc().read(checkI32(fd, "fd"), buffer.ptr, BigInt(buffer.byteLength)));
  return count >= 0 ? count : notYet("read", fd);
}

/** Writes part of a buffer. The number of bytes; `undefined` when there is no room yet. */
export function writeAvailable(fd: number, buffer: NativeBuffer, offsetBytes: number, byteLength: number): number | undefined {
  checkSize(offsetBytes, "offsetBytes");
  checkInteger(byteLength, "byteLength", { min: 0, max: buffer.byteLength - offsetBytes });
  const count = Number(libc().write(checkI32(fd, "fd"), (buffer.ptr + offsetBytes) as Pointer, BigInt(byteLength)));
  return count >= 0 ? count : notYet("write", fd);
}

function notYet(call: string, fd: number): undefined {
  const errno = errnoNumber();
  if (errno !== EAGAIN && errno !== EINTR) throw libcError(call, `fd ${fd}`, errno);
  return undefined;
}

/** What a filesystem says of a file without asking anybody: nobody who serves the filesystem can make this wait. */
export interface FileStatus {
  /** As /proc/self/mountinfo names the device, except where a filesystem has several. */
  readonly device: string;
  readonly inode: bigint;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly linkCount: number;
  readonly sizeBytes: bigint;
  readonly ctimeNs: bigint;
  readonly mtimeNs: bigint;
}

/** Status of an open file, see {@link FileStatus}. */
export function fileStatus(fd: number): FileStatus {
  const facts = new NativeBuffer(Statx.Bytes);
  const empty = NativeBuffer.cstring("");
  const flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;
  if (libc().statx(checkI32(fd, "fd"), empty.ptr, flags, STATX_BASIC_STATS, facts.ptr) !== 0) throw libcError("statx", `fd ${fd}`);
  const timeNs = (seconds: number, nanoseconds: number): bigint =>
    facts.view.getBigInt64(seconds, true) * 1_000_000_000n + BigInt(facts.u32(nanoseconds));
  return {
    device: `${facts.u32(Statx.DeviceMajor)}:${facts.u32(Statx.DeviceMinor)}`,
    inode: facts.u64(Statx.Inode),
    uid: facts.u32(Statx.Uid),
    gid: facts.u32(Statx.Gid),
    mode: facts.view.getUint16(Statx.Mode, true),
    linkCount: facts.u32(Statx.LinkCount),
    sizeBytes: facts.u64(Statx.Size),
    ctimeNs: timeNs(Statx.CtimeSeconds, Statx.CtimeNanoseconds),
    mtimeNs: timeNs(Statx.MtimeSeconds, Statx.MtimeNanoseconds),
  };
}

/**
 * Status of the file at a path, from a folder, which counts as the root of an absolute path. Only names the kernel has in memory are followed, so
 * that no filesystem is asked: `unknown` when that does not lead to the end, `undefined` when there is no such file. Before Linux 5.12, which
 * cannot look so, filesystems are asked.
 */
export function cachedStatusAt(folderFd: number, path: string): FileStatus | "unknown" | undefined {
  checkI32(folderFd, "folderFd");
  const inRoot = path.startsWith("/") ? RESOLVE_IN_ROOT : 0n;
  const name = NativeBuffer.cstring(path);
  const how = new NativeBuffer(OpenHow.Bytes);
  how.view.setBigUint64(OpenHow.Flags, O_PATH | O_CLOEXEC, true);
  for (const resolve of [inRoot | RESOLVE_CACHED, inRoot]) {
    how.view.setBigUint64(OpenHow.Resolve, resolve, true);
    const fd = Number(libc().syscall(SYS_OPENAT2, folderFd, name.ptr, how.ptr, BigInt(OpenHow.Bytes)));
    if (fd >= 0) {
      try {
        return fileStatus(fd);
      } finally {
        closeFd(fd);
      }
    }
    const errno = errnoNumber();
    if (errno !== EINVAL) return errno === EAGAIN ? "unknown" : undefined;
  }
  return undefined;
}

/** Whether the mount a descriptor was opened through ignores set-user-id bits. */
export function isNosuidMount(fd: number): boolean {
  const facts = new NativeBuffer(StatVfs.Bytes);
  if (libc().fstatvfs(checkI32(fd, "fd"), facts.ptr) !== 0) throw libcError("fstatvfs", `fd ${fd}`);
  return (facts.view.getUint32(StatVfs.Flag, true) & ST_NOSUID) !== 0;
}
