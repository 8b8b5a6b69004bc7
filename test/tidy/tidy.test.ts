// Holds the habits that no linter knows: the import table, doors with documented exports, file openings, sizes, banned words and names.
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { importsOf, ROOT, sourceFiles } from "./sources.ts";

/** What each room may import, in full: the table of src/README.md. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  schema: [],
  event: ["schema"],
  core: ["schema", "event"],
  eql: ["schema"],
  nfa: ["schema", "event", "core"],
  "runtime-wasm": ["schema", "event", "core", "ffi"],
  "runtime-lua": ["schema", "event", "core", "ffi"],
  rules: ["schema", "eql"],
  engine: ["schema", "event", "core", "eql", "nfa", "runtime-wasm", "runtime-lua", "rules"],
  ebpf: ["schema", "event", "core", "ffi"],
  respond: ["core", "ffi"],
  self: ["core", "ffi"],
  store: ["schema", "event", "core"],
  api: ["schema", "event", "core", "rules", "engine", "store"],
  cli: [
    "schema",
    "event",
    "core",
    "eql",
    "nfa",
    "runtime-wasm",
    "runtime-lua",
    "rules",
    "engine",
    "ebpf",
    "respond",
    "self",
    "store",
    "api",
    "ffi",
  ],
};

const product = sourceFiles(["src", "ffi"]).filter((file) => !file.path.startsWith("src/eql/guest/"));
const all = [...product, ...sourceFiles(["test", "scripts"])];

function roomOf(path: string): string {
  return path.startsWith("ffi/") ? "ffi" : (path.split("/")[1] as string);
}

test("there are sources to look at", () => {
  expect(product.length).toBeGreaterThan(60);
  expect(new Set(product.map((file) => roomOf(file.path))).size).toBe(Object.keys(MAY_IMPORT).length + 1);
});

describe("import table", () => {
  for (const file of product) {
    test(file.path, () => {
      const room = roomOf(file.path);
      const allowed = room === "ffi" ? [] : (MAY_IMPORT[room] as readonly string[]);
      const wrong = importsOf(file.text).filter((specifier) => {
        if (specifier === "bun:ffi") return room !== "ffi";
        if (specifier.startsWith("#ffi/")) return !allowed.includes("ffi");
        if (specifier.startsWith("#")) return !allowed.includes(specifier.slice(1));
        if (specifier.startsWith("../")) return !/\/(build|rules)\/|\/package\.json$/.test(specifier);
        return false;
      });
      expect(wrong).toEqual([]);
    });
  }
});

describe("doors", () => {
  for (const room of Object.keys(MAY_IMPORT).filter((name) => name !== "cli")) {
    test(`every export of #${room} has a doc comment`, () => {
      const door = product.find((file) => file.path === `src/${room}/index.ts`);
      expect(door).toBeDefined();
      expect(undocumentedExports(`src/${room}`, door?.text ?? "")).toEqual([]);
    });
  }
});

/** Names a door exports whose declaration has no doc comment right above it. */
function undocumentedExports(folder: string, door: string): string[] {
  const missing: string[] = [];
  expect(door).not.toContain("export *");
  for (const match of door.matchAll(/export\s+(?:type\s+)?\{([^}]*)\}\s*from\s*["'](\.\/[^"']+)["']/g)) {
    const source = product.find((file) => file.path === join(folder, match[2] as string));
    if (source === undefined) continue;
    for (const item of (match[1] as string).split(",")) {
      const name = item
        .trim()
        .replace(/^type\s+/, "")
        .split(/\s+as\s+/)[0] as string;
      if (name === "") continue;
      const declaration = new RegExp(
        `\\*/\\s*\\n(?:@[^\\n]*\\n)?export (?:declare )?(?:async )?(?:abstract )?(?:const enum|enum|const|let|function\\*?|class|interface|type) ${name.replace("$", "\\$")}\\b`,
      );
      if (!declaration.test(source.text)) missing.push(`${name} in ${source.path}`);
    }
  }
  for (const match of door.matchAll(/^export (?:async )?(?:function|const|class|interface|type) (\w+)/gm)) {
    const before = door.slice(0, match.index).trimEnd();
    if (!before.endsWith("*/")) missing.push(`${match[1]} in the door`);
  }
  return missing;
}

describe("every file", () => {
  for (const file of all) {
    test(file.path, () => {
      const lines = file.text.split("\n");
      expect(lines.length).toBeLessThanOrEqual(601);
      expect(lines[0]).toMatch(/^(#!|\/\/ |\/\*\*? )/);
      expect(file.text).not.toMatch(/\b(?:TO(?=DO)DO|FIX(?=ME)ME)\b/);
      expect(file.text).not.toMatch(/\/work\/(?=main|shared)/);
      expect(file.text).not.toMatch(/https?:\/\/[^\s"'`]*(?:npmjs|pypi|pythonhosted|deb\.debian)/);
    });
  }
});

test("only cli reads the environment and the arguments", () => {
  const offenders = product.filter(
    (file) => roomOf(file.path) !== "cli" && /\bprocess\.(?:env|argv)\b|\bBun\.(?:env|argv)\b/.test(file.text),
  );
  expect(offenders.map((file) => file.path)).toEqual([]);
});

test("the top level holds what the design names and what tools insist on", () => {
  for (const name of [
    "package.json",
    "bunfig.toml",
    "src",
    "ffi",
    "bpf",
    "rules",
    "test",
    "scripts",
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "NOTICE",
  ]) {
    expect(existsSync(join(ROOT, name)) ? name : `missing ${name}`).toBe(name);
  }
});
