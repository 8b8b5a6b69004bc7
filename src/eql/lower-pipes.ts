// Pipes to data that pipeline.ts runs. In a query all of them work on the results; in a rule every match alerts at once, so only filter means
// something there and the others get a warning.
import { type FieldDefinition, type FieldType, nearestName } from "#schema";
import type { Expression, Pipe, SeveralEventsQuery } from "./ast.ts";
import { quoted } from "./diagnostics.ts";
import type { ConditionNode, IrNode, ValueNode } from "./ir.ts";
import { lowerCondition, lowerOperand } from "./lower.ts";
import { fail, type LowerContext, type NameScope, NO_NAMES, type StepName } from "./lower-context.ts";
import { childrenOf } from "./rule-set-facts.ts";

/** One pipe. */
export type LoweredPipe =
  | { readonly kind: "head" | "tail"; readonly count: number }
  | { readonly kind: "filter"; readonly condition: ConditionNode }
  | { readonly kind: "sort" | "unique" | "count" | "unique_count"; readonly keys: readonly ValueNode[] };

/** The pipes of a query, in order. */
export interface Pipes {
  readonly pipes: readonly LoweredPipe[];
  /** Keys are compared without case. */
  readonly folded: boolean;
}

/** Ids of the columns that counts add. Negative: no field of a record has them. */
export const COLUMN_IDS = { count: -1, percent: -2 } as const;
/** Ids of the column `key` by type: one id never has two types. */
export const KEY_COLUMN_IDS: Readonly<Record<FieldType, number>> = {
  keyword: -3,
  "keyword[]": -4,
  i64: -5,
  u64: -6,
  f64: -7,
  bool: -8,
  ip: -9,
  date: -10,
};

const NAMES = ["head", "tail", "filter", "sort", "unique", "count", "unique_count"] as const;
const PIPES_MAX = 32;
/** Endgame's head and tail without a number. */
const COUNT_DEFAULT = 50;
const COUNT_MAX = 2_000_000_000n;

/** What pipes become. */
export interface LoweredPipes {
  /** Filters that the query itself, or the plan of a rule, can hold. */
  readonly filters: readonly ConditionNode[];
  /** What is left to be done with the results. */
  readonly pipes: readonly LoweredPipe[];
}

/** What pipes are lowered for. */
export interface PipeTarget {
  /** Of a query over several events. */
  readonly body: SeveralEventsQuery | undefined;
  readonly isRule: boolean;
}

/** Lowers pipes one behind the other: a count changes what the next ones can name. Pipes with errors are left out. */
export function lowerPipes(written: readonly Pipe[], { body, isRule }: PipeTarget, context: LowerContext): LoweredPipes {
  let names: NameScope = { ...NO_NAMES, aliases: placesOf(body), eventCount: eventCountOf(body) };
  const filters: ConditionNode[] = [];
  const pipes: LoweredPipe[] = [];
  if (written.length > PIPES_MAX) fail(context, "too-many-pipes", `More than ${PIPES_MAX} pipes`, written[PIPES_MAX]!);
  for (const pipe of written.slice(0, PIPES_MAX)) {
    const lineage: LowerContext["lineage"] = (expression, inner) =>
      fail(inner, "unsupported", "A pipe cannot ask about lineage, write it in the query before the |", expression);
    const one = lowerPipe(pipe, { ...context, names, lineage });
    if (one === undefined) continue;
    if (one.kind === "count") names = { ...NO_NAMES, columns: columnsOf(one.keys), columnsOnly: true };
    if (one.kind === "unique_count") names = { ...names, columns: new Map([...names.columns, COUNT, PERCENT]) };
    const holds = isRule || (body === undefined && pipes.length === 0);
    if (holds && one.kind === "filter" && !asksForColumns(one.condition)) filters.push(one.condition);
    else if (isRule) {
      const message = `${one.kind} has no effect in a rule: every match raises an alert`;
      context.diagnostics.warning("pipe-without-effect", message, pipe);
    } else pipes.push(one);
  }
  return { filters, pipes };
}

function eventCountOf(body: SeveralEventsQuery | undefined): number {
  return body === undefined ? 1 : body.steps.reduce((sum, step) => sum + step.runs, 0);
}

/** Names of steps as places in the result: of a step that runs several times, its last event. */
function placesOf(body: SeveralEventsQuery | undefined): ReadonlyMap<string, StepName> {
  const places = new Map<string, StepName>();
  let place = 0;
  for (const { runs, alias, missing } of body?.steps ?? []) {
    place += runs;
    if (alias === undefined || places.has(alias.name)) continue;
    const reason = `${quoted(alias.name)} is a missing event, it has no values`;
    places.set(alias.name, missing ? { kind: "refused", reason } : { kind: "step", step: place - 1 });
  }
  return places;
}

