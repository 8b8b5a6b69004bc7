// The compiled forms of rule sets: the ABI, batches, traps, the guest library on its own, and the public rules and conformance expressions in Wasm
// and Lua against the reference.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parse as parseToml } from "smol-toml";
import { RecordBuilder } from "#event";
import { type FieldValue, isConflict, SchemaRegistry } from "#schema";
import { foldCodePoint } from "../../src/eql/case-folding.ts";
import { GUEST_WASM_BASE64 } from "../../src/eql/guest.generated.ts";
import { type ConditionNode, IrBuilder } from "../../src/eql/ir.ts";
import { emitLua } from "../../src/eql/lua.ts";
import { lowerQuery } from "../../src/eql/query.ts";
import { evaluateCondition } from "../../src/eql/reference.ts";
import { textOfFloat } from "../../src/eql/reference-functions.ts";
import { emitWasm } from "../../src/eql/wasm.ts";
import { evaluateLua, interestsOf, randomRecord, satisfyingRecord, seededRandom, viewOf, WasmRunner } from "./backend-support.ts";
import { corpusLines, corpusText, HAS_CORPUS } from "./corpus.ts";

const seed = Number(process.env["KESTREL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

function lower(texts: readonly string[], registry: SchemaRegistry, dialect: "default" | "endgame" = "default"): ConditionNode[] {
  const builder = new IrBuilder();
  return texts.flatMap((text) => {
    const { condition, planned } = lowerQuery({ id: "q", text, dialect, exceptions: [], lenientFields: true }, registry, builder);
    return condition === undefined ? (planned?.conditions ?? []) : [condition];
  });
}

function record(registry: SchemaRegistry, category: string, fields: Readonly<Record<string, FieldValue>>): Uint8Array {
  const builder = new RecordBuilder();
  builder.begin(registry.categories.idOf(category), 0n);
  for (const [name, value] of Object.entries(fields)) {
    const field = registry.byName(name)!;
    builder.value(field.id, field.type, value);
  }
  return builder.bytes.slice(0, builder.finish());
}

describe("the module", () => {
  test("imports nothing and exports the ABI", () => {
    const bytes = emitWasm(lower(['process where process.name == "sh"'], new SchemaRegistry()));
    const module = new WebAssembly.Module(bytes.slice().buffer);
    expect(WebAssembly.Module.imports(module)).toEqual([]);
    expect(WebAssembly.Module.exports(module).map(({ name, kind }) => `${kind} ${name}`)).toEqual([
      "memory memory",
      "function eval",
      "global current",
      "global heap_base",
    ]);
  });

  test("an empty rule set evaluates to nothing", () => {
    const registry = new SchemaRegistry();
    const records = [record(registry, "process", { "process.name": "sh" })];
    expect(new WasmRunner(emitWasm([]), 0).evaluate(records, 0)).toEqual([[]]);
    expect(evaluateLua(emitLua([]), records, 0)).toEqual([[]]);
  });

  test("every predicate has its bit, over word borders, in every record", () => {
    const registry = new SchemaRegistry();
    const roots = lower(
      Array.from({ length: 70 }, (_, index) => `any where process.pid == ${index}`),
      registry,
    );
    const records = [3n, 31n, 32n, 69n, 99n].map((pid) => record(registry, "process", { "process.pid": pid }));
    const bits = new WasmRunner(emitWasm(roots), 70).evaluate(records, 70);
    expect(bits.map((row) => row.flatMap((hit, index) => (hit ? [index] : [])))).toEqual([[3], [31], [32], [69], []]);
    expect(evaluateLua(emitLua(roots), records, 70)).toEqual(bits);
  });

  test("a field does not live on in the next record", () => {
    const registry = new SchemaRegistry();
    const roots = lower(
      ['any where process.name : "SH"', "any where process.name != null", 'any where process.args like~ "*X*"'],
      registry,
    );
    const records = [record(registry, "process", { "process.name": "sh", "process.args": ["ax"] }), record(registry, "process", {})];
    const expected = [
      [true, true, true],
      [false, false, false],
    ];
    expect(new WasmRunner(emitWasm(roots), 3).evaluate(records, 3)).toEqual(expected);
    expect(evaluateLua(emitLua(roots), records, 3)).toEqual(expected);
  });

  test("an entry of another type than the field's is a missing field", () => {
    const registry = new SchemaRegistry();
    const roots = lower(["any where process.pid == null", "any where process.pid > 0"], registry);
    const builder = new RecordBuilder();
    builder.begin(3, 0n);
    builder.keyword(registry.idOf("process.pid"), "7");
    const records = [builder.bytes.slice(0, builder.finish())];
    expect(new WasmRunner(emitWasm(roots), 2).evaluate(records, 2)).toEqual([[true, false]]);
    expect(evaluateLua(emitLua(roots), records, 2)).toEqual([[true, false]]);
  });

  test(`texts that are nearly addresses are told apart alike (KESTREL_SEED=${seed})`, () => {
    const registry = new SchemaRegistry();
    const roots = lower(
      ['any where cidrMatch(process.name, "::/0")', 'any where cidrMatch(process.name, "0.0.0.0/0", "1::/16")'],
      registry,
    );
    const random = seededRandom(seed);
    const pieces = ["::", ":", "1", "0", "ffff", "fe80", "12345", ".", "1.2.3.4", "255", "256", "01", "g", "x", " "];
    const made = Array.from({ length: 3000 }, () =>
      Array.from({ length: 1 + random() * 9 }, () => pieces[Math.floor(random() * pieces.length)]),
    );
    const texts = ["::1x", "::x", "::1::", "1::2::3", ":::", "::", "1:2:3:4:5:6:7::", "::1.2.3.4", ...made.map((parts) => parts.join(""))];
    const records = texts.map((text) => record(registry, "process", { "process.name": text }));
    const wanted = records.map((bytes) => roots.map((root) => evaluateCondition(root, { event: viewOf(bytes), variables: [] }) === true));
    const hits = wanted.filter((row) => row.includes(true)).length;
    expect([hits > 50, hits < texts.length / 2]).toEqual([true, true]);
    const lua = evaluateLua(emitLua(roots), records, 2);
    const wasm = new WasmRunner(emitWasm(roots), 2).evaluate(records, 2);
    const differing = texts.flatMap((text, at) => (Bun.deepEquals([wanted[at], wanted[at]], [wasm[at], lua[at]]) ? [] : [text]));
    expect(differing).toEqual([]);
  });

  test("after a trap `current` names the predicate, and the next batch is right", () => {
    const registry = new SchemaRegistry();
    const doubled = "concat(process.command_line, process.command_line)";
    const huge = `concat(${Array.from({ length: 16 }, () => doubled).join(", ")})`;
    const roots = lower(['any where process.name == "sh"', `any where length(${huge}) > 0`], registry);
    const runner = new WasmRunner(emitWasm(roots), 2);
    const large = record(registry, "process", { "process.name": "sh", "process.command_line": "x".repeat(200_000) });
    expect(() => runner.evaluate([large], 2)).toThrow();
    expect(runner.current).toBe(1);
    expect(runner.evaluate([record(registry, "process", { "process.name": "bash" })], 2)).toEqual([[false, false]]);
  });
});

test(`Lua prints and reads floats as JavaScript does (KESTREL_SEED=${seed})`, () => {
  const registry = new SchemaRegistry();
  const roots = lower(
    ["any where string(file.Ext.entropy) == process.name", "any where number(process.name) == file.Ext.entropy"],
    registry,
  );
  const random = seededRandom(seed);
  const values = Array.from({ length: 4000 }, (_, index) => {
    if (index % 4 === 0) return 2 ** (((index / 4) % 2098) - 1074);
    if (index % 4 === 1) return (2 ** 51 + Math.floor(random() * 2 ** 52)) / 4;
    if (index % 4 === 2) return random() * 10 ** Math.floor(random() * 600 - 300);
    return Math.round(random() * 1e6) / 1e3;
  });
  const records = values.map((value) => record(registry, "process", { "process.name": textOfFloat(value), "file.Ext.entropy": value }));
  const bits = evaluateLua(emitLua(roots), records, 2);
  expect(values.filter((_, index) => !(bits[index]![0] && bits[index]![1]))).toEqual([]);
});

test("texts that are numbers, and texts that are nearly", () => {
  const registry = new SchemaRegistry();
  const roots = lower(["any where number(process.name) == file.Ext.entropy"], registry);
  const rows: readonly (readonly [text: string, value: number | undefined])[] = [
    [".5", 0.5],
    ["-.5e1", -5],
    ["5.", 5],
    ["5.e-1", 0.5],
    [".", undefined],
    ["-.", undefined],
    [".e1", undefined],
    ["5.5.", undefined],
    ["5e", undefined],
  ];
  for (const [text, value] of rows) {
    const bytes = record(registry, "process", { "process.name": text, "file.Ext.entropy": value ?? 0 });
    const reference = evaluateCondition(roots[0]!, { event: viewOf(bytes), variables: [] }) === true;
    const found = [
      reference,
      new WasmRunner(emitWasm(roots), 1).evaluate([bytes], 1)[0]![0],
      evaluateLua(emitLua(roots), [bytes], 1)[0]![0],
    ];
    expect({ text, found }).toEqual({ text, found: [value !== undefined, value !== undefined, value !== undefined] });
  }
});

test("very long rules fit both forms", () => {
  const registry = new SchemaRegistry();
  const list = (count: number, item: (index: number) => string, separator: string) =>
    Array.from({ length: count }, (_, i) => item(i)).join(separator);
  const texts = [
    `any where ${list(4000, (i) => `process.pid == ${i} and process.name != "n${i}"`, " or ")}`,
    `any where ${list(3000, (i) => `process.name != "n${i}"`, " and ")} and ${list(3000, (i) => `process.pid != ${i + 5000}`, " and ")}`,
    `any where process.name in (${list(5000, (i) => `"n${i}"`, ", ")})`,
    `any where process.name : (${list(2000, (i) => `"n?${i}*x"`, ", ")})`,
    `any where length(concat(${list(200, () => "process.name", ", ")})) == 800`,
  ];
  const roots = lower(texts, registry);
  const records = [
    record(registry, "process", { "process.pid": 3999n, "process.name": "n4_0" }),
    record(registry, "process", { "process.name": "n10x" }),
  ];
  const expected = records.map((bytes) => roots.map((root) => evaluateCondition(root, { event: viewOf(bytes), variables: [] }) === true));
  expect(roots.length).toBe(texts.length);
  expect(new WasmRunner(emitWasm(roots), roots.length).evaluate(records, roots.length)).toEqual(expected);
  expect(evaluateLua(emitLua(roots), records, roots.length)).toEqual(expected);
  expect(expected.flat().filter((hit) => hit).length).toBeGreaterThan(2);
});

interface GuestExports {
  readonly memory: WebAssembly.Memory;
  readonly floatToText: (value: number) => number;
  readonly parseNumber: (text: number, base: bigint) => bigint;
  readonly fold: (text: number) => number;
  readonly isNull: WebAssembly.Global;
  readonly tag: WebAssembly.Global;
  readonly PROGRAM: WebAssembly.Global;
  readonly mark: () => number;
  readonly release: (place: number) => void;
}

/** The guest library alone, with an arena of one page behind its own memory. */
class Guest {
  readonly exports: GuestExports;
  readonly #input: number;
  constructor() {
    const bytes = Uint8Array.from(atob(GUEST_WASM_BASE64), (character) => character.charCodeAt(0));
    this.exports = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as unknown as GuestExports;
    this.#input = this.exports.memory.grow(2) * 65_536;
    const program = new Uint32Array(this.exports.memory.buffer, this.exports.PROGRAM.value as number, 16);
    program[6] = this.#input + 131_072;
  }

  /** Runs a function on a text, with an empty arena. */
  withText<T>(text: string, run: (address: number) => T): T {
    const bytes = new TextEncoder().encode(text);
    const memory = new Uint8Array(this.exports.memory.buffer);
    memory.fill(0, this.#input, this.#input + bytes.length + 16);
    new DataView(memory.buffer).setUint32(this.#input, bytes.length, true);
    memory.set(bytes, this.#input + 4);
    this.exports.release((this.#input + bytes.length + 16 + 7) & ~7);
    return run(this.#input);
  }

  read(address: number): string {
    const length = new DataView(this.exports.memory.buffer).getUint32(address, true);
    return new TextDecoder().decode(new Uint8Array(this.exports.memory.buffer, address + 4, length));
  }
}

describe("the guest library", () => {
  const guest = new Guest();
  const anyFloat = fc.oneof(
    fc.double(),
    fc.double({ noNaN: true }).map((value) => Math.fround(value)),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((bits) => new Float64Array(BigUint64Array.of(bits).buffer)[0]!),
    fc.integer({ min: -1074, max: 1023 }).map((exponent) => 2 ** exponent),
    // Halfway between two decimals of 17 digits.
    fc.integer({ min: 2 ** 51, max: 2 ** 53 }).map((value) => value / 4),
  );

  test(`floats print as in JavaScript and read back (KESTREL_SEED=${seed})`, () => {
    fc.assert(
      fc.property(anyFloat, (value) => {
        const text = guest.withText("", () => guest.read(guest.exports.floatToText(value)));
        expect(text).toBe(textOfFloat(value));
        if (!Number.isFinite(value) || Object.is(value, -0)) return;
        const bits = guest.withText(text, (address) => guest.exports.parseNumber(address, 10n));
        expect(guest.exports.isNull.value).toBe(0);
        expect(new Float64Array(BigInt64Array.of(bits).buffer)[0]).toBe(value);
      }),
      { seed, numRuns: 3000 },
    );
  });

  test(`decimals read as the nearest float (KESTREL_SEED=${seed})`, () => {
    const digits = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 60 }).map((list) => list.join(""));
    fc.assert(
      fc.property(digits, digits, fc.integer({ min: -340, max: 310 }), (whole, fraction, exponent) => {
        const text = `${whole}.${fraction}e${exponent}`;
        const bits = guest.withText(text, (address) => guest.exports.parseNumber(address, 10n));
        const wanted = Number(text);
        expect(guest.exports.isNull.value).toBe(Number.isFinite(wanted) ? 0 : 1);
        if (Number.isFinite(wanted)) expect([text, new Float64Array(BigInt64Array.of(bits).buffer)[0]]).toEqual([text, wanted]);
      }),
      { seed, numRuns: 2000 },
    );
  });

  test("every code point folds as in TypeScript", () => {
    for (let first = 0; first < 0x20000; first += 256) {
      const codePoints = Array.from({ length: 256 }, (_, index) => first + index).filter((code) => code < 0xd800 || code > 0xdfff);
      const folded = guest.withText(String.fromCodePoint(...codePoints), (address) => guest.read(guest.exports.fold(address)));
      expect([...folded].map((character) => character.codePointAt(0))).toEqual(codePoints.map(foldCodePoint));
    }
  });
});

interface Rule {
  readonly id: string;
  readonly query: string;
}

describe.skipIf(!HAS_CORPUS)("public rules", () => {
  test(`each compiles to a valid module; together Wasm = Lua = reference near their own constants (KESTREL_SEED=${seed})`, () => {
    const registry = new SchemaRegistry();
    const roots = lower(
      corpusLines<Rule>("elastic-linux-rules.jsonl").map(({ query }) => query),
      registry,
    );
    expect(roots.length).toBeGreaterThan(300);
    const invalid = roots.filter((root) => !WebAssembly.validate(emitWasm([root]).slice().buffer));
    expect(invalid).toEqual([]);
    const random = seededRandom(seed);
    const runner = new WasmRunner(emitWasm(roots), roots.length);
    let hits = 0;
    const records = roots.flatMap((root) => {
      const interests = interestsOf([root]);
      const likely = Array.from({ length: 3 }, () => satisfyingRecord(random, root));
      return [...likely, randomRecord(random, interests, [3, 4, 5, 0, 1, 2])];
    });
    const wasm = runner.evaluate(records, roots.length);
    const lua = evaluateLua(emitLua(roots), records, roots.length);
    expect(lua).toEqual(wasm);
    for (const [index, bytes] of records.entries()) {
      const near = Math.floor(index / 4);
      for (const predicate of [near, (near * 7) % roots.length]) {
        const wanted = evaluateCondition(roots[predicate]!, { event: viewOf(bytes), variables: [] }) === true;
        if (wanted) hits++;
        expect([predicate, wasm[index]![predicate]]).toEqual([predicate, wanted]);
      }
    }
    console.log(`public rules: ${records.length} records × ${roots.length} predicates, ${hits} hits among those checked`);
    expect(hits).toBeGreaterThan(100);
  }, 60_000);
});

type Fold = { readonly expression: string; readonly expected?: string | number | boolean };
interface Section {
  readonly case_sensitive?: boolean;
  readonly fold?: { readonly tests: readonly Fold[] };
  readonly tests?: readonly Fold[];
}

const LITERAL = /"[^"\\]*"|'[^'\\]*'|(?<![\w.])\d+(?:\.\d+)?(?![\w.])/g;

/** The expression with the literals of some positions moved into fields, so that it is not folded away; undefined when it has none. */
function withFields(expression: string, keep: (index: number) => boolean): { text: string; values: Map<string, FieldValue> } {
  const values = new Map<string, FieldValue>();
  let index = 0;
  const text = expression.replace(LITERAL, (literal) => {
    if (keep(index++)) return literal;
    const quoted = /^["']/.test(literal);
    const type = quoted ? "text" : literal.includes(".") ? "decimal" : "whole";
    const name = `t.${type}${values.size}`;
    values.set(name, quoted ? literal.slice(1, -1) : type === "decimal" ? Number(literal) : BigInt(literal));
    return name;
  });
  return { text, values };
}

describe.skipIf(!HAS_CORPUS)("conformance expressions with their literals in fields", () => {
  for (const file of ["test_folding.toml", "test_string_functions.toml"]) {
    test(`${file}: Wasm = Lua = reference`, () => {
      const registry = new SchemaRegistry();
      for (const type of ["text", "decimal", "whole"] as const) {
        for (let index = 0; index < 12; index++) {
          const added = registry.add({ name: `t.${type}${index}`, type: type === "text" ? "keyword" : type === "whole" ? "i64" : "f64" });
          if (isConflict(added)) throw new Error(added.message);
        }
      }
      const counts = { compared: 0, true: 0, constant: 0 };
      const sections = Object.values(parseToml(corpusText(file)) as unknown as Record<string, Section>);
      const folds = sections.flatMap((section) => [...(section.fold?.tests ?? []), ...(section.tests ?? [])]);
      for (const { expression, expected } of folds) {
        const comparison = expected === undefined ? "== null" : `== ${JSON.stringify(expected)}`;
        // Patterns and blocks must stay literals: then only the first literal moves.
        for (const keep of [() => false, (index: number) => index > 0]) {
          const { text, values } = withFields(expression, keep);
          const [root] = lower([`any where (${text}) ${comparison}`], registry, "endgame");
          if (root === undefined || values.size === 0) {
            counts.constant++;
            continue;
          }
          const bytes = record(registry, "process", Object.fromEntries(values));
          const wanted = evaluateCondition(root, { event: viewOf(bytes), variables: [] }) === true;
          counts.compared++;
          if (wanted) counts.true++;
          const wasm = new WasmRunner(emitWasm([root]), 1).evaluate([bytes], 1);
          const lua = evaluateLua(emitLua([root]), [bytes], 1);
          expect([text, wasm, lua]).toEqual([text, [[wanted]], [[wanted]]]);
        }
      }
      console.log(`${file}: ${JSON.stringify(counts)}`);
      expect(counts.true).toBeGreaterThan(20);
    }, 60_000);
  }
});
