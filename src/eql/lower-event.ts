// `category where condition` to one condition.
import type { EventQuery } from "./ast.ts";
import type { ConditionNode } from "./ir.ts";
import { lowerCondition } from "./lower.ts";
import type { LowerContext } from "./lower-context.ts";

/** Lowers the query of one event. */
export function lowerEvent(query: EventQuery, context: LowerContext): ConditionNode {
  const { builder, registry, diagnostics, fieldIds } = context;
  const condition = lowerCondition(query.condition, context);
  if (query.category === undefined) return condition;
  const fieldId = registry.idOf("event.category");
  fieldIds.add(fieldId);
  const { categories: table } = registry;
  const intern = context.categories === "intern" && !diagnostics.hasError;
  const categoryId = intern ? table.intern(query.category) : table.idOf(query.category);
  return builder.and([builder.category({ categoryId, name: query.category, fieldId }), condition]);
}
