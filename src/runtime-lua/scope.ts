// One walk over a rule's syntax tree before it is rewritten: which variable each name is, what each function and loop body costs in ticks,
// which fields and patterns the rule names, and everything that can be refused before it runs. The tree is not changed.

import type { Expression, FunctionDeclaration, GotoStatement, Identifier, Located, Statement, Target } from "luaparse";
import { nearestName } from "#schema";
import { type Findings, NESTING_MAX } from "./source.ts";

/** A local variable of the rule. */
export interface Variable {
  readonly id: number;
  readonly name: string;
  /** Nesting of the function that declares it; 0 is the chunk. */
  readonly depth: number;
  /** Some inner function assigns it, so it carries the epoch it was made in. */
  assignedInside: boolean;
}

/** What the walk knows besides the tree. */
export interface ScopeRules {
  /** Global names that exist for rules. */
  readonly globals: ReadonlySet<string>;
  /** Whether a field of this name is known. */
  readonly isField: (name: string) => boolean;
  /** Names of all fields, for suggestions. */
  readonly fieldNames: () => readonly string[];
  /** Whether the chunk itself is run for every event. */
  readonly short: boolean;
}

/** What the walk found. */
export interface Scope {
  /** Variable of each name that is a local one; names that are missing here are globals. */
  readonly variables: ReadonlyMap<Identifier, Variable>;
  /** Ticks of one run of a function's or loop's own straight code. */
  readonly costs: ReadonlyMap<unknown, number>;
  /** Ticks of each goto: what it may run again. */
  readonly gotos: ReadonlyMap<GotoStatement, number>;
  /** Field names the rule writes as text. */
  readonly fields: ReadonlySet<string>;
  /** Globals the rule assigns. */
  readonly globals: ReadonlySet<string>;
  /** First arguments of re_match. */
  readonly patterns: ReadonlyMap<string, readonly [number, number]>;
}

const METHODS = new Set(["get", "all", "has", "category"]);
const FIELD_METHODS = new Set(["get", "all", "has"]);
const FIELD_FUNCTIONS = new Set(["event_get_str", "event_get_i64", "event_get_u64", "event_get_f64", "event_get_bool"]);

interface FunctionFrame {
  /** Ticks of all bodies of the function, for backward jumps. */
  total: number;
  readonly labels: Set<string>;
  readonly backward: GotoStatement[];
}

/** Walks a chunk. Recursion is bounded by the nesting check; a long left-leaning chain may still raise RangeError, which the caller catches. */
export function resolveScope(body: readonly Statement[], rules: ScopeRules, findings: Findings): Scope {
  const walk = new Walk(rules, findings);
  walk.chunk(body);
  return walk;
}

class Walk implements Scope {
  readonly variables = new Map<Identifier, Variable>();
  readonly costs = new Map<unknown, number>();
  readonly gotos = new Map<GotoStatement, number>();
  readonly fields = new Set<string>();
  readonly patterns = new Map<string, readonly [number, number]>();
  readonly #rules: ScopeRules;
  readonly #findings: Findings;
  readonly #blocks: Map<string, Variable>[] = [];
  readonly #frames: FunctionFrame[] = [];
  readonly globals = new Set<string>();
  readonly #readGlobals: Identifier[] = [];
  #nextId = 1;
  #cost = 0;
  #depth = 0;

  constructor(rules: ScopeRules, findings: Findings) {
    this.#rules = rules;
    this.#findings = findings;
  }

  chunk(body: readonly Statement[]): void {
    this.#function(body, () => {
      if (this.#rules.short) this.#declare({ name: "event" });
      this.#block(body);
    });
    for (const name of this.#readGlobals) this.#checkGlobal(name);
  }

