// Composes the rooms: rules in, records through the bus, alerts out to the sinks.
// Invariants: alerts leave in the order of seq, then of rules; a failing rule is quarantined at the record it failed at and the others go on;
// the same records and rules give the same alerts on any number of partitions and however the records are cut into batches, so that a
// recording replays as it was live. Knows no sensor and no socket.
import {
  type Alert,
  type BusCounters,
  type Clock,
  type Emission,
  EventBus,
  type FullPolicy,
  type Kept,
  KestrelError,
  type Log,
  type RecordBatch,
  type RecordSink,
  type Responder,
  RuleFault,
  type SavedState,
  type Sink,
} from "#core";
import { RecordView } from "#event";
import { type SequencerMetrics, STATE_LIMITS, type StateLimits } from "#nfa";
import type { Rule } from "#rules";
import { type Backend, type Demand, type Diagnostic, type EventWords, hitWords, type SchemaRegistry } from "#schema";
import { AlertBuilder } from "./alert-builder.ts";
import { armedSet } from "./armed-set.ts";
import { batchPart } from "./batch-part.ts";
import type { CompiledRules, RuleCompiler } from "./compile.ts";
import { Demanding, type DemandListener } from "./demanding.ts";
import { evaluateSingly } from "./evaluate-singly.ts";
import { ruleSetFactory } from "./evaluators.ts";
import { type ArmablePartition, type ArmedSet, type BatchResult, InlinePartition, prepareAll, WorkerPartition } from "./partition.ts";
import type { RuleReach } from "./reach.ts";
import { Responding } from "./responding.ts";
import { RuleState } from "./rule-state.ts";
import { type ReadyPlan, readyPlans, Sequencing } from "./sequencing.ts";
import { SinkFailures } from "./sink-failures.ts";
import { type KeepOptions, restoreThrottles, StateKeeper } from "./state-keeper.ts";
import { type UserRule, UserRules } from "./user-rules.ts";

/** Settings of an {@link Engine}. */
export interface EngineOptions {
  readonly registry: SchemaRegistry;
  readonly clock: Clock;
  readonly log: Log;
  readonly sinks: readonly Sink[];
  /** Threads that evaluate; 1 evaluates in the calling thread. */
  readonly partitions: number;
  readonly backend: Backend;
  readonly compile: RuleCompiler;
  readonly whenFull: FullPolicy;
  /** Longest wait of a record for its batch to fill, ms; 0 for files. */
  readonly flushMs: number;
  /** Where compiled modules are kept between starts; nothing is kept without it. */
  readonly cacheDirectory: string | undefined;
  /** Stops a user's rule that takes more than this many ms for one batch. Live only: it would make a replay depend on the machine. */
  readonly batchBudgetMs: number | undefined;
  /** Bounds of what sequences remember, and how far out of order events may come; STATE_LIMITS without it. */
  readonly limits?: StateLimits;
  /**
   * Field that orders events of one time, and it alone: two that are equal in both never follow each other. Without it, `event.sequence` where
   * events have it and their arrival decide.
   */
  readonly tiebreaker?: string | undefined;
  /** When state is kept, for a sink with `keepsState`; without it nothing is. */
  readonly keep?: KeepOptions;
  /** Carries out what rules ask for beside the alert. A live agent has one; without it alerts are all that happens. */
  readonly responder?: Responder;
  /** Words of all events that sources can send, for `onDemand`. */
  readonly words?: readonly EventWords[];
  /** Told what of those events the armed rules can match, at each arming and when a rule is stopped. */
  readonly onDemand?: DemandListener;
  /** Told that a rule has been stopped. Must not throw. */
  readonly onStopped?: () => void;
  /** Seq of the first record, default 0. */
  readonly firstSeq?: number;
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
  /** Of the armed rules with an action. */
  readonly reach: readonly RuleReach[];
}

/** Hits of one evaluator over a batch, up to the record where its rule failed. */
interface HitList {
  readonly words: number;
  readonly bits: Uint32Array;
  readonly ruleOf: (predicate: number) => Rule;
  /** See {@link ArmedSet.slots}. */
  readonly slots: Int32Array | undefined;
  readonly user: UserRule | undefined;
  readonly fault: RuleFault | undefined;
}

