// Formulas over what the kernel can test, with three truth values as the language has them, and their form as clauses. Invariant: a formula is true
// of exactly the acts of which its clauses are; null and false are the same only at the end.
import type { OpenMode, PolicyBlock, PolicyClause, PolicyDimension, PolicyTest } from "#schema";

/** `unknown`: the kernel cannot tell. Tests are never null: whatever they look at every act has. */
export type Formula =
  | { readonly kind: "truth"; readonly value: boolean | null }
  | { readonly kind: "unknown"; readonly reason: string }
  | { readonly kind: "test"; readonly dimension: PolicyDimension; readonly blocks: readonly PolicyBlock[] }
  | { readonly kind: "not"; readonly operands: readonly [Formula] }
  | { readonly kind: "and" | "or"; readonly operands: readonly Formula[] };

/** A formula known at once. */
export function formulaTruth(value: boolean | null): Formula {
  return { kind: "truth", value };
}

export function formulaNot(operand: Formula): Formula {
  if (operand.kind === "truth") return formulaTruth(operand.value === null ? null : !operand.value);
  if (operand.kind === "unknown") return operand;
  return operand.kind === "not" ? operand.operands[0] : { kind: "not", operands: [operand] };
}

export function formulaAnd(operands: readonly Formula[]): Formula {
  return combined("and", operands);
}

export function formulaOr(operands: readonly Formula[]): Formula {
  return combined("or", operands);
}

/** `neutral and x` is x, `decisive and x` is decisive; with or the other way round. A null stays: under a not it makes a difference. */
function combined(kind: "and" | "or", operands: readonly Formula[]): Formula {
  const decisive = kind === "or";
  const rest: Formula[] = [];
  let hasNull = false;
  for (const operand of operands) {
    if (operand.kind !== "truth") rest.push(operand);
    else if (operand.value === decisive) return operand;
    else hasNull ||= operand.value === null;
  }
  if (hasNull) rest.push(formulaTruth(null));
  if (rest.length === 0) return formulaTruth(!decisive);
  return rest.length === 1 ? rest[0]! : { kind, operands: rest };
}

/** One formula of those of each way to open a file. */
export function addModes(formulas: readonly Formula[]): Formula {
  const modes: readonly OpenMode[] = [1, 2, 3];
  return formulaOr(
    formulas.map((formula, index) => {
      return formulaAnd([{ kind: "test", dimension: "mode", blocks: [{ bytes: [modes[index]!], bits: 8 }] }, formula]);
    }),
  );
}

/** The formula as clauses, at most `most`. `undefined`: more, or it holds what is unknown. */
export function toClauses(formula: Formula, most: number): readonly PolicyClause[] | undefined {
  try {
    return clausesOf(formula, true, most);
  } catch (error) {
    if (error === TOO_MANY) return undefined;
    throw error;
  }
}

const TOO_MANY = new Error("Too many clauses");

/** Clauses of which one is true exactly when the formula has the truth `wanted`. */
function clausesOf(formula: Formula, wanted: boolean, most: number): readonly PolicyClause[] {
  if (formula.kind === "truth") return formula.value === wanted ? [new Map()] : [];
  if (formula.kind === "unknown") throw TOO_MANY;
  if (formula.kind === "not") return clausesOf(formula.operands[0], !wanted, most);
  const alone = singleDimension(formula);
  if (alone !== undefined) {
    const test = testOf(formula);
    return [new Map([[alone, wanted ? test : { kind: "not", operand: test }]])];
  }
  if (formula.kind === "test") throw TOO_MANY;
  const parts = formula.operands.map((operand) => clausesOf(operand, wanted, most));
  const clauses = (formula.kind === "or") === wanted ? parts.flat() : product(parts, most);
  if (clauses.length > most) throw TOO_MANY;
  return clauses;
}

function product(parts: readonly (readonly PolicyClause[])[], most: number): readonly PolicyClause[] {
  let clauses: readonly PolicyClause[] = [new Map()];
  for (const part of parts) {
    if (clauses.length * part.length > most) throw TOO_MANY;
    clauses = clauses.flatMap((left) => part.map((right) => both(left, right)));
  }
  return clauses;
}

function both(left: PolicyClause, right: PolicyClause): PolicyClause {
  const clause = new Map(left);
  for (const [dimension, test] of right) {
    const other = clause.get(dimension);
    clause.set(dimension, other === undefined ? test : { kind: "and", operands: [other, test] });
  }
  return clause;
}

/** The one dimension a formula is about. With a null in it, it has to be taken apart. */
function singleDimension(formula: Formula): PolicyDimension | undefined {
  if (formula.kind === "test") return formula.dimension;
  if (!("operands" in formula)) return undefined;
  const [first, ...others] = formula.operands.map(singleDimension);
  return others.every((other) => other === first) ? first : undefined;
}

function testOf(formula: Formula): PolicyTest {
  switch (formula.kind) {
    case "test":
      return { kind: "in", blocks: formula.blocks };
    case "not":
      return { kind: "not", operand: testOf(formula.operands[0]) };
    case "and":
    case "or":
      return { kind: formula.kind, operands: formula.operands.map(testOf) };
    default:
      throw new Error("Assertion failed: a formula of one dimension holds only tests");
  }
}
