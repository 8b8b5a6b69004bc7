// Byte offsets inside C structs that TypeScript reads or writes itself. One block per struct, named after it; the tests call through them.

/** `wasm_byte_vec_t` and every other `wasm_*_vec_t`: a size and a pointer to the elements. */
export const enum WasmVec {
  Size = 0,
  Data = 8,
  Bytes = 16,
}

/** `wasmtime_extern_t`: kind byte, then a union of which func, memory and global are the largest used. */
export const enum WasmtimeExtern {
  Kind = 0,
  Of = 8,
  Bytes = 32,
}

/** `wasmtime_extern_kind_t`, and `wasm_externkind_t` with other numbers for table and memory. */
export const enum WasmtimeExternKind {
  Func = 0,
  Global = 1,
  Table = 2,
  Memory = 3,
}

/** `wasmtime_val_t`: kind byte, then a 24-byte union. */
export const enum WasmtimeVal {
  Kind = 0,
  Of = 8,
  Bytes = 32,
}

/** `wasmtime_val_raw_t`: one slot of an unchecked call. */
export const enum WasmtimeValRaw {
  Bytes = 16,
}

/** `wasmtime_instance_t`. */
export const enum WasmtimeInstance {
  Bytes = 16,
}

/** `struct fanotify_event_metadata`. */
export const enum FanotifyEventMetadata {
  Length = 0,
  Version = 4,
  Mask = 8,
  Fd = 16,
  Pid = 20,
  Bytes = 24,
}

/** `struct fanotify_response`. */
export const enum FanotifyResponse {
  Fd = 0,
  Response = 4,
  Bytes = 8,
}

/** `struct pollfd`. */
export const enum PollFd {
  Fd = 0,
  Events = 4,
  Revents = 6,
  Bytes = 8,
}

/** `struct statx`. */
export const enum Statx {
  LinkCount = 16,
  Uid = 20,
  Gid = 24,
  Mode = 28,
  Inode = 32,
  Size = 40,
  CtimeSeconds = 96,
  CtimeNanoseconds = 104,
  MtimeSeconds = 112,
  MtimeNanoseconds = 120,
  DeviceMajor = 136,
  DeviceMinor = 140,
  Bytes = 256,
}

/** `struct open_how`. */
export const enum OpenHow {
  Flags = 0,
  Mode = 8,
  Resolve = 16,
  Bytes = 24,
}

/** `struct statvfs` of glibc on 64-bit machines. */
export const enum StatVfs {
  Flag = 72,
  Bytes = 112,
}
