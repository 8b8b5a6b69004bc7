// What passes from the compiler to whoever acts in the kernel: of a rule's condition, for each kind of act, what the kernel can decide alone.
// Data only. A condition is a disjunction of clauses; a clause is a conjunction of tests, at most one for each dimension; a test is a formula over
// blocks of one dimension. Invariant: where an act has clauses, they are true of exactly the acts whose event the rule's condition takes.

/** Acts a program in the kernel sees before, or just as, they happen. Numbers are those of bpf/policy.h. */
export const POLICY_ACTS = ["exec", "open", "connect", "bind", "listen"] as const;

/** One of {@link POLICY_ACTS}. */
export type PolicyAct = (typeof POLICY_ACTS)[number];

/**
 * What a test looks at, by number. Of an exec the program is the one that is about to run, else the one that acts. Paths and names end with a NUL,
 * so that a block may mean a whole text or its beginning; folded ones have ASCII letters in lower case. `user` is the effective user id, `port` the
 * far one, of `bind` and `listen` the own: both big endian; `address` has 16 bytes, IPv4 as `::ffff:a.b.c.d`; `transport` is the protocol's number; `mode` how a file is opened.
 */
export const POLICY_DIMENSIONS = [
  "program",
  "programFolded",
  "programName",
  "programNameFolded",
  "file",
  "fileFolded",
  "fileName",
  "fileNameFolded",
  "user",
  "mode",
  "address",
  "port",
  "transport",
] as const;

/** One of {@link POLICY_DIMENSIONS}. */
export type PolicyDimension = (typeof POLICY_DIMENSIONS)[number];

/** All values that begin with these bits; bits of `bytes` behind them are zero. */
export interface PolicyBlock {
  readonly bytes: readonly number[];
  readonly bits: number;
}

/** A formula over one dimension. `in`: the value lies in one of the blocks, of which there may be none. */
export type PolicyTest =
  | { readonly kind: "in"; readonly blocks: readonly PolicyBlock[] }
  | { readonly kind: "not"; readonly operand: PolicyTest }
  | { readonly kind: "and" | "or"; readonly operands: readonly PolicyTest[] };

/** Tests that must all be true; none: always. */
export type PolicyClause = ReadonlyMap<PolicyDimension, PolicyTest>;

/** What the kernel is to do about an act of which a clause is true. */
export interface RulePolicy {
  readonly ruleId: string;
  readonly action: "deny" | "kill";
  /** As the rule's text says. */
  readonly mode: "monitor" | "enforce";
  readonly acts: ReadonlyMap<PolicyAct, readonly PolicyClause[]>;
}

/** Why the kernel cannot decide an act: the part of the query as it is written, and one sentence. */
export interface UndecidedPart {
  readonly text: string;
  readonly reason: string;
}

/** What became of a rule's condition for one kind of act it can match. */
export type ActDecision =
  | { readonly kind: "decided"; readonly clauses: readonly PolicyClause[] }
  | { readonly kind: "undecided"; readonly parts: readonly UndecidedPart[] };

/** What became of a rule's condition. Acts it never matches are left out. */
export interface KernelCondition {
  readonly acts: ReadonlyMap<PolicyAct, ActDecision>;
  /** It may also match events of other kinds, which no program in the kernel acts on. */
  readonly matchesOthers: boolean;
}

/** How a file is opened, by the number its `mode` has. */
export const enum OpenMode {
  Created = 1,
  Written = 2,
  Read = 3,
}

/** Most bytes of a path or name in a block, its NUL included. */
export const POLICY_TEXT_BYTES_MAX = 248;
/** Most clauses of one kind of act, over all rules. */
export const POLICY_CLAUSES_MAX = 64;
/** Most blocks of all rules together. */
export const POLICY_BLOCKS_MAX = 4096;
