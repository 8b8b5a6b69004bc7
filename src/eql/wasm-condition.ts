// Code for conditions. A condition is written in one of two ways: `isTrue` / `isFalse` leave 1 when it is certainly so, which is all that `and`, `or`
// and `not` ask of each other; `truth` leaves 0, 1 or 2 (null) where null makes a difference or the result is remembered.
import { unreachable } from "./ast.ts";
import {
  type AndNode,
  assertStateless,
  type CompareOperator,
  type ConditionNode,
  type IrNode,
  type OrNode,
  type TextTest,
  type ValueNode,
} from "./ir.ts";
import { cheapestFirst, childrenOf, isCondition, membership } from "./rule-set-facts.ts";
import { Op, WasmType } from "./wasm-encode.ts";
import type { ProgramLayout } from "./wasm-layout.ts";
import type { Guest } from "./wasm-link.ts";
import { type Operand, ValueWriter } from "./wasm-value.ts";

/** Numbers of the operators in the guest. */
const COMPARE: Readonly<Record<CompareOperator, number>> = { eq: 0, lt: 1, le: 2, gt: 3, ge: 4 };
const TEXT_TEST: Readonly<Record<TextTest, number>> = { startsWith: 0, endsWith: 1, contains: 2, containsOrEmpty: 3 };

const INT_OPS: Readonly<Record<CompareOperator, Op>> = { eq: Op.I64Eq, lt: Op.I64LtS, le: Op.I64LeS, gt: Op.I64GtS, ge: Op.I64GeS };
const FLOAT_OPS: Readonly<Record<CompareOperator, Op>> = { eq: Op.F64Eq, lt: Op.F64Lt, le: Op.F64Le, gt: Op.F64Gt, ge: Op.F64Ge };
const BOOL_OPS: Readonly<Record<CompareOperator, Op>> = { eq: Op.I32Eq, lt: Op.I32LtS, le: Op.I32LeS, gt: Op.I32GtS, ge: Op.I32GeS };

const FALSE = 0;
const TRUE = 1;
const NULL = 2;

/** Where the functions of shared conditions are. */
export type SharedFunctions = ReadonlyMap<ConditionNode, number>;

/** Writes one function: a predicate, or a shared condition. */
export class ConditionWriter extends ValueWriter {
  readonly #shared: SharedFunctions;

  constructor(guest: Guest, layout: ProgramLayout, shared: SharedFunctions) {
    super(guest, layout);
    this.#shared = shared;
  }

  /** A function that answers whether the condition is true. */
  predicate(root: ConditionNode): Uint8Array {
    this.isTrue(root);
    return this.code.finish();
  }

  /** A function that answers the truth of a condition and remembers it for the event: a cell holds the epoch and the truth. */
  remembered(node: ConditionNode): Uint8Array {
    const { code } = this;
    const cell = this.layout.memo(node);
    const known = code.local(WasmType.I64);
    code.i32(0);
    code.memory(Op.I64Load, cell);
    code.tee(known);
    code.i64(32n);
    code.op(Op.I64ShrU);
    code.op(Op.I32WrapI64);
    this.global("epoch");
    code.op(Op.I32Eq);
    code.open(Op.If);
    code.get(known);
    code.op(Op.I32WrapI64);
    code.op(Op.Return);
    code.end();
    const truth = code.local(WasmType.I32);
    this.#compute(node);
    code.set(truth);
    code.i32(0);
    this.global("epoch");
    code.op(Op.I64ExtendI32U);
    code.i64(32n);
    code.op(Op.I64Shl);
    code.get(truth);
    code.op(Op.I64ExtendI32U);
    code.op(Op.I64Or);
    code.memory(Op.I64Store, cell);
    code.get(truth);
    return code.finish();
  }

  /** Leaves 1 when the condition is true, else 0. */
  protected isTrue(node: ConditionNode): void {
    this.#is(node, true);
  }

