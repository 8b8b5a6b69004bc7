// The few functions of the C library that Bun has no call for: sealed memory files, pidfds, the boot clock, memory advice. Each wrapper
// checks its arguments and turns errno into a NativeError whose code is the errno name.
import { getSystemErrorName } from "node:util";
import { NativeError, type Pointer } from "./handle.ts";
import { addressOf, checkI32, checkPointer, checkSize, checkU32, NativeBuffer, readI32 } from "./memory.ts";
import { type Bound, bindSymbols } from "./symbols.ts";

const SYMBOLS = {
  __errno_location: { args: [], returns: "ptr" },
  close: { args: ["i32"], returns: "i32" }, // fd
  fcntl: { args: ["i32", "i32", "u64"], returns: "i32" }, // fd, cmd, arg
  memfd_create: { args: ["ptr", "u32"], returns: "i32" }, // name, flags
  write: { args: ["i32", "ptr", "u64"], returns: "i64" }, // fd, buf, count
  getpagesize: { args: [], returns: "i32" },
  mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: "i64" }, // addr, length, prot, flags, fd, offset
  munmap: { args: ["ptr", "u64"], returns: "i32" }, // addr, length
  madvise: { args: ["ptr", "u64", "i32"], returns: "i32" }, // addr, length, advice
  malloc_trim: { args: ["u64"], returns: "i32" }, // pad
  geteuid: { args: [], returns: "u32" },
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" }, // clock, tp
  syscall: { args: ["i64", "i64", "i64", "i64", "i64"], returns: "i64" }, // number and up to four integer arguments
} as const;

let bound: Bound<typeof SYMBOLS> | undefined;

/** The bound C library; other ffi files use it for calls that need no wrapper. */
function libc(): Bound<typeof SYMBOLS> {
  bound ??= bindSymbols({ path: "libc.so.6", library: "libc" }, SYMBOLS);
  return bound;
}

/** The C error of the last failed call of this thread. Call it at once, since any other native call may change errno. */
export function errnoName(): string {
  return getSystemErrorName(-errnoNumber());
}

/** The same as a number, for libraries that have numbers of their own beside the system's. */
export function errnoNumber(): number {
  return readI32(checkPointer(libc().__errno_location(), "errno"));
}

/** NativeError of the last failed libc call, or of the one that failed with `errno`. */
export function libcError(call: string, subject: string, errno: number = errnoNumber()): NativeError {
  const code = getSystemErrorName(-errno);
  return new NativeError(code, "libc", `${call} ${subject}: ${code}`);
}

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_GETFD = 1;
const F_ADD_SEALS = 1033;
const F_GET_SEALS = 1034;
const FD_CLOEXEC = 1;
/** F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE: the content can never change again. */
const SEALS_ALL = 15;

