// `child of […]`, `descendant of […]`, `event of […]`: each query inside becomes a slot of the plan, its truth for an event a node that the
// sequencer answers. Inner ones are collected before the ones around them; equal ones are one.
import type { FieldDefinition, LineageRelation, PlanLineage, ProcessIdentity } from "#schema";
import { PLAN_SLOTS_MAX } from "#schema";
import type { Dialect, LineageExpression } from "./ast.ts";
import type { Range } from "./diagnostics.ts";
import type { ConditionNode } from "./ir.ts";
import { fail, fieldNode, type LowerContext, NO_NAMES, type StepName } from "./lower-context.ts";
import { lowerEvent } from "./lower-event.ts";
import { type SplitCondition, splitCondition } from "./split.ts";

/** Fields that tell processes apart: of the process itself, of its parent, of all its ancestors. */
interface IdentityNames {
  readonly entity: string;
  readonly parent: string;
  readonly ancestry: string | undefined;
}

/** Names of the identity fields in each dialect. */
export const IDENTITY_NAMES: Readonly<Record<Dialect, IdentityNames>> = {
  default: { entity: "process.entity_id", parent: "process.parent.entity_id", ancestry: "process.Ext.ancestry" },
  endgame: { entity: "unique_pid", parent: "unique_ppid", ancestry: undefined },
};

/** A lineage before its predicate has a number. */
export interface LoweredLineage extends SplitCondition {
  readonly relation: PlanLineage["relation"];
  /** What stands inside the brackets. */
  readonly text: string;
}

/** The lineages of one query, in the order in which they must be answered. */
export class LineageCollector {
  readonly #lineages: LoweredLineage[] = [];
  #identity: LoweredIdentity | undefined;

  /** What was collected, inner ones first. */
  get lineages(): readonly LoweredLineage[] {
    return this.#lineages;
  }

  /** Set when something was collected. */
  get identity(): LoweredIdentity | undefined {
    return this.#identity;
  }

  /** Lowers one lineage. `undefined`: reported. */
  lower(expression: LineageExpression, context: LowerContext): ConditionNode | undefined {
    const { relation, query } = expression;
    const range = { from: expression.from, to: query.from };
    const condition = lowerEvent(query, insideOf(expression, context));
    if (!isRelation(relation)) return undefined;
    this.#identity ??= lowerIdentity(context);
    if (this.#identity === undefined) {
      const { entity, parent } = IDENTITY_NAMES[context.dialect];
      const message = `${relation} of needs the fields "${entity}" and "${parent}", which the schema does not have`;
      if (!context.lenientFields) return fail(context, "missing-identity", message, range);
      context.diagnostics.warning("missing-identity", message, range);
      return context.builder.truth(null);
    }
    const split = splitCondition(condition, context.builder);
    const same = (known: LoweredLineage) =>
      known.relation === relation && known.predicate === split.predicate && known.residual === split.residual;
    const known = this.#lineages.findIndex(same);
    if (known !== -1) return context.builder.lineage(relation, known);
    if (this.#lineages.length >= PLAN_SLOTS_MAX)
      return fail(context, "too-many-parts", `Query has more than ${PLAN_SLOTS_MAX} lineages`, range);
    return context.builder.lineage(relation, this.#lineages.push({ relation, text: textOf(query, context), ...split }) - 1);
  }
}

function textOf({ from, to }: Range, context: LowerContext): string {
  return context.text.slice(from, to);
}

function isRelation(relation: string): relation is LineageRelation {
  return relation === "child" || relation === "descendant" || relation === "event";
}

/** What the query inside sees: fields of its own event, no variables and no steps. */
function insideOf({ relation }: LineageExpression, context: LowerContext): LowerContext {
  const reason = `The query inside ${relation} of […] is about another process, it cannot refer to a step`;
  const refused: StepName = { kind: "refused", reason };
  const aliases = new Map([...context.names.aliases.keys()].map((name) => [name, refused]));
  return { ...context, names: { ...NO_NAMES, aliases }, lambdas: new Map(), lambdaDepth: 0 };
}

/** The identity's fields and the condition of its link predicate. */
interface LoweredIdentity {
  readonly fields: Omit<ProcessIdentity, "linkPredicate">;
  readonly link: ConditionNode;
}

function lowerIdentity(context: LowerContext): LoweredIdentity | undefined {
  const { builder, registry, dialect } = context;
  const names = IDENTITY_NAMES[dialect];
  const entity = registry.byName(names.entity);
  const parent = registry.byName(names.parent);
  const ancestry = names.ancestry === undefined ? undefined : registry.byName(names.ancestry);
  if (entity === undefined || parent === undefined) return undefined;
  const missing = (field: FieldDefinition) => builder.isNull(fieldNode(context, field));
  const link = builder.and([
    builder.not(missing(entity)),
    builder.not(missing(parent)),
    ...(ancestry === undefined ? [] : [missing(ancestry)]),
  ]);
  return { fields: { entityId: entity.id, parentId: parent.id, ancestryId: ancestry?.id }, link };
}
