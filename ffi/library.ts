// Finds, loads and binds a bundled shared object at its first use. In the source tree that is a file under build/lib. In the one-file
// binary the bytes go into a sealed memory file and are loaded from there: Bun's own extraction writes to a predictable path under the
// temp folder, where somebody else could put another file first. Dependencies load first; the same SONAME then satisfies the next.
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { BUNDLED, type BundledLibrary } from "./embedded.ts";
import { NativeError } from "./handle.ts";
import { effectiveUserId, forgetPages, isOwnSealedFile, sealedMemoryFile } from "./libc.ts";
import { checkPointer, nativeView } from "./memory.ts";
import { type Bound, bindSymbols, type SymbolTable } from "./symbols.ts";

export type { BundledLibrary } from "./embedded.ts";
export type { Bound, SymbolTable } from "./symbols.ts";

/** Libraries that must be loaded before, nearest to the C library first. */
const NEEDS: Readonly<Partial<Record<BundledLibrary, readonly BundledLibrary[]>>> = {
  libelf: ["libz"],
  libbpf: ["libz", "libelf"],
};

/** One function of each library: loading is binding it, since bun:ffi opens nothing without a symbol. */
const PROBES: Readonly<Record<BundledLibrary, string>> = {
  libbpf: "libbpf_version_string",
  libelf: "elf_version",
  libluajit: "luaJIT_setmode",
  libwasmtime: "wasm_engine_new",
  libz: "zlibVersion",
};

const EMBEDDED_PREFIX = "/$bunfs/";
/** Where the fallback directory is made, with a fresh name inside. */
const FALLBACK_PARENTS = ["/var/lib", "/run", "/tmp"];

/** Smallest library whose pages in the executable are worth forgetting. */
const FORGET_BYTES_MIN: number = 4 << 20;
/** Largest page of any supported machine: ranges rounded to it are whole pages everywhere. */
const PAGE_BYTES_MAX: number = 64 << 10;
const PROBE_BYTES = 4096;

const loadablePaths = new Map<BundledLibrary, string>();

/**
 * Binds functions of a bundled library. A missing library or function is a NativeError that names library, function and version.
 * Cheap when called again for the same library; each caller still keeps its own bound table.
 */
export function openLibrary<T extends SymbolTable>(library: BundledLibrary, symbols: T, options?: { readonly version?: string }): Bound<T> {
  for (const needed of NEEDS[library] ?? []) load(needed, loadablePath(needed));
  return bindSymbols({ path: loadablePath(library), library, version: options?.version }, symbols);
}

function load(library: BundledLibrary, path: string): void {
  bindSymbols({ path, library }, { [PROBES[library]]: { args: [], returns: "void" } });
}

function loadablePath(library: BundledLibrary): string {
  const known = loadablePaths.get(library);
  if (known !== undefined) return known;
  const source = BUNDLED[library];
  const embedded = source.startsWith(EMBEDDED_PREFIX);
  const path = embedded ? unpack(library, source) : source;
  loadablePaths.set(library, path);
  // The copy read from the executable is garbage now, and large.
  if (embedded) Bun.gc(true);
  return path;
}

/** A path the loader can open that holds exactly the embedded bytes. */
function unpack(library: BundledLibrary, source: string): string {
  const name = `kestrel-${library}`;
  const earlier = findSealedFile(name);
  if (earlier !== undefined) return earlier;
  const bytes = readFileSync(source);
  try {
    return unpackToMemory(name, bytes);
  } catch (refusal) {
    return unpackToDirectory(library, bytes, refusal);
  } finally {
    if (bytes.byteLength > FORGET_BYTES_MIN) forgetEmbeddedPages(bytes);
  }
}

