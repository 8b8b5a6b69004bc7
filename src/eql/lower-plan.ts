// Queries over several events, and event queries that ask about lineage, to plans for the sequencer: conditions by slot, and how they belong
// together. A plan is made only of parts that were checked; whatever does not fit is reported where it stands.
import { PLAN_SLOTS_MAX, PLAN_STEPS_MAX, type PlanStep, type RulePlan } from "#schema";
import type { SeveralEventsQuery, Step } from "./ast.ts";
import { checkSteps } from "./check-steps.ts";
import type { ConditionNode, IrNode } from "./ir.ts";
import { fail, type LowerContext, NO_NAMES, type StepName } from "./lower-context.ts";
import { lowerEvent } from "./lower-event.ts";
import { checkKeyTypes, type LoweredKey, lowerKeys } from "./lower-keys.ts";
import type { LineageCollector } from "./lower-lineage.ts";
import { type SplitCondition, splitCondition } from "./split.ts";

/** A plan whose predicates are slots, and the condition of each slot in the order of `planSlots`. */
export interface LoweredPlan {
  readonly plan: RulePlan;
  readonly conditions: readonly ConditionNode[];
  /** What stands inside each lineage's brackets. */
  readonly lineageTexts: readonly string[];
}

/** What lowering a plan needs beside the query. */
export interface PlanParts {
  readonly context: LowerContext;
  readonly lineages: LineageCollector;
  /** Conditions that every positive step must fulfil besides. */
  readonly exceptions: readonly ConditionNode[];
}

/** A plan of an event query whose condition asks about lineage. `undefined`: reported. */
export function planEvent(condition: ConditionNode, parts: PlanParts): LoweredPlan | undefined {
  const split = splitCondition(condition, parts.context.builder);
  const step = { split, keys: [], missing: false, runs: 1, fork: false, alias: undefined };
  return assemble({ kind: "event", steps: [step], until: undefined, maxspanNs: undefined }, parts);
}

/** A plan of a sequence, sample or join. `undefined`: reported. */
export function planSteps(query: SeveralEventsQuery, parts: PlanParts): LoweredPlan | undefined {
  const { context } = parts;
  checkSteps(query, context);
  if (query.steps.length > PLAN_STEPS_MAX) {
    const message = `Query has ${query.steps.length} steps, the limit is ${PLAN_STEPS_MAX}; the same event several times in a row is one step with runs=N`;
    return fail(context, "too-many-steps", message, query.steps[PLAN_STEPS_MAX]!);
  }
  const keyContext = { ...context, names: namesOf(query, () => KEY_REASON) };
  const shared = lowerKeys(query.keys, keyContext);
  const lower = (step: Step, reference: (alias: number) => StepName, exceptions: readonly ConditionNode[]): LoweredStep => ({
    split: lowerCondition(step, { ...context, names: namesOf(query, reference) }, exceptions),
    keys: [...shared, ...lowerKeys(step.keys, keyContext)],
    missing: step.missing,
    runs: step.runs,
    fork: step.forkRange !== undefined,
    alias: step.alias?.name,
  });
  const steps = query.steps.map((step, index) => {
    return lower(step, (alias) => stepName(query, index, alias), step.missing ? [] : parts.exceptions);
  });
  const until = query.until === undefined ? undefined : lower(query.until, () => UNTIL_REASON, []);
  checkKeyTypes(
    [...steps, ...(until === undefined ? [] : [until])].map((step) => step.keys),
    context,
  );
  return assemble({ kind: query.kind, steps, until, maxspanNs: query.maxspan?.ns }, parts);
}

const KEY_REASON: StepName = { kind: "refused", reason: "A join key is of the step's own event, it cannot refer to another step" };
const UNTIL_REASON: StepName = {
  kind: "refused",
  reason: "until ends sequences of its key whichever step they have reached, it cannot refer to one",
};

interface LoweredStep {
  readonly split: SplitCondition;
  readonly keys: readonly LoweredKey[];
  readonly missing: boolean;
  readonly runs: number;
  readonly fork: boolean;
  readonly alias: string | undefined;
}

function lowerCondition(step: Step, context: LowerContext, exceptions: readonly ConditionNode[]): SplitCondition {
  return splitCondition(context.builder.and([lowerEvent(step.query, context), ...exceptions]), context.builder);
}

