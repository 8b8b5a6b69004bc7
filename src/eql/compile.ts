// A rule set to one program: every query lowered into one shared IR, then each back end once. A query with errors takes no part in the
// program and does not stop the others.
import type { Backend, Demand, Diagnostic, EventWords, PredicateInfo, RulePlan, RuleSetProgram, SchemaRegistry } from "#schema";
import { demandsOf } from "./demand.ts";
import { type ConditionNode, IrBuilder } from "./ir.ts";
import type { Pipes } from "./lower-pipes.ts";
import { withPredicates } from "./lower-plan.ts";
import { emitLua } from "./lua.ts";
import { lowerQuery, type QuerySource } from "./query.ts";
import { emitWasm } from "./wasm.ts";

/** What became of one query. */
export interface CompiledQuery {
  readonly id: string;
  /** No error: the query is part of the program. */
  readonly ok: boolean;
  readonly diagnostics: readonly Diagnostic[];
  /** Its position in the program's predicates, which is its bit in the hit words; -1 when not ok or planned. */
  readonly predicate: number;
  /** What the sequencer must do, for a query that depends on other events. Its predicates are the program's. */
  readonly plan: RulePlan | undefined;
  /** What is to be done with the results, for createPipeline; nothing in a rule. */
  readonly pipes: Pipes;
  /** Ids of the fields it reads, ascending; those of its exceptions too. */
  readonly fieldIds: readonly number[];
  /** What it can match of events of the words that were given. */
  readonly demand: Demand;
}

const BOTH: readonly Backend[] = ["wasm", "lua"];

/** Compiles queries into one program for some back ends. `queries[i]` tells of `sources[i]`; `words`: what `demand` is about. Never throws. */
export function compileRuleSet(
  sources: readonly QuerySource[],
  registry: SchemaRegistry,
  backends: readonly Backend[] = BOTH,
  words: readonly EventWords[] = [],
): { readonly program: RuleSetProgram; readonly queries: readonly CompiledQuery[] } {
  const builder = new IrBuilder();
  const roots: ConditionNode[] = [];
  const predicates: PredicateInfo[] = [];
  const lists: ConditionNode[][] = [];
  const compiled = sources.map((source): Omit<CompiledQuery, "demand"> => {
    const { id } = source;
    const list: ConditionNode[] = [];
    lists.push(list);
    const { condition, planned, pipes, diagnostics, fieldIds } = lowerQuery(source, registry, builder);
    const add = (root: ConditionNode, slot?: number): number => {
      assert(!root.stateful, `A predicate of ${id} depends on other events`);
      predicates.push(slot === undefined ? { ruleId: id } : { ruleId: id, slot });
      list.push(root);
      return roots.push(root) - 1;
    };
    const outcome = { id, diagnostics, fieldIds, pipes, predicate: -1, plan: undefined };
    if (condition !== undefined) return { ...outcome, ok: true, predicate: add(condition) };
    if (planned === undefined) return { ...outcome, ok: false };
    const plan = withPredicates(planned.plan, planned.conditions.map(add));
    // The last condition takes events that leave out a process's ancestors; see EventWords.
    if (plan.identity?.ancestryId !== undefined) list.pop();
    return { ...outcome, ok: true, plan };
  });
  const demands = demandsOf(lists, words, registry);
  const queries = compiled.map((query, index) => ({ ...query, demand: demands[index] as Demand }));
  const wasm = backends.includes("wasm") ? emitWasm(roots) : new Uint8Array(0);
  const lua = backends.includes("lua") ? emitLua(roots) : "";
  return { program: { wasm, lua, predicates }, queries };
}

function assert(condition: boolean, text: string): asserts condition {
  if (!condition) throw new Error(`Assertion failed: ${text}`);
}

/** Findings about one query, without making code: all that compileRuleSet would find. */
export function checkQuery(source: QuerySource, registry: SchemaRegistry): readonly Diagnostic[] {
  return lowerQuery(source, registry, new IrBuilder(), "look").diagnostics;
}
