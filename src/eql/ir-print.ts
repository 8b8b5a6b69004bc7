// The IR as text for goldens: one s-expression, indented by logic operator only, so that a diff shows the condition that changed.
import {
  type AddressBlock,
  type AndNode,
  type ConditionNode,
  constantText,
  type IrNode,
  type NotNode,
  type OrNode,
  type Pattern,
  type ValueNode,
  Wild,
} from "./ir.ts";

/** Prints a node. `!` after a word means exact case is ignored. */
export function printIr(node: IrNode, indent = ""): string {
  if (node.kind === "and" || node.kind === "or") {
    const inner = `${indent}  `;
    return `(${node.kind}${node.operands.map((operand) => `\n${inner}${printIr(operand, inner)}`).join("")})`;
  }
  if (node.kind === "not") return `(not ${printIr(node.operand, `${indent}  `)})`;
  return isValue(node) ? printValue(node, indent) : printAtom(node, indent);
}

function isValue(node: IrNode): node is ValueNode {
  return "type" in node;
}

function printValue(node: ValueNode, indent: string): string {
  const list = (nodes: readonly IrNode[]) => nodes.map((item) => printIr(item, indent)).join(" ");
  switch (node.kind) {
    case "const":
      return constantText(node.value);
    case "null":
      return "null";
    case "field":
      return node.name;
    case "element":
      return `${node.field.name}[${node.index}]`;
    case "earlier":
      return `#${node.step}.${node.field.name}${node.index === undefined ? "" : `[${node.index}]`}`;
    case "variable":
      return `$${node.index}`;
    case "arithmetic":
      return `(${node.operator}.${node.type} ${list([node.left, node.right])})`;
    case "convert":
      return `(${node.conversion} ${list([node.value])})`;
    case "call":
      return `(${node.name}${node.folded ? "!" : ""} ${list(node.operands)})`;
    case "default":
      return `(default ${list([node.value, node.fallback])})`;
    case "truthValue":
      return `(truthValue ${list([node.condition])})`;
    case "arrayCount":
      return `(arrayCount $${node.index} ${list([node.array, node.body])})`;
  }
}

type Atom = Exclude<ConditionNode, AndNode | OrNode | NotNode>;

function printAtom(node: Atom, indent: string): string {
  const print = (item: IrNode) => printIr(item, indent);
  switch (node.kind) {
    case "truth":
      return String(node.value);
    case "category":
      return `(category ${JSON.stringify(node.name)})`;
    case "isNull":
      return `(isNull ${print(node.value)})`;
    case "compare":
      return `(${node.operator}${node.folded ? "!" : ""} ${print(node.left)} ${print(node.right)})`;
    case "in":
      return `(in${node.folded ? "!" : ""} ${print(node.value)} ${node.constants.map(constantText).join(" ")})`;
    case "like":
      return `(like${node.folded ? "!" : ""} ${print(node.value)} ${node.patterns.map(patternText).join(" ")})`;
    case "regex":
      return `(regex${node.folded ? "!" : ""} ${print(node.value)} ${node.patterns.map((text) => JSON.stringify(text)).join(" ")})`;
    case "cidr":
      return `(cidr ${print(node.value)} ${node.blocks.map(blockText).join(" ")})`;
    case "lineage":
      return `(lineage ${node.relation} ${node.index})`;
    case "textTest":
      return `(${node.test}${node.folded ? "!" : ""} ${print(node.text)} ${print(node.part)})`;
    case "arraySearch":
      return `(arraySearch $${node.index} ${print(node.array)} ${print(node.body)})`;
  }
}

function patternText(pattern: Pattern): string {
  return `<${pattern.map((piece) => (piece === Wild.Many ? "*" : piece === Wild.One ? "?" : JSON.stringify(piece))).join("")}>`;
}

function blockText(block: AddressBlock): string {
  const { bytes, prefixBits } = block;
  if (bytes.length === 4) return `${bytes.join(".")}/${prefixBits}`;
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16));
  return `${groups.join(":")}/${prefixBits}`;
}
