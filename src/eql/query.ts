// One query to one condition: parse, refuse what is not supported yet, lower, and weave the exceptions in.
import type { Diagnostic, SchemaRegistry } from "#schema";
import type { Dialect, Expression, Query } from "./ast.ts";
import { DiagnosticList } from "./diagnostics.ts";
import { type ConditionNode, IR_DEPTH_MAX, type IrBuilder } from "./ir.ts";
import { lowerCondition } from "./lower.ts";
import { type LowerContext, lowerContext } from "./lower-context.ts";
import { parseExpression, parseQuery } from "./parse.ts";

/** A query to compile. */
export interface QuerySource {
  /** Id of its rule. */
  readonly id: string;
  readonly text: string;
  readonly dialect: Dialect;
  /** Bare conditions; an event for which one of them is true is not a match. */
  readonly exceptions: readonly string[];
  /** Unknown fields are warnings and null instead of errors. */
  readonly lenientFields: boolean;
}

/** A query as IR. */
export interface LoweredQuery {
  /** `undefined` when there is an error. */
  readonly condition: ConditionNode | undefined;
  readonly diagnostics: readonly Diagnostic[];
  /** Ascending ids of the fields it reads. */
  readonly fieldIds: readonly number[];
}

/** How lowering names categories that the registry does not know: for a program they get an id, for a mere look they get none. */
export type CategoryPolicy = "intern" | "look";

/** Lowers a query with its exceptions. */
export function lowerQuery(
  source: QuerySource,
  registry: SchemaRegistry,
  builder: IrBuilder,
  categories: CategoryPolicy = "intern",
): LoweredQuery {
  const text = source.text.toWellFormed();
  const diagnostics = new DiagnosticList(text);
  const fieldIds = new Set<number>();
  const { dialect, lenientFields } = source;
  const context = (list: DiagnosticList) => lowerContext({ builder, registry, dialect, lenientFields, diagnostics: list, fieldIds });
  const query = parseQuery(text, source.dialect, diagnostics);
  const lists = [diagnostics];
  const conditions: ConditionNode[] = query === undefined ? [] : lowerBody(query, context(diagnostics), categories);
  for (const [i, exception] of source.exceptions.entries()) {
    const list = new DiagnosticList(exception, `In exception ${i + 1}: `);
    lists.push(list);
    const expression = parseExpression(exception.toWellFormed(), source.dialect, list);
    if (expression !== undefined) conditions.push(notTrue(builder, lowerCondition(expression, context(list))));
  }
  const condition = builder.and(conditions);
  if (condition.depth > IR_DEPTH_MAX) {
    const message = `Query is nested too deeply: ${condition.depth} steps inside one another, the limit is ${IR_DEPTH_MAX}`;
    diagnostics.error("nesting-too-deep", message, { from: 0, to: 0 });
  }
  const found = lists.flatMap((list) => list.items);
  const sound = found.every((item) => item.severity !== "error");
  return { condition: sound ? condition : undefined, diagnostics: found, fieldIds: [...fieldIds].sort((a, b) => a - b) };
}

function lowerBody(query: Query, context: LowerContext, categories: CategoryPolicy): ConditionNode[] {
  const { body, pipes } = query;
  const { builder, registry, diagnostics, fieldIds } = context;
  if (body.kind === "join" && context.dialect === "default") {
    diagnostics.error("wrong-dialect", "join belongs to the Endgame dialect, write sequence or sample", body.keywordRange);
    return [];
  }
  if (body.kind === "sample" && context.dialect === "endgame") {
    diagnostics.error("wrong-dialect", "sample belongs to the default dialect, write join", body.keywordRange);
    return [];
  }
  if (body.kind !== "event") {
    diagnostics.error("not-yet", `${SEVERAL_EVENTS_WORDS[body.kind]} are not supported yet`, body.keywordRange);
    return [];
  }
  if (pipes[0] !== undefined) {
    diagnostics.error("not-yet", `Pipes (| ${pipes[0].name}) are not supported yet`, pipes[0]);
    return [];
  }
  const lineage = findLineage(body.condition);
  if (lineage !== undefined) {
    const message = `Lineage (${lineage.relation} of) is not supported yet`;
    diagnostics.error("not-yet", message, { from: lineage.from, to: lineage.query.from });
    return [];
  }
  if (body.bare && context.dialect === "default") {
    const message = "Query names no category, write any where (or a category such as process where) before the condition";
    diagnostics.error("missing-category", message, { from: body.from, to: body.from });
    return [];
  }
  const condition = lowerCondition(body.condition, context);
  if (body.category === undefined) return [condition];
  const fieldId = registry.idOf("event.category");
  fieldIds.add(fieldId);
  const { categories: table } = registry;
  const categoryId = categories === "intern" && !diagnostics.hasError ? table.intern(body.category) : table.idOf(body.category);
  return [builder.category({ categoryId, name: body.category, fieldId }), condition];
}

const SEVERAL_EVENTS_WORDS = { sequence: "Sequences", sample: "Samples", join: "Joins" } as const;

function findLineage(expression: Expression): Extract<Expression, { readonly kind: "lineage" }> | undefined {
  if (expression.kind === "lineage") return expression;
  for (const child of childrenOf(expression)) {
    const found = findLineage(child);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Expressions directly inside an expression; those of a lineage's query not included. */
export function childrenOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case "and":
    case "or":
    case "call":
      return expression.operands;
    case "not":
    case "negate":
      return [expression.operand];
    case "comparison":
      return [expression.left, expression.right];
    case "arithmetic":
      return [expression.first, ...expression.rest.map((term) => term.operand)];
    case "membership":
      return [expression.left, ...expression.items];
    default:
      return [];
  }
}

/** True unless the condition is true: an exception that is null excepts nothing. */
function notTrue(builder: IrBuilder, condition: ConditionNode): ConditionNode {
  if (condition.kind === "truth") return builder.truth(condition.value !== true);
  return builder.or([builder.not(condition), builder.isNull(builder.truthValue(condition))]);
}
