// What a query's text says about fields and categories without any schema: which names it uses, and as what. For tools that must make a
// schema from data before they can compile.
import type { Dialect, EventQuery, Expression, FieldExpression, LiteralExpression, Pipe, Query, SeveralEventsQuery, Step } from "./ast.ts";
import { DiagnosticList } from "./diagnostics.ts";
import { IDENTITY_NAMES } from "./lower-lineage.ts";
import { parseQuery } from "./parse.ts";
import { childrenOf } from "./query.ts";

/** What a field is used as: beside text, a number or a boolean; `any` when the text does not say. */
export type FieldUsage = "text" | "number" | "boolean" | "any";

/** A field that a query names. */
export interface NamedField {
  readonly name: string;
  readonly usage: FieldUsage;
  /** Written with `?` wherever it stands. */
  readonly optional: boolean;
}

/**
 * Fields a query names, in order of appearance; those of sequence steps, keys and pipes too, without the names of steps before them. With
 * lineage in it also the fields that tell processes apart. Empty for a text that is not EQL.
 */
export function fieldsOf(text: string, dialect: Dialect): readonly NamedField[] {
  const query = parseQuery(text.toWellFormed(), dialect, new DiagnosticList(""));
  if (query === undefined) return [];
  const { body, pipes } = query;
  const aliases = new Set(body.kind === "event" ? [] : body.steps.map((step) => step.alias?.name ?? ""));
  const collector = new FieldCollector(dialect, aliases);
  for (const step of eventsOf(body)) collector.event(step);
  if (body.kind !== "event") {
    const steps = stepsOf(body);
    for (const key of [...body.keys, ...steps.flatMap((step) => step.keys)]) collector.expression(key, "any", NO_PREFIXES);
  }
  collector.pipes(pipes);
  return collector.fields();
}

/** Category names of a query and its steps, without `any`; not those inside lineage. Empty for a text that is not EQL. */
export function categoriesOf(text: string, dialect: Dialect): readonly string[] {
  const query = parseQuery(text.toWellFormed(), dialect, new DiagnosticList(""));
  if (query === undefined) return [];
  const names = eventsOf(query.body).map((step) => step.category);
  return [...new Set(names.filter((name) => name !== undefined))];
}

function stepsOf({ steps, until }: SeveralEventsQuery): readonly Step[] {
  return until === undefined ? steps : [...steps, until];
}

function eventsOf(body: Query["body"]): readonly EventQuery[] {
  return body.kind === "event" ? [body] : stepsOf(body).map((step) => step.query);
}

type Prefixes = ReadonlyMap<string, string | undefined>;

const NUMERIC_FUNCTIONS = new Set(["add", "subtract", "multiply", "divide", "modulo"]);
const ANY_FUNCTIONS = new Set(["string", "concat", "arraycontains", "arraysearch", "_arraysearch", "arraycount", "_arraycount", "safe"]);

/** Columns that a count adds: no fields. */
const COLUMNS = new Set(["count", "percent", "key"]);
const NO_PREFIXES: Prefixes = new Map();

class FieldCollector {
  readonly #found = new Map<string, { usage: FieldUsage; optional: boolean }>();
  readonly #dialect: Dialect;
  /** Names of steps: a field that begins with one is the rest. */
  readonly #aliases: ReadonlySet<string>;
  #place: "query" | "pipe" | "counted" = "query";

  constructor(dialect: Dialect, aliases: ReadonlySet<string>) {
    this.#dialect = dialect;
    this.#aliases = aliases;
  }

  fields(): readonly NamedField[] {
    return [...this.#found].map(([name, { usage, optional }]) => ({ name, usage, optional }));
  }

  event(query: EventQuery): void {
    this.expression(query.condition, "boolean", NO_PREFIXES);
  }

  pipes(pipes: readonly Pipe[]): void {
    this.#place = "pipe";
    for (const { name, operands } of pipes) {
      for (const operand of operands) this.expression(operand, name === "filter" ? "boolean" : "any", NO_PREFIXES);
      if (name === "count" || name === "unique_count") this.#place = "counted";
    }
  }

  expression(expression: Expression, usage: FieldUsage, prefixes: Prefixes): void {
    switch (expression.kind) {
      case "field":
        this.#field(expression, usage, prefixes);
        break;
      case "lineage":
        this.event(expression.query);
        for (const name of Object.values(IDENTITY_NAMES[this.#dialect])) if (name !== undefined) this.#note(name, "any", true);
        break;
      case "call":
        this.#call(expression.name.toLowerCase(), expression.operands, prefixes);
        break;
      default:
        for (const child of childrenOf(expression)) this.expression(child, usageInside(expression, child), prefixes);
    }
  }

  #field(field: FieldExpression, usage: FieldUsage, prefixes: Prefixes): void {
    const root = field.parts[0]!;
    let { parts } = field;
    if (prefixes.has(root)) {
      const prefix = prefixes.get(root);
      if (prefix === undefined || parts.length === 1) return;
      parts = [prefix, ...parts.slice(1)];
    } else if (this.#place === "counted" && parts.length === 1 && COLUMNS.has(root)) return;
    else if (this.#isEvent(field)) parts = parts.slice(1);
    if (parts.length > 0) this.#note(parts.join("."), usage, field.optional);
  }

  /** Whether a field begins with the name of another event: a step's, or `events[N]` in a pipe. */
  #isEvent({ parts, indexes }: FieldExpression): boolean {
    if (this.#aliases.has(parts[0]!)) return true;
    return this.#place !== "query" && parts[0] === "events" && parts.length > 1 && indexes[0]?.after === 1;
  }

  #note(name: string, usage: FieldUsage, optional: boolean): void {
    const known = this.#found.get(name);
    if (known === undefined) this.#found.set(name, { usage, optional });
    else {
      if (known.usage === "any") known.usage = usage;
      known.optional &&= optional;
    }
  }

  #call(name: string, operands: readonly Expression[], prefixes: Prefixes): void {
    const [array, variable, body] = operands;
    if (
      name.replace(/^_/, "").match(/^array(search|count)$/) &&
      array?.kind === "field" &&
      variable?.kind === "field" &&
      body !== undefined
    ) {
      this.expression(array, "any", prefixes);
      const above = prefixes.get(array.parts[0]!);
      const path = (above === undefined ? array.parts : [above, ...array.parts.slice(1)]).join(".");
      this.expression(body, "boolean", new Map([...prefixes, [variable.parts[0]!, path]]));
      return;
    }
    const usage = NUMERIC_FUNCTIONS.has(name) ? "number" : ANY_FUNCTIONS.has(name) ? "any" : "text";
    for (const [i, operand] of operands.entries()) this.expression(operand, i >= 1 && usage === "text" ? "any" : usage, prefixes);
  }
}

function usageInside(parent: Expression, child: Expression): FieldUsage {
  switch (parent.kind) {
    case "and":
    case "or":
    case "not":
      return "boolean";
    case "arithmetic":
    case "negate":
      return "number";
    case "comparison":
      return usageBeside(child === parent.left ? parent.right : parent.left);
    case "membership": {
      if (parent.operator === "like" || parent.operator === "regex") return "text";
      const literal = parent.items.find((item): item is LiteralExpression => item.kind === "literal" && item.value !== null);
      return literal === undefined ? "any" : usageBeside(literal);
    }
    default:
      return "any";
  }
}

function usageBeside(other: Expression): FieldUsage {
  if (other.kind === "arithmetic" || other.kind === "negate") return "number";
  if (other.kind !== "literal") return "any";
  switch (typeof other.value) {
    case "string":
      return "text";
    case "bigint":
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    default:
      return "any";
  }
}
