// One query to one condition or one plan: parse, lower, and weave the exceptions in.
import type { Diagnostic, SchemaRegistry } from "#schema";
import type { Dialect, EventQuery, Expression, Query } from "./ast.ts";
import { DiagnosticList } from "./diagnostics.ts";
import { type ConditionNode, IR_DEPTH_MAX, type IrBuilder, type IrNode } from "./ir.ts";
import { lowerCondition } from "./lower.ts";
import { type CategoryPolicy, fail, type LowerContext, lowerContext, type RegexBudget, regexBudget } from "./lower-context.ts";
import { lowerEvent } from "./lower-event.ts";
import { LineageCollector } from "./lower-lineage.ts";
import { type LoweredPipe, lowerPipes, type Pipes } from "./lower-pipes.ts";
import { type LoweredPlan, type PlanParts, planEvent, planExpressions, planSteps } from "./lower-plan.ts";
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
  /** Heed case where the Endgame dialect does not by itself, as its engine can be told to. */
  readonly caseSensitive?: boolean;
  /** A rule, the usual case, alerts at every match, so that most pipes make no sense in it. */
  readonly purpose?: "rule" | "query";
  /** Shared by the texts of one rule that are looked at one by one. */
  readonly regexBudget?: RegexBudget;
}

/** A query as IR: a condition, or a plan. Both `undefined` when there is an error. */
export interface LoweredQuery {
  /** Of a plain event query. */
  readonly condition: ConditionNode | undefined;
  /** Of a query that depends on other events. */
  readonly planned: LoweredPlan | undefined;
  /** What is to be done with the results; nothing in a rule. */
  readonly pipes: Pipes;
  readonly diagnostics: readonly Diagnostic[];
  /** Ascending ids of the fields it reads. */
  readonly fieldIds: readonly number[];
}

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
  const lineages = new LineageCollector();
  const { dialect, lenientFields } = source;
  const foldsCase = dialect === "endgame" && source.caseSensitive !== true;
  const lineage: LowerContext["lineage"] = (expression, inner) => lineages.lower(expression, inner);
  const budget = source.regexBudget ?? regexBudget();
  const contextOf = (ofText: string, list: DiagnosticList) =>
    lowerContext({
      text: ofText,
      builder,
      registry,
      dialect,
      foldsCase,
      lenientFields,
      diagnostics: list,
      fieldIds,
      categories,
      lineage,
      regexBudget: budget,
    });
  const query = parseQuery(text, dialect, diagnostics);
  const context = contextOf(text, diagnostics);
  const lists = [diagnostics];
  const exceptions: ConditionNode[] = [];
  for (const [i, exception] of source.exceptions.entries()) {
    const list = new DiagnosticList(exception, `In exception ${i + 1}: `);
    lists.push(list);
    const condition = exception.toWellFormed();
    const expression = parseExpression(condition, dialect, list);
    if (expression !== undefined) exceptions.push(notTrue(builder, lowerCondition(expression, contextOf(condition, list))));
  }
  const isRule = source.purpose !== "query";
  const lowered = query === undefined ? undefined : lowerBody(query, { context, lineages, exceptions }, isRule);
  if (lowered !== undefined) checkDepth(lowered, diagnostics);
  const found = lists.flatMap((list) => list.items);
  const sound = found.every((item) => item.severity !== "error");
  return {
    condition: sound ? lowered?.condition : undefined,
    planned: sound ? lowered?.planned : undefined,
    pipes: { pipes: lowered?.pipes ?? [], folded: foldsCase },
    diagnostics: found,
    fieldIds: [...fieldIds].sort((a, b) => a - b),
  };
}

interface Lowered extends Pick<LoweredQuery, "condition" | "planned"> {
  readonly pipes: readonly LoweredPipe[];
}

function lowerBody({ body, pipes: written }: Query, parts: PlanParts, isRule: boolean): Lowered | undefined {
  const { context, exceptions } = parts;
  if (body.kind !== "event") {
    const planned = planSteps(body, parts);
    const { filters, pipes } = lowerPipes(written, { body, isRule }, context);
    const filter = filters.length === 0 ? undefined : { node: context.builder.and(filters) };
    return { condition: undefined, planned: planned && { ...planned, plan: { ...planned.plan, filter } }, pipes };
  }
  if (body.bare && context.dialect === "default") return missingCategory(body, context);
  const own = lowerEvent(body, context);
  const { filters, pipes } = lowerPipes(written, { body: undefined, isRule }, context);
  const condition = context.builder.and([own, ...filters, ...exceptions]);
  if (!condition.stateful) return { condition, planned: undefined, pipes };
  return { condition: undefined, planned: planEvent(condition, parts), pipes };
}

function missingCategory({ condition, from, to }: EventQuery, context: LowerContext): undefined {
  const word = condition.kind === "field" ? condition.parts.join(".") : "";
  if (/^(sequence|sample|join)$/.test(word)) {
    const message = `${word} needs steps, for example ${word} by host.id [process where true] [file where true]`;
    return fail(context, "too-few-steps", message, { from, to });
  }
  const message = "Query names no category, write any where (or a category such as process where) before the condition";
  return fail(context, "missing-category", message, { from, to: from });
}

/** What back ends and evaluators recurse over is bounded. */
function checkDepth({ condition, planned, pipes }: Lowered, diagnostics: DiagnosticList): void {
  const roots: IrNode[] = condition === undefined ? [] : [condition];
  for (const pipe of pipes) {
    if (pipe.kind === "filter") roots.push(pipe.condition);
    else if ("keys" in pipe) roots.push(...pipe.keys);
  }
  if (planned !== undefined) roots.push(...planned.conditions, ...planExpressions(planned.plan));
  const depth = Math.max(0, ...roots.map((root) => root.depth));
  if (depth <= IR_DEPTH_MAX) return;
  const message = `Query is nested too deeply: ${depth} steps inside one another, the limit is ${IR_DEPTH_MAX}`;
  diagnostics.error("nesting-too-deep", message, { from: 0, to: 0 });
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
