// Prints a rule's syntax tree as the Lua that LuaJIT gets: the author's program with ticks in every function, loop and backward jump, and with
// checked operators. LuaJIT never sees the author's text, only tokens printed here, so no reading of it can differ from ours; each
// construct stays on its line, so errors name the author's lines.
import type { Expression, FunctionDeclaration, Identifier, Located, Statement, TableConstructorExpression, Target, Token } from "luaparse";
import type { Scope, Variable } from "./scope.ts";
import { RESERVED_PREFIX } from "./source.ts";

/** Names of the operators in budget.lua, each a local of the printed chunk. */
const OPERATORS = ["cells", "slow", "cat", "cats", "operand", "pow", "set", "outer", "arguments"] as const;
type Operator = (typeof OPERATORS)[number];

/** What the chunk is, besides its tree. */
export interface RewriteInput {
  readonly body: readonly Statement[];
  readonly scope: Scope;
  readonly tokens: readonly Token[];
  /** The text, one character a byte. */
  readonly binary: string;
  /** The chunk is a function of the event. */
  readonly short: boolean;
}

/** The Lua text: a chunk that takes the budget's operators and the rule's globals and returns the author's chunk as a function. */
export function rewrite(input: RewriteInput): string {
  return new Printer(input).print(input.body, input.short);
}

const enum Precedence {
  Or = 1,
  And = 2,
  Compare = 3,
  Sum = 5,
  Product = 6,
  Unary = 7,
  Primary = 9,
}

const BINARY: Readonly<Record<string, Precedence>> = {
  or: Precedence.Or,
  and: Precedence.And,
  "<": Precedence.Compare,
  ">": Precedence.Compare,
  "<=": Precedence.Compare,
  ">=": Precedence.Compare,
  "==": Precedence.Compare,
  "~=": Precedence.Compare,
  "+": Precedence.Sum,
  "-": Precedence.Sum,
  "*": Precedence.Product,
  "/": Precedence.Product,
  "%": Precedence.Product,
};
/** Operators that read a string operand to its end. */
const READING = new Set(["<", ">", "<=", ">=", "+", "-", "*", "/", "%"]);

class Printer {
  readonly #scope: Scope;
  readonly #grouped: ReadonlySet<number>;
  readonly #parts: string[] = [];
  #line = 1;
  #functionDepth = 0;

  constructor(input: RewriteInput) {
    this.#scope = input.scope;
    this.#grouped = groupedStarts(input.tokens, input.binary);
  }

  print(body: readonly Statement[], short: boolean): string {
    const locals = OPERATORS.map((name) => helper(name)).join(",");
    const values = OPERATORS.map((name) => `${RESERVED_PREFIX}_budget.${name}`).join(",");
    this.#put(`local ${RESERVED_PREFIX}_budget,${RESERVED_PREFIX}_env=... local ${locals}=${values} `);
    this.#put(`return function(${short ? "event" : ""}) `);
    this.#tick(this.#scope.costs.get(body) ?? 1);
    this.#block(body);
    this.#put("end");
    return this.#parts.join("");
  }

