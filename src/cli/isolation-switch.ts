// The switch of the machine's isolation: what operators ask for, written down so that a restart keeps it, said in an alert each time, and put
// in force by the respond room. Invariant: cutting comes first, words after; what cannot be written down is in force all the same, and said.
import { networkInterfaces } from "node:os";
import { type IsolationPort, type IsolationRequest, type IsolationStatus, isLoopback } from "#api";
import { type AgentNotice, type Clock, KestrelError, type Log, type MetricFamily, messageOf, metric, metricBy } from "#core";
import { type AllowedNetwork, type HostIsolation, holds, parseAllowed } from "#respond";
import type { Store } from "#store";

/** What a switch is made of. */
export interface IsolationParts {
  /** Undefined where there is nothing to isolate with. */
  readonly isolation: Pick<HostIsolation, "apply" | "lift" | "state" | "byHand" | "close"> | undefined;
  readonly store: Pick<Store, "setting" | "setSetting">;
  readonly raise: (notice: AgentNotice) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** What was asked for, as it is kept. */
interface Wish {
  readonly allow: readonly string[];
  readonly clients: readonly string[];
  readonly whenAgentStops: "keep" | "lift";
  readonly sinceNs: bigint;
  readonly askedBy: string;
}

const SETTING = "isolation";
const RULE = "kestrel.self.isolation";
const TAGS: readonly string[] = [];
const NOTHING = { packets: 0, bytes: 0 };
const NO_CGROUP = "Isolation needs cgroup v2, which is not mounted";

/** See the head of this file. */
export class IsolationSwitch implements IsolationPort {
  readonly #parts: IsolationParts;
  #api = { host: "127.0.0.1", port: 0 };
  #wish: Wish | undefined;
  /** Why what is wanted is not in force, or not written down; empty when all is well. */
  #trouble = "";

  constructor(parts: IsolationParts) {
    this.#parts = parts;
    this.#wish = readWish(parts.store.setting(SETTING));
  }

