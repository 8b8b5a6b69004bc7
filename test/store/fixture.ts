// Folders, stores and errors for tests of the store.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KestrelError } from "#core";
import { Store, type StoreOptions } from "#store";

/** A folder that goes with its scope, and a place for a database in it. */
export function temp(): Disposable & { readonly path: string; readonly database: string } {
  const path = mkdtempSync(join(tmpdir(), "kestrel-store-"));
  return { path, database: join(path, "data", "kestrel.db"), [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** A store that closes with its scope. */
export function openStore(path: string, options: StoreOptions = {}): Store & Disposable {
  const { store } = Store.open(path, options);
  return Object.assign(store, { [Symbol.dispose]: () => store.close() });
}

/** Code and message of the operating error that `run` throws. */
export function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof KestrelError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "no error";
}
