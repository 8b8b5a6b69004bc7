// fanotify(7) for permission to run a program: one group, marks on whole filesystems or single mounts, events, verdicts. Every integer is checked;
// errno becomes a NativeError. Whoever holds a group and reads an event owes the kernel a verdict: the process that wants to run waits for it.
// Closing the last descriptor of a group allows whatever is still waiting. No policy here.
import { NativeError } from "./handle.ts";
import { FanotifyEventMetadata, FanotifyResponse } from "./layouts.ts";
import { closeFd, errnoNumber, libcError } from "./libc.ts";
import { checkI32, checkInteger, NativeBuffer } from "./memory.ts";
import { type Bound, bindSymbols } from "./symbols.ts";

const SYMBOLS = {
  fanotify_init: { args: ["u32", "u32"], returns: "i32" }, // flags, event_f_flags
  fanotify_mark: { args: ["i32", "u32", "u64", "i32", "ptr"], returns: "i32" }, // fanotify_fd, flags, mask, dirfd, pathname
  read: { args: ["i32", "ptr", "u64"], returns: "i64" }, // fd, buf, count
  write: { args: ["i32", "ptr", "u64"], returns: "i64" }, // fd, buf, count
} as const;

let bound: Bound<typeof SYMBOLS> | undefined;

function libc(): Bound<typeof SYMBOLS> {
  bound ??= bindSymbols({ path: "libc.so.6", library: "libc" }, SYMBOLS);
  return bound;
}

const FAN_CLOEXEC = 0x1;
const FAN_NONBLOCK = 0x2;
const FAN_CLASS_CONTENT = 0x4;
const FAN_UNLIMITED_QUEUE = 0x10;
const FAN_UNLIMITED_MARKS = 0x20;
/** Events name the thread: two threads of a process may run programs at one time. Linux 4.20. */
const FAN_REPORT_TID = 0x100;
const FAN_MARK_ADD = 0x1;
const FAN_MARK_REMOVE = 0x2;
const FAN_MARK_MOUNT = 0x10;
const FAN_MARK_FILESYSTEM = 0x100;
const FAN_OPEN_EXEC_PERM = 0x4_0000n;
const FAN_ALLOW = 1;
const FAN_DENY = 2;
const FANOTIFY_METADATA_VERSION = 3;
const O_CLOEXEC = 0o2_000_000;
const AT_FDCWD = -100;
const EAGAIN = 11;
const EINTR = 4;
const ENOENT = 2;

/** What a mark covers: a filesystem wherever it is mounted, or one mount. */
export type MarkScope = "filesystem" | "mount";

/** Somebody wants to run a file and waits. */
export interface ExecPermissionEvent {
  /** The file, open for reading in this process: `respond` with it, then close it. -1 when the queue overflowed: nobody waits. */
  readonly fd: number;
  /** The thread that wants to. */
  readonly tid: number;
}

/** Most events one read takes. */
export const EVENTS_PER_READ_MAX = 64;

/** A group that is asked before a program runs. */
export class ExecPermissionGroup implements Disposable {
  readonly #fd: number;
  readonly #events = new NativeBuffer(EVENTS_PER_READ_MAX * FanotifyEventMetadata.Bytes);
  readonly #response = new NativeBuffer(FanotifyResponse.Bytes);
  #closed = false;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Opens a group without marks. EPERM without CAP_SYS_ADMIN, ENOSYS or EINVAL where the kernel has no permission events. */
  static open(): ExecPermissionGroup {
    const flags = FAN_CLOEXEC | FAN_NONBLOCK | FAN_CLASS_CONTENT | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS | FAN_REPORT_TID;
    const fd = libc().fanotify_init(flags, O_CLOEXEC);
    if (fd < 0) throw libcError("fanotify_init", "for permission events");
    return new ExecPermissionGroup(fd);
  }

  /** The descriptor, to wait on. */
  get fd(): number {
    if (this.#closed) throw new NativeError("closed", "libc", "fanotify group is already closed");
    return this.#fd;
  }

  /** Asks about every file run from the mount at this path. Marking twice is fine. */
  mark(path: string, scope: MarkScope): void {
    this.#change(FAN_MARK_ADD, path, scope);
  }

  /** Asks no longer. */
  unmark(path: string, scope: MarkScope): void {
    this.#change(FAN_MARK_REMOVE, path, scope);
  }

  #change(change: number, path: string, scope: MarkScope): void {
    const name = NativeBuffer.cstring(path);
    const flags = change | (scope === "mount" ? FAN_MARK_MOUNT : FAN_MARK_FILESYSTEM);
    if (libc().fanotify_mark(this.fd, flags, FAN_OPEN_EXEC_PERM, AT_FDCWD, name.ptr) !== 0) throw libcError("fanotify_mark", `"${path}"`);
  }

  /** Takes up to `countMax` waiting events; none when nobody waits. The kernel itself refuses an event it has no descriptor left for. */
  read(countMax: number): readonly ExecPermissionEvent[] {
    checkInteger(countMax, "countMax", { min: 1, max: EVENTS_PER_READ_MAX });
    const byteLength = Number(libc().read(this.fd, this.#events.ptr, BigInt(countMax * FanotifyEventMetadata.Bytes)));
    if (byteLength < 0) {
      const errno = errnoNumber();
      if (errno === EAGAIN || errno === EINTR) return [];
      throw libcError("read", "of the fanotify group");
    }
    return this.#parse(byteLength);
  }

  #parse(byteLength: number): readonly ExecPermissionEvent[] {
    const found: ExecPermissionEvent[] = [];
    const events = this.#events;
    for (let at = 0; at + FanotifyEventMetadata.Bytes <= byteLength; ) {
      const length = events.u32(at + FanotifyEventMetadata.Length);
      const version = events.bytes[at + FanotifyEventMetadata.Version] as number;
      if (version !== FANOTIFY_METADATA_VERSION || length < FanotifyEventMetadata.Bytes) {
        throw new NativeError(
          "unknown-version",
          "libc",
          `fanotify events are of version ${version}, Kestrel reads ${FANOTIFY_METADATA_VERSION}`,
        );
      }
      found.push({ fd: events.i32(at + FanotifyEventMetadata.Fd), tid: events.i32(at + FanotifyEventMetadata.Pid) });
      at += length;
    }
    return found;
  }

  /** Lets the waiting thread run the file, or refuses with EPERM. False: nobody waits for this answer any more. */
  respond(eventFd: number, allow: boolean): boolean {
    this.#response.view.setInt32(FanotifyResponse.Fd, checkI32(eventFd, "eventFd"), true);
    this.#response.view.setUint32(FanotifyResponse.Response, allow ? FAN_ALLOW : FAN_DENY, true);
    const written = Number(libc().write(this.fd, this.#response.ptr, BigInt(FanotifyResponse.Bytes)));
    if (written === FanotifyResponse.Bytes) return true;
    if (errnoNumber() === ENOENT) return false;
    throw libcError("write", `of the verdict on fd ${eventFd}`);
  }

  /** Lets go of the group. Twice is fine. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeFd(this.#fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
