// The production evaluator against the reference on generated pairs, conditions over two events included; what a predicate holds back; budgets.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compileExpression, EvaluationLimitError, type ExpressionScope } from "#eql";
import { type FieldReader, type FieldValue, SchemaRegistry } from "#schema";
import { DiagnosticList } from "../../src/eql/diagnostics.ts";
import { parseNumber } from "../../src/eql/expression-call.ts";
import { between, compareText, find, indexOf, matchesWildcards, substring } from "../../src/eql/fast-text.ts";
import { type ConditionNode, IrBuilder } from "../../src/eql/ir.ts";
import { lowerContext, NO_NAMES, regexBudget } from "../../src/eql/lower-context.ts";
import { lowerEvent } from "../../src/eql/lower-event.ts";
import { parseQuery } from "../../src/eql/parse.ts";
import { readPattern } from "../../src/eql/patterns.ts";
import { evaluateCondition } from "../../src/eql/reference.ts";
import { callFunction, compareText as compareTextSlowly, matchesPattern } from "../../src/eql/reference-functions.ts";
import { splitCondition } from "../../src/eql/split.ts";
import { eventArbitrary, type GeneratedDialect, queryArbitrary, readerOf } from "./generate.ts";

const SEED = Number(process.env["KESTREL_SEED"] ?? 20251122);
const registry = new SchemaRegistry();

/** The condition of an event query in which `e0.` names an earlier event; undefined when it is refused. */
function conditionOf(text: string, dialect: GeneratedDialect, builder: IrBuilder): ConditionNode | undefined {
  const diagnostics = new DiagnosticList(text);
  const query = parseQuery(text, dialect, diagnostics);
  if (query?.body.kind !== "event") throw new Error(`${text}: ${JSON.stringify(diagnostics.items)}`);
  const context = lowerContext({
    text,
    builder,
    registry,
    dialect,
    foldsCase: dialect === "endgame",
    lenientFields: false,
    diagnostics,
    fieldIds: new Set(),
    categories: "look",
    regexBudget: regexBudget(),
    lineage: ({ relation }) => builder.lineage("child", relation === "child" ? 0 : 1),
  });
  const aliases = new Map([["e0", { kind: "step", step: 0 } as const]]);
  const condition = lowerEvent(query.body, { ...context, names: { ...NO_NAMES, aliases } });
  return diagnostics.hasError ? undefined : condition;
}

