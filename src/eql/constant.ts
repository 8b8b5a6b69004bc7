// Constant expressions on their own: what `kestrel` tests and the conformance suites ask for.
import { type Diagnostic, SchemaRegistry } from "#schema";
import type { Dialect } from "./ast.ts";
import { DiagnosticList } from "./diagnostics.ts";
import { type ConstantValue, IrBuilder } from "./ir.ts";
import { lowerOperand } from "./lower.ts";
import { lowerContext, regexBudget } from "./lower-context.ts";
import { parseExpression } from "./parse.ts";

/** Value of a constant expression, or why it has none. Integers are bigint, decimals number. */
export type ConstantResult =
  | { readonly ok: true; readonly value: ConstantValue | null }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] };

/** Evaluates an expression that names no field. */
export function evaluateConstant(text: string, dialect: Dialect): ConstantResult {
  const source = text.toWellFormed();
  const diagnostics = new DiagnosticList(source);
  const expression = parseExpression(source, dialect, diagnostics);
  if (expression === undefined) return { ok: false, diagnostics: diagnostics.items };
  const builder = new IrBuilder();
  const registry = new SchemaRegistry();
  const context = lowerContext({
    text: source,
    builder,
    registry,
    dialect,
    foldsCase: dialect === "endgame",
    lenientFields: false,
    diagnostics,
    fieldIds: new Set(),
    categories: "look",
    regexBudget: regexBudget(),
    lineage: (lineage) => void diagnostics.error("constant-expected", "Lineage is not constant", lineage),
  });
  const operand = lowerOperand(expression, context);
  if (operand !== undefined && !diagnostics.hasError) {
    const { value } = operand;
    if (value.kind === "const") return { ok: true, value: value.value };
    if (value.kind === "null") return { ok: true, value: null };
    diagnostics.error("constant-expected", "The expression is not constant", expression);
  }
  return { ok: false, diagnostics: diagnostics.items };
}