/** A file descriptor of a sealed, unnamed file in memory that holds exactly these bytes and can never be changed. */
export function sealedMemoryFile(name: string, content: Uint8Array): number {
  const title = NativeBuffer.cstring(name);
  const fd = libc().memfd_create(title.ptr, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) throw libcError("memfd_create", `"${name}"`);
  try {
    writeAll(fd, content, name);
    if (libc().fcntl(fd, F_ADD_SEALS, SEALS_ALL) !== 0) throw libcError("fcntl F_ADD_SEALS", `"${name}"`);
    return fd;
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

function writeAll(fd: number, content: Uint8Array, name: string): void {
  const address = addressOf(content);
  for (let done = 0; done < content.byteLength; ) {
    const count = Number(libc().write(fd, (address + done) as Pointer, BigInt(content.byteLength - done)));
    if (count <= 0) throw libcError("write", `"${name}"`);
    done += count;
  }
}

/** Whether a descriptor is a fully sealed memory file that this process made itself (an inherited one cannot be close-on-exec). */
export function isOwnSealedFile(fd: number): boolean {
  checkI32(fd, "fd");
  return libc().fcntl(fd, F_GET_SEALS, 0) === SEALS_ALL && (libc().fcntl(fd, F_GETFD, 0) & FD_CLOEXEC) !== 0;
}

/** Closes a descriptor; an error of close is of no use to anybody. */
export function closeFd(fd: number): void {
  libc().close(checkI32(fd, "fd"));
}

/** Effective user id of the process. */
export function effectiveUserId(): number {
  return libc().geteuid();
}

const MADV_DONTNEED = 4;
/** Advice of madvise(2): reclaim the pages now; clean file pages are read again at the next access, nothing is lost. */
export const MADV_PAGEOUT = 21;

/** madvise(2). False where the kernel refuses. */
export function adviseRange(address: number, byteLength: number, advice: number): boolean {
  return libc().madvise(checkPointer(address, "address"), BigInt(checkSize(byteLength, "byteLength")), checkI32(advice, "advice")) === 0;
}

/** Gives the C heap's free memory back to the system (malloc_trim(3)): what libwasmtime used to compile. */
export function trimHeap(): void {
  libc().malloc_trim(0n);
}

/**
 * Drops the resident pages of a range; the next access reads the mapped file again, so the range must be unchanged pages of a file mapping.
 * False where the kernel refuses.
 */
export function forgetPages(address: number, byteLength: number): boolean {
  return adviseRange(address, byteLength, MADV_DONTNEED);
}

const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;

/** Bytes of a memory page. */
export function pageBytes(): number {
  return libc().getpagesize();
}

/** What part of a file to map, and whether to write to it. */
export interface MappedSpan {
  readonly offsetBytes: number;
  readonly byteLength: number;
  readonly writable: boolean;
}

/** Maps part of a file, shared with everybody who maps it. `unmap` it with the same length. */
export function mapShared(fd: number, span: MappedSpan): Pointer {
  const length = BigInt(checkSize(span.byteLength, "byteLength"));
  const offset = BigInt(checkSize(span.offsetBytes, "offsetBytes"));
  const protection = span.writable ? PROT_READ | PROT_WRITE : PROT_READ;
  const address = libc().mmap(null, length, protection, MAP_SHARED, checkI32(fd, "fd"), offset);
  if (Number(address) === -1) throw libcError("mmap", `${span.byteLength} bytes of fd ${fd}`);
  return checkPointer(address, "mapped address");
}

/** Takes a mapping away. Views of it must not be used afterwards. */
export function unmap(address: Pointer, byteLength: number): void {
  libc().munmap(checkPointer(address, "address"), BigInt(checkSize(byteLength, "byteLength")));
}

/** Linux clock ids. */
export const enum ClockId {
  Realtime = 0,
  Monotonic = 1,
  Boottime = 7,
}

/** Nanoseconds of a kernel clock. */
export function clockNs(clock: ClockId): bigint {
  const time = new NativeBuffer(16);
  if (libc().clock_gettime(checkI32(clock, "clock"), time.ptr) !== 0) throw libcError("clock_gettime", String(clock));
  return time.view.getBigInt64(0, true) * 1_000_000_000n + time.view.getBigInt64(8, true);
}

// Numbers of the system calls without a wrapper in every libc; from the generic table, the same on x86-64 and arm64.
const SYS_PIDFD_SEND_SIGNAL = 424;
const SYS_PIDFD_OPEN = 434;

/** A descriptor that names one process for good, even after its pid is reused. */
export function pidfdOpen(pid: number): number {
  const fd = Number(libc().syscall(SYS_PIDFD_OPEN, checkU32(pid, "pid"), 0, 0, 0));
  if (fd < 0) throw libcError("pidfd_open", `of pid ${pid}`);
  return fd;
}

/** Sends a signal to the process behind a pidfd. */
export function pidfdSendSignal(pidfd: number, signal: number): void {
  const result = libc().syscall(SYS_PIDFD_SEND_SIGNAL, checkI32(pidfd, "pidfd"), checkU32(signal, "signal"), 0, 0);
  if (Number(result) !== 0) throw libcError("pidfd_send_signal", `${signal} to pidfd ${pidfd}`);
}
