// The catalogue's own promises: stable ascending ids, valid unique names, a description for every field, and the public rules' fields known.
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { EXTRA_FIELD_FIRST_ID, FIELD_TYPES, type FieldDefinition, SchemaRegistry } from "#schema";

const fields = new SchemaRegistry().fields().filter((field) => field.id < EXTRA_FIELD_FIRST_ID);
const corpus = join(import.meta.dir, "../../../shared/corpus/eql");

test("ids ascend in the file and are unique", async () => {
  const files = ["catalogue.ts", "catalogue-live.ts"].map((name) => Bun.file(join(import.meta.dir, "../../src/schema", name)).text());
  const source = (await Promise.all(files)).join("\n");
  const ids = [...source.matchAll(/^ {2}\[(\d+), "/gm)].map((match) => Number(match[1]));
  expect(ids.length).toBeGreaterThan(400);
  expect(ids.length).toBe(fields.length);
  for (const [index, id] of ids.entries()) {
    if (index > 0) expect(id).toBeGreaterThan(ids[index - 1] as number);
    expect(id).toBeLessThan(EXTRA_FIELD_FIRST_ID);
  }
});

test("names are unique and valid, types known", () => {
  expect(new Set(fields.map((field) => field.name)).size).toBe(fields.length);
  for (const field of fields) {
    expect(field.name).toMatch(/^(@timestamp|[A-Za-z_]+(\.[A-Za-z0-9_]+)*)$/);
    expect(FIELD_TYPES).toContain(field.type);
  }
});

test("every field has a short description of its own", () => {
  const wrong = fields.filter((field: FieldDefinition) => !/^(\p{Lu}|@).{5,78}[^.\s]$/u.test(field.description));
  expect(wrong.map((field) => `${field.name}: ${field.description}`)).toEqual([]);
  const seen = new Map<string, string>();
  const doubled: string[] = [];
  for (const field of fields) {
    const other = seen.get(field.description);
    if (other !== undefined) doubled.push(`${other} = ${field.name}`);
    seen.set(field.description, field.name);
  }
  expect(doubled).toEqual([]);
});

/** Dotted names in a query, outside strings and comments. */
function fieldNames(query: string): string[] {
  const bare = query
    .replace(/"""[\s\S]*?"""/g, "''")
    .replace(/"(\\.|[^"\\])*"/g, "''")
    .replace(/\/\/.*|\/\*[\s\S]*?\*\//g, "")
    .replace(/`[^`]*`/g, "");
  return [...bare.matchAll(/(?<![\w.$@])\??([A-Za-z_]\w*(?:\.\w+)+)/g)].map((match) => match[1] as string);
}

for (const file of ["elastic-linux-rules.jsonl", "elastic-endpoint-rules.jsonl"]) {
  const path = join(corpus, file);
  if (!existsSync(path)) {
    console.log(`skip: ${file} is not on this machine`);
    continue;
  }
  test(`every field of ${file} is known`, () => {
    const registry = new SchemaRegistry();
    const unknown = new Set<string>();
    let seen = 0;
    for (const line of readFileSync(path, "utf8").split("\n")) {
      if (line.trim() === "") continue;
      for (const name of fieldNames((JSON.parse(line) as { query: string }).query)) {
        seen++;
        // Aliases are not fields; audit records carry keys no schema can list.
        if (/^event\d+\./.test(name) || /^kubernetes\.audit\.(user\.extra|annotations)\./.test(name)) continue;
        if (registry.byName(name) === undefined) unknown.add(name);
      }
    }
    expect(seen).toBeGreaterThan(100);
    expect([...unknown]).toEqual([]);
  });
}
