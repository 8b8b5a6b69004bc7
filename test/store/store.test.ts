// The store: exact alerts back, filters, paging that stays put, limits, rules, settings, and every way a database can be unusable.
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Alert, encodeAlert, MockClock, stringifyJson } from "#core";
import { type AlertQuery, readAlert, Store, type StoredAlert, StoreSink } from "#store";
import { MIGRATIONS, migrate, versionOf } from "../../src/store/migrations.ts";
import { alertOf } from "./alert.ts";
import { codeOf, openStore, temp } from "./fixture.ts";

const numbersOf = (list: readonly StoredAlert[]): number[] => list.map(({ json }) => Number(readAlert(json)?.seq));

test("an alert comes back exactly, also after opening again", () => {
  using dir = temp();
  const alerts = [alertOf(1), alertOf(2, { seq: (1n << 64n) - 1n, timeNs: -5n, kind: "quarantine" }), alertOf(3)];
  {
    using store = openStore(dir.database);
    expect(store.insertAlerts(alerts).map(({ position }) => position)).toEqual([1, 2, 3]);
  }
  using store = openStore(dir.database);
  expect(store.alertCount).toBe(3);
  for (const alert of alerts) expect(readAlert(store.get(alert.id)!.json)).toEqual(alert);
  expect(store.get("missing")).toBeUndefined();
  for (const alert of alerts) expect(store.has(alert)).toBe(true);
  expect(store.has(alertOf(77))).toBe(false);
  expect(store.after(0, 10).map(({ json }) => readAlert(json)?.id)).toEqual(alerts.map(({ id }) => id));
  expect(store.after(2, 10).length).toBe(1);
});

test("the same alert twice is one", () => {
  using dir = temp();
  using store = openStore(dir.database);
  store.insertAlerts([alertOf(1), alertOf(2), alertOf(1)]);
  expect(store.insertAlerts([alertOf(2), alertOf(3)]).length).toBe(1);
  expect(store.alertCount).toBe(3);
});

test("only the owner can read the file and its folder", () => {
  using dir = temp();
  using store = openStore(dir.database);
  store.insertAlerts([alertOf(1)]);
  expect(statSync(join(dir.path, "data")).mode & 0o777).toBe(0o700);
  for (const suffix of ["", "-wal", "-shm"]) expect(statSync(dir.database + suffix).mode & 0o777).toBe(0o600);
});

const FILTERS: readonly (readonly [name: string, query: AlertQuery, matches: (alert: Alert) => boolean])[] = [
  ["all", {}, () => true],
  ["rule", { ruleId: "rule.1" }, (alert) => alert.ruleId === "rule.1"],
  ["unknown rule", { ruleId: "rule.%" }, () => false],
  ["severity", { severityMin: "high" }, (alert) => alert.severity === "high" || alert.severity === "critical"],
  ["since", { sinceNs: alertOf(20).timeNs }, (alert) => alert.timeNs >= alertOf(20).timeNs],
  ["until", { untilNs: alertOf(20).timeNs }, (alert) => alert.timeNs <= alertOf(20).timeNs],
  ["times beyond 64 bits", { sinceNs: -(1n << 80n), untilNs: 1n << 80n }, () => true],
  ["text", { text: "NUMBER 1" }, (alert) => alert.message.includes("number 1")],
  ["text with wildcards", { text: "100%_\\ " }, () => true],
  ["text with quotes", { text: '"quoted" ü' }, () => true],
  ["text that a wildcard would match", { text: "number_1" }, () => false],
  [
    "several",
    { ruleId: "rule.0", severityMin: "critical", text: "alert" },
    (alert) => alert.ruleId === "rule.0" && alert.severity === "critical",
  ],
];

for (const [name, query, matches] of FILTERS) {
  test(`filter: ${name}; new alerts do not move the pages`, () => {
    using dir = temp();
    using store = openStore(dir.database);
    const alerts = Array.from({ length: 40 }, (_, index) => alertOf(index));
    store.insertAlerts(alerts);
    const expected = alerts.filter(matches).map(({ seq }) => Number(seq));
    expected.reverse();
    expect(numbersOf(store.list(query, { limit: 100 }))).toEqual(expected);
    const paged: StoredAlert[] = [];
    for (let added = 1000; ; added++) {
      const page = store.list(query, { limit: 7, ...(paged.length > 0 && { before: paged.at(-1)!.position }) });
      paged.push(...page);
      if (page.length < 7) break;
      store.insertAlerts([alertOf(added)]);
    }
    expect(numbersOf(paged)).toEqual(expected);
  });
}

