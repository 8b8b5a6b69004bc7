// A rule set to one program: every query lowered into one shared IR, then each back end once. A query with errors takes no part in the
// program and does not stop the others.
import type { Diagnostic, PredicateInfo, RuleSetProgram, SchemaRegistry } from "#schema";
import { type ConditionNode, IrBuilder } from "./ir.ts";
import { emitLua } from "./lua.ts";
import { lowerQuery, type QuerySource } from "./query.ts";
import { emitWasm } from "./wasm.ts";

/** What became of one query. */
export interface CompiledQuery {
  readonly id: string;
  /** No error: the query is part of the program. */
  readonly ok: boolean;
  readonly diagnostics: readonly Diagnostic[];
  /** Its position in the program's predicates, which is its bit in the hit words; -1 when not ok. */
  readonly predicate: number;
  /** Ids of the fields it reads, ascending; those of its exceptions too. */
  readonly fieldIds: readonly number[];
}

/** Compiles queries into one program. `queries[i]` tells of `sources[i]`. Never throws. */
export function compileRuleSet(
  sources: readonly QuerySource[],
  registry: SchemaRegistry,
): { readonly program: RuleSetProgram; readonly queries: readonly CompiledQuery[] } {
  const builder = new IrBuilder();
  const roots: ConditionNode[] = [];
  const predicates: PredicateInfo[] = [];
  const queries = sources.map((source): CompiledQuery => {
    const { condition, diagnostics, fieldIds } = lowerQuery(source, registry, builder);
    if (condition === undefined) return { id: source.id, ok: false, diagnostics, predicate: -1, fieldIds };
    predicates.push({ ruleId: source.id });
    return { id: source.id, ok: true, diagnostics, predicate: roots.push(condition) - 1, fieldIds };
  });
  return { program: { wasm: emitWasm(roots), lua: emitLua(roots), predicates }, queries };
}

/** Findings about one query, without making code: all that compileRuleSet would find. */
export function checkQuery(source: QuerySource, registry: SchemaRegistry): readonly Diagnostic[] {
  return lowerQuery(source, registry, new IrBuilder(), "look").diagnostics;
}
