// The case files: values of constant expressions, truths over small events, error messages, and the IR of a few queries.
// `KESTREL_UPDATE=1 bun test test/eql/cases.test.ts` rewrites the IR goldens; review the difference.
import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { checkQuery, createReferencePredicate, type Dialect, evaluateConstant, type QuerySource } from "#eql";
import { CATEGORY_NONE, type Diagnostic, type FieldReader, type FieldValue, type Scalar, SchemaRegistry } from "#schema";
import { IrBuilder } from "../../src/eql/ir.ts";
import { printIr } from "../../src/eql/ir-print.ts";
import { lowerQuery } from "../../src/eql/query.ts";

function pathOf(name: string): string {
  return fileURLToPath(new URL(`./cases/${name}`, import.meta.url));
}

interface Section {
  readonly name: string;
  readonly lines: readonly string[];
}

/** Sections of a case file: `# name`, then lines; blank lines at the ends do not count. */
function sectionsOf(file: string): readonly Section[] {
  const sections = readFileSync(pathOf(file), "utf8").split(/^# /m).slice(1);
  if (sections.length === 0) throw new Error(`${file} has no cases`);
  return sections.map((text) => {
    const [name = "", ...lines] = text.trimEnd().split("\n");
    return { name, lines };
  });
}

function source(text: string, dialect: Dialect): QuerySource {
  return { id: "case", text, dialect, exceptions: [], lenientFields: false };
}

function shown(value: Scalar | null): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") return Number.isInteger(value) && Math.abs(value) < 1e21 ? `${value}.0` : String(value);
  return String(value);
}

function messages(diagnostics: readonly Diagnostic[]): string {
  return diagnostics.map((item) => `${item.span.line}:${item.span.column} ${item.code} ${item.message}`).join("\n");
}

describe("values", () => {
  for (const { name, lines } of sectionsOf("values.txt")) {
    for (const line of lines.filter((text) => text !== "")) {
      const [expression, expected] = line.split(" ==> ") as [string, string];
      test(`${name}: ${line}`, () => {
        const result = evaluateConstant(expression, name as Dialect);
        expect(result.ok ? shown(result.value) : messages(result.diagnostics)).toBe(expected);
      });
    }
  }
});

// Whether a name is known plays no part here: the whole language parses.
describe("syntax", () => {
  const registry = new SchemaRegistry();
  for (const name of ["unique_pid", "unique_ppid"]) registry.add({ name, type: "i64" });
  for (const { name, lines } of sectionsOf("syntax.txt")) {
    for (const line of lines.filter((text) => text !== "")) {
      test(`${name}: ${line}`, () => {
        const query = { ...source(line, name as Dialect), lenientFields: true };
        const errors = checkQuery(query, registry).filter((item) => item.severity === "error");
        expect(errors).toEqual([]);
      });
    }
  }
});

function readerOf(json: string, registry: SchemaRegistry): FieldReader {
  const values = new Map<number, FieldValue>();
  // Whole numbers keep all their digits: JSON.parse would make them floats.
  const event = JSON.parse(json.replace(/(?<=[:[,] ?)(-?\d{16,})(?=[,}\]])/g, '"$1"')) as Record<string, FieldValue>;
  for (const [name, value] of Object.entries(event)) {
    const field = registry.byName(name)!;
    const one = (item: Scalar): Scalar => {
      if (field.type === "date") return BigInt(Date.parse(String(item))) * 1_000_000n;
      return field.type === "i64" || field.type === "u64" ? BigInt(item) : item;
    };
    values.set(field.id, Array.isArray(value) ? value.map(one) : one(value as Scalar));
  }
  return { category: CATEGORY_NONE, value: (id) => values.get(id) };
}

describe("matches", () => {
  for (const { name, lines } of sectionsOf("matches.txt")) {
    const registry = new SchemaRegistry();
    const [event = "{}", ...cases] = lines;
    const reader = readerOf(event, registry);
    for (const line of cases.filter((text) => text !== "")) {
      const [condition, expected] = line.split(" ==> ") as [string, string];
      test(`${name}: ${line}`, () => {
        const { predicate, diagnostics } = createReferencePredicate(source(`any where ${condition}`, "default"), registry);
        const found = predicate === undefined ? "error" : String(predicate(reader));
        expect(found === expected ? found : `${found} ${messages(diagnostics)}`).toBe(expected);
      });
    }
  }
});

describe("errors", () => {
  const registry = new SchemaRegistry();
  for (const { name, lines } of sectionsOf("errors.txt")) {
    test(name, () => {
      const expected = lines.filter((line) => line.startsWith("//! ")).map((line) => line.slice(4));
      const text = lines.filter((line) => !line.startsWith("//! ")).join("\n");
      expect(expected.length).toBeGreaterThan(0);
      const { diagnostics } = lowerQuery(source(text, "default"), registry, new IrBuilder());
      const found = messages(diagnostics).split("\n");
      // An expectation is the beginning of a message: place and code always, the words where they matter.
      const fits = found.length === expected.length && expected.every((start, i) => found[i]!.startsWith(start));
      expect(fits ? "" : found.join("\n")).toBe(fits ? "" : expected.join("\n"));
    });
  }
});

describe("IR", () => {
  const registry = new SchemaRegistry();
  const updated: string[] = [];
  for (const { name, lines } of sectionsOf("ir.txt")) {
    test(name, () => {
      const text = lines.join("\n");
      const [query = "", expected = ""] = text.split(/\n==>\n/);
      const { condition, diagnostics } = lowerQuery(source(query.trim(), "default"), registry, new IrBuilder());
      const printed = condition === undefined ? messages(diagnostics) : printIr(condition);
      updated.push(`# ${name}\n${query.trim()}\n==>\n${printed}\n`);
      if (process.env["KESTREL_UPDATE"] !== "1") expect(printed).toBe(expected.trim());
    });
  }
  test.skipIf(process.env["KESTREL_UPDATE"] !== "1")("rewrites the goldens", () => {
    writeFileSync(pathOf("ir.txt"), updated.join("\n"));
  });
});
