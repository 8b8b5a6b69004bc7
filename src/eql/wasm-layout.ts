// The data behind the guest: slots of fields, tables of constants, masks of predicates, remembered truths, arenas. Writes the program words that
// the guest's program.ts reads; layouts are named there and in its field.ts.
import { CATEGORY_OTHER, CATEGORY_SEVERAL, hitWords } from "#schema";
import { foldText } from "./case-folding.ts";
import type { ConditionNode, ConstantValue, Pattern, Wild } from "./ir.ts";
import { type ConstantTable, type Facts, type Membership, membership, tableKey } from "./rule-set-facts.ts";
import type { Guest } from "./wasm-link.ts";
import { DataPool, hashText } from "./wasm-pool.ts";

/** Bytes of a slot. */
const SLOT_BYTES = 48;
const SLOT_TYPE = 8;
const SLOT_TABLE = 12;
const SLOT_FOLDED_TABLE = 16;

/** Room for folded copies and ids of one record, and for the temporary strings of one atom. */
const KEEP_BYTES = 3 << 20;
const ARENA_BYTES = 4 << 20;
/** Most guards, and most bytes of their masks: beyond it guards are left out, which costs time and changes nothing. */
const GUARDS_MAX = 24;
const MASK_BYTES_MAX = 4 << 20;

/** Where a program's data is. */
export class ProgramLayout {
  readonly pool: DataPool;
  readonly facts: Facts;
  readonly #guest: Guest;
  readonly #slots = new Map<number, number>();
  readonly #memos: ConditionNode[] = [];
  readonly #memoStart: number;

  constructor(guest: Guest, facts: Facts) {
    this.#guest = guest;
    this.facts = facts;
    this.pool = new DataPool(guest.dataEnd);
    const first = this.pool.reserve(facts.fields.size * SLOT_BYTES);
    let slot = first;
    for (const [fieldId, type] of facts.fields) {
      this.#slots.set(fieldId, slot);
      this.pool.setWord(slot + SLOT_TYPE, type);
      slot += SLOT_BYTES;
    }
    this.#memos = [...facts.shared];
    this.#memoStart = this.pool.reserve(this.#memos.length * 8);
    for (const table of facts.tables.values()) this.#writeTable(table);
  }

  /** Address of the slot of a field. */
  slot(fieldId: number): number {
    return this.#slots.get(fieldId)!;
  }

  /** Address of the remembered truth of a shared condition. */
  memo(node: ConditionNode): number {
    return this.#memoStart + this.#memos.indexOf(node) * 8;
  }

  string(text: string, folded: boolean): number {
    return this.pool.string(folded ? foldText(text) : text);
  }

  patterns(patterns: readonly Pattern[], folded: boolean): number {
    const fold = (part: string | Wild): string | Wild => (typeof part === "string" ? foldText(part) : part);
    return this.pool.patterns(folded ? patterns.map((pattern) => pattern.map(fold)) : patterns);
  }

  /** Ids of a membership's constants in the table of its field. */
  ids({ field, folded, texts }: Membership): number[] {
    const { ids } = this.facts.tables.get(tableKey(field.fieldId, folded))!;
    return texts.map((text) => ids.get(text)!);
  }

  /** Address of the bits of a membership's constants. */
  bits(member: Membership): number {
    const { ids } = this.facts.tables.get(tableKey(member.field.fieldId, member.folded))!;
    return this.pool.bits(this.ids(member), ids.size + 1);
  }