test("the oldest alerts go when there are too many or too much, positions are not used again", () => {
  using dir = temp();
  {
    using store = openStore(dir.database, { alertsMax: 10 });
    for (let number = 0; number < 25; number++) store.insertAlerts([alertOf(number)]);
    expect(store.alertCount).toBe(10);
    expect(store.alertsRemoved).toBe(15);
    expect(numbersOf(store.after(0, 100))).toEqual([15, 16, 17, 18, 19, 20, 21, 22, 23, 24]);
    store.insertAlerts(Array.from({ length: 30 }, (_, index) => alertOf(100 + index)));
    expect(store.alertCount).toBe(10);
    expect(store.latestPosition()).toBe(55);
  }
  const bytes = Buffer.byteLength(openAndRead(dir.database)[0]!.json);
  using store = openStore(dir.database, { alertBytesMax: bytes * 4 });
  expect(store.alertBytes).toBeGreaterThan(bytes * 9);
  store.insertAlerts([alertOf(200)]);
  expect(store.alertBytes).toBeLessThanOrEqual(bytes * 4);
  expect(store.latestPosition()).toBe(56);
  store.insertAlerts([alertOf(201, { message: "x".repeat(bytes * 5) })]);
  expect(store.alertCount).toBe(1);
});

function openAndRead(path: string): readonly StoredAlert[] {
  using store = openStore(path);
  return store.after(0, 100);
}

test("uploaded rules and settings", () => {
  using dir = temp();
  const clock = new MockClock(5n);
  {
    using store = openStore(dir.database, { clock });
    store.putRule({ id: "b", format: "yaml", text: "one" });
    store.putRule({ id: "a", format: "eql", text: "two", enabled: false });
    clock.advance(1000);
    store.putRule({ id: "b", format: "json", text: "three" });
    store.setSetting("mode", "enforce");
    store.setSetting("gone", "x");
    store.setSetting("gone", undefined);
  }
  using store = openStore(dir.database, { clock });
  expect(store.rules()).toEqual([
    { id: "a", format: "eql", text: "two", enabled: false, updatedNs: 5n },
    { id: "b", format: "json", text: "three", enabled: true, updatedNs: 1_000_000_005n },
  ]);
  expect(store.rule("a")?.text).toBe("two");
  expect(store.deleteRule("a")).toBe(true);
  expect(store.deleteRule("a")).toBe(false);
  expect(store.rule("a")).toBeUndefined();
  expect(store.setting("mode")).toBe("enforce");
  expect(store.setting("gone")).toBeUndefined();
});

test("the sink tells of an alert once, when it is stored", () => {
  using dir = temp();
  using store = openStore(dir.database);
  const sink = new StoreSink(store);
  const heard: number[] = [];
  const end = sink.subscribe(({ position, json }) => {
    expect(store.get(readAlert(json)!.id)?.position).toBe(position);
    heard.push(position);
  });
  sink.take([alertOf(1)]);
  sink.take([alertOf(1)]);
  sink.take([alertOf(2), alertOf(3)]);
  end();
  sink.take([alertOf(4)]);
  // Positions grow; one that a double used up stays free.
  expect(heard).toEqual(store.after(0, 3).map(({ position }) => position));
  expect(heard.length).toBe(3);
});

test("a full disk is an error with a code; the store goes on", () => {
  using dir = temp();
  {
    using store = openStore(dir.database, { fileBytesMax: 200_000 });
    store.insertAlerts([alertOf(1)]);
    const large = alertOf(2, { message: "x".repeat(1 << 20) });
    expect(codeOf(() => store.insertAlerts([alertOf(3), large]))).toMatch(/^store-full: Cannot store alerts in ".*": .*free space/);
    expect(store.alertCount).toBe(1);
    store.insertAlerts([alertOf(4)]);
    expect(codeOf(() => store.putRule({ id: "r", format: "eql", text: "x".repeat(1 << 20) }))).toMatch(
      /^store-full: Cannot save rule "r" in/,
    );
  }
  expect(numbersOf(openAndRead(dir.database))).toEqual([1, 4]);
});

