// Late fields: which rules make events wait for them, and how they come into an alert that was raised without.
import { expect, test } from "bun:test";
import type { Alert, Sink } from "#core";
import type { Rule } from "#rules";
import { type LateSource, readsLateFields, withLateFields } from "../../src/cli/late-fields.ts";

const EMPTY = { exceptions: [], capture: [] };
const eql = (query: string, more: Partial<Rule> = {}): Rule =>
  ({ ...EMPTY, body: { kind: "eql", query, dialect: "default" }, ...more }) as unknown as Rule;

const RULES: readonly (readonly [string, Rule, boolean])[] = [
  ["a query", eql('process where process.hash.sha256 == "ab"'), true],
  ["a step of a sequence", eql("sequence [process where true] [process where ?process.Ext.elf.static == true]"), true],
  ["an exception", eql("process where true", { exceptions: ['process.hash.sha256 == "ab"'] }), true],
  ["a capture", eql("process where true", { capture: ["process.hash.sha256"] }), false],
  ["Lua", { ...EMPTY, body: { kind: "lua", source: 'return event["process.hash.sha256"]' } } as unknown as Rule, true],
  [
    "Wasm",
    { ...EMPTY, body: { kind: "wasm", bytes: new Uint8Array(Buffer.from("\0asm process.hash.sha256\0")) } } as unknown as Rule,
    true,
  ],
  ["another hash", eql('file where file.hash.sha256 == "ab"'), false],
  ["no hash", eql("process where true"), false],
];

test.each(RULES)("%s", (_what, rule, reads) => {
  expect(readsLateFields([rule])).toBe(reads);
  expect(readsLateFields([eql("any where true"), rule])).toBe(reads);
});

const NOW = "2026-01-02T03:04:05.000000001Z";
const process = { pid: 7n, entity_id: "e", executable: "/bin/x", hash: { md5: "m" } };
const asked: unknown[] = [];
const source: LateSource = {
  lateFields(event) {
    asked.push(event);
    return event.entityId === "e" ? { "process.hash.sha256": "ab", "process.Ext.elf.static": true } : {};
  },
};

function through(events: Alert["events"], captures: readonly string[] = []): Alert {
  const alert = { id: "1", ruleId: "r", events, captures: { a: 1 } } as unknown as Alert;
  const taken: Alert[] = [];
  const first: Sink = { name: "x", keepsState: true, take: (alerts) => taken.push(...alerts) };
  const second: Sink = { name: "y", take: (alerts) => taken.push(...alerts) };
  const sinks = withLateFields([first, second], source, (id) => (id === "r" ? captures : []));
  expect(sinks.map(({ name, keepsState }) => [name, keepsState])).toEqual([
    ["x", true],
    ["y", undefined],
  ]);
  const given = [alert];
  const before = asked.length;
  for (const sink of sinks) sink.take(given);
  expect(taken[1]).toBe(taken[0]);
  expect(asked.length - before).toBeLessThanOrEqual(events.length);
  sinks[0]?.take([alert]);
  expect(taken[2]).toEqual(taken[0] as Alert);
  if (taken[0]?.events === events) expect(taken[0]).toBe(alert);
  return taken[0] as Alert;
}

test("what was missing is put in and named; what was there stays", () => {
  const known = { ...process, hash: { sha256: "cd" } };
  expect(
    through([
      { "@timestamp": NOW, process, kestrel: { sensor: "s" } },
      { "@timestamp": NOW, process: known },
    ]).events,
  ).toEqual([
    {
      "@timestamp": NOW,
      process: { ...process, hash: { md5: "m", sha256: "ab" }, Ext: { elf: { static: true } } },
      kestrel: { sensor: "s", late_fields: ["process.hash.sha256", "process.Ext.elf.static"] },
    },
    {
      "@timestamp": NOW,
      process: { ...known, Ext: { elf: { static: true } } },
      kestrel: { late_fields: ["process.Ext.elf.static"] },
    },
  ]);
  expect(asked[0]).toEqual({ pid: 7, entityId: "e", executable: "/bin/x", timeNs: 1_767_323_045_000_000_001n });
});

test("an alert of another process, or of no process, stays the same object", () => {
  for (const event of [{ "@timestamp": NOW, process: { ...process, entity_id: "other" } }, { "@timestamp": NOW }, { process }, {}]) {
    const events = [event];
    expect(through(events).events).toBe(events);
  }
});

test("what a rule captures is captured late; what it has stays", () => {
  const event = { "@timestamp": NOW, process };
  expect(through([event], ["process.hash.sha256", "a", "process.hash.md5"]).captures).toEqual({ a: 1, "process.hash.sha256": "ab" });
});