  #put(text: string) {
    this.#parts.push(text);
  }

  /** Moves down to a node's line; never up, since what was printed longer than its source stays ahead. */
  #at(node: Located) {
    const line = node.loc.start.line;
    if (line > this.#line) {
      this.#put("\n".repeat(line - this.#line));
      this.#line = line;
    }
  }

  #tick(cost: number) {
    const cells = `${helper("cells")}[1]`;
    this.#put(`${cells}=${cells}-${cost} if ${cells}<0 then ${helper("slow")}() end `);
  }

  #block(body: readonly Statement[]) {
    for (const statement of body) {
      this.#at(statement);
      this.#statement(statement);
    }
  }

  #statement(node: Statement) {
    switch (node.type) {
      case "LocalStatement":
        return this.#local(node.variables, node.init);
      case "AssignmentStatement":
        return this.#assignment(node.variables, node.init);
      case "CallStatement":
        this.#expression(node.expression, Precedence.Primary);
        return this.#put("; ");
      case "ReturnStatement":
        return this.#return(node.arguments);
      case "BreakStatement":
        return this.#put("break ");
      case "GotoStatement":
        this.#tick(this.#scope.gotos.get(node as never) ?? 1);
        return this.#put(`goto ${node.label.name} `);
      case "LabelStatement":
        return this.#put(`::${node.label.name}:: `);
      case "DoStatement":
        this.#put("do ");
        this.#block(node.body);
        return this.#put("end ");
      case "IfStatement":
        return this.#if(node);
      case "FunctionDeclaration":
        return this.#functionStatement(node);
      default:
        return this.#loop(node);
    }
  }

  /** The chunk's own answer is one value; in parentheses it is no tail call, and an error in it still knows its line. */
  #return(nodes: readonly Expression[]) {
    this.#put("return ");
    const [only] = nodes;
    if (this.#functionDepth === 0 && nodes.length === 1 && only !== undefined) this.#single(only);
    else this.#list(nodes);
    this.#put(" ");
  }

  #local(variables: readonly Identifier[], init: readonly Expression[]) {
    this.#put(`local ${variables.map((variable) => variable.name).join(",")}`);
    if (init.length > 0) {
      this.#put("=");
      this.#list(init);
    }
    this.#put("; ");
    this.#epochs(variables);
  }

  /** Beside each variable that an inner function assigns: when it was made. */
  #epochs(variables: readonly Identifier[]) {
    for (const node of variables) {
      const variable = this.#scope.variables.get(node);
      if (variable?.assignedInside) this.#put(`local ${epochName(variable)}=${helper("cells")}[2]; `);
    }
  }

  #if(node: Extract<Statement, { readonly type: "IfStatement" }>) {
    for (const clause of node.clauses) {
      this.#at(clause);
      if (clause.type === "ElseClause") this.#put("else ");
      else {
        this.#put(clause.type === "IfClause" ? "if " : "elseif ");
        this.#expression(clause.condition);
        this.#put(" then ");
      }
      this.#block(clause.body);
    }
    this.#put("end ");
  }

  #loop(node: Extract<Statement, { readonly body: readonly Statement[] }>) {
    switch (node.type) {
      case "ForNumericStatement":
        this.#put(`for ${node.variable.name}=`);
        for (const [i, bound] of (node.step === null ? [node.start, node.end] : [node.start, node.end, node.step]).entries()) {
          if (i > 0) this.#put(",");
          this.#operand(bound);
        }
        this.#put(" do ");
        this.#loopBody(node, [node.variable]);
        return this.#put("end ");
      case "ForGenericStatement":
        this.#put(`for ${node.variables.map((variable) => variable.name).join(",")} in `);
        this.#list(node.iterators);
        this.#put(" do ");
        this.#loopBody(node, node.variables);
        return this.#put("end ");
      case "WhileStatement":
        this.#put("while ");
        this.#expression(node.condition);
        this.#put(" do ");
        this.#loopBody(node, []);
        return this.#put("end ");
      case "RepeatStatement":
        this.#put("repeat ");
        this.#loopBody(node, []);
        this.#put("until ");
        this.#expression(node.condition);
        return this.#put("; ");
    }
  }

  #loopBody(node: { readonly body: readonly Statement[] }, variables: readonly Identifier[]) {
    this.#tick(this.#scope.costs.get(node) ?? 1);
    this.#epochs(variables);
    this.#block(node.body);
  }

  #functionStatement(node: FunctionDeclaration) {
    const name = node.identifier;
    if (name === null) return;
    if (node.isLocal && name.type === "Identifier") {
      this.#put(`local function ${name.name}`);
      this.#functionRest(node, false);
      return this.#epochs([name]);
    }
    this.#assignOne(name, () => {
      this.#put("function");
      this.#functionRest(node, name.type === "MemberExpression" && name.indexer === ":");
    });
  }

  #functionRest(node: FunctionDeclaration, method: boolean) {
    const names = node.parameters.map((parameter) => (parameter.type === "Identifier" ? parameter.name : "..."));
    if (method) names.unshift("self");
    this.#put(`(${names.join(",")}) `);
    this.#functionDepth++;
    this.#tick(this.#scope.costs.get(node) ?? 1);
    if (names.at(-1) === "...") this.#put(`${helper("arguments")}(...) `);
    this.#epochs(node.parameters.filter((parameter) => parameter.type === "Identifier"));
    this.#block(node.body);
    this.#functionDepth--;
    this.#put("end ");
  }

  #assignment(targets: readonly Target[], init: readonly Expression[]) {
    const [target] = targets;
    const [value] = init;
    if (targets.length === 1 && init.length === 1 && target !== undefined && value !== undefined) {
      return this.#assignOne(target, () => this.#expression(value));
    }
    this.#assignSeveral(targets, init);
  }

  /** One target, one value. */
  #assignOne(target: Target, value: () => void) {
    if (target.type === "Identifier") {
      const variable = this.#scope.variables.get(target);
      if (variable !== undefined) {
        this.#checkOuter(variable);
        this.#put(`${target.name}=`);
        value();
        return this.#put("; ");
      }
    }
    this.#put(`${helper("set")}(`);
    this.#targetParts(target);
    this.#put(",(");
    value();
    this.#put(")); ");
  }

  #checkOuter(variable: Variable) {
    if (variable.assignedInside) this.#put(`${helper("outer")}(${epochName(variable)},"${variable.name}") `);
  }

  /** A target that is not a local variable, as table and key. */
  #targetParts(target: Target) {
    switch (target.type) {
      case "Identifier":
        return this.#put(`${RESERVED_PREFIX}_env,"${target.name}"`);
      case "MemberExpression":
        this.#single(target.base);
        return this.#put(`,"${target.identifier.name}"`);
      case "IndexExpression":
        this.#single(target.base);
        this.#put(",");
        return this.#single(target.index);
    }
  }

  /** Tables and keys, then values, then the assignments: as the manual orders them. */
  #assignSeveral(targets: readonly Target[], init: readonly Expression[]) {
    const temporary = (kind: string, index: number) => `${RESERVED_PREFIX}_${kind}${index}`;
    const isLocal = (target: Target) => target.type === "Identifier" && this.#scope.variables.has(target);
    this.#put("do ");
    for (const [i, target] of targets.entries()) {
      if (isLocal(target)) continue;
      this.#put(`local ${temporary("t", i)},${temporary("k", i)}=`);
      this.#targetParts(target);
      this.#put("; ");
    }
    this.#put(`local ${targets.map((_, i) => temporary("v", i)).join(",")}=`);
    this.#list(init);
    this.#put("; ");
    for (const [i, target] of targets.entries()) {
      const variable = target.type === "Identifier" ? this.#scope.variables.get(target) : undefined;
      if (variable === undefined) this.#put(`${helper("set")}(${temporary("t", i)},${temporary("k", i)},${temporary("v", i)}); `);
      else {
        this.#checkOuter(variable);
        this.#put(`${variable.name}=${temporary("v", i)}; `);
      }
    }
    this.#put("end ");
  }

  /** A list whose last expression may give several values, unless the author put parentheses around it. */
  #list(nodes: readonly Expression[]) {
    for (const [i, node] of nodes.entries()) {
      if (i > 0) this.#put(",");
      if (isMultiple(node) && this.#grouped.has(node.range[0])) this.#single(node);
      else this.#expression(node);
    }
  }

  /** Exactly one value. */
  #single(node: Expression) {
    if (!isMultiple(node)) return this.#expression(node);
    this.#put("(");
    this.#expression(node);
    this.#put(")");
  }

  #expression(node: Expression, least: Precedence = Precedence.Or) {
    const own = precedenceOf(node);
    if (own < least) this.#put("(");
    this.#at(node);
    this.#bare(node);
    if (own < least) this.#put(")");
  }

  #bare(node: Expression) {
    switch (node.type) {
      case "Identifier":
        return this.#put(node.name);
      case "StringLiteral":
        return this.#put(quote(node.value));
      case "NumericLiteral":
        return this.#put(Number.isFinite(node.value) ? String(node.value) : "(1/0)");
      case "BooleanLiteral":
        return this.#put(String(node.value));
      case "NilLiteral":
        return this.#put("nil");
      case "VarargLiteral":
        return this.#put("...");
      case "FunctionDeclaration":
        this.#put("function");
        return this.#functionRest(node, false);
      case "TableConstructorExpression":
        return this.#table(node);
      case "UnaryExpression":
        this.#put(`${node.operator} `);
        return node.operator === "-" ? this.#operand(node.argument) : this.#expression(node.argument, Precedence.Unary);
      case "BinaryExpression":
      case "LogicalExpression":
        return this.#binary(node);
      case "MemberExpression":
        this.#expression(node.base, Precedence.Primary);
        return this.#put(`${node.indexer}${node.identifier.name}`);
      case "IndexExpression":
        this.#expression(node.base, Precedence.Primary);
        this.#put("[");
        this.#expression(node.index);
        return this.#put("]");
      default:
        return this.#call(node);
    }
  }

  #binary(node: Extract<Expression, { readonly type: "BinaryExpression" | "LogicalExpression" }>) {
    if (node.operator === "..") return this.#concat(node);
    if (node.operator === "^") {
      this.#put(`${helper("pow")}(`);
      this.#single(node.left);
      this.#put(",");
      this.#single(node.right);
      return this.#put(")");
    }
    const own = BINARY[node.operator] ?? Precedence.Or;
    const plainOrder = own === Precedence.Compare && (isNumber(node.left) || isNumber(node.right));
    if (READING.has(node.operator) && !plainOrder) {
      this.#operand(node.left);
      this.#put(` ${node.operator} `);
      return this.#operand(node.right);
    }
    this.#expression(node.left, own);
    this.#put(` ${node.operator} `);
    this.#expression(node.right, own + 1);
  }

  /** An operand that would be read to its end were it a string. */
  #operand(node: Expression) {
    if (isNumber(node)) return this.#expression(node, Precedence.Primary);
    this.#at(node);
    this.#put(`${helper("operand")}(`);
    this.#expression(node);
    this.#put(")");
  }

  #concat(node: Expression) {
    const parts: Expression[] = [];
    let rest = node;
    // Nothing marks parentheses in the tree; the operator leans right, so only what leans right is one chain.
    while (rest.type === "BinaryExpression" && rest.operator === "..") {
      parts.push(rest.left);
      rest = rest.right;
    }
    parts.push(rest);
    this.#put(parts.length === 2 ? `${helper("cat")}(` : `${helper("cats")}({`);
    for (const [i, part] of parts.entries()) {
      if (i > 0) this.#put(",");
      this.#single(part);
    }
    this.#put(parts.length === 2 ? ")" : `},${parts.length})`);
  }

  #table(node: TableConstructorExpression) {
    this.#put("{");
    for (const [i, field] of node.fields.entries()) {
      if (field.type === "TableKey") {
        this.#put("[");
        this.#expression(field.key);
        this.#put("]=");
        this.#expression(field.value);
      } else if (field.type === "TableKeyString") {
        this.#at(field);
        this.#put(`${field.key.name}=`);
        this.#expression(field.value);
      } else if (i === node.fields.length - 1) {
        this.#list([field.value]);
      } else this.#expression(field.value);
      this.#put(",");
    }
    this.#put("}");
  }

  #call(node: Extract<Expression, { readonly type: "CallExpression" | "TableCallExpression" | "StringCallExpression" }>) {
    this.#expression(node.base, Precedence.Primary);
    // The bracket stays on the base's line: on a new line LuaJIT would ask whether a new statement begins.
    this.#put("(");
    if (node.type === "CallExpression") this.#list(node.arguments);
    else this.#expression(node.type === "TableCallExpression" ? node.arguments : node.argument);
    this.#put(")");
  }
}