const COUNT = ["count", column(COLUMN_IDS.count, "count", "i64")] as const;
const PERCENT = ["percent", column(COLUMN_IDS.percent, "percent", "f64")] as const;

function columnsOf(keys: readonly ValueNode[]): ReadonlyMap<string, FieldDefinition> {
  const [key] = keys;
  const type = keys.length > 1 ? "keyword[]" : key === undefined ? "keyword" : KEY_TYPES[key.type];
  const columns: [string, FieldDefinition][] = [[...COUNT], ["key", column(KEY_COLUMN_IDS[type], "key", type)]];
  return new Map(key === undefined ? columns : [...columns, PERCENT]);
}

/** Type of the column of a key. */
export const KEY_TYPES: Readonly<Record<ValueNode["type"], FieldType>> = {
  string: "keyword",
  int: "i64",
  // A number decided at run time may be anything: its text.
  number: "keyword",
  float: "f64",
  bool: "bool",
};

function column(id: number, name: string, type: FieldType): FieldDefinition {
  return { id, name, type, description: "" };
}

function lowerPipe(pipe: Pipe, context: LowerContext): LoweredPipe | undefined {
  const name = NAMES.find((known) => known === pipe.name);
  const { operands } = pipe;
  switch (name) {
    case "head":
    case "tail": {
      const count = countOf(pipe, context);
      return count === undefined ? undefined : { kind: name, count };
    }
    case "filter": {
      const [condition, second] = operands;
      if (condition !== undefined && second === undefined) return { kind: name, condition: lowerCondition(condition, context) };
      return fail(context, "pipe-arguments", `filter takes one condition, not ${operands.length}`, pipe);
    }
    case "sort": {
      const direction = operands.find((operand) => operand.kind === "field" && /^(asc|desc)$/i.test(operand.parts.join(".")));
      if (direction === undefined || context.registry.byName("desc") !== undefined) return withKeys(name, pipe, context);
      return fail(context, "pipe-arguments", "sort has no direction, it is always ascending", direction);
    }
    case "unique":
    case "unique_count":
      return withKeys(name, pipe, context);
    case "count":
      return { kind: name, keys: keysOf(operands, context) };
    default: {
      const suggestion = nearestName(pipe.name, NAMES);
      const hint = suggestion === undefined ? `, known are ${NAMES.join(", ")}` : `, did you mean "${suggestion}"?`;
      return fail(context, "unknown-pipe", `Unknown pipe ${quoted(pipe.name)}${hint}`, pipe.nameRange);
    }
  }
}

function withKeys(kind: "sort" | "unique" | "unique_count", pipe: Pipe, context: LowerContext): LoweredPipe | undefined {
  if (pipe.operands.length === 0) return fail(context, "pipe-arguments", `${kind} needs at least one field`, pipe);
  return { kind, keys: keysOf(pipe.operands, context) };
}

function keysOf(operands: readonly Expression[], context: LowerContext): readonly ValueNode[] {
  return operands.flatMap((operand) => {
    const lowered = lowerOperand(operand, context);
    return lowered === undefined ? [] : [lowered.value];
  });
}

function countOf(pipe: Pipe, context: LowerContext): number | undefined {
  const [operand, second] = pipe.operands;
  const wrong = (found: string): undefined => {
    const message = `${pipe.name} takes one whole number, ${found}, for example | ${pipe.name} 10`;
    return fail(context, "pipe-arguments", message, operand ?? pipe);
  };
  if (operand === undefined) return context.dialect === "endgame" ? COUNT_DEFAULT : wrong("it has none");
  if (second !== undefined) return wrong(`not ${pipe.operands.length}`);
  if (operand.kind === "field") return wrong("not a field");
  const value = lowerOperand(operand, context)?.value;
  if (value === undefined) return undefined;
  if (value.kind !== "const" || typeof value.value !== "bigint") return wrong("not this");
  if (value.value < 0n || value.value > COUNT_MAX) return wrong(`from 0 to ${COUNT_MAX}`);
  return Number(value.value);
}

/** Whether a condition asks for what a count added. */
function asksForColumns(condition: ConditionNode): boolean {
  const pending: IrNode[] = [condition];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (node.kind === "field" && node.fieldId < 0) return true;
    pending.push(...childrenOf(node));
  }
  return false;
}
