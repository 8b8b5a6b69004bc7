// What the agent remembers: alerts, sequence state, uploaded rules, settings, in one SQLite file. Invariant: an alert whose insert has returned is in the
// database after the death of the process. Only one agent uses a file at a time.
import type { Database, Statement } from "bun:sqlite";
import { type Alert, type Checkpoint, type Clock, decodeAlert, encodeAlert, SystemClock, stringifyJson } from "#core";
import { parseJson } from "#event";
import { SEVERITIES, type Severity } from "#schema";
import { openDatabase } from "./open-database.ts";
import { type DamagedState, StateTable, type StoredState } from "./state-table.ts";
import { storeError } from "./store-error.ts";

/** Limits and helpers of a store. */
export interface StoreOptions {
  /** Most alerts kept; the oldest go first. */
  readonly alertsMax?: number;
  /** Most bytes of alerts kept, as JSON text. */
  readonly alertBytesMax?: number;
  /** Most bytes of the database file; beyond it inserts fail as on a full disk. */
  readonly fileBytesMax?: number;
  /** Longest wait for another process that holds the file. */
  readonly busyTimeoutMs?: number;
  /**
   * For a path that a person typed: a file that is no database is refused (`store-foreign`) and left as it is, instead of being set aside
   * as a damaged database.
   */
  readonly refuseOtherFiles?: boolean;
  /** Told how far the database of an older version is brought to this one's shape, a line now and then, if it is a large one. */
  readonly onProgress?: (line: string) => void;
  readonly clock?: Clock;
}

/** A store and what happened when it was opened. */
interface StoreOpening {
  readonly store: Store;
  /** Where a damaged database was moved to; a new one is in use. */
  readonly setAside?: string;
  /** Alerts that were read from the damaged database. */
  readonly alertsRecovered: number;
}

/** An alert as the store holds it. */
export interface StoredAlert {
  /** Grows by arrival and is never reused, from 1. */
  readonly position: number;
  /** The alert as `encodeAlert` prints it: one line. */
  readonly json: string;
}

/** Conditions on alerts, all of which must hold. */
export interface AlertQuery {
  readonly ruleId?: string;
  /** This severity or a worse one. */
  readonly severityMin?: Severity;
  /** First event time included. */
  readonly sinceNs?: bigint;
  /** Last event time included. */
  readonly untilNs?: bigint;
  /** Text that appears in the alert; the case of ASCII letters is ignored. */
  readonly text?: string;
}

/** An uploaded rule. */
interface StoredRule {
  readonly id: string;
  readonly format: string;
  readonly text: string;
  readonly enabled: boolean;
  /** When it was put last. */
  readonly updatedNs: bigint;
}

/** Most alerts a store keeps unless told otherwise. */
const ALERTS_MAX_DEFAULT = 100_000;
/** Most bytes of alerts a store keeps unless told otherwise. */
const ALERT_BYTES_MAX_DEFAULT: number = 1 << 30;
/** Most bytes of the file unless told otherwise: the alerts, their indexes, and room that removed alerts left. */
const FILE_BYTES_MAX_DEFAULT: number = 3 * ALERT_BYTES_MAX_DEFAULT;
const BUSY_TIMEOUT_MS_DEFAULT = 2000;
const LIST_MAX = 10_000;

/** The alert in a stored text; `undefined` when the text is none. */
export function readAlert(json: string): Alert | undefined {
  const parsed = parseJson(json);
  return "value" in parsed ? decodeAlert(parsed.value) : undefined;
}

/** One open database. Methods throw `KestrelError` with a {@link StoreErrorCode} when SQLite fails; the store stays usable. */
export class Store {
  readonly path: string;
  readonly #database: Database;
  readonly #alertsMax: number;
  readonly #alertBytesMax: number;
  readonly #clock: Clock;
  readonly #insert: Statement<unknown, (string | number | bigint)[]>;
  readonly #removeOldest: Statement<{ bytes: number }, [number]>;
  readonly #state: StateTable;
  readonly #commitAll: (alerts: readonly Alert[], checkpoint?: Checkpoint, position?: string) => StoredAlert[];
  #alertCount = 0;
  #alertBytes = 0;
  #alertsRemoved = 0;
  #closed = false;

