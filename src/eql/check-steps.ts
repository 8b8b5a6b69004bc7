// Whether the steps of a sequence, sample or join make sense together: clauses that belong to another kind or dialect, numbers of keys, missing
// events, names. Each finding says what to write instead.
import type { SeveralEventsQuery, Step } from "./ast.ts";
import { quoted, type Range } from "./diagnostics.ts";
import { fail, type LowerContext } from "./lower-context.ts";

/** Reports what is wrong with the steps as a whole; their conditions are another matter. */
export function checkSteps(query: SeveralEventsQuery, context: LowerContext): void {
  checkDialect(query, context);
  if (query.kind === "sequence") checkSequence(query, context);
  else checkUnordered(query, context);
  checkUntil(query, context);
  checkKeyCounts(query, context);
  checkAliases(query, context);
}

function checkDialect(query: SeveralEventsQuery, context: LowerContext): void {
  const endgame = context.dialect === "endgame";
  if (query.kind === "join" && !endgame)
    fail(context, "wrong-dialect", "join belongs to the Endgame dialect, write sequence or sample", query.keywordRange);
  if (query.kind === "sample" && endgame)
    fail(context, "wrong-dialect", "sample belongs to the default dialect, write join", query.keywordRange);
  for (const { forkRange, alias } of query.steps) {
    if (forkRange !== undefined && !endgame)
      fail(context, "wrong-dialect", "fork belongs to the Endgame dialect; in a rule, match: all keeps every sequence", forkRange);
    if (alias !== undefined && endgame)
      fail(context, "wrong-dialect", "Names of steps belong to the default dialect, the Endgame dialect joins steps with by", alias);
  }
}

function checkSequence(query: SeveralEventsQuery, context: LowerContext): void {
  const { steps, keywordRange } = query;
  const [only] = steps;
  const positive = steps.filter((step) => !step.missing);
  const missing = steps.find((step) => step.missing);
  if (positive.length === 0) {
    fail(context, "no-positive-step", "A sequence needs at least one step without !, an absence alone happens at no time", keywordRange);
  } else if (steps.length === 1 && only?.runs === 1) {
    const message = "A sequence of one event is an event query, write it without sequence and [ ], or add a step or with runs=N";
    fail(context, "too-few-steps", message, keywordRange);
  }
  if (missing !== undefined && query.maxspan === undefined) {
    const message = "A missing event needs a time within which it did not come, write with maxspan=… before the first [";
    fail(context, "missing-maxspan", message, missing);
  }
}

/** sample and join: no order, so nothing that needs one. */
function checkUnordered(query: SeveralEventsQuery, context: LowerContext): void {
  const { kind, steps, keys, maxspan } = query;
  const refuse = (what: string, why: string, range: Range): void => {
    fail(context, "misplaced-clause", `A ${kind} has no ${what}: ${why}`, range);
  };
  if (maxspan !== undefined) refuse("maxspan", "its events may be any time apart, write sequence to limit it", maxspan);
  for (const { missing, runsRange, forkRange, ...range } of steps) {
    if (missing) refuse("missing events", "it waits for events only, write sequence for an absence", range);
    if (runsRange !== undefined) refuse("runs", "its events have no order, write sequence for events in a row", runsRange);
    if (forkRange !== undefined) refuse("fork", "its events have no order", forkRange);
  }
  if (steps.length === 1) {
    fail(context, "too-few-steps", `A ${kind} of one event is an event query, add a step`, query.keywordRange);
  }
  if (kind !== "sample") return;
  if (query.until !== undefined) refuse("until", "its events have no order, write sequence", query.until);
  if (keys.length === 0 && steps.some((step) => step.keys.length === 0)) {
    fail(context, "missing-keys", "A sample needs keys, write by and a field behind sample", query.keywordRange);
  }
}

function checkUntil({ until }: SeveralEventsQuery, context: LowerContext): void {
  if (until === undefined) return;
  const { missing, runsRange, forkRange, alias, ...range } = until;
  if (missing) {
    const message = "until ![…] cannot work: no moment tells that an event has not come, write until […] without !";
    fail(context, "missing-until", message, range);
  }
  const clause = runsRange ?? forkRange ?? alias;
  if (clause !== undefined) fail(context, "misplaced-clause", "until takes an event and its keys, nothing else", clause);
}

function checkKeyCounts({ steps, until }: SeveralEventsQuery, context: LowerContext): void {
  const expected = steps[0]?.keys.length ?? 0;
  for (const step of [...steps.slice(1), ...(until === undefined ? [] : [until])]) {
    if (step.keys.length === expected) continue;
    const message = `${step === until ? "until" : "This step"} has ${keyCount(step)} of its own, the first step has ${expected}; every step needs as many`;
    fail(context, "key-count", message, step.keys[0] ?? endOf(step));
  }
}

function keyCount({ keys }: Step): string {
  return keys.length === 1 ? "1 key" : `${keys.length} keys`;
}

/** The closing bracket. */
function endOf({ query, to }: Step): Range {
  return { from: query.to, to: Math.min(query.to + 1, to) };
}

function checkAliases({ steps }: SeveralEventsQuery, context: LowerContext): void {
  const seen = new Set<string>();
  for (const { alias } of steps) {
    if (alias === undefined) continue;
    const { name } = alias;
    if (seen.has(name)) fail(context, "duplicate-alias", `Two steps are named ${quoted(name)}`, alias);
    seen.add(name);
    const shadowed = context.knownFields().find((field) => field.name === name || field.name.startsWith(`${name}.`));
    if (shadowed === undefined) continue;
    const message = `In this query ${quoted(name)} is a step, not the beginning of fields such as "${shadowed.name}"; another name keeps both`;
    context.diagnostics.warning("alias-shadows-field", message, alias);
  }
}
