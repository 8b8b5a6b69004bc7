// More fields from a user's file: JSON, {"name": "type", …}. A bad file is a usage error that names the field.
import { readFileSync } from "node:fs";
import { KestrelError, messageOf } from "#core";
import { type FieldType, isConflict, SchemaRegistry } from "#schema";

/** A registry with the catalogue and, when a file is named, its fields. */
export function registryFrom(path: string | undefined): SchemaRegistry {
  const registry = new SchemaRegistry();
  if (path === undefined) return registry;
  let fields: unknown;
  try {
    fields = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new KestrelError("bad-schema-file", `Cannot read schema file "${path}": ${messageOf(error)}`, { cause: error });
  }
  if (fields === null || typeof fields !== "object" || Array.isArray(fields)) {
    throw new KestrelError("bad-schema-file", `Schema file "${path}" must hold an object, {"field.name": "type", …}`);
  }
  for (const [name, type] of Object.entries(fields)) {
    const added = registry.add({ name, type: String(type) as FieldType });
    if (isConflict(added)) throw new KestrelError("bad-schema-file", `Schema file "${path}": ${added.message}`);
  }
  return registry;
}
