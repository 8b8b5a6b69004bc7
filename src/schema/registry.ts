// The fields Kestrel knows: the catalogue plus what a user's schema file or a query's own data adds. Names are unique, ids are stable.
import { CATALOGUE } from "./catalogue.ts";
import { CategoryTable } from "./category.ts";
import { FIELD_TYPES, type FieldType } from "./field-type.ts";

/** One known field. */
export interface FieldDefinition {
  /** Stable number, 1…4095 for the catalogue, from {@link EXTRA_FIELD_FIRST_ID} for added fields. */
  readonly id: number;
  /** Dotted name, ECS where ECS has one. */
  readonly name: string;
  readonly type: FieldType;
  /** One sentence; empty for inferred fields. */
  readonly description: string;
}

/** First id of fields that are not in the catalogue. */
export const EXTRA_FIELD_FIRST_ID = 4096;
const EXTRA_FIELD_LAST_ID = 65_000;
/** Logs of other systems have spaces, digits and marks in their names, and EQL can write them all in backticks. */
const NAME = /^[^.\p{Cc}\p{Cs}]+(\.[^.\p{Cc}\p{Cs}]+)*$/u;

/** Why a field could not be added: its name, type or an existing definition. */
export interface FieldConflict {
  readonly name: string;
  readonly message: string;
}

/** A field to add: `{ name, type, description? }`. */
export interface ExtraField {
  readonly name: string;
  readonly type: FieldType;
  readonly description?: string;
}

/** The set of known fields and categories. Built once at start; rules and codecs share it. */
export class SchemaRegistry {
  readonly categories: CategoryTable = new CategoryTable();
  readonly #byName = new Map<string, FieldDefinition>();
  readonly #byId = new Map<number, FieldDefinition>();
  readonly #objects = new Set<string>();
  #nextExtraId = EXTRA_FIELD_FIRST_ID;

  constructor() {
    for (const field of CATALOGUE) this.#set(field);
  }

  /** Field of this exact name. */
  byName(name: string): FieldDefinition | undefined {
    return this.#byName.get(name);
  }

  /** Field of this id. */
  byId(id: number): FieldDefinition | undefined {
    return this.#byId.get(id);
  }

  /** Whether fields stand in an object of this name: `process.parent` is one. */
  isObject(name: string): boolean {
    return this.#objects.has(name);
  }

  /** Id of a field that must exist: for sensors and codecs that name catalogue fields. Throws on an unknown name (a bug of ours). */
  idOf(name: string): number {
    const field = this.#byName.get(name);
    if (field === undefined) throw new Error(`Field "${name}" is not in the catalogue`);
    return field.id;
  }

  /** All fields in id order. */
  fields(): readonly FieldDefinition[] {
    return [...this.#byId.values()].sort((a, b) => a.id - b.id);
  }

  /** Fields added beside the catalogue, in id order: what a `.klog` file must carry to be read elsewhere. */
  extraFields(): readonly FieldDefinition[] {
    return this.fields().filter((field) => field.id >= EXTRA_FIELD_FIRST_ID);
  }

  /** Adds a field. Adding it again with the same type is fine; another type, a bad name or a full table is a conflict, and nothing changes. */
  add(extra: ExtraField): FieldDefinition | FieldConflict {
    const known = this.#byName.get(extra.name);
    if (known !== undefined) {
      if (known.type === extra.type) return known;
      return { name: extra.name, message: `Field "${extra.name}" is already ${known.type}, it cannot also be ${extra.type}` };
    }
    if (!NAME.test(extra.name)) return { name: extra.name, message: `"${extra.name}" is not a field name` };
    if (!FIELD_TYPES.includes(extra.type)) {
      return {
        name: extra.name,
        message: `Field "${extra.name}" has unknown type "${extra.type}", expected one of ${FIELD_TYPES.join(", ")}`,
      };
    }
    if (this.#nextExtraId > EXTRA_FIELD_LAST_ID)
      return { name: extra.name, message: `No room for field "${extra.name}": too many extra fields` };
    const field: FieldDefinition = { id: this.#nextExtraId++, name: extra.name, type: extra.type, description: extra.description ?? "" };
    this.#set(field);
    return field;
  }

  #set(field: FieldDefinition): void {
    this.#byName.set(field.name, field);
    this.#byId.set(field.id, field);
    for (let dot = field.name.indexOf("."); dot >= 0; dot = field.name.indexOf(".", dot + 1)) this.#objects.add(field.name.slice(0, dot));
  }
}

/** Whether {@link SchemaRegistry.add} refused. */
export function isConflict(result: FieldDefinition | FieldConflict): result is FieldConflict {
  return "message" in result;
}
