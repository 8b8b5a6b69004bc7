// The running agent as the API sees it: status, rules, metrics. Ties rule book, engine, store and sources together; starts and stops nothing.
import { hostname } from "node:os";
import type { AgentPort, AgentStatus, RuleCheck, RuleDetail, RuleState, RuleSummary, RuleText, SensorStatus } from "#api";
import { type Clock, KestrelError, type LossCounts, type MetricFamily, metric, metricBy } from "#core";
import { type ArmResult, type CompiledRules, checkUserRule, type Engine } from "#engine";
import type { Rule } from "#rules";
import type { Diagnostic, SchemaRegistry } from "#schema";
import type { WatchStatus } from "#self";
import type { Store } from "#store";
import type { LiveGate } from "./live-gate.ts";
import type { ResponseModes } from "./response-modes.ts";
import { type BookEntry, enabledRules, uploadedEntry } from "./rule-book.ts";
import { sensorFamilies } from "./sensor-families.ts";
import { sequenceFamilies } from "./sequence-families.ts";
import type { Shortfalls } from "./shortfalls.ts";
import { VERSION } from "./version.ts";

/** What the sensors did about the files of programs. */
export interface FileCounts {
  readonly held: number;
  readonly heldTooLong: number;
  readonly byResult: Readonly<Record<string, number>>;
  /** Readers of these files that a filesystem holds which does not answer, and how often one did not. */
  readonly stuck: number;
  readonly silences: number;
}

/** What the agent is made of. */
export interface AgentParts {
  readonly registry: SchemaRegistry;
  readonly clock: Clock;
  readonly engine: Engine;
  readonly store: Store;
  readonly entries: readonly BookEntry[];
  readonly modes: ResponseModes;
  readonly gate: LiveGate;
  readonly shortfalls: Shortfalls;
  /** Records the sources tried to send. */
  readonly produced: () => number;
  /** Records the sensors lost before the bus, by cause. */
  readonly sensorLosses: () => LossCounts;
  /** Records the sensors left out because no armed rule can match them, by where. */
  readonly filtered: () => LossCounts;
  /** Pieces of long command lines the sensors lost; their events came. */
  readonly piecesLost: () => number;
  /** Execs that waited for their file to be read, and files read or not, by result. */
  readonly files: () => FileCounts;
  /** Told which rules are armed, and what decides how far the actions of those that have one reach. */
  readonly onRules: (rules: readonly Rule[], reach: ArmResult["reach"]) => void;
  /** Resolves when the sensors have followed the rules that were armed last. */
  readonly sensorsSettled: () => Promise<void>;
  readonly sensors: () => readonly SensorStatus[];
  readonly records: () => AgentStatus["records"];
  /** How the agent's watches over itself stand. */
  readonly self: () => readonly WatchStatus[];
  /** Has the sensors do without hooks in functions. */
  readonly fallBack: () => void;
  /** Figures of what works beside the engine. */
  readonly moreMetrics: () => readonly MetricFamily[];
  /** Told that modes have changed. */
  readonly modesChanged: () => void;
  /** Whether a rule's denials of programs come in the kernel: then the gate need not hold them. */
  readonly deniesPrograms: (ruleId: string) => boolean;
}

const RATE_WINDOW_MS = 2000;

/** See the head of this file. */
export class Agent implements AgentPort {
  readonly #parts: AgentParts;
  readonly #entries: Map<string, BookEntry>;
  readonly #startedNs: bigint;
  #problems = new Map<string, readonly Diagnostic[]>();
  #state: AgentStatus["state"] = "starting";
  #rate = { atMs: performance.now(), evaluated: 0, perSecond: 0 };

  constructor(parts: AgentParts) {
    this.#parts = parts;
    this.#entries = new Map(parts.entries.map((entry) => [entry.id, entry]));
    this.#startedNs = parts.clock.nowNs();
  }

