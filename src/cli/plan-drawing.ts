// A rule's plan as text: a head, its steps as a chain from top to bottom, and the IR of its conditions. Pure; the rule's own words are escaped.
import type { ConditionDescription, QueryDescription, StepDescription } from "#eql";
import { spanText } from "./event-words.ts";
import type { MeasuredCosts } from "./predicate-cost.ts";
import { printable } from "./terminal.ts";

const WIDTH = 100;
const SHORT_IR_LINES = 8;

/** A rule to be drawn. */
export interface DrawnRule {
  readonly id: string;
  readonly name: string;
  readonly severity: string | undefined;
  readonly dialect: string;
  readonly exceptions: readonly string[];
  /** Sensors that see its events, in words. */
  readonly needs: string;
  readonly matchAll: boolean;
  readonly description: QueryDescription;
  readonly costs: MeasuredCosts | undefined;
}

/** Head and chain. */
export function drawPlan(rule: DrawnRule): readonly string[] {
  return [...headOf(rule), "", ...chainOf(rule), ...asidesOf(rule), ...costNote(rule.costs)];
}

function headOf({ id, name, severity, dialect, exceptions, matchAll, description, needs }: DrawnRule): string[] {
  const { kind, steps, maxspanNs, pipes, isPlanned, fields } = description;
  const row = (label: string, value: string): string[] => (value === "" ? [] : wrapped(value, WIDTH - 12, `  ${label.padEnd(10)}`, 12));
  const several = kind === "event" ? "" : ` of ${steps.length} steps${kind === "sequence" ? "" : ", in any order"}`;
  const missing = steps.filter((step) => step.missing).length;
  return [
    `${printable(id)}${name === "" || name === id ? "" : `  ${printable(name)}`}`,
    ...row("kind", `${kind}${several}${missing === 0 ? "" : `, ${missing} of them missing`}${isPlanned ? "" : ", no state"}`),
    ...row("severity", severity ?? ""),
    ...row("dialect", dialect === "default" ? "" : dialect),
    ...row("keys", sharedKeys(steps).join(", ")),
    ...row("maxspan", maxspanNs === undefined ? "" : `${spanText(maxspanNs)} from the first event to the last`),
    ...row("match", matchAll ? "all: every event of the first step keeps a sequence of its own" : ""),
    ...row("pipes", printable(pipes.map(oneLine).join(" "))),
    ...row("exceptions", exceptions.length === 0 ? "" : printable(exceptions.map(oneLine).join("; "))),
    ...row("reads", printable(fields.join(", "))),
    ...row("needs", needs),
  ];
}

/** Keys as the first step has them; steps with others say so themselves. */
function sharedKeys(steps: readonly StepDescription[]): readonly string[] {
  return (steps[0]?.keys ?? []).map(keyText);
}

function keyText({ text, nullJoins }: StepDescription["keys"][number]): string {
  return printable(nullJoins && !text.startsWith("?") ? `${oneLine(text)} (missing joins missing)` : oneLine(text));
}

function chainOf({ description, costs }: DrawnRule): string[] {
  const { kind, steps, maxspanNs } = description;
  const keys = sharedKeys(steps).join(", ");
  const ordered = kind === "sequence";
  const lines: string[] = [];
  for (const [index, step] of steps.entries()) {
    const own = step.keys.map(keyText).join(", ");
    const notes = [
      ...(step.alias === undefined ? [] : [`as ${printable(step.alias)}`]),
      ...(step.runs === 1 ? [] : [`${step.runs} in a row`]),
      ...(step.fork ? ["fork: what goes on also stays"] : []),
      ...(step.missing ? [missingText(steps, index)] : []),
      ...(own === keys ? [] : [`by ${own}`]),
    ];
    const number = kind === "event" ? "" : ` ${index + 1}`;
    lines.push(`  ${step.missing ? "⊘" : "○"}${number}  ${notes.join(", ")}`.trimEnd());
    lines.push(...conditionLines(step, costs, "  │    "));
    lines.push(ordered || index === steps.length - 1 ? "  ▼" : "  │");
  }
  lines.push(`  ● match${maxspanNs === undefined ? "" : ` within ${spanText(maxspanNs)}`}`);
  return lines;
}

