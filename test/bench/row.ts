// One row of the bench table, and the few statistics that rows are made of.

/** One figure. */
export interface Row {
  readonly name: string;
  /** Median unless the note says otherwise. */
  readonly value: number;
  readonly p99?: number;
  readonly unit: string;
  readonly note?: string;
}

/** A group of rows that is measured together. */
export interface Section {
  readonly name: string;
  readonly rows: () => readonly Row[] | Promise<readonly Row[]>;
}

/** Value below which this part of the samples lies. Sorts them. */
export function quantile(samples: Float64Array, part: number): number {
  samples.sort();
  return samples[Math.min(samples.length - 1, Math.floor(samples.length * part))]!;
}

/** Middle value of a few figures. */
export function median(values: readonly number[]): number {
  return quantile(Float64Array.from(values), 0.5);
}

/** Nanoseconds a turn: the best of several rounds, which is what the code costs when nothing else runs. */
export function bestNs(turns: number, run: (turn: number) => void, rounds = 7): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const startNs = Bun.nanoseconds();
    for (let turn = 0; turn < turns; turn++) run(turn);
    best = Math.min(best, (Bun.nanoseconds() - startNs) / turns);
  }
  return best;
}

/** What a skipped row leaves on standard error. */
export function skipped(what: string, reason: string): readonly Row[] {
  console.error(`skipped: ${what} (${reason})`);
  return [];
}

/** Rows as text, columns aligned. */
export function tableOf(rows: readonly Row[]): string {
  const cells = rows.map(({ name, value, p99, unit, note }) => [
    name,
    figure(value),
    p99 === undefined ? "" : figure(p99),
    unit,
    note ?? "",
  ]);
  const heads = ["", "median", "P99", "unit", "note"];
  const widths = heads.map((head, column) => Math.max(head.length, ...cells.map((row) => row[column]!.length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 1 || column === 2 ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join("  ")
      .trimEnd();
  return [heads, ...cells].map((row) => `${line(row)}\n`).join("");
}

function figure(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toFixed(value >= 10 ? 1 : 2);
}

/** Prints a section by itself: what running its file does. */
export async function printAlone(section: Section): Promise<void> {
  process.stdout.write(tableOf(await section.rows()));
}
