// What of a query a program in the kernel can decide alone, for each kind of act: the condition with the words of the act's event filled in, then as a
// disjunction of clauses. Invariant: exact or not at all. What only the agent knows, and what the kernel cannot compare as the language does, makes
// the act undecided, with the part of the query that is to blame.
import {
  type ActDecision,
  type FieldReader,
  type FieldValue,
  type KernelCondition,
  OpenMode,
  type PolicyAct,
  type PolicyClause,
  type SchemaRegistry,
  type UndecidedPart,
} from "#schema";
import { queryConjuncts } from "./conjuncts.ts";
import { type ConditionNode, IrBuilder, type IrNode } from "./ir.ts";
import { addModes, type Formula, formulaAnd, formulaNot, formulaOr, toClauses } from "./kernel-formula.ts";
import { kernelTest, NAMED_TRANSPORTS } from "./kernel-test.ts";
import { lowerQuery, type QuerySource } from "./query.ts";
import { evaluateCondition } from "./reference.ts";
import { childrenOf } from "./rule-set-facts.ts";

/** An event as far as its kind alone tells it. */
interface Variant {
  readonly category: string;
  readonly type: string;
  readonly action: string;
  readonly mode: OpenMode | undefined;
}

const VARIANTS: Readonly<Record<PolicyAct, readonly Variant[]>> = {
  exec: [{ category: "process", type: "start", action: "exec", mode: undefined }],
  open: [
    { category: "file", type: "creation", action: "creation", mode: OpenMode.Created },
    { category: "file", type: "change", action: "modification", mode: OpenMode.Written },
    { category: "file", type: "access", action: "open", mode: OpenMode.Read },
  ],
  connect: [{ category: "network", type: "start", action: "connection_attempted", mode: undefined }],
  bind: [{ category: "network", type: "info", action: "bind", mode: undefined }],
  listen: [{ category: "network", type: "info", action: "listen", mode: undefined }],
};
const DIRECTIONS: ReadonlyMap<string, string> = new Map([
  ["connection_attempted", "egress"],
  ["bind", "ingress"],
  ["listen", "ingress"],
]);
/** Fields that no event of an act has. */
const ABSENT: Readonly<Record<PolicyAct, RegExp>> = {
  exec: /^(file|destination|source|network|dns|Target)\./,
  open: /^(destination|source|network|dns|Target)\./,
  connect: /^(file|dns|Target)\./,
  bind: /^(file|source|dns|Target)\./,
  listen: /^(file|source|dns|Target)\./,
};
const CLAUSES_PER_ACT_MAX = 16;

/** See the head of this file. `undefined`: the query has an error, or is about several events. Never throws. */
export function kernelConditionOf(source: QuerySource, registry: SchemaRegistry): KernelCondition | undefined {
  const { condition } = lowerQuery(source, registry, new IrBuilder());
  if (condition === undefined) return undefined;
  const acts = new Map<PolicyAct, ActDecision>();
  for (const act of Object.keys(VARIANTS) as PolicyAct[]) {
    const decision = decide(act, condition, source, registry);
    if (decision !== undefined) acts.set(act, decision);
  }
  return { acts, matchesOthers: matchesOthers(condition, registry) };
}

/** `undefined`: no event of this kind matches. */
function decide(act: PolicyAct, condition: ConditionNode, source: QuerySource, registry: SchemaRegistry): ActDecision | undefined {
  const formulas = VARIANTS[act].map((variant) => new ActReader(act, variant, registry).formula(condition));
  if (formulas.every((formula) => formula.kind === "truth" && formula.value !== true)) return undefined;
  if (formulas.some(isUndecided)) return { kind: "undecided", parts: undecidedParts(act, source, registry) };
  const clauses = act === "open" ? toClauses(addModes(formulas), CLAUSES_PER_ACT_MAX) : toClauses(formulas[0]!, CLAUSES_PER_ACT_MAX);
  if (clauses !== undefined) return { kind: "decided", clauses: clauses.map(withNamedTransport) };
  const reason = `it would take more than ${CLAUSES_PER_ACT_MAX} alternatives in the kernel`;
  return { kind: "undecided", parts: [{ text: source.text.trim(), reason }] };
}