test("a database that another process holds is an error with a code", () => {
  using dir = temp();
  using store = openStore(dir.database, { busyTimeoutMs: 1 });
  const other = new Database(dir.database);
  other.run("BEGIN IMMEDIATE");
  expect(codeOf(() => store.insertAlerts([alertOf(1)]))).toMatch(/^store-busy: .*another process holds it/);
  other.run("ROLLBACK");
  other.close();
  expect(store.insertAlerts([alertOf(1)]).length).toBe(1);
});

test("every version becomes the newest, a newer one is refused and left alone", () => {
  for (let version = 0; version <= MIGRATIONS.length; version++) {
    const database = new Database(":memory:");
    migrate(database, "memory", { migrations: MIGRATIONS.slice(0, version) });
    expect(versionOf(database)).toBe(version);
    if (version > 0) database.run("INSERT INTO settings VALUES ('key', 'value')");
    migrate(database, "memory");
    migrate(database, "memory");
    expect(versionOf(database)).toBe(MIGRATIONS.length);
    if (version > 0) expect(database.query("SELECT value FROM settings").get()).toEqual({ value: "value" });
    expect(codeOf(() => migrate(database, "memory", { migrations: [] }))).toStartWith(
      `store-newer: "memory" has version ${MIGRATIONS.length}, this Kestrel knows up to 0: update it`,
    );
    database.close();
  }
  const broken = new Database(":memory:");
  expect(() => migrate(broken, "memory", { migrations: [...MIGRATIONS, "CREATE TABLE half (a); CREATE TABLE alerts (b)"] })).toThrow();
  expect(versionOf(broken)).toBe(MIGRATIONS.length);
  expect(broken.query("SELECT name FROM sqlite_schema WHERE name = 'half'").get()).toBeNull();
  broken.close();
});

test("a newer database and another program's are refused and left as they are", () => {
  using dir = temp();
  openStore(dir.database).close();
  let database = new Database(dir.database);
  database.run("PRAGMA user_version = 99");
  database.close();
  expect(codeOf(() => Store.open(dir.database))).toMatch(/^store-newer: .*has version 99/);
  const foreign = join(dir.path, "foreign.db");
  for (const owner of [0, 7]) {
    rmSync(foreign, { force: true });
    database = new Database(foreign, { create: true });
    database.run("CREATE TABLE theirs (a)");
    database.run(`PRAGMA application_id = ${owner}`);
    database.close();
    chmodSync(foreign, 0o640);
    const before = readFileSync(foreign);
    expect(codeOf(() => Store.open(foreign))).toMatch(/^store-foreign: .*another program/);
    expect(existsSync(`${foreign}.damaged-1`)).toBe(false);
    expect(readFileSync(foreign).equals(before)).toBe(true);
    // Without an owner in its header it had to be opened to be known.
    if (owner !== 0) expect(statSync(foreign).mode & 0o777).toBe(0o640);
  }
});

test("a file a person named by mistake is refused and left as it is, an empty one is used", () => {
  using dir = temp();
  const options = { refuseOtherFiles: true };
  for (const text of ['{"event": 1}\n', "x".repeat(5000)]) {
    const path = join(dir.path, "events.jsonl");
    writeFileSync(path, text);
    chmodSync(path, 0o644);
    expect(codeOf(() => Store.open(path, options))).toMatch(
      /^store-foreign: ".*events\.jsonl" is not a file that Kestrel keeps its state in/,
    );
    expect(readFileSync(path, "utf8")).toBe(text);
    expect(statSync(path).mode & 0o777).toBe(0o644);
    expect(existsSync(`${path}.damaged-1`)).toBe(false);
  }
  const empty = join(dir.path, "empty");
  writeFileSync(empty, "");
  for (let turn = 1; turn <= 2; turn++) {
    using store = openStore(empty, options);
    store.commit([alertOf(turn)]);
    expect(store.alertCount).toBe(turn);
  }
});