  /** Swaps in all rules of the book; `compiled` is their program when there is one already. */
  async arm(compiled?: CompiledRules): Promise<ArmResult> {
    const rules = enabledRules([...this.#entries.values()]);
    const result = await this.#parts.engine.arm(rules, compiled);
    this.#problems = new Map(result.problems.map((problem) => [problem.ruleId, problem.diagnostics]));
    this.#state = "armed";
    this.#parts.onRules(rules, result.reach);
    await this.#followSensors();
    this.#parts.shortfalls.use(rules, result.reach);
    return result;
  }

  /** Goes on without hooks in functions: sensors, denials and the gate, which holds what the kernel denies no more. */
  async fallBack(): Promise<void> {
    this.#parts.fallBack();
    await this.#followSensors();
    this.#parts.shortfalls.askAgain();
  }

  async #followSensors(): Promise<void> {
    await this.#parts.sensorsSettled();
    await this.#armGate();
  }

  /** Starts the gate, when it is known what the kernel denies: that it need not hold. */
  async startGate(): Promise<void> {
    await this.#armGate();
    await this.#parts.gate.start();
  }

  async #armGate(): Promise<void> {
    const rules = enabledRules([...this.#entries.values()]);
    await this.#parts.gate.arm(rules.filter(({ id }) => !this.#problems.has(id) && !this.#parts.deniesPrograms(id)));
  }

  /** Says in status that the agent is stopping. */
  markDraining(): void {
    this.#state = "draining";
  }

  status(): AgentStatus {
    const counters = this.#parts.engine.counters();
    const losses = this.#losses();
    const rules = { armed: 0, disabled: 0, quarantined: 0, invalid: 0 };
    for (const entry of this.#entries.values()) rules[this.#stateOf(entry).state]++;
    return {
      version: VERSION,
      hostName: hostname(),
      state: this.#state,
      startedNs: this.#startedNs,
      rules,
      eventsProduced: this.#parts.produced(),
      eventsEvaluated: counters.evaluated,
      eventsDropped: losses,
      eventsFiltered: this.#parts.filtered(),
      eventsPerSecond: this.#eventsPerSecond(counters.evaluated),
      alertCount: counters.alerts,
      memoryBytes: process.memoryUsage.rss(),
      sensors: this.#parts.sensors(),
      records: this.#parts.records(),
      self: this.#parts.self(),
    };
  }

  // Status may be asked several times a second by several pages; a window keeps the figure steady.
  #eventsPerSecond(evaluated: number): number {
    const nowMs = performance.now();
    const passedMs = nowMs - this.#rate.atMs;
    if (passedMs >= RATE_WINDOW_MS) {
      this.#rate = { atMs: nowMs, evaluated, perSecond: Math.round(((evaluated - this.#rate.evaluated) * 1000) / passedMs) };
    }
    return this.#rate.perSecond;
  }

  #losses(): Readonly<Record<string, number>> {
    const { dropped } = this.#parts.engine.counters();
    return { ...this.#parts.sensorLosses(), "queue-full": dropped };
  }

  rules(): readonly RuleSummary[] {
    return [...this.#entries.values()].map((entry) => this.#summary(entry));
  }

  rule(id: string): RuleDetail | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    const diagnostics = [...entry.diagnostics, ...(this.#problems.get(id) ?? []), ...this.#parts.shortfalls.diagnostics(id)];
    return { ...this.#summary(entry), format: entry.format, text: entry.text, diagnostics };
  }

  #summary(entry: BookEntry): RuleSummary {
    const { rule } = entry;
    return {
      id: entry.id,
      name: rule?.name ?? entry.id,
      description: rule?.description ?? "",
      severity: rule?.severity ?? "low",
      tags: rule?.tags ?? [],
      references: rule?.references ?? [],
      ...this.#stateOf(entry),
      origin: entry.origin,
      action: rule?.action ?? "alert",
      scope: rule?.scope ?? "process",
      mode: this.#parts.modes.given(entry.id) ?? rule?.mode ?? "monitor",
      modeOfText: rule?.mode ?? "monitor",
      alertCount: this.#parts.engine.ruleState(entry.id)?.alerts ?? 0,
    };
  }

  #stateOf(entry: BookEntry): { readonly state: RuleState; readonly stateReason: string } {
    const problem = entry.rule === null ? entry.diagnostics : this.#problems.get(entry.id);
    const first = problem?.find((diagnostic) => diagnostic.severity === "error");
    if (entry.rule === null || first !== undefined) return { state: "invalid", stateReason: first?.message ?? "The rule has errors" };
    if (!entry.rule.enabled) return { state: "disabled", stateReason: 'The rule says "enabled: false"' };
    const reason = this.#parts.engine.ruleState(entry.id)?.quarantineReason;
    return reason === undefined ? { state: "armed", stateReason: "" } : { state: "quarantined", stateReason: reason };
  }

  async validateRule(text: RuleText): Promise<RuleCheck> {
    const { entry, diagnostics } = await this.#check(null, text);
    return { ok: isOk(entry, diagnostics), ...(entry.rule === null ? {} : { id: entry.rule.id }), diagnostics };
  }

  async putRule(id: string, text: RuleText): Promise<RuleCheck> {
    const { entry, diagnostics } = await this.#check(id, text);
    if (!isOk(entry, diagnostics)) return { ok: false, diagnostics };
    this.#parts.store.putRule({ id, format: text.format, text: text.text });
    this.#entries.set(id, entry);
    // The text is the newest word on the mode. Before it is armed, so that a rule which says monitor is never enforced.
    this.#parts.modes.give(id, undefined);
    await this.arm();
    return { ok: true, id, diagnostics };
  }

  async #check(id: string | null, text: RuleText): Promise<{ readonly entry: BookEntry; readonly diagnostics: readonly Diagnostic[] }> {
    const entry = await uploadedEntry(id, text, this.#parts.registry);
    const more = entry.rule === null ? [] : await checkUserRule(entry.rule, this.#parts.registry);
    return { entry, diagnostics: [...entry.diagnostics, ...more] };
  }

  async deleteRule(id: string): Promise<void> {
    if (this.#entries.get(id)?.origin !== "api") throw new KestrelError("rule-not-uploaded", `Rule "${id}" was not uploaded`);
    this.#parts.store.deleteRule(id);
    this.#entries.delete(id);
    await this.arm();
    this.#parts.modes.give(id, undefined);
  }

  setMode(id: string, mode: "monitor" | "enforce" | undefined): void {
    this.#parts.modes.give(id, mode);
    this.#parts.modesChanged();
    this.#parts.shortfalls.say();
  }

  metrics(): readonly MetricFamily[] {
    const counters = this.#parts.engine.counters();
    const status = this.status();
    const files = this.#parts.files();
    const perRule = (value: (state: ReturnType<Engine["ruleStates"]>[number]) => number): Record<string, number> =>
      Object.fromEntries(this.#parts.engine.ruleStates().map((state) => [state.rule.id, value(state)]));
    return [
      metric("counter", "kestrel_events_produced_total", "Events the sources produced", status.eventsProduced),
      metric("counter", "kestrel_events_evaluated_total", "Events evaluated by the rules", counters.evaluated),
      metricBy({ type: "counter", name: "kestrel_events_dropped_total", help: "Events lost, by cause" }, "cause", this.#losses()),
      metricBy(
        { type: "counter", name: "kestrel_events_filtered_total", help: "Events left out because no rule can match them, by where" },
        "cause",
        status.eventsFiltered,
      ),
      ...sensorFamilies(status),
      metric("counter", "kestrel_argument_pieces_lost_total", "Lost pieces of arguments, whose events end early", this.#parts.piecesLost()),
      metric("counter", "kestrel_execs_held_total", "Starts of programs that waited for their file to be read", files.held),
      metric("counter", "kestrel_execs_held_too_long_total", "Of these, those let go before it was", files.heldTooLong),
      metricBy(
        { type: "counter", name: "kestrel_program_files_total", help: "Files of programs, read or why not" },
        "result",
        files.byResult,
      ),
      metric("gauge", "kestrel_file_readers_stuck", "Readers of these files held by filesystems that do not answer", files.stuck),
      metric("counter", "kestrel_silent_filesystems_total", "Times a filesystem did not answer such a reader", files.silences),
      metric("gauge", "kestrel_events_waiting", "Events on their way to the rules", counters.waiting),
      metric("counter", "kestrel_blocked_seconds_total", "Time sources waited for room", counters.blockedMs / 1000),
      metric("counter", "kestrel_alerts_total", "Alerts raised", counters.alerts),
      metric("counter", "kestrel_alert_sink_errors_total", "Alerts a sink could not take", counters.sinkErrors),
      metricBy({ type: "gauge", name: "kestrel_rules", help: "Rules by state" }, "state", status.rules),
      metricBy(
        { type: "counter", name: "kestrel_rule_hits_total", help: "Events a rule matched" },
        "rule",
        perRule((state) => state.hits),
      ),
      metricBy(
        { type: "counter", name: "kestrel_rule_alerts_total", help: "Alerts of a rule" },
        "rule",
        perRule((state) => state.alerts),
      ),
      metricBy(
        { type: "counter", name: "kestrel_rule_suppressed_total", help: "Alerts held back by a throttle" },
        "rule",
        perRule((state) => state.suppressed),
      ),
      metric("counter", "kestrel_policy_unmatched_total", "Acts of the kernel by rules their events do not match", counters.actedUnmatched),
      ...sequenceFamilies(this.#parts.engine.sequenceMetrics()),
      ...this.#parts.moreMetrics(),
      metric("gauge", "kestrel_memory_bytes", "Resident memory", status.memoryBytes),
      { name: "kestrel_info", type: "gauge", help: "Version of this agent", samples: [{ labels: { version: VERSION }, value: 1 }] },
    ];
  }
}

function isOk(entry: BookEntry, diagnostics: readonly Diagnostic[]): boolean {
  return entry.rule !== null && diagnostics.every((diagnostic) => diagnostic.severity !== "error");
}
