// libbpf: objects opened from memory, programs loaded and attached, maps by descriptor. One wrapper per C type, no policy. libbpf's own
// printing is switched off; what it and the verifier had to say travels inside the NativeError. Signatures: libbpf 1.1 libbpf.h and bpf.h.
import { getSystemErrorName } from "node:util";
import { Handle, NativeError, type Pointer } from "./handle.ts";
import { closeFd, errnoNumber } from "./libc.ts";
import { type Bound, openLibrary } from "./library.ts";
import { checkI32, checkPointer, checkU32, NativeBuffer, readCString } from "./memory.ts";

const SYMBOLS = {
  libbpf_version_string: { args: [], returns: "cstring" },
  libbpf_set_print: { args: ["ptr"], returns: "ptr" }, // fn
  libbpf_num_possible_cpus: { args: [], returns: "i32" },
  bpf_object__open_mem: { args: ["ptr", "u64", "ptr"], returns: "ptr" }, // obj_buf, obj_buf_sz, opts
  bpf_object__load: { args: ["ptr"], returns: "i32" }, // obj
  bpf_object__close: { args: ["ptr"], returns: "void" }, // obj
  bpf_object__find_program_by_name: { args: ["ptr", "ptr"], returns: "ptr" }, // obj, name
  bpf_object__find_map_by_name: { args: ["ptr", "ptr"], returns: "ptr" }, // obj, name
  bpf_program__set_autoload: { args: ["ptr", "bool"], returns: "i32" }, // prog, autoload
  bpf_program__fd: { args: ["ptr"], returns: "i32" }, // prog
  bpf_program__attach: { args: ["ptr"], returns: "ptr" }, // prog
  bpf_program__attach_cgroup: { args: ["ptr", "i32"], returns: "ptr" }, // prog, cgroup_fd
  bpf_link__destroy: { args: ["ptr"], returns: "i32" }, // link
  bpf_link__detach: { args: ["ptr"], returns: "i32" }, // link
  bpf_link__fd: { args: ["ptr"], returns: "i32" }, // link
  bpf_link__open: { args: ["ptr"], returns: "ptr" }, // path
  bpf_map__fd: { args: ["ptr"], returns: "i32" }, // map
  bpf_map__reuse_fd: { args: ["ptr", "i32"], returns: "i32" }, // map, fd
  bpf_map__set_max_entries: { args: ["ptr", "u32"], returns: "i32" }, // map, max_entries
  bpf_map__value_size: { args: ["ptr"], returns: "u32" }, // map
  bpf_map__set_initial_value: { args: ["ptr", "ptr", "u64"], returns: "i32" }, // map, data, size
  bpf_map_update_elem: { args: ["i32", "ptr", "ptr", "u64"], returns: "i32" }, // fd, key, value, flags
  bpf_map_lookup_elem: { args: ["i32", "ptr", "ptr"], returns: "i32" }, // fd, key, value
  bpf_map_delete_elem: { args: ["i32", "ptr"], returns: "i32" }, // fd, key
  bpf_obj_pin: { args: ["i32", "ptr"], returns: "i32" }, // fd, pathname
  bpf_obj_get: { args: ["ptr"], returns: "i32" }, // pathname
  bpf_obj_get_info_by_fd: { args: ["i32", "ptr", "ptr"], returns: "i32" }, // bpf_fd, info, info_len
} as const;

const LIBRARY = "libbpf";
const VERSION = "1.1";
/**
 * Room for the verifier's words about a refused program. It is touched only then; a log that does not fit makes kernels before 6.4 answer
 * ENOSPC instead of the reason.
 */
const LOG_BYTES = 8 << 20;
/**
 * The one log of all objects that wait for their load. Loads follow each other; a log for each would count as heap, and the collector lets as
 * much garbage again pile up before it looks.
 */
let logInUse: WeakRef<NativeBuffer> | undefined;

function sharedLog(): NativeBuffer {
  const log = logInUse?.deref() ?? new NativeBuffer(LOG_BYTES);
  logInUse = new WeakRef(log);
  return log;
}

