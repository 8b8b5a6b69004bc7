// A store that fails is a finding from the moment it fails until it works again, told without waiting for the next look.
import { expect, test } from "bun:test";
import { MockClock } from "#core";
import { StoreWatch, Watcher } from "#self";

test("a store that fails is told at once, and as over when what waits is stored", () => {
  const clock = new MockClock(1_780_000_000_000_000_000n);
  const told: string[] = [];
  const logged: string[] = [];
  let isFull = false;
  let waiting = 0;
  const watch = new StoreWatch({
    retry: () => {
      if (!isFull) waiting = 0;
    },
    trouble: () => (waiting > 0 ? { reason: "the disk is full", alertsWaiting: waiting, alertsLost: 2 } : undefined),
  });
  const raise = ({ ruleId, severity, message }: { ruleId: string; severity: string; message: string }): void => {
    told.push(`${ruleId} ${severity} ${message}`);
    waiting++;
  };
  const log = { write: (level: string, message: string): void => void logged.push(`${level} ${message}`) };
  const watcher = new Watcher({ watches: [watch], clock, everyMs: 5000, raise, log });
  // Before the start nobody looks.
  watcher.lookSoon("store");
  clock.advance(1);
  watcher.start();
  [isFull, waiting] = [true, 1];
  watcher.lookSoon("store");
  clock.advance(1);
  expect(told).toEqual(["kestrel.self.store high the disk is full; 1 alerts wait in memory, 2 were only printed"]);
  clock.advance(5000);
  expect(watcher.statuses()[0]).toMatchObject({ findings: ["the disk is full; 2 alerts wait in memory, 2 were only printed"], count: 1 });
  isFull = false;
  clock.advance(5000);
  expect(watcher.statuses()[0]).toMatchObject({ findings: [], count: 1 });
  expect([told.length, logged.at(-1)]).toEqual([1, "info no longer so"]);
  watcher.close();
  watcher.lookSoon("store");
  [isFull, waiting] = [true, 1];
  clock.advance(5000);
  expect(told.length).toBe(1);
});
