// The functions of EQL: one table with names and parameters, from which arity, types and `~` are checked, and the lowering of each.
import { nearestName } from "#schema";
import { parseBlock } from "./address.ts";
import type { Expression } from "./ast.ts";
import { quoted } from "./diagnostics.ts";
import type { Conversion, TextTest, ValueNode, ValueType } from "./ir.ts";
import { lowerArithmetic } from "./lower-arithmetic.ts";
import { lowerPatterns, lowerSet } from "./lower-compare.ts";
import { type CallResult, type CallSite, condition, fail, type LowerContext, value } from "./lower-context.ts";
import { lowerLambda } from "./lower-lambda.ts";
import { lowerRegex } from "./lower-regex.ts";
import { describe, isNumeric, type Operand } from "./operand.ts";

interface FunctionDefinition {
  readonly name: string;
  /** Parameters as messages show them. */
  readonly signature: string;
  readonly min: number;
  readonly max: number;
  /** Whether `name~(…)` exists. */
  readonly folds: boolean;
  lower(site: CallSite): CallResult;
}

const VARIADIC = 1000;
const I64_MAX = (1n << 63n) - 1n;

const DEFINITIONS: readonly FunctionDefinition[] = [
  arithmeticFunction("add", "+"),
  arithmeticFunction("subtract", "-"),
  arithmeticFunction("multiply", "*"),
  arithmeticFunction("divide", "/"),
  arithmeticFunction("modulo", "%"),
  { name: "between", signature: "text, left, right[, greedy]", min: 3, max: 4, folds: true, lower: lowerBetween },
  { name: "cidrMatch", signature: "address, block, …", min: 2, max: VARIADIC, folds: false, lower: lowerCidr },
  { name: "concat", signature: "value, …", min: 1, max: VARIADIC, folds: true, lower: lowerConcat },
  textTestFunction("endsWith", "endsWith"),
  textTestFunction("startsWith", "startsWith"),
  textTestFunction("stringContains", "contains"),
  textTestFunction("contains", "contains"),
  { name: "indexOf", signature: "text, part[, start]", min: 2, max: 3, folds: true, lower: lowerIndexOf },
  { name: "length", signature: "text", min: 1, max: 1, folds: true, lower: lowerLength },
  { name: "number", signature: "text[, base]", min: 1, max: 2, folds: true, lower: lowerNumber },
  { name: "string", signature: "value", min: 1, max: 1, folds: true, lower: lowerString },
  { name: "substring", signature: "text, start[, end]", min: 2, max: 3, folds: true, lower: lowerSubstring },
  { name: "arrayContains", signature: "array, value, …", min: 2, max: VARIADIC, folds: true, lower: lowerArrayContains },
  {
    name: "arrayCount",
    signature: "array, $variable, condition",
    min: 3,
    max: 3,
    folds: false,
    lower: (site) => lowerLambda(site, "count"),
  },
  {
    name: "arraySearch",
    signature: "array, $variable, condition",
    min: 3,
    max: 3,
    folds: false,
    lower: (site) => lowerLambda(site, "search"),
  },
  regexFunction("match"),
  regexFunction("matchLite"),
  regexFunction("regex"),
  { name: "wildcard", signature: "text, pattern, …", min: 2, max: VARIADIC, folds: true, lower: lowerWildcard },
];

const BY_NAME = new Map(DEFINITIONS.map((definition) => [definition.name.toLowerCase(), definition]));
BY_NAME.set("_arraysearch", BY_NAME.get("arraysearch")!);
BY_NAME.set("_arraycount", BY_NAME.get("arraycount")!);
BY_NAME.set("_arraycontains", BY_NAME.get("arraycontains")!);

