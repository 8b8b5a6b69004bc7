// Which rules can be decided before a program runs, and why others cannot: from the parts of a rule's condition and what is known of an attempt. Decides
// nothing about any program. Invariant: a rule is taken only when its condition reads nothing but what the event of the start has too.
import type { Conjunct } from "#eql";
import type { Rule } from "#rules";
import { ATTEMPT_CALLER_FIELDS, ATTEMPT_FILE_FIELDS, type FieldReader, type FieldValue, type SchemaRegistry } from "#schema";
import { querySource } from "./query-source.ts";

/** A rule for the gate. */
export interface GateRule<R> {
  readonly rule: R;
  /** What must be true of the file alone for the rule to match: whatever the rule asks beside that, a file for which it is false is never denied. */
  mayMatchFile(record: FieldReader): boolean;
}

/** What became of a rule that denies. */
export type GateRuleResult<R> =
  | { readonly gate: GateRule<R>; readonly reason?: never }
  | { readonly reason: string; readonly gate?: never };

/** What a rule is looked at for. */
export type GateCandidate = Pick<Rule, "id" | "body" | "exceptions">;

/** Fields whose values are the same for every program that starts. */
const CONSTANTS: ReadonlyMap<string, FieldValue> = new Map<string, FieldValue>([
  ["event.category", ["process"]],
  ["event.type", ["start"]],
  ["event.kind", "event"],
  ["event.action", "exec"],
  ["event.module", "kestrel"],
]);
const FILE_FIELDS: ReadonlySet<string> = new Set(ATTEMPT_FILE_FIELDS);
const KNOWN_FIELDS: ReadonlySet<string> = new Set([...ATTEMPT_FILE_FIELDS, ...ATTEMPT_CALLER_FIELDS]);
/** Fields named in a reason; the rest only counts. */
const NAMED_MAX = 3;

/** See the head of this file. The compiler is loaded with the first rule. */
export async function gateRule<R extends GateCandidate>(rule: R, registry: SchemaRegistry): Promise<GateRuleResult<R>> {
  const { body } = rule;
  if (body.kind !== "eql")
    return { reason: `a ${body.kind === "lua" ? "Lua" : "Wasm"} rule sees events, and a program that may not start yet makes none` };
  const { compileExpression, queryConjuncts } = await import("#eql");
  const lists = queryConjuncts(querySource(rule), registry);
  const [conjuncts] = lists;
  if (conjuncts === undefined) return { reason: "its query has errors" };
  if (lists.length > 1 || conjuncts.some((conjunct) => conjunct.waits)) return { reason: "it depends on other events" };
  const unknown = [...new Set(conjuncts.flatMap(({ reads }) => reads.map(({ name }) => name)))].filter((name) => !KNOWN_FIELDS.has(name));
  const evaluators = conjuncts.map((conjunct) => ({ conjunct, evaluator: compileExpression(conjunct.expression) }));
  const isTrue = (evaluator: (typeof evaluators)[number]["evaluator"], event: FieldReader): boolean =>
    evaluator.truth({ event, earlier: () => undefined, lineage: () => null }) === true;
  const start = startOfAnything(registry);
  const isOther = evaluators.some(
    ({ conjunct, evaluator }) => readsOnly(conjunct, CONSTANTS) && isTrue(evaluator, start) === conjunct.excludes,
  );
  if (isOther) return { reason: "it does not ask for the start of a program" };
  if (unknown.length > 0) return { reason: unknownFields(unknown) };
  // Exceptions only take away: what may match without them is enough.
  const ofFile = evaluators.filter(({ conjunct }) => !conjunct.excludes && readsOnly(conjunct, FILE_FIELDS));
  return { gate: { rule, mayMatchFile: (record) => ofFile.every(({ evaluator }) => isTrue(evaluator, record)) } };
}

function readsOnly({ reads }: Conjunct, fields: { has(name: string): boolean }): boolean {
  return reads.every(({ name }) => fields.has(name));
}

function unknownFields(names: readonly string[]): string {
  const more = names.length - NAMED_MAX;
  const list = `${names.slice(0, NAMED_MAX).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  return `${list} ${names.length === 1 ? "is" : "are"} not known before the program runs`;
}

function startOfAnything(registry: SchemaRegistry): FieldReader {
  const values = new Map([...CONSTANTS].map(([name, value]) => [registry.idOf(name), value]));
  return { category: registry.categories.idOf("process"), value: (id) => values.get(id) };
}
