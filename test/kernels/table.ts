// The matrix as text: kernel × sensor × attachment × result, then every failure in a line of its own.
import type { Transcript } from "./machine.ts";
import type { Row, Verdict } from "./verdict.ts";

/** One kernel's part of the matrix; `skipped`: the reason why it was not booted. */
export type Entry =
  | { readonly kernel: string; readonly skipped: string }
  | { readonly kernel: string; readonly transcript: Transcript; readonly verdict: Verdict };

/** Whether everything that ran is as it must be. */
export function passed(entry: Entry): boolean {
  return "skipped" in entry || failuresOf(entry.verdict).length === 0;
}

/** The table. */
export function matrixText(entries: readonly Entry[]): string {
  const cells = [["kernel", "sensor", "attachment", "result"], ...entries.flatMap(cellsOf)];
  const widths = [0, 1, 2].map((column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
  const lines = cells.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "));
  return [...lines, ...entries.flatMap(notesOf)].map((line) => line.trimEnd()).join("\n");
}

function cellsOf(entry: Entry): readonly (readonly string[])[] {
  if ("skipped" in entry) return [[entry.kernel, "", "", `skipped: ${entry.skipped}`]];
  return merged(entry.verdict.rows).map((row) => [entry.kernel, row.sensor, row.attachment, resultOf(row)]);
}

/** Sensors that have the same attachment in both passes are one line. */
function merged(rows: readonly Row[]): readonly Row[] {
  const byName = new Map<string, Row>();
  for (const row of rows) {
    const name = `${row.sensor} ${row.attachment}`;
    const before = byName.get(name);
    byName.set(name, before === undefined || (before.failures.length === 0 && row.failures.length > 0) ? row : before);
  }
  return [...byName.values()].sort((a, b) => (a.sensor < b.sensor ? -1 : a.sensor > b.sensor ? 1 : 0));
}

function resultOf({ seen, notCovered, failures }: Row): string {
  if (seen === 0 && notCovered.length === 0 && failures.length === 0) return "attached; no act asks it for anything yet";
  return [
    failures.length === 0 ? "ok" : "FAILED",
    `${seen} seen`,
    ...(notCovered.length === 0 ? [] : [`not covered: ${notCovered.join(" ")}`]),
  ].join(", ");
}

function notesOf(entry: Entry): readonly string[] {
  if ("skipped" in entry) return [];
  const { kernel, transcript, verdict } = entry;
  const failures = failuresOf(verdict);
  return [
    `${kernel}: ${transcript.seconds.toFixed(0)} s${transcript.killed ? ", killed at the deadline" : ""}`,
    ...failures.map((text) => `${kernel}: FAILED ${text}`),
    ...(failures.length === 0 ? [] : [`${kernel}: end of its console:`, transcript.console]),
  ];
}

function failuresOf({ rows, failures }: Verdict): readonly string[] {
  return [...failures, ...rows.flatMap((row) => row.failures.map((text) => `${row.sensor} (${row.attachment}): ${text}`))];
}
