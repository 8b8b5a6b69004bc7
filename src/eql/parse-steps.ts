// Syntax of sequences, samples and joins: the clauses around each […], their values and what stands twice or in the wrong place. Whether the
// steps make sense together is for lower-plan.ts to say.
import type { SyntaxNode } from "@lezer/common";
import { nearestName } from "#schema";
import type { Alias, Dialect, EventQuery, Expression, SeveralEventsQuery, Step } from "./ast.ts";
import { type DiagnosticList, quoted, type Range } from "./diagnostics.ts";
import { nameParts } from "./literals.ts";
import { named, rangeOf } from "./syntax-node.ts";

/** Most times a step stands in a row. */
const RUNS_MAX = 100;
const I64_MAX = (1n << 63n) - 1n;
const UNIT_NS: Readonly<Record<string, bigint>> = {
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
  d: 86_400_000_000_000n,
};

/** What reading steps needs of the AST builder. */
export interface StepReader {
  readonly dialect: Dialect;
  readonly diagnostics: DiagnosticList;
  source(node: SyntaxNode): string;
  expression(node: SyntaxNode): Expression;
  eventQuery(node: SyntaxNode): EventQuery;
}

/** Reads a query over several events. */
export function severalEventsQuery(kind: SeveralEventsQuery["kind"], node: SyntaxNode, reader: StepReader): SeveralEventsQuery {
  const clauses = readClauses(node, "query", reader);
  const nodes = named(node);
  const until = nodes.find((child) => child.name === "Until");
  const untilStep = until === undefined ? undefined : named(until)[0];
  return {
    kind,
    keywordRange: { from: node.from, to: node.from + kind.length },
    keys: clauses.keys,
    maxspan: clauses.maxspan,
    steps: nodes.filter((child) => child.name === "Step").map((child) => readStep(child, reader)),
    until: untilStep === undefined ? undefined : readStep(untilStep, reader),
    ...rangeOf(node),
  };
}

function readStep(node: SyntaxNode, reader: StepReader): Step {
  const query = node.getChild("EventQuery")!;
  const { keys, runs, runsRange, forkRange, alias } = readClauses(node, "step", reader);
  return {
    query: reader.eventQuery(query),
    missing: node.getChild("Missing") !== null,
    keys,
    runs,
    runsRange,
    forkRange,
    alias,
    ...rangeOf(node),
  };
}

interface Clauses {
  keys: readonly Expression[];
  maxspan: SeveralEventsQuery["maxspan"];
  runs: number;
  runsRange: Range | undefined;
  forkRange: Range | undefined;
  alias: Alias | undefined;
}

function readClauses(parent: SyntaxNode, place: "query" | "step", reader: StepReader): Clauses {
  const clauses: Clauses = { keys: [], maxspan: undefined, runs: 1, runsRange: undefined, forkRange: undefined, alias: undefined };
  const seen = new Set<string>();
  const once = (name: string, node: SyntaxNode, hint: string): boolean => {
    if (seen.has(name)) reader.diagnostics.error("duplicate-clause", `${name} is written twice${hint}`, rangeOf(node));
    return !seen.has(name) && seen.add(name) !== undefined;
  };
  for (const node of named(parent)) {
    if (node.name === "By" && once("by", node, ", join its keys with commas")) {
      clauses.keys = named(node).map((key) => reader.expression(key));
    } else if (node.name === "Alias" && once("as", node, ", a step has one name")) {
      clauses.alias = readAlias(named(node)[0]!, reader);
    } else if (node.name === "Fork" && once("fork", node, "")) {
      const value = node.getChild("Boolean");
      if (value === null || reader.source(value) === "true") clauses.forkRange = rangeOf(node);
    } else if (node.name === "With") {
      for (const parameter of named(node)) {
        const name = parameterName(parameter, place, reader);
        if (name === undefined || !once(name, parameter, "")) continue;
        if (name === "runs") readRuns(parameterValue(parameter), parameter, clauses, reader);
        else clauses.maxspan = readMaxspan(parameterValue(parameter), reader);
      }
    }
  }
  return clauses;
}

