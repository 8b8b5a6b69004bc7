// Every route and status of the contract, over memory. Answers are checked against the contract by the fixture.
import { describe, expect, test } from "bun:test";
import { contract } from "#api";
import { KestrelError } from "#core";
import { makeAlert, makeApi, TOKEN } from "./fixture.ts";

const YAML = { "content-type": "application/yaml" };
const JSON_TYPE = { "content-type": "application/json" };

async function problemOf(response: Response): Promise<{ code: string; message: string; details?: unknown }> {
  expect(response.headers.get("content-type")).toBe("application/json");
  const body = (await response.json()) as { code: string; message: string };
  expect(Object.keys(body).sort()).toEqual("details" in body ? ["code", "details", "message"] : ["code", "message"]);
  expect(body.code).toMatch(/^[a-z0-9-]+$/);
  expect(body.message).not.toEndWith(".");
  return body;
}

describe("rules", () => {
  test("are listed by id", async () => {
    const { agent, ask } = makeApi();
    for (const id of ["b.two", "a.one", "c.three"]) agent.hold({ id });
    const response = await ask("/v1/rules");
    expect(response.status).toBe(200);
    const { rules } = (await response.json()) as { rules: { id: string }[] };
    expect(rules.map(({ id }) => id)).toEqual(["a.one", "b.two", "c.three"]);
    expect(rules[0]).not.toHaveProperty("text");
  });

  test("are read with text and ETag", async () => {
    const { agent, ask } = makeApi();
    agent.hold({ id: "a.one", text: "id: a.one" });
    const response = await ask("/v1/rules/a.one");
    expect(response.status).toBe(200);
    expect(response.headers.get("etag")).toMatch(/^"[0-9a-f]{32}"$/);
    expect(await response.json()).toMatchObject({ id: "a.one", text: "id: a.one", format: "yaml" });
    const missing = await ask("/v1/rules/no.such");
    expect(missing.status).toBe(404);
    expect((await problemOf(missing)).code).toBe("unknown-rule");
  });

  test("are made, replaced and removed", async () => {
    const { agent, ask } = makeApi();
    const made = await ask("/v1/rules/a.one", {
      method: "PUT",
      headers: JSON_TYPE,
      body: JSON.stringify({ format: "toml", text: "id: a.one" }),
    });
    expect(made.status).toBe(201);
    expect(made.headers.get("location")).toBe("/v1/rules/a.one");
    expect(agent.held.get("a.one")).toMatchObject({ format: "toml" });
    const replaced = await ask("/v1/rules/a.one", { method: "PUT", headers: YAML, body: "id: a.one\nname: é" });
    expect(replaced.status).toBe(200);
    expect(agent.held.get("a.one")).toMatchObject({ format: "yaml", text: "id: a.one\nname: é" });
    const removed = await ask("/v1/rules/a.one", { method: "DELETE" });
    expect(removed.status).toBe(204);
    expect(await removed.text()).toBe("");
    expect(agent.held.size).toBe(0);
    expect((await ask("/v1/rules/a.one", { method: "DELETE" })).status).toBe(404);
  });

  test("are not overwritten by someone who read an older version", async () => {
    const { agent, ask } = makeApi();
    agent.hold({ id: "a.one" });
    const etag = (await ask("/v1/rules/a.one")).headers.get("etag") ?? "";
    const put = (headers: Record<string, string>, text = "id: a.one\n# new") =>
      ask("/v1/rules/a.one", { method: "PUT", headers: { ...YAML, ...headers }, body: text });
    const [first, second] = await Promise.all([put({ "if-match": etag }), put({ "if-match": etag }, "id: a.one\n# other")]);
    expect([first.status, second.status]).toEqual([200, 412]);
    expect((await problemOf(second)).details).toEqual({ etag: first.headers.get("etag") });
    expect(agent.held.get("a.one")?.text).toBe("id: a.one\n# new");
    expect((await put({ "if-match": `"x", ${first.headers.get("etag")}` })).status).toBe(200);
    expect((await put({ "if-match": "*" })).status).toBe(200);
    expect((await put({ "if-none-match": "*" })).status).toBe(412);
    expect((await ask("/v1/rules/a.one", { method: "DELETE", headers: { "if-match": '"x"' } })).status).toBe(412);
    expect((await ask("/v1/rules/gone", { method: "PUT", headers: { ...YAML, "if-match": "*" }, body: "id: gone" })).status).toBe(412);
    expect((await ask("/v1/rules/new", { method: "PUT", headers: { ...YAML, "if-none-match": "*" }, body: "id: new" })).status).toBe(201);
  });

  test("from files cannot be changed here", async () => {
    const { agent, ask } = makeApi();
    agent.hold({ id: "a.one", origin: "file" });
    agent.hold({ id: "a.two", origin: "built-in" });
    for (const id of ["a.one", "a.two"]) {
      const put = await ask(`/v1/rules/${id}`, { method: "PUT", headers: YAML, body: `id: ${id}` });
      expect([put.status, (await problemOf(put)).code]).toEqual([409, "read-only-rule"]);
      expect((await ask(`/v1/rules/${id}`, { method: "DELETE" })).status).toBe(409);
    }
  });

  test("of any origin can be switched between monitor and enforce", async () => {
    const { agent, ask } = makeApi();
    agent.hold({ id: "a.one", origin: "file", action: "kill", scope: "tree" });
    agent.hold({ id: "a.two" });
    const change = (id: string, body: unknown): Promise<Response> =>
      ask(`/v1/rules/${id}`, { method: "PATCH", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    for (const [mode, inEffect] of [
      ["enforce", "enforce"],
      ["monitor", "monitor"],
      ["enforce", "enforce"],
      [null, "monitor"],
    ]) {
      const response = await change("a.one", { mode });
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ id: "a.one", action: "kill", scope: "tree", mode: inEffect, modeOfText: "monitor" });
      expect(agent.rule("a.one")?.mode).toBe(inEffect as "monitor");
    }
    for (const [id, body, status, code] of [
      ["a.none", { mode: "enforce" }, 404, "unknown-rule"],
      ["a.two", { mode: "enforce" }, 409, "no-action"],
      ["a.one", { mode: "on" }, 400, "invalid-body"],
      ["a.one", {}, 400, "invalid-body"],
      ["a.one", { mode: "monitor", action: "alert" }, 400, "invalid-body"],
    ] as const) {
      const response = await change(id, body);
      expect([id, response.status, (await problemOf(response)).code]).toEqual([id, status, code]);
    }
  });

  test("that do not compile are refused with the place", async () => {
    const { agent, ask } = makeApi();
    const response = await ask("/v1/rules/a.one", { method: "PUT", headers: YAML, body: "id: a.one\nbad" });
    expect(response.status).toBe(422);
    const { code, message, details } = await problemOf(response);
    expect(code).toBe("invalid-rule");
    expect(message).toContain("line 2");
    expect(details).toEqual({ diagnostics: [expect.objectContaining({ code: "unknown-field", line: 2, column: 5 })] });
    expect(agent.held.size).toBe(0);
    const other = await ask("/v1/rules/a.one", { method: "PUT", headers: YAML, body: "id: a.two" });
    expect([other.status, (await problemOf(other)).code]).toEqual([422, "id-mismatch"]);
  });

  test("are checked without saving", async () => {
    const { agent, ask } = makeApi();
    const good = await ask("/v1/rules/validate", { method: "POST", headers: YAML, body: "id: a.one" });
    expect(await good.json()).toEqual({ ok: true, id: "a.one", diagnostics: [] });
    const bad = await ask("/v1/rules/validate", { method: "POST", headers: { "content-type": "text/x-eql; charset=utf-8" }, body: "bad" });
    expect(bad.status).toBe(200);
    expect(await bad.json()).toMatchObject({ ok: false, id: null, diagnostics: [{ severity: "error" }] });
    expect(agent.held.size).toBe(0);
  });

  test.each([
    ["no media type", {}, "id: a", 415, "unsupported-media-type"],
    ["a form, as curl -d sends", { "content-type": "application/x-www-form-urlencoded" }, "id: a", 415, "unsupported-media-type"],
    ["broken JSON", JSON_TYPE, "{", 400, "invalid-json"],
    ["JSON nested too deep", JSON_TYPE, "[".repeat(1_000_000), 400, "invalid-json"],
    ["JSON of another shape", JSON_TYPE, '{"format":"xml","text":""}', 400, "invalid-body"],
    ["an unknown key", JSON_TYPE, '{"format":"yaml","text":"","txet":""}', 400, "invalid-body"],
    ["bytes that are no UTF-8", YAML, new Uint8Array([0xff, 0xfe]), 400, "invalid-utf8"],
    ["a body over the limit", YAML, "x".repeat((4 << 20) + 1), 413, "body-too-large"],
    ["a text over the limit", YAML, "x".repeat((1 << 20) + 1), 400, "invalid-body"],
  ] as const)("refuse %s", async (_, headers, body, status, code) => {
    const { ask } = makeApi();
    for (const [path, method] of [
      ["/v1/rules/validate", "POST"],
      ["/v1/rules/a", "PUT"],
    ] as const) {
      const response = await ask(path, { method, headers, body: typeof body === "string" ? new TextEncoder().encode(body) : body });
      expect([response.status, (await problemOf(response)).code]).toEqual([status, code]);
    }
  });

  test("stop reading a body at the limit whatever its stated length", async () => {
    const { ask } = makeApi();
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled++;
        if (pulled > 1000) controller.close();
        else controller.enqueue(new Uint8Array(1 << 20));
      },
    });
    const response = await ask("/v1/rules/a", { method: "PUT", headers: YAML, body });
    expect(response.status).toBe(413);
    expect(pulled).toBeLessThan(10);
  });
});

