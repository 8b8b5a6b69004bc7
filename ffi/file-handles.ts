// Folders of control groups by their numbers, whatever their paths are. No policy here.
import { errnoNumber, libcError } from "./libc.ts";
import { checkI32, checkU64, NativeBuffer } from "./memory.ts";
import { type Bound, bindSymbols } from "./symbols.ts";

const SYMBOLS = {
  open_by_handle_at: { args: ["i32", "ptr", "i32"], returns: "i32" }, // mount_fd, handle, flags
} as const;

let bound: Bound<typeof SYMBOLS> | undefined;

function libc(): Bound<typeof SYMBOLS> {
  bound ??= bindSymbols({ path: "libc.so.6", library: "libc" }, SYMBOLS);
  return bound;
}

/** struct file_handle: bytes of the handle, its type, the handle. */
const HANDLE_BYTES = 16;
/** A handle that is the number alone. */
const FILEID_KERNFS = 0xfe;
const O_DIRECTORY_CLOEXEC = process.arch === "arm64" ? 0o2_040_000 : 0o2_200_000;
const ESTALE = 116;

/**
 * A descriptor of the folder with this number in the filesystem of `mountFd`, which must be one of control groups; `undefined`: there is none, or no
 * more. Needs CAP_DAC_READ_SEARCH.
 */
export function openGroupFolder(mountFd: number, id: bigint): number | undefined {
  const handle = new NativeBuffer(HANDLE_BYTES);
  handle.view.setUint32(0, 8, true);
  handle.view.setInt32(4, FILEID_KERNFS, true);
  handle.view.setBigUint64(8, checkU64(id, "id"), true);
  const fd = libc().open_by_handle_at(checkI32(mountFd, "mountFd"), handle.ptr, O_DIRECTORY_CLOEXEC);
  if (fd >= 0) return fd;
  const errno = errnoNumber();
  if (errno === ESTALE) return undefined;
  throw libcError("open_by_handle_at", `control group ${id}`, errno);
}
