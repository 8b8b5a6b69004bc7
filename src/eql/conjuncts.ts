// The parts of a query's conditions that must all be true, each with its text and ready to be evaluated alone: what an author is shown when an event
// does not match. Taken from the syntax, so that each part is what stands in the query.
import type { SchemaRegistry } from "#schema";
import type { EventQuery, Expression as Syntax } from "./ast.ts";
import { DiagnosticList, type Range } from "./diagnostics.ts";
import { type ConditionNode, IrBuilder, type IrNode } from "./ir.ts";
import { printIr } from "./ir-print.ts";
import type { LoweredPlan } from "./lower-plan.ts";
import { parseQuery } from "./parse.ts";
import { lowerQuery, childrenOf as partsOf, type QuerySource } from "./query.ts";
import { childrenOf } from "./rule-set-facts.ts";

/** A field that a condition looks at. */
export interface FieldRead {
  readonly fieldId: number;
  readonly name: string;
  /** Step whose event it is of; undefined: the event in question. */
  readonly step: number | undefined;
}

/** One of several conditions. */
export interface Conjunct {
  /** As the query has it. */
  readonly text: string;
  /** For compileExpression. */
  readonly expression: { readonly node: unknown };
  readonly reads: readonly FieldRead[];
  /** It depends on other events. */
  readonly waits: boolean;
  /** An exception: it must not be true. */
  readonly excludes: boolean;
}

/** Conjuncts of the query's conditions: of each step and of until, by slot; of an event query one list. Empty when the query has an error. */
export function queryConjuncts(source: QuerySource, registry: SchemaRegistry): readonly (readonly Conjunct[])[] {
  const text = source.text.toWellFormed();
  const query = parseQuery(text, source.dialect, new DiagnosticList(text));
  const { condition, planned } = lowerQuery(source, registry, new IrBuilder());
  if (query === undefined || (condition === undefined && planned === undefined)) return [];
  const { body, pipes } = query;
  const steps = body.kind === "event" ? undefined : [...body.steps, ...(body.until === undefined ? [] : [body.until])];
  const aliases = new Set(steps?.flatMap((step) => step.alias?.name ?? []));
  const reader = new ConjunctReader(source, text, registry, aliases);
  const exceptions = source.exceptions.flatMap((exception) => reader.alone(exception, exception, true) ?? []);
  if (body.kind === "event") {
    const filters = pipes.filter((pipe) => pipe.name.toLowerCase() === "filter").flatMap((pipe) => pipe.operands);
    return [[...reader.conjuncts(body, residualsOf(planned, 0), filters), ...exceptions]];
  }
  return steps!.map((step, slot) => {
    const own = reader.conjuncts(step.query, residualsOf(planned, slot), []);
    return slot >= body.steps.length || step.missing ? own : [...own, ...exceptions];
  });
}

function residualsOf(planned: LoweredPlan | undefined, slot: number): readonly ConditionNode[] {
  const residual = (planned?.plan.steps[slot] ?? planned?.plan.until)?.residual?.node as ConditionNode | undefined;
  return residual === undefined ? [] : residual.kind === "and" ? residual.operands : [residual];
}

class ConjunctReader {
  constructor(
    readonly source: QuerySource,
    readonly text: string,
    readonly registry: SchemaRegistry,
    readonly aliases: ReadonlySet<string>,
  ) {}

  conjuncts(query: EventQuery, residuals: readonly ConditionNode[], filters: readonly Syntax[]): readonly Conjunct[] {
    const { condition } = query;
    const found: Conjunct[] = [];
    if (query.category !== undefined) {
      const category = this.text.slice(query.from, condition.from).replace(/[\s(]+$/, "");
      found.push(...(this.#lowered(category, `${category} true`, false) ?? []));
    }
    const waiting: string[] = [];
    for (const part of [condition, ...filters].flatMap(flattened)) {
      const text = this.#slice(part);
      const alone = this.#mentionsAlias(part) ? undefined : this.alone(text, text, false);
      if (alone === undefined) waiting.push(text);
      else found.push(...alone);
    }
    for (const [index, node] of residuals.entries()) {
      const text = waiting.length === residuals.length ? waiting[index]! : printIr(node);
      found.push({ text, expression: { node }, reads: readsOf(node), waits: true, excludes: false });
    }
    return found;
  }

  /** A condition by itself; `undefined` when it cannot stand alone, nothing when it is always true. */
  alone(text: string, condition: string, excludes: boolean): readonly Conjunct[] | undefined {
    return this.#lowered(text, `any where (\n${condition}\n)`, excludes);
  }

  #lowered(text: string, query: string, excludes: boolean): readonly Conjunct[] | undefined {
    const { condition } = lowerQuery({ ...this.source, text: query, exceptions: [], purpose: "query" }, this.registry, new IrBuilder());
    if (condition === undefined) return undefined;
    if (condition.kind === "truth" && condition.value === true && !excludes) return [];
    return [{ text, expression: { node: condition }, reads: readsOf(condition), waits: false, excludes }];
  }

  #slice({ from, to }: Range): string {
    return this.text.slice(from, to);
  }

  #mentionsAlias(part: Syntax): boolean {
    if (part.kind === "field") return this.aliases.has(part.parts[0] ?? "");
    return partsOf(part).some((inner) => this.#mentionsAlias(inner));
  }
}

function flattened(condition: Syntax): readonly Syntax[] {
  return condition.kind === "and" ? condition.operands.flatMap(flattened) : [condition];
}

function readsOf(root: IrNode): readonly FieldRead[] {
  const found = new Map<string, FieldRead>();
  const seen = new Set<IrNode>();
  const look = (node: IrNode): void => {
    if (seen.has(node)) return;
    seen.add(node);
    const field = node.kind === "field" ? node : node.kind === "earlier" || node.kind === "element" ? node.field : undefined;
    if (field === undefined) for (const child of childrenOf(node)) look(child);
    else {
      const step = node.kind === "earlier" ? node.step : undefined;
      found.set(`${step} ${field.fieldId}`, { fieldId: field.fieldId, name: field.name, step });
    }
  };
  look(root);
  return [...found.values()];
}
