// The typed, hash-consed IR: what an EQL query means once dialect, sugar and types are resolved. Equal nodes are one object with one id, so
// a back end may keep a result for a node and reuse it in every predicate that holds the node.
// Invariant: nodes are made by IrBuilder only, operands have exactly the types their node asks for, and nothing here depends on a dialect.
//
// A Value is a list of non-null elements of one type; the empty list is null. A Condition is true, false or null.
//   Value functions (arithmetic, call, convert) map over every combination of their operands' elements, each occurrence of a field
//   standing for itself, and drop null results. A null operand (empty list) leaves no combination, so the result is null.
//   Atoms (compare, in, like, regex, cidr, textTest) are true if any combination is true, else false if any is false, else null;
//   arraySearch is the same over the elements of its array. `!=` and `not in` are `not` over the atom.
//   and, or, not are three-valued over their operands; isNull and category are never null.
import type { FieldType, LineageRelation } from "#schema";
import type { RegexTable } from "./regex.ts";
import type { RegexFlavour } from "./regex-parse.ts";

/**
 * Type of a value's elements. `int` is i64; dates are int nanoseconds. `number` is decided at run time and tagged: an i64, an integer in
 * 2^63…2^64-1 (from u64 fields; compares as such, arithmetic makes it null) or an f64. `string` is Unicode text without lone surrogates.
 */
export type ValueType = "bool" | "int" | "float" | "number" | "string";

/** A constant element: boolean; bigint for `int`; number for `float`; bigint or number for `number`; string. */
export type ConstantValue = boolean | bigint | number | string;

interface Base {
  /** Unique within one builder; operands always have smaller ids than their node. */
  readonly id: number;
  /** Bit i set: the node mentions lambda variable i from outside; such a node has no value of its own. 0: closed. */
  readonly free: number;
  /** Nodes on the longest way down to a leaf, this one included. */
  readonly depth: number;
  /** Depends on earlier events (`earlier` or `lineage` is in it): nothing for a back end, only for the evaluator of residuals. */
  readonly stateful: boolean;
}

interface ValueBase extends Base {
  readonly type: ValueType;
}

/** A value that is always there. */
export interface ConstNode extends ValueBase {
  readonly kind: "const";
  readonly value: ConstantValue;
}

/** A value that is never there. */
export interface NullNode extends ValueBase {
  readonly kind: "null";
}

/** All elements of a field; keyword and ip are string, i64 and date int, u64 number. An entry of another type than declared is null. */
export interface FieldNode extends ValueBase {
  readonly kind: "field";
  readonly fieldId: number;
  readonly name: string;
  readonly fieldType: FieldType;
}

/** One element of a field by position (`a[0]`), null beyond the end. A scalar is its own element 0. */
export interface ElementNode extends ValueBase {
  readonly kind: "element";
  readonly field: FieldNode;
  readonly index: number;
}

/**
 * A field, or with `index` one element of it, of another event than the one at hand: in the residual of a step, of the last event that
 * filled step `step`; in a pipe, of the `step`-th event of the result. Null when there is no such event.
 */
export interface EarlierNode extends ValueBase {
  readonly kind: "earlier";
  readonly step: number;
  readonly field: FieldNode;
  readonly index: number | undefined;
}

/** A lambda's variable: one element of the array of the enclosing lambda that binds `index` (outermost lambda 0, then 1, …). */
export interface VariableNode extends ValueBase {
  readonly kind: "variable";
  readonly index: number;
}

/**
 * `divide`, `modulo` truncate toward zero (sign of the dividend); `floorDivide`, `floorModulo` round down (sign of the divisor).
 * On floats `divide` = `floorDivide` = plain division. i64 overflow, division or modulo by zero and a non-finite float are null.
 */
export type ArithmeticOperator = "add" | "subtract" | "multiply" | "divide" | "modulo" | "floorDivide" | "floorModulo";

/** Both operands have the node's type, one of int, float, number. number ∘ number: two ints are int arithmetic, else both become float. */
export interface ArithmeticNode extends ValueBase {
  readonly kind: "arithmetic";
  readonly type: "int" | "float" | "number";
  readonly operator: ArithmeticOperator;
  readonly left: ValueNode;
  readonly right: ValueNode;
}

/**
 * What a conversion does. `numberToInt` is null for fractions and what does not fit i64. Text of a float is the shortest decimal that reads
 * back, as JavaScript prints it, with `.0` after a whole number without exponent (-0 is `0.0`); of a boolean `true` or `false`.
 */