/** See the head of this file. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #partitions: readonly ArmablePartition[];
  readonly #retry: InlinePartition;
  readonly #bus: EventBus<BatchResult>;
  readonly #builder: AlertBuilder;
  readonly #responding: Responding;
  readonly #demanding: Demanding;
  #states: ReadonlyMap<string, RuleState> = new Map();
  readonly #view = new RecordView();
  readonly #userRules: UserRules;
  /** `#retry` holds the armed rules without those quarantined since. */
  #retryReady = false;
  #arming: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;
  readonly #sinkFailures: SinkFailures;
  #alerts = 0;
  readonly #sequencing: Sequencing;
  readonly #keeper: StateKeeper | undefined;
  /** Alerts of the batch being consumed. */
  #raised: Alert[] = [];
  /** A sequence is among them, or a rule has been stopped: state that must be kept with them. */
  #sequenceRaised = false;
  /** Records consumed, the ones of the current batch included. */
  #consumed = 0;
  #actedUnmatched = 0;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#userRules = new UserRules(options);
    this.#sinkFailures = new SinkFailures(options.clock, options.log);
    this.#builder = new AlertBuilder(options.registry);
    this.#responding = new Responding(options.registry, options.responder);
    this.#demanding = new Demanding(options.onDemand);
    this.#sequencing = new Sequencing({
      registry: options.registry,
      limits: options.limits ?? STATE_LIMITS,
      tiebreaker: options.tiebreaker,
      listener: {
        onMatch: (rule, records) => this.#raiseSequence(rule, records),
        onFault: (rule, error, record) => this.#stopSequence(rule, error, record),
        onEviction: (rule, cause, record) => this.#emit(this.#builder.evictionAlert(rule, this.#view.reset(record, 0), cause)),
      },
    });
    const parts = {
      takeCheckpoint: () => this.#sequencing.takeCheckpoint(),
      isBuffering: () => this.#sequencing.metrics().buffered > 0,
      states: () => this.#states.values(),
    };
    this.#keeper = options.keep && new StateKeeper(options.keep, options.clock, parts);
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
      onProgress: (timeNs) => this.#progress(timeNs),
      firstSeq: options.firstSeq ?? 0,
    });
  }

  /** Where sources push records. */
  get input(): RecordSink {
    return this.#bus;
  }

  /**
   * Compiles the enabled rules and swaps them in at a batch border. A rule that does not compile is reported and left out. Calls take effect
   * one after another, in the order they are made; one that throws changes nothing.
   * `compiled` spares the compilation: it is what a {@link RuleCompiler} made of exactly the enabled rules, in order.
   */
  arm(rules: readonly Rule[], compiled?: CompiledRules): Promise<ArmResult> {
    const armed = this.#arming.then(() => this.#arm(rules, compiled));
    this.#arming = armed.catch(() => undefined);
    return armed;
  }

  async #arm(rules: readonly Rule[], compiled: CompiledRules | undefined): Promise<ArmResult> {
    if (this.#closing !== undefined) throw new KestrelError("closed", "The engine is closed");
    const problems: RuleProblem[] = [];
    const enabled = rules.filter((rule) => rule.enabled).map((rule) => this.#knownAs(rule));
    const states = new Map(enabled.map((rule) => [rule.id, this.#stateOf(rule)]));
    const runnable = enabled.filter((rule) => states.get(rule.id)?.quarantineReason === undefined);
    const ready = compiled !== undefined && runnable.length === enabled.length;
    const compiledRules = ready ? compiled : await this.#compile(runnable);
    const set = armedSet(runnable, compiledRules, problems);
    const userRules = await this.#userRules.create(runnable, problems);
    const plans = await readyPlans(set.plans);
    const failed = new Set(problems.map((problem) => problem.ruleId));
    try {
      const prepared = await prepareAll(this.#partitions, set);
      await this.#bus.atBorder(() => {
        for (const { commit } of prepared) commit();
        this.#states = new Map([...states].filter(([id]) => !failed.has(id)));
        // A rule may have been stopped while this set was made.
        this.#userRules.use(userRules, ({ id }) => states.get(id)?.quarantineReason === undefined);
        this.#loadPlans(plans);
        this.#retryReady = false;
        this.#demand(runnable, compiledRules.demands);
        this.#responding.usePolicies(set.policies.filter(({ ruleId }) => this.#states.get(ruleId)?.quarantineReason === undefined));
      });
    } catch (error) {
      this.#userRules.drop(userRules);
      throw error;
    }
    return { armed: runnable.length - failed.size, problems, reach: compiledRules.reach.filter(({ ruleId }) => !failed.has(ruleId)) };
  }

  /**
   * Takes up what an earlier run kept. Call it between the first `arm` and the first record. What belongs to rules that changed since is left
   * out; returns what could not be read.
   */
  restore(state: SavedState): readonly string[] {
    return this.#sequencing.restore(restoreThrottles(state, (id) => this.#states.get(id)));
  }

  #loadPlans(plans: readonly ReadyPlan[]): void {
    this.#sequencing.load(plans.filter(({ rule }) => this.#isRunning(rule)));
  }

  #isRunning(rule: Rule): boolean {
    const state = this.#states.get(rule.id);
    return state?.rule === rule && state.quarantineReason === undefined;
  }

  #demand(rules: readonly Rule[], demands: readonly Demand[]): void {
    this.#demanding.use(rules.flatMap((rule, index) => (this.#isRunning(rule) ? [[rule.id, demands[index] as Demand] as const] : [])));
  }

  #compile(rules: readonly Rule[]): Promise<CompiledRules> {
    const { compile, registry, backend, words } = this.#options;
    return compile(rules, registry, backend, words);
  }

  // An unchanged rule keeps its counters, its throttle and its quarantine, so that uploading one rule does not reset the others.
  #knownAs(rule: Rule): Rule {
    const known = this.#states.get(rule.id)?.rule;
    return known !== undefined && Bun.deepEquals(known, rule) ? known : rule;
  }

  #stateOf(rule: Rule): RuleState {
    const known = this.#states.get(rule.id);
    return known?.rule === rule ? known : new RuleState(rule, this.#options.registry);
  }

  #consume(batch: RecordBatch, result: BatchResult): void | Promise<void> {
    this.#consumed += batch.count;
    if (result.kind === "fault") return this.#consumeFault(batch, result).then(() => this.#deliver());
    this.#raise(batch, result);
    this.#deliver();
  }

  #progress(timeNs: bigint): void {
    this.#sequencing.progress(timeNs);
    this.#deliver();
  }

  // Rare: a rule of the set failed. What comes before the record it failed at is raised, the rule is quarantined there, the set compiled
  // without it and the rest evaluated with that; later batches wait for it.
  async #consumeFault(batch: RecordBatch, first: Extract<BatchResult, { kind: "fault" }>): Promise<void> {
    let rest = batch;
    let result: BatchResult = first;
    while (result.kind === "fault") {
      const { set, fault } = result;
      // Other partitions report a rule that is stopped already for the batches they had before they got the smaller set.
      if (this.#mayBlame(set.rules[fault.predicate])) {
        const { hits, failed } = await evaluateSingly(ruleSetFactory(this.#options.backend, this.#options.cacheDirectory), set, rest);
        const before = failed?.record ?? rest.count;
        this.#raise(batchPart(rest, 0, before), { kind: "hits", hits, set });
        if (failed === undefined) return;
        const rule = set.rules[failed.fault.predicate];
        if (rule === undefined) throw failed.fault;
        rest = batchPart(rest, before, rest.count);
        this.#quarantine(rule, rest, 0, failed.fault);
      }
      if (!this.#retryReady) await this.#armWithoutQuarantined();
      result = this.#retry.evaluate(rest);
    }
    this.#raise(rest, result);
  }

  /** Whether a failure blamed on this rule is news; a batch whose failure names no rule may name one record by record. */
  #mayBlame(rule: Rule | undefined): boolean {
    if (rule === undefined) return true;
    const state = this.#states.get(rule.id);
    return state !== undefined && state.quarantineReason === undefined;
  }

  // Batches that a worker still evaluates with the old set are cleaned by #raiseHits; the workers get the smaller set for what follows.
  async #armWithoutQuarantined(): Promise<void> {
    const running = [...this.#states.values()].filter((state) => state.quarantineReason === undefined).map((state) => state.rule);
    const set = armedSet(running, await this.#compile(running), []);
    const plans = await readyPlans(set.plans);
    for (const { commit } of await prepareAll(new Set([this.#retry, ...this.#partitions]), set)) commit();
    this.#loadPlans(plans);
    this.#responding.usePolicies(set.policies);
    this.#retryReady = true;
  }

  #raise(batch: RecordBatch, { hits, set }: Extract<BatchResult, { kind: "hits" }>): void {
    if (batch.count === 0) return;
    const words = hitWords(set.program.predicates.length);
    const ofSet = (predicate: number): Rule => set.rules[predicate] as Rule;
    const lists: HitList[] = [{ words, bits: hits, ruleOf: ofSet, slots: set.slots, user: undefined, fault: undefined }];
    for (const user of this.#userRules.inUse) {
      const { bits, fault } = this.#userRules.evaluate(user, batch);
      const gate = set.gates.get(user.rule.id);
      const open = gate === undefined ? bits : gated(bits, hits, words, gate);
      lists.push({ words: 1, bits: open, ruleOf: () => user.rule, slots: undefined, user, fault });
    }
    this.#sequencing.use(set);
    const sequencing = !this.#sequencing.isIdle;
    for (let record = 0; record < batch.count; record++) {
      if (sequencing) this.#sequencing.begin(batch.bytes, batch.offsets[record] as number);
      this.#responding.begin();
      for (const list of lists) {
        const { user, fault } = list;
        // A rule stopped for its time failed at no record: it stops with the batch's first.
        if (user !== undefined && fault !== undefined && record === (fault.place?.record ?? 0)) {
          this.#quarantine(user.rule, batch, record, fault);
        }
        this.#raiseHits(batch, record, list);
      }
      for (const ruleId of this.#responding.unanswered(() => this.#view.reset(batch.bytes, batch.offsets[record] as number))) {
        this.#raiseActed(ruleId, batch, record);
      }
      if (sequencing) this.#sequencing.end();
    }
  }

  /** Stops a rule at a record with an alert, unless it was stopped before. */
  #quarantine(rule: Rule, batch: RecordBatch, record: number, fault: RuleFault): void {
    const state = this.#states.get(rule.id);
    if (state === undefined || state.quarantineReason !== undefined) return;
    // What failed may be the exceptions of a Lua or Wasm rule: its body stops with them.
    this.#userRules.stop(rule);
    state.quarantineReason = `${fault.kind}: ${fault.message}`;
    this.#retryReady = false;
    this.#demanding.drop(rule.id);
    this.#options.onStopped?.();
    this.#options.log.write("warn", "rule stopped", { rule: rule.id, reason: fault.message });
    this.#view.reset(batch.bytes, batch.offsets[record] as number);
    this.#emit(this.#builder.quarantineAlert(rule, this.#view, state.quarantineReason));
  }

  #raiseHits(batch: RecordBatch, record: number, list: HitList): void {
    const base = record * list.words;
    for (let word = 0; word < list.words; word++) {
      for (let bits = list.bits[base + word] as number; bits !== 0; bits &= bits - 1) {
        const predicate = word * 32 + (31 - Math.clz32(bits & -bits));
        const slot = list.slots?.[predicate] ?? -1;
        if (slot >= 0) {
          this.#sequencing.hit(slot);
          continue;
        }
        const rule = list.ruleOf(predicate);
        const state = this.#states.get(rule.id);
        if (state?.rule !== rule || state.quarantineReason !== undefined || (rule.body.kind !== "eql" && list.user === undefined)) continue;
        this.#view.reset(batch.bytes, batch.offsets[record] as number);
        this.#raiseRule(state, list.user?.evaluator.emission?.(record));
      }
    }
  }

  // The kernel acted by a rule that the record does not match or that has gone, as when a program file was renamed: no act without an alert.
  #raiseActed(ruleId: string, batch: RecordBatch, record: number): void {
    const state = this.#states.get(ruleId);
    this.#actedUnmatched++;
    this.#options.log.write("warn", "the kernel acted by a rule that does not match the event", { rule: ruleId });
    if (state === undefined) return;
    this.#view.reset(batch.bytes, batch.offsets[record] as number);
    this.#raiseRule(state, undefined);
  }

  /** Raises the alert of a rule for the record in view. First the act, then its account. */
  #raiseRule(state: RuleState, emission: Emission | undefined): void {
    state.hits++;
    if (!state.admit(this.#view)) return;
    state.alerts++;
    const response = this.#responding.respond(state.rule, this.#view);
    const alert = this.#builder.ruleAlert(state.rule, this.#view, emission);
    this.#emit(response === undefined ? alert : { ...alert, response });
  }

  #raiseSequence(rule: Rule, records: readonly (Uint8Array | undefined)[]): void {
    const state = this.#states.get(rule.id);
    const last = records.findLast((record) => record !== undefined);
    if (state === undefined || state.quarantineReason !== undefined || last === undefined) return;
    this.#sequenceRaised = true;
    state.hits++;
    if (!state.admit(this.#view.reset(last, 0))) return;
    state.alerts++;
    const response = this.#responding.respond(rule, this.#view);
    const alert = this.#builder.sequenceAlert(rule, records);
    this.#emit(response === undefined ? alert : { ...alert, response });
  }

  #stopSequence(rule: Rule, error: unknown, record: Uint8Array): void {
    if (!(error instanceof RuleFault)) throw error;
    this.#quarantine(rule, { bytes: record, offsets: new Uint32Array(1), length: record.length, count: 1 }, 0, error);
  }

  #emit(alert: Alert): void {
    this.#alerts++;
    this.#raised.push(alert);
  }

  /** Gives what was raised to the sinks, together with the state when it is time to keep that. */
  #deliver(atEnd = false): void {
    const raised = this.#raised;
    const due = this.#keeper !== undefined && (atEnd || this.#keeper.isDue(this.#sequenceRaised));
    if (raised.length === 0 && !due) return;
    this.#raised = [];
    this.#sequenceRaised = false;
    if (due) this.#keeper?.keep(this.#consumed, (kept) => this.#give(raised, kept), atEnd);
    else this.#give(raised, undefined);
  }

  /** False when the sink that keeps state did not. */
  #give(alerts: readonly Alert[], kept: Kept | undefined): boolean {
    let wasKept = true;
    for (const sink of this.#options.sinks) {
      const state = sink.keepsState === true ? kept : undefined;
      if (alerts.length === 0 && state === undefined) continue;
      try {
        sink.take(alerts, state);
      } catch (error) {
        wasKept &&= state === undefined;
        this.#sinkFailures.add(sink.name, alerts.length, error);
      }
    }
    return wasKept;
  }

  /** Gives the sinks an alert that comes from no record: what a live agent says about itself. At once, whatever records are on their way. */
  raise(alert: Alert): void {
    this.#alerts++;
    this.#give([alert], undefined);
  }

  /** Waits until everything pushed so far has been evaluated and its alerts are out. */
  drain(): Promise<void> {
    return this.#bus.drain();
  }

  /**
   * Waits as {@link drain} does, then lets all time pass: what waits for time to pass is decided, what is pending is forgotten. The end of a
   * recording; records that come after it are a stream of their own.
   */
  async finish(): Promise<void> {
    await this.#bus.drain();
    this.#sequencing.finish();
    this.#deliver();
  }

  /** Sends waiting records on their way without waiting. */
  flush(): void {
    this.#bus.flush();
  }

  /** Counters of the bus and of alerts. */
  counters(): BusCounters & { readonly alerts: number; readonly sinkErrors: number; readonly actedUnmatched: number } {
    return { ...this.#bus.counters(), alerts: this.#alerts, sinkErrors: this.#sinkFailures.alerts, actedUnmatched: this.#actedUnmatched };
  }

  /** Figures of the sequences. */
  sequenceMetrics(): SequencerMetrics {
    return this.#sequencing.metrics();
  }

  /** State of one rule that was armed. */
  ruleState(id: string): RuleState | undefined {
    return this.#states.get(id);
  }

  /** State of every armed rule, in rule order. */
  ruleStates(): readonly RuleState[] {
    return [...this.#states.values()];
  }

  /** Drains, then frees evaluators and workers, also when draining fails. Twice is fine. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#arming;
    try {
      await this.#bus.drain();
      this.#deliver(true);
    } finally {
      await Promise.all([...new Set([this.#retry, ...this.#partitions])].map((partition) => partition.close()));
      this.#userRules.close();
    }
  }
}

/** Bits of a one-predicate evaluator, kept only where the rule set's predicate `gate` holds too. */
function gated(bits: Uint32Array, hits: Uint32Array, words: number, gate: number): Uint32Array {
  return bits.map((bit, record) => bit & ((hits[record * words + (gate >>> 5)] as number) >>> (gate & 31)));
}
