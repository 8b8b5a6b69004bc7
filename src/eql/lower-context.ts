// What every part of lowering shares: the dialect, the known fields, where findings go, and the lambda variables in sight.
import type { FieldDefinition, SchemaRegistry } from "#schema";
import type { CallExpression, Dialect, Expression, LineageExpression } from "./ast.ts";
import type { DiagnosticList, Range } from "./diagnostics.ts";
import { foldCondition, foldValue } from "./fold.ts";
import type { ConditionNode, ConstantValue, IrBuilder, ValueNode, ValueType } from "./ir.ts";
import type { Operand } from "./operand.ts";

/** What a lambda's variable stands for: an element, each object of a list of objects (whose fields are flattened), or nothing. */
export type LambdaBinding =
  | { readonly kind: "element"; readonly index: number; readonly type: ValueType }
  | { readonly kind: "object"; readonly prefix: string; readonly whole: string; readonly step: number | undefined }
  | { readonly kind: "nothing" };

/** What a name at the front of a field stands for: a step's last event, or nothing for the reason given. */
export type StepName = { readonly kind: "step"; readonly step: number } | { readonly kind: "refused"; readonly reason: string };

/** What fields may begin with beside their own names. */
export interface NameScope {
  /** Names given with `as`. */
  readonly aliases: ReadonlyMap<string, StepName>;
  /** In a pipe: how many events a result has, for `events[N].field`; else 0. */
  readonly eventCount: number;
  /** In a pipe behind a count: the columns it made. */
  readonly columns: ReadonlyMap<string, FieldDefinition>;
  /** Behind `count`, whose rows have no fields beside the columns. */
  readonly columnsOnly: boolean;
}

/** No names but fields. */
export const NO_NAMES: NameScope = { aliases: new Map(), eventCount: 0, columns: new Map(), columnsOnly: false };

/** Most states that the regular expressions of one rule may take to compile: about a second. */
const REGEX_STATES_MAX = 65_536;

/** Said of the one that comes after them. */
export const TOO_MANY_REGEXES: string =
  `The regular expressions up to here need ${REGEX_STATES_MAX} states together, this one is too many; ` +
  "shorten their repetitions or split the rule";

/** What the regular expressions of one rule may still cost. */
export interface RegexBudget {
  statesLeft: number;
}

/** A whole budget, for one rule. */
export function regexBudget(): RegexBudget {
  return { statesLeft: REGEX_STATES_MAX };
}

/** Compiles within the budget, which pays for what was made; `undefined` when nothing is left: {@link TOO_MANY_REGEXES}. */
export function withinBudget<Result extends { readonly statesMade: number }>(
  budget: RegexBudget,
  compile: () => Result,
): Result | undefined {
  if (budget.statesLeft <= 0) return undefined;
  const result = compile();
  budget.statesLeft -= result.statesMade;
  return result;
}

/** How lowering names categories that the registry does not know: for a program they get an id, for a mere look they get none. */
export type CategoryPolicy = "intern" | "look";

/** State of one lowering. */
export interface LowerContext {
  /** What is being lowered, for what quotes it. */
  readonly text: string;
  readonly builder: IrBuilder;
  readonly registry: SchemaRegistry;
  readonly dialect: Dialect;
  /** Text is compared without case where nothing says otherwise. */
  readonly foldsCase: boolean;
  readonly lenientFields: boolean;
  readonly diagnostics: DiagnosticList;
  /** All known fields, listed once a query. */
  readonly knownFields: () => readonly FieldDefinition[];
  /** Fields that some node reads. */
  readonly fieldIds: Set<number>;
  readonly categories: CategoryPolicy;
  readonly names: NameScope;
  readonly regexBudget: RegexBudget;
  /** Lowers `child of […]` and its like. `undefined`: reported. */
  readonly lineage: (expression: LineageExpression, context: LowerContext) => ConditionNode | undefined;
  readonly lambdas: ReadonlyMap<string, LambdaBinding>;
  /** Elements bound so far; the next element variable gets this index. */
  readonly lambdaDepth: number;
}

/** What a lowering starts from. */
export type LowerOptions = Pick<
  LowerContext,
  | "text"
  | "builder"
  | "registry"
  | "dialect"
  | "foldsCase"
  | "lenientFields"
  | "diagnostics"
  | "fieldIds"
  | "categories"
  | "lineage"
  | "regexBudget"
>;

/** A context outside of any lambda and step. */
export function lowerContext(options: LowerOptions): LowerContext {
  let fields: readonly FieldDefinition[] | undefined;
  const knownFields = (): readonly FieldDefinition[] => {
    fields ??= options.registry.fields();
    return fields;
  };
  return { ...options, knownFields, names: NO_NAMES, lambdas: new Map(), lambdaDepth: 0 };
}

/** The mutually recursive entry points; functions get them as a value so that files need no cycle. */
export interface Lowering {
  condition(expression: Expression, context: LowerContext): ConditionNode;
  /** `undefined`: reported. */
  operand(expression: Expression, context: LowerContext): Operand | undefined;
  /** Like operand, but the name of an object is allowed. */
  operandOrObject(expression: Expression, context: LowerContext): Operand | undefined;
}

/** What lowering a call gives; `undefined`: reported. */
export type CallResult =
  | { readonly kind: "value"; readonly value: ValueNode }
  | { readonly kind: "condition"; readonly condition: ConditionNode }
  | undefined;

/** A call about to be lowered. */
export interface CallSite {
  readonly call: CallExpression;
  readonly context: LowerContext;
  readonly lowering: Lowering;
  /** Ignore case: the dialect's default or `~`. */
  readonly folded: boolean;
}

/** Folds and returns a value. */
export function value(context: LowerContext, node: ValueNode): ValueNode {
  return foldValue(context.builder, node);
}

/** Folds and returns a condition. */
export function condition(context: LowerContext, node: ConditionNode): ConditionNode {
  return foldCondition(context.builder, node);
}

/** Reports an error; the result stands for what could not be lowered. */
export function fail(context: LowerContext, code: string, message: string, range: Range): undefined {
  context.diagnostics.error(code, message, range);
  return undefined;
}

/** An operand that is a constant. */
export function constantOperand(context: LowerContext, type: ValueType, constant: ConstantValue, range: Range): Operand {
  return { value: context.builder.constant(type, constant), from: range.from, to: range.to };
}

/** Which event's field, and which element of it; nothing means the event at hand and all elements. */
interface FieldPlace {
  readonly step?: number | undefined;
  readonly index?: number | undefined;
}

/** A field's node; notes that the field is read. */
export function fieldNode(context: LowerContext, field: FieldDefinition, { step, index }: FieldPlace = {}): ValueNode {
  // Columns of a pipe have negative ids: no event has them.
  if (field.id >= 0) context.fieldIds.add(field.id);
  const { builder } = context;
  const node = builder.field({ fieldId: field.id, name: field.name, fieldType: field.type });
  if (step !== undefined) return builder.earlier(step, node, index);
  return index === undefined ? node : builder.element(node, index);
}