/** Lowers a call. `undefined`: reported. */
export function lowerCall(site: CallSite): CallResult {
  const { call, context } = site;
  const definition = BY_NAME.get(call.name.toLowerCase());
  if (definition === undefined) return unknownFunction(site);
  const count = call.operands.length;
  if (count < definition.min || count > definition.max) {
    const expected =
      definition.min === definition.max
        ? `${definition.min}`
        : definition.max === VARIADIC
          ? `at least ${definition.min}`
          : `${definition.min} to ${definition.max}`;
    const message = `Function ${definition.name} takes ${expected} argument${expected === "1" || expected === "at least 1" ? "" : "s"}, not ${count}: ${definition.name}(${definition.signature})`;
    return fail(context, "argument-count", message, call);
  }
  if (call.insensitive && !definition.folds) {
    return fail(
      context,
      "not-case-insensitive",
      `Function ${definition.name} has no case-insensitive form, write it without ~`,
      call.nameRange,
    );
  }
  return definition.lower(site);
}

function unknownFunction(site: CallSite): undefined {
  const { call, context } = site;
  const dot = call.name.lastIndexOf(".");
  const method = dot === -1 ? undefined : BY_NAME.get(call.name.slice(dot + 1).toLowerCase());
  if (method !== undefined) {
    const advice = `write ${method.name}(${call.name.slice(0, dot)}${method.max === 1 ? "" : ", …"})`;
    return fail(context, "unknown-function", `Unknown function ${quoted(call.name)}, ${advice}`, call.nameRange);
  }
  const suggestion = nearestName(
    call.name,
    DEFINITIONS.map((definition) => definition.name),
  );
  const hint =
    suggestion === undefined
      ? `, known are ${DEFINITIONS.map((definition) => definition.name).join(", ")}`
      : `, did you mean "${suggestion}"?`;
  return fail(context, "unknown-function", `Unknown function ${quoted(call.name)}${hint}`, call.nameRange);
}

function arithmeticFunction(name: string, operator: "+" | "-" | "*" | "/" | "%"): FunctionDefinition {
  return {
    name,
    signature: "x, y",
    min: 2,
    max: 2,
    folds: false,
    lower(site) {
      const [left, right] = operands(site);
      if (left === undefined || right === undefined) return undefined;
      const result = lowerArithmetic(site.context, operator, left, right);
      return result === undefined ? undefined : { kind: "value", value: result };
    },
  };
}

function textTestFunction(name: string, test: TextTest): FunctionDefinition {
  return {
    name,
    signature: "text, part, …",
    min: 2,
    max: VARIADIC,
    folds: true,
    lower(site) {
      const { context, folded } = site;
      const [text, ...parts] = operands(site).map((operand, i) => requireType(site, operand, "string", i));
      if (text === undefined || parts.includes(undefined)) return undefined;
      const actual = test === "contains" && context.dialect === "endgame" ? "containsOrEmpty" : test;
      const tests = parts.map((part) => condition(context, context.builder.textTest({ test: actual, text, part: part!, folded })));
      return { kind: "condition", condition: context.builder.or(tests) };
    },
  };
}

function regexFunction(name: string): FunctionDefinition {
  return {
    name,
    signature: "text, regex, …",
    min: 2,
    max: VARIADIC,
    folds: true,
    lower(site) {
      const { context, folded } = site;
      const [subject, patterns] = regexOperands(site);
      const text = site.lowering.operand(subject, context);
      if (text === undefined || requireType(site, text, "string", 0) === undefined) return undefined;
      if (patterns.some((pattern) => pattern.kind === "literal" && pattern.value === null)) {
        return { kind: "condition", condition: context.builder.truth(null) };
      }
      const result = lowerRegex(context, text, patterns, folded);
      return result === undefined ? undefined : { kind: "condition", condition: result };
    },
  };
}

/** The text and the patterns. Endgame's oldest rules have them the other way round: `match("a.*", process_name)`. */
function regexOperands(site: CallSite): readonly [Expression, readonly Expression[]] {
  const [first, ...rest] = site.call.operands as readonly [Expression, ...Expression[]];
  const [second] = rest;
  const swapped = site.context.dialect === "endgame" && rest.length === 1 && first.kind === "literal" && second!.kind !== "literal";
  return swapped ? [second!, [first]] : [first, rest];
}

