// What of the events of known words a rule set can match: each predicate evaluated with the words known and everything else unknown, and of what
// it then still asks, the tests of path, user, port, address and control group that must hold. Invariant: sound, never exact: an event that is left out makes no predicate
// true; what cannot be told is wanted.
import {
  CATEGORY_SEVERAL,
  type Demand,
  type DemandTest,
  type EventWords,
  type FieldReader,
  type GroupField,
  isGroupField,
  type SchemaRegistry,
  type WordsDemand,
} from "#schema";
import { testsOf } from "./demand-tests.ts";
import type { ConditionNode, IrNode } from "./ir.ts";
import { evaluateCondition } from "./reference.ts";
import { childrenOf } from "./rule-set-facts.ts";

/** Truth values that a condition may have, as bits. */
const enum May {
  True = 1,
  False = 2,
  Null = 4,
  All = 7,
}

/** What each of some lists of predicates wants of events called by one of `words`; an event matters that makes one of a list true. */
export function demandsOf(
  lists: readonly (readonly ConditionNode[])[],
  words: readonly EventWords[],
  registry: SchemaRegistry,
): readonly Demand[] {
  const demands: WordsDemand[][] = lists.map(() => []);
  for (const one of words) {
    // Rules share nodes, so they share what is found out about them.
    const asked = new Asked(one, registry);
    for (const [index, roots] of lists.entries()) {
      const wanted = asked.demand(roots);
      if (wanted !== undefined) demands[index]!.push(wanted);
    }
  }
  return demands;
}

/** A rule set under the question what it can match of events of some words. */
class Asked {
  readonly #words: EventWords;
  readonly #event: FieldReader;
  readonly #known: ReadonlySet<number>;
  readonly #registry: SchemaRegistry;
  readonly #truths = new Map<ConditionNode, number>();
  readonly #tests = new Map<string, readonly DemandTest[] | undefined>();
  readonly #told = new Map<IrNode, boolean>();

  constructor(words: EventWords, registry: SchemaRegistry) {
    const [category, type, action] = words;
    const categories = typeof category === "string" ? [category] : category;
    const values = new Map<number, readonly string[]>([
      [registry.idOf("event.category"), categories],
      [registry.idOf("event.type"), [type]],
      [registry.idOf("event.action"), [action]],
    ]);
    this.#words = words;
    // Of a category that no rule names every category node is false: its number is none of theirs.
    const header = typeof category === "string" ? registry.categories.idOf(category) : CATEGORY_SEVERAL;
    this.#event = { category: header, value: (id) => values.get(id) };
    this.#known = new Set(values.keys());
    this.#registry = registry;
  }

