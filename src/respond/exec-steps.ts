// Tells the files of one exec apart. The kernel asks about each it opens: a script, its interpreter, that program's loader. They come from one thread one
// after another; what comes next is known from the file before. Invariant: a file is taken for an interpreter or a loader only when it is the very
// file the one before names; in every other case it counts as a program of its own.
import { type BigIntStats, statSync } from "node:fs";
import type { NextFile } from "./program-file.ts";

/** Most threads remembered; the oldest are forgotten. */
const THREADS_MAX = 8192;

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
  roleOf(tid: number, file: Pick<BigIntStats, "dev" | "ino">): ExecRole {
    const expected = this.#expected.get(tid);
    if (expected === undefined || !isSame(tid, expected.next.path, file)) return { kind: "program", script: "" };
    return expected.next.kind === "loader" ? { kind: "loader" } : { kind: "program", script: expected.script };
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

// Looked up as the thread sees it, which may live in another root.
function isSame(tid: number, path: string, file: Pick<BigIntStats, "dev" | "ino">): boolean {
  try {
    const found = path.startsWith("/")
      ? statSync(`/proc/${tid}/root${path}`, { bigint: true })
      : statSync(`/proc/${tid}/cwd/${path}`, { bigint: true });
    return found.dev === file.dev && found.ino === file.ino;
  } catch {
    return false;
  }
}
