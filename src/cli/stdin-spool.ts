// Lets standard input be read twice: it is copied to a private temporary file, removed at the end.
import { createWriteStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

/** Paths that can be read more than once. */
export interface RereadablePaths extends Disposable {
  readonly paths: readonly string[];
}

/** Replaces `-` by a copy of standard input. Dispose removes the copy. */
export async function rereadable(paths: readonly string[]): Promise<RereadablePaths> {
  if (!paths.includes("-")) return { paths, [Symbol.dispose]: () => undefined };
  const folder = mkdtempSync(join(tmpdir(), "kestrel-"));
  const copy = join(folder, "stdin");
  await pipeline(process.stdin, createWriteStream(copy, { mode: 0o600 }));
  return {
    paths: paths.map((path) => (path === "-" ? copy : path)),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
