// A query's code for people and for measuring: the text of both back ends without what every program has in common, and each predicate as a
// program of its own.
import type { RuleSetProgram, SchemaRegistry } from "#schema";
import { type ConditionNode, IrBuilder } from "./ir.ts";
import { emitLua, emitLuaPredicates } from "./lua.ts";
import { lowerQuery, type QuerySource } from "./query.ts";
import { emitWasm } from "./wasm.ts";
import { wasmText } from "./wasm-text.ts";

/** Code of one query. Predicates are numbered by the slots of its plan. */
export interface CodeListing {
  /** WebAssembly text of its functions; what they use of the guest library is imported. */
  readonly wat: () => string;
  /** Lua text of its functions, over the support table `S` that is not part of it. */
  readonly lua: () => string;
  /** The whole Lua chunk. */
  readonly luaChunk: () => string;
  /** Each predicate alone, as WebAssembly. */
  readonly programs: () => readonly RuleSetProgram[];
}

/** Lists a query's code; `undefined` when it has an error. Never throws. */
export function listCode(source: QuerySource, registry: SchemaRegistry): CodeListing | undefined {
  const { condition, planned } = lowerQuery(source, registry, new IrBuilder());
  const roots: readonly ConditionNode[] | undefined = planned?.conditions ?? (condition === undefined ? undefined : [condition]);
  if (roots === undefined) return undefined;
  return {
    wat: () => wasmText(emitWasm(roots), (id) => registry.byId(id)?.name),
    lua: () => emitLuaPredicates(roots),
    luaChunk: () => emitLua(roots),
    programs: () => roots.map((root, slot) => ({ wasm: emitWasm([root]), lua: "", predicates: [{ ruleId: source.id, slot }] })),
  };
}