/** Of a protocol without a name the event has no transport: neither a comparison with that is true, nor its opposite. */
function withNamedTransport(clause: PolicyClause): PolicyClause {
  const test = clause.get("transport");
  if (test === undefined) return clause;
  const named = { kind: "in", blocks: NAMED_TRANSPORTS.map((number) => ({ bytes: [number], bits: 8 })) } as const;
  return new Map(clause).set("transport", { kind: "and", operands: [named, test] });
}

function isUndecided(formula: Formula): boolean {
  if (formula.kind === "unknown") return true;
  return "operands" in formula && formula.operands.some(isUndecided);
}

function undecidedParts(act: PolicyAct, source: QuerySource, registry: SchemaRegistry): readonly UndecidedPart[] {
  const parts = new Map<string, UndecidedPart>();
  for (const { text, expression } of queryConjuncts(source, registry).flat()) {
    for (const variant of VARIANTS[act]) {
      const reason = reasonIn(new ActReader(act, variant, registry).formula(expression.node as ConditionNode));
      if (reason !== undefined) parts.set(text, { text, reason });
    }
  }
  return [...parts.values()];
}

function reasonIn(formula: Formula): string | undefined {
  if (formula.kind === "unknown") return formula.reason;
  if (!("operands" in formula)) return undefined;
  for (const operand of formula.operands) {
    const reason = reasonIn(operand);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** Whether an event of some other kind may match: sound, not exact. */
function matchesOthers(condition: ConditionNode, registry: SchemaRegistry): boolean {
  const others: readonly Variant[] = [
    { category: "process", type: "start", action: "fork", mode: undefined },
    { category: "process", type: "end", action: "end", mode: undefined },
    { category: "file", type: "change", action: "rename", mode: undefined },
    // As an opened file, but of truncate: there is nothing to hold.
    { category: "file", type: "change", action: "modification", mode: undefined },
    { category: "file", type: "deletion", action: "deletion", mode: undefined },
    { category: "file", type: "creation", action: "link", mode: undefined },
    { category: "network", type: "start", action: "connection_accepted", mode: undefined },
  ];
  return others.some((variant) => {
    const formula = new ActReader(undefined, variant, registry).formula(condition);
    return !(formula.kind === "truth" && formula.value !== true);
  });
}

/** Reads a condition as a formula under what one kind of event tells. */
class ActReader {
  readonly #act: PolicyAct | undefined;
  readonly #event: FieldReader;
  readonly #known: ReadonlyMap<number, FieldValue>;
  readonly #told = new Map<IrNode, boolean>();

  constructor(act: PolicyAct | undefined, { category, type, action }: Variant, registry: SchemaRegistry) {
    this.#act = act;
    const known = new Map<number, FieldValue>([
      [registry.idOf("event.category"), [category]],
      [registry.idOf("event.type"), [type]],
      [registry.idOf("event.action"), action],
      [registry.idOf("event.kind"), "event"],
      [registry.idOf("event.module"), "kestrel"],
      [registry.idOf("host.os.type"), "linux"],
    ]);
    const direction = DIRECTIONS.get(action);
    if (direction !== undefined) known.set(registry.idOf("network.direction"), direction);
    this.#known = known;
    this.#event = { category: registry.categories.idOf(category), value: (id) => known.get(id) };
  }

  formula(node: ConditionNode): Formula {
    if (node.free === 0 && this.#isTold(node)) {
      return { kind: "truth", value: evaluateCondition(node, { event: this.#event, variables: [] }) };
    }
    switch (node.kind) {
      case "not":
        return formulaNot(this.formula(node.operand));
      case "and":
        return formulaAnd(node.operands.map((operand) => this.formula(operand)));
      case "or":
        return formulaOr(node.operands.map((operand) => this.formula(operand)));
      default:
        return this.#act === undefined ? { kind: "unknown", reason: "" } : kernelTest(node, this.#act);
    }
  }

  /** Whether a node depends on nothing but what the kind of event tells. */
  #isTold(node: IrNode): boolean {
    const known = this.#told.get(node);
    if (known !== undefined) return known;
    const told = this.#look(node);
    this.#told.set(node, told);
    return told;
  }

  #look(node: IrNode): boolean {
    if (node.kind === "lineage" || node.kind === "earlier") return false;
    if (node.kind === "element") return this.#look(node.field);
    if (node.kind !== "field") return childrenOf(node).every((child) => this.#isTold(child));
    return this.#known.has(node.fieldId) || (this.#act !== undefined && ABSENT[this.#act].test(node.name));
  }
}
