// Composes the rooms: rules in, records through the bus, alerts out to the sinks.
// Invariants: alerts leave in the order of seq, then of rules; a failing rule is quarantined from the batch it failed in and the others go on;
// the same records and rules give the same alerts on any number of partitions. Knows no sensor and no socket.
import {
  type Alert,
  type BusCounters,
  type Clock,
  EventBus,
  type FullPolicy,
  type Log,
  messageOf,
  type RecordBatch,
  type RecordSink,
  RuleFault,
  type Sink,
} from "#core";
import { compileRuleSet } from "#eql";
import { RecordView } from "#event";
import type { Rule } from "#rules";
import { type Diagnostic, hitWords, type SchemaRegistry } from "#schema";
import { AlertBuilder } from "./alert-builder.ts";
import { type Backend, createUserRule, ruleSetFactory } from "./evaluators.ts";
import { type ArmablePartition, type ArmedSet, type BatchResult, InlinePartition, WorkerPartition } from "./partition.ts";
import { RuleState } from "./rule-state.ts";

/** Settings of an {@link Engine}. */
export interface EngineOptions {
  readonly registry: SchemaRegistry;
  readonly clock: Clock;
  readonly log: Log;
  readonly sinks: readonly Sink[];
  /** Threads that evaluate; 1 evaluates in the calling thread. */
  readonly partitions: number;
  readonly backend: Backend;
  readonly whenFull: FullPolicy;
  /** Longest wait of a record for its batch to fill, ms; 0 for files. */
  readonly flushMs: number;
  /** Where compiled modules are kept between starts; nothing is kept without it. */
  readonly cacheDirectory: string | undefined;
  /** Stops a user's rule that takes more than this many ms for one batch. Live only: it would make a replay depend on the machine. */
  readonly batchBudgetMs: number | undefined;
}

/** A rule that could not be armed, with the reasons. */
export interface RuleProblem {
  readonly ruleId: string;
  readonly diagnostics: readonly Diagnostic[];
}

/** Answer of {@link Engine.arm}. */
export interface ArmResult {
  readonly armed: number;
  readonly problems: readonly RuleProblem[];
}

/** A rule written in Lua or Wasm, evaluated in order in the engine's thread, since it may keep state of its own. */
interface UserRule {
  readonly rule: Rule;
  readonly evaluator: ReturnType<typeof createUserRule>["evaluator"] & object;
}

interface HitList {
  readonly words: number;
  readonly bits: Uint32Array;
  readonly ruleOf: (predicate: number) => Rule;
  readonly source: UserRule | undefined;
}

