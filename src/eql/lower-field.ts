// Names to fields: of the event at hand, of the event of a step named with `as`, of an event of a pipe's result, or of what a lambda's variable
// stands for. Unknown names are answered with the nearest known one.
import { type FieldDefinition, nearestName } from "#schema";
import type { FieldExpression } from "./ast.ts";
import { quoted } from "./diagnostics.ts";
import { fail, fieldNode, type LowerContext } from "./lower-context.ts";
import type { Operand } from "./operand.ts";

/** A field's name, and whose it is. */
interface Resolved {
  readonly name: string;
  readonly step: number | undefined;
  /** The same name in the whole list, when `name` is of one object in a list. */
  readonly whole: string | undefined;
  /** What is left of the written name and its positions. */
  readonly rest: Pick<FieldExpression, "parts" | "indexes">;
}

/** Lowers a field or variable. `undefined`: reported. */
export function lowerField(expression: FieldExpression, context: LowerContext): Operand | undefined {
  const { from, to, parts } = expression;
  const binding = context.lambdas.get(parts[0]!);
  if (binding === undefined && expression.variable) {
    const known = [...context.lambdas.keys()].map((name) => `$${name}`).join(", ");
    const hint = known === "" ? "variables exist inside arraySearch and arrayCount only" : `known are ${known}`;
    return fail(context, "unknown-variable", `Unknown variable ${quoted(`$${parts[0]}`)}, ${hint}`, expression);
  }
  if (binding?.kind === "nothing") return { value: context.builder.nullValue("string"), from, to };
  if (binding?.kind === "element") {
    if (parts.length === 1 && expression.indexes.length === 0)
      return { value: context.builder.variable(binding.index, binding.type), from, to };
    return fail(context, "unknown-field", `Variable "${parts[0]}" is a single value, it has no parts`, expression);
  }
  const column = context.names.columns.get(parts.join("."));
  if (column !== undefined && binding === undefined) return { value: fieldNode(context, column), field: column, from, to };
  const resolved =
    binding === undefined
      ? resolve(expression, context)
      : {
          name: [binding.prefix, ...parts.slice(1)].join("."),
          step: binding.step,
          whole: [binding.whole, ...parts.slice(1)].join("."),
          rest: expression,
        };
  return resolved === undefined ? undefined : lowerResolved(expression, resolved, context);
}

function resolve(expression: FieldExpression, context: LowerContext): Resolved | undefined {
  const { parts, indexes } = expression;
  const plain: Resolved = { name: parts.join("."), step: undefined, whole: undefined, rest: expression };
  const { aliases, eventCount, columns, columnsOnly } = context.names;
  if (columnsOnly) {
    const message = `A count has no fields, only ${[...columns.keys()].join(", ")}`;
    return fail(context, "unknown-field", message, expression);
  }
  const within = (step: number | undefined, used: number): Resolved => {
    const rest = { parts: parts.slice(1), indexes: indexes.slice(used).map(({ after, index }) => ({ after: after - 1, index })) };
    return { name: rest.parts.join("."), step, whole: undefined, rest };
  };
  const alias = aliases.get(parts[0]!);
  if (alias !== undefined) {
    if (alias.kind === "refused") return fail(context, "invalid-reference", alias.reason, expression);
    if (parts.length > 1 && indexes[0]?.after !== 1) return within(alias.step, 0);
    const message = `"${parts[0]}" is an event, not a value, name one of its fields, for example ${parts[0]}.process.name`;
    return fail(context, "invalid-reference", message, expression);
  }
  const position = indexes[0];
  if (eventCount === 0 || parts[0] !== "events" || position?.after !== 1 || parts.length === 1) return plain;
  if (position.index < eventCount) return within(eventCount === 1 ? undefined : position.index, 1);
  const last = eventCount === 1 ? "events[0] only" : `events[0] to events[${eventCount - 1}]`;
  return fail(context, "invalid-reference", `A result of this query has ${last}, not events[${position.index}]`, expression);
}