  demand(roots: readonly ConditionNode[]): WordsDemand | undefined {
    const tests = this.#union(roots, May.True);
    if (tests === undefined) return { words: this.#words, tests: undefined };
    return tests.length === 0 ? undefined : { words: this.#words, tests };
  }

  /** Tests of which one is true whenever `node` has the truth `wanted`: none when it never has, undefined when nothing can be told. */
  #testsFor(node: ConditionNode, wanted: May.True | May.False): readonly DemandTest[] | undefined {
    if ((this.#truthsOf(node) & wanted) === 0) return [];
    const key = `${node.id} ${wanted}`;
    if (this.#tests.has(key)) return this.#tests.get(key);
    const tests = this.#findTests(node, wanted);
    this.#tests.set(key, tests);
    return tests;
  }

  #findTests(node: ConditionNode, wanted: May.True | May.False): readonly DemandTest[] | undefined {
    switch (node.kind) {
      case "not":
        return this.#testsFor(node.operand, wanted === May.True ? May.False : May.True);
      case "and":
        return wanted === May.True ? this.#best(node.operands, wanted) : this.#union(node.operands, wanted);
      case "or":
        return wanted === May.True ? this.#union(node.operands, wanted) : this.#best(node.operands, wanted);
      default:
        return testsOf(node, wanted === May.True, this.#registry);
    }
  }

  /** For conditions that must all have the truth: the tests of the one that lets through least. */
  #best(nodes: readonly ConditionNode[], wanted: May.True | May.False): readonly DemandTest[] | undefined {
    let best: readonly DemandTest[] | undefined;
    for (const node of nodes) {
      const tests = this.#testsFor(node, wanted);
      if (tests !== undefined && (best === undefined || width(tests) < width(best))) best = tests;
    }
    return best;
  }

  /** For conditions of which one must have the truth. */
  #union(nodes: readonly ConditionNode[], wanted: May.True | May.False): readonly DemandTest[] | undefined {
    const all = new Map<string, DemandTest>();
    for (const node of nodes) {
      const tests = this.#testsFor(node, wanted);
      if (tests === undefined) return undefined;
      for (const test of tests) all.set(`${test.kind} ${test.text}`, test);
    }
    return [...all.values()];
  }

  #truthsOf(node: ConditionNode): number {
    const known = this.#truths.get(node);
    if (known !== undefined) return known;
    const truths =
      this.#isTold(node) && node.free === 0 ? bitOf(evaluateCondition(node, { event: this.#event, variables: [] })) : this.#guess(node);
    this.#truths.set(node, truths);
    return truths;
  }

  #guess(node: ConditionNode): number {
    switch (node.kind) {
      case "not": {
        const inner = this.#truthsOf(node.operand);
        return (inner & May.Null) | (inner & May.True ? May.False : 0) | (inner & May.False ? May.True : 0);
      }
      case "and":
        return this.#combined(node.operands, May.True, May.False);
      case "or":
        return this.#combined(node.operands, May.False, May.True);
      case "isNull": {
        if (node.value.kind !== "truthValue") return May.True | May.False;
        const inner = this.#truthsOf(node.value.condition);
        return (inner & May.Null ? May.True : 0) | (inner & (May.True | May.False) ? May.False : 0);
      }
      default:
        return May.All;
    }
  }

  /** `neutral` when all operands are, `decisive` when one is, else null. */
  #combined(nodes: readonly ConditionNode[], neutral: number, decisive: number): number {
    let [every, some] = [May.All as number, 0];
    let mayAllBeUndecided = true;
    for (const node of nodes) {
      const truths = this.#truthsOf(node);
      every &= truths | ~neutral;
      some |= truths;
      mayAllBeUndecided &&= (truths & ~decisive) !== 0;
    }
    return (every & neutral) | (some & decisive) | (mayAllBeUndecided ? some & May.Null : 0);
  }

  /** Whether a node depends on nothing but the words. */
  #isTold(node: IrNode): boolean {
    const known = this.#told.get(node);
    if (known !== undefined) return known;
    const told =
      node.kind === "field" ? this.#known.has(node.fieldId) : !isStateful(node) && childrenOf(node).every((child) => this.#isTold(child));
    this.#told.set(node, told);
    return told;
  }
}

function isStateful(node: IrNode): boolean {
  return node.kind === "lineage" || node.kind === "earlier";
}

function bitOf(truth: boolean | null): number {
  return truth === null ? May.Null : truth ? May.True : May.False;
}

/**
 * How much a set of tests lets through, roughly: names are rare, folders hold many files, ports are seldom the usual ones, users make most of what
 * happens, and connections go everywhere but to some blocks. One container is one of many, of one runtime are perhaps all, and no container is everywhere.
 */
const WIDTHS: Readonly<Record<Exclude<DemandTest["kind"], GroupField>, number>> = {
  name: 1,
  folder: 8,
  extension: 32,
  port: 32,
  user: 256,
  notUser: 4096,
  address: 64,
  notAddress: 1024,
  none: 4096,
};
const ONE_GROUP_WIDTH = 64;
const SOME_GROUPS_WIDTH = 512;
/** What a group nearly always has, such as a path. */
const ANY_GROUP_WIDTH = 8192;

function width(tests: readonly DemandTest[]): number {
  return tests.reduce((sum, test) => sum + widthOf(test), 0);
}

function widthOf({ kind, text }: DemandTest): number {
  if (!isGroupField(kind)) return WIDTHS[kind];
  if (kind === "process.cgroup.path") return text === "" || text === "/" ? ANY_GROUP_WIDTH : SOME_GROUPS_WIDTH;
  return (kind === "container.id" || kind === "orchestrator.resource.id") && text !== "" ? ONE_GROUP_WIDTH : SOME_GROUPS_WIDTH;
}
