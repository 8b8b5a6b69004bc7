// The exec gate of a running agent: stands as soon as the sensors run and a rule needs it, follows the rules, goes with the last of them. Nothing is
// marked and no process started while no rule needs it.
import { resolve } from "node:path";
import type { SensorStatus } from "#api";
import { type Clock, type ExecWitness, type Log, type MetricFamily, messageOf, metric, metricBy } from "#core";
import type { RuleJudge } from "#engine";
import {
  ExecGate,
  type ExecGateOptions,
  type Gate,
  type GateAccount,
  type GateFail,
  type ProtectedProgram,
  type Protection,
} from "#respond";
import type { Rule } from "#rules";
import { type Arguments, usageError } from "./arguments.ts";
import { GATEKEEPER, ownCommand } from "./own-command.ts";

/** What people choose. */
export interface GateSettings {
  readonly fail: GateFail;
  readonly deadlineMs: number;
  /** Mounts to stand on; undefined: all; empty: none. */
  readonly mounts: readonly string[] | undefined;
}

/** What a {@link LiveGate} is made of. */
export interface LiveGateParts {
  readonly witness: ExecWitness;
  /** Makes a judge of these rules; undefined: none needs the gate. */
  readonly judge: (rules: readonly Rule[]) => Promise<RuleJudge | undefined>;
  readonly protection: Protection;
  readonly programs: readonly ProtectedProgram[];
  readonly clock: Clock;
  readonly log: Log;
  readonly modeOf: ExecGateOptions["modeOf"];
}

const DEADLINE_MS = 500;
const DEADLINE = { least: 10, most: 60_000 };
const NOWHERE = "none";

/** The gate's flags. */
export function gateSettings(args: Arguments): GateSettings {
  const fail = args.text("gate-fail") ?? "open";
  if (fail !== "open" && fail !== "closed") throw usageError(`Flag "--gate-fail" needs open or closed, not "${fail}"`);
  const mounts = args.texts("gate-mount");
  if (mounts.length > 1 && mounts.includes(NOWHERE))
    throw usageError(`"--gate-mount ${NOWHERE}" and "--gate-mount PATH" contradict each other`);
  for (const path of mounts) {
    if (path !== NOWHERE && !path.startsWith("/"))
      throw usageError(`Flag "--gate-mount" needs the path of a mount, or ${NOWHERE}, not "${path}"`);
  }
  return {
    fail,
    deadlineMs: args.number("gate-deadline", DEADLINE_MS, DEADLINE),
    mounts: mounts.length === 0 ? undefined : mounts.filter((path) => path !== NOWHERE).map((path) => resolve(path)),
  };
}

/** See the head of this file. */
export class LiveGate implements Gate {
  readonly #gate: ExecGate;
  readonly #parts: LiveGateParts;
  readonly #isNowhere: boolean;
  #rules: readonly Rule[] = [];
  #judge: RuleJudge | undefined;
  #isStarted = false;
  #isClosed = false;
  /** One change after another. */
  #changing: Promise<void> = Promise.resolve();

  constructor({ fail, deadlineMs, mounts }: GateSettings, parts: LiveGateParts) {
    const { witness, protection, programs, clock, log, modeOf } = parts;
    this.#parts = parts;
    this.#isNowhere = mounts?.length === 0;
    const config = { agentPid: process.pid, fail, deadlineMs, mounts, programs };
    this.#gate = new ExecGate({ command: ownCommand(GATEKEEPER), config, witness, protection, clock, log, modeOf });
  }

  /** {@inheritDoc Gate.take} */
  take(ruleId: string, entityId: string): GateAccount | undefined {
    return this.#gate.take(ruleId, entityId);
  }

  /** Takes the rules in effect; with the sensors running, they count when it resolves. */
  arm(rules: readonly Rule[]): Promise<void> {
    this.#rules = rules;
    return this.#change();
  }

  /** The sensors run: from now on programs may be held. */
  start(): Promise<void> {
    this.#isStarted = true;
    return this.#change();
  }

  #change(): Promise<void> {
    const changed = this.#changing.then(() => this.#apply());
    this.#changing = changed.catch(() => undefined);
    return changed;
  }

  async #apply(): Promise<void> {
    if (!this.#isStarted || this.#isClosed || this.#isNowhere) return;
    const before = this.#judge;
    this.#judge = undefined;
    try {
      this.#judge = await this.#parts.judge(this.#rules);
    } catch (error) {
      this.#parts.log.write("error", "the rules that deny could not be compiled; no program is held", { reason: messageOf(error) });
    }
    await this.#gate.use(this.#judge);
    before?.close();
    const { state, mounts } = this.#gate.status;
    if (before === undefined && state === "on")
      this.#parts.log.write("info", "programs are held at the gate", { mounts: mounts.join(" ") });
  }

  /** Why no program is held whatever the rules ask; undefined: they may be. */
  get whyOff(): string | undefined {
    return this.#isNowhere ? `no program is held with --gate-mount ${NOWHERE}` : undefined;
  }

  /** Lets go of every program. Twice is fine. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#changing;
    await this.#gate.close();
    this.#judge?.close();
    this.#judge = undefined;
  }

  /** The gate as a line among the sensors; nothing while no rule needs it. */
  statuses(): readonly SensorStatus[] {
    const { state, reason, mounts } = this.#gate.status;
    if (state === "off") return [];
    const isOn = state === "on";
    return [{ name: "gate", state: isOn ? "on" : "off", attachment: isOn ? `fanotify on ${mounts.join(" ")}` : "", reason }];
  }

  /** Its figures. */
  families(): readonly MetricFamily[] {
    const { cached, exempt, allowed, denied, late, unasked, asked, known, waitedNs, waitedMaxNs, restarts, deniedUndecided } =
      this.#gate.counts;
    const asks = { type: "counter", name: "kestrel_gate_programs_total", help: "Files that were held, by what became of them" } as const;
    return [
      metricBy(asks, "result", { cached, exempt, allowed, denied, unasked }),
      metric("counter", "kestrel_gate_asked_total", "Files the rules were asked about before they ran", asked),
      metric("counter", "kestrel_gate_late_total", "Questions that were not answered before the deadline", late),
      metric(
        "counter",
        "kestrel_gate_denied_undecided_total",
        "Files denied without a verdict, because the gate fails closed",
        deniedUndecided,
      ),
      metric("counter", "kestrel_gate_waited_seconds_total", "Time files waited for a verdict", waitedNs / 1e9),
      metric("gauge", "kestrel_gate_waited_max_seconds", "Longest wait for a verdict", waitedMaxNs / 1e9),
      metric("gauge", "kestrel_gate_clear_files", "Files known to concern no rule", known),
      metric("counter", "kestrel_gate_restarts_total", "Gatekeepers that were lost and replaced", restarts),
    ];
  }
}
