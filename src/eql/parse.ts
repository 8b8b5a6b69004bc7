// Text to syntax: scan, Lezer parse, AST. Any text gives diagnostics or a query, never an exception; recursion is bounded by the scan's
// nesting limit because the grammar spells every chain as a repetition.
import type { SyntaxNode } from "@lezer/common";
import type { LRParser } from "@lezer/lr";
import type {
  ArithmeticExpression,
  ComparisonExpression,
  Dialect,
  EventQuery,
  Expression,
  FieldExpression,
  LiteralExpression,
  MembershipExpression,
  Pipe,
  Query,
} from "./ast.ts";
import type { DiagnosticList } from "./diagnostics.ts";
import { decimalValue, integerValue, nameParts, oldRawStringValue, rawStringValue, stringValue } from "./literals.ts";
import { severalEventsQuery } from "./parse-steps.ts";
import { parser } from "./parser.generated.ts";
import { scan } from "./scan.ts";
import { reportSyntaxErrors } from "./syntax-errors.ts";
import { named, rangeOf } from "./syntax-node.ts";

const STRICT: LRParser = parser.configure({ strict: true });
/** Most methods after one value: `a:f():g()…`. */
const METHODS_MAX = 32;
/** Most terms of one arithmetic chain; logic has no limit, it is flat. */
const CHAIN_MAX = 64;

/** Parses a query. `undefined`: the diagnostics say why. A query can come with errors too: its sound parts are worth checking. */
export function parseQuery(text: string, dialect: Dialect, diagnostics: DiagnosticList): Query | undefined {
  scan(text, diagnostics);
  if (diagnostics.hasError) return undefined;
  if (text.trim() === "") {
    diagnostics.error("empty-query", 'Query is empty, expected for example process where process.name == "curl"', { from: 0, to: 0 });
    return undefined;
  }
  const tree = parseTree(text);
  if (tree === undefined) {
    reportSyntaxErrors(text, parser, diagnostics);
    return undefined;
  }
  return new AstBuilder(text, dialect, diagnostics).query(tree);
}

/** Parses a bare condition or value. */
export function parseExpression(text: string, dialect: Dialect, diagnostics: DiagnosticList): Expression | undefined {
  const query = parseQuery(text, dialect, diagnostics);
  if (query === undefined) return undefined;
  const { body, pipes } = query;
  if (body.kind === "event" && body.bare && pipes.length === 0) return body.condition;
  diagnostics.error("expected-condition", 'Expected a bare condition such as process.parent.name == "cron"', body);
  return undefined;
}