/** The file another thread of this process made: every worker loads the same copy, so it is in memory once. */
function findSealedFile(name: string): string | undefined {
  try {
    for (const entry of readdirSync("/proc/self/fd")) {
      const path = `/proc/self/fd/${entry}`;
      if (linkOf(path) === `/memfd:${name} (deleted)` && isOwnSealedFile(Number(entry))) return path;
    }
  } catch {
    // No /proc: the fallback directory will do.
  }
  return undefined;
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function unpackToMemory(name: string, bytes: Buffer): string {
  // The descriptor stays open for the life of the process: the loader knows a library by its path, and a reused number would be taken for
  // it.
  const path = `/proc/self/fd/${sealedMemoryFile(name, bytes)}`;
  if (linkOf(path) === undefined) throw new NativeError("no-proc", name, "/proc is not mounted");
  return path;
}

/**
 * Where memory files or /proc are refused: a new directory that only this user can enter. The file is read back, loaded and removed at
 * once; the loader then knows it by its path. A parent mounted noexec fails at loading, and the next one is tried.
 */
export function unpackToDirectory(library: BundledLibrary, bytes: Buffer, refusal: unknown): string {
  let reason = messageOf(refusal);
  for (const parent of FALLBACK_PARENTS) {
    const directory = makePrivateDirectory(parent);
    if (directory === undefined) continue;
    const path = join(directory, `${library}.so`);
    try {
      writeFileSync(path, bytes, { flag: "wx", mode: 0o500 });
      if (!readFileSync(path).equals(bytes)) throw new NativeError("altered", library, `"${path}" changed while it was written`);
      load(library, path);
      return path;
    } catch (error) {
      reason += `; ${messageOf(error)}`;
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  const places = FALLBACK_PARENTS.join(", ");
  throw new NativeError("cannot-unpack", library, `Cannot unpack ${library} into memory or below ${places}: ${reason}`, { cause: refusal });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function makePrivateDirectory(parent: string): string | undefined {
  try {
    const directory = mkdtempSync(join(parent, "kestrel-"));
    chmodSync(directory, 0o700);
    const made = lstatSync(directory);
    if (made.isDirectory() && made.uid === effectiveUserId() && (made.mode & 0o077) === 0) return directory;
  } catch {
    // Not writable: the next parent.
  }
  return undefined;
}

/**
 * Reading an embedded file touches its pages in the executable's own mapping, 30 MB for libwasmtime, which would stay resident for good.
 * The bytes are found there and forgotten: the next reader, if any, gets them from the file again. Nothing but memory use depends on this.
 */
function forgetEmbeddedPages(bytes: Buffer): void {
  try {
    const found = findInExecutable(bytes);
    if (found === undefined) return;
    const start = Math.ceil(found / PAGE_BYTES_MAX) * PAGE_BYTES_MAX;
    const end = Math.floor((found + bytes.byteLength) / PAGE_BYTES_MAX) * PAGE_BYTES_MAX;
    forgetPages(start, end - start);
  } catch {
    // No /proc, or another layout of the executable.
  }
}

/** Address of these bytes inside a mapping of the executable whose file holds the same bytes at that place. */
function findInExecutable(bytes: Buffer): number | undefined {
  const executable = readlinkSync("/proc/self/exe");
  for (const line of readFileSync("/proc/self/maps", "utf8").split("\n")) {
    const mapping = /^([0-9a-f]+)-([0-9a-f]+) rw-p ([0-9a-f]+) \S+ \d+ +(.*)$/.exec(line);
    if (mapping === null || mapping[4] !== executable) continue;
    const [start, end, fileOffset] = mapping.slice(1, 4).map((text) => Number.parseInt(text, 16)) as [number, number, number];
    if (end - start < bytes.byteLength) continue;
    const view = nativeView(checkPointer(start, "mapping"), end - start);
    const memory = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
    const at = memory.indexOf(bytes.subarray(0, PROBE_BYTES));
    if (at >= 0 && memory.subarray(at, at + bytes.byteLength).equals(bytes) && fileHolds(bytes, fileOffset + at)) return start + at;
  }
  return undefined;
}

/**
 * Whether the executable's file has the first and last of these bytes at an offset: the memory there is the file's, not something loaded
 * over it.
 */
function fileHolds(bytes: Buffer, fileOffset: number): boolean {
  const fd = openSync("/proc/self/exe", "r");
  try {
    const last = bytes.byteLength - PROBE_BYTES;
    return [0, last].every((at) => {
      const piece = Buffer.alloc(PROBE_BYTES);
      readSync(fd, piece, 0, PROBE_BYTES, fileOffset + at);
      return piece.equals(bytes.subarray(at, at + PROBE_BYTES));
    });
  } finally {
    closeSync(fd);
  }
}
