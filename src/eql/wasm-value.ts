// Code for values. A value is a list, so its code is a loop: `each` writes code that runs `body` once for every element; operands of a function are
// loops inside one another, and a null result skips to the next combination.
import { unreachable } from "./ast.ts";
import {
  type ArithmeticOperator,
  assertStateless,
  type CallNode,
  type ConditionNode,
  type ConstantValue,
  type ConvertNode,
  type FieldNode,
  type ValueNode,
  type ValueType,
} from "./ir.ts";
import { FunctionBody, type Label, Op, WasmType } from "./wasm-encode.ts";
import { type ProgramLayout, textOf } from "./wasm-layout.ts";
import type { Guest } from "./wasm-link.ts";

/** One element: code that pushes it, and for the type `number` code that pushes its tag. */
export interface Operand {
  readonly push: () => void;
  readonly pushTag: () => void;
}

/** Tags of `number`, as in the guest's number.ts. */
const enum Tag {
  Integer = 0,
  Big = 1,
  Float = 2,
}

/** Numbers of the operators in the guest. */
const ARITHMETIC: Readonly<Record<ArithmeticOperator, number>> = {
  add: 0,
  subtract: 1,
  multiply: 2,
  divide: 3,
  modulo: 4,
  floorDivide: 5,
  floorModulo: 6,
};

const WASM_TYPES: Readonly<Record<ValueType, WasmType>> = {
  bool: WasmType.I32,
  int: WasmType.I64,
  float: WasmType.F64,
  number: WasmType.I64,
  string: WasmType.I32,
};

const NO_TAG = (): void => {
  throw new Error("Assertion failed: this value has no tag");
};

/** Cell of a gathered list: { u64 bits, u32 tag, u32 next }. */
const CELL_BYTES = 16;
const CELL_TAG = 8;
const CELL_NEXT = 12;

/** Writes values of one function. Conditions inside values are written by the subclass. */
export abstract class ValueWriter {
  readonly code: FunctionBody = new FunctionBody();
  protected readonly guest: Guest;
  protected readonly layout: ProgramLayout;
  readonly #variables: Operand[] = [];
  /** Whether loops give back what their turns allocated: the condition at hand makes strings, and no list is being gathered in the arena. */
  #releasing = false;

  constructor(guest: Guest, layout: ProgramLayout) {
    this.guest = guest;
    this.layout = layout;
  }

  protected abstract truth(node: ConditionNode): void;
  protected abstract isTrue(node: ConditionNode): void;

  call(name: string): void {
    this.code.call(this.guest.functions.get(name)!);
  }

  global(name: string): void {
    this.code.globalGet(this.guest.globals.get(name)!);
  }

  /** Runs `body` with a variable bound to an element. */
  protected bind(index: number, element: Operand, body: () => void): void {
    const outer = this.#variables[index];
    this.#variables[index] = element;
    body();
    if (outer !== undefined) this.#variables[index] = outer;
  }

  /** Runs `body` for every combination of elements. */
  eachOf(nodes: readonly ValueNode[], folded: boolean, body: (operands: readonly Operand[]) => void): void {
    const step = (index: number, operands: readonly Operand[]): void => {
      const node = nodes[index];
      if (node === undefined) body(operands);
      else this.each(node, folded && node.type === "string", (operand) => step(index + 1, [...operands, operand]));
    };
    step(0, []);
  }