describe("alerts", () => {
  test("are paged, newest first, without gap or repetition", async () => {
    const { alerts, ask } = makeApi();
    for (let number = 1; number <= 25; number++) alerts.add(makeAlert(number));
    const seen: string[] = [];
    let cursor = "";
    let pages = 0;
    do {
      const page = (await (await ask(`/v1/alerts?limit=10${cursor}`)).json()) as { alerts: { id: string }[]; next: string | null };
      seen.push(...page.alerts.map(({ id }) => id));
      cursor = page.next === null ? "" : `&cursor=${page.next}`;
      pages++;
      alerts.add(makeAlert(100 + pages));
    } while (cursor !== "");
    expect(pages).toBe(3);
    expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => makeAlert(25 - index).id));
  });

  test("of a page that ends with the oldest have no next", async () => {
    const { alerts, ask } = makeApi();
    for (let number = 1; number <= 3; number++) alerts.add(makeAlert(number));
    expect(await (await ask("/v1/alerts?limit=3")).json()).toMatchObject({ next: null });
    expect(await (await ask("/v1/alerts")).json()).toMatchObject({ next: null });
  });

  test("keep 64-bit integers exact", async () => {
    const { alerts, ask } = makeApi();
    const { id } = makeAlert(1);
    alerts.add(makeAlert(1));
    for (const path of ["/v1/alerts", `/v1/alerts/${id}`]) expect(await (await ask(path)).text()).toContain('"start":9007199254740993');
  });

  test.each([
    ["severity=critical", [3]],
    ["severity=high", [1, 3]],
    ["severity=low", [1, 2, 3]],
    ["rule=r.two", [2]],
    ["text=SHARED", [1, 3]],
    ["text=%25", []],
    [`since=${encodeURIComponent("2026-05-28T20:26:42.000000014Z")}`, [2, 3]],
    [`until=${encodeURIComponent("2026-05-28T22:26:42.000000014+02:00")}`, [1, 2]],
    ["rule=r.two&severity=high", []],
  ] as const)("are filtered by %s", async (query, expected) => {
    const { alerts, ask } = makeApi();
    alerts.add(makeAlert(1));
    alerts.add(makeAlert(2, { ruleId: "r.two", ruleName: "Two", severity: "medium" }));
    alerts.add(makeAlert(3, { severity: "critical" }));
    const response = await ask(`/v1/alerts?${query}`);
    expect(response.status).toBe(200);
    const { alerts: found } = (await response.json()) as { alerts: { id: string }[] };
    expect(found.map(({ id }) => Number(id))).toEqual([...expected].reverse());
  });

  test.each([
    ["limit=0", "invalid-query"],
    ["limit=1001", "invalid-query"],
    ["limit=1e3", "invalid-query"],
    ["limit=5&limit=6", "invalid-query"],
    ["severity=worst", "invalid-query"],
    ["severtiy=high", "invalid-query"],
    ["__proto__=1", "invalid-query"],
    ["since=yesterday", "invalid-query"],
    ["since=9999-12-31T23:59:59Z", "invalid-query"],
    ["cursor=zzz", "invalid-cursor"],
    [`cursor=${Buffer.from("k1:-5").toString("base64url")}`, "invalid-cursor"],
    ["text=", "invalid-query"],
  ])("refuse %s", async (query, code) => {
    const response = await makeApi().ask(`/v1/alerts?${query}`);
    expect([response.status, (await problemOf(response)).code]).toEqual([400, code]);
  });

  test("are read one by one", async () => {
    const { alerts, ask } = makeApi();
    alerts.add(makeAlert(1));
    expect(await (await ask(`/v1/alerts/${makeAlert(1).id}`)).json()).toMatchObject({
      id: makeAlert(1).id,
      rule: { id: "kestrel.exec-from-shm" },
    });
    expect((await ask(`/v1/alerts/${makeAlert(2).id}`)).status).toBe(404);
    expect((await problemOf(await ask("/v1/alerts/XYZ"))).code).toBe("invalid-path");
  });
});

