// kestrel schema: the table of fields that rules can test, from the catalogue: type, and which sensors set it in events of which category.
import { sensorFields } from "#ebpf";
import { nearestName } from "#schema";
import { EXIT, parseArguments, usageError } from "./arguments.ts";
import { LineWriter } from "./output.ts";
import { registryFrom } from "./schema-file.ts";

/** One line of the table. */
interface SchemaRow {
  readonly name: string;
  readonly type: string;
  readonly categories: readonly string[];
  readonly sensors: readonly string[];
  readonly description: string;
}

/** Runs the command. */
export async function schema(argv: readonly string[]): Promise<number> {
  const args = parseArguments(argv, { json: "switch", sensors: "switch", schema: "text" });
  const wanted = args.positionals;
  const registry = registryFrom(args.text("schema"));
  const bySensors = new Map(sensorFields().map((field) => [field.name, field]));
  const rows = registry
    .fields()
    .map(({ name, type, description }): SchemaRow => {
      const source = bySensors.get(name);
      return { name, type, categories: source?.categories ?? [], sensors: source?.sensors ?? [], description };
    })
    .filter(({ name }) => wanted.length === 0 || wanted.some((one) => name === one || name.startsWith(`${one}.`)))
    .filter(({ name }) => !args.has("sensors") || bySensors.has(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  if (rows.length === 0) {
    const names = new Set(registry.fields().flatMap(({ name }) => [...name.matchAll(/\.|$/g)].map(({ index }) => name.slice(0, index))));
    const nearest = wanted.flatMap((one) => nearestName(one, names) ?? []);
    const hint = nearest.length === 0 ? "" : `, did you mean "${nearest.join('", "')}"?`;
    throw usageError(`No field is called, or begins with, "${wanted.join('", "')}"${hint}`);
  }
  const writer = new LineWriter();
  if (args.has("json")) for (const row of rows) writer.line(JSON.stringify(row));
  else for (const line of tableOf(rows)) writer.line(line);
  writer.flush();
  return EXIT.ok;
}

function tableOf(rows: readonly SchemaRow[]): readonly string[] {
  const every = Math.max(...sensorFields().map(({ sensors }) => sensors.length));
  const cells = rows.map(({ name, type, categories, sensors, description }) => [
    name,
    type,
    categories.join(",") || "-",
    sensors.length === every ? "every" : sensors.join(",") || "-",
    description,
  ]);
  const table = [["FIELD", "TYPE", "CATEGORIES", "SENSORS", "WHAT IT IS"], ...cells];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((line) => line[column]?.length ?? 0)));
  return table.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