  /** Runs `body` for every element; text is folded when asked for. */
  each(node: ValueNode, folded: boolean, body: (element: Operand) => void): void {
    switch (node.kind) {
      case "const":
        body(this.constant(node.type, node.value, folded));
        return;
      case "null":
        return;
      case "field":
        this.#eachOfField(node, folded, body);
        return;
      case "element": {
        const { code } = this;
        this.#slotWord(node.field, 0);
        code.i32(node.index);
        code.op(Op.I32GtU);
        code.open(Op.If);
        this.#pushWords(node.field, false);
        code.i32(node.index * 4);
        code.op(Op.I32Add);
        this.#inLocal(WasmType.I32, (address) => this.#element(node.field, address, (element) => this.#folded(element, folded, body)));
        code.end();
        return;
      }
      case "variable":
        this.#folded(this.#variables[node.index]!, folded, body);
        return;
      case "arithmetic":
        this.eachOf([node.left, node.right], false, ([left, right]) => this.#arithmetic(node.operator, node.type, [left!, right!], body));
        return;
      case "convert":
        this.each(node.value, false, (value) => this.#convert(node, value, (element) => this.#folded(element, folded, body)));
        return;
      case "call":
        this.#call(node, (element) => this.#folded(element, folded && node.type === "string", body));
        return;
      case "default":
        this.#eachOfDefault(node.value, node.fallback, (element) => this.#folded(element, folded, body));
        return;
      case "truthValue":
        this.#truthValue(node.condition, body);
        return;
      case "arrayCount":
        this.#arrayCount(node, body);
        return;
      case "earlier":
        assertStateless(node);
        return;
      default:
        unreachable(node);
    }
  }

  /** Runs `body` with a constant. */
  constant(type: ValueType, value: ConstantValue, folded: boolean): Operand {
    const { code } = this;
    switch (type) {
      case "bool":
        return { push: () => code.i32(value === true ? 1 : 0), pushTag: NO_TAG };
      case "int":
        return { push: () => code.i64(BigInt(value)), pushTag: NO_TAG };
      case "float":
        return { push: () => code.f64(Number(value)), pushTag: NO_TAG };
      case "string": {
        const address = this.layout.string(textOf(value), folded);
        return { push: () => code.i32(address), pushTag: NO_TAG };
      }
      case "number": {
        const integer = typeof value === "bigint";
        const tag = integer ? (value > 0x7fffffffffffffffn ? Tag.Big : Tag.Integer) : Tag.Float;
        const bits = integer ? value : new BigInt64Array(Float64Array.of(Number(value)).buffer)[0]!;
        return { push: () => code.i64(bits), pushTag: () => code.i32(tag) };
      }
      default:
        return unreachable(type);
    }
  }

  /** Writes code whose temporary strings are given back at its end, and in its loops at the end of each turn. */
  protected temporaries(write: () => void): void {
    const { code } = this;
    const outer = this.#releasing;
    this.#releasing = true;
    const place = code.local(WasmType.I32);
    this.call("mark");
    code.set(place);
    write();
    code.get(place);
    this.call("release");
    code.freeLocal(place);
    this.#releasing = outer;
  }

  /** Takes what is on the stack into a local for `body`. */
  #inLocal(type: WasmType, body: (local: number) => void): void {
    const local = this.code.local(type);
    this.code.set(local);
    body(local);
    this.code.freeLocal(local);
  }

  #localElement(type: ValueType, body: (element: Operand) => void): void {
    this.#inLocal(WASM_TYPES[type], (local) => body({ push: () => this.code.get(local), pushTag: NO_TAG }));
  }

