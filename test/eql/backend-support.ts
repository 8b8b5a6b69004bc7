// For tests of the back ends: runs an emitted module in Bun's own WebAssembly over records, and makes events that come near to what queries ask.

import { RecordBuilder, RecordView } from "#event";
import { createLuaRuleSetEvaluator } from "#runtime-lua";
import { type FieldValue, hitWords, type Scalar } from "#schema";
import type { ConditionNode, FieldNode, IrNode } from "../../src/eql/ir.ts";
import { Wild } from "../../src/eql/ir.ts";
import { childrenOf } from "../../src/eql/rule-set-facts.ts";

/** A module over memory that the test owns. */
export class WasmRunner {
  readonly #memory: WebAssembly.Memory;
  readonly #eval: (batch: number, count: number, out: number) => number;
  readonly #current: WebAssembly.Global;
  readonly #heapBase: number;
  readonly #words: number;

  constructor(bytes: Uint8Array, predicateCount: number) {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes.slice().buffer));
    this.#memory = exports["memory"] as WebAssembly.Memory;
    this.#eval = exports["eval"] as (batch: number, count: number, out: number) => number;
    this.#current = exports["current"] as WebAssembly.Global;
    this.#heapBase = ((exports["heap_base"] as WebAssembly.Global).value + 15) & ~15;
    this.#words = hitWords(predicateCount);
  }

  /** Hit bits of each record, as booleans by predicate. */
  evaluate(records: readonly Uint8Array[], predicateCount: number): boolean[][] {
    const { out } = this.place(records);
    this.#eval(this.#heapBase, records.length, out);
    if (this.#current.value !== -1) throw new Error("current is not -1 after eval");
    const view = new DataView(this.#memory.buffer);
    return records.map((_, record) =>
      Array.from({ length: predicateCount }, (_, predicate) => {
        const word = view.getUint32(out + (record * this.#words + (predicate >>> 5)) * 4, true);
        return ((word >>> (predicate & 31)) & 1) === 1;
      }),
    );
  }

  /** The predicate being evaluated; after a trap, the one that trapped. */
  get current(): number {
    return this.#current.value as number;
  }

  /** Copies records behind the heap base; answers where hit words go. */
  place(records: readonly Uint8Array[]): { readonly batch: number; readonly out: number } {
    const size = records.reduce((sum, record) => sum + record.length, 0);
    const out = this.#heapBase + size;
    const end = out + records.length * this.#words * 4;
    const missing = Math.ceil((end - this.#memory.buffer.byteLength) / 65_536);
    if (missing > 0) this.#memory.grow(missing);
    const bytes = new Uint8Array(this.#memory.buffer);
    let at = this.#heapBase;
    for (const record of records) {
      bytes.set(record, at);
      at += record.length;
    }
    bytes.fill(0xaa, out, end);
    return { batch: this.#heapBase, out };
  }

  /** The raw call, for benches. */
  run(batch: number, count: number, out: number): number {
    return this.#eval(batch, count, out);
  }
}

/** Hit bits of each record by the Lua form of a program, in LuaJIT. */
export function evaluateLua(lua: string, records: readonly Uint8Array[], predicateCount: number): boolean[][] {
  const predicates = Array.from({ length: predicateCount }, (_, index) => ({ ruleId: String(index) }));
  const evaluator = createLuaRuleSetEvaluator({ wasm: new Uint8Array(), lua, predicates });
  try {
    const length = records.reduce((sum, record) => sum + record.length, 0);
    const bytes = new Uint8Array(length);
    const offsets = new Uint32Array(records.length);
    let at = 0;
    for (const [index, record] of records.entries()) {
      bytes.set(record, at);
      offsets[index] = at;
      at += record.length;
    }
    const words = evaluator.evaluate({ bytes, offsets, length, count: records.length });
    const width = hitWords(predicateCount);
    return records.map((_, record) =>
      Array.from({ length: predicateCount }, (_unused, predicate) => {
        return ((words[record * width + (predicate >>> 5)]! >>> (predicate & 31)) & 1) === 1;
      }),
    );
  } finally {
    evaluator.close();
  }
}

/** A seeded source of numbers in [0, 1). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The fields that conditions read, each with values that come near to what they ask for. */
export interface Interest {
  readonly field: FieldNode;
  readonly values: Scalar[];
}

/** Collects the fields and constants of conditions. */
export function interestsOf(roots: readonly ConditionNode[]): readonly Interest[] {
  const interests = new Map<number, Interest>();
  const seen = new Set<IrNode>();
  const visit = (node: IrNode, near: readonly Scalar[]): void => {
    if (node.kind === "field") {
      const interest = interests.get(node.fieldId) ?? { field: node, values: [] };
      interests.set(node.fieldId, interest);
      interest.values.push(...near);
      return;
    }
    const own = constantsOf(node);
    if (seen.has(node) && own.length === 0) return;
    seen.add(node);
    for (const child of childrenOf(node)) visit(child, own.length > 0 ? own : near);
  };
  for (const root of roots) visit(root, []);
  return [...interests.values()];
}

function constantsOf(node: IrNode): Scalar[] {
  switch (node.kind) {
    case "compare":
    case "textTest":
      return childrenOf(node).flatMap((child) => (child.kind === "const" ? [child.value] : []));
    case "in":
      return [...node.constants];
    case "like":
      return node.patterns.flatMap((pattern) => {
        const text = (many: string) => pattern.map((piece) => (piece === Wild.Many ? many : piece === Wild.One ? "é" : piece)).join("");
        return [text(""), text("x/y "), text("Ünï")];
      });
    case "regex":
      return node.patterns.map((pattern) => pattern.replaceAll(/\\(.)/g, "$1").replaceAll(/[*+?()[\]{}]/g, ""));
    case "cidr":
      return node.blocks.map((block) => (block.bytes.length === 4 ? block.bytes.join(".") : "fe80::1"));
    default:
      return [];
  }
}

function pick<T>(random: () => number, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)]!;
}

function mutated(random: () => number, text: string): string {
  switch (Math.floor(random() * 8)) {
    case 0:
      return text.toUpperCase();
    case 1:
      return text.toLowerCase();
    case 2:
      return `${text}x`;
    case 3:
      return text.slice(1);
    case 4:
      return text.replaceAll("k", "\u212a").replaceAll("s", "ſ");
    default:
      return text;
  }
}

function nearbyValue(random: () => number, { field, values }: Interest): Scalar {
  const near = pick(random, values.length > 0 ? values : [0n, "", 1.5, true]);
  switch (field.fieldType) {
    case "keyword":
    case "keyword[]":
      return mutated(random, typeof near === "string" ? near : pick(random, ["", "sh", "/usr/bin/Python3", "a b\nc", "日本", "ẞß\u0130"]));
    case "ip":
      return typeof near === "string" && /^[0-9.]+$/.test(near)
        ? near
        : pick(random, ["10.1.2.3", "::1", "fe80::1", "192.168.0.7", "8.8.8.8"]);
    case "bool":
      return random() < 0.5;
    case "f64":
      return typeof near === "number" ? near : pick(random, [0, -0, 1.5, 1e300, 0.1, -7]);
    case "u64":
      return pick(random, [0n, 1n, 2n ** 63n, 2n ** 64n - 1n, typeof near === "bigint" && near >= 0n ? near : 5n]);
    default:
      return typeof near === "bigint"
        ? BigInt.asIntN(64, near + pick(random, [0n, 0n, 1n, -1n]))
        : pick(random, [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n)]);
  }
}

/** A record whose fields hold some of what the conditions ask for. */
export function randomRecord(random: () => number, interests: readonly Interest[], categories: readonly number[]): Uint8Array {
  const builder = new RecordBuilder();
  builder.begin(pick(random, categories), 1n);
  const density = 0.3 + random() * 0.7;
  for (const interest of interests) {
    if (random() > density) continue;
    const many = random() < 0.25 || interest.field.fieldType === "keyword[]";
    const value: FieldValue = many
      ? Array.from({ length: 1 + Math.floor(random() * 3) }, () => nearbyValue(random, interest))
      : nearbyValue(random, interest);
    builder.value(interest.field.fieldId, interest.field.fieldType, value);
  }
  const size = builder.finish();
  return builder.bytes.slice(0, size);
}

/** A record that does what it can to satisfy a condition: one branch of each `or`, one constant of each list, negations left to luck. */
export function satisfyingRecord(random: () => number, root: ConditionNode): Uint8Array {
  const wanted = new Map<number, { readonly field: FieldNode; readonly values: Scalar[] }>();
  let category = 0;
  const want = (node: IrNode, value: Scalar): void => {
    if (node.kind !== "field") return;
    const entry = wanted.get(node.fieldId) ?? { field: node, values: [] };
    wanted.set(node.fieldId, entry);
    entry.values.push(value);
  };
  const satisfy = (node: ConditionNode): void => {
    if (node.kind === "and") for (const operand of node.operands) satisfy(operand);
    if (node.kind === "or") satisfy(pick(random, node.operands));
    if (node.kind === "category") category = node.categoryId;
    if (node.kind === "not" && node.operand.kind === "isNull") want(node.operand.value, "present");
    if (node.kind === "compare" && node.right.kind === "const") {
      const { value } = node.right;
      const step = node.operator === "gt" ? 1n : node.operator === "lt" ? -1n : 0n;
      want(node.left, typeof value === "bigint" ? value + step : value);
    }
    const [near] =
      node.kind === "in" || node.kind === "like" || node.kind === "regex" || node.kind === "cidr" ? [pick(random, constantsOf(node))] : [];
    if (near !== undefined && "value" in node) want(node.value as IrNode, near);
  };
  satisfy(root);
  const builder = new RecordBuilder();
  builder.begin(category, 1n);
  for (const { field, values } of wanted.values()) builder.value(field.fieldId, field.fieldType, values.length === 1 ? values[0]! : values);
  return builder.bytes.slice(0, builder.finish());
}

/** A record as the reference evaluator sees it. */
export function viewOf(record: Uint8Array): RecordView {
  return new RecordView().reset(record, 0);
}
