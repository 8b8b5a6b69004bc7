// The description covers the contract, refers only to what it holds, and describes what the server really answers.
import { expect, test } from "bun:test";
import { type Contract, contract } from "#api";
import { makeAlert, makeApi } from "./fixture.ts";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required?: boolean }[];
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly content?: Readonly<Record<string, { readonly schema: Json }>> }>
  >;
  readonly security?: readonly unknown[];
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Json>> };
}

async function describeApi(): Promise<Document> {
  const response = await makeApi().ask("/openapi.json");
  expect(response.headers.get("content-type")).toBe("application/json");
  return (await response.json()) as Document;
}

function routes(
  node: Contract[keyof Contract] | Contract,
  found: { method: string; path: string; responses: object }[] = [],
): typeof found {
  if ("method" in node && typeof node.method === "string") found.push(node as (typeof found)[number]);
  else for (const child of Object.values(node)) routes(child, found);
  return found;
}

test("every route of the contract is there with exactly its statuses", async () => {
  const { openapi, paths } = await describeApi();
  expect(openapi).toBe("3.1.0");
  const known = routes(contract);
  expect(known.length).toBe(12);
  for (const { method, path, responses } of known) {
    const operation = paths[path.replace(/:(\w+)/g, "{$1}")]?.[method.toLowerCase()];
    expect(Object.keys(operation?.responses ?? {}).sort()).toEqual(Object.keys(responses).sort());
    for (const answer of Object.values(operation?.responses ?? {})) expect(answer.description.length).toBeGreaterThan(3);
  }
  for (const path of ["/v1/alerts/stream", "/metrics", "/openapi.json", "/healthz", "/"]) expect(paths).toHaveProperty([path, "get"]);
});

test("the plain routes name what the server answers to a wrong host, a wrong method and no token", async () => {
  const { paths } = await describeApi();
  const api = makeApi();
  for (const path of ["/v1/alerts/stream", "/metrics", "/openapi.json", "/healthz", "/"]) {
    const told = Object.keys(paths[path]!["get"]!.responses);
    const answers = [
      await api.ask(path, { headers: { host: "example.org" } }),
      await api.ask(path, { method: "DELETE" }),
      await api.ask(path, { headers: { authorization: "Bearer wrong" } }),
    ];
    for (const answer of answers) {
      expect(told).toContain(String(answer.status));
      await answer.body?.cancel();
    }
    expect(answers.slice(0, 2).map(({ status }) => status)).toEqual([403, 405]);
  }
});

test("path parameters match the paths, operation ids are unique, references lead somewhere", async () => {
  const document = await describeApi();
  const ids = new Set<string>();
  let operations = 0;
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const operation of Object.values(methods)) {
      operations++;
      ids.add(operation.operationId);
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
      const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
      expect(declared.map(({ name }) => name)).toEqual(inPath);
      for (const parameter of declared) expect(parameter.required).toBe(true);
    }
  }
  expect(ids.size).toBe(operations);
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, reference]) => reference!);
  expect(references.length).toBeGreaterThan(10);
  for (const reference of references) {
    expect(reference).toStartWith("#/components/schemas/");
    expect(document.components.schemas).toHaveProperty([reference.slice("#/components/schemas/".length)]);
  }
  expect(JSON.stringify(document)).not.toContain("$defs");
});

test("only the page and health are open", async () => {
  const { paths } = await describeApi();
  const open = Object.entries(paths).flatMap(([path, methods]) =>
    Object.values(methods).flatMap(({ security }) => (security?.length === 0 ? [path] : [])),
  );
  expect(open.sort()).toEqual(["/", "/healthz"]);
});

test("the alert list's filters and the raw rule bodies are described", async () => {
  const { paths } = await describeApi();
  expect(paths["/v1/alerts"]!["get"]!.parameters!.map(({ name }) => name).sort()).toEqual([
    "cursor",
    "limit",
    "rule",
    "severity",
    "since",
    "text",
    "until",
  ]);
  expect(JSON.stringify(paths["/v1/rules/{id}"]!["put"])).toContain('"application/toml":{"schema":{"type":"string"}}');
  expect(paths["/v1/rules/{id}"]!["put"]!.parameters!.map(({ name }) => name)).toEqual(["id", "if-match", "if-none-match"]);
});

test("the alert's schema names the members an alert really has", async () => {
  const { components } = await describeApi();
  const { ask, alerts } = makeApi();
  const response = { action: "kill", mode: "enforce", scope: "tree", outcome: "done", means: "sigkill", targetPid: 4001 } as const;
  alerts.add(makeAlert(1, { response: { ...response, processCount: 2, latencyNs: 31_000_000n, reason: "" } }));
  const alert = (await (await ask(`/v1/alerts/${makeAlert(1).id}`)).json()) as object;
  const { properties } = components.schemas["Alert"] as { readonly properties: object };
  expect(Object.keys(properties).sort()).toEqual(Object.keys(alert).sort());
});
