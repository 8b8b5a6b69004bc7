// A snapshot in memory: what the store does with checkpoints.
import type { Checkpoint, SavedState } from "../../src/core/index.ts";

/** Rows by owner and key. */
export class Snapshot {
  readonly owners: Map<string, Map<string, Uint8Array>> = new Map();
  /** Rows written by the last checkpoint. */
  written = 0;

  apply(checkpoint: Checkpoint): void {
    this.written = checkpoint.rows.length;
    for (const owner of checkpoint.cleared) this.owners.delete(owner);
    for (const { owner, key, value } of checkpoint.rows) {
      const rows = this.owners.get(owner) ?? new Map<string, Uint8Array>();
      this.owners.set(owner, rows);
      const name = Buffer.from(key).toString("hex");
      if (value === undefined) rows.delete(name);
      else rows.set(name, value);
    }
  }

  rows(): SavedState {
    return [...this.owners].flatMap(([owner, rows]) =>
      [...rows].map(([name, value]) => ({ owner, key: Uint8Array.from(Buffer.from(name, "hex")), value })),
    );
  }
}
