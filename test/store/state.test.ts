// Sequence state in the store: what was committed comes back, in one piece with the alerts, or is set aside with a reason.
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { type Checkpoint, MockClock, type StateRow } from "#core";
import { Store, type StoredState, StoreSink } from "#store";
import { alertOf } from "./alert.ts";
import { codeOf, openStore, temp } from "./fixture.ts";

// Generous, since machines are noisy and no test here measures time; it only ends what hangs.
setDefaultTimeout(60_000);
const seed = Number(process.env["KESTREL_SEED"] ?? Date.now() & 0x7fffffff);
console.log(`state property seed: KESTREL_SEED=${seed}`);

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Rows from "owner key value" or, for one that goes, "owner key". */
function checkpointOf(rows: readonly string[], cleared: readonly string[] = []): Checkpoint {
  return {
    cleared,
    rows: rows.map((row) => {
      const [owner, key, value] = row.split(" ") as [string, string, string | undefined];
      return { owner, key: bytesOf(key), value: value === undefined ? undefined : bytesOf(value) };
    }),
  };
}

function savedOf(store: Store): StoredState {
  const state = store.loadState();
  if (state?.kind !== "saved") throw new Error(`No state: ${JSON.stringify(state)}`);
  return state;
}

/** Rows as "owner key value", sorted. */
function rowsOf(store: Store): readonly string[] {
  return [...savedOf(store).rows].map(({ owner, key, value }) => `${owner} ${Buffer.from(key)} ${Buffer.from(value)}`).sort();
}

test("state comes back after opening again, with position and time; clearing removes it", () => {
  using dir = temp();
  {
    using store = openStore(dir.database, { clock: new MockClock(5n) });
    expect(store.loadState()).toBeUndefined();
    store.commit([alertOf(1)], checkpointOf(["a 1 x", "a 2 y", "b 1 z"]), '{"seq":"7"}');
  }
  using store = openStore(dir.database);
  expect(savedOf(store)).toMatchObject({ position: '{"seq":"7"}', writtenNs: 5n });
  expect(rowsOf(store)).toEqual(["a 1 x", "a 2 y", "b 1 z"]);
  const { rows } = savedOf(store);
  expect([[...rows].length, [...rows].length]).toEqual([3, 3]);
  store.clearState();
  expect(store.loadState()).toBeUndefined();
  expect(store.alertCount).toBe(1);
});

const SERIES: readonly (readonly [name: string, commits: readonly Checkpoint[], rows: readonly string[]])[] = [
  ["a later value replaces", [checkpointOf(["a 1 x", "a 2 x"]), checkpointOf(["a 1 y"])], ["a 1 y", "a 2 x"]],
  ["a row that goes", [checkpointOf(["a 1 x", "a 2 x", "b 1 x"]), checkpointOf(["a 1", "c 9"])], ["a 2 x", "b 1 x"]],
  ["cleared owners go before rows", [checkpointOf(["a 1 x", "a 2 x", "b 1 x"]), checkpointOf(["a 1 y"], ["a"])], ["a 1 y", "b 1 x"]],
  ["unknown owners are cleared", [checkpointOf(["a 1 x"], ["b", "c"])], ["a 1 x"]],
  [
    "of two rows of one key the last counts",
    [checkpointOf(["a 1 x", "b 1 x", "a 1 y"]), checkpointOf(["b 1", "b 1 z"])],
    ["a 1 y", "b 1 z"],
  ],
  ["owners are told apart by case and accent", [checkpointOf(["a 1 x", "A 1 y", "ä 1 z"])], ["A 1 y", "a 1 x", "ä 1 z"]],
  ["an empty checkpoint is state", [checkpointOf([])], []],
];

for (const [name, commits, rows] of SERIES) {
  test(`checkpoints: ${name}`, () => {
    using dir = temp();
    using store = openStore(dir.database);
    for (const checkpoint of commits) store.commit([], checkpoint);
    expect(rowsOf(store)).toEqual(rows);
  });
}

test("the position is the last checkpoint's own; alerts alone leave it", () => {
  using dir = temp();
  using store = openStore(dir.database);
  const positions: (string | undefined)[] = [];
  const commits: readonly Parameters<Store["commit"]>[] = [
    [[], checkpointOf(["a 1 x"]), "one"],
    [[alertOf(1)]],
    [[], undefined, "two"],
    [[], checkpointOf(["a 2 x"])],
    [[], undefined, ""],
  ];
  for (const commit of commits) {
    store.commit(...commit);
    positions.push(savedOf(store).position);
  }
  expect(positions).toEqual(["one", "one", "two", undefined, ""]);
  expect(rowsOf(store)).toEqual(["a 1 x", "a 2 x"]);
});

