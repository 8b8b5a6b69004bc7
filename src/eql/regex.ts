// Regular expressions as tables: pattern → automaton (refa) → minimal deterministic table over classes of code points. A match is one walk over
// the text. Compilation is bounded in states and table size, so a hostile pattern gets an error, not time.
import type { DFA } from "refa";
import { automata } from "./automata.ts";
import { CODE_POINT_MAX, parseRegex, type RegexIssue, type RegexOptions } from "./regex-parse.ts";

export type { RegexFlavour, RegexIssue, RegexOptions } from "./regex-parse.ts";

/** Most states of the automaton, before and after it is made deterministic. */
const NFA_STATES_MAX = 1500;
const DFA_STATES_MAX = 2500;
/** Most cells of a table: states × classes. */
const TABLE_CELLS_MAX = 1 << 18;

/** A deterministic automaton. State s on a code point of class c goes to `transitions[s * classCount + c]`. */
export interface RegexTable {
  readonly start: number;
  readonly stateCount: number;
  readonly classCount: number;
  /** Class of each ASCII character. */
  readonly asciiClasses: Uint8Array;
  /** Ranges of code points from 0 on, ascending: where each begins and its class. */
  readonly rangeStarts: Uint32Array;
  readonly rangeClasses: Uint8Array;
  readonly transitions: Uint16Array;
  /** {@link StateBit} bits of each state. */
  readonly states: Uint8Array;
}

/** Bits of a state. */
const enum StateBit {
  Accepts = 1,
  /** Every way leads back to this state: the rest of the text makes no difference. */
  Final = 2,
}

/** A compiled pattern, or what is wrong with it. */
export type RegexResult = (
  | { readonly kind: "compiled"; readonly table: RegexTable; readonly warnings: readonly RegexIssue[] }
  | { readonly kind: "failed"; readonly error: RegexIssue }
) & {
  /** Deterministic states that were made on the way, which is what compiling it costs. */
  readonly statesMade: number;
};

/** Rules repeat each other's patterns, and a pattern is compiled when it is checked and for each back end. */
const COMPILED_MAX = 256;
const compiled = new Map<string, RegexResult>();

/** Compiles a pattern. Never throws; a pattern that would need too large a table is refused. */
export function compileRegex(pattern: string, options: RegexOptions): RegexResult {
  const key = `${options.flavour} ${options.folded} ${pattern}`;
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const result = compileNew(pattern, options);
  if (compiled.size >= COMPILED_MAX) compiled.clear();
  compiled.set(key, result);
  return result;
}

function compileNew(pattern: string, options: RegexOptions): RegexResult {
  const parsed = parseRegex(pattern, options);
  if (parsed.kind === "failed") return { ...parsed, statesMade: 0 };
  let statesMade = DFA_STATES_MAX;
  const tooLarge = (what: string): RegexResult => {
    const message = `The regular expression needs ${what}; shorten its repetitions or split it into several patterns`;
    return { kind: "failed", error: { message, from: 0, to: pattern.length }, statesMade };
  };
  const { DFA, NFA, TooManyNodesError } = automata();
  try {
    const nfa = NFA.fromRegex(parsed.expression, { maxCharacter: CODE_POINT_MAX }, {}, new NFA.LimitedNodeFactory(NFA_STATES_MAX));
    const dfa = DFA.fromFA(nfa, new DFA.LimitedNodeFactory(DFA_STATES_MAX));
    statesMade = [...dfa.nodes()].length;
    dfa.minimize();
    const table = tableOf(dfa);
    if (table === undefined) return tooLarge(`a table of more than ${TABLE_CELLS_MAX} cells`);
    return { kind: "compiled", table, warnings: parsed.warnings, statesMade };
  } catch (error) {
    if (error instanceof TooManyNodesError) return tooLarge(`more than ${DFA_STATES_MAX} states`);
    throw error;
  }
}

