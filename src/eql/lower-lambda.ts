// arraySearch and arrayCount: bind a variable to each element. Events hold no objects, their fields are flattened. Where the schema has the
// objects of a list apart, as `a.0.b`, `a.1.b`, each is searched on its own; else all as one: `arraySearch(a, x, x.b == 1)` asks whether
// some a.b is 1.
import type { FieldDefinition } from "#schema";
import type { Expression } from "./ast.ts";
import { LAMBDA_DEPTH_MAX } from "./ir.ts";
import { type CallResult, type CallSite, condition, fail, type LambdaBinding, type LowerContext, value } from "./lower-context.ts";

/** Lowers `arraySearch(array, variable, condition)` or `arrayCount(…)`. */
export function lowerLambda(site: CallSite, kind: "search" | "count"): CallResult {
  const { call, context, lowering } = site;
  const [arrayExpression, variable, body] = call.operands as [Expression, Expression, Expression];
  const name = variableName(variable);
  if (name === undefined) return fail(context, "invalid-lambda", `Argument 2 of ${call.name} must be a variable such as $entry`, variable);
  if (context.lambdas.has(name))
    return fail(context, "invalid-lambda", `Variable "${name}" is already in use, choose another name`, variable);
  const array = lowering.operandOrObject(arrayExpression, context);
  if (array === undefined) return undefined;
  if (array.object !== undefined) {
    if (kind === "count")
      return fail(
        context,
        "unsupported",
        `Objects of "${array.object.name}" cannot be counted, events keep their fields only`,
        arrayExpression,
      );
    const { name: prefix, step } = array.object;
    const whole = wholeName(context, arrayExpression) ?? prefix;
    const positions = positionsBelow(prefix, array.object.fields);
    if (positions.length === 0) {
      return { kind: "condition", condition: lowering.condition(body, bind(context, name, { kind: "object", prefix, whole, step })) };
    }
    const single = positions.map((position) => {
      return lowering.condition(body, bind(context, name, { kind: "object", prefix: `${prefix}.${position}`, whole, step }));
    });
    return { kind: "condition", condition: context.builder.or(single) };
  }
  if (array.value.kind === "null") {
    // The array is never there; its body is checked all the same.
    lowering.condition(body, bind(context, name, { kind: "nothing" }));
    if (kind === "search") return { kind: "condition", condition: context.builder.truth(null) };
    return { kind: "value", value: context.builder.nullValue("int") };
  }
  const index = context.lambdaDepth;
  if (index >= LAMBDA_DEPTH_MAX) return fail(context, "nesting-too-deep", `More than ${LAMBDA_DEPTH_MAX} lambdas inside one another`, call);
  const inside = bind(context, name, { kind: "element", index, type: array.value.type });
  const lowered = lowering.condition(body, { ...inside, lambdaDepth: index + 1 });
  if (kind === "search")
    return { kind: "condition", condition: condition(context, context.builder.arraySearch(array.value, index, lowered)) };
  return { kind: "value", value: value(context, context.builder.arrayCount(array.value, index, lowered)) };
}

/** The list's name without positions, when a variable of an outer list is in it. */
function wholeName(context: LowerContext, expression: Expression): string | undefined {
  if (expression.kind !== "field") return undefined;
  const binding = context.lambdas.get(expression.parts[0]!);
  return binding?.kind === "object" ? [binding.whole, ...expression.parts.slice(1)].join(".") : undefined;
}

/** Positions of the objects that the schema has apart. */
function positionsBelow(prefix: string, fields: readonly FieldDefinition[]): readonly number[] {
  const positions = new Set<number>();
  for (const field of fields) {
    const position = /^\d+(?=\.)/.exec(field.name.slice(prefix.length + 1))?.[0];
    if (position !== undefined) positions.add(Number(position));
  }
  return [...positions].sort((a, b) => a - b);
}

function variableName(expression: Expression): string | undefined {
  if (expression.kind !== "field" || expression.optional || expression.indexes.length > 0 || expression.parts.length !== 1)
    return undefined;
  return expression.parts[0];
}

function bind(context: LowerContext, name: string, binding: LambdaBinding): LowerContext {
  return { ...context, lambdas: new Map([...context.lambdas, [name, binding]]) };
}