function missingText(steps: readonly StepDescription[], index: number): string {
  const before = steps.slice(0, index).findLastIndex((step) => !step.missing);
  const after = steps.findIndex((step, other) => other > index && !step.missing);
  if (before < 0) return "must not come in the maxspan before the last step";
  if (after < 0) return "must not come until the maxspan is over: the alert waits for that";
  return `must not come between ${before + 1} and ${after + 1}`;
}

function conditionLines(condition: ConditionDescription, costs: MeasuredCosts | undefined, indent: string): string[] {
  const { text, residualIr, slot } = condition;
  const cost = costs?.predicates[slot];
  const share = cost === undefined ? "" : `; ${cost.hits} of ${costs?.events} events`;
  return [
    ...sourceLines(text).flatMap((line) => wrapped(line, WIDTH - indent.length, indent, indent.length)),
    ...(residualIr === undefined ? [] : [`${indent}the sequencer asks the rest: it depends on other events`]),
    `${indent}${cost === undefined ? `cost ${condition.cost} (estimate)` : `${nsText(cost.nsPerEvent)} an event${share}`}`,
  ];
}

function nsText(ns: number): string {
  return `${ns >= 100 ? Math.round(ns) : ns.toFixed(1)} ns`;
}

function asidesOf({ description, costs }: DrawnRule): string[] {
  const { until, lineages } = description;
  const lines: string[] = [];
  if (until !== undefined) {
    lines.push("", "  ✕ until: ends what is under way, by key", ...conditionLines(until, costs, "       "));
  }
  for (const lineage of lineages) {
    lines.push("", `  ◇ ${lineage.relation} of: such processes are remembered`, ...conditionLines(lineage, costs, "       "));
  }
  return lines;
}

function costNote(costs: MeasuredCosts | undefined): string[] {
  if (costs === undefined) return [];
  const { passes, events, origin } = costs;
  return ["", `  cost: measured, median of ${passes} passes over ${events} events of ${origin}, each predicate alone (Wasm)`];
}

/** The IR of every condition; all of it, or the first lines of each. */
export function drawIr({ description }: DrawnRule, whole: boolean): readonly string[] {
  const { steps, until, lineages, filterIr, kind } = description;
  const part = (label: string, { predicateIr, residualIr }: Pick<ConditionDescription, "predicateIr" | "residualIr">): string[] => [
    label,
    ...shortened(predicateIr, whole),
    ...(residualIr === undefined ? [] : ["  and, in the sequencer", ...shortened(residualIr, whole)]),
  ];
  return [
    ...steps.flatMap((step, index) => part(kind === "event" ? "condition" : `step ${index + 1}`, step)),
    ...(until === undefined ? [] : part("until", until)),
    ...lineages.flatMap((lineage) => part(`${lineage.relation} of`, lineage)),
    ...(filterIr === undefined ? [] : part("filter of the whole match", { predicateIr: filterIr, residualIr: undefined })),
  ];
}

function shortened(ir: string, whole: boolean): string[] {
  const lines = ir.split("\n").map((line) => `  ${printable(line)}`);
  if (whole || lines.length <= SHORT_IR_LINES) return lines;
  return [...lines.slice(0, SHORT_IR_LINES - 1), `  … ${lines.length - SHORT_IR_LINES + 1} more lines, see --ir`];
}

/** Lines of a piece of a query without the indent they share. */
function sourceLines(text: string): readonly string[] {
  const [first = "", ...rest] = text.trim().split(/\r?\n/);
  const indents = rest.filter((line) => line.trim() !== "").map((line) => line.length - line.trimStart().length);
  const shared = Math.min(...indents, 1000);
  return [first, ...rest.map((line) => line.slice(Math.min(shared, line.length)))]
    .map((line) => line.trimEnd())
    .filter((line) => line !== "");
}

/** A line broken at spaces; the first part behind `head`, the others `indent` columns in. */
function wrapped(text: string, width: number, head: string, indent: number): string[] {
  const lines: string[] = [];
  const isChain = head.trimStart().startsWith("│");
  const next = isChain ? head : " ".repeat(indent);
  let rest = printable(text);
  while (rest.length > width) {
    const space = rest.lastIndexOf(" ", width);
    const at = space > width / 3 ? space : width;
    lines.push(rest.slice(0, at));
    // What goes on stands further in than where the line began.
    rest = `${isChain ? "    " : ""}${rest.slice(at).trimStart()}`;
  }
  lines.push(rest);
  return lines.map((line, index) => (index === 0 ? head : next) + line);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}
