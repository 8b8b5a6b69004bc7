// The production evaluator of expressions: residuals, computed join keys and pipes, evaluated in TypeScript on the few events that a program's
// predicates let through. An expression becomes closures once. Means what reference.ts means, with a budget:
// fields with thousands of values in one comparison must not stop the agent.
import { CATEGORY_OTHER, CATEGORY_SEVERAL, type Expression, type FieldReader, type FieldValue, type Scalar } from "#schema";
import { blockContains, parseAddress } from "./address.ts";
import { unreachable } from "./ast.ts";
import { foldText } from "./case-folding.ts";
import { callValue } from "./expression-call.ts";
import { compareText, find, matchesWildcards } from "./fast-text.ts";
import type { ArithmeticNode, CompareNode, ConditionNode, ConstantValue, IrNode, TextTestNode, ValueNode, ValueType } from "./ir.ts";
import { arithmetic, convert, hasType } from "./reference.ts";
import { regexMatches } from "./regex.ts";
import { cheapestFirst, isCondition } from "./rule-set-facts.ts";

/** What an expression sees. */
export interface ExpressionScope {
  readonly event: FieldReader;
  /** Last event that filled a step; in a pipe, an event of the result by position. */
  earlier(step: number): FieldReader | undefined;
  /** Whether the event's process stands in the relation of the plan's lineage with this index; null when the event names no process. */
  lineage(index: number): boolean | null;
}

/** An expression ready to be evaluated. Either may throw {@link EvaluationLimitError}. */
export interface ExpressionEvaluator {
  /** Of a condition; of a value whether it is the single value true. */
  truth(scope: ExpressionScope): boolean | null;
  /** Elements of a value, without nulls; empty means null. */
  values(scope: ExpressionScope): readonly Scalar[];
}

/** Most steps of one evaluation; a step is a comparison or 32 characters of text, so this is less than a tenth of a second. */
const EVALUATION_STEPS_MAX = 1_000_000;

/** One evaluation took too many steps: the rule, not the agent, is at fault. */
export class EvaluationLimitError extends Error {
  readonly code = "evaluation-limit";
  override readonly name = "EvaluationLimitError";

  constructor() {
    super(`Evaluation took more than ${EVALUATION_STEPS_MAX} steps`);
  }
}

/** One evaluation under way. */
class Frame {
  readonly scope: ExpressionScope;
  readonly event: FieldReader;
  readonly variables: ConstantValue[] = [];
  #stepsLeft = EVALUATION_STEPS_MAX;

  constructor(scope: ExpressionScope) {
    this.scope = scope;
    this.event = scope.event;
  }

  spend(steps: number): void {
    this.#stepsLeft -= steps;
    if (this.#stepsLeft < 0) throw new EvaluationLimitError();
  }

  /** Spends what looking at a text costs. */
  read(text: string): void {
    this.spend(1 + (text.length >> 5));
  }
}

type Values = (frame: Frame) => readonly ConstantValue[];
type Truth = (frame: Frame) => boolean | null;

const NOTHING: readonly never[] = [];

/** Makes an evaluator of an expression of a plan or pipe. */
export function compileExpression(expression: Expression): ExpressionEvaluator {
  const node = expression.node as IrNode;
  const compiler = new ExpressionCompiler();
  if (isCondition(node)) {
    const truth = compiler.truth(node);
    return {
      truth: (scope) => truth(new Frame(scope)),
      values(scope) {
        const found = truth(new Frame(scope));
        return found === null ? NOTHING : [found];
      },
    };
  }
  const values = compiler.values(node);
  return {
    truth(scope) {
      const found = values(new Frame(scope));
      return found.length === 0 ? null : found.length === 1 && found[0] === true;
    },
    values: (scope) => values(new Frame(scope)),
  };
}

class ExpressionCompiler {
  /** Equal nodes are one object and become one closure. */
  readonly #values = new Map<ValueNode, Values>();
  readonly #truths = new Map<ConditionNode, Truth>();

  values(node: ValueNode): Values {
    const known = this.#values.get(node);
    if (known !== undefined) return known;
    const made = this.#valuesOf(node);
    this.#values.set(node, made);
    return made;
  }

  truth(node: ConditionNode): Truth {
    const known = this.#truths.get(node);
    if (known !== undefined) return known;
    const made = this.#truthOf(node);
    this.#truths.set(node, made);
    return made;
  }

