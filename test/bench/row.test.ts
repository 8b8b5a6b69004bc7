// The statistics and the table that the benches print.
import { expect, test } from "bun:test";
import { bestNs, median, quantile, tableOf } from "./row.ts";

const QUANTILES: readonly (readonly [readonly number[], number, number])[] = [
  [[7], 0.99, 7],
  [[3, 1, 2], 0.5, 2],
  [[4, 1, 3, 2], 0.5, 3],
  [Array.from({ length: 100 }, (_, index) => 100 - index), 0.99, 100],
  [Array.from({ length: 1000 }, (_, index) => index), 0.99, 990],
  [[10, 9, 100], 0, 9],
  [[10, 9, 100], 1, 100],
];

for (const [values, part, expected] of QUANTILES) {
  test(`quantile ${part} of ${values.length} values is ${expected}`, () => {
    expect(quantile(Float64Array.from(values), part)).toBe(expected);
  });
}

test("the median leaves its input as it was", () => {
  const values = [30, 100, 9];
  expect(median(values)).toBe(30);
  expect(values).toEqual([30, 100, 9]);
});

test("every turn of every round runs once", () => {
  const turns: number[] = [];
  expect(bestNs(3, (turn) => turns.push(turn), 2)).toBeGreaterThan(0);
  expect(turns).toEqual([0, 1, 2, 0, 1, 2]);
});

test("columns are aligned, empty cells stay empty, large figures are grouped", () => {
  const rows = [
    { name: "a", value: 1234567.8, unit: "events/s" },
    { name: "a long name", value: 1.234, p99: 56.78, unit: "ns", note: "why" },
  ];
  expect(tableOf(rows)).toBe(
    [
      "                median   P99  unit      note",
      "a            1,234,568        events/s",
      "a long name       1.23  56.8  ns        why",
      "",
    ].join("\n"),
  );
});