  /** Puts in force again what an earlier run was asked for. `api`: where this agent's API listens. */
  resume(api: { readonly host: string; readonly port: number }): void {
    this.#api = api;
    const { log, isolation } = this.#parts;
    if (this.#wish === undefined) {
      if (isolation?.state().isFound === true)
        log.write("warn", "this machine is isolated by an earlier agent, of which nothing is written down; kestrel isolate off lifts it");
      return;
    }
    const { allow, clients, whenAgentStops } = this.#wish;
    try {
      this.#put({ allow, clients, whenAgentStops });
      log.write("warn", "this machine is isolated from the network, as asked before; kestrel isolate off lifts it", {
        by: this.#wish.askedBy,
      });
    } catch (error) {
      this.#trouble = messageOf(error);
      log.write("error", "this machine is NOT isolated, though it was asked for", { reason: this.#trouble });
      this.#say("critical", `The machine is not isolated, though it was asked for before: ${this.#trouble}`, {});
    }
  }

  /** {@inheritDoc IsolationPort.isolate} */
  isolate(request: IsolationRequest, caller: string): void {
    const { clock, store, log } = this.#parts;
    const startNs = clock.nowNs();
    if (request.clients.length > 0 && isLoopback(this.#api.host)) {
      const what = `The API listens on ${this.#api.host} only, so that nobody elsewhere can be its client`;
      throw new KestrelError("no-remote-clients", `${what}: leave the clients out, or start the agent with --listen ADDRESS:PORT`);
    }
    if (!request.cutCaller) this.#refuseToCut(caller, request);
    this.#put(request);
    const { allow, clients, whenAgentStops } = request;
    this.#wish = { allow, clients, whenAgentStops, sinceNs: startNs, askedBy: caller };
    this.#trouble = "";
    try {
      store.setSetting(SETTING, textOf(this.#wish));
    } catch (error) {
      this.#trouble = `It is not written down, so a restart of the machine ends it: ${messageOf(error)}`;
      log.write("error", "the isolation could not be written down", { reason: messageOf(error) });
    }
    const whom = [...allow, ...clients.map((client) => `${client} (API only)`)].join(", ") || "nobody";
    this.#say("high", `The machine was isolated from the network, asked for by ${caller || "a local client"}; allowed: ${whom}`, {
      "client.ip": caller,
      "kestrel.isolation.allow": allow,
      "kestrel.isolation.clients": clients,
      "kestrel.isolation.when_agent_stops": whenAgentStops,
      "kestrel.isolation.latency_ns": clock.nowNs() - startNs,
    });
  }

  /** {@inheritDoc IsolationPort.lift} */
  lift(caller: string): void {
    const { isolation, clock, store } = this.#parts;
    const startNs = clock.nowNs();
    const { egress = NOTHING, ingress = NOTHING } = isolation?.state() ?? {};
    const was = isolation?.lift() ?? false;
    if (!was && this.#wish === undefined) return;
    this.#wish = undefined;
    this.#trouble = "";
    this.#say("high", `The machine's isolation from the network was lifted, asked for by ${caller || "a local client"}`, {
      "client.ip": caller,
      "kestrel.isolation.packets_dropped": egress.packets + ingress.packets,
      "kestrel.isolation.latency_ns": clock.nowNs() - startNs,
    });
    store.setSetting(SETTING, undefined);
  }

  /** {@inheritDoc IsolationPort.status} */
  status(): IsolationStatus {
    const { isolation } = this.#parts;
    const { allow = [], clients = [], whenAgentStops = "keep", sinceNs, askedBy = "" } = this.#wish ?? {};
    const state = isolation?.state();
    const wanted = { allow, clients, whenAgentStops, sinceNs, askedBy };
    if (state === undefined || isolation === undefined) {
      const nothing = { pinnedAt: undefined, liftByHand: undefined, egress: NOTHING, ingress: NOTHING };
      return { state: "unavailable", reason: NO_CGROUP, scope: "machine", ...wanted, ...nothing };
    }
    return {
      state: state.on ? "on" : this.#wish === undefined ? "off" : "failed",
      reason: reasonOf(state, this.#wish !== undefined, this.#trouble),
      scope: state.isWholeMachine ? "machine" : "group",
      ...wanted,
      pinnedAt: state.pinnedAt,
      liftByHand: state.pinnedAt === undefined ? undefined : isolation.byHand(),
      egress: state.egress,
      ingress: state.ingress,
    };
  }

  /** Figures for `/metrics`. */
  metrics(): readonly MetricFamily[] {
    const { state, egress, ingress } = this.status();
    const help = "Packets that the isolation did not let through";
    const dropped = { egress: egress.packets, ingress: ingress.packets };
    return [
      metric("gauge", "kestrel_isolated", "Whether the machine is isolated from the network", state === "on" ? 1 : 0),
      metricBy({ type: "counter", name: "kestrel_isolation_dropped_packets_total", help }, "direction", dropped),
    ];
  }

  /** Lets go as the wish says: what is to be kept stays in force. */
  close(): void {
    this.#parts.isolation?.close();
  }

  #put({ allow, clients, whenAgentStops }: Pick<Wish, "allow" | "clients" | "whenAgentStops">): void {
    const { isolation } = this.#parts;
    if (isolation === undefined) throw new KestrelError("cannot-isolate", `${NO_CGROUP}: mount it and start the agent again`);
    isolation.apply({ allow: this.#networks({ allow, clients }), whenAgentStops });
  }

  #networks({ allow, clients }: Pick<Wish, "allow" | "clients">): readonly AllowedNetwork[] {
    return [...allow.map(parseAllowed), ...clients.map((client) => ({ network: parseClient(client), ownPort: this.#api.port }))];
  }

  /** An operator who isolates a machine from afar would lose it with the answer to this very request. */
  #refuseToCut(caller: string, request: IsolationRequest): void {
    if (caller === "" || isOwnAddress(caller)) return;
    const networks = this.#networks(request);
    const passes = ({ network, port, ownPort }: AllowedNetwork): boolean =>
      holds(network, caller) && port === undefined && (ownPort === undefined || ownPort === this.#api.port);
    if (networks.some(passes)) return;
    const wayOut = 'allow it, name it among the clients, or say that it is meant ("cutCaller": true, --cut-caller)';
    throw new KestrelError("would-cut-caller", `You ask from ${caller}, which would be cut off too: ${wayOut}`);
  }

  #say(severity: AgentNotice["severity"], message: string, captures: AgentNotice["captures"]): void {
    this.#parts.raise({ ruleId: RULE, ruleName: "Network isolation switched", severity, tags: TAGS, message, captures });
  }
}

function reasonOf(state: ReturnType<HostIsolation["state"]>, wanted: boolean, trouble: string): string {
  if (state.on && !wanted) return "An earlier agent left it, of which nothing is written down: what it lets through is not known";
  if (!state.on && wanted && trouble === "") return "Somebody detached its programs";
  return trouble;
}

function parseClient(text: string): string {
  const { network, port } = parseAllowed(text);
  if (port !== undefined)
    throw new KestrelError("bad-network", `Cannot allow the client "${text}": name it without a port; the API's own port is meant`);
  return network;
}

function isOwnAddress(caller: string): boolean {
  const plain = caller.replace(/^::ffff:(?=\d+\.)/i, "");
  if (isLoopback(plain)) return true;
  return Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === plain) ?? false);
}

function textOf(wish: Wish): string {
  return JSON.stringify({ ...wish, sinceNs: String(wish.sinceNs) });
}

// Whoever can write to the database can write anything; what is no wish of ours is none.
function readWish(text: string | undefined): Wish | undefined {
  if (text === undefined) return undefined;
  try {
    const { allow, clients, whenAgentStops, sinceNs, askedBy } = JSON.parse(text) as Readonly<Record<string, unknown>>;
    if (!isTexts(allow) || !isTexts(clients) || typeof askedBy !== "string" || !/^\d{1,19}$/.test(String(sinceNs))) return undefined;
    return { allow, clients, whenAgentStops: whenAgentStops === "lift" ? "lift" : "keep", sinceNs: BigInt(String(sinceNs)), askedBy };
  } catch {
    return undefined;
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