describe("the agent", () => {
  test("tells its state", async () => {
    const { agent, ask } = makeApi();
    Object.assign(agent.dropped, { "ring-full": 3, "queue-full": 4 });
    expect(await (await ask("/v1/status")).json()).toMatchObject({
      version: "0.1.0",
      startedAt: "2026-05-28T20:26:40.000Z",
      events: {
        produced: 182_340,
        dropped: 7,
        droppedByCause: { "ring-full": 3, "queue-full": 4 },
        filtered: 11,
        filteredByCause: { "no-rule": 11 },
      },
      rules: { armed: 28 },
      records: [{ kind: "file", produced: 100, dropped: 3, filtered: 11 }],
      sensors: [
        { name: "exec", state: "on" },
        { name: "connect", state: "fallback" },
      ],
    });
  });

  test("is healthy only while armed, and says so to anyone", async () => {
    const { agent, api } = makeApi();
    expect((await api.app.request("/healthz")).status).toBe(200);
    agent.state = "draining";
    const response = await api.app.request("/healthz");
    expect([response.status, (await problemOf(response)).code]).toEqual([503, "draining"]);
  });

  test("gives metrics with escaped labels, its own among them", async () => {
    const { api, ask } = makeApi();
    await api.app.request("/v1/status");
    const response = await ask("/metrics");
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const text = await response.text();
    expect(text).toContain('# TYPE kestrel_events_total counter\nkestrel_events_total{source="a\\"b\\\\c\\nd"} 3\n');
    expect(text).toContain("kestrel_api_auth_failures_total 1\n");
    expect(text).toContain('kestrel_api_requests_total{status="401"} 1\n');
    for (const line of text.trimEnd().split("\n"))
      expect(line).toMatch(/^(# (HELP|TYPE) \S+ .+|[a-z_]+(\{[a-z_]+="([^"\\]|\\.)*"(,[a-z_]+="([^"\\]|\\.)*")*\})? [-+\dA-Za-z.]+)$/);
  });

  test("turns its own operating errors into 503 and our bugs into 500 that tells nothing", async () => {
    const { agent, ask, logged } = makeApi();
    agent.failWith = new KestrelError("store-full", "Cannot write the store: the disk is full");
    const known = await ask("/v1/status");
    expect([known.status, (await problemOf(known)).code]).toEqual([503, "store-full"]);
    agent.failWith = new Error("secret detail");
    const bug = await ask("/v1/status");
    expect(bug.status).toBe(500);
    expect(JSON.stringify(await problemOf(bug))).not.toContain("secret");
    expect(logged.join()).toContain("secret detail");
  });
});

describe("paths and methods", () => {
  test("unknown paths are 404 in the same body", async () => {
    const response = await makeApi().ask("/v2/nothing");
    expect([response.status, (await problemOf(response)).code]).toEqual([404, "not-found"]);
  });

  test.each([
    ["POST", "/v1/rules", "GET, HEAD"],
    ["POST", "/v1/rules/a", "DELETE, GET, HEAD, PATCH, PUT"],
    ["OPTIONS", "/v1/alerts", "GET, HEAD"],
    ["DELETE", "/v1/alerts/stream", "GET, HEAD"],
    ["POST", "/metrics", "GET, HEAD"],
    ["PUT", "/", "GET, HEAD"],
  ])("%s %s is 405 and says what is taken", async (method, path, allow) => {
    const response = await makeApi().ask(path, { method });
    expect([response.status, (await problemOf(response)).code]).toEqual([405, "method-not-allowed"]);
    expect(response.headers.get("allow")).toBe(allow);
    expect(response.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("HEAD answers without a body and opens no stream", async () => {
    const { alerts, ask } = makeApi();
    for (const path of ["/v1/status", "/v1/alerts/stream", "/"]) {
      const response = await ask(path, { method: "HEAD" });
      expect([response.status, await response.text()]).toEqual([200, ""]);
    }
    expect(alerts.listenerCount).toBe(0);
  });

  test("every answer carries the security headers", async () => {
    const { ask, api } = makeApi();
    const answers = [
      await ask("/v1/status"),
      await ask("/nope"),
      await api.app.request("/v1/status"),
      await ask("/"),
      await ask("/v1/alerts?limit=0"),
    ];
    for (const { headers } of answers) {
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
      expect(headers.get("content-security-policy")).not.toContain("unsafe");
    }
  });
});

test("every contract route asks for the token", async () => {
  const { api } = makeApi();
  const routes = [...Object.values(contract.rules), ...Object.values(contract.alerts), contract.status];
  expect(routes.length).toBeGreaterThan(7);
  for (const { method, path } of routes) {
    const url = path.replace(":id", "a");
    expect((await api.app.request(url, { method })).status).toBe(401);
    expect((await api.app.request(`${url}?token=${TOKEN}`, { method })).status).toBe(401);
  }
});