function readAlias(node: SyntaxNode, reader: StepReader): Alias | undefined {
  const [name, ...rest] = nameParts(reader.source(node));
  if (rest.length === 0) return { name: name!, ...rangeOf(node) };
  reader.diagnostics.error("invalid-alias", `The name of a step is one word, not ${quoted(reader.source(node))}`, rangeOf(node));
  return undefined;
}

/** Name of a parameter if it may stand here; else reported. */
function parameterName(node: SyntaxNode, place: "query" | "step", reader: StepReader): "maxspan" | "runs" | undefined {
  const nameNode = node.firstChild!;
  const name = reader.source(nameNode);
  const { diagnostics } = reader;
  if (name === "maxspan" || name === "runs") {
    if ((name === "maxspan") === (place === "query")) return name;
    const message =
      name === "maxspan"
        ? "maxspan belongs to the whole sequence, write it before the first ["
        : "runs belongs to one step, write it behind its ], for example [ … ] with runs=3";
    diagnostics.error("misplaced-parameter", message, rangeOf(node));
    return undefined;
  }
  const suggestion = nearestName(name, ["maxspan", "runs"]);
  const hint = suggestion === undefined ? `, known here is ${place === "query" ? "maxspan" : "runs"}` : `, did you mean "${suggestion}"?`;
  diagnostics.error("unknown-parameter", `Unknown parameter ${quoted(name)}${hint}`, rangeOf(nameNode));
  return undefined;
}

function parameterValue(node: SyntaxNode): SyntaxNode {
  return named(node).find((child) => child.name !== "Name" && child.name !== "Assign")!;
}

function readRuns(node: SyntaxNode, clause: SyntaxNode, clauses: Clauses, reader: StepReader): void {
  const { diagnostics } = reader;
  clauses.runsRange = rangeOf(clause);
  const text = reader.source(node);
  const range = { from: node.from, to: clause.to };
  if (clause.getChildren("Integer").length > 1) {
    diagnostics.error("invalid-runs", `runs takes one number from 1 to ${RUNS_MAX}, not a range`, range);
  } else if (node.name !== "Integer") {
    diagnostics.error("invalid-runs", `runs takes a whole number from 1 to ${RUNS_MAX}, not ${text}`, range);
  } else if (text.length > 9 || Number(text) < 1 || Number(text) > RUNS_MAX) {
    diagnostics.error("invalid-runs", `runs must be from 1 to ${RUNS_MAX}, not ${quoted(text).slice(1, -1)}`, range);
  } else clauses.runs = Number(text);
}

function readMaxspan(node: SyntaxNode, reader: StepReader): SeveralEventsQuery["maxspan"] {
  const text = reader.source(node);
  const range = { from: node.from, to: node.parent!.to };
  const fail = (message: string): undefined => {
    reader.diagnostics.error("invalid-maxspan", message, range);
  };
  if (node.parent!.getChildren("Integer").length > 1) return fail("maxspan takes one duration, not a range");
  const found = /^(\d+)(?:\.(\d+))?(ms|s|m|h|d)$/.exec(text);
  if (found === null) {
    const example = /^\d+$/.test(text) && text.length <= 9 ? `, for example ${text}s` : ", for example 30s";
    return fail(`maxspan needs a number with a unit, ms, s, m, h or d, not ${quoted(text).slice(1, -1)}${example}`);
  }
  const [, whole = "", fraction = "", unit = ""] = found;
  if (fraction !== "" && reader.dialect === "endgame") return fail("Durations of the Endgame dialect have no fractions");
  const tooLong = `maxspan ${quoted(text).slice(1, -1)} is too long, the limit is about 292 years`;
  if (whole.length > 20 || fraction.length > 20) return fail(whole.length > 20 ? tooLong : "maxspan has too many decimals");
  const ns = (BigInt(whole + fraction) * UNIT_NS[unit]!) / 10n ** BigInt(fraction.length);
  return ns > I64_MAX ? fail(tooLong) : { ns, ...range };
}