export type Conversion =
  | "intToFloat"
  | "intToNumber"
  | "floatToNumber"
  | "numberToInt"
  | "intToString"
  | "floatToString"
  | "numberToString"
  | "boolToString";

/** An element-wise change of type. */
export interface ConvertNode extends ValueBase {
  readonly kind: "convert";
  readonly conversion: Conversion;
  readonly value: ValueNode;
}

/**
 * Functions that give a value. Positions and lengths count code points.
 * - `length(string) → int`
 * - `indexOf(text: string, part: string, start: int) → int`: first position ≥ max(start, 0), null when absent or start > length. May fold.
 * - `substring(text: string, start: int, end: int) → string`: negative positions count from the end, then both are clamped to 0…length;
 *   start ≥ end is "".
 * - `between(text: string, left: string, right: string, greedy: bool) → string`: what lies after the first `left` and before the first
 *   (greedy: last) `right` at or after the end of that `left`; "" when either is not found. May fold.
 * - `betweenOrNull`: the same, null when either is not found. May fold.
 * - `concat(string, string, …) → string`: at least two.
 * - `parseNumber(text: string, base: int) → number`: base 0: optional sign, then `0x` hex digits, or decimal digits with optional fraction and
 *   exponent (int unless fraction or exponent is there; out of i64 becomes float). Base 2…36: optional sign, base 16 may have `0x`, digits of
 *   the base; base 10 also takes a fraction and exponent. ASCII spaces around do not count. Anything else is null; so is what is out of
 *   i64 in another base than 10, and what no float can hold.
 */
export type FunctionName = "length" | "indexOf" | "substring" | "between" | "betweenOrNull" | "concat" | "parseNumber";

/** A function call; `folded` compares text under simple case folding (positions still count the original text). */
export interface CallNode extends ValueBase {
  readonly kind: "call";
  readonly name: FunctionName;
  readonly folded: boolean;
  readonly operands: readonly ValueNode[];
}

/** The whole list of `value`, or when that is null the whole list of `fallback`: how optional arguments take their default. */
export interface DefaultNode extends ValueBase {
  readonly kind: "default";
  readonly value: ValueNode;
  readonly fallback: ValueNode;
}

/** A condition as a value: one bool, or null. */
export interface TruthValueNode extends ValueBase {
  readonly kind: "truthValue";
  readonly type: "bool";
  readonly condition: ConditionNode;
}

/** How many elements of the array make the body true; null for a null array. The body sees an element as variable `index`. */
export interface ArrayCountNode extends ValueBase {
  readonly kind: "arrayCount";
  readonly type: "int";
  readonly array: ValueNode;
  readonly index: number;
  readonly body: ConditionNode;
}

/** Anything with elements. */
export type ValueNode =
  | ConstNode
  | NullNode
  | FieldNode
  | ElementNode
  | EarlierNode
  | VariableNode
  | ArithmeticNode
  | ConvertNode
  | CallNode
  | DefaultNode
  | TruthValueNode
  | ArrayCountNode;

/** A condition known at compile time. */
export interface TruthNode extends Base {
  readonly kind: "truth";
  readonly value: boolean | null;
}

/**
 * The header's category is `categoryId`; or it is CATEGORY_SEVERAL or CATEGORY_OTHER and some element of the category field is exactly
 * `name`. (`categoryId` is CATEGORY_OTHER itself when the table was full: then only the second way counts.) Never null.
 */
export interface CategoryNode extends Base {
  readonly kind: "category";
  readonly categoryId: number;
  readonly name: string;
  /** Id of `event.category`. */
  readonly fieldId: number;
}

/** True when the value is the empty list. Never null. */
export interface IsNullNode extends Base {
  readonly kind: "isNull";
  readonly value: ValueNode;
}

export type CompareOperator = "eq" | "lt" | "le" | "gt" | "ge";

/**
 * Both operands have one type. int: signed 64 bit. float: IEEE. number: two integers compare exactly, a float and an integer as floats.
 * bool: false < true. string: by code points, after simple case folding when `folded`. A lone constant operand is on the right.
 */
export interface CompareNode extends Base {
  readonly kind: "compare";
  readonly operator: CompareOperator;
  readonly left: ValueNode;
  readonly right: ValueNode;
  readonly folded: boolean;
}

/** An element equals (as `compare eq`) one of the constants, which have the value's type, are distinct and at least one. */
export interface InNode extends Base {
  readonly kind: "in";
  readonly value: ValueNode;
  readonly constants: readonly ConstantValue[];
  readonly folded: boolean;
}

