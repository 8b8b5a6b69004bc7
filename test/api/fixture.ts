// An agent and an alert store in memory behind the room's ports, and the API over them with every answer checked against the contract.
import {
  type AgentPort,
  type AgentStatus,
  type AlertFilter,
  type AlertReader,
  type Api,
  createApi,
  type IsolationPort,
  type IsolationRequest,
  type IsolationStatus,
  type RuleCheck,
  type RuleDetail,
  type StoredAlert,
} from "#api";
import { type Alert, encodeAlert, type Json, MockClock, stringifyJson } from "#core";
import { type Diagnostic, SEVERITIES } from "#schema";

export const TOKEN: string = "f".repeat(64);
const START_NS: bigint = 1_780_000_000_000_000_000n;

/** An alert with a given position in its id, so that tests can name it. */
export function makeAlert(number: number, changes: Partial<Alert> = {}): Alert {
  return {
    id: number.toString(16).padStart(32, "0"),
    kind: "rule",
    timeNs: START_NS + BigInt(number) * 1_000_000_007n,
    seq: BigInt(number),
    ruleId: "kestrel.exec-from-shm",
    ruleName: "Program run from shared memory",
    severity: "high",
    tags: ["attack.execution", "attack.t1059.004"],
    message: "x was run from /dev/shm",
    captures: {},
    events: [processEvent({ command: "/dev/shm/x", executable: "/dev/shm/x", user: "root", pid: 4000 + number })],
    ancestry: [
      { pid: 812, name: "bash", executable: "/usr/bin/bash" },
      { pid: 640, name: "sshd", executable: "/usr/sbin/sshd" },
      { pid: 1, name: "systemd", executable: "/usr/lib/systemd/systemd" },
    ],
    ...changes,
  };
}

export interface ProcessFacts {
  readonly command: string;
  readonly executable: string;
  readonly user: string;
  readonly pid: number;
}

/** A process event as ECS JSON. */
export function processEvent({ command, executable, user, pid }: ProcessFacts): { readonly [key: string]: Json } {
  return {
    "@timestamp": "2026-05-28T20:26:40.000Z",
    event: { category: ["process"], type: ["start"], action: "exec" },
    host: { name: "web-3" },
    user: { name: user, id: user === "root" ? "0" : "1000" },
    process: {
      pid,
      entity_id: `${pid}-9007199254740993`,
      start: 9_007_199_254_740_993n,
      name: executable.split("/").at(-1) ?? executable,
      executable,
      command_line: command,
      args: command.split(" "),
      working_directory: "/root",
      parent: { pid: 812, name: "bash", executable: "/usr/bin/bash" },
    },
  };
}

/** Alerts in memory, with the filters of the port. */
export class MemoryAlerts implements AlertReader {
  readonly stored: StoredAlert[] = [];
  readonly #alerts: Alert[] = [];
  readonly #listeners = new Set<(alert: StoredAlert) => void>();

