// Finds, loads and binds a bundled shared object at its first use. In the source tree that is a file under build/lib. In the one-file
// binary the bytes go into a sealed memory file and are loaded from there: Bun's own extraction writes to a predictable path under the
// temp folder, where somebody else could put another file first. Dependencies load first; the same SONAME then satisfies the next.
import { chmodSync, lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BUNDLED, type BundledLibrary } from "./embedded.ts";
import { NativeError } from "./handle.ts";
import { effectiveUserId, isOwnSealedFile, pageOut, sealedMemoryFile } from "./libc.ts";
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
  const path = source.startsWith(EMBEDDED_PREFIX) ? unpack(library, source) : source;
  loadablePaths.set(library, path);
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
    releaseEmbeddedPages();
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
  // The descriptor stays open for the life of the process: the loader knows a library by its path, and a reused number would be taken for it.
  const path = `/proc/self/fd/${sealedMemoryFile(name, bytes)}`;
  if (linkOf(path) === undefined) throw new NativeError("no-proc", name, "/proc is not mounted");
  return path;
}

/**
 * Where memory files or /proc are refused: a new directory that only this user can enter. The file is read back, loaded and removed at once;
 * the loader then knows it by its path. A parent mounted noexec fails at loading, and the next one is tried.
 */
function unpackToDirectory(library: BundledLibrary, bytes: Buffer, refusal: unknown): string {
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
 * Reading an embedded file touches its pages in the executable's mapping, 30 MB for libwasmtime, which would count as resident for good.
 * They are clean pages of the file, so the kernel may take them back.
 */
function releaseEmbeddedPages(): void {
  Bun.gc(true);
  try {
    const executable = readlinkSync("/proc/self/exe");
    for (const line of readFileSync("/proc/self/maps", "utf8").split("\n")) {
      const mapping = /^([0-9a-f]+)-([0-9a-f]+) rw-p \S+ \S+ \d+ +(.*)$/.exec(line);
      if (mapping === null || mapping[3] !== executable) continue;
      const start = Number.parseInt(mapping[1] ?? "", 16);
      pageOut(start, Number.parseInt(mapping[2] ?? "", 16) - start);
    }
  } catch {
    // Only memory use suffers.
  }
}