  #valuesOf(node: ValueNode): Values {
    switch (node.kind) {
      case "const": {
        const list = [node.value];
        return () => list;
      }
      case "null":
        return () => NOTHING;
      case "field":
        return (frame) => elements(frame, frame.event.value(node.fieldId), node.type);
      case "element":
        return (frame) => elements(frame, frame.event.value(node.field.fieldId), node.type).slice(node.index, node.index + 1);
      case "earlier":
        return (frame) => {
          const list = elements(frame, frame.scope.earlier(node.step)?.value(node.field.fieldId), node.type);
          return node.index === undefined ? list : list.slice(node.index, node.index + 1);
        };
      case "variable":
        return (frame) => [frame.variables[node.index]!];
      case "arithmetic":
        return this.#arithmetic(node);
      case "convert": {
        const values = this.values(node.value);
        return (frame) => mapElements(frame, values(frame), (value) => convert(node.conversion, value));
      }
      case "call":
        return this.#call(node);
      case "default": {
        const [values, fallback] = [this.values(node.value), this.values(node.fallback)];
        return (frame) => {
          const list = values(frame);
          return list.length > 0 ? list : fallback(frame);
        };
      }
      case "truthValue": {
        const truth = this.truth(node.condition);
        return (frame) => {
          const found = truth(frame);
          return found === null ? NOTHING : [found];
        };
      }
      case "arrayCount": {
        const [array, body] = [this.values(node.array), this.truth(node.body)];
        return (frame) => {
          const list = array(frame);
          let count = 0n;
          for (const element of list) if (withVariable(frame, node.index, element, body) === true) count++;
          return list.length === 0 ? NOTHING : [count];
        };
      }
      default:
        return unreachable(node);
    }
  }

  #arithmetic(node: ArithmeticNode): Values {
    const [left, right] = [this.values(node.left), this.values(node.right)];
    return (frame) => {
      const results: ConstantValue[] = [];
      const others = right(frame);
      for (const a of left(frame)) {
        for (const b of others) {
          frame.spend(1);
          const result = arithmetic(node, a, b);
          if (result !== null) results.push(result);
        }
      }
      return results;
    };
  }

  #call(node: Extract<ValueNode, { readonly kind: "call" }>): Values {
    const operands = node.operands.map((operand) => this.values(operand));
    const spend = (frame: Frame) => (steps: number) => frame.spend(steps);
    return (frame) => {
      const lists = operands.map((operand) => operand(frame));
      const results: ConstantValue[] = [];
      const row: ConstantValue[] = [];
      const pay = spend(frame);
      const visit = (at: number): void => {
        if (at === lists.length) {
          pay(1);
          const result = callValue(node, row, pay);
          if (result !== null) results.push(result);
          return;
        }
        for (const element of lists[at]!) {
          row[at] = element;
          visit(at + 1);
        }
      };
      visit(0);
      return results;
    };
  }

  #truthOf(node: ConditionNode): Truth {
    switch (node.kind) {
      case "truth":
        return () => node.value;
      case "category":
        return ({ event }) => {
          if (event.category === node.categoryId && node.categoryId !== CATEGORY_OTHER) return true;
          if (event.category !== CATEGORY_SEVERAL && event.category !== CATEGORY_OTHER) return false;
          const names = event.value(node.fieldId);
          return Array.isArray(names) ? names.includes(node.name) : names === node.name;
        };
      case "lineage":
        return (frame) => frame.scope.lineage(node.index);
      case "isNull": {
        const values = this.values(node.value);
        return (frame) => values(frame).length === 0;
      }
      case "not": {
        const operand = this.truth(node.operand);
        return (frame) => {
          const found = operand(frame);
          return found === null ? null : !found;
        };
      }
      case "and":
      case "or":
        return this.#logic(node.kind === "or", node.operands);
      case "arraySearch": {
        const [array, body] = [this.values(node.array), this.truth(node.body)];
        return (frame) => anyElement(array(frame), (element) => withVariable(frame, node.index, element, body));
      }
      case "compare":
        return this.#compare(node);
      case "textTest":
        return this.#textTest(node);
      default:
        return this.#elementTest(node);
    }
  }

  #logic(decisive: boolean, operands: readonly ConditionNode[]): Truth {
    const truths = cheapestFirst(operands).map((operand) => this.truth(operand));
    return (frame) => {
      let result: boolean | null = !decisive;
      for (const truth of truths) {
        const found = truth(frame);
        if (found === decisive) return decisive;
        if (found === null) result = null;
      }
      return result;
    };
  }

  #compare(node: CompareNode): Truth {
    const [left, right] = [this.#comparable(node.left, node.folded), this.#comparable(node.right, node.folded)];
    const holds = comparison(node);
    return (frame) => anyPair(frame, left(frame), right(frame), holds);
  }

  #textTest(node: TextTestNode): Truth {
    const [texts, parts] = [this.#comparable(node.text, node.folded), this.#comparable(node.part, node.folded)];
    return (frame) => anyPair(frame, texts(frame), parts(frame), TEXT_TESTS[node.test]);
  }

  /** Values as they are compared: text folded when asked for. */
  #comparable(node: ValueNode, folded: boolean): Values {
    const values = this.values(node);
    if (!folded || node.type !== "string") return values;
    if (node.kind === "const") {
      const list = [foldText(String(node.value))];
      return () => list;
    }
    return (frame) =>
      mapElements(frame, values(frame), (value) => {
        // Beyond ASCII each character is looked up.
        frame.spend(String(value).length >> 3);
        return foldText(String(value));
      });
  }

  /** Conditions on each element alone. */
  #elementTest(node: Extract<ConditionNode, { readonly kind: "in" | "like" | "regex" | "cidr" }>): Truth {
    const folds = node.kind === "in" || node.kind === "like" ? node.folded : false;
    const values = this.#comparable(node.value, folds);
    const test = elementTest(node);
    return (frame) =>
      anyElement(values(frame), (element) => {
        if (typeof element === "string") frame.read(element);
        else frame.spend(1);
        return test(element, frame);
      });
  }
}

