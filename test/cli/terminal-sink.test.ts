// Alerts on standard output: what comes together is written together, in order; what a slow reader leaves is counted and said.
import { expect, test } from "bun:test";
import type { Alert } from "#core";
import { TerminalSink } from "../../src/cli/terminal-sink.ts";

const QUEUED_MAX = 8 << 20;

function alertsOf(count: number, message = ""): readonly Alert[] {
  return Array.from({ length: count }, (_, index) => ({
    ...({ id: `${index}`, kind: "rule", timeNs: 0n, seq: BigInt(index), ruleId: "r", ruleName: "R", severity: "low" } as const),
    ...{ tags: [], message, captures: {}, events: [], ancestry: [] },
  }));
}

/** A reader that takes everything, nothing, or has gone. */
class Output {
  readonly written: string[] = [];
  readonly isTTY = false;
  writableLength = 0;
  break = (): void => undefined;

  write(text: unknown): boolean {
    this.written.push(String(text));
    return true;
  }

  on(_event: "error", listener: () => void): void {
    this.break = listener;
  }

  ids(): readonly string[] {
    return this.written
      .join("")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => (JSON.parse(line) as { readonly id: string }).id);
  }
}

test("alerts that come together are written together, all and in order", () => {
  const output = new Output();
  const sink = new TerminalSink(true, output);
  sink.take(alertsOf(50));
  expect(output.written.length).toBe(1);
  sink.take([]);
  expect(output.written.length).toBe(1);
  expect(output.ids()).toEqual(alertsOf(50).map(({ id }) => id));
});

test("many are written in pieces, and nothing is lost between them", () => {
  const output = new Output();
  new TerminalSink(true, output).take(alertsOf(100, "x".repeat(10_000)));
  expect(output.written.length).toBeGreaterThan(10);
  expect(Math.max(...output.written.map((text) => text.length))).toBeLessThan(100_000);
  expect(output.ids()).toEqual(alertsOf(100).map(({ id }) => id));
});

test("what a slow reader leaves is counted and said once it reads again", () => {
  const output = new Output();
  const said: string[] = [];
  const sink = new TerminalSink(true, output, (text) => said.push(text));
  output.writableLength = QUEUED_MAX + 1;
  sink.take(alertsOf(3));
  sink.take(alertsOf(2));
  expect(output.written).toEqual([]);
  expect(said).toEqual([]);
  output.writableLength = 0;
  sink.take(alertsOf(2));
  expect(said).toEqual(["kestrel: warn: 5 alerts were not printed, the reader is too slow; the store has them\n"]);
  expect(output.ids()).toEqual(["0", "1"]);
});

test("without a reader nothing is written", () => {
  const output = new Output();
  const sink = new TerminalSink(false, output);
  sink.take(alertsOf(1));
  output.break();
  sink.take(alertsOf(1));
  expect(output.written.length).toBe(1);
});
