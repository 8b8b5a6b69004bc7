// Mounts the contract's routes on Hono: reads and checks the request, calls the handler, prints the answer. ts-rest's own fetch handler is not used:
// it prints with JSON.stringify, which refuses 64-bit integers, has its own error bodies, and brings a second router.
import {
  type AppRoute,
  type AppRouter,
  isAppRoute,
  isAppRouteNoBody,
  type ServerInferRequest,
  type ServerInferResponses,
  validateIfSchema,
  validateMultiSchemaObject,
  validateResponse,
} from "@ts-rest/core";
import type { Context, Hono } from "hono";
import type { z } from "zod";
import type { TextBodies } from "./contract.ts";
import { printJson } from "./json-text.ts";
import { Problem } from "./problem.ts";

/** What a handler knows beside the request, and can do beside answering. */
interface AnswerContext {
  /** Header fields of the answer. */
  readonly headers: Headers;
  /** Address of the client, as the socket tells it; empty where there is none. */
  readonly caller: string;
}

/** What the server says of a request that is not in it. */
export interface RequestFacts {
  readonly caller: string;
}

/** A contract's handlers, in the contract's own shape. */
export type Handlers<Routes> = {
  readonly [Key in keyof Routes]: Routes[Key] extends AppRoute ? Handler<Routes[Key]> : Handlers<Routes[Key]>;
};

/** ts-rest 3.53 infers header fields by a type that zod 4 no longer has, so they are inferred here. */
type HeaderValues<Route> = Route extends { readonly headers: infer Schemas }
  ? { readonly [Name in keyof Schemas]: z.output<Schemas[Name]> }
  : unknown;

type Handler<Route extends AppRoute> = (
  request: Omit<ServerInferRequest<Route>, "headers"> & { readonly headers: HeaderValues<Route> },
  context: AnswerContext,
) => ServerInferResponses<Route> | Promise<ServerInferResponses<Route>>;

type ErasedHandler = (
  request: { readonly params: unknown; readonly query: unknown; readonly headers: unknown; readonly body: unknown },
  context: AnswerContext,
) => Promise<{ readonly status: number; readonly body: unknown }>;

/** Most bytes of a request body. */
export const BODY_BYTES_MAX: number = 4 << 20;
/** Most findings listed in the details of one error answer. */
const ISSUES_MAX = 20;

/** How a contract is mounted. */
export interface BindOptions {
  /** Checks every answer against the contract: for tests, it reads each body again. */
  readonly validateResponses: boolean;
}

/** Every route of a contract with its place in it, for example `["rules", "get"]`. */
export function routesOf(
  routes: AppRouter,
  place: readonly string[] = [],
): { readonly route: AppRoute; readonly place: readonly string[] }[] {
  return Object.entries(routes).flatMap(([key, node]) =>
    isAppRoute(node) ? [{ route: node, place: [...place, key] }] : routesOf(node, [...place, key]),
  );
}

/** Mounts every route of the contract. */
export function bindContract<const Routes extends AppRouter>(
  app: Hono,
  routes: Routes,
  handlers: Handlers<Routes>,
  options: BindOptions,
): void {
  for (const { route, place } of routesOf(routes)) {
    let node: unknown = handlers;
    for (const key of place) node = (node as Readonly<Record<string, unknown>>)[key];
    const handler = node as ErasedHandler;
    app.on(route.method, route.path, (context) => answer(context, route, handler, options));
  }
}

async function answer(context: Context, route: AppRoute, handler: ErasedHandler, options: BindOptions): Promise<Response> {
  const url = new URL(context.req.url);
  const headers = new Headers();
  const result = await handler(
    {
      params: checked("path", validateIfSchema(context.req.param(), route.pathParams)),
      query: checked("query", validateIfSchema(queryObject(url.searchParams), route.query)),
      headers: checked("header", validateMultiSchemaObject(Object.fromEntries(context.req.raw.headers), route.headers)),
      body: "body" in route ? checked("body", validateIfSchema(await readBody(context.req.raw, route), route.body)) : undefined,
    },
    { headers, caller: (context.env as Partial<RequestFacts> | undefined)?.caller ?? "" },
  );
  if (isAppRouteNoBody(route.responses[result.status] ?? null)) return new Response(null, { status: result.status, headers });
  const text = printJson(result.body);
  if (options.validateResponses) assertContract(route, result.status, text);
  headers.set("content-type", "application/json");
  return new Response(text, { status: result.status, headers });
}

function assertContract(route: AppRoute, status: number, text: string): void {
  if (route.responses[status] === undefined)
    throw new Error(`${route.method} ${route.path} answered ${status}, which its contract does not list`);
  validateResponse({ appRoute: route, response: { status, body: JSON.parse(text) } });
}

/** Query as an object: a name given twice is a list, which no schema of ours takes. */
function queryObject(query: URLSearchParams): Readonly<Record<string, unknown>> {
  const values = new Map<string, unknown>();
  for (const name of new Set(query.keys())) {
    const all = query.getAll(name);
    values.set(name, all.length === 1 ? all[0] : all);
  }
  return Object.fromEntries(values);
}

interface Issue {
  readonly message: string;
  readonly path?: readonly unknown[] | undefined;
}

function checked(part: string, result: ReturnType<typeof validateIfSchema>): unknown {
  if (result.error === undefined) return result.value;
  const issues = (result.error.issues as readonly Issue[]).slice(0, ISSUES_MAX).map((issue) => ({
    path: (issue.path ?? []).map((step) => String(typeof step === "object" && step !== null && "key" in step ? step.key : step)).join("."),
    message: issue.message,
  }));
  const first = issues[0];
  const where = first === undefined || first.path === "" ? part : `${part} ${JSON.stringify(first.path)}`;
  throw new Problem(400, `invalid-${part}`, `Cannot use the ${where}: ${first?.message ?? "it is not valid"}`, issues);
}

async function readBody(request: Request, route: AppRoute): Promise<unknown> {
  const textBodies = (route.metadata as TextBodies | undefined)?.textBodies ?? {};
  const mediaType = (request.headers.get("content-type") ?? "").split(";")[0]!.trim().toLowerCase();
  const format = Object.hasOwn(textBodies, mediaType) ? textBodies[mediaType] : undefined;
  if (format === undefined && mediaType !== "application/json") {
    const known = ["application/json", ...Object.keys(textBodies)].join(", ");
    throw new Problem(415, "unsupported-media-type", `Content-Type ${JSON.stringify(mediaType)} is not one of ${known}`);
  }
  const text = decodeUtf8(await readBytes(request));
  if (format !== undefined) return { format, text };
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Problem(400, "invalid-json", `The body is not JSON: ${error instanceof Error ? error.message : "it cannot be read"}`);
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Problem(400, "invalid-utf8", "The body is not UTF-8 text");
  }
}

/** The whole body, read only up to the limit whatever Content-Length says. */
async function readBytes(request: Request): Promise<Uint8Array> {
  const tooLarge = (): Problem => new Problem(413, "body-too-large", `The body is larger than ${BODY_BYTES_MAX} bytes`);
  if (Number(request.headers.get("content-length") ?? 0) > BODY_BYTES_MAX) throw tooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.byteLength;
    if (size > BODY_BYTES_MAX) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}
