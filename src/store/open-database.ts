// Opens the database file: private to its owner, in WAL mode, checked. A damaged file is set aside, never deleted, and what can be read
// from it goes into the new one.
import { Database } from "bun:sqlite";
import { chmodSync, closeSync, constants, existsSync, mkdirSync, openSync, readSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { KestrelError } from "#core";
import { APPLICATION_ID, foreign, migrate, type OnProgress, refuseForeign } from "./migrations.ts";
import { isDamage, storeError } from "./store-error.ts";

/** An open database and what happened on the way. */
export interface OpenedDatabase {
  readonly database: Database;
  /** Where a damaged file was moved to. */
  readonly setAside?: string;
  /** Alerts read from the damaged file. */
  readonly alertsRecovered: number;
}

/** Settings of the connection. */
export interface ConnectionLimits {
  readonly fileBytesMax: number;
  readonly busyTimeoutMs: number;
  /** Whether a file that never was a database is refused instead of set aside. */
  readonly refuseOtherFiles: boolean;
  readonly onProgress?: OnProgress | undefined;
}

// Above this size the check would delay the start; damage then shows as an error of the statement that meets it.
const CHECKED_BYTES_MAX: number = 32 << 20;
const SET_ASIDE_MAX = 1000;
// SQLite's file format, section 1.3, "The Database Header".
const HEADER_BYTES = 100;
const MAGIC = "SQLite format 3\0";
const APPLICATION_ID_OFFSET = 68;
// SQLite's own default, which new files have.
const PAGE_BYTES = 4096;

/** Opens or makes the database. Throws {@link KestrelError} when that is impossible. */
export function openDatabase(path: string, limits: ConnectionLimits): OpenedDatabase {
  try {
    if (existsSync(path)) refuseOthers(path, limits.refuseOtherFiles);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    // The file's mode is right before SQLite writes the first byte; its -wal and -shm files take it over.
    closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600));
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
  } catch (error) {
    throw storeError("open", path, error);
  }
  try {
    return { database: openChecked(path, limits), alertsRecovered: 0 };
  } catch (error) {
    if (!isDamage(error)) throw storeError("open", path, error);
  }
  try {
    const setAside = moveAside(path);
    closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600));
    const database = openChecked(path, limits);
    return { database, setAside, alertsRecovered: recover(setAside, database) };
  } catch (error) {
    throw storeError("replace the damaged database", path, error);
  }
}

// Looks at the header before anything of the file is changed, its mode included. A file of ours that is so damaged that its beginning is gone
// cannot be told from any other file.
function refuseOthers(path: string, refuseOtherFiles: boolean): void {
  const header = Buffer.alloc(HEADER_BYTES);
  // Not to wait for a writer should it be a pipe.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  let length: number;
  try {
    length = readSync(file, header);
  } finally {
    closeSync(file);
  }
  if (length === 0) return;
  if (header.toString("latin1", 0, MAGIC.length) !== MAGIC) {
    if (!refuseOtherFiles) return;
    throw new KestrelError("store-foreign", `"${path}" is not a file that Kestrel keeps its state in: choose another name`);
  }
  const owner = header.readUInt32BE(APPLICATION_ID_OFFSET);
  if (owner !== 0 && owner !== APPLICATION_ID) throw foreign(path);
}

function openChecked(path: string, limits: ConnectionLimits): Database {
  const database = new Database(path, { readwrite: true, create: true, strict: true });
  try {
    database.run(`PRAGMA busy_timeout = ${Math.max(0, Math.round(limits.busyTimeoutMs))}`);
    // First of all, because the journal mode is written into the file.
    refuseForeign(database, path);
    // WAL with NORMAL: a commit is in the kernel's hands when it returns, so it survives the death of this process; only a power cut may
    // take the last commits. FULL would pay an fsync for every alert.
    database.run("PRAGMA journal_mode = WAL");
    database.run("PRAGMA synchronous = NORMAL");
    migrate(database, path, limits.onProgress && { onProgress: limits.onProgress });
    database.run(`PRAGMA max_page_count = ${Math.max(1, Math.floor(limits.fileBytesMax / PAGE_BYTES))}`);
    if (statSync(path).size <= CHECKED_BYTES_MAX) check(database, path);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

// quick_check tells damage in rows, not in an exception: turned into one here.
function check(database: Database, path: string): void {
  const row = database.query<{ readonly quick_check: string }, []>("PRAGMA quick_check(1)").get();
  if (row?.quick_check !== "ok") throw new DamagedDatabase(`"${path}": ${row?.quick_check ?? "no answer"}`);
}

// Looks like SQLite's own error, so that one test finds both.
class DamagedDatabase extends Error {
  readonly errno = 11;
}

function moveAside(path: string): string {
  for (let number = 1; number <= SET_ASIDE_MAX; number++) {
    const aside = `${path}.damaged-${number}`;
    if (existsSync(aside)) continue;
    for (const suffix of ["", "-wal", "-shm"]) if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
    return aside;
  }
  throw new KestrelError("store-failed", `There are ${SET_ASIDE_MAX} damaged databases beside "${path}": move them away`);
}

interface TablePlan {
  readonly table: string;
  readonly columns: string;
  readonly order: string;
}

// The sequence state is not among them: part of it would be worse than none.
const TABLES: readonly TablePlan[] = [
  { table: "alerts", columns: "position, id, time_ns, rule_id, severity, bytes, json", order: "position" },
  { table: "rules", columns: "id, format, text, enabled, updated_ns", order: "id" },
  { table: "settings", columns: "key, value", order: "key" },
];

// Copies every row that can be read: from both ends of each table towards the damage. Returns the number of alerts.
function recover(from: string, into: Database): number {
  let source: Database;
  try {
    source = new Database(from, { readwrite: true, strict: true, safeIntegers: true });
  } catch {
    return 0;
  }
  try {
    for (const plan of TABLES) for (const direction of ["ASC", "DESC"]) copyRows(source, into, plan, direction);
  } finally {
    source.close();
  }
  return into.query<{ readonly count: number }, []>("SELECT count(*) AS count FROM alerts").get()?.count ?? 0;
}

function copyRows(source: Database, into: Database, { table, columns, order }: TablePlan, direction: string): void {
  const insert = into.query(`INSERT OR IGNORE INTO ${table} (${columns}) VALUES (${columns.replaceAll(/\w+/g, "?")})`);
  into.transaction(() => {
    try {
      // NOT INDEXED: the table itself is read, an index may be the damaged part.
      for (const row of source.query(`SELECT ${columns} FROM ${table} NOT INDEXED ORDER BY ${order} ${direction}`).iterate()) {
        insert.run(...(Object.values(row as object) as (string | bigint)[]));
      }
    } catch {
      // The damage: what lies behind it is tried from the other end.
    }
  })();
}
