// The recording that shows first alerts without kernel rights: every event is known fields in order of time, and the story makes rules fire.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { runRuleTests } from "#engine";
import { createReferencePlan, createReferencePredicate } from "#eql";
import { JsonDecoder, RecordView } from "#event";
import { loadRules, type RuleEvent } from "#rules";
import { SchemaRegistry } from "#schema";

const folder = join(import.meta.dir, "../../rules");
const lines = (await Bun.file(join(folder, "recordings/first-alerts.jsonl")).text()).trimEnd().split("\n");
const registry = new SchemaRegistry();
/** Line at which the break-in begins. */
const intrusion = lines.findIndex((line) => line.includes("/uploads/avatar.php")) + 1;

test("every line is an event of known fields", () => {
  expect(lines.length).toBeGreaterThanOrEqual(40);
  const unknown = new Set<string>();
  const visit = (value: unknown, path: string): void => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      if (registry.byName(path) === undefined) unknown.add(path);
      return;
    }
    for (const [key, item] of Object.entries(value)) visit(item, path === "" ? key : `${path}.${key}`);
  };
  for (const line of lines) visit(JSON.parse(line), "");
  expect([...unknown]).toEqual([]);
});

test("events are ordered by time and number, and name their parents", () => {
  let last = "";
  for (const [index, line] of lines.entries()) {
    const event = JSON.parse(line) as {
      "@timestamp": string;
      event: { sequence: number };
      process: { ppid: number; parent?: { pid: number } };
    };
    expect(event["@timestamp"] >= last).toBe(true);
    expect(event.event.sequence).toBe(index + 1);
    expect(event.process.parent?.pid).toBe(event.process.ppid);
    last = event["@timestamp"];
  }
});

test("the story fires at least six rules, and its ordinary part none", async () => {
  const { rules } = await loadRules([folder], { registry });
  const decoder = new JsonDecoder(registry);
  const view = new RecordView();
  const fired = new Map<string, number[]>();
  const predicates = rules.flatMap(({ id, body, exceptions }) => {
    if (body.kind !== "eql") return [];
    const source = { id, text: body.query, dialect: body.dialect, exceptions, lenientFields: false };
    const { predicate } = createReferencePredicate(source, registry);
    return predicate === undefined ? [] : [{ id, predicate }];
  });
  for (const [index, line] of lines.entries()) {
    expect(decoder.decode(line)).toBeNumber();
    view.reset(decoder.builder.bytes, 0);
    for (const { id, predicate } of predicates) {
      if (predicate(view) === true) fired.set(id, [...(fired.get(id) ?? []), index + 1]);
    }
  }
  expect([...fired.keys()]).toContain("kestrel.exec-from-shm");
  expect(fired.size).toBeGreaterThanOrEqual(6);
  expect(intrusion).toBeGreaterThan(20);
  expect([...fired.values()].flat().filter((line) => line < intrusion)).toEqual([]);
});

test("rules over several events follow the story, and find nothing in its ordinary part", async () => {
  const { rules } = await loadRules([folder], { registry });
  const planned = rules.filter(({ id, body, exceptions }) => {
    if (body.kind !== "eql") return false;
    const source = { id, text: body.query, dialect: body.dialect, exceptions, lenientFields: false };
    return createReferencePlan(source, registry).plan !== undefined;
  });
  const story = lines.map((line) => JSON.parse(line) as RuleEvent);
  const told = new Set([
    "kestrel.downloaded-program-run",
    "kestrel.downloaded-script-run",
    "kestrel.credentials-read-below-web-server",
    "kestrel.security-service-left-stopped",
  ]);
  const cases = planned.map((rule) => {
    const ordinary = story.slice(0, intrusion - 1);
    return { ...rule, tests: told.has(rule.id) ? { match: [story], noMatch: [ordinary] } : { match: [], noMatch: [ordinary, story] } };
  });
  expect(cases.filter(({ tests }) => tests.match.length > 0).length).toBe(told.size);
  const { results, problems } = await runRuleTests(cases, registry, "wasm");
  expect({ problems, failed: results.filter(({ ok }) => !ok) }).toEqual({ problems: [], failed: [] });
});