  #function(key: unknown, inside: () => void) {
    const frame: FunctionFrame = { total: 0, labels: new Set(), backward: [] };
    this.#frames.push(frame);
    this.#body(key, inside);
    this.#frames.pop();
    for (const jump of frame.backward) this.gotos.set(jump, frame.total);
  }

  /** A stretch of code that pays for itself each time it runs. */
  #body(key: unknown, inside: () => void) {
    const outer = this.#cost;
    this.#cost = 1;
    this.#blocks.push(new Map());
    inside();
    this.#blocks.pop();
    this.costs.set(key, this.#cost);
    const frame = this.#frames.at(-1);
    if (frame !== undefined) frame.total += this.#cost;
    this.#cost = outer;
  }

  #declare(node: Identifier | { readonly name: string }) {
    const variable = { id: this.#nextId++, name: node.name, depth: this.#frames.length, assignedInside: false };
    this.#blocks.at(-1)?.set(node.name, variable);
    if ("type" in node) this.variables.set(node, variable);
  }

  #lookup(name: string): Variable | undefined {
    for (let i = this.#blocks.length - 1; i >= 0; i--) {
      const variable = this.#blocks[i]?.get(name);
      if (variable !== undefined) return variable;
    }
    return undefined;
  }

  #nested(node: Located, inside: () => void) {
    if (++this.#depth > NESTING_MAX * 2) this.#findings.error("too-deep", "Nested too deeply: name the inner parts with local", node.range);
    else inside();
    this.#depth--;
  }

  #block(body: readonly Statement[]) {
    for (const statement of body) {
      this.#cost++;
      this.#nested(statement, () => this.#statement(statement));
    }
  }

  #scoped(inside: () => void) {
    this.#blocks.push(new Map());
    inside();
    this.#blocks.pop();
  }

  #statement(node: Statement) {
    switch (node.type) {
      case "LocalStatement":
        this.#all(node.init);
        for (const variable of node.variables) this.#declare(variable);
        return;
      case "AssignmentStatement":
        this.#all(node.init);
        for (const target of node.variables) this.#assign(target);
        return;
      case "CallStatement":
        return this.#expression(node.expression);
      case "ReturnStatement":
        return this.#all(node.arguments);
      case "DoStatement":
        return this.#scoped(() => this.#block(node.body));
      case "IfStatement":
        for (const clause of node.clauses) {
          if (clause.type !== "ElseClause") this.#expression(clause.condition);
          this.#scoped(() => this.#block(clause.body));
        }
        return;
      case "FunctionDeclaration":
        return this.#functionStatement(node);
      case "LabelStatement":
        this.#frames.at(-1)?.labels.add(node.label.name);
        return;
      case "GotoStatement":
        if (this.#frames.at(-1)?.labels.has(node.label.name)) this.#frames.at(-1)?.backward.push(node);
        return;
      case "BreakStatement":
        return;
      default:
        return this.#loop(node);
    }
  }

  #loop(node: Extract<Statement, { readonly body: readonly Statement[] }>) {
    switch (node.type) {
      case "ForNumericStatement":
        this.#all(node.step === null ? [node.start, node.end] : [node.start, node.end, node.step]);
        return this.#body(node, () => {
          this.#declare(node.variable);
          this.#block(node.body);
        });
      case "ForGenericStatement":
        this.#all(node.iterators);
        return this.#body(node, () => {
          for (const variable of node.variables) this.#declare(variable);
          this.#cost += 2;
          this.#block(node.body);
        });
      case "WhileStatement":
      case "RepeatStatement":
        return this.#body(node, () => {
          // The condition of a repeat sees the body's locals; that of a while must not, and is walked first.
          if (node.type === "WhileStatement") this.#expression(node.condition);
          this.#block(node.body);
          if (node.type === "RepeatStatement") this.#expression(node.condition);
        });
    }
  }

  #functionStatement(node: FunctionDeclaration) {
    const name = node.identifier;
    if (name !== null && node.isLocal && name.type === "Identifier") this.#declare(name);
    else if (name !== null) this.#assign(name);
    this.#closure(node);
  }

  #closure(node: FunctionDeclaration) {
    this.#cost += 4;
    this.#function(node, () => {
      if (node.identifier?.type === "MemberExpression" && node.identifier.indexer === ":") this.#declare({ name: "self" });
      for (const parameter of node.parameters) {
        if (parameter.type === "Identifier") this.#declare(parameter);
        else this.#cost += 16;
      }
      this.#block(node.body);
    });
  }

  #assign(target: Target) {
    if (target.type !== "Identifier") return this.#expression(target);
    const variable = this.#lookup(target.name);
    if (variable !== undefined) {
      this.variables.set(target, variable);
      if (variable.depth !== this.#frames.length) variable.assignedInside = true;
      return;
    }
    this.globals.add(target.name);
    if (this.#rules.short) {
      const message = `Global "${target.name}" cannot be assigned in a rule that is one expression: write local ${target.name}`;
      this.#findings.error("global-assignment", message, target.range);
    }
  }

  #all(nodes: readonly Expression[]) {
    for (const node of nodes) this.#expression(node);
  }

  // Annotated, since it calls itself; so no case may return what another method gives.
  #expression(node: Expression): void {
    this.#cost++;
    switch (node.type) {
      case "Identifier":
        this.#read(node);
        return;
      case "StringLiteral":
        if (this.#rules.isField(node.value)) this.fields.add(node.value);
        return;
      case "VarargLiteral":
        this.#cost += 16;
        if (this.#frames.length === 1) this.#findings.error("vararg", `"..." has no meaning outside a function`, node.range);
        return;
      case "FunctionDeclaration":
        this.#nested(node, () => this.#closure(node));
        return;
      case "UnaryExpression":
        this.#nested(node, () => this.#expression(node.argument));
        return;
      case "BinaryExpression":
      case "LogicalExpression":
        this.#expression(node.left);
        this.#nested(node, () => this.#expression(node.right));
        return;
      case "TableConstructorExpression":
        this.#cost += 3;
        for (const field of node.fields) {
          if (field.type === "TableKey") this.#nested(field, () => this.#expression(field.key));
          this.#nested(field, () => this.#expression(field.value));
        }
        return;
      case "MemberExpression":
        this.#checkMember(node);
        this.#expression(node.base);
        return;
      case "IndexExpression":
        if (isEvent(node.base)) this.#checkField(node.index);
        this.#expression(node.base);
        this.#nested(node, () => this.#expression(node.index));
        return;
      case "CallExpression":
      case "TableCallExpression":
      case "StringCallExpression":
        this.#call(node);
        return;
      default:
        return;
    }
  }

  #call(node: Extract<Expression, { readonly type: "CallExpression" | "TableCallExpression" | "StringCallExpression" }>) {
    const args = node.type === "CallExpression" ? node.arguments : [node.type === "TableCallExpression" ? node.arguments : node.argument];
    this.#cost += 2;
    const first = args[0];
    if (
      node.base.type === "MemberExpression" &&
      node.base.indexer === ":" &&
      isEvent(node.base.base) &&
      FIELD_METHODS.has(node.base.identifier.name)
    ) {
      if (first !== undefined) this.#checkField(first);
    } else if (node.base.type === "Identifier" && this.#lookup(node.base.name) === undefined) {
      if (first !== undefined && FIELD_FUNCTIONS.has(node.base.name)) this.#checkField(first);
      if (node.base.name === "re_match") this.#checkPattern(first, node);
    }
    this.#expression(node.base);
    this.#nested(node, () => this.#all(args));
  }

  #read(node: Identifier) {
    const variable = this.#lookup(node.name);
    if (variable !== undefined) this.variables.set(node, variable);
    else this.#readGlobals.push(node);
  }

  #checkGlobal(node: Identifier) {
    if (this.#rules.globals.has(node.name) || this.globals.has(node.name)) return;
    const known = [...this.#rules.globals, ...this.globals];
    const near = nearestName(node.name, known);
    const advice = near === undefined ? "rules have no such function or variable" : `did you mean "${near}"?`;
    this.#findings.error("unknown-name", `Unknown name "${node.name}": ${advice}`, node.range);
  }

  #checkField(node: Expression) {
    if (node.type !== "StringLiteral" || this.#rules.isField(node.value)) return;
    if (METHODS.has(node.value)) return;
    const near = nearestName(node.value, this.#rules.fieldNames());
    const advice = near === undefined ? "" : `, did you mean "${near}"?`;
    this.#findings.error("unknown-field", `Unknown field "${readable(node.value)}"${advice}`, node.range);
  }

  #checkMember(node: Extract<Expression, { readonly type: "MemberExpression" }>) {
    const name = node.identifier.name;
    if (!isEvent(node.base) || METHODS.has(name)) return;
    if (this.#rules.isField(name)) {
      this.fields.add(name);
      return;
    }
    this.#findings.error("unknown-field", `"event.${name}" is not a field: write event["process.name"] with the whole name`, node.range);
  }

  #checkPattern(node: Expression | undefined, call: Located) {
    if (node?.type === "StringLiteral") this.patterns.set(node.value, node.range);
    else this.#findings.error("pattern-not-literal", "re_match needs its pattern written as text in the call", node?.range ?? call.range);
  }
}

function isEvent(node: Expression): boolean {
  return node.type === "Identifier" && node.name === "event";
}

/** A byte string as people read it. */
function readable(binary: string): string {
  const text = Buffer.from(binary, "latin1").toString("utf8");
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