/** Operands from the first on, up to a count; `undefined` entries have been reported. */
function operands(site: CallSite, count: number = site.call.operands.length): (Operand | undefined)[] {
  return site.call.operands.slice(0, count).map((operand) => site.lowering.operand(operand, site.context));
}

type Wanted = "string" | "int" | "bool";
const WANTED_WORDS: Readonly<Record<Wanted, string>> = { string: "a string", int: "an integer", bool: "true or false" };

/** The argument in the wanted type. `undefined`: reported. */
function requireType(site: CallSite, operand: Operand | undefined, wanted: Wanted, position: number): ValueNode | undefined {
  if (operand === undefined) return undefined;
  const { context, call } = site;
  const node = operand.value;
  if (node.kind === "null") return context.builder.nullValue(wanted);
  if (node.type === wanted) return node;
  if (wanted === "int" && node.type === "number") return value(context, context.builder.convert("numberToInt", node));
  const hint = wanted === "string" && isNumeric(operand) && call.name.toLowerCase() !== "number" ? ", convert it with string()" : "";
  const message = `Argument ${position + 1} of ${call.name} must be ${WANTED_WORDS[wanted]}, not ${describe(operand)}${hint}`;
  return fail(context, "type-mismatch", message, operand);
}

/** An optional argument: its value where it has one, else the default. */
function optional(site: CallSite, operand: Operand | undefined, position: number, fallback: bigint | boolean): ValueNode | undefined {
  const { builder } = site.context;
  const wanted = typeof fallback === "boolean" ? "bool" : "int";
  const constant = builder.constant(wanted, fallback);
  if (site.call.operands.length <= position) return constant;
  const given = requireType(site, operand, wanted, position);
  return given === undefined ? undefined : value(site.context, builder.withDefault(given, constant));
}

function called(
  site: CallSite,
  name: Parameters<LowerContext["builder"]["call"]>[0],
  nodes: readonly (ValueNode | undefined)[],
  folded = false,
): CallResult {
  if (nodes.includes(undefined)) return undefined;
  return { kind: "value", value: value(site.context, site.context.builder.call(name, nodes as readonly ValueNode[], folded)) };
}

function lowerBetween(site: CallSite): CallResult {
  const args = operands(site);
  const texts = args.slice(0, 3).map((operand, i) => requireType(site, operand, "string", i));
  const greedy = optional(site, args[3], 3, false);
  return called(site, site.context.dialect === "endgame" ? "betweenOrNull" : "between", [...texts, greedy], site.folded);
}

function lowerIndexOf(site: CallSite): CallResult {
  const args = operands(site);
  const texts = args.slice(0, 2).map((operand, i) => requireType(site, operand, "string", i));
  return called(site, "indexOf", [...texts, optional(site, args[2], 2, 0n)], site.folded);
}

function lowerSubstring(site: CallSite): CallResult {
  const args = operands(site);
  const text = requireType(site, args[0], "string", 0);
  return called(site, "substring", [text, optional(site, args[1], 1, 0n), optional(site, args[2], 2, I64_MAX)]);
}

function lowerNumber(site: CallSite): CallResult {
  const args = operands(site);
  const result = called(site, "parseNumber", [requireType(site, args[0], "string", 0), optional(site, args[1], 1, 0n)]);
  if (result?.kind !== "value" || result.value.kind !== "const") return result;
  // A constant's type is known: number("5") is as good as 5.
  const { builder } = site.context;
  const constant = result.value.value;
  return { kind: "value", value: builder.constant(typeof constant === "bigint" ? "int" : "float", constant) };
}