/** Indexes that every stored alert pays for. */
function indexesOf(path: string): readonly string[] {
  using database = new Database(path, { readonly: true });
  const sql = "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'alerts' ORDER BY name";
  return database
    .query<{ readonly name: string }, []>(sql)
    .all()
    .map(({ name }) => name);
}

test("a database of version 1 keeps its alerts and positions, gets state, and loses indexes in no order", () => {
  using dir = temp();
  const path = join(dir.path, "old.db");
  const alerts = [alertOf(1), alertOf(2)];
  const newest = alertOf(9);
  const database = new Database(path, { create: true, strict: true });
  migrate(database, path, { migrations: MIGRATIONS.slice(0, 1) });
  for (const { id, timeNs, ruleId, ...rest } of [...alerts, newest]) {
    const json = stringifyJson(encodeAlert({ id, timeNs, ruleId, ...rest }));
    database
      .query("INSERT INTO alerts (id, time_ns, rule_id, severity, bytes, json) VALUES (?, ?, ?, 0, ?, ?)")
      .run(id, timeNs, ruleId, Buffer.byteLength(json), json);
  }
  database.query("DELETE FROM alerts WHERE id = ?").run(newest.id);
  database.close();
  using store = openStore(path);
  expect(store.after(0, 10).map(({ json }) => readAlert(json))).toEqual(alerts);
  expect(indexesOf(path)).toEqual(["alerts_bytes", "sqlite_autoindex_alerts_1"]);
  expect(store.latestPosition()).toBe(3);
  expect(store.insertAlerts([alertOf(4)]).map(({ position }) => position)).toEqual([4]);
  expect(store.insertAlerts([alertOf(2)])).toEqual([]);
  expect(store.loadState()).toBeUndefined();
  store.commit([alertOf(3)], undefined, "7");
  expect(store.loadState()).toMatchObject({ kind: "saved", position: "7" });
  expect(store.alertCount).toBe(4);
});

/** A database of version 3 with alerts of some 400 bytes, whose positions begin and end with gaps. */
function oldDatabase(path: string, count: number): void {
  using database = new Database(path, { create: true, strict: true });
  migrate(database, path, { migrations: MIGRATIONS.slice(0, 3) });
  const insert = database.query("INSERT INTO alerts (id, time_ns, rule_id, severity, bytes, json) VALUES (?, ?, 'r', 0, ?, ?)");
  database.transaction(() => {
    for (let number = 0; number < count + 2; number++) {
      const json = JSON.stringify({ number, text: "x".repeat(400) });
      insert.run(Bun.hash(`${number}`).toString(16), number, json.length, json);
    }
    database.run("DELETE FROM alerts WHERE position = 1 OR position = (SELECT max(position) FROM alerts)");
  })();
}

test("a large database of an older version is brought to the new shape in the room it has, and says how far it is", () => {
  using dir = temp();
  const path = join(dir.path, "old.db");
  oldDatabase(path, 45_001);
  const before = statSync(path).size;
  const lines: string[] = [];
  using store = openStore(path, { onProgress: (line) => lines.push(line) });
  expect(lines).toEqual([0, 20_000, 40_000].map((done) => `the database gets a new shape: ${done} of 45001 alerts are done`));
  expect(statSync(path).size).toBeLessThan(before * 1.2);
  expect(statSync(`${path}-wal`).size).toBe(0);
  expect([store.alertCount, store.latestPosition()]).toEqual([45_001, 45_003]);
  let last = 1;
  for (;;) {
    const page = store.after(last, 10_000);
    if (page.length === 0) break;
    for (const { position, json } of page) {
      if (position !== last + 1 || !json.startsWith(`{"number":${last},`)) throw new Error(`after ${last} comes ${position}: ${json}`);
      last = position;
    }
  }
  expect(last).toBe(45_002);
});