/** See the head of this file. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #partitions: readonly ArmablePartition[];
  readonly #retry: InlinePartition;
  readonly #bus: EventBus<BatchResult>;
  readonly #builder: AlertBuilder;
  readonly #states = new Map<string, RuleState>();
  readonly #view = new RecordView();
  #rules: readonly Rule[] = [];
  #userRules: UserRule[] = [];
  #retrySet: ArmedSet | undefined;
  #sinkErrors = 0;
  #alerts = 0;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#builder = new AlertBuilder(options.registry);
    this.#retry = new InlinePartition(ruleSetFactory(options.backend, options.cacheDirectory));
    this.#partitions =
      options.partitions === 1
        ? [this.#retry]
        : Array.from(
            { length: options.partitions },
            () => new WorkerPartition({ backend: options.backend, cacheDirectory: options.cacheDirectory }),
          );
    this.#bus = new EventBus({
      clock: options.clock,
      partitions: this.#partitions,
      whenFull: options.whenFull,
      flushMs: options.flushMs,
      batchCount: options.partitions * 2 + 2,
      consume: (batch, result) => this.#consume(batch, result),
    });
  }

  /** Where sources push records. */
  get input(): RecordSink {
    return this.#bus;
  }

  /** Compiles the enabled rules and swaps them in at a batch border. A rule that does not compile is reported and left out. */
  async arm(rules: readonly Rule[]): Promise<ArmResult> {
    const problems: RuleProblem[] = [];
    const enabled = rules.filter((rule) => rule.enabled);
    const set = this.#compile(enabled, problems);
    const userRules = this.#createUserRules(enabled, problems);
    await this.#bus.drain();
    await Promise.all(this.#partitions.map((partition) => partition.arm(set)));
    for (const user of this.#userRules) user.evaluator.close();
    this.#userRules = userRules;
    this.#retrySet = undefined;
    const armed = [...set.rules, ...userRules.map((user) => user.rule)];
    this.#rules = armed;
    this.#states.clear();
    for (const rule of armed) this.#states.set(rule.id, new RuleState(rule, this.#options.registry));
    return { armed: armed.length, problems };
  }

  #compile(rules: readonly Rule[], problems: RuleProblem[]): ArmedSet {
    const eqlRules = rules.filter((rule) => rule.body.kind === "eql");
    const { program, queries } = compileRuleSet(eqlRules.map(querySource), this.#options.registry);
    const byPredicate: Rule[] = [];
    queries.forEach((query, index) => {
      const rule = eqlRules[index] as Rule;
      if (query.ok) byPredicate[query.predicate] = rule;
      else problems.push({ ruleId: rule.id, diagnostics: query.diagnostics });
    });
    return { program, rules: byPredicate };
  }

  #createUserRules(rules: readonly Rule[], problems: RuleProblem[]): UserRule[] {
    const created: UserRule[] = [];
    for (const rule of rules) {
      if (rule.body.kind === "eql") continue;
      const { evaluator, diagnostics } = createUserRule(rule.body, this.#options.registry);
      if (evaluator === undefined) problems.push({ ruleId: rule.id, diagnostics });
      else created.push({ rule, evaluator });
    }
    return created;
  }

  #consume(batch: RecordBatch, result: BatchResult): void {
    const settled = this.#settle(batch, result);
    const lists: HitList[] = [
      {
        words: hitWords(settled.set.program.predicates.length),
        bits: settled.hits,
        ruleOf: (predicate) => settled.set.rules[predicate] as Rule,
        source: undefined,
      },
    ];
    for (const user of [...this.#userRules]) {
      const bits = this.#evaluateUserRule(user, batch);
      if (bits !== undefined) lists.push({ words: 1, bits, ruleOf: () => user.rule, source: user });
    }
    for (let record = 0; record < batch.count; record++) {
      for (const list of lists) this.#raiseHits(batch, record, list);
    }
  }

  /** Hits of the batch by rules that did not fail; failing ones are quarantined on the way. */
  #settle(batch: RecordBatch, first: BatchResult): Extract<BatchResult, { kind: "hits" }> {
    let result = first;
    while (result.kind === "fault") {
      const rule = result.set.rules[result.fault.predicate];
      if (rule === undefined) throw result.fault;
      this.#quarantine(rule, batch, result.fault);
      this.#armWithoutQuarantined();
      result = this.#retry.evaluate(batch);
    }
    return result;
  }

  // Later batches that a worker evaluates with the old set are cleaned by #raiseHits; the workers get the smaller set for what follows.
  #armWithoutQuarantined(): void {
    const rules = this.#rules.filter((rule) => !this.#state(rule).quarantined);
    this.#retrySet = this.#compile(rules, []);
    this.#retry.armNow(this.#retrySet);
    for (const partition of this.#partitions) {
      if (partition !== this.#retry) void partition.arm(this.#retrySet);
    }
  }

  #evaluateUserRule(user: UserRule, batch: RecordBatch): Uint32Array | undefined {
    const startMs = performance.now();
    try {
      const bits = user.evaluator.evaluate(batch);
      const budgetMs = this.#options.batchBudgetMs;
      const tookMs = performance.now() - startMs;
      if (budgetMs === undefined || tookMs <= budgetMs) return bits;
      throw new RuleFault("time", 0, `Took ${tookMs.toFixed(0)} ms for ${batch.count} events, ${budgetMs} ms are allowed`);
    } catch (error) {
      if (!(error instanceof RuleFault)) throw error;
      this.#userRules = this.#userRules.filter((other) => other !== user);
      user.evaluator.close();
      this.#quarantine(user.rule, batch, error);
      return undefined;
    }
  }

  #quarantine(rule: Rule, batch: RecordBatch, fault: RuleFault): void {
    const state = this.#state(rule);
    if (state.quarantined) return;
    state.quarantined = true;
    this.#options.log.write("warn", "rule stopped", { rule: rule.id, reason: fault.message });
    this.#view.reset(batch.bytes, batch.offsets[0] as number);
    this.#emit(this.#builder.quarantineAlert(rule, this.#view, `${fault.kind}: ${fault.message}`));
  }

  #raiseHits(batch: RecordBatch, record: number, list: HitList): void {
    const base = record * list.words;
    for (let word = 0; word < list.words; word++) {
      for (let bits = list.bits[base + word] as number; bits !== 0; bits &= bits - 1) {
        const rule = list.ruleOf(word * 32 + (31 - Math.clz32(bits & -bits)));
        const state = this.#states.get(rule.id);
        if (state === undefined || state.rule !== rule || state.quarantined) continue;
        state.hits++;
        this.#view.reset(batch.bytes, batch.offsets[record] as number);
        if (!state.admit(this.#view)) continue;
        state.alerts++;
        this.#emit(this.#builder.ruleAlert(rule, this.#view, list.source?.evaluator.emission?.(record)));
      }
    }
  }

  #emit(alert: Alert): void {
    this.#alerts++;
    for (const sink of this.#options.sinks) {
      try {
        sink.take(alert);
      } catch (error) {
        this.#sinkErrors++;
        this.#options.log.write("error", "alert sink failed", { sink: sink.name, reason: messageOf(error) });
      }
    }
  }

  #state(rule: Rule): RuleState {
    return this.#states.get(rule.id) as RuleState;
  }

  /** Waits until everything pushed so far has been evaluated and its alerts are out. */
  drain(): Promise<void> {
    return this.#bus.drain();
  }

  /** Sends waiting records on their way without waiting. */
  flush(): void {
    this.#bus.flush();
  }

  /** Counters of the bus and of alerts. */
  counters(): BusCounters & { readonly alerts: number; readonly sinkErrors: number } {
    return { ...this.#bus.counters(), alerts: this.#alerts, sinkErrors: this.#sinkErrors };
  }

  /** State of every armed rule, in rule order. */
  ruleStates(): readonly RuleState[] {
    return [...this.#states.values()];
  }

  /** Drains, then frees evaluators and workers. */
  async close(): Promise<void> {
    await this.#bus.drain();
    await Promise.all(this.#partitions.map((partition) => partition.close()));
    if (!this.#partitions.includes(this.#retry)) await this.#retry.close();
    for (const user of this.#userRules) user.evaluator.close();
    this.#userRules = [];
  }
}

function querySource(rule: Rule): Parameters<typeof compileRuleSet>[0][number] {
  const body = rule.body as Extract<Rule["body"], { kind: "eql" }>;
  return { id: rule.id, text: body.query, dialect: body.dialect, exceptions: rule.exceptions, lenientFields: false };
}