/** Length of a text; in the Endgame dialect also of an array, which has a length when it has elements. */
function lowerLength(site: CallSite): CallResult {
  const [operand] = operands(site);
  const { builder, dialect } = site.context;
  if (operand !== undefined && dialect === "endgame" && operand.field?.type === "keyword[]") {
    return { kind: "value", value: builder.arrayCount(operand.value, site.context.lambdaDepth, builder.truth(true)) };
  }
  return called(site, "length", [requireType(site, operand, "string", 0)]);
}

const TO_STRING: Readonly<Partial<Record<ValueType, Conversion>>> = {
  int: "intToString",
  float: "floatToString",
  number: "numberToString",
  bool: "boolToString",
};

function toText(site: CallSite, operand: Operand | undefined): ValueNode | undefined {
  if (operand === undefined) return undefined;
  const { context } = site;
  const { value: node } = operand;
  if (node.kind === "null") return context.builder.nullValue("string");
  const conversion = TO_STRING[node.type];
  return conversion === undefined ? node : value(context, context.builder.convert(conversion, node));
}

function lowerString(site: CallSite): CallResult {
  const text = toText(site, operands(site)[0]);
  return text === undefined ? undefined : { kind: "value", value: text };
}

function lowerConcat(site: CallSite): CallResult {
  const texts = operands(site).map((operand) => toText(site, operand));
  if (texts.length === 1 && texts[0] !== undefined) return { kind: "value", value: texts[0] };
  return called(site, "concat", texts);
}

function lowerArrayContains(site: CallSite): CallResult {
  const [array, ...members] = operands(site);
  if (array === undefined || members.includes(undefined)) return undefined;
  const result = lowerSet(site.context, array, members as readonly Operand[], site.folded);
  return result === undefined ? undefined : { kind: "condition", condition: result };
}

function lowerWildcard(site: CallSite): CallResult {
  const { context, call } = site;
  const [operand] = operands(site, 1);
  if (requireType(site, operand, "string", 0) === undefined) return undefined;
  const texts = stringLiterals(context, call.operands.slice(1), "A pattern of wildcard");
  if (texts === undefined) return undefined;
  if (texts === "null") return { kind: "condition", condition: context.builder.truth(null) };
  const options = { folded: site.folded, questionMark: context.dialect === "default" };
  return { kind: "condition", condition: lowerPatterns(context, operand!, texts, options) };
}

function lowerCidr(site: CallSite): CallResult {
  const { context, call } = site;
  const [operand] = operands(site, 1);
  const address = requireType(site, operand, "string", 0);
  const texts = stringLiterals(context, call.operands.slice(1), "A block of cidrMatch");
  if (address === undefined || texts === undefined) return undefined;
  if (texts === "null") return { kind: "condition", condition: context.builder.truth(null) };
  const blocks = texts.map((text, i) => {
    const block = parseBlock(text);
    if (block !== undefined) return block;
    const message = `${quoted(text)} is not an address block, expected for example "10.0.0.0/8" or "fe80::/10"`;
    return fail(context, "invalid-cidr", message, call.operands[i + 1]!);
  });
  if (blocks.includes(undefined)) return undefined;
  return {
    kind: "condition",
    condition: condition(
      context,
      context.builder.cidr(
        address,
        blocks.filter((block) => block !== undefined),
      ),
    ),
  };
}

/** Texts of arguments that must be string literals; a null among them makes the function null. `undefined`: reported. */
function stringLiterals(context: LowerContext, expressions: readonly Expression[], what: string): readonly string[] | "null" | undefined {
  const texts: string[] = [];
  let sound = true;
  let missing = false;
  for (const expression of expressions) {
    if (expression.kind === "literal" && typeof expression.value === "string") texts.push(expression.value);
    else if (expression.kind === "literal" && expression.value === null) missing = true;
    else {
      sound = false;
      fail(context, "constant-expected", `${what} must be a string literal`, expression);
    }
  }
  if (!sound) return undefined;
  return missing ? "null" : texts;
}