test("a migration that the disk has no room for leaves the database as it was; with room it is done", () => {
  using dir = temp();
  const path = join(dir.path, "old.db");
  oldDatabase(path, 5000);
  const old = (): readonly unknown[] => {
    using database = new Database(path, { strict: true });
    return [versionOf(database), database.query("SELECT count(*) AS count, sum(position) AS sum, sum(bytes) AS bytes FROM alerts").get()];
  };
  const before = old();
  {
    using database = new Database(path, { strict: true });
    database.run("PRAGMA max_page_count = 1");
    expect(() => migrate(database, path)).toThrow(/full/);
  }
  expect(old()).toEqual(before);
  using store = openStore(path);
  expect(store.alertCount).toBe(5000);
});

test("what is no database is set aside, each under its own name", () => {
  using dir = temp();
  openStore(dir.database).close();
  for (const number of [1, 2]) {
    writeFileSync(dir.database, `not a database ${number} `.repeat(1000));
    for (const suffix of ["-wal", "-shm"]) rmSync(dir.database + suffix, { force: true });
    const { store, setAside, alertsRecovered } = Store.open(dir.database);
    expect(setAside).toBe(`${dir.database}.damaged-${number}`);
    expect(alertsRecovered).toBe(0);
    expect(readFileSync(setAside!, "utf8")).toStartWith(`not a database ${number} `);
    store.insertAlerts([alertOf(1)]);
    expect(store.alertCount).toBe(1);
    store.close();
  }
});

test("a database damaged in the middle gives back what can be read", () => {
  using dir = temp();
  const alerts = Array.from({ length: 300 }, (_, index) => alertOf(index, { message: "x".repeat(500) }));
  {
    using store = openStore(dir.database);
    store.insertAlerts(alerts);
    store.putRule({ id: "kept", format: "eql", text: "any where true" });
  }
  const bytes = readFileSync(dir.database);
  const middle = (bytes.length >> 13) * 4096;
  bytes.fill(0xa5, middle, middle + 3 * 4096);
  writeFileSync(dir.database, bytes);
  const { store, setAside, alertsRecovered } = Store.open(dir.database);
  expect(setAside).toBe(`${dir.database}.damaged-1`);
  expect(alertsRecovered).toBe(store.alertCount);
  expect(alertsRecovered).toBeGreaterThan(200);
  const known = new Map(alerts.map((alert) => [alert.id, alert]));
  for (const { json } of store.after(0, 1000)) {
    const alert = readAlert(json)!;
    expect(alert).toEqual(known.get(alert.id)!);
  }
  expect(store.rule("kept")?.text).toBe("any where true");
  const position = store.latestPosition();
  expect(store.insertAlerts([alertOf(5000)])[0]!.position).toBe(position + 1);
  store.close();
});

test("a place that cannot be written is an error with a code", () => {
  using dir = temp();
  const file = join(dir.path, "file");
  writeFileSync(file, "");
  expect(codeOf(() => Store.open(join(file, "kestrel.db")))).toMatch(/^store-failed: Cannot open ".*kestrel\.db": .*(ENOTDIR|EEXIST)/);
  expect(codeOf(() => Store.open(dir.path))).toMatch(/^store-failed: Cannot open ".*": .*EISDIR/);
});

const isRoot = process.getuid?.() === 0;
if (isRoot) console.log("skipped: a read-only database (root writes to any file)");
test.skipIf(isRoot)("a read-only database is an error with a code", () => {
  using dir = temp();
  openStore(dir.database).close();
  chmodSync(dir.database, 0o400);
  expect(codeOf(() => Store.open(dir.database))).toMatch(/^store-failed: Cannot open ".*": .*EACCES/);
  chmodSync(dir.database, 0o600);
  chmodSync(join(dir.path, "data"), 0o500);
  expect(codeOf(() => Store.open(dir.database).store.insertAlerts([alertOf(1)]))).toMatch(/^store-(read-only|failed): /);
  chmodSync(join(dir.path, "data"), 0o700);
});

test("closing twice is fine, using it afterwards is an error", () => {
  using dir = temp();
  const { store } = Store.open(dir.database);
  store.close();
  store.close();
  expect(codeOf(() => store.insertAlerts([alertOf(1)]))).toMatch(/^store-failed: /);
  expect(codeOf(() => store.list({}, { limit: 1 }))).toMatch(/^store-failed: /);
});