test("the sink commits alerts and state together, then tells of the alerts", () => {
  using dir = temp();
  using store = openStore(dir.database);
  const sink = new StoreSink(store);
  const heard: string[] = [];
  sink.subscribe(({ position }) => heard.push(`${position} ${savedOf(store).position} ${rowsOf(store)}`));
  sink.take([alertOf(1), alertOf(1)], { checkpoint: checkpointOf(["a 1 x"]), position: "p" });
  sink.take([alertOf(2)]);
  expect(heard).toEqual(["1 p a 1 x", "3 p a 1 x"]);
});

const blob = fc.oneof(fc.uint8Array({ maxLength: 3 }), fc.uint8Array({ maxLength: 6000, size: "max" }));
const key = fc.oneof(fc.uint8Array({ maxLength: 1, max: 3 }), fc.uint8Array({ maxLength: 40 }));
const owner = fc.constantFrom("", "rule.1", "rule.2", "règle/3");
const step = fc.record({
  cleared: fc.oneof({ arbitrary: fc.constant([]), weight: 4 }, fc.array(owner, { maxLength: 2 })),
  rows: fc.array(fc.record({ owner, key, value: fc.option(blob, { nil: undefined }) }), { maxLength: 30 }),
  position: fc.option(fc.string(), { nil: undefined }),
  reopen: fc.boolean(),
});

test("any series of checkpoints is a map", () => {
  // One file for all series: making one waits for the disk several times.
  using dir = temp();
  let { store } = Store.open(dir.database);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      store.clearState();
      expect(store.loadState()).toBeUndefined();
      const model = new Map<string, string>();
      for (const { cleared, rows, position, reopen } of steps) {
        store.commit([], { cleared, rows }, position);
        applyTo(model, { cleared, rows });
        if (reopen) {
          store.close();
          ({ store } = Store.open(dir.database));
        }
        const state = savedOf(store);
        expect(state.position).toBe(position);
        const found = [...state.rows].map((row) => [nameOf(row), Buffer.from(row.value).toString("hex")] as const);
        expect(found.length).toBe(model.size);
        expect(new Map(found)).toEqual(model);
      }
    }),
    { seed, numRuns: 60 },
  );
  store.close();
});

const nameOf = (row: { readonly owner: string; readonly key: Uint8Array }): string =>
  `${row.owner} ${Buffer.from(row.key).toString("hex")}`;

function applyTo(model: Map<string, string>, { cleared, rows }: Checkpoint): void {
  for (const name of model.keys()) if (cleared.some((gone) => name.startsWith(`${gone} `))) model.delete(name);
  for (const row of rows) {
    if (row.value === undefined) model.delete(nameOf(row));
    else model.set(nameOf(row), Buffer.from(row.value).toString("hex"));
  }
}

function manyRows(count: number, mark: string): Checkpoint {
  const row = (index: number): StateRow => ({ owner: `rule.${index % 3}`, key: bytesOf(`key ${index}`), value: bytesOf(mark.repeat(200)) });
  return { cleared: [], rows: Array.from({ length: count }, (_, index) => row(index)) };
}

test("a commit that the disk has no room for leaves alerts, state and position as they were", () => {
  using dir = temp();
  using store = openStore(dir.database, { fileBytesMax: 300_000 });
  store.commit([alertOf(1)], checkpointOf(["a 1 x"]), "one");
  expect(codeOf(() => store.commit([alertOf(2)], manyRows(5000, "x"), "two"))).toMatch(
    /^store-full: Cannot store alerts and sequence state in ".*": .*free space/,
  );
  expect([store.alertCount, savedOf(store).position, rowsOf(store)]).toEqual([1, "one", ["a 1 x"]]);
  store.commit([alertOf(3)], checkpointOf(["a 1 y"]), "three");
  expect([store.alertCount, savedOf(store).position, rowsOf(store)]).toEqual([2, "three", ["a 1 y"]]);
});

test("a locked database and a closed one are errors, not damage", () => {
  using dir = temp();
  using store = openStore(dir.database, { busyTimeoutMs: 1 });
  store.commit([], checkpointOf(["a 1 x"]), "one");
  const other = new Database(dir.database);
  other.run("BEGIN IMMEDIATE");
  expect(codeOf(() => store.commit([alertOf(1)], checkpointOf(["a 1 y"]), "two"))).toMatch(/^store-busy: /);
  expect(codeOf(() => store.clearState())).toMatch(/^store-busy: Cannot remove the sequence state from/);
  expect([store.alertCount, savedOf(store).position, rowsOf(store)]).toEqual([0, "one", ["a 1 x"]]);
  other.run("ROLLBACK");
  other.close();
  store.commit([alertOf(1)], checkpointOf(["a 1 y"]), "two");
  expect([store.alertCount, rowsOf(store)]).toEqual([1, ["a 1 y"]]);
  store.close();
  expect(codeOf(() => store.loadState())).toMatch(/^store-failed: /);
});

/** Runs SQL on the database as its state lies on disk. */
function meddle(path: string, sql: string): void {
  const database = new Database(path);
  database.run(sql);
  database.close();
}

