// Any text is answered: with diagnostics or a program, never an exception, and in time that grows with its length. The bounds on time are
// those of the issue ("a clear answer within a second") with room for a slow machine; what is tested is the absence of explosions.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  categoriesOf,
  compileExpression,
  compileRuleSet,
  createPipeline,
  type Dialect,
  describeQuery,
  evaluateConstant,
  fieldsOf,
  formatDiagnostic,
  type QuerySource,
} from "#eql";
import { type Diagnostic, SchemaRegistry } from "#schema";

const SEED = Number(process.env["KESTREL_SEED"] ?? 20251122);
const registry = new SchemaRegistry();

function check(text: string, dialect: Dialect = "default"): readonly Diagnostic[] {
  const source: QuerySource = { id: "x", text, dialect, exceptions: [], lenientFields: false, purpose: "query" };
  const { diagnostics, description } = describeQuery(source, registry);
  const hasError = diagnostics.some((item) => item.severity === "error");
  if ((description === undefined) !== hasError) throw new Error("Either a description or an error");
  if (!hasError) checkCompiled(source);
  for (const diagnostic of diagnostics) {
    const { span } = diagnostic;
    if (span.from > span.to || span.to > text.length || span.line < 1 || span.column < 1)
      throw new Error(`Bad span ${JSON.stringify(diagnostic)}`);
    const shown = formatDiagnostic(text, diagnostic, { file: "x" });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: their absence is tested
    if (/[\x00-\x09\x0b-\x1f\x7f\u202e]/.test(shown)) throw new Error(`Control character in ${JSON.stringify(shown)}`);
  }
  return diagnostics;
}

/** What was accepted can be compiled and its expressions and pipes made ready. */
function checkCompiled(source: QuerySource): void {
  const [query] = compileRuleSet([source], registry, []).queries;
  if (query?.ok !== true) throw new Error("Accepted, but not compiled");
  createPipeline(query.pipes);
  const { plan } = query;
  const steps = [...(plan?.steps ?? []), ...(plan?.until === undefined ? [] : [plan.until])];
  const expressions = [...steps.flatMap((step) => [step.residual, ...step.keys.map((key) => key.expression)]), plan?.filter];
  for (const expression of expressions) if (expression !== undefined) compileExpression(expression);
}

const WORDS = [
  ..."()[]=!<>+-*/%:~?.,$|\"'`\\ \n\t".split(""),
  ..."process where and or not in like regex by with until of true false null sequence sample join any length concat arraySearch".split(
    " ",
  ),
  ...'"a" """b""" ?"c" 1 2.5 5m process.name process.pid $x // /* */ == != <= >= like~ ?x a[0] `q` 99999999999999999999 \\u{1f600} é 😀 \ud800'.split(
    " ",
  ),
];

describe(`any text, seed ${SEED}`, () => {
  const anyDialect = fc.constantFrom<Dialect>("default", "endgame");
  test("of random characters", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), anyDialect, (text, dialect) => {
        check(text, dialect);
        evaluateConstant(text, dialect);
        fieldsOf(text, dialect);
        categoriesOf(text, dialect);
      }),
      { seed: SEED, numRuns: 300 },
    );
  });
  test("of random words", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...WORDS), { maxLength: 40 }), fc.constantFrom("", " "), anyDialect, (words, glue, dialect) => {
        check(`process where ${words.join(glue)}`, dialect);
        check(words.join(glue), dialect);
        fieldsOf(words.join(glue), dialect);
      }),
      { seed: SEED, numRuns: 600 },
    );
  });
});

/** Pieces of queries over several events, sound ones first. */
const STEPS = [
  ..."[any where true]|[process where process.pid == 1]|[any where child of [any where true]]|[file where e0.file.size > file.size]".split(
    "|",
  ),
  ..."![file where true]|[any where event of [any where descendant of [any where e1.user.id == 0]]]|[x where|]".split("|"),
];
const CLAUSES = [
  ..."with runs=3|as e0|as e1|by process.pid|by ?user.id, ?no.such|by process|by process.pid * 2|with maxspan=1m|with maxspan=5".split("|"),
  ..."with runs=0|as process|fork|fork=false|until|until [any where false]|with|by|as|sequence|sample|join|and|]|[|!|||".split("|"),
];
const PIPES = [
  ..."head 5|tail|filter events[1].process.pid == 1 or e0.user.id == 0|sort process.pid user.id, process.name|count process.pid".split("|"),
  ..."unique_count user.id|filter count > 1 and key == 1|unique length(process.name)|filter user.id == 0|".split("|"),
];

