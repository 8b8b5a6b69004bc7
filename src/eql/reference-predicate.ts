// The reference evaluator behind the shape of a compiled query: for tests.
import type { Diagnostic, FieldReader, SchemaRegistry } from "#schema";
import { IrBuilder } from "./ir.ts";
import { lowerQuery, type QuerySource } from "./query.ts";
import { evaluateCondition } from "./reference.ts";

/** A query as a function of an event: true, false or null (neither). */
export type ReferencePredicate = (event: FieldReader) => boolean | null;

/** Compiles a query for the reference evaluator; `predicate` is undefined when it has errors. */
export function createReferencePredicate(
  source: QuerySource,
  registry: SchemaRegistry,
): { readonly predicate: ReferencePredicate | undefined; readonly diagnostics: readonly Diagnostic[] } {
  const { condition, diagnostics } = lowerQuery(source, registry, new IrBuilder());
  if (condition === undefined) return { predicate: undefined, diagnostics };
  return { predicate: (event) => evaluateCondition(condition, { event, variables: [] }), diagnostics };
}
