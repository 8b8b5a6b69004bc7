// Files that decide what the agent does: nobody but its user and root may be able to change them, nor the folders on the way to them.
import { lstatSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** A file or folder that somebody else can change. */
export interface Distrust {
  readonly path: string;
  /** Who can, and what to do about it. */
  readonly reason: string;
}

const WRITE_BY_OTHERS = 0o022;
const STICKY = 0o1000;
const ROOT = 0;

/** What on the way to a file, the file included, others can change. A file that is not there yet is judged by its folder. */
export function checkTrusted(path: string, user: number): readonly Distrust[] {
  const found: Distrust[] = [];
  for (let current = resolve(path), isFile = true; ; current = dirname(current), isFile = false) {
    const reason = whyDistrusted(current, user, isFile);
    if (reason !== undefined) found.push({ path: current, reason });
    if (current === dirname(current)) return found;
  }
}

function whyDistrusted(path: string, user: number, isFile: boolean): string | undefined {
  let stat: ReturnType<typeof lstatSync>;
  try {
    stat = lstatSync(path);
  } catch {
    return undefined;
  }
  const { uid, mode } = stat;
  if (uid !== ROOT && uid !== user) return `it belongs to user ${uid}, who can change it: chown it to user ${user}`;
  // The rights of a symbolic link mean nothing, and in a sticky folder only owners remove.
  if (stat.isSymbolicLink() || (mode & WRITE_BY_OTHERS) === 0) return undefined;
  if (stat.isDirectory() && !isFile && (mode & STICKY) !== 0) return undefined;
  return `others may write to it (mode ${(mode & 0o7777).toString(8)}): chmod go-w it`;
}