/** The end of the log is where the reason stands. */
const LOG_TAIL_LINES = 12;

let bound: Bound<typeof SYMBOLS> | undefined;

function libbpf(): Bound<typeof SYMBOLS> {
  if (bound === undefined) {
    bound = openLibrary("libbpf", SYMBOLS, { version: VERSION });
    bound.libbpf_set_print(null);
  }
  return bound;
}

/** Version of the loaded library, for example `v1.1`. */
export function libbpfVersion(): string {
  return String(libbpf().libbpf_version_string());
}

/** CPUs the kernel may ever have: the number of values behind one key of a per-CPU map. */
export function possibleCpus(): number {
  const count = libbpf().libbpf_num_possible_cpus();
  if (count <= 0) throw negativeError(count, "Cannot count the possible CPUs");
  return count;
}

/** libbpf's own error numbers, from 4000 on. */
const OWN_ERRORS = [
  "LIBELF",
  "FORMAT",
  "KVERSION",
  "ENDIAN",
  "INTERNAL",
  "RELOC",
  "LOAD",
  "VERIFY",
  "PROG2BIG",
  "KVER",
  "PROGTYPE",
] as const;
const OWN_ERRORS_FIRST = 4000;

function negativeError(result: number, message: string, detail = ""): NativeError {
  const code = errorName(result < 0 ? -result : 0);
  return new NativeError(code, LIBRARY, `${message}: ${code}${detail}`);
}

/** `EPERM` for an errno, `LIBBPF_FORMAT` for libbpf's own. */
function errorName(errno: number): string {
  const own = OWN_ERRORS[errno - OWN_ERRORS_FIRST];
  if (own !== undefined) return `LIBBPF_${own}`;
  const name = errno > 0 ? getSystemErrorName(-errno) : "";
  return name.startsWith("E") ? name : `ERRNO_${errno}`;
}

function nullError(message: string): NativeError {
  const code = errorName(errnoNumber());
  return new NativeError(code, LIBRARY, `${message}: ${code}`);
}

/** `bpf_object`: the programs and maps of one compiled file. Configure, `load`, `attach`; closing it detaches nothing that has a BpfLink. */
export class BpfObject implements Disposable {
  readonly #handle: Handle;
  /** What libbpf may touch until the load is over, let go then. */
  #untilLoaded: { readonly log: NativeBuffer; readonly buffers: readonly NativeBuffer[] } | undefined;
  #loaded = false;

  private constructor(
    /** Name given at open, for errors. */
    readonly name: string,
    pointer: Pointer | bigint | null,
    untilLoaded: { readonly log: NativeBuffer; readonly buffers: readonly NativeBuffer[] },
  ) {
    this.#handle = new Handle(LIBRARY, `bpf_object "${name}"`, pointer, (object) => libbpf().bpf_object__close(object));
    this.#untilLoaded = untilLoaded;
  }

  /** Opens an object file from its bytes. Nothing reaches the kernel before `load`. */
  static open(name: string, bytes: Uint8Array): BpfObject {
    const content = NativeBuffer.from(bytes);
    const title = NativeBuffer.cstring(name);
    const log = sharedLog();
    const options = openOptions(title, log);
    const pointer = libbpf().bpf_object__open_mem(content.ptr, BigInt(bytes.byteLength), options.ptr);
    if (pointer === null) throw nullError(`Cannot open BPF object "${name}" of ${bytes.byteLength} bytes`);
    return new BpfObject(name, pointer, { log, buffers: [content, title, options] });
  }

