// Judges programs that are about to run: the rules that deny, compiled as the engine compiles them, on the record the start would have. So a rule says of
// an attempt what it says of the event. Invariant: a rule that fails here is left out, and what it would have denied runs.
import { type Evaluator, type ExecJudge, type ExecJudgement, type Log, type RecordBatch, RuleFault } from "#core";
import { RecordView } from "#event";
import type { Rule } from "#rules";
import { type Backend, hitWords, type SchemaRegistry } from "#schema";
import type { RuleCompiler } from "./compile.ts";
import { ruleSetFactory } from "./evaluators.ts";
import { type GateRule, gateRule } from "./gate-rules.ts";

/** Settings of {@link createExecJudge}. */
export interface ExecJudgeOptions {
  readonly registry: SchemaRegistry;
  readonly backend: Backend;
  readonly compile: RuleCompiler;
  readonly cacheDirectory: string | undefined;
  readonly log: Log;
  /** Whether a rule runs: one that is stopped denies nothing. */
  readonly isRunning: (ruleId: string) => boolean;
}

/** A judge with what it holds. */
export interface RuleJudge extends ExecJudge {
  /** Frees native memory. Twice is fine. */
  close(): void;
}

/** A judge of the rules among these that deny and can be decided before a program runs; `undefined` when there is none. */
export async function createExecJudge(rules: readonly Rule[], options: ExecJudgeOptions): Promise<RuleJudge | undefined> {
  const gates: GateRule<Rule>[] = [];
  for (const rule of rules) {
    if (!rule.enabled || rule.action !== "deny") continue;
    const { gate } = await gateRule(rule, options.registry);
    if (gate !== undefined) gates.push(gate);
  }
  if (gates.length === 0) return undefined;
  const set = await compiledSet(gates, options);
  return new CompiledJudge(set, options);
}

interface JudgedSet {
  readonly evaluator: Evaluator;
  readonly gates: readonly GateRule<Rule>[];
  /** Position in `gates` of each predicate. */
  readonly gateOf: ReadonlyMap<number, number>;
}

async function compiledSet(
  gates: readonly GateRule<Rule>[],
  { compile, registry, backend, cacheDirectory }: ExecJudgeOptions,
): Promise<JudgedSet> {
  const { program, predicates } = await compile(
    gates.map(({ rule }) => rule),
    registry,
    backend,
  );
  const gateOf = new Map(predicates.flatMap((predicate, index) => (predicate < 0 ? [] : [[predicate, index] as const])));
  return { evaluator: await ruleSetFactory(backend, cacheDirectory)(program), gates, gateOf };
}

class CompiledJudge implements RuleJudge {
  readonly #options: ExecJudgeOptions;
  readonly #view = new RecordView();
  readonly #offsets = new Uint32Array(1);
  #set: JudgedSet | undefined;
  #closed = false;

  constructor(set: JudgedSet, options: ExecJudgeOptions) {
    this.#set = set;
    this.#options = options;
  }

  judge(record: Uint8Array): ExecJudgement {
    const set = this.#set;
    // While the set is made anew without a rule that failed, everything runs and nothing is remembered.
    if (set === undefined) return { matched: [], isFileClear: false };
    const batch: RecordBatch = { bytes: record, offsets: this.#offsets, length: record.byteLength, count: 1 };
    let hits: Uint32Array;
    try {
      hits = set.evaluator.evaluate(batch);
    } catch (error) {
      if (!(error instanceof RuleFault)) throw error;
      this.#leaveOut(set, error);
      return { matched: [], isFileClear: false };
    }
    const matched = matchedOf(set, hits).filter(({ rule }) => this.#options.isRunning(rule.id));
    const view = this.#view.reset(record, 0);
    return {
      matched: matched.map(({ rule }) => ({ ruleId: rule.id, mode: rule.mode })),
      isFileClear: matched.length === 0 && !set.gates.some((gate) => gate.mayMatchFile(view)),
    };
  }

  #leaveOut(set: JudgedSet, fault: RuleFault): void {
    const failed = set.gateOf.get(fault.predicate);
    const gates = failed === undefined ? [] : set.gates.filter((_, index) => index !== failed);
    const rule = failed === undefined ? "all" : (set.gates[failed]?.rule.id ?? "");
    this.#options.log.write("error", "a rule failed at the gate and denies no program any more", { rule, reason: fault.message });
    this.#set = undefined;
    set.evaluator.close();
    if (gates.length === 0) return;
    compiledSet(gates, this.#options).then(
      (made) => {
        if (this.#closed) made.evaluator.close();
        else this.#set = made;
      },
      (error) => this.#options.log.write("error", "the gate's rules could not be compiled again", { reason: String(error) }),
    );
  }

  close(): void {
    this.#closed = true;
    this.#set?.evaluator.close();
    this.#set = undefined;
  }
}

function matchedOf({ evaluator, gates, gateOf }: JudgedSet, hits: Uint32Array): readonly GateRule<Rule>[] {
  const found: GateRule<Rule>[] = [];
  const words = hitWords(evaluator.predicateCount);
  for (let word = 0; word < words; word++) {
    for (let bits = hits[word] as number; bits !== 0; bits &= bits - 1) {
      const gate = gates[gateOf.get(word * 32 + (31 - Math.clz32(bits & -bits))) ?? -1];
      if (gate !== undefined) found.push(gate);
    }
  }
  return found;
}