  add(alert: Alert): StoredAlert {
    const stored = { position: this.stored.length + 1, json: stringifyJson(encodeAlert(alert)) };
    this.stored.push(stored);
    this.#alerts.push(alert);
    for (const listener of [...this.#listeners]) listener(stored);
    return stored;
  }

  get listenerCount(): number {
    return this.#listeners.size;
  }

  list(filter: AlertFilter, page: { readonly before?: number; readonly limit: number }): readonly StoredAlert[] {
    const before = page.before ?? Number.POSITIVE_INFINITY;
    const least = filter.severityMin === undefined ? 0 : SEVERITIES.indexOf(filter.severityMin);
    return this.stored
      .filter(({ position, json }) => {
        const alert = this.#alerts[position - 1]!;
        if (position >= before || SEVERITIES.indexOf(alert.severity) < least) return false;
        if (filter.ruleId !== undefined && alert.ruleId !== filter.ruleId) return false;
        if (filter.sinceNs !== undefined && alert.timeNs < filter.sinceNs) return false;
        if (filter.untilNs !== undefined && alert.timeNs > filter.untilNs) return false;
        return filter.text === undefined || json.toLowerCase().includes(filter.text.toLowerCase());
      })
      .reverse()
      .slice(0, page.limit);
  }

  after(position: number, limit: number): readonly StoredAlert[] {
    return this.stored.slice(position, position + limit);
  }

  get(alertId: string): StoredAlert | undefined {
    return this.stored[this.#alerts.findIndex((alert) => alert.id === alertId)];
  }

  latestPosition(): number {
    return this.stored.length;
  }

  subscribe(listener: (alert: StoredAlert) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

const SPAN = { from: 0, to: 3, line: 2, column: 5 };
const BAD: Diagnostic = {
  severity: "error",
  code: "unknown-field",
  message: 'Unknown field "process.nam", did you mean "process.name"?',
  span: SPAN,
};

/** An agent whose rule language is "id: NAME" on the first line; a text with `bad` in it does not compile. */
export class MemoryAgent implements AgentPort {
  readonly held: Map<string, RuleDetail> = new Map();
  state: AgentStatus["state"] = "armed";
  failWith: Error | undefined;
  findings: readonly string[] = [];
  readonly dropped: Record<string, number> = {};

  status(): AgentStatus {
    if (this.failWith !== undefined) throw this.failWith;
    return {
      version: "0.1.0",
      hostName: "web-3",
      state: this.state,
      startedNs: START_NS,
      rules: { armed: 28, disabled: 2, quarantined: 1, invalid: 0 },
      eventsProduced: 182_340,
      eventsEvaluated: 182_340,
      eventsDropped: this.dropped,
      eventsFiltered: { "no-rule": 11 },
      eventsPerSecond: 42.6,
      alertCount: 17,
      memoryBytes: 58_000_000,
      self: [{ name: "tracer", title: "The agent is being traced", findings: this.findings, count: this.findings.length }],
      records: [{ kind: "file", produced: 100, dropped: 3, filtered: 11 }],
      sensors: [
        { name: "exec", state: "on", attachment: "raw_tp/sched_process_exec", reason: "" },
        { name: "connect", state: "fallback", attachment: "tp/syscalls/sys_exit_connect", reason: "fentry was refused: EPERM" },
      ],
    };
  }

  rules(): readonly RuleDetail[] {
    return [...this.held.values()];
  }

  rule(id: string): RuleDetail | undefined {
    return this.held.get(id);
  }

  async validateRule({ text }: { readonly text: string }): Promise<RuleCheck> {
    const id = /^id: (\S+)/.exec(text)?.[1];
    const diagnostics = text.includes("bad") ? [BAD] : [];
    return { ok: diagnostics.length === 0, diagnostics, ...(id === undefined ? {} : { id }) };
  }

  async putRule(id: string, rule: { readonly format: RuleDetail["format"]; readonly text: string }): Promise<RuleCheck> {
    const check = await this.validateRule(rule);
    await Promise.resolve();
    if (check.ok) this.hold({ id, ...rule });
    return check;
  }

  hold(rule: Partial<RuleDetail> & { readonly id: string }): void {
    this.held.set(rule.id, {
      name: `Rule ${rule.id}`,
      description: "",
      severity: "high",
      tags: [],
      references: [],
      state: "armed",
      stateReason: "",
      origin: "api",
      action: "alert",
      scope: "process",
      mode: "monitor",
      modeOfText: "monitor",
      alertCount: 0,
      format: "yaml",
      text: `id: ${rule.id}`,
      diagnostics: [],
      ...rule,
    });
  }

  async deleteRule(id: string): Promise<void> {
    this.held.delete(id);
  }

  setMode(id: string, mode: "monitor" | "enforce" | undefined): void {
    const rule = this.held.get(id);
    if (rule !== undefined) this.held.set(id, { ...rule, mode: mode ?? rule.modeOfText });
  }

  metrics(): ReturnType<AgentPort["metrics"]> {
    return [
      {
        name: "kestrel_events_total",
        type: "counter",
        help: "Events by source.",
        samples: [{ labels: { source: 'a"b\\c\nd' }, value: 3 }],
      },
    ];
  }
}

/** A switch that isolates nothing and notes who asked. */
export class MemoryIsolation implements IsolationPort {
  readonly asked: string[] = [];
  failWith: Error | undefined;
  held: IsolationRequest | undefined;

  status(): IsolationStatus {
    const { allow = [], clients = [], whenAgentStops = "keep" } = this.held ?? {};
    const on = this.held !== undefined;
    return {
      state: on ? "on" : "off",
      reason: "",
      scope: "machine",
      allow,
      clients,
      whenAgentStops,
      sinceNs: on ? START_NS : undefined,
      askedBy: on ? (this.asked.at(-1)?.split(" ")[1] ?? "") : "",
      pinnedAt: on ? "/sys/fs/bpf/kestrel/isolation-1" : undefined,
      liftByHand: on ? "rm -r /sys/fs/bpf/kestrel/isolation-1" : undefined,
      egress: { packets: on ? 12 : 0, bytes: on ? 900 : 0 },
      ingress: { packets: 0, bytes: 0 },
    };
  }

  isolate(request: IsolationRequest, caller: string): void {
    if (this.failWith !== undefined) throw this.failWith;
    this.asked.push(`isolate ${caller}`);
    this.held = request;
  }

  lift(caller: string): void {
    this.asked.push(`lift ${caller}`);
    this.held = undefined;
  }
}

/** The API, what is behind it, and a way to ask it. */
export interface TestApi {
  readonly agent: MemoryAgent;
  readonly alerts: MemoryAlerts;
  readonly isolation: MemoryIsolation;
  readonly clock: MockClock;
  readonly logged: string[];
  readonly api: Api;
  ask(path: string, init?: RequestInit): Promise<Response>;
}

/** The API over memory. `ask` carries the token unless told otherwise. */
export function makeApi(options: { readonly token?: string | undefined; readonly loopbackOnly?: boolean } = {}): TestApi {
  const agent = new MemoryAgent();
  const alerts = new MemoryAlerts();
  const isolation = new MemoryIsolation();
  const clock = new MockClock(START_NS);
  const logged: string[] = [];
  const token = "token" in options ? options.token : TOKEN;
  const api = createApi({
    agent,
    alerts,
    isolation,
    clock,
    token,
    loopbackOnly: options.loopbackOnly ?? true,
    log: { write: (level, message, values) => logged.push(`${level} ${message} ${JSON.stringify(values)}`) },
    validateResponses: true,
  });
  const ask = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers);
    if (!headers.has("authorization")) headers.set("authorization", `Bearer ${TOKEN}`);
    return api.app.request(path, { ...init, headers }, { caller: "192.0.2.7" });
  };
  return { agent, alerts, isolation, clock, logged, api, ask };
}