  /** Whether the next `load` takes this program. */
  setAutoload(program: string, wanted: boolean): void {
    this.#unloaded("choose programs");
    const result = libbpf().bpf_program__set_autoload(this.#program(program), wanted);
    if (result !== 0) throw negativeError(result, `Cannot choose BPF program "${program}"`);
  }

  /** Whether the object has a map of this name. */
  hasMap(map: string): boolean {
    return libbpf().bpf_object__find_map_by_name(this.#handle.ptr, NativeBuffer.cstring(map).ptr) !== null;
  }

  /** Number of elements (bytes, for a ring buffer) of a map, before `load`. */
  setMaxEntries(map: string, count: number): void {
    this.#unloaded("size maps");
    const result = libbpf().bpf_map__set_max_entries(this.#map(map), checkU32(count, "count"));
    if (result !== 0) throw negativeError(result, `Cannot give BPF map "${map}" ${count} entries`);
  }

  /** Uses another object's map instead of making one, before `load`. The descriptor is duplicated. */
  reuseMap(map: string, fd: number): void {
    this.#unloaded("share maps");
    const result = libbpf().bpf_map__reuse_fd(this.#map(map), checkI32(fd, "fd"));
    if (result !== 0) throw negativeError(result, `Cannot share BPF map "${map}"`);
  }

  /** Content of a data map such as `.rodata`, before `load`. Must have exactly the map's size. */
  setInitialValue(map: string, value: Uint8Array): void {
    this.#unloaded("set constants");
    const pointer = this.#map(map);
    const size = libbpf().bpf_map__value_size(pointer);
    if (size !== value.byteLength) {
      throw new NativeError("range", LIBRARY, `BPF map "${map}" has ${size} bytes, got ${value.byteLength}`);
    }
    const content = NativeBuffer.from(value);
    const result = libbpf().bpf_map__set_initial_value(pointer, content.ptr, BigInt(size));
    if (result !== 0) throw negativeError(result, `Cannot set the content of BPF map "${map}"`);
  }

  /** Makes the maps and hands the chosen programs to the kernel. The error's code is the errno, its message ends with the verifier's log. */
  load(): void {
    this.#unloaded("load it again");
    // The words about another object.
    this.#untilLoaded?.log.bytes.fill(0, 0, 1);
    const result = libbpf().bpf_object__load(this.#handle.ptr);
    // libbpf allows one attempt for each object, also when it failed.
    this.#loaded = true;
    const tail = result === 0 ? "" : logTail(this.#untilLoaded?.log);
    this.#untilLoaded = undefined;
    if (result !== 0) throw negativeError(result, `Cannot load BPF object "${this.name}"`, tail);
  }

  /** Descriptor of a loaded program, for a map of programs. It is the object's: use it only while the object is open. */
  programFd(program: string): number {
    const fd = libbpf().bpf_program__fd(this.#program(program));
    if (fd < 0) throw new NativeError("not-loaded", LIBRARY, `BPF program "${program}" does not exist before load`);
    return fd;
  }

  /** Attaches a program where its section name says. */
  attach(program: string): BpfLink {
    const pointer = libbpf().bpf_program__attach(this.#program(program));
    if (pointer === null) throw nullError(`Cannot attach BPF program "${program}"`);
    return new BpfLink(program, pointer);
  }

  /** Attaches a cgroup program to the cgroup v2 folder open as `cgroupFd`. */
  attachCgroup(program: string, cgroupFd: number): BpfLink {
    const pointer = libbpf().bpf_program__attach_cgroup(this.#program(program), checkI32(cgroupFd, "cgroupFd"));
    if (pointer === null) throw nullError(`Cannot attach BPF program "${program}" to a cgroup`);
    return new BpfLink(program, pointer);
  }

  /** A loaded map. It is the object's: use it only while the object is open. */
  map(name: string): BpfMap {
    const pointer = this.#map(name);
    const fd = libbpf().bpf_map__fd(pointer);
    if (fd < 0) throw new NativeError("not-loaded", LIBRARY, `BPF map "${name}" does not exist before load`);
    return new BpfMap(this.#handle, name, fd);
  }

  /** Frees programs and maps that nothing else holds. Twice is fine. */
  close(): void {
    this.#handle.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #program(name: string): Pointer {
    const pointer = libbpf().bpf_object__find_program_by_name(this.#handle.ptr, NativeBuffer.cstring(name).ptr);
    if (pointer === null) throw new NativeError("no-program", LIBRARY, `BPF object "${this.name}" has no program "${name}"`);
    return checkPointer(pointer, name);
  }

  #map(name: string): Pointer {
    const pointer = libbpf().bpf_object__find_map_by_name(this.#handle.ptr, NativeBuffer.cstring(name).ptr);
    if (pointer === null) throw new NativeError("no-map", LIBRARY, `BPF object "${this.name}" has no map "${name}"`);
    return checkPointer(pointer, name);
  }

  #unloaded(what: string): void {
    this.#handle.ptr;
    if (this.#loaded) throw new NativeError("loaded", LIBRARY, `BPF object "${this.name}" is already loaded: too late to ${what}`);
  }
}

function logTail(log: NativeBuffer | undefined): string {
  const lines = (log === undefined ? "" : readCString(log.ptr))
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("processed "));
  return lines.length === 0 ? "" : `\n${lines.slice(-LOG_TAIL_LINES).join("\n")}`;
}

/** struct bpf_object_open_opts with a name and a log buffer; libbpf asks for a log only when a load fails. */
function openOptions(title: NativeBuffer, log: NativeBuffer): NativeBuffer {
  const options = new NativeBuffer(OpenOptions.Size);
  options.view.setBigUint64(OpenOptions.Sz, BigInt(OpenOptions.Size), true);
  options.setPointer(OpenOptions.ObjectName, title.ptr);
  options.setPointer(OpenOptions.KernelLogBuf, log.ptr);
  options.view.setBigUint64(OpenOptions.KernelLogSize, BigInt(log.byteLength), true);
  return options;
}

/** Offsets of struct bpf_object_open_opts (LP64). */
const enum OpenOptions {
  Sz = 0,
  ObjectName = 8,
  KernelLogBuf = 56,
  KernelLogSize = 64,
  Size = 80,
}

/** `bpf_link`: an attached program. Closing it detaches, unless it is pinned. */
export class BpfLink extends Handle {
  constructor(program: string, pointer: Pointer | bigint) {
    super(LIBRARY, `bpf_link of "${program}"`, pointer, (link) => {
      libbpf().bpf_link__destroy(link);
    });
  }

  /** Opens a link that is pinned at a path of bpffs. */
  static openPinned(path: string): BpfLink {
    const pointer = libbpf().bpf_link__open(NativeBuffer.cstring(path).ptr);
    if (pointer === null) throw nullError(`Cannot open the BPF link pinned at "${path}"`);
    return new BpfLink(path, pointer);
  }

  /** The link's descriptor; /proc/self/fdinfo tells what it is attached to. */
  get fd(): number {
    return libbpf().bpf_link__fd(this.ptr);
  }

  /** Gives the link a path of bpffs, which holds the program in place after this process. */
  pin(path: string): void {
    pinDescriptor(this.fd, path);
  }

  /** Detaches now, whoever else holds the link. Only some kinds of links can; cgroup links can. */
  detach(): void {
    const result = libbpf().bpf_link__detach(this.ptr);
    if (result !== 0) throw negativeError(result, `Cannot detach the ${this.kind}`);
  }
}

function pinDescriptor(fd: number, path: string): void {
  const result = libbpf().bpf_obj_pin(checkI32(fd, "fd"), NativeBuffer.cstring(path).ptr);
  if (result !== 0) throw negativeError(result, `Cannot pin a BPF object at "${path}"`);
}

/** Offsets of the head of struct bpf_map_info (uapi linux/bpf.h). */
const enum MapInfo {
  Type = 0,
  KeySize = 8,
  ValueSize = 12,
  Size = 16,
}

/** enum bpf_map_type: the kinds that hand out a value for each possible CPU. */
const PER_CPU_TYPES = new Set([5, 6, 10, 21]);

/** A map of a loaded object, or a pinned one, by its descriptor. Keys and values of another size than the map's never reach the kernel. */
export class BpfMap {
  readonly #owner: Handle;
  readonly #fd: number;
  readonly #keyBytes: number;
  /** Of all CPUs, for a per-CPU map. */
  readonly #valueBytes: number;

  constructor(
    owner: Handle,
    readonly name: string,
    fd: number,
  ) {
    this.#owner = owner;
    this.#fd = fd;
    const info = new NativeBuffer(MapInfo.Size);
    const infoBytes = new NativeBuffer(4);
    infoBytes.view.setUint32(0, MapInfo.Size, true);
    const result = libbpf().bpf_obj_get_info_by_fd(checkI32(fd, "fd"), info.ptr, infoBytes.ptr);
    if (result !== 0) throw negativeError(result, `Cannot ask for the sizes of BPF map "${name}"`);
    this.#keyBytes = info.u32(MapInfo.KeySize);
    const valueBytes = info.u32(MapInfo.ValueSize);
    this.#valueBytes = PER_CPU_TYPES.has(info.u32(MapInfo.Type)) ? ((valueBytes + 7) & ~7) * possibleCpus() : valueBytes;
  }

  /** Opens the map pinned at a path of bpffs; the caller closes it. */
  static openPinned(path: string): { readonly map: BpfMap; readonly close: () => void } {
    const fd = libbpf().bpf_obj_get(NativeBuffer.cstring(path).ptr);
    if (fd < 0) throw negativeError(fd, `Cannot open the BPF map pinned at "${path}"`);
    // A descriptor has the life of a pointer: never 0 here, freed once.
    const owner = new Handle(LIBRARY, `BPF map pinned at "${path}"`, checkPointer(fd, "map descriptor"), () => closeFd(fd));
    return { map: new BpfMap(owner, path, fd), close: () => owner.close() };
  }

  /** The map's descriptor; throws once the object is closed. */
  get fd(): number {
    this.#owner.ptr;
    return this.#fd;
  }

  /** Sets an element. */
  update(key: Uint8Array, value: Uint8Array): void {
    const fd = this.#checked(key, value);
    const result = libbpf().bpf_map_update_elem(fd, NativeBuffer.from(key).ptr, NativeBuffer.from(value).ptr, 0n);
    if (result !== 0) throw negativeError(result, `Cannot set an element of BPF map "${this.name}"`);
  }

  /** Removes an element. False: no such key. */
  delete(key: Uint8Array): boolean {
    const result = libbpf().bpf_map_delete_elem(this.#checked(key), NativeBuffer.from(key).ptr);
    if (result !== 0 && errorName(-result) !== "ENOENT") throw negativeError(result, `Cannot remove an element of BPF map "${this.name}"`);
    return result === 0;
  }

  /** Gives the map a path of bpffs, which keeps it after this process. */
  pin(path: string): void {
    pinDescriptor(this.fd, path);
  }

  /** Copies an element into `value`; for a per-CPU map one value for each possible CPU, each rounded up to 8 bytes. False: no such key. */
  lookup(key: Uint8Array, value: NativeBuffer): boolean {
    const result = libbpf().bpf_map_lookup_elem(this.#checked(key, value.bytes), NativeBuffer.from(key).ptr, value.ptr);
    if (result !== 0 && errorName(-result) !== "ENOENT") throw negativeError(result, `Cannot read BPF map "${this.name}"`);
    return result === 0;
  }

  /** The descriptor, once the sizes are right: the kernel reads and writes as many bytes as the map says, whatever room there is. */
  #checked(key: Uint8Array, value?: Uint8Array): number {
    this.#checkBytes("keys", this.#keyBytes, key);
    if (value !== undefined) this.#checkBytes("values", this.#valueBytes, value);
    return this.fd;
  }

  #checkBytes(what: string, wanted: number, got: Uint8Array): void {
    if (got.byteLength !== wanted) {
      throw new NativeError("range", LIBRARY, `BPF map "${this.name}" has ${what} of ${wanted} bytes, got ${got.byteLength}`);
    }
  }
}
