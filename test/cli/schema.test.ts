// kestrel schema: the whole catalogue, each field once, with its sensors; fields by name; mistakes.
import { expect, setDefaultTimeout, test } from "bun:test";
import { sensorFields } from "#ebpf";
import { SchemaRegistry } from "#schema";
import { jsonLines, runKestrel } from "./program.ts";

setDefaultTimeout(120_000);

interface Row {
  readonly name: string;
  readonly type: string;
  readonly categories: readonly string[];
  readonly sensors: readonly string[];
  readonly description: string;
}

test("every field of the catalogue is listed once; what the sensors set is all in the catalogue", async () => {
  const listed = await runKestrel(["schema", "--json"]);
  const rows = jsonLines<Row>(listed);
  const registry = new SchemaRegistry();
  expect(rows.map(({ name }) => name).sort()).toEqual(
    registry
      .fields()
      .map(({ name }) => name)
      .sort(),
  );
  for (const { name, sensors, categories } of sensorFields())
    expect(rows.find((row) => row.name === name)).toMatchObject({ sensors, categories });
  const row = rows.find(({ name }) => name === "process.hash.sha256");
  expect(row).toMatchObject({ type: "keyword", categories: ["dns", "file", "network", "process"] });
  expect(rows.find(({ name }) => name === "process.env_vars")).toMatchObject({
    type: "keyword[]",
    categories: ["process"],
    sensors: ["exec"],
  });
  expect(rows.find(({ name }) => name === "process.pe.original_file_name")).toMatchObject({ categories: [], sensors: [] });
});

test("as a table: those named and below, or those of the sensors", async () => {
  const { stdout } = await runKestrel(["schema", "process.hash", "process.pid"]);
  const lines = stdout.trim().split("\n");
  expect(lines[0]).toMatch(/^FIELD +TYPE +CATEGORIES +SENSORS +WHAT IT IS$/);
  expect(lines.slice(1).map((line) => line.split(/ +/).slice(0, 4))).toEqual([
    ["process.hash.md5", "keyword", "-", "-"],
    ["process.hash.sha1", "keyword", "-", "-"],
    ["process.hash.sha256", "keyword", "dns,file,network,process", "every"],
    ["process.pid", "i64", "dns,file,network,process", "every"],
  ]);
  expect((await runKestrel(["schema", "process.hash", "--sensors"])).stdout).not.toContain("md5");
  for (const [name, hint] of [
    ["proces", 'did you mean "process"?'],
    ["process.hsh", 'did you mean "process.hash"?'],
    ["process.hash.sha265", 'did you mean "process.hash.sha256"?'],
  ] as const) {
    const wrong = await runKestrel(["schema", name]);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining(`"${name}", ${hint}`)]);
  }
});
