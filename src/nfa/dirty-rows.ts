// Which rows of a table differ from the snapshot. Invariant: a row number stands in the list once, however often its row changes or is reused.
import { resized } from "./slots.ts";

/** See the file's opening. */
export class DirtyRows {
  #isListed = new Uint8Array(0);
  #isSaved = new Uint8Array(0);
  #listed: number[] = [];

  /** Rows listed. */
  get count(): number {
    return this.#listed.length;
  }

  /** Follows the table. */
  resize(capacity: number): void {
    if (capacity === this.#isListed.length) return;
    if (capacity < this.#isListed.length) this.#listed = this.#listed.filter((row) => row < capacity);
    this.#isListed = resized(this.#isListed, capacity);
    this.#isSaved = resized(this.#isSaved, capacity);
  }

  /** A row that is in no snapshot. */
  start(row: number): void {
    this.#isSaved[row] = 0;
  }

  /** A row that is as the snapshot has it. */
  markSaved(row: number): void {
    this.#isSaved[row] = 1;
  }

  /** Whether the snapshot has the row. */
  isSaved(row: number): boolean {
    return this.#isSaved[row] === 1;
  }

  /** The row changed. */
  mark(row: number): void {
    if (this.#isListed[row] === 1) return;
    this.#isListed[row] = 1;
    this.#listed.push(row);
  }

  /** Empties the list into the callback, which says whether the row still is there and so is saved now. */
  take(save: (row: number) => boolean): void {
    for (const row of this.#listed) {
      this.#isListed[row] = 0;
      if (save(row)) this.#isSaved[row] = 1;
    }
    this.#listed = [];
  }
}