  /** The element with its text folded, when asked for. */
  #folded(element: Operand, folded: boolean, body: (element: Operand) => void): void {
    if (!folded) {
      body(element);
      return;
    }
    element.push();
    this.call("fold");
    this.#localElement("string", body);
  }

  #slotWord(field: FieldNode, offset: number): void {
    this.code.i32(0);
    this.code.memory(Op.I32Load, this.layout.slot(field.fieldId) + offset);
  }

  #pushWords(field: FieldNode, folded: boolean): void {
    if (!folded) {
      this.#slotWord(field, 4);
      return;
    }
    this.code.i32(this.layout.slot(field.fieldId));
    this.code.i32(1);
    this.call("wordsOf");
  }

  #eachOfField(field: FieldNode, folded: boolean, body: (element: Operand) => void): void {
    const { code } = this;
    const count = code.local(WasmType.I32);
    const words = code.local(WasmType.I32);
    const place = this.#releasing ? code.local(WasmType.I32) : undefined;
    this.#slotWord(field, 0);
    code.tee(count);
    code.open(Op.If);
    this.#pushWords(field, folded);
    code.set(words);
    if (place !== undefined) {
      this.call("mark");
      code.set(place);
    }
    const loop = code.open(Op.Loop);
    this.#element(field, words, body);
    if (place !== undefined) {
      code.get(place);
      this.call("release");
    }
    code.get(words);
    code.i32(4);
    code.op(Op.I32Add);
    code.set(words);
    code.get(count);
    code.i32(1);
    code.op(Op.I32Sub);
    code.tee(count);
    code.branchIf(loop);
    code.end();
    code.end();
    for (const local of [count, words, ...(place === undefined ? [] : [place])]) code.freeLocal(local);
  }

  /** Loads the element whose payload word is at the address in a local. */
  #element(field: FieldNode, words: number, body: (element: Operand) => void): void {
    const { code } = this;
    const type = field.type;
    const pushAddress = (): void => {
      this.global("record");
      code.get(words);
      code.memory(Op.I32Load, 0);
      code.op(Op.I32Add);
    };
    if (type === "bool") {
      code.get(words);
      code.memory(Op.I32Load, 0);
    } else {
      pushAddress();
      if (type === "int" || type === "number") code.memory(Op.I64Load, 0);
      if (type === "float") code.memory(Op.F64Load, 0);
    }
    if (type !== "number") {
      this.#localElement(type, body);
      return;
    }
    this.#inLocal(WasmType.I64, (bits) => {
      const push = (): void => code.get(bits);
      const pushTag = (): void => {
        code.get(bits);
        code.i64(63n);
        code.op(Op.I64ShrU);
        code.op(Op.I32WrapI64);
      };
      body({ push, pushTag });
    });
  }

  /** Takes the tagged result of a guest function; skips to `skip` when it is null. */
  #tagged(skip: Label, body: (element: Operand) => void): void {
    const { code } = this;
    this.#inLocal(WasmType.I64, (bits) => {
      this.global("isNull");
      code.branchIf(skip);
      this.global("tag");
      this.#inLocal(WasmType.I32, (tag) => body({ push: () => code.get(bits), pushTag: () => code.get(tag) }));
    });
  }

  #arithmetic(
    operator: ArithmeticOperator,
    type: "int" | "float" | "number",
    [left, right]: [Operand, Operand],
    body: (element: Operand) => void,
  ): void {
    const { code } = this;
    const skip = code.open(Op.Block);
    code.i32(ARITHMETIC[operator]);
    for (const operand of [left, right]) {
      if (type === "number") operand.pushTag();
      operand.push();
    }
    if (type === "number") {
      this.call("arithmeticNumber");
      this.#tagged(skip, body);
    } else {
      this.call(type === "int" ? "arithmeticInt" : "arithmeticFloat");
      this.#inLocal(WASM_TYPES[type], (result) => {
        this.global("isNull");
        code.branchIf(skip);
        body({ push: () => code.get(result), pushTag: NO_TAG });
      });
    }
    code.end();
  }

  #convert(node: ConvertNode, value: Operand, body: (element: Operand) => void): void {
    const { code } = this;
    switch (node.conversion) {
      case "intToFloat":
        value.push();
        code.op(Op.F64ConvertI64S);
        this.#localElement("float", body);
        return;
      case "intToNumber":
        body({ push: value.push, pushTag: () => code.i32(Tag.Integer) });
        return;
      case "floatToNumber":
        value.push();
        code.op(Op.I64ReinterpretF64);
        this.#inLocal(WasmType.I64, (bits) => body({ push: () => code.get(bits), pushTag: () => code.i32(Tag.Float) }));
        return;
      case "numberToInt": {
        const skip = code.open(Op.Block);
        value.pushTag();
        value.push();
        this.call("numberToInt");
        this.#inLocal(WasmType.I64, (result) => {
          this.global("isNull");
          code.branchIf(skip);
          body({ push: () => code.get(result), pushTag: NO_TAG });
        });
        code.end();
        return;
      }
      case "intToString":
      case "floatToString":
        value.push();
        this.call(node.conversion === "intToString" ? "intToText" : "floatToText");
        this.#localElement("string", body);
        return;
      case "numberToString":
        value.pushTag();
        value.push();
        this.call("numberToText");
        this.#localElement("string", body);
        return;
      case "boolToString":
        code.i32(this.layout.string("true", false));
        code.i32(this.layout.string("false", false));
        value.push();
        code.op(Op.Select);
        this.#localElement("string", body);
        return;
      default:
        unreachable(node.conversion);
    }
  }

  #call(node: CallNode, body: (element: Operand) => void): void {
    const { code } = this;
    if (node.name === "between" || node.name === "betweenOrNull") {
      this.#between(node, body);
      return;
    }
    const [text, ...others] = node.operands as [ValueNode, ...ValueNode[]];
    this.eachOf([text, ...others], node.folded, (operands) => {
      if (node.name === "concat") {
        this.#concat(operands, body);
        return;
      }
      const skip = code.open(Op.Block);
      for (const operand of operands) operand.push();
      this.call(node.name);
      if (node.name === "parseNumber") this.#tagged(skip, body);
      else if (node.name === "indexOf") {
        this.#inLocal(WasmType.I64, (result) => {
          code.get(result);
          code.i64(0n);
          code.op(Op.I64LtS);
          code.branchIf(skip);
          body({ push: () => code.get(result), pushTag: NO_TAG });
        });
      } else this.#localElement(node.type, body);
      code.end();
    });
  }

  #concat(operands: readonly Operand[], body: (element: Operand) => void): void {
    operands[0]!.push();
    for (const operand of operands.slice(1)) {
      operand.push();
      this.call("concat");
    }
    this.#localElement("string", body);
  }

  /** Searched folded, cut from the text as it is. */
  #between(node: CallNode, body: (element: Operand) => void): void {
    const { code } = this;
    const [text, left, right, greedy] = node.operands as [ValueNode, ValueNode, ValueNode, ValueNode];
    this.each(text, false, (whole) => {
      this.#folded(whole, node.folded, (searched) => {
        this.eachOf([left, right, greedy], node.folded, (operands) => {
          const skip = code.open(Op.Block);
          for (const operand of [whole, searched, ...operands]) operand.push();
          this.call("between");
          this.#inLocal(WasmType.I32, (result) => {
            code.get(result);
            code.op(Op.I32Eqz);
            if (node.name === "betweenOrNull") code.branchIf(skip);
            else {
              code.open(Op.If);
              code.i32(this.layout.string("", false));
              code.set(result);
              code.end();
            }
            body({ push: () => code.get(result), pushTag: NO_TAG });
          });
          code.end();
        });
      });
    });
  }

  /** Gathers the list in the arena, so that the code behind is written once for both lists. */
  #eachOfDefault(value: ValueNode, fallback: ValueNode, body: (element: Operand) => void): void {
    const { code } = this;
    const head = code.local(WasmType.I32);
    const tail = code.local(WasmType.I32);
    code.i32(0);
    code.set(head);
    const releasing = this.#releasing;
    this.#releasing = false;
    this.#gather(value, head, tail);
    code.get(head);
    code.op(Op.I32Eqz);
    code.open(Op.If);
    this.#gather(fallback, head, tail);
    code.end();
    this.#releasing = releasing;
    code.freeLocal(tail);
    code.get(head);
    code.open(Op.If);
    const loop = code.open(Op.Loop);
    code.get(head);
    code.memory(value.type === "float" ? Op.F64Load : value.type === "int" || value.type === "number" ? Op.I64Load : Op.I32Load, 0);
    this.#inLocal(WASM_TYPES[value.type], (bits) => {
      const push = (): void => code.get(bits);
      if (value.type !== "number") {
        body({ push, pushTag: NO_TAG });
        return;
      }
      code.get(head);
      code.memory(Op.I32Load, CELL_TAG);
      this.#inLocal(WasmType.I32, (tag) => body({ push, pushTag: () => code.get(tag) }));
    });
    code.get(head);
    code.memory(Op.I32Load, CELL_NEXT);
    code.tee(head);
    code.branchIf(loop);
    code.end();
    code.end();
    code.freeLocal(head);
  }

  #gather(value: ValueNode, head: number, tail: number): void {
    const { code } = this;
    this.each(value, false, (element) => {
      code.i32(CELL_BYTES);
      this.call("allocate");
      this.#inLocal(WasmType.I32, (cell) => {
        code.get(cell);
        element.push();
        code.memory(value.type === "float" ? Op.F64Store : value.type === "int" || value.type === "number" ? Op.I64Store : Op.I32Store, 0);
        if (value.type === "number") {
          code.get(cell);
          element.pushTag();
          code.memory(Op.I32Store, CELL_TAG);
        }
        code.get(cell);
        code.i32(0);
        code.memory(Op.I32Store, CELL_NEXT);
        code.get(head);
        code.open(Op.If);
        code.get(tail);
        code.get(cell);
        code.memory(Op.I32Store, CELL_NEXT);
        code.otherwise();
        code.get(cell);
        code.set(head);
        code.end();
        code.get(cell);
        code.set(tail);
      });
    });
  }

  #truthValue(condition: ConditionNode, body: (element: Operand) => void): void {
    const { code } = this;
    this.truth(condition);
    this.#inLocal(WasmType.I32, (truth) => {
      code.get(truth);
      code.i32(2);
      code.op(Op.I32Ne);
      code.open(Op.If);
      body({ push: () => code.get(truth), pushTag: NO_TAG });
      code.end();
    });
  }

  #arrayCount(node: Extract<ValueNode, { readonly kind: "arrayCount" }>, body: (element: Operand) => void): void {
    const { code } = this;
    const count = code.local(WasmType.I64);
    const some = code.local(WasmType.I32);
    code.i64(0n);
    code.set(count);
    code.i32(0);
    code.set(some);
    this.each(node.array, false, (element) => {
      code.i32(1);
      code.set(some);
      this.bind(node.index, element, () => {
        code.get(count);
        this.isTrue(node.body);
        code.op(Op.I64ExtendI32U);
        code.op(Op.I64Add);
        code.set(count);
      });
    });
    code.get(some);
    code.open(Op.If);
    body({ push: () => code.get(count), pushTag: NO_TAG });
    code.end();
    code.freeLocal(count);
    code.freeLocal(some);
  }
}
