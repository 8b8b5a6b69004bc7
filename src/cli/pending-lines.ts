// Lines of the records that are on their way through the bus, so that a match is printed as it was written.

const TAKEN_MAX = 256;

/** Lines of the records that are on their way through the bus, which keeps their order. */
export class PendingLines {
  readonly #lines: (Uint8Array | undefined)[] = [];
  #next = 0;

  /** Notes the line of the record that goes in now. */
  add(line: Uint8Array | undefined): void {
    this.#lines.push(line);
  }

  /** The line of the record that comes out now. */
  next(): Uint8Array | undefined {
    const line = this.#lines[this.#next];
    // The bus always holds some, so the list is never empty: what was taken goes in pieces.
    if (++this.#next === TAKEN_MAX) {
      this.#lines.splice(0, TAKEN_MAX);
      this.#next = 0;
    }
    return line;
  }
}