const FIELD =
  /(?<![\w.?"/])(process\.(?:name|executable|args|pid|interactive|start)|user\.id|file\.path|source\.ip|event\.risk_score)(?![\w.])/g;

/** Lets some of the fields be an earlier event's, and adds lineage to some conditions. */
function withEarlier(query: string, choices: readonly boolean[]): string {
  let at = 0;
  const text = query.replace(FIELD, (name) => (choices[at++ % choices.length] === true ? `e0.${name}` : name));
  const lineage = choices[0] === true ? " or child of [any where true]" : "";
  return text.replace(/^(\S+ where )(.*)$/su, (_, head: string, condition: string) => `${head}(${condition})${lineage}`);
}

describe.each(["default", "endgame"] as const)(`generated conditions, %s dialect, seed ${SEED}`, (dialect) => {
  test("have the truth that the reference gives, and the predicate never holds back a match", () => {
    const truths = { true: 0, false: 0, null: 0 };
    let [split, held] = [0, 0];
    const pair = fc.array(eventArbitrary, { minLength: 4, maxLength: 4 });
    const choices = fc.array(fc.boolean(), { minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(queryArbitrary(dialect), choices, pair, (query, picks, events) => {
        const builder = new IrBuilder();
        const condition = conditionOf(withEarlier(query, picks), dialect, builder);
        if (condition === undefined) return;
        const evaluator = compileExpression({ node: condition });
        const { predicate, residual } = splitCondition(condition, builder);
        expect(predicate.stateful).toBe(false);
        for (const [index, event] of events.entries()) {
          const earlier = readerOf(events[(index + 1) % events.length]!, registry);
          const scope: ExpressionScope & { readonly variables: readonly [] } = {
            event: readerOf(event, registry),
            variables: [],
            earlier: () => (index === 3 ? undefined : earlier),
            lineage: (lineage) => (lineage === 0 ? picks[1]! : null),
          };
          const truth = evaluateCondition(condition, scope);
          truths[`${truth}`]++;
          expect(evaluator.truth(scope)).toBe(truth);
          const first = evaluateCondition(predicate, scope) === true;
          const second = residual === undefined || evaluateCondition(residual, scope) === true;
          expect(first && second).toBe(truth === true);
          if (residual !== undefined) split++;
          if (!first) held++;
        }
      }),
      { seed: SEED, numRuns: 1500 },
    );
    expect(Math.min(truths.true, truths.false, truths.null)).toBeGreaterThan(300);
    expect(split).toBeGreaterThan(1000);
    expect(held).toBeGreaterThan(1000);
  });
});

describe(`text functions, seed ${SEED}`, () => {
  const text = fc.oneof(
    fc.string({ unit: fc.constantFrom("a", "b", "B", "é", "K", "\u212a", "😀", "\uffee", "ß", "*"), maxLength: 12 }),
    fc.string({ unit: "grapheme", maxLength: 8 }),
  );
  const int = fc.bigInt({ min: -9n, max: 14n });
  test("agree with the reference", () => {
    fc.assert(
      fc.property(
        fc.tuple(text, text, text),
        fc.tuple(int, int),
        fc.tuple(fc.boolean(), fc.boolean()),
        ([a, b, c], [start, end], flags) => {
          const [greedy, folded] = flags;
          expect(indexOf(a, b, start)).toBe(callFunction("indexOf", [a, b, start], false) as bigint | null);
          expect(substring(a, start, end)).toBe(callFunction("substring", [a, start, end], false) as string);
          expect(between({ text: a, left: b, right: c, greedy, folded })).toBe(
            callFunction("betweenOrNull", [a, b, c, greedy], folded) as string | null,
          );
          expect(Math.sign(compareText(a, b))).toBe(Math.sign(compareTextSlowly(a, b)));
          const pattern = readPattern(`${b}*${c}?${greedy ? "*" : ""}`, true);
          expect(matchesWildcards(a, pattern, () => undefined)).toBe(matchesPattern(a, pattern, false));
        },
      ),
      { seed: SEED, numRuns: 3000 },
    );
  });
  test("long numbers are what the reference reads, without its patience", () => {
    const piece = fc.constantFrom(
      "0".repeat(600),
      "0",
      "1",
      "9".repeat(20),
      "9".repeat(500),
      "f",
      "x",
      "0x",
      "+",
      "-",
      ".",
      "e",
      "e-3",
      " ".repeat(600),
      "zz",
    );
    const base = fc.constantFrom(0n, 2n, 8n, 10n, 16n, 36n);
    let numbers = 0;
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 6 }), base, (pieces, radix) => {
        const text = pieces.join("");
        const expected = callFunction("parseNumber", [text, radix], false);
        expect(parseNumber(text, radix)).toBe(expected as number | bigint | null);
        if (text.length > 512 && expected !== null) numbers++;
      }),
      { seed: SEED, numRuns: 3000 },
    );
    expect(numbers).toBeGreaterThan(40);
    for (const text of ["9".repeat(250_000), `1${" ".repeat(250_000)}1`, `${"f".repeat(250_000)}.`])
      expect(parseNumber(text, 16n)).toBeNull();
  });
  test("long texts are searched in linear time, with the same result", () => {
    const long = `${"ab".repeat(40_000)}aab${"ab".repeat(10)}`;
    const part = `${"ab".repeat(5_000)}aab`;
    expect(find(long, part)).toBe(long.indexOf(part));
    expect(find(long, `${part}b`)).toBe(-1);
    const last = between({ text: long, left: "", right: "ab".repeat(9), greedy: true, folded: false });
    expect(last).toBe(long.slice(0, long.lastIndexOf("ab".repeat(9))));
  });
});

describe("budget", () => {
  const name = registry.idOf("process.args");
  const other = registry.idOf("process.parent.args");
  const scopeOf = (first: FieldValue, second: FieldValue): ExpressionScope => {
    const values = new Map([
      [name, first],
      [other, second],
    ]);
    const event: FieldReader = { category: 0, value: (id) => values.get(id) };
    return { event, earlier: () => event, lineage: () => null };
  };
  const evaluatorOf = (condition: string) => {
    const node = conditionOf(`any where ${condition}`, "default", new IrBuilder());
    return compileExpression({ node });
  };
  const many = Array.from({ length: 16_384 }, (_, index) => `${index}`);
  const cases: readonly [condition: string, first: FieldValue, second: FieldValue][] = [
    ["e0.process.args == process.parent.args", many, many.map((text) => `x${text}`)],
    ['arraySearch(e0.process.args, $x, arraySearch(process.parent.args, $y, $x == concat($y, "x")))', many, many],
    ["length(concat(e0.process.args, process.parent.args)) == 0", many, many],
    ["stringContains~(process.parent.args, e0.process.args)", many, "y".repeat(20_000)],
  ];
  for (const [condition, first, second] of cases) {
    test(`ends ${condition}`, () => {
      expect(() => evaluatorOf(condition).truth(scopeOf(first, second))).toThrow(EvaluationLimitError);
      expect(evaluatorOf(condition).truth(scopeOf(["1"], ["1"]))).toBeBoolean();
    });
  }
  test("is not needed by long texts alone", () => {
    const text = "ab".repeat(30_000);
    expect(evaluatorOf("stringContains~(process.args, e0.process.parent.args)").truth(scopeOf(text, `${text.slice(9)}x`))).toBe(false);
  });
});
