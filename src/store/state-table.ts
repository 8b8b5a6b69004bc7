// Sequence state in the database: rows by owner and key, each with a checksum, and one header. Knows no meaning of any row.
// Invariant: what `load` gives is what the last commit left, whole; state that fails a check is set aside under another name.
import { type Database, SQLiteError, type Statement } from "bun:sqlite";
import { type Checkpoint, KestrelError, messageOf, type SavedState, type StateRow } from "#core";
import { STATE_TABLES } from "./migrations.ts";
import { isDamage, storeError } from "./store-error.ts";

/** State as the last commit left it. */
export interface StoredState {
  readonly kind: "saved";
  /** Read from the database while they are iterated, so to be read before the next commit; may be iterated again. */
  readonly rows: SavedState;
  /** What the commit said of the last event that the state covers; `undefined` when it said nothing. */
  readonly position: string | undefined;
  /** When it was committed. */
  readonly writtenNs: bigint;
}

/** State that cannot be used. The store goes on without any. */
export interface DamagedState {
  readonly kind: "damaged";
  readonly reason: string;
  /** Table in the database that holds its rows from now on; it replaces one that was set aside earlier. */
  readonly setAside: string;
}

/** What the rows mean as a whole; grows when an owner changes what it writes, or the checksums change. */
const STATE_FORMAT = 1;
// Rows read at once: few, because one value may hold whole events.
const PAGE_ROWS = 100;
// A table that was set aside and is too damaged to be dropped stays, and the next one gets a number.
const SET_ASIDE_MAX = 100;
const TABLES = ["state_rows", "state_header"] as const;

interface HeaderRow {
  readonly format: number;
  readonly position: string | null;
  readonly written: string;
  readonly checksum: number;
}

type RowValues = [row: number, owner: string, key: Uint8Array, value: Uint8Array, checksum: number];

/** The state's tables of one database. */
export class StateTable {
  readonly #database: Database;
  readonly #path: string;
  #statements: Statements | undefined;

  constructor(database: Database, path: string) {
    this.#database = database;
    this.#path = path;
  }

  /** Writes a checkpoint and the header. The caller has begun a transaction. */
  write(checkpoint: Checkpoint | undefined, position: string | undefined, nowNs: bigint): void {
    const { removeOwner, remove, put, putHeader } = this.#prepared();
    for (const owner of checkpoint?.cleared ?? []) removeOwner.run(owner);
    let lastOwner: string | undefined;
    let seed = 0;
    for (const { owner, key, value } of inKeyOrder(checkpoint?.rows ?? [])) {
      if (value === undefined) {
        remove.run(owner, key);
        continue;
      }
      if (owner !== lastOwner) {
        lastOwner = owner;
        seed = seedOf(owner);
      }
      put.run(owner, key, value, checksumOf(seed, key, value));
    }
    putHeader.run(STATE_FORMAT, position ?? null, nowNs, headerChecksum(STATE_FORMAT, position ?? null, `${nowNs}`));
  }

  /** The state of the last commit; `undefined` when there is none. */
  load(): StoredState | DamagedState | undefined {
    let header: HeaderRow | undefined;
    try {
      header = this.#verified();
    } catch (error) {
      if (!meansDamage(error)) throw error;
      return { kind: "damaged", reason: messageOf(error), setAside: this.#setAside() };
    }
    if (header === undefined) return;
    return {
      kind: "saved",
      rows: { [Symbol.iterator]: () => this.#rows() },
      position: header.position ?? undefined,
      writtenNs: BigInt(header.written),
    };
  }

  /** Removes the state. */
  clear(): void {
    this.#database
      .transaction(() => {
        for (const table of TABLES) this.#database.run(`DELETE FROM ${table}`);
      })
      .immediate();
  }

  // Statements are made when first used: a database whose state tables are gone still opens for its alerts.
  #prepared(): Statements {
    this.#statements ??= prepare(this.#database);
    return this.#statements;
  }

  // Everything is read once before anything is handed out: an owner never sees half a state. Throws what is wrong.
  #verified(): HeaderRow | undefined {
    const { header, page } = this.#prepared();
    const row = header.get();
    if (row === null) {
      if (page.values(0, 1).length > 0) throw new StateDamage("there are rows, but no header");
      return;
    }
    if (row.format !== STATE_FORMAT)
      throw new StateDamage(`it has format ${row.format}, this Kestrel reads format ${STATE_FORMAT}: perhaps a newer one wrote it`);
    if (row.checksum !== headerChecksum(row.format, row.position, row.written)) throw new StateDamage("the header fails its checksum");
    // The whole check, for the index too: one that lost a key would let a second row of that key in.
    const check = this.#database.query<{ readonly integrity_check: string }, []>("PRAGMA integrity_check(state_rows)").get();
    // Damage of pages comes as lines of text under a headline.
    if (check?.integrity_check !== "ok") throw new StateDamage(check?.integrity_check.split("\n").slice(0, 2).join(" ") ?? "no answer");
    for (const [, owner, key, value, checksum] of this.#pages()) {
      if (checksumOf(seedOf(owner), key, value) !== checksum) throw new StateDamage(`a row of "${owner}" fails its checksum`);
    }
    return row;
  }

