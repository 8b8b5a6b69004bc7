// Network isolation over HTTP: what is asked and answered on the wire, and the handlers. The port does the work and refuses what it cannot do.
import { z } from "zod";
import { KestrelError } from "#core";
import { formatDate } from "#event";
import type { Handlers } from "./bind.ts";
import type { Contract } from "./contract.ts";
import type { IsolationPort, IsolationStatus } from "./ports.ts";
import { problem } from "./problem.ts";

/** What is asked for. */
export interface WireIsolationRequest {
  readonly allow: readonly string[];
  readonly clients?: readonly string[] | undefined;
  readonly whenAgentStops?: "keep" | "lift" | undefined;
  readonly cutCaller?: boolean | undefined;
}

interface WireDropped {
  readonly packets: number;
  readonly bytes: number;
}

/** What is in force. */
export interface WireIsolation {
  readonly state: IsolationStatus["state"];
  readonly reason: string;
  readonly scope: "machine" | "group";
  readonly allow: readonly string[];
  readonly clients: readonly string[];
  readonly whenAgentStops: "keep" | "lift";
  readonly since: string | null;
  readonly askedBy: string;
  readonly pinnedAt: string | null;
  readonly liftByHand: string | null;
  readonly dropped: { readonly egress: WireDropped; readonly ingress: WireDropped };
}

/** Most networks that can be named. */
const NETWORKS_MAX = 1024;
/** Longest text of a network with its port. */
const NETWORK_TEXT_MAX = 64;

const count = z.int().min(0);
const networks = z.array(z.string().min(1).max(NETWORK_TEXT_MAX)).max(NETWORKS_MAX);
const whenAgentStops = z.enum(["keep", "lift"]);
const dropped = z.object({ packets: count, bytes: count });

/** Schema of {@link WireIsolationRequest}. */
export const isolationRequest: z.ZodType<WireIsolationRequest> = z
  .strictObject({
    allow: networks.meta({
      description:
        "Who may still be talked to: ADDRESS, ADDRESS/BITS, either with :PORT of the other side; IPv6 with a port: [ADDRESS/BITS]:PORT.",
    }),
    clients: networks.optional().meta({ description: "Addresses that may reach this API, and nothing else." }),
    whenAgentStops: whenAgentStops.optional().meta({
      description: "keep (also when left out): the isolation outlives the agent, until somebody lifts it. lift: it ends with the agent.",
    }),
    cutCaller: z.boolean().optional().meta({ description: "Isolate even though the client that asks is then cut off itself." }),
  })
  .meta({ id: "IsolationRequest" });

/** Schema of {@link WireIsolation}. */
export const isolation: z.ZodType<WireIsolation> = z
  .object({
    state: z.enum(["on", "off", "failed", "unavailable"]).meta({
      description: "failed: asked for, but not in force. unavailable: cannot be had here. Both: see reason.",
    }),
    reason: z.string(),
    scope: z.enum(["machine", "group"]).meta({ description: "group: only the control group that the agent was started for." }),
    allow: z.array(z.string()),
    clients: z.array(z.string()),
    whenAgentStops,
    since: z.iso.datetime({ offset: true }).nullable(),
    askedBy: z.string().meta({ description: "Address of the API client that asked." }),
    pinnedAt: z.string().nullable().meta({ description: "Folder of bpffs that holds it after the agent's end." }),
    liftByHand: z.string().nullable().meta({ description: "Command with which root lifts it when the agent is gone." }),
    dropped: z.object({ egress: dropped, ingress: dropped }).meta({ description: "What did not pass since it was switched on." }),
  })
  .meta({ id: "Isolation" });

/** Handlers over the port. */
export function isolationHandlers(port: IsolationPort): Handlers<Contract["isolation"]> {
  return {
    get: () => ({ status: 200, body: toWire(port.status()) }),

    put: ({ body }, { caller }) => {
      try {
        const { allow, clients = [], whenAgentStops = "keep", cutCaller = false } = body;
        port.isolate({ allow, clients, whenAgentStops, cutCaller }, caller);
        return { status: 200, body: toWire(port.status()) };
      } catch (error) {
        if (!(error instanceof KestrelError)) throw error;
        if (error.code === "bad-network") return problem(422, error.code, error.message);
        if (error.code === "would-cut-caller" || error.code === "no-remote-clients") return problem(409, error.code, error.message);
        throw error;
      }
    },

    lift: (_, { caller }) => {
      port.lift(caller);
      return { status: 200, body: toWire(port.status()) };
    },
  };
}

function toWire(status: IsolationStatus): WireIsolation {
  const { state, reason, scope, allow, clients, whenAgentStops, askedBy, egress, ingress } = status;
  return {
    state,
    reason,
    scope,
    allow,
    clients,
    whenAgentStops,
    since: status.sinceNs === undefined ? null : formatDate(status.sinceNs),
    askedBy,
    pinnedAt: status.pinnedAt ?? null,
    liftByHand: status.liftByHand ?? null,
    dropped: { egress, ingress },
  };
}