describe(`any clauses, seed ${SEED}`, () => {
  test("give a plan or an error", () => {
    const counts = { broken: 0, event: 0, sequence: 0, sample: 0, join: 0 };
    const kind = fc.constantFrom(
      ..."sequence|sequence by host.id with maxspan=1h|any where true|sample by host.id|sample by host.id|join by host.id|join by host.id".split(
        "|",
      ),
    );
    const rarely = (items: readonly string[]) =>
      fc.oneof({ weight: 12, arbitrary: fc.constant("") }, { weight: 1, arbitrary: fc.constantFrom(...items) });
    const step = fc.tuple(
      fc.oneof(fc.constantFrom(...STEPS.slice(0, 3)), fc.constantFrom(...STEPS)),
      rarely(CLAUSES),
      rarely(CLAUSES.slice(0, 3)),
    );
    const pipe = fc.constantFrom(...PIPES).map((text) => `| ${text}`);
    const text = fc.tuple(kind, fc.array(step, { maxLength: 4 }), fc.array(pipe, { maxLength: 2 })).map((parts) => parts.flat(2).join(" "));
    fc.assert(
      fc.property(text, fc.constantFrom<Dialect>("default", "endgame"), (query, dialect) => {
        const found = check(query, dialect);
        fieldsOf(query, dialect);
        categoriesOf(query, dialect);
        const isBroken = found.some((item) => item.severity === "error");
        counts[isBroken ? "broken" : query.startsWith("any") ? "event" : (/^\w+/.exec(query)![0] as keyof typeof counts)]++;
      }),
      { seed: SEED, numRuns: 4000 },
    );
    expect(Math.min(...Object.values(counts))).toBeGreaterThan(10);
  });
});