function parseTree(text: string): SyntaxNode | undefined {
  try {
    return STRICT.parse(text).topNode;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

class AstBuilder {
  readonly #text: string;
  readonly #dialect: Dialect;
  readonly #diagnostics: DiagnosticList;

  constructor(text: string, dialect: Dialect, diagnostics: DiagnosticList) {
    this.#text = text;
    this.#dialect = dialect;
    this.#diagnostics = diagnostics;
  }

  query(top: SyntaxNode): Query {
    const nodes = named(top);
    const pipes = nodes.filter((node) => node.name === "Pipe").map((node) => this.#pipe(node));
    const first = nodes[0]!;
    switch (first.name) {
      case "SequenceQuery":
        return { body: severalEventsQuery("sequence", first, this.#steps()), pipes };
      case "SampleQuery":
        return { body: severalEventsQuery("sample", first, this.#steps()), pipes };
      case "JoinQuery":
        return { body: severalEventsQuery("join", first, this.#steps()), pipes };
      case "EventQuery":
        return { body: this.#eventQuery(first), pipes };
      default: {
        const condition = this.#expression(named(first)[0]!);
        return { body: { kind: "event", category: undefined, condition, bare: true, ...rangeOf(first) }, pipes };
      }
    }
  }

  #eventQuery(node: SyntaxNode): EventQuery {
    const [category, condition] = named(node);
    const name = category!.firstChild!;
    const text = this.#source(name);
    let value: string;
    if (name.name === "String") value = stringValue(text, name.from, this.#context());
    else if (name.name === "RawString") value = rawStringValue(text);
    else value = nameParts(text).join(".");
    const matchesAll = value === "any" && name.name === "Name";
    return {
      kind: "event",
      category: matchesAll ? undefined : value,
      condition: this.#expression(condition!),
      bare: false,
      ...rangeOf(node),
    };
  }

  #steps(): Parameters<typeof severalEventsQuery>[2] {
    return {
      ...this.#context(),
      source: (node) => this.#source(node),
      expression: (node) => this.#expression(node),
      eventQuery: (node) => this.#eventQuery(node),
    };
  }

  #pipe(node: SyntaxNode): Pipe {
    const [name, ...rest] = named(node);
    const items = rest[0]?.name === "PipeItems" ? named(rest[0]) : rest;
    return {
      name: this.#source(name!),
      nameRange: rangeOf(name!),
      operands: items.map((item) => this.#expression(item)),
      ...rangeOf(node),
    };
  }

  #expression(node: SyntaxNode): Expression {
    const range = rangeOf(node);
    switch (node.name) {
      case "Or":
      case "And":
        return { kind: node.name === "Or" ? "or" : "and", operands: named(node).map((child) => this.#expression(child)), ...range };
      case "Not":
        return this.#not(node);
      case "Comparison":
        return this.#comparison(node);
      case "Membership":
        return this.#membership(node);
      case "Lineage":
        return this.#lineage(node);
      case "Sum":
      case "Product":
        return this.#arithmetic(node);
      case "Signed":
        return this.#signed(node);
      case "Chain":
        return this.#chain(node);
      case "Call":
        return this.#call(node);
      case "Group":
        return this.#group(node);
      case "Path":
        return this.#path(node);
      default:
        return this.#literal(node);
    }
  }

  #not(node: SyntaxNode): Expression {
    const { operandNode, before } = this.#prefixed(node);
    const operand = this.#expression(operandNode);
    const once: Expression = { kind: "not", operand, ...rangeOf(node) };
    // Pairs of `not` cancel out, in three-valued logic too.
    return before.split("not").length % 2 === 0 ? once : { kind: "not", operand: once, ...rangeOf(node) };
  }

  /** The operand of prefix operators and their text without comments: a million of them is read at once, not node by node. */
  #prefixed(node: SyntaxNode): { readonly operandNode: SyntaxNode; readonly before: string } {
    const operandNode = node.lastChild!;
    const before = this.#text.slice(node.from, operandNode.from).replace(/\/\/[^\n]*|\/\*[\s\S]*?\*\//g, " ");
    return { operandNode, before };
  }

  #comparison(node: SyntaxNode): Expression {
    const range = rangeOf(node);
    const [leftNode, operatorNode, rightNode, second] = named(node);
    if (second !== undefined) {
      this.#diagnostics.error("chained-comparison", "Comparisons cannot be chained, join two of them with and", rangeOf(second));
      return { kind: "invalid", ...range };
    }
    const left = this.#expression(leftNode!);
    const operator = this.#source(operatorNode!);
    if (operator === ":") {
      const items = this.#items(rightNode!);
      return { kind: "membership", operator: ":", insensitive: true, negated: false, left, items, ...range };
    }
    if (operator === "=" && this.#dialect === "default") {
      const hint = "A single = is not an operator here, write == (or : to ignore case and allow wildcards)";
      this.#diagnostics.error("single-equals", hint, rangeOf(operatorNode!));
    }
    const right = this.#expression(rightNode!);
    return {
      kind: "comparison",
      operator: (operator === "=" ? "==" : operator) as ComparisonExpression["operator"],
      left,
      right,
      ...range,
    };
  }

  #membership(node: SyntaxNode): Expression {
    const parts = named(node);
    const negated = parts[1]!.name === "NotMark";
    const operatorNode = parts[negated ? 2 : 1]!;
    const itemsNode = parts[negated ? 3 : 2]!;
    const source = this.#source(operatorNode);
    const operator = source.replace("~", "").trim() as MembershipExpression["operator"];
    if (operator === "in" && itemsNode.name !== "Group") {
      this.#diagnostics.error("expected-list", "in needs a list in parentheses, for example in (1, 2)", rangeOf(itemsNode));
    }
    const items = this.#items(itemsNode);
    return {
      kind: "membership",
      operator,
      insensitive: source.includes("~"),
      negated,
      left: this.#expression(parts[0]!),
      items,
      ...rangeOf(node),
    };
  }

  #items(node: SyntaxNode): Expression[] {
    return node.name === "Group" ? named(node).map((child) => this.#expression(child)) : [this.#expression(node)];
  }

  #lineage(node: SyntaxNode): Expression {
    const [relation, query] = named(node);
    const name = this.#source(relation!);
    if (!["child", "descendant", "event"].includes(name)) {
      const message = `Unknown relation "${name} of", expected child of, descendant of or event of`;
      this.#diagnostics.error("unknown-relation", message, rangeOf(relation!));
    }
    return { kind: "lineage", relation: name, query: this.#eventQuery(query!), ...rangeOf(node) };
  }

  #arithmetic(node: SyntaxNode): Expression {
    const parts = named(node);
    if (parts.length > 2 * CHAIN_MAX) {
      this.#diagnostics.error("chain-too-long", `More than ${CHAIN_MAX} terms in one calculation`, rangeOf(node));
      return { kind: "invalid", ...rangeOf(node) };
    }
    const rest: ArithmeticExpression["rest"][number][] = [];
    for (let i = 1; i + 1 < parts.length; i += 2) {
      const operator = this.#source(parts[i]!) as "+" | "-" | "*" | "/" | "%";
      rest.push({ operator, operand: this.#expression(parts[i + 1]!) });
    }
    return { kind: "arithmetic", first: this.#expression(parts[0]!), rest, ...rangeOf(node) };
  }

  #signed(node: SyntaxNode): Expression {
    const { operandNode, before } = this.#prefixed(node);
    const inner = this.#expression(operandNode);
    const minuses = before.split("-").length - 1;
    if (inner.kind === "literal" && (typeof inner.value === "bigint" || typeof inner.value === "number")) {
      if (minuses % 2 === 0) return { ...inner, ...rangeOf(node) };
      return { ...inner, value: -inner.value, text: `-${inner.text}`, ...rangeOf(node) };
    }
    // A plus keeps the demand for a number: it becomes two minuses.
    const negated: Expression = { kind: "negate", operand: inner, ...rangeOf(node) };
    return minuses % 2 === 1 ? negated : { kind: "negate", operand: negated, ...rangeOf(node) };
  }

  #chain(node: SyntaxNode): Expression {
    const [first, ...methods] = named(node);
    if (methods.length > METHODS_MAX) {
      this.#diagnostics.error("chain-too-long", `More than ${METHODS_MAX} methods on one value`, rangeOf(node));
      return { kind: "invalid", ...rangeOf(node) };
    }
    if (this.#dialect === "default") {
      const message = "Method calls belong to the Endgame dialect: write the value as the function's first argument";
      this.#diagnostics.error("method-call", message, rangeOf(methods[0]!));
    }
    let value = this.#expression(first!);
    for (const method of methods) {
      const [nameNode, ...rest] = named(method);
      const source = this.#source(nameNode!);
      const name = source.replace(/[:\s(~]/g, "");
      const operands = [value, ...rest.map((child) => this.#expression(child))];
      const nameFrom = nameNode!.from + source.indexOf(name);
      const nameRange = { from: nameFrom, to: nameFrom + name.length };
      value = { kind: "call", name, insensitive: source.includes("~"), operands, nameRange, from: node.from, to: method.to };
    }
    return value;
  }

  #call(node: SyntaxNode): Expression {
    const [nameNode, ...rest] = named(node);
    const insensitive = rest[0]?.name === "Insensitive";
    const operands = (insensitive ? rest.slice(1) : rest).map((child) => this.#expression(child));
    return { kind: "call", name: this.#source(nameNode!), insensitive, operands, nameRange: rangeOf(nameNode!), ...rangeOf(node) };
  }

  #group(node: SyntaxNode): Expression {
    const items = named(node);
    if (items.length === 1) return this.#expression(items[0]!);
    this.#diagnostics.error("unexpected-list", "A list can only stand after in, like, regex and :", rangeOf(node));
    return { kind: "invalid", ...rangeOf(node) };
  }

  #path(node: SyntaxNode): Expression {
    const parts: string[] = [];
    const indexes: FieldExpression["indexes"][number][] = [];
    let optional = false;
    let variable = false;
    for (const child of named(node)) {
      const source = this.#source(child);
      if (child.name === "Optional") optional = true;
      else if (child.name === "Index") {
        const digits = source.replace(/[[\]\s]/g, "");
        const index = digits.length > 9 ? 999_999_999 : Number(digits);
        indexes.push({ after: parts.length, index });
      } else {
        variable ||= child.name === "Variable";
        parts.push(...nameParts(child.name === "Variable" ? source.slice(1) : source));
      }
    }
    return { kind: "field", parts, indexes, optional, variable, ...rangeOf(node) };
  }

  #literal(node: SyntaxNode): Expression {
    const range = rangeOf(node);
    const source = this.#source(node);
    const literal = (value: LiteralExpression["value"], text = source): LiteralExpression => ({ kind: "literal", value, text, ...range });
    const text = (value: string): LiteralExpression => literal(value, value);
    switch (node.name) {
      case "String":
        return text(stringValue(source, node.from, this.#context()));
      case "RawString":
        return text(rawStringValue(source));
      case "OldRawString":
        return text(oldRawStringValue(source, node.from, this.#context()));
      case "Integer":
        return literal(integerValue(source, range, this.#context()));
      case "Decimal":
        return literal(decimalValue(source, range, this.#context()));
      case "Boolean":
        return literal(source === "true");
      case "Null":
        return literal(null);
      default:
        this.#diagnostics.error("unexpected-duration", `Duration "${source}" can only stand after maxspan=`, range);
        return { kind: "invalid", ...range };
    }
  }

  #context(): { readonly dialect: Dialect; readonly diagnostics: DiagnosticList } {
    return { dialect: this.#dialect, diagnostics: this.#diagnostics };
  }

  #source(node: SyntaxNode): string {
    return this.#text.slice(node.from, node.to);
  }
}
