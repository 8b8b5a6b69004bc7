// Field names by the hash of their dotted path, so that a decoder finds a field while it reads keys and makes no string. Flat and nested
// spellings of a name give the same path, hence the same field.
import type { FieldDefinition, SchemaRegistry } from "#schema";
import { entryTypeOf } from "./builder.ts";

/** What a name means beside being a field. */
export const enum NameRole {
  /** Other names continue this one: its object is walked into. */
  Prefix = 1,
  Timestamp = 2,
  Category = 4,
  Tiebreaker = 8,
}

/** Start value of a path's hash. */
export const PATH_HASH_START = 0x811c9dc5;
/** FNV-1a's prime; the hot loop multiplies by itself what {@link extendHash} does. */
export const PATH_HASH_PRIME = 0x01000193;
/** Longest path that is looked up; longer ones are unknown. */
export const PATH_BYTES_MAX = 1024;

/** Hash of a path one byte longer. */
export function extendHash(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, PATH_HASH_PRIME);
}

/** Names beside the registry's that a log gives a meaning. */
export interface NamedRoles {
  readonly timestamp: string;
  readonly category: string;
  readonly tiebreaker: string | undefined;
}

/** An open-addressing table; slot numbers index the public columns. */
export class FieldTable {
  /** Field id of a slot, 0 when the name is no field. */
  readonly ids: Uint16Array;
  /** Entry type of a slot's field. */
  readonly types: Uint8Array;
  /** {@link NameRole} bits of a slot. */
  readonly roles: Uint8Array;
  readonly #hashes: Uint32Array;
  readonly #from: Uint32Array;
  readonly #lengths: Uint16Array;
  readonly #names: Uint8Array;
  readonly #mask: number;

  constructor(registry: SchemaRegistry, named: NamedRoles, hidden: readonly string[]) {
    const meanings = meaningsOf(registry, named, hidden);
    let size = 64;
    while (size < meanings.size * 3) size *= 2;
    this.#mask = size - 1;
    this.ids = new Uint16Array(size);
    this.types = new Uint8Array(size);
    this.roles = new Uint8Array(size);
    this.#hashes = new Uint32Array(size);
    this.#from = new Uint32Array(size);
    this.#lengths = new Uint16Array(size);
    const encoder = new TextEncoder();
    const names: number[] = [];
    for (const [name, meaning] of meanings) {
      const bytes = encoder.encode(name);
      if (bytes.length === 0 || bytes.length > PATH_BYTES_MAX) continue;
      let hash = PATH_HASH_START;
      for (const byte of bytes) hash = extendHash(hash, byte);
      let slot = this.#first(hash);
      while (this.#lengths[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#hashes[slot] = hash;
      this.#from[slot] = names.length;
      this.#lengths[slot] = bytes.length;
      this.roles[slot] = meaning.roles;
      if (meaning.field !== undefined) {
        this.ids[slot] = meaning.field.id;
        this.types[slot] = entryTypeOf(meaning.field.type);
      }
      for (const byte of bytes) names.push(byte);
    }
    this.#names = Uint8Array.from(names);
  }

  /** Number of slots. */
  get size(): number {
    return this.#mask + 1;
  }

  /** Slot of the path with this hash, -1 when nothing knows it. */
  find(hash: number, path: Uint8Array, length: number): number {
    const hashes = this.#hashes;
    const lengths = this.#lengths;
    const unsigned = hash >>> 0;
    for (let slot = this.#first(hash); lengths[slot] !== 0; slot = (slot + 1) & this.#mask) {
      if (hashes[slot] === unsigned && lengths[slot] === length && this.#equals(slot, path, length)) return slot;
    }
    return -1;
  }

  #first(hash: number): number {
    return (hash ^ (hash >>> 15)) & this.#mask;
  }

  #equals(slot: number, path: Uint8Array, length: number): boolean {
    const from = this.#from[slot]!;
    const names = this.#names;
    for (let index = 0; index < length; index++) if (names[from + index] !== path[index]) return false;
    return true;
  }
}

interface Meaning {
  field: FieldDefinition | undefined;
  roles: number;
}

function meaningsOf(registry: SchemaRegistry, named: NamedRoles, hidden: readonly string[]): Map<string, Meaning> {
  const meanings = new Map<string, Meaning>();
  const at = (name: string): Meaning => {
    let meaning = meanings.get(name);
    if (meaning === undefined) {
      meaning = { field: undefined, roles: 0 };
      meanings.set(name, meaning);
    }
    return meaning;
  };
  const addPrefixes = (name: string): void => {
    for (let dot = name.indexOf("."); dot > 0; dot = name.indexOf(".", dot + 1)) at(name.slice(0, dot)).roles |= NameRole.Prefix;
  };
  for (const field of registry.fields()) {
    if (hidden.includes(field.name)) continue;
    at(field.name).field = field;
    addPrefixes(field.name);
  }
  const give = (name: string | undefined, role: NameRole): void => {
    if (name === undefined || name === "") return;
    at(name).roles |= role;
    addPrefixes(name);
  };
  give(named.timestamp, NameRole.Timestamp);
  give(named.category, NameRole.Category);
  give(named.tiebreaker, NameRole.Tiebreaker);
  return meanings;
}
