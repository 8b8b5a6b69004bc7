// kestrel explain: what a rule became (its plan, IR, Wasm and Lua, what each predicate costs) and what it makes of some events.
import { type Json, stringifyJson } from "#core";
import { compileRuleSet, type Dialect, describeQuery, listCode, type QueryDescription } from "#eql";
import type { SchemaRegistry } from "#schema";
import { type Arguments, EXIT, parseArguments, usageError } from "./arguments.ts";
import { BUILTIN_RECORDING } from "./builtin-rules.generated.ts";
import { explainEvents } from "./explain-events.ts";
import { type ExplainedRule, findRule, queryAsRule, queryFields, queryFindings } from "./explained-rule.ts";
import { inferFields } from "./infer-schema.ts";
import { LOG_FLAGS, logOptionsOf, rangeOf, tiebreakerOf } from "./log-input.ts";
import { neededSensors, neededText } from "./needed-sensors.ts";
import { LineWriter } from "./output.ts";
import { type DrawnRule, drawIr, drawPlan } from "./plan-drawing.ts";
import { firstBatch, type MeasuredCosts, measureCosts } from "./predicate-cost.ts";
import { registryFrom } from "./schema-file.ts";
import { rereadable } from "./stdin-spool.ts";
import { endingJson, endingLines, StoryText, storyJson } from "./story-text.ts";
import { printable } from "./terminal.ts";

const FLAGS = {
  ...LOG_FLAGS,
  query: "text",
  dialect: "text",
  id: "text",
  rule: "text",
  ir: "switch",
  wat: "switch",
  lua: "switch",
  full: "switch",
  json: "switch",
  all: "switch",
  "lenient-fields": "switch",
} as const;

/** Runs the command. */
export async function explain(argv: readonly string[]): Promise<number> {
  const args = parseArguments(argv, FLAGS);
  const registry = registryFrom(args.text("schema"));
  const query = args.text("query");
  const paths = query === undefined ? args.positionals.slice(1) : args.positionals;
  using files = await rereadable(paths);
  const rule = query === undefined ? await namedRule(args, registry) : await queryRule(query, args, files.paths, registry);
  if (rule === undefined) return EXIT.findings;
  if (rule.source === undefined) return explainOther(rule, args, paths.length > 0);
  const { source } = rule;
  const { description, diagnostics } = describeQuery(source, registry);
  const code = listCode(source, registry);
  if (query !== undefined) for (const line of queryFindings(source, [...diagnostics])) console.error(line);
  if (description === undefined || code === undefined) return EXIT.findings;
  const writer = new LineWriter();
  const explained: Explained = { rule: { ...rule, source }, description, code, args, registry, writer, files: files.paths };
  if (!args.has("json") && ["ir", "wat", "lua"].some((flag) => args.has(flag)) && paths.length === 0) printCode(explained);
  else await printAll(explained, new Map(files.paths.map((path, index) => [path, paths[index] as string])));
  writer.flush();
  return EXIT.ok;
}

interface Explained {
  readonly rule: ExplainedRule & { readonly source: NonNullable<ExplainedRule["source"]> };
  readonly description: QueryDescription;
  readonly code: NonNullable<ReturnType<typeof listCode>>;
  readonly args: Arguments;
  readonly registry: SchemaRegistry;
  readonly writer: LineWriter;
  /** Event logs, `-` replaced by a copy. */
  readonly files: readonly string[];
}

async function namedRule(args: Arguments, registry: SchemaRegistry): Promise<ExplainedRule | undefined> {
  const path = args.positionals[0];
  if (path === undefined) throw usageError("Name a rule file or a built-in rule, or give a query with --query");
  const lenientFields = args.has("lenient-fields");
  const { rule, findings } = await findRule({ path, id: args.text("id") ?? args.text("rule"), registry, lenientFields });
  for (const line of findings) console.error(line);
  return rule;
}

async function queryRule(
  text: string,
  args: Arguments,
  files: readonly string[],
  registry: SchemaRegistry,
): Promise<ReturnType<typeof queryAsRule>> {
  const rule = queryAsRule(text, dialectOf(args));
  await inferFields({ names: queryFields(rule.source), placed: false }, files, registry);
  return rule;
}

function dialectOf(args: Arguments): Dialect {
  const name = args.text("dialect") ?? "default";
  if (name !== "default" && name !== "endgame") throw usageError(`Flag "--dialect" needs default or endgame, not "${name}"`);
  return name;
}

/** A Lua or Wasm rule: there is no plan, its code is its explanation. */
function explainOther({ id, name, body }: ExplainedRule, args: Arguments, hasEvents: boolean): number {
  if (hasEvents)
    throw usageError(`Rule "${printable(id)}" is ${body.kind === "lua" ? "Lua" : "Wasm"}: only EQL rules are explained over events`);
  const writer = new LineWriter();
  if (args.has("json")) writer.line(stringifyJson({ id, name, kind: body.kind, ...(body.kind === "lua" ? { lua: body.source } : {}) }));
  else {
    writer.line(`${printable(id)}  ${printable(name)}`);
    writer.line(`  kind      ${body.kind}: the rule is a program of its own and has no plan`);
    if (body.kind === "lua") for (const line of body.source.split("\n")) writer.line(`  ${printable(line)}`);
  }
  writer.flush();
  return EXIT.ok;
}

