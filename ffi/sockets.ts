// TCP connections of this process, whoever in it opened them, and how many descriptors it may hold. No policy here.
import { errnoNumber, libcError } from "./libc.ts";
import { checkI32, checkInteger, NativeBuffer } from "./memory.ts";
import { type Bound, bindSymbols } from "./symbols.ts";

const SYMBOLS = {
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" }, // sockfd, addr, addrlen
  getpeername: { args: ["i32", "ptr", "ptr"], returns: "i32" }, // sockfd, addr, addrlen
  getdtablesize: { args: [], returns: "i32" },
  shutdown: { args: ["i32", "i32"], returns: "i32" }, // sockfd, how
} as const;

let bound: Bound<typeof SYMBOLS> | undefined;

function libc(): Bound<typeof SYMBOLS> {
  bound ??= bindSymbols({ path: "libc.so.6", library: "libc" }, SYMBOLS);
  return bound;
}

const AF_INET = 2;
const AF_INET6 = 10;
/** struct sockaddr_storage. */
const ADDRESS_BYTES = 128;
const SHUT_RDWR = 2;
const ENOTCONN = 107;

/** How many descriptors this process may hold (RLIMIT_NOFILE): all are below this number. */
export function descriptorsMax(): number {
  return libc().getdtablesize();
}

/** Descriptors below `end` of connections whose own port is this one, ascending. */
export function connectionsAt(port: number, end: number): number[] {
  checkInteger(end, "end", { min: 0, max: 0x7fff_ffff });
  const address = new NativeBuffer(ADDRESS_BYTES);
  const length = new NativeBuffer(4);
  const has = (call: "getsockname" | "getpeername", fd: number): boolean => {
    length.view.setUint32(0, ADDRESS_BYTES, true);
    return libc()[call](fd, address.ptr, length.ptr) === 0;
  };
  const found: number[] = [];
  for (let fd = 0; fd < end; fd++) {
    if (!has("getsockname", fd)) continue;
    const family = address.view.getUint16(0, true);
    if ((family !== AF_INET && family !== AF_INET6) || address.view.getUint16(2) !== port) continue;
    // A socket that listens has no peer.
    if (has("getpeername", fd)) found.push(fd);
  }
  return found;
}

/** Ends a connection in both directions (shutdown(2)); whoever owns the descriptor sees its end and closes it. One that the other side has ended is fine. */
export function endConnection(fd: number): void {
  if (libc().shutdown(checkI32(fd, "fd"), SHUT_RDWR) === 0) return;
  const errno = errnoNumber();
  if (errno !== ENOTCONN) throw libcError("shutdown", `fd ${fd}`, errno);
}
