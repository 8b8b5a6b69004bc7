// The routes of isolation over a switch that isolates nothing: what reaches it, who asked, and how it refuses.
import { expect, test } from "bun:test";
import { KestrelError } from "#core";
import { makeApi } from "./fixture.ts";

const JSON_TYPE = { "content-type": "application/json" };

function put(api: ReturnType<typeof makeApi>, body: unknown): Promise<Response> {
  return api.ask("/v1/isolation", { method: "PUT", headers: JSON_TYPE, body: JSON.stringify(body) });
}

test("switched on and off, by the address of the socket", async () => {
  const api = makeApi();
  expect(await (await api.ask("/v1/isolation")).json()).toMatchObject({ state: "off", allow: [], since: null, pinnedAt: null });
  const on = await put(api, { allow: ["10.0.0.5:443", "fd00::/8"], clients: ["192.0.2.7"] });
  expect(on.status).toBe(200);
  expect(await on.json()).toMatchObject({
    state: "on",
    allow: ["10.0.0.5:443", "fd00::/8"],
    clients: ["192.0.2.7"],
    whenAgentStops: "keep",
    askedBy: "192.0.2.7",
    dropped: { egress: { packets: 12, bytes: 900 } },
  });
  expect(api.isolation.held?.cutCaller).toBe(false);
  await put(api, { allow: [], whenAgentStops: "lift", cutCaller: true });
  expect(api.isolation.held).toEqual({ allow: [], clients: [], whenAgentStops: "lift", cutCaller: true });
  const off = await api.ask("/v1/isolation", { method: "DELETE" });
  expect([off.status, ((await off.json()) as { state: string }).state]).toEqual([200, "off"]);
  expect(api.isolation.asked).toEqual(["isolate 192.0.2.7", "isolate 192.0.2.7", "lift 192.0.2.7"]);
});

for (const [code, status] of [
  ["bad-network", 422],
  ["would-cut-caller", 409],
  ["no-remote-clients", 409],
  ["cannot-isolate", 503],
] as const) {
  test(`${code} is ${status}, with its words`, async () => {
    const api = makeApi();
    api.isolation.failWith = new KestrelError(code, "Why, and the way out");
    const response = await put(api, { allow: [] });
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({ code, message: "Why, and the way out" });
    expect(api.isolation.held).toBeUndefined();
  });
}

for (const body of [
  {},
  { allow: "10.0.0.5" },
  { allow: [""] },
  { allow: ["1".repeat(65)] },
  { allow: Array.from({ length: 1025 }, () => "10.0.0.5") },
  { allow: [], except: [] },
  { allow: [], whenAgentStops: "never" },
]) {
  test(`not a request: ${JSON.stringify(body).slice(0, 60)}`, async () => {
    const api = makeApi();
    expect((await put(api, body)).status).toBe(400);
    expect(api.isolation.asked).toEqual([]);
  });
}

test("nothing without the token", async () => {
  const api = makeApi();
  for (const method of ["GET", "PUT", "DELETE"]) {
    const body = method === "PUT" ? { body: '{"allow":[]}' } : {};
    const response = await api.ask("/v1/isolation", { method, headers: { ...JSON_TYPE, authorization: "Bearer wrong" }, ...body });
    expect(response.status).toBe(401);
  }
  expect(api.isolation.asked).toEqual([]);
});
