// Constant folding: a node whose operands are all constants becomes the constant it evaluates to, and a function or atom with an operand
// that is never there becomes null. Uses the reference evaluator, so folding cannot disagree with it.
import type { ConditionNode, IrBuilder, ValueNode } from "./ir.ts";
import { evaluateCondition, evaluateValue, NO_EVENT } from "./reference.ts";

const EMPTY = { event: NO_EVENT, variables: [] };
/** Most text in the operands of a fold: the evaluator is quadratic, and what it makes must not turn a short query into a huge module. */
const FOLDED_TEXT_MAX = 1024;

/** The node, or the constant it stands for. */
export function foldValue(builder: IrBuilder, node: ValueNode): ValueNode {
  switch (node.kind) {
    case "arithmetic":
      return foldStrict(builder, node, [node.left, node.right]);
    case "convert":
      return foldStrict(builder, node, [node.value]);
    case "call":
      return foldStrict(builder, node, node.operands);
    case "default":
      return node.value.kind === "null" ? node.fallback : node.value.kind === "const" ? node.value : node;
    case "truthValue":
      if (node.condition.kind !== "truth") return node;
      return node.condition.value === null ? builder.nullValue("bool") : builder.constant("bool", node.condition.value);
    case "arrayCount":
      return foldArray(builder, node, node.array);
    default:
      return node;
  }
}

function foldStrict(builder: IrBuilder, node: ValueNode, operands: readonly ValueNode[]): ValueNode {
  if (operands.some((operand) => operand.kind === "null")) return builder.nullValue(node.type);
  return canFold(operands) ? constantOf(builder, node) : node;
}

function canFold(operands: readonly ValueNode[]): boolean {
  let length = 0;
  for (const operand of operands) {
    if (operand.kind !== "const") return false;
    if (typeof operand.value === "string") length += operand.value.length;
  }
  return length <= FOLDED_TEXT_MAX;
}

function foldArray(builder: IrBuilder, node: ValueNode, array: ValueNode): ValueNode {
  if (array.kind === "null") return builder.nullValue(node.type);
  return node;
}

function constantOf(builder: IrBuilder, node: ValueNode): ValueNode {
  const [value] = evaluateValue(node, EMPTY);
  if (value === undefined) return builder.nullValue(node.type);
  return builder.constant(node.type, value);
}

/** The node, or the truth it stands for. */
export function foldCondition(builder: IrBuilder, node: ConditionNode): ConditionNode {
  switch (node.kind) {
    case "compare":
      return foldAtom(builder, node, [node.left, node.right]);
    case "textTest":
      return foldAtom(builder, node, [node.text, node.part]);
    case "in":
    case "like":
    case "regex":
    case "cidr":
      return foldAtom(builder, node, [node.value]);
    case "arraySearch":
      return node.array.kind === "null" ? builder.truth(null) : node;
    case "isNull":
      if (node.value.kind === "null") return builder.truth(true);
      return node.value.kind === "const" || node.value.kind === "variable" ? builder.truth(false) : node;
    default:
      return node;
  }
}

function foldAtom(builder: IrBuilder, node: ConditionNode, operands: readonly ValueNode[]): ConditionNode {
  if (operands.some((operand) => operand.kind === "null")) return builder.truth(null);
  return canFold(operands) ? builder.truth(evaluateCondition(node, EMPTY)) : node;
}