function lowerResolved(expression: FieldExpression, resolved: Resolved, context: LowerContext): Operand | undefined {
  const { from, to } = expression;
  const { name, step, whole, rest } = resolved;
  if (rest.indexes.length > 1) return fail(context, "unsupported", "Only one position [n] in a field's name is supported", expression);
  const placed = placedName(resolved, context);
  if (placed !== undefined) return { value: fieldNode(context, placed, { step }), field: placed, from, to };
  const field = context.registry.byName(name);
  if (field !== undefined) return { value: fieldNode(context, field, { step, index: rest.indexes[0]?.index }), field, from, to };
  if (whole !== undefined && !isPrefix(name, context) && isKnown(whole, context)) {
    // Other objects of the list have it, this one never does.
    return { value: context.builder.nullValue("string"), from, to };
  }
  return lowerUnknown(expression, resolved, context);
}

/** The field of one object in a list: `a[0].b` where the schema has `a.0.b`. */
function placedName({ name, rest }: Resolved, context: LowerContext): FieldDefinition | undefined {
  const { parts, indexes } = rest;
  const position = indexes[0];
  if (position === undefined || position.after >= parts.length) return undefined;
  const names = name.split(".");
  names.splice(names.length - (parts.length - position.after), 0, String(position.index));
  return context.registry.byName(names.join("."));
}

function isPrefix(name: string, context: LowerContext): boolean {
  return context.knownFields().some((field) => field.name.startsWith(`${name}.`));
}

function isKnown(name: string, context: LowerContext): boolean {
  return context.registry.byName(name) !== undefined || isPrefix(name, context);
}

function lowerUnknown(expression: FieldExpression, { name, step }: Resolved, context: LowerContext): Operand | undefined {
  const { from, to } = expression;
  const nothing = context.builder.nullValue("string");
  // Nobody reads more messages, and each suggestion looks at every known name.
  if (context.diagnostics.isFull && context.diagnostics.hasError) return undefined;
  const prefix = `${name}.`;
  const below = context.knownFields().filter((field) => field.name.startsWith(prefix));
  if (below.length > 0) return { value: nothing, object: { name, fields: below, step }, from, to };
  if (expression.optional) return { value: nothing, from, to };
  const finding = unknownStep(expression, context) ?? unknownField(name, context);
  if (!context.lenientFields) return fail(context, finding.code, finding.message, expression);
  context.diagnostics.warning(finding.code, finding.message, expression);
  return { value: nothing, from, to };
}

/** For a name that would be a field without its first part: most likely a step is meant. */
function unknownStep({ parts }: FieldExpression, context: LowerContext): { readonly code: string; readonly message: string } | undefined {
  const { aliases } = context.names;
  if (parts.length < 2 || !isKnown(parts.slice(1).join("."), context)) return undefined;
  if (aliases.size === 0) {
    if (!/^event\d+$/.test(parts[0]!)) return undefined;
    const message = `No step is named ${quoted(parts[0]!)}, in a sequence write as ${parts[0]} behind the ] of the step that is meant`;
    return { code: "unknown-alias", message };
  }
  const suggestion = nearestName(parts[0]!, [...aliases.keys()]);
  const hint = suggestion === undefined ? `, steps are named ${[...aliases.keys()].join(", ")}` : `, did you mean "${suggestion}"?`;
  return { code: "unknown-alias", message: `No step is named ${quoted(parts[0]!)}${hint}` };
}

function unknownField(name: string, context: LowerContext): { readonly code: string; readonly message: string } {
  const names = context.knownFields().map((known) => known.name);
  const suggestion = context.diagnostics.isFull ? undefined : nearestName(name, names);
  return { code: "unknown-field", message: `Unknown field ${quoted(name)}${unknownHint(name, suggestion)}` };
}

function unknownHint(name: string, suggestion: string | undefined): string {
  if (/^(null|true|false)$/i.test(name)) return `, write ${name.toLowerCase()}`;
  if (suggestion !== undefined) return `, did you mean "${suggestion}"?`;
  const asText = /^[\w-]+$/.test(name) ? `"${name}" in quotes if text is meant, ` : "";
  return `, write ${asText}?${name} if events may have it`;
}
