// Lets standard input be read twice: it is copied to a temporary file that has no name, so that nothing is left behind however the program ends.
import { closeSync, createWriteStream, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

/** Paths that can be read more than once. */
export interface RereadablePaths extends Disposable {
  readonly paths: readonly string[];
}

/** Replaces `-` by a copy of standard input. Dispose gives the copy's space back. */
export async function rereadable(paths: readonly string[]): Promise<RereadablePaths> {
  if (!paths.includes("-")) return { paths, [Symbol.dispose]: () => undefined };
  const descriptor = openNameless();
  // Opened again for each reader, each with its own position.
  const copy = `/proc/self/fd/${descriptor}`;
  await pipeline(process.stdin, createWriteStream(copy));
  return {
    paths: paths.map((path) => (path === "-" ? copy : path)),
    [Symbol.dispose]: () => closeSync(descriptor),
  };
}

function openNameless(): number {
  const folder = mkdtempSync(join(tmpdir(), "kestrel-"));
  try {
    return openSync(join(folder, "stdin"), "wx+", 0o600);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
