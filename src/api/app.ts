// The API as one Hono app: checks of host and token first, then the contract's routes and the plain ones, one error body for whatever goes wrong.
import { type Context, Hono } from "hono";
import type { Clock, Log, MetricFamily } from "#core";
import { KestrelError, messageOf, metricBy } from "#core";
import { alertHandlers, statusHandler } from "./alert-handlers.ts";
import { AlertStreams, STREAM_MEDIA_TYPE } from "./alert-stream.ts";
import { Guard } from "./auth.ts";
import { bindContract, type RequestFacts, routesOf } from "./bind.ts";
import { contract } from "./contract.ts";
import { isolationHandlers } from "./isolation.ts";
import { printJson } from "./json-text.ts";
import { isLoopbackHostHeader } from "./listen.ts";
import { METRICS_MEDIA_TYPE, printMetrics } from "./metrics-text.ts";
import { buildOpenApi } from "./openapi.ts";
import { PAGE_ASSETS } from "./page-assets.ts";
import { PLAIN_ROUTES } from "./plain-routes.ts";
import type { AgentPort, AlertReader, IsolationPort } from "./ports.ts";
import { Problem, problem, problemResponse } from "./problem.ts";
import { ruleHandlers } from "./rule-handlers.ts";

/** What the API is made of. */
export interface ApiOptions {
  readonly agent: AgentPort;
  readonly alerts: AlertReader;
  readonly isolation: IsolationPort;
  readonly clock: Clock;
  /** Undefined: every local user may use the API. {@link startServer} allows that on loopback only. */
  readonly token: string | undefined;
  /** Answers only requests whose Host header names the loopback, against DNS rebinding. */
  readonly loopbackOnly: boolean;
  readonly log?: Log;
  /** For tests: checks each answer against the contract. */
  readonly validateResponses?: boolean;
}

/** The API, ready to be served. */
export interface Api {
  /** Answers a request from a socket. */
  fetch(request: Request, facts: RequestFacts): Promise<Response>;
  /** The app by itself, which takes its own idea of a request: for tests. */
  readonly app: Hono;
  /** Ends open streams. */
  close(): void;
}

/** No inline script or style, nothing from elsewhere, no frame, and no string is ever taken for HTML. */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; " +
  "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": CONTENT_SECURITY_POLICY,
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};

/** Builds the API. */
export function createApi(options: ApiOptions): Api {
  const app = new Hono();
  const streams = new AlertStreams(options.alerts, options.clock);
  const guard = options.token === undefined ? undefined : new Guard(options.token, options.clock, options.log);
  const answered: Record<string, number> = {};
  const ownMetrics = (): readonly MetricFamily[] => [
    metricBy({ type: "counter", name: "kestrel_api_requests_total", help: "API requests by status." }, "status", answered),
    ...(guard?.metrics() ?? []),
    ...streams.metrics(),
  ];

  app.use(async (context, next) => {
    await next();
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) context.res.headers.set(name, value);
    const status = String(context.res.status);
    answered[status] = (answered[status] ?? 0) + 1;
  });
  app.onError((error) => errorResponse(error, options.log));
  app.notFound((context) => problemResponse(problem(404, "not-found", `There is nothing at ${JSON.stringify(context.req.path)}`)));
  if (options.loopbackOnly) app.use(checkHost);
  if (guard !== undefined) app.use(checkToken(guard));

  mountPlain(app, options, streams, ownMetrics);
  bindContract(
    app,
    contract,
    {
      rules: ruleHandlers(options.agent),
      alerts: alertHandlers(options.alerts),
      isolation: isolationHandlers(options.isolation),
      status: statusHandler(options.agent),
    },
    { validateResponses: options.validateResponses ?? false },
  );
  mountMethodErrors(app);
  return { app, fetch: async (request, facts) => refuseUnreadable(request) ?? app.fetch(request, facts), close: () => streams.close() };
}

/**
 * A request whose Host header makes no address, or that has none, comes with a URL that cannot be read; Hono would cut its path at a wrong place.
 * It is refused before anything looks at it.
 */
function refuseUnreadable(request: Request): Response | undefined {
  if (URL.canParse(request.url)) return undefined;
  return problemResponse(problem(400, "invalid-host", "The Host header is missing or is not a host name or address"), SECURITY_HEADERS);
}

