// Policies of rules as the tables by which the kernel decides. Every clause of an act has a bit. For each dimension a table says which clauses a value
// lets stand: the entry of the longest block the value begins with, or what holds where there is none; an act's clauses are what all its dimensions
// let stand. So the kernel looks up once for each dimension, however many rules there are. Pure.
import {
  POLICY_ACTS,
  POLICY_BLOCKS_MAX,
  POLICY_CLAUSES_MAX,
  type PolicyAct,
  type PolicyBlock,
  type PolicyClause,
  type PolicyDimension,
  type PolicyTest,
  type RulePolicy,
} from "#schema";

/** Values that begin with a block, and with no longer one, let these clauses stand. */
export interface PolicyEntry extends PolicyBlock {
  readonly clauses: bigint;
}

/** One dimension of an act. */
export interface DimensionTable {
  /** Clauses that stand for values in no block. */
  readonly unmatched: bigint;
  /** Clauses that do not ask: those that stand when the value cannot be told. */
  readonly free: bigint;
  readonly entries: readonly PolicyEntry[];
}

/** One kind of act. */
export interface ActTable {
  /** The policy of each clause, by bit. */
  readonly owners: readonly RulePolicy[];
  /** Dimensions some clause asks for. */
  readonly dimensions: ReadonlyMap<PolicyDimension, DimensionTable>;
}

/** All tables, and what had no room in them. */
export interface PolicyTables {
  readonly acts: Readonly<Record<PolicyAct, ActTable>>;
  readonly refused: readonly { readonly ruleId: string; readonly reason: string }[];
}

/** See the head of this file. A policy has room for all acts it is about, or for none. */
export function buildTables(policies: readonly RulePolicy[]): PolicyTables {
  const refused: PolicyTables["refused"][number][] = [];
  const taken: Record<PolicyAct, { owner: RulePolicy; clause: PolicyClause }[]> = { exec: [], open: [], connect: [], bind: [], listen: [] };
  let blocks = 0;
  for (const policy of policies) {
    const full = [...policy.acts].find(([act, clauses]) => taken[act].length + clauses.length > POLICY_CLAUSES_MAX)?.[0];
    const more = [...policy.acts.values()].flat().reduce((sum, clause) => sum + blocksOf(clause), 0);
    if (full !== undefined)
      refused.push({ ruleId: policy.ruleId, reason: `the kernel has room for ${POLICY_CLAUSES_MAX} alternatives of "${full}"` });
    else if (blocks + more > POLICY_BLOCKS_MAX) {
      refused.push({ ruleId: policy.ruleId, reason: `the kernel has room for ${POLICY_BLOCKS_MAX} values and beginnings` });
    } else {
      blocks += more;
      for (const [act, clauses] of policy.acts) taken[act].push(...clauses.map((clause) => ({ owner: policy, clause })));
    }
  }
  const acts = Object.fromEntries(POLICY_ACTS.map((act) => [act, tableOf(taken[act])]));
  return { acts: acts as PolicyTables["acts"], refused };
}

function blocksOf(clause: PolicyClause): number {
  return [...clause.values()].reduce((sum, test) => sum + blocksIn(test).length, 0);
}

function blocksIn(test: PolicyTest): readonly PolicyBlock[] {
  if (test.kind === "in") return test.blocks;
  return test.kind === "not" ? blocksIn(test.operand) : test.operands.flatMap(blocksIn);
}

function tableOf(taken: readonly { readonly owner: RulePolicy; readonly clause: PolicyClause }[]): ActTable {
  const clauses = taken.map(({ clause }) => clause);
  const dimensions = new Set(clauses.flatMap((clause) => [...clause.keys()]));
  return {
    owners: taken.map(({ owner }) => owner),
    dimensions: new Map([...dimensions].map((dimension) => [dimension, dimensionOf(clauses.map((clause) => clause.get(dimension)))])),
  };
}

function dimensionOf(tests: readonly (PolicyTest | undefined)[]): DimensionTable {
  const blocks = new Map<string, PolicyBlock>();
  for (const test of tests) for (const block of test === undefined ? [] : blocksIn(test)) blocks.set(`${block.bits} ${block.bytes}`, block);
  const standing = (value: PolicyBlock | undefined): bigint => maskOf(tests, (test) => test === undefined || isTrue(test, value));
  return {
    unmatched: standing(undefined),
    free: maskOf(tests, (test) => test === undefined),
    entries: [...blocks.values()].map((block) => ({ ...block, clauses: standing(block) })),
  };
}

function maskOf(tests: readonly (PolicyTest | undefined)[], stands: (test: PolicyTest | undefined) => boolean): bigint {
  return tests.reduce((mask, test, bit) => (stands(test) ? mask | (1n << BigInt(bit)) : mask), 0n);
}

/** Of the values whose longest block is `value`; undefined: of those in no block. */
function isTrue(test: PolicyTest, value: PolicyBlock | undefined): boolean {
  switch (test.kind) {
    case "in":
      return value !== undefined && test.blocks.some((block) => contains(block, value));
    case "not":
      return !isTrue(test.operand, value);
    case "and":
      return test.operands.every((operand) => isTrue(operand, value));
    default:
      return test.operands.some((operand) => isTrue(operand, value));
  }
}

function contains(block: PolicyBlock, value: PolicyBlock): boolean {
  if (block.bits > value.bits) return false;
  const whole = block.bits >>> 3;
  for (let index = 0; index < whole; index++) if (block.bytes[index] !== value.bytes[index]) return false;
  const rest = block.bits & 7;
  return rest === 0 || ((block.bytes[whole] ?? 0) ^ (value.bytes[whole] ?? 0)) >>> (8 - rest) === 0;
}
