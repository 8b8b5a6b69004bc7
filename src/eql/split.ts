// Splits a condition into what needs no state, which a program's predicate can test on every event, and the rest, which only the sequencer
// can know. The predicate is implied by the condition: it never holds back an event that the condition would take.
import type { ConditionNode, IrBuilder } from "./ir.ts";

/** A condition in two parts; it is true when both are. */
export interface SplitCondition {
  readonly predicate: ConditionNode;
  /** `undefined`: the predicate is the whole condition. */
  readonly residual: ConditionNode | undefined;
}

/** Splits at the top-level `and`; of what stays in the residual the predicate holds as much as can be told without state. */
export function splitCondition(condition: ConditionNode, builder: IrBuilder): SplitCondition {
  if (!condition.stateful) return { predicate: condition, residual: undefined };
  const conjuncts = condition.kind === "and" ? condition.operands : [condition];
  return {
    predicate: builder.and(conjuncts.map((conjunct) => necessary(conjunct, true, builder))),
    residual: builder.and(conjuncts.filter((conjunct) => conjunct.stateful)),
  };
}

/** A stateless condition that is true whenever `node` has the truth `wanted`. */
function necessary(node: ConditionNode, wanted: boolean, builder: IrBuilder): ConditionNode {
  if (!node.stateful) return wanted ? node : builder.not(node);
  switch (node.kind) {
    case "not":
      return necessary(node.operand, !wanted, builder);
    case "and":
    case "or": {
      const parts = node.operands.map((operand) => necessary(operand, wanted, builder));
      return (node.kind === "and") === wanted ? builder.and(parts) : builder.or(parts);
    }
    default:
      return builder.truth(true);
  }
}