/** Names of the query's steps, the first of a name that is given twice, with what each stands for. */
function namesOf(query: SeveralEventsQuery, reference: (alias: number) => StepName): LowerContext["names"] {
  const aliases = new Map<string, StepName>();
  for (const [index, { alias }] of query.steps.entries()) {
    if (alias !== undefined && !aliases.has(alias.name)) aliases.set(alias.name, reference(index));
  }
  return { ...NO_NAMES, aliases };
}

/** What the name of step `alias` stands for in step `index`. A step with runs has several events; its name means the last of them. */
function stepName(query: SeveralEventsQuery, index: number, alias: number): StepName {
  const refused = (reason: string): StepName => ({ kind: "refused", reason });
  const name = query.steps[alias]?.alias?.name;
  if (query.kind !== "sequence") return refused(`The steps of a ${query.kind} have no order, none can refer to "${name}"`);
  if (alias === index) return refused(`"${name}" is this step itself, write the field without it`);
  if (alias > index) return refused(`"${name}" comes later, a step can refer to the ones before it only`);
  if (query.steps[alias]?.missing === true) return refused(`"${name}" is a missing event, it has no values`);
  return { kind: "step", step: alias };
}

interface Assembly {
  readonly kind: RulePlan["kind"];
  readonly steps: readonly LoweredStep[];
  readonly until: LoweredStep | undefined;
  readonly maxspanNs: bigint | undefined;
}

/** Gives every part its slot. */
function assemble({ kind, steps, until, maxspanNs }: Assembly, { context, lineages }: PlanParts): LoweredPlan | undefined {
  const endgame = context.dialect === "endgame";
  const conditions: ConditionNode[] = [];
  const slot = (condition: ConditionNode): number => conditions.push(condition) - 1;
  const expression = (residual: ConditionNode | undefined) => (residual === undefined ? undefined : { node: residual });
  const planStep = ({ split, keys, missing, runs, fork, alias }: LoweredStep): PlanStep => ({
    predicate: slot(split.predicate),
    residual: expression(split.residual),
    keys: keys.map((key) => key.part),
    missing,
    runs,
    fork,
    alias,
  });
  const { identity } = lineages;
  const plan: RulePlan = {
    kind,
    steps: steps.map(planStep),
    until: until === undefined ? undefined : planStep(until),
    lineages: lineages.lineages.map(({ relation, predicate, residual }) => {
      return { relation, predicate: slot(predicate), residual: expression(residual) };
    }),
    identity: identity === undefined ? undefined : { ...identity.fields, linkPredicate: slot(identity.link) },
    maxspanNs,
    untilFirst: endgame,
    keysFolded: context.foldsCase,
    orderedBy: endgame ? "completion" : "first",
    filter: undefined,
  };
  if (conditions.length > PLAN_SLOTS_MAX) {
    const message = `Query has ${conditions.length} parts (steps, until, lineages and what links processes), the limit is ${PLAN_SLOTS_MAX}`;
    return fail(context, "too-many-parts", message, { from: 0, to: 0 });
  }
  return { plan, conditions, lineageTexts: lineages.lineages.map((lineage) => lineage.text) };
}

/** Every expression of a plan: residuals and computed keys. */
export function planExpressions(plan: RulePlan): readonly IrNode[] {
  const steps = [...plan.steps, ...(plan.until === undefined ? [] : [plan.until])];
  const expressions = [
    ...steps.flatMap((step) => [step.residual, ...step.keys.map((key) => key.expression)]),
    ...plan.lineages.map((lineage) => lineage.residual),
    plan.filter,
  ];
  return expressions.flatMap((expression) => (expression === undefined ? [] : [expression.node as IrNode]));
}

/** The plan with the program's predicates instead of slots. */
export function withPredicates(plan: RulePlan, predicates: readonly number[]): RulePlan {
  const predicateOf = (slot: number): number => predicates[slot]!;
  const stepOf = (step: PlanStep): PlanStep => ({ ...step, predicate: predicateOf(step.predicate) });
  const { identity } = plan;
  return {
    ...plan,
    steps: plan.steps.map(stepOf),
    until: plan.until === undefined ? undefined : stepOf(plan.until),
    lineages: plan.lineages.map((lineage) => ({ ...lineage, predicate: predicateOf(lineage.predicate) })),
    identity: identity === undefined ? undefined : { ...identity, linkPredicate: predicateOf(identity.linkPredicate) },
  };
}
