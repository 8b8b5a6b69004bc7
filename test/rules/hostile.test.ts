// Any input gives entries, never a throw: random bytes, random words of the formats, mutated good rules, and texts made to be costly.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseRuleText, type RuleFormat } from "#rules";

const FORMATS: readonly RuleFormat[] = ["yaml", "json", "jsonl", "eql", "toml"];
const seed = Number(process.env["KESTREL_SEED"] ?? Date.now() % 2 ** 31);
console.log(`seed ${seed}`);

const GOOD = `id: a
name: "b"
tags: [x, &y z, *y]
query: |
  process where process.name == "x"
tests: { match: [[{ a: 1 }]], no_match: [] }
throttle: { by: [host.name], limit: 1, window: 1s }
`;

/** Reads a text in a format and checks what always holds of the answer. */
function checkAnswer(text: string, format: RuleFormat): void {
  const { entries, problems } = parseRuleText(text, { file: `x.${format}`, format });
  const lineCount = text.split("\n").length;
  for (const entry of entries) {
    const failed = entry.diagnostics.some(({ severity }) => severity === "error");
    if ((entry.rule === null) !== failed)
      throw new Error(`entry ${entry.id} is ${entry.rule === null ? "null" : "a rule"}, failed ${failed}`);
  }
  for (const { diagnostic } of problems) {
    const { from, to, line, column } = diagnostic.span;
    if (from < 0 || to < from || to > text.length || line < 1 || line > lineCount || column < 1) {
      throw new Error(`${diagnostic.code} at ${JSON.stringify(diagnostic.span)} is outside the text`);
    }
    if (diagnostic.message === "" || diagnostic.message.length > 2000) throw new Error(`message of ${diagnostic.code}`);
  }
}

const TOKENS = [
  ..."{}[]:,-?|>&*!#%@\"'\\ \n\t=./".split(""),
  "id",
  "query",
  "process where true",
  "- ",
  "---\n",
  "&a ",
  "*a",
  "// id: x\n",
  "[rule]\n",
  '"""',
  "'''",
  "\u2028",
  "\ud800",
  "é",
  "\r\n",
  "tests",
  "match",
  "0x1",
  "1e999",
  "null",
  "!!binary ",
  "<<",
  "lua",
  "wasm_base64",
];

describe("random input", () => {
  for (const format of FORMATS) {
    test(`${format}: bytes`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => checkAnswer(new TextDecoder().decode(bytes), format)),
        { seed, numRuns: 150 },
      );
    });
    test(`${format}: words of the formats`, () => {
      fc.assert(
        fc.property(fc.array(fc.constantFrom(...TOKENS), { maxLength: 60 }), (words) => checkAnswer(words.join(""), format)),
        { seed, numRuns: 250 },
      );
    });
  }

  test("a good rule with parts cut out, doubled and replaced", () => {
    const edit = fc.record({ at: fc.nat(GOOD.length), length: fc.nat(12), text: fc.constantFrom("", ...TOKENS) });
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        let text = GOOD;
        for (const { at, length, text: inserted } of edits) text = text.slice(0, at) + inserted + text.slice(at + length);
        checkAnswer(text, "yaml");
      }),
      { seed, numRuns: 400 },
    );
  });

  test("any JSON value", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => checkAnswer(JSON.stringify(value), "json")),
      { seed, numRuns: 200 },
    );
  });

  test("any value under any key", () => {
    const key = fc.constantFrom(
      "id",
      "name",
      "severity",
      "tags",
      "query",
      "lua",
      "throttle",
      "tests",
      "capture",
      "exceptions",
      "__proto__",
    );
    fc.assert(
      fc.property(fc.dictionary(key, fc.jsonValue({ maxDepth: 3 })), (value) => {
        checkAnswer(JSON.stringify(value), "json");
        checkAnswer(JSON.stringify(value), "yaml");
      }),
      { seed, numRuns: 200 },
    );
  });
});

describe("texts made to be costly", () => {
  const bomb = [
    "a: &a [x, x, x, x, x, x, x, x, x, x]",
    ...Array.from({ length: 12 }, (_, index) => {
      const [before, name] = ["abcdefghijklm"[index], "abcdefghijklm"[index + 1]];
      return `${name}: &${name} [${Array(10).fill(`*${before}`).join(", ")}]`;
    }),
  ].join("\n");
  const texts: Readonly<Record<string, readonly [RuleFormat, string]>> = {
    "aliases of aliases": ["yaml", bomb],
    "deep YAML brackets": ["yaml", "[".repeat(20_000)],
    "deep YAML mappings": ["yaml", "{a: ".repeat(20_000)],
    "deep JSON": ["json", "[".repeat(100_000)],
    "deep closed JSON": ["json", `${"[".repeat(5000)}${"]".repeat(5000)}`],
    "deep TOML": ["toml", `[rule]\na = ${"[".repeat(5000)}${"]".repeat(5000)}`],
    "many keys": ["yaml", Array.from({ length: 20_000 }, (_, index) => `k${index}: 1`).join("\n")],
    "one long line": ["jsonl", `{"query": "${"x".repeat(300_000)}"}`],
    "many empty lines": ["jsonl", "\n".repeat(200_000)],
    "an endless header": ["eql", "// a: b\n".repeat(20_000)],
    "quotes without end": ["toml", `[rule]\nquery = '''${"'".repeat(100_000)}`],
    "too many rules": ["jsonl", '{"query":"process where true"}\n'.repeat(10_050)],
    nothing: ["yaml", ""],
  };
  for (const [name, [format, text]] of Object.entries(texts)) {
    test(name, () => checkAnswer(text, format));
  }

  test("the rules behind the limit are one finding", () => {
    const { entries } = parseRuleText('{"query":"process where true"}\n'.repeat(10_050), {
      file: "x.jsonl",
      format: "jsonl",
      checkQuery: () => [],
    });
    expect(entries.length).toBe(10_001);
    expect(entries.at(-1)?.diagnostics[0]?.code).toBe("too-many-rules");
  });

  test("aliases that stand for too much are refused by name", () => {
    const { entries } = parseRuleText(bomb, { file: "x.yaml", format: "yaml" });
    expect(entries.flatMap((entry) => entry.diagnostics.map(({ code }) => code))).toContain("too-many-aliases");
  });
});

test("the regular expressions of a rule's query and exceptions share one limit", () => {
  const dear = (mark: string) => Array.from({ length: 10 }, (_, i) => `user.name regex "(${mark}${i}|b)+[^c]{1,90}d"`).join(" or ");
  const exceptions = Array.from({ length: 50 }, (_, i) => `  - '${dear(`a${i}x`)}'`).join("\n");
  const { entries } = parseRuleText(`${GOOD.split("tests:")[0]}exceptions:\n${exceptions}\n`, { file: "x.yaml", format: "yaml" });
  expect(new Set(entries[0]?.diagnostics.map(({ code }) => code))).toEqual(new Set(["invalid-regex", "too-many-regexes"]));
});
