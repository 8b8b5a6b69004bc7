// Tells the files of one exec apart. The kernel asks about each it opens: a script, its interpreter, that program's loader. They come from one thread one
// after another; what comes next is known from the file before. Invariant: a file is taken for an interpreter or a loader only when it is the very
// file the one before names; in every other case it counts as a program of its own.
import { closeSync, openSync } from "node:fs";
import { cachedStatusAt, type FileStatus } from "#ffi/descriptors";
import type { NextFile } from "./program-file.ts";

/** Most threads remembered; the oldest are forgotten. */
const THREADS_MAX = 8192;

const O_PATH = 0o10_000_000;

type FileIdentity = Pick<FileStatus, "device" | "inode">;

const PROGRAM = { kind: "program", script: "" } as const;

/** What a file is run as. */
export type ExecRole = { readonly kind: "program"; readonly script: string } | { readonly kind: "loader" };

interface Expected {
  readonly next: NextFile;
  readonly script: string;
}

/** See the head of this file. */
export class ExecSteps {
  readonly #expected = new Map<number, Expected>();

  /** Which kind of file this thread may be about to open beside a new program. */
  expects(tid: number): NextFile["kind"] | undefined {
    return this.#expected.get(tid)?.next.kind;
  }

  /** What a file is to the thread that opens it now. */
  roleOf(tid: number, file: FileIdentity): ExecRole {
    const expected = this.#expected.get(tid);
    const found = expected === undefined ? undefined : statusOf(tid, expected.next.path);
    if (expected === undefined || found === undefined) return PROGRAM;
    const isSame = found !== "unknown" && found.device === file.device && found.inode === file.inode;
    if (expected.next.kind === "loader") return isSame ? { kind: "loader" } : PROGRAM;
    // Whoever serves a link to the interpreter could hide the script behind it.
    return isSame || found === "unknown" ? { kind: "program", script: expected.script } : PROGRAM;
  }

  /** Notes what a file was, and what the kernel opens after it. */
  note(tid: number, file: { readonly path: string; readonly next: NextFile | undefined; readonly script: string }): void {
    const { path, next, script } = file;
    this.#expected.delete(tid);
    if (next === undefined) return;
    if (this.#expected.size >= THREADS_MAX) this.#expected.delete(this.#expected.keys().next().value as number);
    // A script's interpreter may be a script: the first one is what was run.
    this.#expected.set(tid, { next, script: next.kind === "loader" ? "" : script === "" ? path : script });
  }
}

// Looked up as the thread sees it, which may live in another root; and only in the kernel's memory, where the name is since the kernel opened the file:
// whoever serves a filesystem could make any other look wait.
function statusOf(tid: number, path: string): FileStatus | "unknown" | undefined {
  let folder: number | undefined;
  try {
    folder = openSync(`/proc/${tid}/${path.startsWith("/") ? "root" : "cwd"}`, O_PATH);
    return cachedStatusAt(folder, path);
  } catch {
    return undefined;
  } finally {
    if (folder !== undefined) closeSync(folder);
  }
}
