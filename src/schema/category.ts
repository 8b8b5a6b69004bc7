// Event categories by number. ECS categories have fixed ids; further names (other data sets) get ids as rules or logs name them.

/** Category id of an event that names no category. */
export const CATEGORY_NONE = 0;
/** Category id of an event whose category no rule and no table knows; only `any where` matches it by category. */
export const CATEGORY_OTHER = 1;
/** Category id of an event with several categories; the category field lists them. */
export const CATEGORY_SEVERAL = 2;

const ECS_CATEGORIES = [
  "process",
  "file",
  "network",
  "dns",
  "registry",
  "library",
  "driver",
  "authentication",
  "iam",
  "configuration",
  "session",
  "host",
  "malware",
  "intrusion_detection",
  "package",
  "database",
  "web",
  "api",
  "email",
  "threat",
  "vulnerability",
  "memory",
] as const;

const ECS_FIRST_ID = 3;
const DYNAMIC_FIRST_ID = 256;
const CATEGORIES_MAX = 4096;

/** Names ↔ ids of event categories (ECS `event.category`). */
export class CategoryTable {
  readonly #ids = new Map<string, number>();
  readonly #names = new Map<number, string>();
  #nextId = DYNAMIC_FIRST_ID;

  constructor() {
    for (const [index, name] of ECS_CATEGORIES.entries()) this.#add(name, ECS_FIRST_ID + index);
  }

  #add(name: string, id: number): void {
    this.#ids.set(name, id);
    this.#names.set(id, name);
  }

  /** Id of a name, making one for a new name. A full table answers CATEGORY_OTHER. */
  intern(name: string): number {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    if (this.#nextId >= CATEGORIES_MAX) return CATEGORY_OTHER;
    const id = this.#nextId++;
    this.#add(name, id);
    return id;
  }

  /** Id of a name, CATEGORY_OTHER for a name that is not in the table. */
  idOf(name: string): number {
    return this.#ids.get(name) ?? CATEGORY_OTHER;
  }

  /** Name of an id, `undefined` for NONE, OTHER, SEVERAL and unknown ids. */
  nameOf(id: number): string | undefined {
    return this.#names.get(id);
  }

  /** All names in id order, for suggestions and snapshots. */
  names(): readonly string[] {
    return [...this.#ids.keys()];
  }
}
