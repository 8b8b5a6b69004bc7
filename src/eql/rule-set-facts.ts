// What the back ends must know of a whole rule set before it writes code: fields read, constants that fields are compared with, conditions
// worth remembering. One walk over the shared nodes.
import { EntryType, type FieldType } from "#schema";
import { unreachable } from "./ast.ts";
import { foldText } from "./case-folding.ts";
import type { CompareNode, ConditionNode, FieldNode, InNode, IrNode } from "./ir.ts";

/** The constants one field is compared with, with or without regard to case: text → id from 1 on. */
export interface ConstantTable {
  readonly fieldId: number;
  readonly folded: boolean;
  readonly ids: Map<string, number>;
}

/** Facts of a rule set. */
export interface Facts {
  /** Entry type of each field that is read. */
  readonly fields: ReadonlyMap<number, EntryType>;
  /** By {@link tableKey}. */
  readonly tables: ReadonlyMap<string, ConstantTable>;
  /** Conditions that several places ask for and that cost more than remembering. */
  readonly shared: ReadonlySet<ConditionNode>;
}

/** Key of a field's constant table. */
export function tableKey(fieldId: number, folded: boolean): string {
  return `${fieldId}${folded ? "!" : ""}`;
}

/** A condition that asks whether a text field equals one of some constants; the constants are folded when `folded`. */
export interface Membership {
  readonly field: FieldNode;
  readonly folded: boolean;
  readonly texts: readonly string[];
}

/** The condition as a {@link Membership}, if it is one. */
export function membership(node: ConditionNode): Membership | undefined {
  if (node.kind === "in") return textMembership(node, node.value, node.constants);
  if (node.kind === "compare" && node.operator === "eq" && node.right.kind === "const") {
    return textMembership(node, node.left, [node.right.value]);
  }
  return undefined;
}

function textMembership(node: InNode | CompareNode, value: IrNode, constants: readonly unknown[]): Membership | undefined {
  if (value.kind !== "field" || value.type !== "string") return undefined;
  const texts = constants.filter((constant) => typeof constant === "string");
  return { field: value, folded: node.folded, texts: node.folded ? texts.map(foldText) : texts };
}

const ENTRY_TYPES: Readonly<Record<FieldType, EntryType>> = {
  keyword: EntryType.Keyword,
  "keyword[]": EntryType.Keyword,
  i64: EntryType.I64,
  u64: EntryType.U64,
  f64: EntryType.F64,
  bool: EntryType.Bool,
  ip: EntryType.Ip,
  date: EntryType.Date,
};

/** Walks everything that the predicates reach. */
export function collectFacts(roots: readonly ConditionNode[]): Facts {
  const fields = new Map<number, EntryType>();
  const tables = new Map<string, ConstantTable>();
  const uses = new Map<ConditionNode, number>();
  const seen = new Set<IrNode>();
  const pending: IrNode[] = [...roots];
  for (const root of roots) uses.set(root, 1);
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (seen.has(node)) continue;
    seen.add(node);
    if (node.kind === "field") fields.set(node.fieldId, ENTRY_TYPES[node.fieldType]);
    if (node.kind === "category") fields.set(node.fieldId, EntryType.Keyword);
    if (isCondition(node)) intern(node, tables);
    for (const child of childrenOf(node)) {
      if (isCondition(child)) uses.set(child, (uses.get(child) ?? 0) + 1);
      pending.push(child);
    }
  }
  const shared = new Set([...uses].filter(([node, count]) => count > 1 && node.free === 0 && isCostly(node)).map(([node]) => node));
  return { fields, tables, shared };
}

function intern(node: ConditionNode, tables: Map<string, ConstantTable>): void {
  const member = membership(node);
  if (member === undefined) return;
  const { field, folded, texts } = member;
  const key = tableKey(field.fieldId, folded);
  let table = tables.get(key);
  if (table === undefined) {
    table = { fieldId: field.fieldId, folded, ids: new Map() };
    tables.set(key, table);
  }
  for (const text of texts) if (!table.ids.has(text)) table.ids.set(text, table.ids.size + 1);
}

/** Set membership by id is cheaper than remembering it; the same for what only looks at the header or one word. */
function isCostly(node: ConditionNode): boolean {
  switch (node.kind) {
    case "truth":
    case "category":
    case "not":
      return false;
    case "isNull":
      return node.value.kind !== "field";
    case "compare":
      return membership(node) === undefined && (node.left.type === "string" || node.left.kind !== "field" || node.right.kind !== "const");
    case "in":
      return membership(node) === undefined;
    default:
      return true;
  }
}

/** Whether a node has a truth value. */
export function isCondition(node: IrNode): node is ConditionNode {
  return !("type" in node);
}

/** Operands of a node. */
export function childrenOf(node: IrNode): readonly IrNode[] {
  switch (node.kind) {
    case "const":
    case "null":
    case "field":
    case "variable":
    case "truth":
    case "category":
    case "lineage":
      return [];
    case "element":
    case "earlier":
      return [node.field];
    case "arithmetic":
    case "compare":
      return [node.left, node.right];
    case "convert":
    case "isNull":
    case "in":
    case "like":
    case "regex":
    case "cidr":
      return [node.value];
    case "call":
    case "and":
    case "or":
      return node.operands;
    case "default":
      return [node.value, node.fallback];
    case "truthValue":
      return [node.condition];
    case "arrayCount":
    case "arraySearch":
      return [node.array, node.body];
    case "textTest":
      return [node.text, node.part];
    case "not":
      return [node.operand];
    default:
      return unreachable(node);
  }
}

/** What a condition costs, roughly: 1 is a look at one word of the record, 20 a pass over a text. */
export function cost(node: ConditionNode): number {
  switch (node.kind) {
    case "truth":
      return 0;
    case "category":
      return 1;
    case "isNull":
      return node.value.kind === "field" ? 1 : 20;
    case "compare":
      return membership(node) !== undefined || (node.left.kind === "field" && node.left.type !== "string") ? 2 : 20;
    case "in":
      return membership(node) !== undefined ? 3 : 20;
    case "like":
      return 10 * node.patterns.length;
    case "textTest":
    case "cidr":
      return 20;
    case "regex":
      return 60 * node.patterns.length;
    case "arraySearch":
    case "lineage":
      return 100;
    case "not":
      return cost(node.operand);
    case "and":
    case "or":
      return node.operands.reduce((sum, operand) => sum + cost(operand), 0);
    default:
      unreachable(node);
  }
}

/** Operands by cost: their order makes no difference to the truth, only to the time. */
export function cheapestFirst(operands: readonly ConditionNode[]): readonly ConditionNode[] {
  return operands
    .map((operand) => ({ operand, price: cost(operand) }))
    .sort((a, b) => a.price - b.price)
    .map(({ operand }) => operand);
}
