// The agent's data folder: made 0700, refused when others could write into it.
import { existsSync, mkdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { KestrelError, messageOf } from "#core";

/** Places inside a data folder. */
export interface DataDirectory {
  readonly path: string;
  /** SQLite database. */
  readonly database: string;
  /** Bearer token of the API. */
  readonly token: string;
  /** Compiled modules. */
  readonly cache: string;
}

/** The folder used when `--data` is not given. */
export function defaultDataPath(): string {
  if (process.geteuid?.() === 0) return "/var/lib/kestrel";
  return join(process.env["XDG_DATA_HOME"] ?? join(homedir(), ".local", "share"), "kestrel");
}

/** Makes or checks the folder. */
export function openDataDirectory(path: string): DataDirectory {
  try {
    if (existsSync(path) && !statSync(path).isDirectory()) throw new Error("it is not a folder");
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const { mode, uid } = statSync(path);
    const me = process.geteuid?.();
    if (me !== undefined && uid !== me) throw new Error(`it belongs to user ${uid}, not to ${me}`);
    if ((mode & 0o022) !== 0) throw new Error(`others may write into it (mode ${(mode & 0o777).toString(8)}); run chmod 700 on it`);
    const cache = join(path, "cache");
    mkdirSync(cache, { recursive: true, mode: 0o700 });
    return { path, database: join(path, "kestrel.db"), token: join(path, "token"), cache };
  } catch (error) {
    throw new KestrelError("data-directory", `Cannot use the data folder "${path}": ${messageOf(error)}; choose another with --data`, {
      cause: error,
    });
  }
}