type Next = () => Promise<void>;

async function checkHost(context: Context, next: Next): Promise<void> {
  const host = context.req.header("host") ?? new URL(context.req.url).host;
  if (!isLoopbackHostHeader(host))
    throw new Problem(
      403,
      "wrong-host",
      `The Host header says ${JSON.stringify(host)}, but this server answers as localhost, 127.0.0.1 or [::1] only`,
    );
  await next();
}

function checkToken(guard: Guard): (context: Context, next: Next) => Promise<Response | undefined> {
  const open = new Set([...Object.values(PLAIN_ROUTES).flatMap((route) => (route.open ? [route.path] : [])), ...PAGE_ASSETS.keys()]);
  return async (context, next) => {
    if (!open.has(context.req.path) && !guard.allows(context.req.header("authorization"))) {
      const message = 'Send the token as "Authorization: Bearer TOKEN"; it is in the token file that the agent names when it starts';
      return problemResponse(problem(401, "unauthorized", message), { "www-authenticate": 'Bearer realm="kestrel"' });
    }
    await next();
    return undefined;
  };
}

function mountPlain(app: Hono, options: ApiOptions, streams: AlertStreams, ownMetrics: () => readonly MetricFamily[]): void {
  for (const [path, asset] of PAGE_ASSETS) app.get(path, (context) => context.body(asset.text, 200, { "content-type": asset.mediaType }));

  app.get(PLAIN_ROUTES.health.path, () => {
    const { state } = options.agent.status();
    if (state !== "armed") throw new Problem(503, state, `The agent is ${state}`);
    return new Response(printJson({ state }), { headers: { "content-type": "application/json" } });
  });

  app.get(PLAIN_ROUTES.metrics.path, (context) =>
    context.body(printMetrics([...options.agent.metrics(), ...ownMetrics()]), 200, { "content-type": METRICS_MEDIA_TYPE }),
  );

  let openApi: string | undefined;
  app.get(PLAIN_ROUTES.openapi.path, (context) => {
    openApi ??= JSON.stringify(buildOpenApi(contract, options.agent.status().version), null, 2);
    return context.body(openApi, 200, { "content-type": "application/json" });
  });

  app.get(PLAIN_ROUTES.stream.path, (context) => {
    const lastId = context.req.header("last-event-id");
    if (lastId !== undefined && !/^\d{1,15}$/.test(lastId))
      throw new Problem(400, "invalid-header", `Last-Event-ID ${JSON.stringify(lastId)} is not the id of a message of this stream`);
    const headers = { "content-type": STREAM_MEDIA_TYPE, "x-accel-buffering": "no" };
    // Hono answers HEAD through GET and drops the body: nobody would ever read or cancel the stream.
    if (context.req.raw.method === "HEAD") return new Response(null, { headers });
    const stream = streams.open(lastId === undefined ? undefined : Number(lastId));
    if (stream === undefined) throw new Problem(503, "too-many-streams", "Too many alert streams are open; close one and try again");
    return new Response(stream, { headers });
  });
}

/** Known paths answer other methods with 405 and say which they take. Comes after every route. */
function mountMethodErrors(app: Hono): void {
  const methods = new Map<string, Set<string>>();
  const paths = [...PAGE_ASSETS.keys(), ...Object.values(PLAIN_ROUTES).map((route) => route.path)].map((path) => ({ path, method: "GET" }));
  for (const { path, method } of [...paths, ...routesOf(contract).map(({ route }) => route)]) {
    const known = methods.get(path) ?? new Set<string>();
    methods.set(path, known.add(method));
    if (method === "GET") known.add("HEAD");
  }
  for (const [path, known] of methods) {
    const allow = [...known].sort().join(", ");
    app.all(path, (context) =>
      problemResponse(problem(405, "method-not-allowed", `${context.req.path} takes ${allow}, not ${context.req.method}`), { allow }),
    );
  }
}

function errorResponse(error: unknown, log: Log | undefined): Response {
  if (error instanceof Problem) return problemResponse(error.answer);
  if (error instanceof KestrelError) return problemResponse(problem(503, error.code, error.message));
  log?.write("error", "API request failed", { error: messageOf(error) });
  return problemResponse(problem(500, "internal", "The agent failed to answer; its log says more"));
}
