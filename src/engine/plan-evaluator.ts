// What a plan leaves to the EQL compiler's evaluator, as the sequencer asks for it: residual conditions and computed keys.
import { RuleFault } from "#core";
import type { ExpressionScope } from "#eql";
import { RecordView } from "#event";
import type { PlanEvaluator, StepScope } from "#nfa";
import type { Expression, PlanLineage, PlanStep, RulePlan, Scalar } from "#schema";

/** Whether a match's events, in their places, pass. Throws RuleFault as a {@link PlanEvaluator} does. */
export type MatchFilter = (records: readonly (Uint8Array | undefined)[]) => boolean;

type Compiler = typeof import("#eql");
type Evaluator = ReturnType<Compiler["compileExpression"]>;

/** Evaluator of a plan; `undefined` when there is nothing to evaluate. The EQL room is loaded with the first that has something. */
export async function createPlanEvaluator(plan: RulePlan): Promise<PlanEvaluator | undefined> {
  const steps: readonly PlanStep[] = [...plan.steps, ...(plan.until === undefined ? [] : [plan.until])];
  const slots: readonly (PlanStep | PlanLineage)[] = [...steps, ...plan.lineages];
  const needsNothing = slots.every((slot) => slot.residual === undefined) && steps.every((step) => step.keys.every(isField));
  if (needsNothing) return undefined;
  const eql = await import("#eql");
  const compile = (expression: Expression | undefined): Evaluator | undefined => expression && eql.compileExpression(expression);
  const residuals = slots.map((slot) => compile(slot.residual));
  const keys = steps.map((step) => step.keys.map((key) => compile(key.expression)));
  return {
    holds: (slot, scope) => blamed(eql, () => residuals[slot]?.truth(scopeOf(scope)) === true),
    keyValues: (slot, part, record) => blamed(eql, () => keys[slot]?.[part]?.values(aloneOf(record)) ?? []),
  };
}

/** The `| filter` of a rule over several events: whether a match may alert. `undefined` when it has none. */
export async function createMatchFilter({ filter }: RulePlan): Promise<MatchFilter | undefined> {
  if (filter === undefined) return undefined;
  const eql = await import("#eql");
  const holds = eql.compileMatchFilter(filter);
  return (records) => blamed(eql, () => holds(records.map((bytes) => bytes && new RecordView().reset(bytes, 0))));
}

function isField(key: PlanStep["keys"][number]): boolean {
  return key.expression === undefined;
}

function scopeOf(scope: StepScope): ExpressionScope {
  return { event: scope.record, earlier: (step) => scope.earlier(step), lineage: (index) => scope.lineage(index) };
}

/** A key depends on nothing but its event. */
function aloneOf(record: RecordView): ExpressionScope {
  return { event: record, earlier: () => undefined, lineage: () => null };
}

/** Runs an evaluation; one that takes too many steps is the rule's own fault. */
function blamed<Value extends boolean | readonly Scalar[]>({ EvaluationLimitError }: Compiler, evaluate: () => Value): Value {
  try {
    return evaluate();
  } catch (error) {
    if (error instanceof EvaluationLimitError) throw new RuleFault("fuel", -1, error.message, { cause: error });
    throw error;
  }
}
