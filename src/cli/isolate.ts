// kestrel isolate: asks the running agent to isolate the machine, to lift that, or how it stands. Does nothing by itself: the agent does it,
// writes it down and says so in an alert.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type IsolationRequest, parseListen } from "#api";
import { KestrelError, messageOf } from "#core";
import { type Arguments, EXIT, parseArguments, usageError } from "./arguments.ts";
import { defaultDataPath } from "./data-directory.ts";

const DEFAULT_AGENT = "127.0.0.1:8490";
const ANSWER_MS_MAX = 10_000;
const VERBS: readonly string[] = ["on", "off", "status"];

interface Dropped {
  readonly packets: number;
  readonly bytes: number;
}

/** The answer's parts that are printed. */
interface Isolation {
  readonly state: "on" | "off" | "failed" | "unavailable";
  readonly reason: string;
  readonly scope: "machine" | "group";
  readonly allow: readonly string[];
  readonly clients: readonly string[];
  readonly since: string | null;
  readonly askedBy: string;
  readonly pinnedAt: string | null;
  readonly liftByHand: string | null;
  readonly dropped: { readonly egress: Dropped; readonly ingress: Dropped };
}

/** Runs the command. */
export async function isolate(argv: readonly string[]): Promise<number> {
  const args = parseArguments(argv, {
    allow: "texts",
    client: "texts",
    "lift-with-agent": "switch",
    "cut-caller": "switch",
    agent: "text",
    data: "text",
    json: "switch",
  });
  const [verb = "", ...more] = args.positionals;
  if (!VERBS.includes(verb) || more.length > 0) throw usageError(`Say on, off or status, not "${args.positionals.join(" ")}"`);
  if (verb !== "on" && (args.texts("allow").length > 0 || args.texts("client").length > 0))
    throw usageError(`Networks are named with "isolate on", not with "isolate ${verb}"`);
  const answer = await ask(args, verb === "on" ? "PUT" : verb === "off" ? "DELETE" : "GET");
  console.log(args.has("json") ? JSON.stringify(answer) : text(answer));
  return answer.state === "failed" ? EXIT.findings : EXIT.ok;
}

async function ask(args: Arguments, method: string): Promise<Isolation> {
  const { host, port } = parseListen(args.text("agent") ?? DEFAULT_AGENT, "reach an agent at");
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}/v1/isolation`;
  const headers = { authorization: `Bearer ${tokenOf(args)}`, "content-type": "application/json" };
  const body = method === "PUT" ? { body: JSON.stringify(requestOf(args)) } : {};
  let response: Response;
  try {
    response = await fetch(url, { method, headers, ...body, signal: AbortSignal.timeout(ANSWER_MS_MAX) });
  } catch (error) {
    const byHand = 'if it is gone, root lifts an isolation that it left with "rm -r /sys/fs/bpf/kestrel"';
    throw new KestrelError(
      "no-agent",
      `No agent answers at ${host}:${port}: ${messageOf(error)}; name its --listen with --agent; ${byHand}`,
    );
  }
  const answer = (await response.json().catch(() => ({}))) as Isolation & { readonly code?: string; readonly message?: string };
  if (response.ok) return answer;
  const message = answer.message ?? `The agent answered ${response.status}`;
  throw new KestrelError(
    response.status === 409 || response.status === 422 || response.status === 400 ? "bad-query" : "agent-refused",
    message,
  );
}

function requestOf(args: Arguments): IsolationRequest {
  const list = (name: string): string[] =>
    args
      .texts(name)
      .flatMap((each) => each.split(","))
      .filter((each) => each !== "");
  return {
    allow: list("allow"),
    clients: list("client"),
    whenAgentStops: args.has("lift-with-agent") ? "lift" : "keep",
    cutCaller: args.has("cut-caller"),
  };
}

function tokenOf(args: Arguments): string {
  const path = join(args.text("data") ?? defaultDataPath(), "token");
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    const wayOut = "run as the agent's user, or name its data folder with --data";
    throw new KestrelError("no-token", `Cannot read the agent's token: ${messageOf(error)}; ${wayOut}`, { cause: error });
  }
}

function text({ state, reason, scope, allow, clients, since, askedBy, pinnedAt, liftByHand, dropped }: Isolation): string {
  const what = scope === "machine" ? "this machine" : "the control group that the agent was started for";
  const because = reason === "" ? [] : [reason];
  if (state === "off" || state === "unavailable") return [`${what} is not isolated`, ...because].join("\n");
  const count = ({ packets, bytes }: Dropped): string => `${packets} packets, ${bytes} bytes`;
  return [
    state === "on" ? `${what} is isolated` : `${what} is NOT isolated, though it was asked for`,
    ...because,
    ...(since === null ? [] : [`asked for   ${since} by ${askedBy || "a local client"}`]),
    `allowed     ${allow.join(" ") || "nobody"}`,
    ...(clients.length === 0 ? [] : [`API only    ${clients.join(" ")}`]),
    `dropped     out: ${count(dropped.egress)}; in: ${count(dropped.ingress)}`,
    pinnedAt === null ? "it ends with the agent" : `it outlives the agent; root lifts it by hand with: ${liftByHand}`,
  ].join("\n");
}
