// The results as text: kernel × sensor × attachment × result, with every failure in a line of its own; act × kernel; rung × kernel with the time
// from the act to its end.
import type { Act } from "./act.ts";
import type { Transcript } from "./machine.ts";
import type { Measured } from "./rungs.ts";
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
  return [aligned(cells), ...entries.flatMap(notesOf)].join("\n");
}

/** Act × kernel: the best attachment that saw it. */
export function actsText(entries: readonly Entry[], acts: readonly Act[]): string {
  const columns = entries.flatMap((entry) => ("skipped" in entry ? [] : [entry]));
  const cells = [
    ["act", "sensor", ...columns.map(({ kernel }) => kernel)],
    ...acts.map((act) => [act.name, act.sensor, ...columns.map(({ verdict }) => actCell(act, verdict.rows))]),
  ];
  return aligned(cells);
}

/** Rung × kernel: how each of its acts ended and how long that took, and the floor below it. */
export function rungsText(entries: readonly Entry[]): string {
  const rows = entries.flatMap((entry) => ("skipped" in entry ? [] : entry.verdict.rungs.map((row) => ({ ...row, kernel: entry.kernel }))));
  const cells = [
    ["rung", "kernel", "result", "P50 µs", "P99 µs", "floor", "result", "P50 µs", "P99 µs"],
    ...rows.map(({ rung, kernel, stopped, floor }) => [rung.what, kernel, ...timesOf(stopped), rung.floor.what, ...timesOf(floor)]),
  ];
  return `${RUNGS_HEAD}\n${aligned(cells)}`;
}

const RUNGS_HEAD = `Response: 1,000 tries of each, every one ended so. The processor is emulated, many times slower than a real one: compare with the floor.`;

function timesOf({ ends, p50Ns, p99Ns }: Measured): readonly string[] {
  return [ends, (p50Ns / 1000).toFixed(0), (p99Ns / 1000).toFixed(0)];
}

function actCell(act: Act, rows: readonly Row[]): string {
  if (act.alerts === 0) return "rightly not told";
  const row = rows.find(({ seen }) => seen.includes(act.name));
  if (row !== undefined) return row.attachment;
  return rows.some(({ notCovered }) => notCovered.includes(act.name)) ? "not covered" : "not done";
}

/** Columns as wide as their longest cell. */
function aligned(cells: readonly (readonly string[])[]): string {
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
  return cells
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
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
  if (seen.length === 0 && notCovered.length === 0 && failures.length === 0) return "attached; no act asks it for anything yet";
  return [
    failures.length === 0 ? "ok" : "FAILED",
    `${seen.length} seen`,
    ...(notCovered.length === 0 ? [] : [`not covered: ${notCovered.join(" ")}`]),
  ].join(", ");
}

function notesOf(entry: Entry): readonly string[] {
  if ("skipped" in entry) return [];
  const { kernel, transcript, verdict } = entry;
  const failures = failuresOf(verdict);
  return [
    `${kernel}: ${transcript.seconds.toFixed(0)} s${transcript.killed ? ", killed at the deadline" : ""}`,
    ...(verdict.hooks === undefined ? [] : [`${kernel}: hooks in functions switched off while the agent ran: ${verdict.hooks}`]),
    ...failures.map((text) => `${kernel}: FAILED ${text}`),
    ...(failures.length === 0 ? [] : [`${kernel}: end of its console:`, transcript.console]),
  ];
}

function failuresOf({ rows, failures }: Verdict): readonly string[] {
  return [...failures, ...rows.flatMap((row) => row.failures.map((text) => `${row.sensor} (${row.attachment}): ${text}`))];
}