function elementTest(
  node: Extract<ConditionNode, { readonly kind: "in" | "like" | "regex" | "cidr" }>,
): (element: ConstantValue, frame: Frame) => boolean {
  switch (node.kind) {
    case "in": {
      // A number may be an integer or a decimal, which are equal across the two: numbers are compared, everything else is looked up.
      const constants = node.constants.map((constant) => (node.folded && typeof constant === "string" ? foldText(constant) : constant));
      if (node.value.type === "number" || node.value.type === "float")
        return (element) => constants.some((item) => sameNumber(element, item));
      const set = new Set(constants);
      return (element) => set.has(element);
    }
    case "like": {
      const patterns = node.patterns.map((pattern) => {
        return pattern.map((piece) => (node.folded && typeof piece === "string" ? foldText(piece) : piece));
      });
      return (element, frame) => {
        const spend = (steps: number): void => frame.spend(steps);
        return patterns.some((pattern) => matchesWildcards(String(element), pattern, spend));
      };
    }
    case "regex":
      return (element) => node.tables.some((table) => regexMatches(table, String(element)));
    case "cidr":
      return (element) => {
        const address = parseAddress(String(element));
        return address !== undefined && node.blocks.some((block) => blockContains(block, address));
      };
    default:
      return unreachable(node);
  }
}

function sameNumber(left: ConstantValue, right: ConstantValue): boolean {
  return typeof left === typeof right ? left === right : Number(left) === Number(right);
}

type PairTest = (left: ConstantValue, right: ConstantValue) => boolean;

const TEXT_TESTS: Readonly<Record<TextTestNode["test"], PairTest>> = {
  startsWith: (text, part) => String(text).startsWith(String(part)),
  endsWith: (text, part) => String(text).endsWith(String(part)),
  contains: (text, part) => part !== "" && find(String(text), String(part)) !== -1,
  containsOrEmpty: (text, part) => find(String(text), String(part)) !== -1,
};

function comparison({ operator, left: { type } }: CompareNode): PairTest {
  if (operator === "eq") return type === "number" || type === "float" ? sameNumber : (left, right) => left === right;
  const order: (left: ConstantValue, right: ConstantValue) => number =
    type === "string" ? (left, right) => compareText(String(left), String(right)) : numericOrder;
  switch (operator) {
    case "lt":
      return (left, right) => order(left, right) < 0;
    case "le":
      return (left, right) => order(left, right) <= 0;
    case "gt":
      return (left, right) => order(left, right) > 0;
    case "ge":
      return (left, right) => order(left, right) >= 0;
    default:
      return unreachable(operator);
  }
}

/** NaN when a decimal is. */
function numericOrder(left: ConstantValue, right: ConstantValue): number {
  const exact = typeof left === "bigint" && typeof right === "bigint";
  const a = exact ? left : Number(left);
  const b = exact ? right : Number(right);
  return a < b ? -1 : a > b ? 1 : a === b ? 0 : Number.NaN;
}

function anyPair(frame: Frame, left: readonly ConstantValue[], right: readonly ConstantValue[], test: PairTest): boolean | null {
  if (left.length === 0 || right.length === 0) return null;
  for (const a of left) {
    for (const b of right) {
      frame.spend(1);
      if (typeof a === "string") frame.read(a);
      if (test(a, b)) return true;
    }
  }
  return false;
}

function anyElement(list: readonly ConstantValue[], test: (element: ConstantValue) => boolean | null): boolean | null {
  let result: boolean | null = null;
  for (const element of list) {
    const found = test(element);
    if (found === true) return true;
    if (found === false) result = false;
  }
  return result;
}

function mapElements(
  frame: Frame,
  list: readonly ConstantValue[],
  apply: (element: ConstantValue) => ConstantValue | null,
): readonly ConstantValue[] {
  const results: ConstantValue[] = [];
  for (const element of list) {
    if (typeof element === "string") frame.read(element);
    else frame.spend(1);
    const result = apply(element);
    if (result !== null) results.push(result);
  }
  return results;
}

function withVariable(frame: Frame, index: number, element: ConstantValue, body: Truth): boolean | null {
  frame.spend(1);
  frame.variables[index] = element;
  return body(frame);
}

function elements(frame: Frame, value: FieldValue | undefined, type: ValueType): readonly ConstantValue[] {
  if (value === undefined) return NOTHING;
  if (typeof value !== "object") return hasType(value, type) ? [value] : NOTHING;
  frame.spend(value.length);
  return value.every((element) => hasType(element, type)) ? value : value.filter((element) => hasType(element, type));
}
