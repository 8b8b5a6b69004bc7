// Regular expressions: the table against JavaScript's RegExp and the reference, classes and flavours, and hostile patterns that must get an answer.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { foldText } from "../../src/eql/case-folding.ts";
import { globMatch } from "../../src/eql/glob.ts";
import { referenceRegex } from "../../src/eql/reference-regex.ts";
import { compileRegex, type RegexOptions, regexMatches } from "../../src/eql/regex.ts";

const seed = Number(process.env["KESTREL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const LUCENE: RegexOptions = { folded: false, flavour: "lucene" };

function matches(pattern: string, text: string, options: Partial<RegexOptions> = {}): boolean {
  const result = compileRegex(pattern, { ...LUCENE, ...options });
  if (result.kind === "failed") throw new Error(result.error.message);
  return regexMatches(result.table, text);
}

describe("what matches", () => {
  for (const [pattern, text, expected, options] of [
    ["abc", "abc", true, {}],
    ["abc", "xabc", false, {}],
    ["a.c", "a\nc", true, {}],
    ["^a$", "^a$", true, {}],
    ["^a$", "a", false, {}],
    ["a~&@#<>b", "a~&@#<>b", true, {}],
    ["\\d\\s\\w", "7 _", true, {}],
    ["\\d", "٣", false, {}],
    ["\\D", "٣", true, {}],
    ["[\\w.-]+", "a-b.c", true, {}],
    ["[]a]+", "a]", true, {}],
    ["[^a-c]", "d", true, {}],
    ["a{2,3}", "aaaa", false, {}],
    ["a{2,}", "aaaa", true, {}],
    ["(ab|c)*?d", "abcabd", true, {}],
    [".", "😀", true, {}],
    ["K", "\u212a", true, { folded: true }],
    ["[k-s]+", "KLſ", true, { folded: true }],
    ["[^k]", "K", false, { folded: true }],
    ["", "", true, {}],
    [".*?net1\\s+\\w{4,15}\\s+.*?", "C:\\NET1  localgroup  x", true, { folded: true, flavour: "endgame" }],
    ["a", "abc", true, { flavour: "endgame" }],
    ["a$", "abc", false, { flavour: "endgame" }],
    ["^(?:a|b)c$", "bc", true, { flavour: "endgame" }],
  ] as const) {
    test(`${JSON.stringify(pattern)} on ${JSON.stringify(text)}`, () => expect(matches(pattern, text, options)).toBe(expected));
  }
});

describe("what is refused", () => {
  for (const [pattern, message] of [
    ["a(b", /"\(" is never closed/],
    ["a)b", /Unmatched "\)"/],
    ["[ab", /"\[" is never closed/],
    ["*a", /Nothing to repeat/],
    ["a{", /begins a repetition/],
    ["a{3,2}", /is empty/],
    ["[z-a]", /its end comes before its start/],
    ["a\\", /lone backslash/],
    ["(?=a)", /cannot be compiled/],
    ["a".repeat(20_000), /at most 16384/],
    [`${"(".repeat(200)}a${")".repeat(200)}`, /groups inside one another/],
  ] as const) {
    test(pattern.slice(0, 20), () => {
      const result = compileRegex(pattern, LUCENE);
      expect(result.kind === "failed" ? result.error.message : "accepted").toMatch(message);
    });
  }
});

test("hostile patterns get an answer", () => {
  const patterns = [
    "((a*)*)*",
    "(a|b){1000}{1000}",
    "(a{0,70}){70}",
    ".*a.{900}",
    "(.*a|b.*){200}",
    "(a?){900}",
    "(((a?){9}){9}){9}",
    "(\\w?\\d?){400}",
  ];
  const kinds = patterns.map((pattern) => compileRegex(pattern, { folded: true, flavour: "lucene" }).kind);
  expect(kinds[0]).toBe("compiled");
  expect(kinds[1]).toBe("failed");
  expect(kinds[3]).toBe("failed");
});

test("operators of Lucene are literal, with a warning each", () => {
  const result = compileRegex('a@b"<', LUCENE);
  expect(result.kind === "compiled" ? result.warnings.map((warning) => warning.from) : []).toEqual([1, 3, 4]);
});

/** Patterns on which the flavours agree. */
const { pattern: commonPattern } = fc.letrec<{ pattern: string; piece: string }>((tie) => ({
  piece: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom("a", "b", "k", "s", "é", "😀", ".", "[a-k]", "[^ab]", "\\d", "\\w", "[\\ds]"),
    tie("pattern").map((inner) => `(${inner})`),
    fc.tuple(tie("piece"), fc.constantFrom("*", "+", "?", "{2}", "{1,3}", "{0,2}")).map(([piece, suffix]) => `(${piece})${suffix}`),
  ),
  pattern: fc
    .array(
      fc.array(tie("piece"), { maxLength: 4 }).map((pieces) => pieces.join("")),
      { minLength: 1, maxLength: 3 },
    )
    .map((branches) => branches.join("|")),
}));
const text = fc
  .array(fc.constantFrom("a", "b", "A", "K", "k", "s", "ſ", "\u212a", "é", "É", "😀", "7", "\n"), { maxLength: 8 })
  .map((parts) => parts.join(""));

test(`tables = RegExp (KESTREL_SEED=${seed})`, () => {
  let hits = 0;
  fc.assert(
    fc.property(commonPattern, fc.array(text, { minLength: 5, maxLength: 5 }), (pattern, texts) => {
      const compiled = compileRegex(pattern, LUCENE);
      if (compiled.kind === "failed") return;
      const regExp = new RegExp(`^(?:${pattern})$`, "su");
      for (const item of texts) {
        if (regExp.test(item)) hits++;
        expect(regexMatches(compiled.table, item)).toBe(regExp.test(item));
      }
    }),
    { seed, numRuns: 300 },
  );
  expect(hits).toBeGreaterThan(50);
});

test(`tables = reference, case ignored (KESTREL_SEED=${seed})`, () => {
  fc.assert(
    fc.property(commonPattern, fc.array(text, { minLength: 5, maxLength: 5 }), (pattern, texts) => {
      const compiled = compileRegex(pattern, { folded: true, flavour: "lucene" });
      if (compiled.kind === "failed") return;
      const reference = referenceRegex(pattern, { folded: true, flavour: "lucene" });
      for (const item of texts) expect(regexMatches(compiled.table, item)).toBe(reference(item));
    }),
    { seed, numRuns: 200 },
  );
});

test(`any text is answered (KESTREL_SEED=${seed})`, () => {
  const hostile = fc.array(fc.constantFrom(...'ab().*+?{}[]|^$\\"-~0123456789,dswé😀'), { maxLength: 40 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(hostile, fc.constantFrom<RegexOptions["flavour"]>("lucene", "endgame"), fc.boolean(), (pattern, flavour, folded) => {
      const result = compileRegex(pattern, { flavour, folded });
      if (result.kind === "failed") expect(result.error.to).toBeGreaterThanOrEqual(result.error.from);
      else regexMatches(result.table, "ab12");
    }),
    { seed, numRuns: 500 },
  );
});

test("globs", () => {
  for (const [pattern, item, folded, expected] of [
    ["*", "", false, true],
    ["a*c", "a\nc", false, true],
    ["?", "😀", false, true],
    ["??", "😀", false, false],
    ["K*", "\u212aelvin", true, true],
    ["K*", "\u212aelvin", false, false],
    ["*a*b*", "xxaxxbxx", false, true],
    ["a**b", "ab", false, true],
  ] as const) {
    expect([pattern, item, globMatch(pattern, item, folded)]).toEqual([pattern, item, expected]);
  }
  expect(globMatch("*a".repeat(40), "a".repeat(2000), false)).toBe(true);
});

test("folding keeps the number of code points", () => {
  for (const item of ["ẞİſ\u212a", "ΣΑΣ", "Ⱥ", "\u{10400}"]) expect([...foldText(item)].length).toBe([...item].length);
  expect(foldText("ẞ\u212a\u{10400}")).toBe("ßk\u{10428}");
});
