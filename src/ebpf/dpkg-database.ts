// The lists of dpkg: which package brought which file. Read file by file between other work; diverted files are where they were diverted to. A
// damaged list makes that package's files unknown, not an error.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { PackageIndex } from "./package-index.ts";

const LIST = /^(.+?)(?::[a-z0-9-]+)?\.list$/;
const LIST_BYTES_MAX = 64 << 20;

interface Diversion {
  readonly to: string;
  /** The package whose own file stays. */
  readonly by: string;
}

/** Puts all files into the index; `folder` is /var/lib/dpkg. False: there is no such database. */
export async function readDpkg(folder: string, index: PackageIndex): Promise<boolean> {
  const info = join(folder, "info");
  const names = await readdir(info).catch(() => []);
  const diversions = parseDiversions(await readText(join(folder, "diversions")));
  let found = false;
  for (const name of names) {
    const owner = LIST.exec(name)?.[1];
    if (owner === undefined || !index.begin(owner)) continue;
    found = true;
    for (const path of (await readText(join(info, name))).split("\n")) {
      if (path.length < 2) continue;
      const diversion = diversions.get(path);
      index.add(diversion === undefined || diversion.by === owner ? path : diversion.to);
    }
  }
  return found;
}

/** Three lines each: the file, where it went, for which package. */
function parseDiversions(text: string): ReadonlyMap<string, Diversion> {
  const lines = text.split("\n");
  const diversions = new Map<string, Diversion>();
  for (let at = 0; at + 2 < lines.length; at += 3) diversions.set(lines[at]!, { to: lines[at + 1]!, by: lines[at + 2]! });
  return diversions;
}

async function readText(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    return bytes.byteLength > LIST_BYTES_MAX ? "" : bytes.toString("utf8");
  } catch {
    return "";
  }
}