/** What a pattern holds beside literal text. */
export const enum Wild {
  /** Any run of code points, line breaks too, also none. */
  Many = 0,
  /** Exactly one code point. */
  One = 1,
}

/** A wildcard pattern for a whole text: literal pieces (non-empty strings, never two in a row) and wildcards (never two Many in a row). */
export type Pattern = readonly (string | Wild)[];

/** An element matches one of the patterns as a whole. At least one pattern; each holds a wildcard. */
export interface LikeNode extends Base {
  readonly kind: "like";
  readonly value: ValueNode;
  readonly patterns: readonly Pattern[];
  readonly folded: boolean;
}

/**
 * An element matches one of the regular expressions. Their tables go with them: a plan's residual is evaluated in an agent whose thread does not
 * carry the library that makes them.
 */
export interface RegexNode extends Base {
  readonly kind: "regex";
  readonly value: ValueNode;
  readonly patterns: readonly string[];
  readonly tables: readonly RegexTable[];
  readonly folded: boolean;
  readonly flavour: RegexFlavour;
}

/** An address block: 4 or 16 address bytes with the host bits zeroed, and the length of the prefix in bits. */
export interface AddressBlock {
  readonly bytes: readonly number[];
  readonly prefixBits: number;
}

/** An element is an IP address inside one of the blocks. ::ffff:a.b.c.d counts as a.b.c.d; what is not an address is false. */
export interface CidrNode extends Base {
  readonly kind: "cidr";
  readonly value: ValueNode;
  readonly blocks: readonly AddressBlock[];
}

/** `contains` is false for an empty part; `containsOrEmpty` true. */
export type TextTest = "startsWith" | "endsWith" | "contains" | "containsOrEmpty";

/** Whether a text has a part in a place. Both operands are strings. */
export interface TextTestNode extends Base {
  readonly kind: "textTest";
  readonly test: TextTest;
  readonly text: ValueNode;
  readonly part: ValueNode;
  readonly folded: boolean;
}

/** The body, an element of the array standing for variable `index`: true if true for any element, else false if false for any, else null. */
export interface ArraySearchNode extends Base {
  readonly kind: "arraySearch";
  readonly array: ValueNode;
  readonly index: number;
  readonly body: ConditionNode;
}

/** The event's process is a child or descendant of one that the plan's lineage `index` is about, or is that process itself (`event`). */
export interface LineageNode extends Base {
  readonly kind: "lineage";
  readonly relation: LineageRelation;
  readonly index: number;
}

export interface NotNode extends Base {
  readonly kind: "not";
  readonly operand: ConditionNode;
}

/** Three-valued conjunction or disjunction of at least two distinct operands, none of them of the same kind as the node. */
export interface AndNode extends Base {
  readonly kind: "and";
  readonly operands: readonly ConditionNode[];
}

/** See {@link AndNode}. */
export interface OrNode extends Base {
  readonly kind: "or";
  readonly operands: readonly ConditionNode[];
}

/** Anything with a truth value. */
export type ConditionNode =
  | TruthNode
  | CategoryNode
  | IsNullNode
  | CompareNode
  | InNode
  | LikeNode
  | RegexNode
  | CidrNode
  | TextTestNode
  | ArraySearchNode
  | LineageNode
  | NotNode
  | AndNode
  | OrNode;

export type IrNode = ValueNode | ConditionNode;

/** Most nodes on a way from a query's root to a leaf: what back ends may recurse over. */
export const IR_DEPTH_MAX = 128;
/** Most lambdas inside one another. */
export const LAMBDA_DEPTH_MAX = 16;

type Fields<N extends IrNode> = Omit<N, "id" | "free" | "depth" | "stateful" | "kind">;

/** Makes and shares nodes. One builder for one rule set. */
export class IrBuilder {
  readonly #nodes = new Map<string, IrNode>();

  /** Number of distinct nodes so far; ids are below it. */
  get size(): number {
    return this.#nodes.size;
  }

