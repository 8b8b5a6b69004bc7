// What becomes of alerts while the store cannot take them: a real file that may not grow, as on a full disk.
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import type { Checkpoint } from "#core";
import { readAlert, type Store, StoreSink } from "#store";
import { alertOf } from "./alert.ts";
import { codeOf, openStore, temp } from "./fixture.ts";

const NO_CHANGE: Checkpoint = { cleared: [], rows: [] };

/** Fills the file until nothing fits any more; the result makes room again. */
function fill(path: string, store: Store): () => void {
  for (let size = 1 << 16; size > 0; size >>= 1) {
    let index = 0;
    while (codeOf(() => store.setSetting(`fill ${size} ${index++}`, "x".repeat(size))) === "no error");
  }
  return () => {
    using database = new Database(path);
    database.run("DELETE FROM settings");
  };
}

/** Messages of the stored alerts, in order of arrival. */
function stored(store: Store): readonly string[] {
  return store.after(0, 10_000).map(({ json }) => readAlert(json)?.message ?? "");
}

test("alerts wait while the disk is full and are stored in order when there is room", () => {
  using dir = temp();
  using store = openStore(dir.database, { fileBytesMax: 400_000 });
  let nowMs = 0;
  let troubles = 0;
  const sink = new StoreSink(store, { onTrouble: () => troubles++, monotonicMs: () => nowMs });
  const heard: number[] = [];
  sink.subscribe(({ position }) => heard.push(position));
  sink.take([alertOf(1)]);
  const makeRoom = fill(dir.database, store);
  const large = (number: number): ReturnType<typeof alertOf> => alertOf(number, { message: `${number}${"x".repeat(5000)}` });
  expect(codeOf(() => sink.take([large(2), large(3)]))).toMatch(/^store-full/);
  // Not tried within the pause, and not told again.
  expect(codeOf(() => sink.take([alertOf(4)], { checkpoint: NO_CHANGE, position: "p" }))).toMatch(/^store-full/);
  expect(sink.trouble()).toMatchObject({ reason: expect.stringMatching(/free space/), alertsWaiting: 3, alertsLost: 0 });
  expect([troubles, sink.counts(), stored(store).length]).toEqual([1, { waiting: 3, lost: 0 }, 1]);
  sink.retry();
  expect(sink.counts()).toEqual({ waiting: 3, lost: 0 });
  makeRoom();
  nowMs = 1000;
  sink.take([alertOf(5)], { checkpoint: NO_CHANGE, position: "p" });
  expect(stored(store).map((message) => message.replace(/x+$/, ""))).toEqual([
    "Alert number 1",
    "2",
    "3",
    "Alert number 4",
    "Alert number 5",
  ]);
  expect([sink.trouble(), sink.counts(), heard.length]).toEqual([undefined, { waiting: 0, lost: 0 }, 5]);
});

test("what waits is bounded by number and bytes; the rest is counted as lost", () => {
  using dir = temp();
  using store = openStore(dir.database, { fileBytesMax: 400_000 });
  const sink = new StoreSink(store);
  const makeRoom = fill(dir.database, store);
  expect(codeOf(() => sink.take([alertOf(1, { message: "x".repeat(7 << 20) }), alertOf(2, { message: "x".repeat(2 << 20) })]))).toMatch(
    /^store-full/,
  );
  expect(sink.counts()).toEqual({ waiting: 1, lost: 1 });
  expect(codeOf(() => sink.take(Array.from({ length: 1100 }, (_, index) => alertOf(index + 3))))).toMatch(/^store-full/);
  expect(sink.counts()).toEqual({ waiting: 1000, lost: 102 });
  makeRoom();
});

test("an alert that no database takes does not keep the others out", () => {
  using dir = temp();
  using store = openStore(dir.database);
  const sink = new StoreSink(store);
  expect(() => sink.take([alertOf(1), alertOf(2, { id: null as unknown as string }), alertOf(3)])).toThrow();
  expect(stored(store)).toEqual(["Alert number 1", "Alert number 3"]);
  expect(sink.counts()).toEqual({ waiting: 0, lost: 1 });
});

test("an alert that waits is told of, also when the one before it was for no database", () => {
  using dir = temp();
  using store = openStore(dir.database, { fileBytesMax: 400_000 });
  let nowMs = 0;
  const sink = new StoreSink(store, { monotonicMs: () => nowMs });
  const makeRoom = fill(dir.database, store);
  const bad = (number: number): ReturnType<typeof alertOf> => alertOf(number, { id: null as unknown as string });
  const large = (number: number): ReturnType<typeof alertOf> => alertOf(number, { message: `${number}${"x".repeat(5000)}` });
  expect(() => sink.take([bad(1), large(2), alertOf(3)])).toThrow();
  expect(sink.trouble()).toMatchObject({ reason: expect.stringMatching(/free space/), alertsWaiting: 2, alertsLost: 1 });
  expect(codeOf(() => sink.take([bad(4)]))).toMatch(/^store-full/);
  makeRoom();
  nowMs = 1000;
  expect(() => sink.take([alertOf(5)])).toThrow();
  expect(stored(store).map((message) => message.replace(/x+$/, ""))).toEqual(["2", "Alert number 3", "Alert number 5"]);
  expect([sink.trouble(), sink.counts()]).toEqual([undefined, { waiting: 0, lost: 2 }]);
});
