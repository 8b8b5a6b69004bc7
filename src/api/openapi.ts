// OpenAPI 3.1 made from the contract: paths, parameters, bodies and statuses are read from it, so the description cannot differ from what runs.
import { type AppRoute, type AppRouter, isAppRouteNoBody } from "@ts-rest/core";
import { z } from "zod";
import { routesOf } from "./bind.ts";
import type { TextBodies } from "./contract.ts";
import { PLAIN_ROUTES, type PlainRoute } from "./plain-routes.ts";
import { errorBody } from "./wire.ts";

type JsonObject = { [key: string]: unknown };

/** Media type of JSON bodies. */
const JSON_TYPE = "application/json";

const STATUS_TEXT: Readonly<Record<number, string>> = {
  200: "Done",
  201: "Made",
  204: "Removed",
  400: "The request cannot be read",
  401: "The token is missing or wrong",
  403: "Refused: the Host header names another site",
  404: "There is no such thing",
  405: "The path does not take this method",
  409: "Cannot be changed here",
  412: "Changed since it was read",
  413: "The body is too large",
  415: "The media type is not one the route takes",
  422: "The rule does not compile, or a network cannot be read",
  500: "A fault of the agent",
  503: "The agent cannot answer now",
};

/** What the server answers before it looks for the route, or that there is no such one. */
const ERRORS_OF_ANY: readonly number[] = [400, 403, 405];

/** The description of a contract and of the plain routes beside it. */
export function buildOpenApi(contract: AppRouter, version: string): JsonObject {
  const components = new Map<string, unknown>();
  const schemaOf = (schema: unknown, io: "input" | "output"): unknown => toSchema(schema as z.ZodType, io, components);
  const paths: Record<string, JsonObject> = {};
  const add = (path: string, method: string, operation: JsonObject): void => {
    const key = path.replace(/:([A-Za-z]+)/g, "{$1}");
    paths[key] = { ...paths[key], [method.toLowerCase()]: operation };
  };
  for (const { route, place } of routesOf(contract)) add(route.path, route.method, operationOf(route, place, schemaOf));
  for (const [name, route] of Object.entries(PLAIN_ROUTES)) add(route.path, "get", plainOperation(name, route, schemaOf));
  return {
    openapi: "3.1.0",
    info: { title: "Kestrel", version, license: { name: "Apache-2.0", identifier: "Apache-2.0" } },
    security: [{ token: [] }],
    paths,
    components: { securitySchemes: { token: { type: "http", scheme: "bearer" } }, schemas: Object.fromEntries(components) },
  };
}

type SchemaOf = (schema: unknown, io: "input" | "output") => unknown;

function operationOf(route: AppRoute, place: readonly string[], schemaOf: SchemaOf): JsonObject {
  const parameters = [
    ...parametersOf("path", schemaOf(route.pathParams ?? z.object({}), "input")),
    ...parametersOf("query", schemaOf(route.query ?? z.object({}), "input")),
    ...parametersOf("header", schemaOf(z.object((route.headers ?? {}) as z.ZodRawShape), "input")),
  ];
  const tag = place.length > 1 ? place[0]! : "agent";
  return {
    operationId: place.join("-"),
    tags: [tag],
    summary: route.summary,
    description: route.description,
    ...(parameters.length === 0 ? {} : { parameters }),
    ...("body" in route ? { requestBody: { required: true, content: bodyContent(route, schemaOf) } } : {}),
    responses: responsesOf(route, schemaOf),
  };
}

function bodyContent(route: AppRoute & { readonly body: unknown }, schemaOf: SchemaOf): JsonObject {
  const textTypes = Object.keys((route.metadata as TextBodies | undefined)?.textBodies ?? {});
  return {
    [JSON_TYPE]: { schema: schemaOf(route.body, "input") },
    ...Object.fromEntries(textTypes.map((type) => [type, { schema: { type: "string" } }])),
  };
}

function responsesOf(route: AppRoute, schemaOf: SchemaOf): JsonObject {
  const responses: JsonObject = {};
  for (const [status, schema] of Object.entries(route.responses)) {
    responses[status] = {
      description: STATUS_TEXT[Number(status)],
      ...(isAppRouteNoBody(schema) ? {} : { content: { [JSON_TYPE]: { schema: schemaOf(schema, "output") } } }),
    };
  }
  return responses;
}

function plainOperation(name: string, route: PlainRoute, schemaOf: SchemaOf): JsonObject {
  const errors = [...new Set([...route.errors, ...ERRORS_OF_ANY, ...(route.open ? [] : [401])])].sort((a, b) => a - b);
  const parameters = Object.entries(route.headers).map(([header, description]) => ({
    name: header,
    in: "header",
    description,
    schema: { type: "string" },
  }));
  return {
    operationId: name,
    tags: ["agent"],
    summary: route.summary,
    description: route.description,
    ...(route.open ? { security: [] } : {}),
    ...(parameters.length === 0 ? {} : { parameters }),
    responses: {
      200: {
        description: STATUS_TEXT[200],
        content: { [route.mediaType]: { schema: { type: route.mediaType === JSON_TYPE ? "object" : "string" } } },
      },
      ...Object.fromEntries(
        errors.map((code) => [
          code,
          { description: STATUS_TEXT[code], content: { [JSON_TYPE]: { schema: schemaOf(errorBody, "output") } } },
        ]),
      ),
    },
  };
}

/** The properties of an object schema as parameters; their descriptions move up, where readers look. */
function parametersOf(place: "path" | "query" | "header", objectSchema: unknown): JsonObject[] {
  const { properties = {}, required = [] } = objectSchema as {
    readonly properties?: Readonly<Record<string, JsonObject>>;
    readonly required?: readonly string[];
  };
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: place,
    ...(place === "path" || required.includes(name) ? { required: true } : {}),
    ...(description === undefined ? {} : { description }),
    schema,
  }));
}

/** JSON Schema of a zod schema; named parts go to the components. */
function toSchema(schema: z.ZodType, io: "input" | "output", components: Map<string, unknown>): unknown {
  const { $schema, $defs, ...root } = z.toJSONSchema(schema, { io, target: "draft-2020-12" }) as JsonObject;
  const moved = (part: unknown): unknown => JSON.parse(JSON.stringify(part).replaceAll('"#/$defs/', '"#/components/schemas/'));
  for (const [name, part] of Object.entries(($defs as JsonObject | undefined) ?? {})) components.set(name, moved(part));
  return moved(root);
}
