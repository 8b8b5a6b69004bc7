// What a query became, as data for people: steps with their texts, conditions as IR, keys, and what each predicate costs.
import type { Diagnostic, Expression, KeyPart, LineageRelation, PlanStep, RulePlan, SchemaRegistry } from "#schema";
import type { Query } from "./ast.ts";
import { DiagnosticList } from "./diagnostics.ts";
import { type ConditionNode, IrBuilder, type IrNode } from "./ir.ts";
import { printIr } from "./ir-print.ts";
import type { LoweredPlan } from "./lower-plan.ts";
import { parseQuery } from "./parse.ts";
import { lowerQuery, type QuerySource } from "./query.ts";
import { cost } from "./rule-set-facts.ts";

/** A condition in its two parts. */
export interface ConditionDescription {
  /** As the query has it; exceptions and filters, which belong to it too, are not repeated. */
  readonly text: string;
  /** Position among the plan's slots, the bit by which the sequencer knows it. */
  readonly slot: number;
  /** What the program tests on every event. */
  readonly predicateIr: string;
  /** What the sequencer tests besides; `#0.name` is a field of the event that filled step 0. */
  readonly residualIr: string | undefined;
  /** Rough cost of the predicate on one event: 1 is a look at one word, 20 a pass over a text. */
  readonly cost: number;
}

/** One `[…]`. */
export interface StepDescription extends ConditionDescription, Pick<PlanStep, "runs" | "missing" | "fork" | "alias"> {
  readonly keys: readonly (Pick<KeyPart, "text" | "nullJoins"> & { readonly ir: string | undefined })[];
}

/** `child of […]` and its like, inner ones first. */
export interface LineageDescription extends ConditionDescription {
  readonly relation: LineageRelation;
}

/** A query taken apart. */
export interface QueryDescription {
  readonly kind: RulePlan["kind"];
  /** Whether the sequencer takes part; an event query without lineage needs none. */
  readonly isPlanned: boolean;
  readonly steps: readonly StepDescription[];
  readonly until: StepDescription | undefined;
  readonly lineages: readonly LineageDescription[];
  readonly maxspanNs: bigint | undefined;
  /** What a rule's whole match must fulfil besides, from its pipes; `#1.name` is a field of the event in place 1. */
  readonly filterIr: string | undefined;
  /** As the query has them. */
  readonly pipes: readonly string[];
  /** Names of the fields it reads. */
  readonly fields: readonly string[];
}

/** Takes a query apart. Without a description the diagnostics hold an error. Never throws. */
export function describeQuery(
  source: QuerySource,
  registry: SchemaRegistry,
): { readonly description: QueryDescription | undefined; readonly diagnostics: readonly Diagnostic[] } {
  const { condition, planned, diagnostics, fieldIds } = lowerQuery(source, registry, new IrBuilder(), "look");
  const text = source.text.toWellFormed();
  const query = parseQuery(text, source.dialect, new DiagnosticList(text));
  if (query === undefined || (condition === undefined && planned === undefined)) return { description: undefined, diagnostics };
  const pipes = query.pipes.map(({ from, to }) => text.slice(from, to));
  const fields = fieldIds.map((id) => registry.byId(id)?.name ?? String(id));
  const parts = planned === undefined ? describeCondition(query, text, condition!) : describePlan(query, text, planned);
  return { description: { ...parts, pipes, fields }, diagnostics };
}

/** An expression of a plan as text. */
export function printExpression(expression: Expression): string {
  return printIr(expression.node as IrNode);
}

type Parts = Omit<QueryDescription, "pipes" | "fields">;

function describeCondition({ body }: Query, text: string, condition: ConditionNode): Parts {
  const alone = { runs: 1, missing: false, fork: false, alias: undefined, keys: [] };
  const step = {
    text: text.slice(body.from, body.to),
    slot: 0,
    predicateIr: printIr(condition),
    residualIr: undefined,
    cost: cost(condition),
  };
  return {
    kind: "event",
    isPlanned: false,
    steps: [{ ...step, ...alone }],
    until: undefined,
    lineages: [],
    maxspanNs: undefined,
    filterIr: undefined,
  };
}

function describePlan({ body }: Query, text: string, { plan, conditions, lineageTexts }: LoweredPlan): Parts {
  const describeParts = (ofText: string, slot: number, residual: Expression | undefined): ConditionDescription => ({
    text: ofText,
    slot,
    predicateIr: printIr(conditions[slot]!),
    residualIr: residual === undefined ? undefined : printExpression(residual),
    cost: cost(conditions[slot]!),
  });
  const describeStep = (step: PlanStep, { from, to }: { readonly from: number; readonly to: number }): StepDescription => {
    const { runs, missing, fork, alias, keys } = step;
    return {
      ...describeParts(text.slice(from, to), step.predicate, step.residual),
      runs,
      missing,
      fork,
      alias,
      keys: keys.map((key) => ({
        text: key.text,
        nullJoins: key.nullJoins,
        ir: key.expression === undefined ? undefined : printExpression(key.expression),
      })),
    };
  };
  const queries = body.kind === "event" ? [body] : body.steps.map((step) => step.query);
  const until = body.kind === "event" ? undefined : body.until;
  return {
    kind: plan.kind,
    isPlanned: true,
    steps: plan.steps.map((step, index) => describeStep(step, queries[index]!)),
    until: plan.until === undefined || until === undefined ? undefined : describeStep(plan.until, until.query),
    lineages: plan.lineages.map(({ relation, predicate, residual }, index) => {
      return { relation, ...describeParts(lineageTexts[index]!, predicate, residual) };
    }),
    maxspanNs: plan.maxspanNs,
    filterIr: plan.filter === undefined ? undefined : printExpression(plan.filter),
  };
}
