// Which files a path means, and their bytes. Reads regular files only, under a size limit; a pipe or device never blocks the reader.
import { closeSync, constants, type Dirent, fstatSync, openSync, readdirSync, readSync, realpathSync, statSync } from "node:fs";
import { dirname, isAbsolute, join, relative, sep } from "node:path";
import { ruleFormatOf } from "./parse.ts";

const FILES_MAX = 20_000;
const FOLDER_DEPTH_MAX = 32;

/** A rule file to read. */
export interface RuleFilePath {
  readonly path: string;
  /** Folder that a `wasm` path must stay inside. */
  readonly root: string;
  /** Found in a folder: files that hold no rules are skipped instead of being errors. */
  readonly found: boolean;
}

/** A path that leads nowhere. */
export interface PathFailure {
  readonly path: string;
  readonly message: string;
}

/** The rule files of a file, a folder (recursive, sorted, without dot files and symbolic links to folders) or a glob. */
export function findRuleFiles(path: string): readonly RuleFilePath[] | PathFailure {
  try {
    if (statSync(path).isDirectory()) {
      const files: RuleFilePath[] = [];
      return walkFolder(path, path, 0, files) ?? files;
    }
    return [{ path, root: dirname(path), found: false }];
  } catch (error) {
    if (codeOf(error) === "ENOENT" && /[*?[{]/.test(path)) return expandGlob(path);
    return { path, message: `Cannot read "${path}": ${reasonOf(error)}` };
  }
}

function walkFolder(folder: string, root: string, depth: number, files: RuleFilePath[]): PathFailure | undefined {
  if (depth > FOLDER_DEPTH_MAX) return { path: folder, message: `Folder "${folder}" is nested deeper than ${FOLDER_DEPTH_MAX} levels` };
  const children: Dirent[] = readdirSync(folder, { withFileTypes: true });
  children.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const child of children) {
    if (child.name.startsWith(".")) continue;
    const path = join(folder, child.name);
    if (child.isDirectory()) {
      const failure = walkFolder(path, root, depth + 1, files);
      if (failure !== undefined) return failure;
    } else if (ruleFormatOf(child.name) !== undefined) {
      if (files.length === FILES_MAX) return { path: root, message: `Folder "${root}" holds more than ${FILES_MAX} rule files` };
      files.push({ path, root, found: true });
    }
  }
  return undefined;
}

function expandGlob(pattern: string): readonly RuleFilePath[] | PathFailure {
  // The part before the first wildcard is a plain folder; matching begins there.
  const parts = pattern.split("/");
  const first = parts.findIndex((part) => /[*?[{]/.test(part));
  const base = parts.slice(0, first).join("/") || (pattern.startsWith("/") ? "/" : ".");
  try {
    const glob = new Bun.Glob(parts.slice(first).join("/"));
    const matches: string[] = [];
    for (const match of glob.scanSync({ cwd: base, onlyFiles: true, followSymlinks: false })) {
      if (ruleFormatOf(match) === undefined) continue;
      if (matches.length === FILES_MAX) return { path: pattern, message: `"${pattern}" names more than ${FILES_MAX} rule files` };
      matches.push(match);
    }
    if (matches.length === 0) return { path: pattern, message: `No rule file matches "${pattern}"` };
    return matches.sort().map((match) => {
      const path = base === "." ? match : join(base, match);
      return { path, root: dirname(path), found: false };
    });
  } catch (error) {
    return { path: pattern, message: `Cannot look for "${pattern}": ${reasonOf(error)}` };
  }
}

/** Bytes of a regular file of at most `bytesMax`, or why not. */
export function readBounded(path: string, bytesMax: number): Uint8Array | PathFailure {
  let descriptor: number | undefined;
  try {
    // O_NONBLOCK: opening a pipe nobody writes to would wait for ever.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) return { path, message: `Cannot read "${path}": it is not a regular file` };
    const buffer = new Uint8Array(Math.min(stat.size, bytesMax) + 1);
    let length = 0;
    for (let got = -1; got !== 0 && length < buffer.length; length += got)
      got = readSync(descriptor, buffer, length, buffer.length - length, null);
    if (length > bytesMax) return { path, message: `"${path}" has more than ${bytesMax} bytes, the most that are read` };
    return buffer.subarray(0, length);
  } catch (error) {
    return { path, message: `Cannot read "${path}": ${reasonOf(error)}` };
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Where a `wasm` path leads, if that is inside the rule folder after following every symbolic link. */
export function resolveInside(file: RuleFilePath, path: string): string | PathFailure {
  const outside = { path, message: `"${path}" is outside the rule folder "${file.root}": keep a module beside its rule` };
  if (isAbsolute(path)) return outside;
  try {
    const target = realpathSync(join(dirname(file.path), path));
    const way = relative(realpathSync(file.root), target);
    return way === ".." || way.startsWith(`..${sep}`) ? outside : target;
  } catch (error) {
    return { path, message: `Cannot read "${path}": ${reasonOf(error)}` };
  }
}

/** The file's own identity, so that one named twice is read once. */
export function identityOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  const reasons: Record<string, string> = { ENOENT: "no such file", EACCES: "permission denied", ELOOP: "too many symbolic links" };
  return reasons[code ?? ""] ?? code ?? (error instanceof Error ? error.message : String(error));
}

/** Paths of the rule files that files, folders and globs name, in the order they load; what cannot be read is left out. */
export function ruleFilePaths(paths: readonly string[]): readonly string[] {
  return paths.flatMap((path) => {
    const found = findRuleFiles(path);
    return Array.isArray(found) ? (found as readonly RuleFilePath[]).map((file) => file.path) : [];
  });
}
