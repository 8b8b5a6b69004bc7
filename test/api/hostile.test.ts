// Whatever comes in, the answer is one of ours: never 500, always the one error body, and what it echoes is JSON, not markup.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { makeAlert, makeApi } from "./fixture.ts";

const RUNS = { numRuns: 300, verbose: 1 } as const;
const METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];
const TYPES = [
  "application/json",
  "application/yaml",
  "application/toml",
  "text/x-eql",
  "text/html",
  "multipart/form-data",
  "",
  'application/json;;="',
  "constructor",
];

async function expectOurs(response: Response): Promise<void> {
  expect(response.status).toBeLessThan(500);
  if (response.status < 400 || response.body === null) return;
  expect(response.headers.get("content-type")).toBe("application/json");
  const text = await response.text();
  if (text !== "") expect(JSON.parse(text)).toMatchObject({ code: expect.any(String), message: expect.any(String) });
}

const segment = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }).map((text) => encodeURIComponent(text.toWellFormed())),
  fc.constantFrom(
    "..",
    ".",
    "%2e%2e",
    "%00",
    "%ff",
    "%E0%A4%A",
    "%",
    "v1",
    "rules",
    "alerts",
    "stream",
    "validate",
    "status",
    "__proto__",
    "constructor",
    "a".repeat(5000),
  ),
);

test("any path with any method", async () => {
  const { ask, alerts } = makeApi();
  alerts.add(makeAlert(1));
  await fc.assert(
    fc.asyncProperty(fc.array(segment, { maxLength: 6 }), fc.constantFrom(...METHODS), async (segments, method) => {
      const response = await ask(`/${segments.join("/")}`, { method });
      if (response.headers.get("content-type") === "text/event-stream") await response.body?.cancel();
      else await expectOurs(response);
    }),
    RUNS,
  );
});

test("any query", async () => {
  const { ask, alerts } = makeApi();
  for (let number = 1; number <= 5; number++) alerts.add(makeAlert(number));
  const names = fc.oneof(
    fc.constantFrom("rule", "severity", "since", "until", "text", "limit", "cursor", "__proto__", "toString"),
    fc.string(),
  );
  const values = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.integer().map(String),
    fc.date().map(String),
    fc.base64String(),
    fc.constantFrom("%_\\", "'; drop table alerts; --", "k1:1"),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(names, values), { maxLength: 5 }), async (pairs) => {
      const query = pairs
        .map(([name, value]) => `${encodeURIComponent(name.toWellFormed())}=${encodeURIComponent(value.toWellFormed())}`)
        .join("&");
      await expectOurs(await ask(`/v1/alerts?${query}`));
    }),
    RUNS,
  );
  await fc.assert(
    fc.asyncProperty(fc.string(), async (query) => expectOurs(await ask(`/v1/alerts?${query.replace(/[#\s]/g, "")}`))),
    RUNS,
  );
});

test("any body with any media type", async () => {
  const { ask } = makeApi();
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.json().map((text) => new TextEncoder().encode(text)),
    fc
      .record({ format: fc.constantFrom("yaml", "json", "eql", "toml", "xml"), text: fc.string({ unit: "binary" }) })
      .map((body) => new TextEncoder().encode(JSON.stringify(body))),
  );
  await fc.assert(
    fc.asyncProperty(bodies, fc.constantFrom(...TYPES), fc.constantFrom("validate", "a.one"), async (body, type, id) => {
      const method = id === "validate" ? "POST" : "PUT";
      await expectOurs(await ask(`/v1/rules/${id}`, { method, headers: { "content-type": type }, body }));
    }),
    RUNS,
  );
});

test("any header", async () => {
  const { ask, api } = makeApi();
  const printable = fc.stringMatching(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/);
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("if-match", "if-none-match", "last-event-id", "content-type", "host", "authorization", "content-length"),
      printable,
      async (name, value) => {
        const headers = { "content-type": "application/yaml", [name]: value };
        await expectOurs(await ask("/v1/rules/a.one", { method: "PUT", headers, body: "id: a.one" }));
        await expectOurs(await api.app.request("/v1/status", { headers }));
      },
    ),
    RUNS,
  );
});