describe("large and deep texts", () => {
  const cases: readonly [name: string, text: () => string, code: string | undefined][] = [
    ["1 MB of random bytes", () => randomText(1 << 20), "unexpected-character"],
    ["1 MB of random printable characters", () => randomText((1 << 20) - 20, 0x21, 0x5e), undefined],
    ["more than 1 MB", () => "a".repeat((1 << 20) + 1), "query-too-long"],
    ["1 MB of one name", () => `any where ${"a".repeat(1_000_000)} == 1`, "unknown-field"],
    ["1 MB of and", () => "and ".repeat(250_000), "syntax"],
    ["1 MB of not", () => `any where ${"not ".repeat(250_000)}true`, "ok"],
    ["1 MB of minus", () => `any where process.pid == ${"-".repeat(1_000_000)}1`, "ok"],
    ["10,000 round brackets", () => `any where ${"(".repeat(10_000)}true${")".repeat(10_000)}`, "nesting-too-deep"],
    ["10,000 square brackets", () => `any where ${"child of [any where ".repeat(10_000)}`, "nesting-too-deep"],
    ["10,000 calls", () => `any where ${"length(".repeat(10_000)}`, "nesting-too-deep"],
    ["10,000 methods", () => `any where a${":length()".repeat(10_000)} == 1`, "chain-too-long"],
    ["10,000 terms of a sum", () => `any where process.pid == ${"1 + ".repeat(10_000)}1`, "chain-too-long"],
    ["200 round brackets", () => `any where ${"(".repeat(200)}true${")".repeat(200)}`, "ok"],
    ["190 brackets of everything", () => `any where ${'(not -1 * 2 + 3 == 4 and "x" == "y" or '.repeat(190)}true${")".repeat(190)}`, "ok"],
    ["5,000 conditions", () => `any where ${'process.name == "a" or '.repeat(5000)}true`, "ok"],
    ["5,000 pairs of conditions", () => `any where ${'process.name == "a" and process.pid == 1 or '.repeat(5000)}true`, "ok"],
    ["a list of 40,000", () => `any where process.name in (${Array.from({ length: 40_000 }, (_, i) => `"${i}"`).join(", ")})`, "ok"],
    ["50,000 unknown fields", () => `any where ${Array.from({ length: 50_000 }, (_, i) => `f${i} == 1`).join(" or ")}`, "unknown-field"],
    ["60 KB of words in no order", () => randomWords(60_000), "syntax"],
    ["a regular expression that explodes", () => 'any where process.name regex ".*a.{500}"', "invalid-regex"],
    ["a regular expression on a constant", () => `any where "${"a".repeat(40)}" regex "(a*)*(a*)*b"`, "ok"],
    ["a fold that grows", () => `any where ${"concat(".repeat(60)}"aaaaaaaa"${', "a")'.repeat(60)} == "a"`, "ok"],
    [
      "calculations 190 deep",
      () => `any where ${"(".repeat(190)}process.pid${` + 1${" + 1".repeat(30)})`.repeat(190)} == 1`,
      "nesting-too-deep",
    ],
    ["a long constant search", () => `any where indexOf("${"a".repeat(400_000)}", "${"a".repeat(200_000)}b") == 1`, "ok"],
    ["a long constant match", () => `any where match("${"a".repeat(400_000)}", "(a*)*b")`, "ok"],
    ["a long constant pattern", () => `any where "${"a".repeat(400_000)}" like "*a*a*a*a*b"`, "ok"],
    ["a long constant number", () => `any where number("${"9".repeat(400_000)}") == 1`, "ok"],
    ["a long number beside a field", () => `any where process.pid == "${"9".repeat(400_000)}"`, "type-mismatch"],
    ["1 MB of steps", () => `sequence ${"[any where true] ".repeat(60_000)}`, "too-many-steps"],
    ["24 large steps", () => `sequence ${`[any where ${'process.name == "a" or '.repeat(400)}true] `.repeat(24)}`, "ok"],
    ["1 MB of keys", () => `sequence by process.pid${", process.pid".repeat(70_000)} [any where true] [any where true]`, "too-many-keys"],
    ["1 MB of clauses", () => `sequence [any where true] ${"with runs=2 ".repeat(80_000)}`, "duplicate-clause"],
    ["1 MB of pipes", () => `any where true ${"| head 1 ".repeat(100_000)}`, "too-many-pipes"],
    ["lineages 50 deep", () => `any where ${"child of [any where ".repeat(50)}true${"]".repeat(50)}`, "too-many-parts"],
    ["lineages 30 deep", () => `any where ${"child of [any where ".repeat(30)}true${"]".repeat(30)}`, "ok"],
    ["30,000 lineages", () => `any where ${"child of [any where process.pid == 1] or ".repeat(25_000)}true`, "ok"],
    [
      "30,000 different lineages",
      () => `any where ${Array.from({ length: 20_000 }, (_, i) => `child of [any where process.pid == ${i}]`).join(" or ")}`,
      "too-many-parts",
    ],
    [
      "a step with 10,000 names of the one before",
      () => `sequence [any where true] as e0 [any where ${"e0.process.pid == process.pid or ".repeat(10_000)}user.id == 1]`,
      "ok",
    ],
    [
      "a residual 190 deep",
      () =>
        `sequence [any where true] as e [any where ${"(e.process.pid == 1 and not (user.id == 0 or ".repeat(90)}true${"))".repeat(90)}]`,
      "nesting-too-deep",
    ],
    ["a maxspan of 1 MB", () => `sequence with maxspan=${"9".repeat(1_000_000)}s [any where true] [any where true]`, "invalid-maxspan"],
    ["runs of 1 MB", () => `sequence [any where true] with runs=${"9".repeat(1_000_000)}`, "invalid-runs"],
    ["an open string per line", () => '"\n'.repeat(100_000), "unterminated-string"],
    ["an open comment", () => `/*${" *".repeat(500_000)}`, "unterminated-comment"],
  ];
  for (const [name, text, code] of cases) {
    test(name, () => {
      const source = text();
      const diagnostics = check(source);
      const found = diagnostics.find((item) => item.severity === "error")?.code ?? "ok";
      if (code === undefined) expect(found).not.toBe("ok");
      else expect(found).toBe(code);
      expect(diagnostics.length).toBeLessThanOrEqual(51);
      if (found !== "ok") return;
      // What was accepted can be compiled.
      const query = { id: name, text: source, dialect: "default" as const, exceptions: [], lenientFields: false };
      const { program } = compileRuleSet([query], registry);
      expect(WebAssembly.validate(program.wasm as Uint8Array<ArrayBuffer>)).toBe(true);
    }, 10_000);
  }
});

/** Words that the scan lets through, so that the parser has to recover again and again. */
function randomWords(length: number): string {
  const words = 'process where and or not ( ) in like == 1 "a" process.name , : by [ ] | head until + *'.split(" ");
  const picks = randomText(length / 3);
  return Array.from(picks, (character) => words[character.charCodeAt(0) % words.length]!)
    .join(" ")
    .replaceAll(/[([]/g, "and")
    .slice(0, length);
}

/** Characters from a fixed generator, so that every run sees the same text. */
function randomText(length: number, first = 0, count = 256): string {
  let state = SEED >>> 0;
  const codes = new Uint16Array(length).map(() => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return first + ((state >>> 16) % count);
  });
  return new TextDecoder("utf-16le").decode(codes);
}