/** Changes one random byte of one random row's value, wherever the file has a copy of that row. */
function flipByte(path: string): void {
  const bytes = readFileSync(path);
  const name = `key ${Math.floor(Math.random() * 100)}`;
  const row = Buffer.from(name + "v".repeat(200));
  const offset = name.length + Math.floor(Math.random() * 200);
  const bit = 1 << Math.floor(Math.random() * 8);
  let copies = 0;
  for (let at = bytes.indexOf(row); at >= 0; at = bytes.indexOf(row, at + row.length), copies++) bytes[at + offset]! ^= bit;
  expect(copies).toBeGreaterThan(0);
  writeFileSync(path, bytes);
}

const DAMAGES: readonly (readonly [name: string, damage: (path: string) => void, reason: RegExp])[] = [
  ...Array.from({ length: 10 }, () => ["a byte of a value", flipByte, /^a row of "rule\.\d" fails its checksum$/] as const),
  ["a key", (path) => meddle(path, "UPDATE state_rows SET key = x'00' WHERE id = 50"), /fails its checksum/],
  ["an owner", (path) => meddle(path, "UPDATE state_rows SET owner = 'rule.9' WHERE id = 50"), /^a row of "rule\.9" fails/],
  ["a checksum", (path) => meddle(path, "UPDATE state_rows SET checksum = checksum + 1 WHERE id = 99"), /fails its checksum/],
  ["the position", (path) => meddle(path, "UPDATE state_header SET position = 'other'"), /^the header fails its checksum$/],
  ["the header gone", (path) => meddle(path, "DELETE FROM state_header"), /^there are rows, but no header$/],
  [
    "a newer format",
    (path) => meddle(path, "UPDATE state_header SET format = 2"),
    /^it has format 2, this Kestrel reads format 1: .*newer/,
  ],
  ["the rows' table gone", (path) => meddle(path, "DROP TABLE state_rows"), /no such table/],
  ["the header's table gone", (path) => meddle(path, "DROP TABLE state_header"), /no such table/],
  ["a table of other columns", (path) => meddle(path, "ALTER TABLE state_rows RENAME COLUMN value TO other"), /no such column|no column/],
];

for (const [name, damage, reason] of DAMAGES) {
  test(`damaged state is set aside, alerts stay: ${name}`, () => {
    using dir = temp();
    for (let turn = 1; turn <= 2; turn++) {
      {
        using store = openStore(dir.database);
        store.commit([alertOf(turn)], manyRows(100, "v"), "here");
      }
      damage(dir.database);
      const { store, setAside } = Store.open(dir.database);
      expect(setAside).toBeUndefined();
      const state = store.loadState();
      expect(state).toEqual({ kind: "damaged", reason: expect.stringMatching(reason), setAside: "state_rows_damaged" });
      expect(store.loadState()).toBeUndefined();
      expect(store.after(0, 10).length).toBe(turn);
      store.commit([], checkpointOf(["a 1 x"]), "new");
      expect([savedOf(store).position, rowsOf(store)]).toEqual(["new", ["a 1 x"]]);
      const aside = tablesOf(dir.database).filter((table) => table.includes("damaged"));
      expect(aside.length).toBeGreaterThan(0);
      expect(aside.filter((table) => !/^state_(rows|header)_damaged$/.test(table))).toEqual([]);
      store.clearState();
      store.close();
    }
  });
}

function tablesOf(path: string): readonly string[] {
  const database = new Database(path);
  const names = database.query<{ name: string }, []>("SELECT name FROM sqlite_schema WHERE type = 'table'").all();
  database.close();
  return names.map(({ name }) => name);
}

test("tables whose pages are damaged while the store is open are set aside, again and again", () => {
  using dir = temp();
  using store = openStore(dir.database);
  store.commit([alertOf(1)]);
  for (const suffix of ["_damaged", "_damaged_2", "_damaged_3"]) {
    // More than SQLite keeps in memory, so that it meets the damage in the file.
    store.commit([], manyRows(20_000, "v"), "here");
    meddle(dir.database, "PRAGMA wal_checkpoint(TRUNCATE)");
    damagePages(dir.database);
    expect(store.loadState()).toEqual({
      kind: "damaged",
      reason: expect.stringMatching(/Tree \d+ page \d+/),
      setAside: `state_rows${suffix}`,
    });
    expect(store.loadState()).toBeUndefined();
    expect(store.after(0, 10).length).toBe(1);
  }
});

/** Overwrites the beginning of pages that hold nothing but values. */
function damagePages(path: string): void {
  const bytes = readFileSync(path);
  const pages: number[] = [];
  for (let at = 0; at < bytes.length; at += 4096) {
    const values =
      bytes
        .subarray(at, at + 4096)
        .toString("latin1")
        .split("v".repeat(200)).length - 1;
    if (bytes[at] === 0x0d && values > 10) pages.push(at);
  }
  expect(pages.length).toBeGreaterThan(500);
  for (const at of pages) bytes.fill(0xa5, at, at + 64);
  writeFileSync(path, bytes);
}