  private constructor(path: string, database: Database, options: StoreOptions) {
    this.path = path;
    this.#database = database;
    this.#alertsMax = Math.max(1, options.alertsMax ?? ALERTS_MAX_DEFAULT);
    this.#alertBytesMax = options.alertBytesMax ?? ALERT_BYTES_MAX_DEFAULT;
    this.#clock = options.clock ?? new SystemClock();
    this.#insert = database.query(
      "INSERT INTO alerts (id, time_ns, rule_id, severity, bytes, json) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (time_ns, id) DO NOTHING",
    );
    this.#removeOldest = database.query(
      "DELETE FROM alerts WHERE position IN (SELECT position FROM alerts ORDER BY position LIMIT ?) RETURNING bytes",
    );
    this.#state = new StateTable(database, path);
    this.#commitAll = database.transaction((alerts: readonly Alert[], checkpoint?: Checkpoint, position?: string) => {
      const stored = this.#insertRows(alerts);
      if (checkpoint !== undefined || position !== undefined) this.#state.write(checkpoint, position, this.#clock.nowNs());
      return stored;
    });
    this.#recount();
  }

  /** Opens or makes the database. Throws `KestrelError` when it cannot be used: newer version, another program's, no access. */
  static open(path: string, options: StoreOptions = {}): StoreOpening {
    const { database, setAside, alertsRecovered } = openDatabase(path, {
      fileBytesMax: options.fileBytesMax ?? FILE_BYTES_MAX_DEFAULT,
      busyTimeoutMs: options.busyTimeoutMs ?? BUSY_TIMEOUT_MS_DEFAULT,
      refuseOtherFiles: options.refuseOtherFiles ?? false,
      onProgress: options.onProgress,
    });
    try {
      return { store: new Store(path, database, options), alertsRecovered, ...(setAside === undefined ? {} : { setAside }) };
    } catch (error) {
      database.close();
      throw storeError("open", path, error);
    }
  }

  /** Alerts in the store. */
  get alertCount(): number {
    return this.#alertCount;
  }

  /** Bytes of the alerts in the store, as JSON text. */
  get alertBytes(): number {
    return this.#alertBytes;
  }

  /** Alerts removed by the limits since the store was opened. */
  get alertsRemoved(): number {
    return this.#alertsRemoved;
  }

  /**
   * Stores alerts in one transaction; all or none. An alert whose id is already there is left as it is. Returns the new ones with their
   * positions. Throws `KestrelError` when they could not be stored.
   */
  insertAlerts(alerts: readonly Alert[]): readonly StoredAlert[] {
    return this.commit(alerts);
  }

  /**
   * Stores alerts as `insertAlerts` does and, in the same transaction, a checkpoint of the sequence state with the position of the last
   * event it covers, a text of the caller. A checkpoint without a position leaves the state with none: the old one is not its own. Without
   * both, the state stays as it is.
   */
  commit(alerts: readonly Alert[], checkpoint?: Checkpoint, position?: string): readonly StoredAlert[] {
    let stored: StoredAlert[];
    const before = { count: this.#alertCount, bytes: this.#alertBytes };
    try {
      stored = this.#commitAll(alerts, checkpoint, position);
    } catch (error) {
      this.#alertCount = before.count;
      this.#alertBytes = before.bytes;
      throw storeError(checkpoint === undefined ? "store alerts in" : "store alerts and sequence state in", this.path, error);
    }
    if (this.#alertCount > this.#alertsMax || this.#alertBytes > this.#alertBytesMax) this.#removeOld();
    return stored;
  }

  /**
   * The sequence state of the last commit; `undefined` when there is none. State that is damaged or of another format is set aside, and
   * the store goes on without; alerts stay as they are.
   */
  loadState(): StoredState | DamagedState | undefined {
    return this.#read(() => this.#state.load());
  }

  /** Removes the sequence state and its position. */
  clearState(): void {
    this.#write("remove the sequence state from", () => this.#state.clear());
  }

  /** Alerts that meet the conditions, newest first, at most `limit`, only positions below `before` when given. */
  list(query: AlertQuery, page: { readonly before?: number; readonly limit: number }): readonly StoredAlert[] {
    const conditions = ["position < ?"];
    const values: (string | number | bigint)[] = [page.before ?? Number.MAX_SAFE_INTEGER];
    const add = (condition: string, value: string | number | bigint | undefined): void => {
      if (value === undefined) return;
      conditions.push(condition);
      values.push(value);
    };
    add("rule_id = ?", query.ruleId);
    add("severity >= ?", query.severityMin === undefined ? undefined : SEVERITIES.indexOf(query.severityMin));
    add("time_ns >= ?", query.sinceNs === undefined ? undefined : clampToI64(query.sinceNs));
    add("time_ns <= ?", query.untilNs === undefined ? undefined : clampToI64(query.untilNs));
    add("json LIKE ? ESCAPE '\\'", query.text === undefined ? undefined : patternOf(query.text));
    values.push(limitOf(page.limit));
    // NOT INDEXED keeps SQLite on the primary key: pages are read newest first and end early.
    const sql = `SELECT position, json FROM alerts NOT INDEXED WHERE ${conditions.join(" AND ")} ORDER BY position DESC LIMIT ?`;
    return this.#read(() => this.#database.query<StoredAlert, (string | number | bigint)[]>(sql).all(...values));
  }

  /** Alerts in order of arrival, at most `limit`, only positions above `position`. */
  after(position: number, limit: number): readonly StoredAlert[] {
    const sql = "SELECT position, json FROM alerts WHERE position > ? ORDER BY position LIMIT ?";
    return this.#read(() => this.#database.query<StoredAlert, [number, number]>(sql).all(position, limitOf(limit)));
  }

  /** The alert with this id. Reads an index from its beginning, 5 ms in a full store: for people. See {@link has}. */
  get(alertId: string): StoredAlert | undefined {
    const sql = "SELECT position, json FROM alerts WHERE position = (SELECT position FROM alerts WHERE id = ?)";
    return this.#read(() => this.#database.query<StoredAlert, [string]>(sql).get(alertId) ?? undefined);
  }

  /** Whether the alert, or one that is the same but for what was known late, is in the store. */
  has({ id, timeNs }: Pick<Alert, "id" | "timeNs">): boolean {
    const sql = "SELECT 1 FROM alerts WHERE time_ns = ? AND id = ?";
    return this.#read(() => this.#database.query<unknown, [bigint, string]>(sql).get(timeNs, id) !== null);
  }

  /** Position of the newest alert ever stored, 0 when there was none. */
  latestPosition(): number {
    const sql = "SELECT seq AS position FROM sqlite_sequence WHERE name = 'alerts'";
    return this.#read(() => this.#database.query<{ position: number }, []>(sql).get()?.position ?? 0);
  }

  /** All uploaded rules, by id. */
  rules(): readonly StoredRule[] {
    const sql = "SELECT id, format, text, enabled, CAST(updated_ns AS TEXT) AS updated FROM rules ORDER BY id";
    return this.#read(() => this.#database.query<RuleRow, []>(sql).all().map(ruleOf));
  }

  /** The uploaded rule with this id. */
  rule(id: string): StoredRule | undefined {
    const sql = "SELECT id, format, text, enabled, CAST(updated_ns AS TEXT) AS updated FROM rules WHERE id = ?";
    const row = this.#read(() => this.#database.query<RuleRow, [string]>(sql).get(id));
    return row === null ? undefined : ruleOf(row);
  }

  /** Saves an uploaded rule, replacing the one with its id. Enabled unless said otherwise. */
  putRule(rule: { readonly id: string; readonly format: string; readonly text: string; readonly enabled?: boolean }): void {
    const sql = "INSERT OR REPLACE INTO rules (id, format, text, enabled, updated_ns) VALUES (?, ?, ?, ?, ?)";
    const values = [rule.id, rule.format, rule.text, rule.enabled === false ? 0 : 1, this.#clock.nowNs()];
    this.#write(`save rule "${rule.id}" in`, () => this.#database.query(sql).run(...values));
  }

  /** Removes an uploaded rule. False when there was none. */
  deleteRule(id: string): boolean {
    return this.#write(`remove rule "${id}" from`, () => this.#database.query("DELETE FROM rules WHERE id = ?").run(id).changes > 0);
  }

  /** Value of a setting. */
  setting(key: string): string | undefined {
    return this.#read(() => this.#database.query<{ value: string }, [string]>("SELECT value FROM settings WHERE key = ?").get(key)?.value);
  }

  /** Sets a setting; `undefined` removes it. */
  setSetting(key: string, value: string | undefined): void {
    this.#write(`save setting "${key}" in`, () => {
      if (value === undefined) this.#database.query("DELETE FROM settings WHERE key = ?").run(key);
      else this.#database.query("INSERT OR REPLACE INTO settings (key, value) VALUES (?, ?)").run(key, value);
    });
  }

  /** Closes the database. Twice is fine. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#database.run("PRAGMA optimize");
    } catch {
      // Only a hint for the next start; a full or read-only disk must not stop the closing.
    }
    this.#database.close();
  }

  #insertRows(alerts: readonly Alert[]): StoredAlert[] {
    const stored: StoredAlert[] = [];
    for (const alert of alerts) {
      const json = stringifyJson(encodeAlert(alert));
      const bytes = Buffer.byteLength(json);
      // A tenth cheaper than asking for the position with RETURNING.
      const { changes, lastInsertRowid } = this.#insert.run(
        alert.id,
        alert.timeNs,
        alert.ruleId,
        SEVERITIES.indexOf(alert.severity),
        bytes,
        json,
      );
      if (changes === 0) continue;
      this.#alertCount++;
      this.#alertBytes += bytes;
      stored.push({ position: Number(lastInsertRowid), json });
    }
    return stored;
  }

  // Removes a little more than needed, so that a full store does not pay for it with every alert. A failure is tried again next time.
  #removeOld(): void {
    try {
      while (this.#alertCount > this.#alertsMax || (this.#alertBytes > this.#alertBytesMax && this.#alertCount > 1)) {
        const surplus = Math.max(0, this.#alertCount - this.#alertsMax) + Math.floor(this.#alertsMax / 100);
        const removed = this.#removeOldest.all(Math.min(Math.max(1, surplus), this.#alertCount - 1));
        if (removed.length === 0) break;
        this.#alertCount -= removed.length;
        this.#alertsRemoved += removed.length;
        for (const { bytes } of removed) this.#alertBytes -= bytes;
      }
    } catch {
      this.#recount();
    }
  }

  #recount(): void {
    const sql = "SELECT count(*) AS count, coalesce(sum(bytes), 0) AS bytes FROM alerts";
    const row = this.#read(() => this.#database.query<{ count: number; bytes: number }, []>(sql).get());
    this.#alertCount = row?.count ?? 0;
    this.#alertBytes = row?.bytes ?? 0;
  }

  #read<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw storeError("read", this.path, error);
    }
  }

  #write<T>(action: string, run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw storeError(action, this.path, error);
    }
  }
}

interface RuleRow {
  readonly id: string;
  readonly format: string;
  readonly text: string;
  readonly enabled: number;
  readonly updated: string;
}

function ruleOf({ id, format, text, enabled, updated }: RuleRow): StoredRule {
  return { id, format, text, enabled: enabled !== 0, updatedNs: BigInt(updated) };
}

function limitOf(limit: number): number {
  return Math.max(0, Math.min(Math.floor(limit), LIST_MAX));
}

function clampToI64(value: bigint): bigint {
  const max = (1n << 63n) - 1n;
  return value > max ? max : value < -max ? -max : value;
}

// A LIKE pattern for text inside stored JSON: escaped as JSON prints it, then for LIKE.
function patternOf(text: string): string {
  return `%${JSON.stringify(text)
    .slice(1, -1)
    .replaceAll(/[\\%_]/g, "\\$&")}%`;
}
