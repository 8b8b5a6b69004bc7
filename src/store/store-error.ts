// SQLite's failures as operating errors with stable codes, so that callers tell a full disk from a damaged file.
import { SQLiteError } from "bun:sqlite";
import { KestrelError, messageOf } from "#core";

/** What the store's {@link KestrelError}s carry as `code`. */
type StoreErrorCode = "store-full" | "store-read-only" | "store-damaged" | "store-busy" | "store-newer" | "store-foreign" | "store-failed";

const BY_PRIMARY_CODE: Readonly<Record<number, readonly [code: StoreErrorCode, advice: string]>> = {
  5: ["store-busy", "another process holds it"],
  8: ["store-read-only", "it cannot be written; check owner, mode and mount"],
  11: ["store-damaged", "the file is damaged; it is set aside at the next start"],
  13: ["store-full", "the disk is full; free space"],
  26: ["store-damaged", "the file is no database; it is set aside at the next start"],
};

/** The operating error of a failed action on the database. */
export function storeError(action: string, path: string, error: unknown): KestrelError {
  if (error instanceof KestrelError) return error;
  const known = error instanceof SQLiteError ? BY_PRIMARY_CODE[error.errno & 0xff] : undefined;
  const [code, advice] = known ?? (["store-failed", undefined] as const);
  const reason = advice === undefined ? messageOf(error) : `${messageOf(error)} (${advice})`;
  return new KestrelError(code, `Cannot ${action} "${path}": ${reason}`, { cause: error });
}

/** SQLite's TOOBIG, CONSTRAINT, MISMATCH and RANGE. */
const VALUE_CODES: ReadonlySet<number> = new Set([18, 19, 20, 25]);

/** Whether a failure is due to what was to be written, so that the same would fail on any disk and at any time. */
export function isOfTheValues(error: unknown): boolean {
  const cause = error instanceof KestrelError ? error.cause : error;
  return !(cause instanceof SQLiteError) || VALUE_CODES.has(cause.errno & 0xff);
}

/** Whether a failure means that the file's content is broken. */
export function isDamage(error: unknown): boolean {
  if (!(error instanceof Error) || !("errno" in error) || typeof error.errno !== "number") return false;
  const primary = error.errno & 0xff;
  return primary === 11 || primary === 26;
}