  /** Writes what depends on the predicates as a whole; answers the first byte the host may use. */
  finish(roots: readonly ConditionNode[]): { readonly heapBase: number; readonly program: Uint8Array } {
    // The guest takes four words at a time.
    const words = Math.max((hitWords(roots.length) + 3) & ~3, 4);
    const masks = new MaskWriter(this, roots, words);
    const categories = masks.categories();
    const guards = masks.guards();
    const fieldCount = Math.max(0, ...this.#slots.keys()) + 1;
    const fieldMap = this.pool.words(Array.from({ length: fieldCount }, (_, id) => this.#slots.get(id) ?? 0));
    const candidates = this.pool.reserve(words * 4);
    const keepStart = (this.pool.end + 15) & ~15;
    const arenaStart = keepStart + KEEP_BYTES;
    const heapBase = arenaStart + ARENA_BYTES;
    const memoEnd = this.#memoStart + this.#memos.length * 8;
    const slots = this.#slots.values().next().value ?? 0;
    const program = Uint32Array.of(
      ...[roots.length, this.#slots.size, slots, fieldMap, fieldCount, arenaStart, heapBase, keepStart, arenaStart],
      ...[this.#memoStart, memoEnd, words, candidates, categories, guards.address, guards.count],
    );
    return { heapBase, program: new Uint8Array(program.buffer) };
  }

  get programAddress(): number {
    return this.#guest.programAddress;
  }

  /** { mask, longest text in bytes, entries of hash, text, id, 0 }, at most half full. */
  #writeTable({ fieldId, folded, ids }: ConstantTable): void {
    const size = 2 ** Math.ceil(Math.log2(ids.size * 2 + 2));
    const entries = new Uint32Array(2 + size * 4);
    entries[0] = size - 1;
    for (const [text, id] of ids) {
      const hash = hashText(text);
      let index = hash & (size - 1);
      while (entries[2 + index * 4 + 1] !== 0) index = (index + 1) & (size - 1);
      entries.set([hash, this.pool.string(text), id], 2 + index * 4);
      entries[1] = Math.max(entries[1]!, Buffer.byteLength(text));
    }
    this.pool.setWord(this.slot(fieldId) + (folded ? SLOT_FOLDED_TABLE : SLOT_TABLE), this.pool.words(entries));
  }
}

/** Masks over the predicates, see `narrow` in the guest's index.ts. */
class MaskWriter {
  readonly #layout: ProgramLayout;
  readonly #roots: readonly ConditionNode[];
  readonly #words: number;
  readonly #known = new Map<string, number>();

  constructor(layout: ProgramLayout, roots: readonly ConditionNode[], words: number) {
    this.#layout = layout;
    this.#roots = roots;
    this.#words = words;
  }

  #mask(bits: Uint32Array): number {
    const key = bits.join();
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const address = this.#layout.pool.words(bits);
    this.#known.set(key, address);
    return address;
  }

  #bitsOf(predicates: Iterable<number>): Uint32Array {
    const bits = new Uint32Array(this.#words);
    for (const predicate of predicates) bits[predicate >>> 5] = bits[predicate >>> 5]! | (1 << (predicate & 31));
    return bits;
  }

  /** { count, mask of category 0 and of those beyond, mask of each category }. */
  categories(): number {
    const wanted = this.#roots.map((root) => {
      const node = conjuncts(root).find((part) => part.kind === "category");
      return node?.kind === "category" ? node.categoryId : undefined;
    });
    const count = Math.max(CATEGORY_SEVERAL, ...wanted.map((id) => id ?? 0)) + 1;
    const addresses = Array.from({ length: count }, (_, id) => {
      const open = id === CATEGORY_OTHER || id === CATEGORY_SEVERAL;
      const predicates = [...wanted.keys()].filter((predicate) => open || wanted[predicate] === undefined || wanted[predicate] === id);
      return this.#mask(this.#bitsOf(predicates));
    });
    return this.#layout.pool.words([count, ...addresses]);
  }

  guards(): { readonly address: number; readonly count: number } {
    const byTable = new Map<string, Map<number, ReadonlySet<number>>>();
    const known = new Map<ConditionNode, Requirements>();
    for (const [predicate, root] of this.#roots.entries()) {
      for (const [key, ids] of requirements(root, this.#layout, known)) {
        const wanted = byTable.get(key) ?? new Map<number, ReadonlySet<number>>();
        byTable.set(key, wanted.set(predicate, ids));
      }
    }
    const chosen = [...byTable].sort(([, a], [, b]) => b.size - a.size).slice(0, GUARDS_MAX);
    let bytesLeft = MASK_BYTES_MAX;
    const guards: number[] = [];
    for (const [key, wanted] of chosen) {
      const table = this.#layout.facts.tables.get(key)!;
      bytesLeft -= (table.ids.size + 1) * this.#words * 4;
      if (bytesLeft < 0) break;
      guards.push(this.#layout.slot(table.fieldId), table.folded ? 1 : 0, this.#masksById(table.ids.size, wanted), 0);
    }
    return { address: this.#layout.pool.words(guards), count: guards.length / 4 };
  }

  /** Addresses of the masks of the ids from 0 on: who asks for nothing, and who asks for this id among others. */
  #masksById(ids: number, wanted: ReadonlyMap<number, ReadonlySet<number>>): number {
    const indifferent = [...this.#roots.keys()].filter((predicate) => !wanted.has(predicate));
    const asking = Array.from({ length: ids + 1 }, (): number[] => []);
    for (const [predicate, wantedIds] of wanted) for (const id of wantedIds) asking[id]!.push(predicate);
    const base = this.#bitsOf(indifferent);
    const addresses = asking.map((predicates) => {
      const own = this.#bitsOf(predicates);
      return this.#mask(own.map((word, index) => word | base[index]!));
    });
    return this.#layout.pool.words(addresses);
  }
}

/** For a constant table the ids of which a field must have one. */
type Requirements = ReadonlyMap<string, ReadonlySet<number>>;

/**
 * What must hold for a condition to be true. Of a conjunction every part must, of a disjunction what all parts have in common; of requirements on one
 * table the smallest set is kept.
 */
function requirements(node: ConditionNode, layout: ProgramLayout, known: Map<ConditionNode, Requirements>): Requirements {
  const done = known.get(node);
  if (done !== undefined) return done;
  const result = new Map<string, ReadonlySet<number>>();
  const member = membership(node);
  if (member !== undefined) result.set(tableKey(member.field.fieldId, member.folded), new Set(layout.ids(member)));
  if (node.kind === "and") {
    for (const operand of node.operands) {
      for (const [key, ids] of requirements(operand, layout, known)) {
        if (ids.size < (result.get(key)?.size ?? Number.POSITIVE_INFINITY)) result.set(key, ids);
      }
    }
  }
  if (node.kind === "or") {
    const [first, ...others] = node.operands.map((operand) => requirements(operand, layout, known));
    for (const [key, ids] of first!) {
      const parts = others.map((other) => other.get(key));
      if (parts.every((part) => part !== undefined)) result.set(key, new Set([...ids, ...parts.flatMap((part) => [...part!])]));
    }
  }
  known.set(node, result);
  return result;
}

/** Conditions that must all be true for this one to be true. */
function conjuncts(root: ConditionNode): readonly ConditionNode[] {
  return root.kind === "and" ? root.operands : [root];
}

/** The text of a constant that is one. */
export function textOf(value: ConstantValue): string {
  if (typeof value !== "string") throw new Error(`Assertion failed: ${String(value)} is not text`);
  return value;
}