/** Only what was asked for, so that it can go into a file. */
function printCode(explained: Explained): void {
  const { code, args, writer } = explained;
  const text = (lines: readonly string[]): void => {
    for (const line of lines) writer.line(line);
  };
  if (args.has("ir")) text(drawIr(drawn(explained, undefined), true));
  if (args.has("wat")) text(code.wat().trimEnd().split("\n").map(printable));
  if (args.has("lua")) text((args.has("full") ? code.luaChunk() : code.lua()).trimEnd().split("\n"));
}

async function printAll(explained: Explained, names: ReadonlyMap<string, string>): Promise<void> {
  const { args, writer, files } = explained;
  const costs = await costsOf(explained);
  const figure = drawn(explained, costs);
  if (args.has("json")) {
    if (files.length === 0) writer.line(stringifyJson(ruleJson(explained, costs)));
  } else {
    for (const line of drawPlan(figure)) writer.line(line);
    if (files.length === 0) for (const line of ["", "IR", ...drawIr(figure, false)]) writer.line(line);
    else writer.line("");
  }
  if (files.length > 0) await printEvents(explained, names);
}

function drawn({ rule, description, registry }: Explained, costs: MeasuredCosts | undefined): DrawnRule {
  const { id, name, severity, matchAll, source } = rule;
  const needs = neededText(neededSensors(source, registry));
  return { id, name, severity, matchAll, dialect: source.dialect, exceptions: source.exceptions, needs, description, costs };
}

async function costsOf({ code, args, registry, files }: Explained): Promise<MeasuredCosts | undefined> {
  const decoder = logOptionsOf(args);
  const given = files.length === 0 ? undefined : await firstBatch({ registry, files, decoder, range: rangeOf(args) });
  if (given !== undefined) return await measureCosts(code.programs(), given, "the given log");
  const texts = [{ name: "built-in recording", text: BUILTIN_RECORDING }];
  const typical = await firstBatch({ registry, files: [], texts, decoder: {} });
  return typical === undefined ? undefined : await measureCosts(code.programs(), typical, "the built-in recording");
}

async function printEvents(
  { rule, description, args, registry, writer, files }: Explained,
  names: ReadonlyMap<string, string>,
): Promise<void> {
  const { program, queries } = compileRuleSet([rule.source], registry, ["wasm"]);
  const compiled = queries[0] as (typeof queries)[number];
  const text = new StoryText();
  const asJson = args.has("json");
  const warn = (message: string): void => {
    writer.flush();
    console.error(`kestrel: warn: ${message}`);
  };
  const outcome = await explainEvents({
    source: rule.source,
    compiled,
    program,
    description,
    matchAll: rule.matchAll,
    registry,
    tiebreaker: tiebreakerOf(args),
    all: args.has("all"),
    replay: {
      files,
      decoder: logOptionsOf(args),
      range: rangeOf(args),
      onProblem: ({ file, line, message }) => warn(`${printable(names.get(file) ?? file)}${line === 0 ? "" : `:${line}`}: ${message}`),
    },
    tell(story) {
      if (asJson) writer.line(stringifyJson(storyJson(story)));
      else for (const line of text.lines(story)) writer.line(line);
    },
    warn,
  });
  if (asJson) writer.line(stringifyJson({ summary: endingJson(outcome) }));
  else for (const line of ["", ...endingLines(outcome, placesOf(description))]) writer.line(line);
}

function placesOf({ steps, until }: QueryDescription): readonly string[] {
  return [...steps.map((_, index) => `step ${index + 1}`), ...(until === undefined ? [] : ["until"])];
}

function ruleJson({ rule, description, code, args, registry }: Explained, costs: MeasuredCosts | undefined): Json {
  const { kind, isPlanned, steps, until, lineages, maxspanNs, filterIr, pipes, fields } = description;
  type Condition = QueryDescription["lineages"][number] | QueryDescription["steps"][number];
  const condition = ({ text, slot, predicateIr, residualIr, cost }: Omit<Condition, "relation">): Record<string, Json> => {
    const measured = costs?.predicates[slot];
    return {
      text,
      slot,
      ir: predicateIr,
      residualIr: residualIr ?? null,
      estimate: cost,
      nsPerEvent: measured?.nsPerEvent ?? null,
      hits: measured?.hits ?? null,
    };
  };
  const step = (one: QueryDescription["steps"][number]): Json => ({
    ...condition(one),
    runs: one.runs,
    missing: one.missing,
    fork: one.fork,
    alias: one.alias ?? null,
    keys: one.keys.map(({ text, nullJoins, ir }) => ({ text, nullJoins, ir: ir ?? null })),
  });
  return {
    id: rule.id,
    name: rule.name,
    severity: rule.severity ?? null,
    dialect: rule.source.dialect,
    kind,
    planned: isPlanned,
    steps: steps.map(step),
    until: until === undefined ? null : step(until),
    lineages: lineages.map((lineage) => ({ relation: lineage.relation, ...condition(lineage) })),
    maxspanNs: maxspanNs ?? null,
    filterIr: filterIr ?? null,
    pipes: [...pipes],
    exceptions: [...rule.source.exceptions],
    fields: [...fields],
    needs: neededSensors(rule.source, registry).map(({ sensor, actions, some }) => ({ sensor, actions: [...actions], some })),
    measured: costs === undefined ? null : { passes: costs.passes, events: costs.events, origin: costs.origin },
    ...(args.has("wat") ? { wat: code.wat() } : {}),
    ...(args.has("lua") ? { lua: args.has("full") ? code.luaChunk() : code.lua() } : {}),
  };
}