/** Whether the whole text matches. */
export function regexMatches(table: RegexTable, text: string): boolean {
  const { classCount, transitions, states, asciiClasses } = table;
  let state = table.start;
  for (let at = 0; at < text.length && (states[state]! & StateBit.Final) === 0; ) {
    const codePoint = text.codePointAt(at)!;
    at += codePoint > 0xffff ? 2 : 1;
    const symbol = codePoint < 128 ? asciiClasses[codePoint]! : classOf(table, codePoint);
    state = transitions[state * classCount + symbol]!;
  }
  return (states[state]! & StateBit.Accepts) !== 0;
}

function classOf(table: RegexTable, codePoint: number): number {
  let low = 0;
  let high = table.rangeStarts.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (codePoint < table.rangeStarts[middle]!) high = middle;
    else low = middle;
  }
  return table.rangeClasses[low]!;
}

type DfaNode = DFA["initial"];

/** State 0 is the one without way out; undefined when the table would be too large. */
function tableOf(dfa: DFA): RegexTable | undefined {
  const nodes: DfaNode[] = [...dfa.nodes()];
  const stateCount = nodes.length + 1;
  const starts = new Set<number>([0]);
  for (const node of nodes) {
    for (const [range] of node.out) {
      starts.add(range.min);
      if (range.max < CODE_POINT_MAX) starts.add(range.max + 1);
    }
  }
  if (starts.size > 20_000 || starts.size * stateCount > TABLE_CELLS_MAX * 64) return undefined;
  const classes = classify(
    nodes,
    [...starts].sort((a, b) => a - b),
  );
  if (classes === undefined || classes.columns.length * stateCount > TABLE_CELLS_MAX) return undefined;
  const { rangeStarts, rangeClasses, columns } = classes;
  const classCount = columns.length;
  const transitions = new Uint16Array(stateCount * classCount);
  for (const [symbol, column] of columns.entries()) {
    for (const [index, target] of column.entries()) transitions[(index + 1) * classCount + symbol] = target;
  }
  const states = new Uint8Array(stateCount);
  for (let state = 0; state < stateCount; state++) {
    const accepts = state > 0 && dfa.finals.has(nodes[state - 1]!);
    const row = transitions.subarray(state * classCount, (state + 1) * classCount);
    states[state] = (accepts ? StateBit.Accepts : 0) | (row.every((target) => target === state) ? StateBit.Final : 0);
  }
  const asciiClasses = new Uint8Array(128);
  for (let range = 0; range < rangeStarts.length; range++) asciiClasses.fill(rangeClasses[range]!, Math.min(rangeStarts[range]!, 128));
  return { start: nodes.indexOf(dfa.initial) + 1, stateCount, classCount, asciiClasses, rangeStarts, rangeClasses, transitions, states };
}

interface Classes {
  readonly rangeStarts: Uint32Array;
  readonly rangeClasses: Uint8Array;
  /** For each class the target state from each node. */
  readonly columns: readonly (readonly number[])[];
}

/** Groups the ranges that lead to the same states from every state. */
function classify(nodes: readonly DfaNode[], starts: readonly number[]): Classes | undefined {
  const stateOf = new Map<DfaNode, number>(nodes.map((node, index) => [node, index + 1]));
  const indexOfStart = new Map<number, number>(starts.map((start, index) => [start, index]));
  const targets = starts.map(() => new Array<number>(nodes.length).fill(0));
  for (const [index, node] of nodes.entries()) {
    for (const [range, target] of node.out) {
      for (let at = indexOfStart.get(range.min)!; at < starts.length && starts[at]! <= range.max; at++)
        targets[at]![index] = stateOf.get(target)!;
    }
  }
  const known = new Map<string, number>();
  const columns: number[][] = [];
  const rangeStarts: number[] = [];
  const rangeClasses: number[] = [];
  for (const [at, column] of targets.entries()) {
    const key = column.join();
    let symbol = known.get(key);
    if (symbol === undefined) {
      symbol = columns.length;
      known.set(key, symbol);
      columns.push(column);
    }
    if (rangeClasses.at(-1) === symbol) continue;
    rangeStarts.push(starts[at]!);
    rangeClasses.push(symbol);
  }
  if (columns.length > 256) return undefined;
  return { rangeStarts: Uint32Array.from(rangeStarts), rangeClasses: Uint8Array.from(rangeClasses), columns };
}