  *#rows(): Generator<{ readonly owner: string; readonly key: Uint8Array; readonly value: Uint8Array }, undefined> {
    try {
      for (const [, owner, key, value] of this.#pages()) yield { owner, key, value };
    } catch (error) {
      throw storeError("read", this.#path, error);
    }
  }

  // Page by page instead of one open statement: a reader who stops half-way leaves nothing open.
  *#pages(): Generator<RowValues, undefined> {
    const { page } = this.#prepared();
    let last = 0;
    for (;;) {
      const rows = page.values(last, PAGE_ROWS) as unknown as readonly RowValues[];
      yield* rows;
      if (rows.length < PAGE_ROWS) return;
      last = rows[rows.length - 1]![0];
    }
  }

  // Renaming touches the schema alone, so it works however damaged the tables are.
  #setAside(): string {
    const suffix = this.#freeSuffix();
    this.#database
      .transaction(() => {
        for (const table of TABLES) {
          if (this.#exists(table)) this.#database.run(`ALTER TABLE ${table} RENAME TO ${table}${suffix}`);
        }
        this.#database.run(STATE_TABLES);
      })
      .immediate();
    return `state_rows${suffix}`;
  }

  // Dropping visits every page, so it fails on damage; in a transaction of its own, because SQLite then refuses the rest of it.
  #freeSuffix(): string {
    for (let number = 1; number <= SET_ASIDE_MAX; number++) {
      const suffix = number === 1 ? "_damaged" : `_damaged_${number}`;
      try {
        this.#database
          .transaction(() => {
            for (const table of TABLES) this.#database.run(`DROP TABLE IF EXISTS ${table}${suffix}`);
          })
          .immediate();
        return suffix;
      } catch (error) {
        if (!isDamage(error)) throw error;
      }
    }
    throw new KestrelError("store-damaged", `There are ${SET_ASIDE_MAX} damaged states in "${this.#path}": move the file away`);
  }

  #exists(table: string): boolean {
    return this.#database.query("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(table) !== null;
  }
}

class StateDamage extends Error {}

interface Statements {
  readonly removeOwner: Statement<unknown, [string]>;
  readonly remove: Statement<unknown, [string, Uint8Array]>;
  readonly put: Statement<unknown, [string, Uint8Array, Uint8Array, number]>;
  readonly putHeader: Statement<unknown, [number, string | null, bigint, number]>;
  readonly header: Statement<HeaderRow, []>;
  readonly page: Statement<unknown, [number, number]>;
}

function prepare(database: Database): Statements {
  return {
    removeOwner: database.query("DELETE FROM state_rows WHERE owner = ?"),
    remove: database.query("DELETE FROM state_rows WHERE owner = ? AND key = ?"),
    // An update in place: REPLACE would remove the row and write table and index anew, at twice the cost.
    put: database.query(
      `INSERT INTO state_rows (owner, key, value, checksum) VALUES (?, ?, ?, ?)
       ON CONFLICT (owner, key) DO UPDATE SET value = excluded.value, checksum = excluded.checksum`,
    ),
    putHeader: database.query("INSERT OR REPLACE INTO state_header (id, format, position, written_ns, checksum) VALUES (1, ?, ?, ?, ?)"),
    header: database.query("SELECT format, position, CAST(written_ns AS TEXT) AS written, checksum FROM state_header"),
    page: database.query("SELECT id, owner, key, value, checksum FROM state_rows WHERE id > ? ORDER BY id LIMIT ?"),
  };
}

// Neighbours in the index are written one after another, and rows that come together lie together. The order of two rows of one key stays.
// 10^5 rows of 300 bytes into 10^6: 490 ms instead of 750, of which sorting takes 75.
function inKeyOrder(rows: readonly StateRow[]): readonly StateRow[] {
  return rows.toSorted((left, right) => {
    if (left.owner !== right.owner) return left.owner < right.owner ? -1 : 1;
    return Buffer.compare(left.key, right.key);
  });
}

function seedOf(owner: string): number {
  return Bun.hash.xxHash32(owner);
}

// Each hash is the seed of the next, so bytes that moved from the key to the value change it.
function checksumOf(seed: number, key: Uint8Array, value: Uint8Array): number {
  return Bun.hash.xxHash32(value, Bun.hash.xxHash32(key, seed));
}

function headerChecksum(format: number, position: string | null, written: string): number {
  return Bun.hash.xxHash32(JSON.stringify([format, written, position]));
}

// Primary result codes that say nothing about the content: no memory, locked, no access, full and the like. A closed database is no
// SQLiteError at all.
const NOT_DAMAGE: ReadonlySet<number> = new Set([3, 5, 6, 7, 8, 9, 13, 14, 21, 23]);

function meansDamage(error: unknown): boolean {
  return error instanceof StateDamage || (error instanceof SQLiteError && !NOT_DAMAGE.has(error.errno & 0xff));
}
