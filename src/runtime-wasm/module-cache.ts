// Compiled modules on disk, so that a restart arms in milliseconds. A cached file is machine code that will run in this process: it is used
// only from a directory that nobody else can enter, only when the file is ours, and only when its hash still holds.
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { messageOf } from "#core";
import { effectiveUserId } from "#ffi/libc";
import { WASMTIME_VERSION } from "#ffi/libwasmtime";

/** What became of the cache: used, not asked for, or refused with the reason. */
export type CacheState =
  | { readonly kind: "off" }
  | { readonly kind: "on"; readonly directory: string }
  | { readonly kind: "refused"; readonly directory: string; readonly reason: string };

/** Counts since the start. `rejected` files were altered, foreign or of another version. */
export interface CacheCounts {
  readonly hits: number;
  readonly misses: number;
  readonly rejected: number;
}

const MAGIC = "KSTLWASM";
const FORMAT = 1;
const HASH_BYTES = 32;
/** magic, u32 format, u32 zero, key hash, payload hash. */
const HEADER_BYTES = 16 + 2 * HASH_BYTES;
/** Most files kept; the oldest go first. */
const FILES_MAX = 64;
const FILE_BYTES_MAX = 256 << 20;
const SUFFIX = ".cwasm";

/** One directory of compiled modules. Every failure to read or write is a miss: the module is compiled again. */
export class ModuleCache {
  readonly state: CacheState;
  #hits = 0;
  #misses = 0;
  #rejected = 0;

  constructor(directory: string | undefined) {
    this.state = directory === undefined ? { kind: "off" } : prepare(directory);
  }

  get counts(): CacheCounts {
    return { hits: this.#hits, misses: this.#misses, rejected: this.#rejected };
  }

  /** Compiled form of a module with this hash, verified. */
  load(moduleHash: Uint8Array): Uint8Array | undefined {
    if (this.state.kind !== "on") return undefined;
    const path = join(this.state.directory, fileName(moduleHash));
    const file = readOwnFile(path);
    if (file === undefined) {
      this.#misses++;
      return undefined;
    }
    const payload = file === "foreign" ? undefined : verify(file, moduleHash);
    if (payload === undefined) {
      this.reject(moduleHash);
      return undefined;
    }
    this.#hits++;
    return payload;
  }

  /** Removes a file that cannot be used, and counts it. */
  reject(moduleHash: Uint8Array): void {
    this.#rejected++;
    if (this.state.kind === "on") rmSync(join(this.state.directory, fileName(moduleHash)), { force: true });
  }

  /** Keeps a compiled module. It appears whole or not at all. */
  store(moduleHash: Uint8Array, payload: Uint8Array): void {
    if (this.state.kind !== "on") return;
    const { directory } = this.state;
    const path = join(directory, fileName(moduleHash));
    const temporary = `${path}.${crypto.randomUUID()}.tmp`;
    try {
      writeFileSync(temporary, seal(payload, moduleHash), { flag: "wx", mode: 0o600 });
      renameSync(temporary, path);
      prune(directory);
    } catch {
      // A full or read-only disk only costs the next start some milliseconds.
      rmSync(temporary, { force: true });
    }
  }
}

/** SHA-256 of bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(new Bun.CryptoHasher("sha256").update(bytes).digest().buffer);
}

function prepare(directory: string): CacheState {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const found = lstatSync(directory);
    const refused = (reason: string): CacheState => ({ kind: "refused", directory, reason });
    if (!found.isDirectory()) return refused("it is not a directory");
    if (found.uid !== effectiveUserId()) return refused(`it belongs to uid ${found.uid}, not to this user`);
    if ((found.mode & 0o077) !== 0) return refused(`others may enter it (mode ${(found.mode & 0o777).toString(8)}); chmod 700 allows it`);
    return { kind: "on", directory };
  } catch (error) {
    return { kind: "refused", directory, reason: messageOf(error) };
  }
}

function fileName(moduleHash: Uint8Array): string {
  return `${Buffer.from(moduleHash).toString("hex")}-${WASMTIME_VERSION}-${process.arch}${SUFFIX}`;
}

/** Binds a payload to its module, the library version and the machine, so that a renamed file is refused too. */
function keyHash(moduleHash: Uint8Array): Uint8Array {
  const hasher = new Bun.CryptoHasher("sha256");
  hasher.update(`${FORMAT} ${WASMTIME_VERSION} ${process.arch} `);
  hasher.update(moduleHash);
  return new Uint8Array(hasher.digest().buffer);
}

function seal(payload: Uint8Array, moduleHash: Uint8Array): Uint8Array {
  const file = new Uint8Array(HEADER_BYTES + payload.byteLength);
  new TextEncoder().encodeInto(MAGIC, file);
  new DataView(file.buffer).setUint32(8, FORMAT, true);
  file.set(keyHash(moduleHash), 16);
  file.set(sha256(payload), 16 + HASH_BYTES);
  file.set(payload, HEADER_BYTES);
  return file;
}

function verify(file: Buffer, moduleHash: Uint8Array): Uint8Array | undefined {
  if (file.byteLength <= HEADER_BYTES || file.toString("latin1", 0, 8) !== MAGIC || file.readUInt32LE(8) !== FORMAT) return undefined;
  const payload = file.subarray(HEADER_BYTES);
  const key = file.subarray(16, 16 + HASH_BYTES);
  const hash = file.subarray(16 + HASH_BYTES, HEADER_BYTES);
  return key.equals(keyHash(moduleHash)) && hash.equals(sha256(payload)) ? payload : undefined;
}

/**
 * The file's bytes; `foreign` when somebody else could have written it. The checks are on the open file, so it cannot be swapped between.
 */
function readOwnFile(path: string): Buffer | "foreign" | undefined {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ELOOP" ? "foreign" : undefined;
  }
  try {
    const found = fstatSync(fd);
    if (!found.isFile() || found.uid !== effectiveUserId() || (found.mode & 0o022) !== 0 || found.size > FILE_BYTES_MAX) return "foreign";
    const bytes = Buffer.from(new ArrayBuffer(found.size));
    for (let done = 0; done < bytes.byteLength; ) {
      const count = readSync(fd, bytes, done, bytes.byteLength - done, done);
      if (count === 0) return bytes.subarray(0, done);
      done += count;
    }
    return bytes;
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}

function prune(directory: string): void {
  const files = readdirSync(directory).filter((name) => name.endsWith(SUFFIX));
  if (files.length <= FILES_MAX) return;
  const aged = files.map((name) => ({ path: join(directory, name), time: statSync(join(directory, name)).mtimeMs }));
  aged.sort((a, b) => a.time - b.time);
  for (const { path } of aged.slice(0, files.length - FILES_MAX)) rmSync(path, { force: true });
}