function helper(name: Operator): string {
  return `${RESERVED_PREFIX}_${name}`;
}

function epochName(variable: Variable): string {
  return `${RESERVED_PREFIX}_e${variable.id}`;
}

function isMultiple(node: Expression): boolean {
  return (
    node.type === "VarargLiteral" ||
    node.type === "CallExpression" ||
    node.type === "TableCallExpression" ||
    node.type === "StringCallExpression"
  );
}

function isNumber(node: Expression): boolean {
  return node.type === "NumericLiteral";
}

function precedenceOf(node: Expression): Precedence {
  switch (node.type) {
    case "BinaryExpression":
    case "LogicalExpression":
      return BINARY[node.operator] ?? Precedence.Primary;
    case "UnaryExpression":
      return Precedence.Unary;
    case "StringLiteral":
    case "NumericLiteral":
    case "BooleanLiteral":
    case "NilLiteral":
    case "VarargLiteral":
    case "FunctionDeclaration":
    case "TableConstructorExpression":
      return Precedence.Unary + 1;
    default:
      return Precedence.Primary;
  }
}

/** Every byte that is not plain ASCII text as a decimal escape: whatever the string, the token is unmistakable. */
function quote(binary: string): string {
  return `"${binary.replace(/[^ !#-[\]-~]/g, (char) => `\\${char.charCodeAt(0).toString().padStart(3, "0")}`)}"`;
}

/** Where expressions start that have grouping parentheses right before them; those of calls and parameters do not count. */
function groupedStarts(tokens: readonly Token[], binary: string): ReadonlySet<number> {
  const starts = new Set<number>();
  for (let i = 1; i < tokens.length; i++) {
    if (textOf(tokens[i - 1], binary) === "(" && !endsPrefix(tokens[i - 2], binary)) starts.add(tokens[i]?.range[0] ?? -1);
  }
  return starts;
}

const KEYWORDS_BEFORE_GROUP = new Set(
  "and break do else elseif end for function goto if in local not or repeat return then until while".split(" "),
);

/** Whether a bracket after this token is a call's or a parameter list's. */
function endsPrefix(token: Token | undefined, binary: string): boolean {
  const text = textOf(token, binary);
  if (text === "") return false;
  if (text === "function") return true;
  return /^[A-Za-z_]/.test(text) ? !KEYWORDS_BEFORE_GROUP.has(text) : /[)\]}"']$/.test(text);
}

function textOf(token: Token | undefined, binary: string): string {
  return token === undefined ? "" : binary.slice(token.range[0], token.range[1]);
}