  #is(node: ConditionNode, wanted: boolean): void {
    const { code } = this;
    if (node.kind === "not") {
      this.#is(node.operand, !wanted);
      return;
    }
    if (node.kind === "truth") {
      code.i32(node.value === wanted ? 1 : 0);
      return;
    }
    if ((node.kind === "and" || node.kind === "or") && !this.#shared.has(node)) {
      this.#all(cheapestFirst(node.operands), wanted, (node.kind === "and") === wanted);
      return;
    }
    this.truth(node);
    if (wanted) code.i32(TRUE);
    if (wanted) code.op(Op.I32Eq);
    else code.op(Op.I32Eqz);
  }

  /** Leaves whether all (or any) of the operands are as wanted, and stops at the first that decides. */
  #all(operands: readonly ConditionNode[], wanted: boolean, all: boolean): void {
    const { code } = this;
    const done = code.open(Op.Block, WasmType.I32);
    for (const [index, operand] of operands.entries()) {
      if (index === operands.length - 1) {
        this.#is(operand, wanted);
        break;
      }
      code.i32(all ? 0 : 1);
      this.#is(operand, wanted);
      if (all) code.op(Op.I32Eqz);
      code.branchIf(done);
      code.op(Op.Drop);
    }
    code.end();
  }

  /** Leaves the truth of the condition: 0, 1 or 2 for null. */
  protected truth(node: ConditionNode): void {
    const shared = this.#shared.get(node);
    if (shared !== undefined) this.code.call(shared);
    else this.#compute(node);
  }

  #compute(node: ConditionNode): void {
    const { code, layout } = this;
    switch (node.kind) {
      case "truth":
        code.i32(node.value === null ? NULL : node.value ? TRUE : FALSE);
        return;
      case "category":
        code.i32(node.categoryId);
        code.i32(layout.slot(node.fieldId));
        code.i32(layout.string(node.name, false));
        this.call("isCategory");
        return;
      case "not":
        this.#not(node.operand);
        return;
      case "and":
      case "or":
        this.#logic(node);
        return;
      case "isNull":
        this.#isNull(node.value);
        return;
      case "arraySearch":
        this.#atom([node.array], (done, result) => {
          this.each(node.array, false, (element) => this.bind(node.index, element, () => this.#settleTruth(node.body, done, result)));
        });
        return;
      case "compare":
      case "in":
      case "like":
      case "regex":
      case "cidr":
      case "textTest":
        if (!this.#fieldTest(node)) this.#test(node);
        return;
      case "lineage":
        assertStateless(node);
        return;
      default:
        unreachable(node);
    }
  }

  #not(operand: ConditionNode): void {
    const { code } = this;
    const truth = code.local(WasmType.I32);
    this.truth(operand);
    code.set(truth);
    code.i32(NULL);
    code.get(truth);
    code.op(Op.I32Eqz);
    code.get(truth);
    code.i32(NULL);
    code.op(Op.I32Eq);
    code.op(Op.Select);
    code.freeLocal(truth);
  }

  /** Three-valued `and` / `or`: the deciding truth ends it, a null is kept in mind. */
  #logic(node: AndNode | OrNode): void {
    const { code } = this;
    const deciding = node.kind === "and" ? FALSE : TRUE;
    const result = code.local(WasmType.I32);
    const truth = code.local(WasmType.I32);
    code.i32(1 - deciding);
    code.set(result);
    const done = code.open(Op.Block);
    for (const operand of cheapestFirst(node.operands)) {
      this.truth(operand);
      code.tee(truth);
      code.i32(1 - deciding);
      code.op(Op.I32Ne);
      code.open(Op.If);
      code.get(truth);
      code.set(result);
      code.get(truth);
      code.i32(NULL);
      code.op(Op.I32Ne);
      code.branchIf(done);
      code.end();
    }
    code.end();
    code.get(result);
    code.freeLocal(result);
    code.freeLocal(truth);
  }

  #isNull(value: ValueNode): void {
    const { code } = this;
    if (value.kind === "field") {
      code.i32(0);
      code.memory(Op.I32Load, this.layout.slot(value.fieldId));
      code.op(Op.I32Eqz);
      return;
    }
    const result = code.local(WasmType.I32);
    code.i32(TRUE);
    code.set(result);
    this.#temporariesOf([value], () => {
      const done = code.open(Op.Block);
      this.each(value, false, () => {
        code.i32(FALSE);
        code.set(result);
        code.branch(done);
      });
      code.end();
    });
    code.get(result);
    code.freeLocal(result);
  }

  #temporariesOf(values: readonly IrNode[], write: () => void): void {
    if (values.some(makesStrings)) this.temporaries(write);
    else write();
  }

  /** A condition that is true if true for any combination, else false if there is one, else null. */
  #atom(values: readonly IrNode[], write: (done: { readonly depth: number }, result: number) => void): void {
    const { code } = this;
    const result = code.local(WasmType.I32);
    code.i32(NULL);
    code.set(result);
    this.#temporariesOf(values, () => {
      const done = code.open(Op.Block);
      write(done, result);
      code.end();
    });
    code.get(result);
    code.freeLocal(result);
  }

  /** Takes the 0 or 1 on the stack as the result of one combination. */
  #settle(done: { readonly depth: number }, result: number): void {
    const { code } = this;
    code.tee(result);
    code.branchIf(done);
  }

  #settleTruth(body: ConditionNode, done: { readonly depth: number }, result: number): void {
    const { code } = this;
    const truth = code.local(WasmType.I32);
    this.truth(body);
    code.tee(truth);
    code.i32(NULL);
    code.op(Op.I32Ne);
    code.open(Op.If);
    code.get(truth);
    this.#settle(done, result);
    code.end();
    code.freeLocal(truth);
  }

  /** A test of a text field against constants is one call. */
  #fieldTest(node: Atom): boolean {
    const { code, layout } = this;
    const member = membership(node);
    if (member !== undefined) {
      code.i32(layout.slot(member.field.fieldId));
      code.i32(member.folded ? 1 : 0);
      if (member.texts.length === 1) {
        code.i32(layout.ids(member)[0]!);
        this.call("fieldIs");
      } else {
        code.i32(layout.bits(member));
        this.call("fieldIn");
      }
      return true;
    }
    if (node.kind === "like" && node.value.kind === "field") {
      code.i32(layout.slot(node.value.fieldId));
      code.i32(node.folded ? 1 : 0);
      code.i32(layout.patterns(node.patterns, node.folded));
      this.call("fieldLike");
      return true;
    }
    if (node.kind === "regex" && node.value.kind === "field") {
      code.i32(layout.slot(node.value.fieldId));
      code.i32(layout.pool.regexes(node));
      this.call("fieldRegex");
      return true;
    }
    if (node.kind === "textTest" && node.text.kind === "field" && node.part.kind === "const") {
      code.i32(layout.slot(node.text.fieldId));
      code.i32(node.folded ? 1 : 0);
      code.i32(TEXT_TEST[node.test]);
      this.constant("string", node.part.value, node.folded).push();
      this.call("fieldTest");
      return true;
    }
    return false;
  }

  #test(node: Atom): void {
    const { code, layout } = this;
    const values = childrenOf(node).filter((child) => !isCondition(child)) as ValueNode[];
    const folded = "folded" in node && node.folded && node.kind !== "regex";
    this.#atom(folded ? [node] : values, (done, result) => {
      this.eachOf(values, folded, (operands) => {
        const [first, second] = operands as [Operand, Operand];
        switch (node.kind) {
          case "compare":
            this.#compare(node.operator, node.left, [first, second]);
            break;
          case "in":
            this.#in(node, first);
            break;
          case "like":
            first.push();
            code.i32(layout.patterns(node.patterns, node.folded));
            this.call("wildcardAny");
            break;
          case "regex":
            first.push();
            code.i32(layout.pool.regexes(node));
            this.call("regexAny");
            break;
          case "cidr":
            first.push();
            code.i32(layout.pool.blocks(node.blocks));
            this.call("cidr");
            break;
          case "textTest":
            first.push();
            second.push();
            code.i32(TEXT_TEST[node.test]);
            this.call("textTest");
            break;
          default:
            unreachable(node);
        }
        this.#settle(done, result);
      });
    });
  }

  /** Leaves 0 or 1. */
  #compare(operator: CompareOperator, { type }: Pick<ValueNode, "type">, [left, right]: readonly [Operand, Operand]): void {
    const { code } = this;
    switch (type) {
      case "bool":
      case "int":
      case "float":
        left.push();
        right.push();
        code.op((type === "bool" ? BOOL_OPS : type === "int" ? INT_OPS : FLOAT_OPS)[operator]);
        return;
      case "number":
        code.i32(COMPARE[operator]);
        left.pushTag();
        left.push();
        right.pushTag();
        right.push();
        this.call("compareNumber");
        return;
      case "string":
        left.push();
        right.push();
        if (operator === "eq") {
          this.call("equal");
          return;
        }
        this.call("compare");
        code.i32(0);
        code.op(BOOL_OPS[operator]);
        return;
      default:
        unreachable(type);
    }
  }

  /** Leaves whether the element equals one of the constants. */
  #in(node: Extract<ConditionNode, { readonly kind: "in" }>, element: Operand): void {
    const { code } = this;
    const done = code.open(Op.Block, WasmType.I32);
    for (const constant of node.constants) {
      code.i32(1);
      this.#compare("eq", node.value, [element, this.constant(node.value.type, constant, node.folded)]);
      code.branchIf(done);
      code.op(Op.Drop);
    }
    code.i32(0);
    code.end();
  }
}

type Atom = Extract<ConditionNode, { readonly kind: "compare" | "in" | "like" | "regex" | "cidr" | "textTest" }>;

/** Whether evaluating a value leaves temporary strings behind. */
function makesStrings(node: IrNode): boolean {
  if (node.kind === "call" || node.kind === "convert" || node.kind === "default") return true;
  if ("folded" in node && node.folded) return true;
  return childrenOf(node).some(makesStrings);
}