  constant(type: ValueType, value: ConstantValue): ConstNode {
    return this.#make(`${type} ${typeof value} ${Object.is(value, -0) ? "-0" : String(value)}`, [], (base) => {
      return { ...base, kind: "const", type, value };
    });
  }

  nullValue(type: ValueType): NullNode {
    return this.#make(`null ${type}`, [], (base) => ({ ...base, kind: "null", type }));
  }

  field(fields: Omit<Fields<FieldNode>, "type">): FieldNode {
    const type = elementType(fields.fieldType);
    return this.#make(`field ${fields.fieldId}`, [], (base) => ({ ...base, kind: "field", ...fields, type }));
  }

  element(field: FieldNode, index: number): ElementNode {
    return this.#make(`element ${field.id} ${index}`, [field], (base) => ({ ...base, kind: "element", type: field.type, field, index }));
  }

  earlier(step: number, field: FieldNode, index?: number): EarlierNode {
    return this.#make(`earlier ${step} ${field.id} ${index}`, [field], (base) => {
      return { ...base, stateful: true, kind: "earlier", type: field.type, step, field, index };
    });
  }

  variable(index: number, type: ValueType): VariableNode {
    return this.#make(`variable ${index} ${type}`, [], (base) => ({ ...base, free: 1 << index, kind: "variable", type, index }));
  }

  arithmetic(fields: Fields<ArithmeticNode>): ArithmeticNode {
    const { type, operator, left, right } = fields;
    const key = `arithmetic ${type} ${operator} ${left.id} ${right.id}`;
    return this.#make(key, [left, right], (base) => ({ ...base, kind: "arithmetic", ...fields }));
  }

  convert(conversion: Conversion, value: ValueNode): ConvertNode {
    const type = CONVERSION_RESULT[conversion];
    return this.#make(`${conversion} ${value.id}`, [value], (base) => ({ ...base, kind: "convert", type, conversion, value }));
  }

  call(name: FunctionName, operands: readonly ValueNode[], folded = false): CallNode {
    const type = FUNCTION_RESULT[name];
    const key = `call ${name} ${folded} ${idsOf(operands)}`;
    return this.#make(key, operands, (base) => ({ ...base, kind: "call", type, name, folded, operands }));
  }

  withDefault(value: ValueNode, fallback: ValueNode): DefaultNode {
    return this.#make(`default ${value.id} ${fallback.id}`, [value, fallback], (base) => {
      return { ...base, kind: "default", type: value.type, value, fallback };
    });
  }

  truthValue(condition: ConditionNode): TruthValueNode {
    return this.#make(`truthValue ${condition.id}`, [condition], (base) => ({ ...base, kind: "truthValue", type: "bool", condition }));
  }

  arrayCount(array: ValueNode, index: number, body: ConditionNode): ArrayCountNode {
    return this.#make(`arrayCount ${array.id} ${index} ${body.id}`, [array, body], (base) => {
      return { ...base, free: base.free & ~(1 << index), kind: "arrayCount", type: "int", array, index, body };
    });
  }

  truth(value: boolean | null): TruthNode {
    return this.#make(`truth ${value}`, [], (base) => ({ ...base, kind: "truth", value }));
  }

  category(fields: Fields<CategoryNode>): CategoryNode {
    return this.#make(`category ${fields.name}`, [], (base) => ({ ...base, kind: "category", ...fields }));
  }

  isNull(value: ValueNode): IsNullNode {
    return this.#make(`isNull ${value.id}`, [value], (base) => ({ ...base, kind: "isNull", value }));
  }

  compare(fields: Fields<CompareNode>): CompareNode {
    const { operator, left, right, folded } = fields;
    const key = `compare ${operator} ${folded} ${left.id} ${right.id}`;
    return this.#make(key, [left, right], (base) => ({ ...base, kind: "compare", ...fields }));
  }

  /** The constants' order and repeats make no difference. */
  in(value: ValueNode, constants: readonly ConstantValue[], folded = false): InNode {
    const distinct = [...new Map(constants.map((item) => [constantText(item), item]))].sort(([a], [b]) => (a < b ? -1 : 1));
    const key = `in ${folded} ${value.id} ${distinct.map(([text]) => text).join(" ")}`;
    return this.#make(key, [value], (base) => ({ ...base, kind: "in", value, constants: distinct.map(([, item]) => item), folded }));
  }

  like(value: ValueNode, patterns: readonly Pattern[], folded = false): LikeNode {
    const key = `like ${folded} ${value.id} ${JSON.stringify(patterns)}`;
    return this.#make(key, [value], (base) => ({ ...base, kind: "like", value, patterns, folded }));
  }

  regex(fields: Fields<RegexNode>): RegexNode {
    const { value, patterns, folded, flavour } = fields;
    const key = `regex ${flavour} ${folded} ${value.id} ${JSON.stringify(patterns)}`;
    return this.#make(key, [value], (base) => ({ ...base, kind: "regex", ...fields }));
  }

  cidr(value: ValueNode, blocks: readonly AddressBlock[]): CidrNode {
    return this.#make(`cidr ${value.id} ${JSON.stringify(blocks)}`, [value], (base) => ({ ...base, kind: "cidr", value, blocks }));
  }

  textTest(fields: Fields<TextTestNode>): TextTestNode {
    const { test, text, part, folded } = fields;
    const key = `textTest ${test} ${folded} ${text.id} ${part.id}`;
    return this.#make(key, [text, part], (base) => ({ ...base, kind: "textTest", ...fields }));
  }

  arraySearch(array: ValueNode, index: number, body: ConditionNode): ArraySearchNode {
    return this.#make(`arraySearch ${array.id} ${index} ${body.id}`, [array, body], (base) => {
      return { ...base, free: base.free & ~(1 << index), kind: "arraySearch", array, index, body };
    });
  }

  lineage(relation: LineageRelation, index: number): LineageNode {
    return this.#make(`lineage ${relation} ${index}`, [], (base) => ({ ...base, stateful: true, kind: "lineage", relation, index }));
  }

  /** Negation; a double negation and a known truth are simplified. */
  not(operand: ConditionNode): ConditionNode {
    if (operand.kind === "not") return operand.operand;
    if (operand.kind === "truth") return this.truth(operand.value === null ? null : !operand.value);
    return this.#make<NotNode>(`not ${operand.id}`, [operand], (base) => ({ ...base, kind: "not", operand }));
  }

  /** Conjunction of any number of conditions; nested ones, repeats and known truths are simplified. */
  and(operands: readonly ConditionNode[]): ConditionNode {
    return this.#logic("and", operands);
  }

  /** Disjunction of any number of conditions; nested ones, repeats and known truths are simplified. */
  or(operands: readonly ConditionNode[]): ConditionNode {
    return this.#logic("or", operands);
  }

  #logic(kind: "and" | "or", operands: readonly ConditionNode[]): ConditionNode {
    const neutral = kind === "and";
    const flat = new Set<ConditionNode>();
    for (const operand of operands) {
      if (operand.kind === kind) for (const inner of operand.operands) flat.add(inner);
      else flat.add(operand);
    }
    const kept = [...flat].filter((node) => !(node.kind === "truth" && node.value === neutral));
    if (kept.some((node) => node.kind === "truth" && node.value === !neutral)) return this.truth(!neutral);
    if (kept.length === 0) return this.truth(neutral);
    if (kept.length === 1) return kept[0]!;
    return this.#make<AndNode | OrNode>(`${kind} ${idsOf(kept)}`, kept, (base) => ({ ...base, kind, operands: kept }));
  }

  #make<N extends IrNode>(key: string, operands: readonly IrNode[], create: (base: Base) => N): N {
    const known = this.#nodes.get(key);
    if (known !== undefined) return known as N;
    let free = 0;
    let depth = 1;
    let stateful = false;
    for (const operand of operands) {
      free |= operand.free;
      stateful ||= operand.stateful;
      depth = Math.max(depth, operand.depth + 1);
    }
    const node = create({ id: this.#nodes.size, free, depth, stateful });
    this.#nodes.set(key, node);
    return node;
  }
}

