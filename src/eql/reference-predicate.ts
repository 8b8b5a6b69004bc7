// The reference evaluator behind the shape of a compiled query: for tests.
import type { Diagnostic, FieldReader, RulePlan, SchemaRegistry } from "#schema";
import { IrBuilder } from "./ir.ts";
import { lowerQuery, type QuerySource } from "./query.ts";
import { evaluateCondition } from "./reference.ts";

/** A query as a function of an event: true, false or null (neither). */
export type ReferencePredicate = (event: FieldReader) => boolean | null;

/** Compiles a plain event query for the reference evaluator; `predicate` is undefined when it has errors or needs a plan. */
export function createReferencePredicate(
  source: QuerySource,
  registry: SchemaRegistry,
): { readonly predicate: ReferencePredicate | undefined; readonly diagnostics: readonly Diagnostic[] } {
  const { condition, diagnostics } = lowerQuery(source, registry, new IrBuilder());
  if (condition === undefined) return { predicate: undefined, diagnostics };
  return { predicate: (event) => evaluateCondition(condition, { event, variables: [] }), diagnostics };
}

/** Compiles a query that needs a plan: the plan with slots for predicates, and the slots. `plan` is undefined when it has errors or needs none. */
export function createReferencePlan(
  source: QuerySource,
  registry: SchemaRegistry,
): {
  readonly plan: RulePlan | undefined;
  readonly predicates: readonly ReferencePredicate[];
  readonly diagnostics: readonly Diagnostic[];
} {
  const { planned, diagnostics } = lowerQuery(source, registry, new IrBuilder());
  const conditions = planned?.conditions ?? [];
  const predicates = conditions.map(
    (condition): ReferencePredicate =>
      (event) =>
        evaluateCondition(condition, { event, variables: [] }),
  );
  return { plan: planned?.plan, predicates, diagnostics };
}
