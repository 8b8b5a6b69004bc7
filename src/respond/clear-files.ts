// Files that no rule can want denied, whoever runs them, as long as they stay what they are. Invariants: bounded; a file is known by its path as well as
// by its inode, since rules read the path and a rename or a bind mount changes that alone; any change of the inode makes it another file.
import type { FileStatus } from "#ffi/descriptors";
import type { NextFile } from "./program-file.ts";

/** Most files remembered; then all are forgotten, which costs one question each. */
export const CLEAR_FILES_MAX = 16_384;
/** A change within one tick of the kernel's coarse clock leaves the time as it is: files that changed so lately are not kept yet. */
const SETTLED_NS = 100_000_000n;

/** One file as it is, in one role. */
export function fileKey(path: string, { device, inode, ctimeNs, sizeBytes }: FileStatus, script: string): string {
  return `${device}:${inode}:${ctimeNs}:${sizeBytes}\0${path}\0${script}`;
}

/** Whether a file has been as it is for long enough that a change from now on shows. */
export function isSettled({ ctimeNs, mtimeNs }: FileStatus, nowNs: bigint): boolean {
  return nowNs - ctimeNs > SETTLED_NS && nowNs - mtimeNs > SETTLED_NS;
}

/** See the head of this file. */
export class ClearFiles {
  readonly #files = new Map<string, NextFile | undefined>();

  /** Files known. */
  get size(): number {
    return this.#files.size;
  }

  /** Whether a file is known to be clear. */
  has(key: string): boolean {
    return this.#files.has(key);
  }

  /** What the kernel opens after this file. */
  nextOf(key: string): NextFile | undefined {
    return this.#files.get(key);
  }

  add(key: string, next: NextFile | undefined): void {
    if (this.#files.size >= CLEAR_FILES_MAX) this.#files.clear();
    this.#files.set(key, next);
  }

  clear(): void {
    this.#files.clear();
  }
}