const CONVERSION_RESULT: Readonly<Record<Conversion, ValueType>> = {
  intToFloat: "float",
  intToNumber: "number",
  floatToNumber: "number",
  numberToInt: "int",
  intToString: "string",
  floatToString: "string",
  numberToString: "string",
  boolToString: "string",
};

const FUNCTION_RESULT: Readonly<Record<FunctionName, ValueType>> = {
  length: "int",
  indexOf: "int",
  substring: "string",
  between: "string",
  betweenOrNull: "string",
  concat: "string",
  parseNumber: "number",
};

/** Type of the elements of a field. */
function elementType(fieldType: FieldType): ValueType {
  switch (fieldType) {
    case "keyword":
    case "keyword[]":
    case "ip":
      return "string";
    case "i64":
    case "date":
      return "int";
    case "u64":
      return "number";
    case "f64":
      return "float";
    case "bool":
      return "bool";
  }
}

/** For back ends: what depends on earlier events is never part of a program. */
export function assertStateless(node: EarlierNode | LineageNode): never {
  throw new Error(`Assertion failed: ${node.kind} in a predicate`);
}

function idsOf(nodes: readonly IrNode[]): string {
  return nodes.map((node) => node.id).join(" ");
}

/** Text of a constant in prints and keys: different for different constants, also of different types. */
export function constantText(value: ConstantValue): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
      return Number.isInteger(value) ? `${Object.is(value, -0) ? "-0" : value}.0` : String(value);
    default:
      return String(value);
  }
}
