// The server on a real socket: ports, refusals, and a stop that does not cut answers off.
import { expect, test } from "bun:test";
import { type RunningServer, type ServerOptions, startServer } from "#api";
import { SystemClock } from "#core";
import { MemoryAgent, MemoryAlerts, MemoryIsolation, makeAlert, TOKEN } from "./fixture.ts";

function start(options: Partial<ServerOptions> = {}): RunningServer & AsyncDisposable & { readonly alerts: MemoryAlerts } {
  const alerts = new MemoryAlerts();
  const server = startServer({
    listen: "127.0.0.1:0",
    agent: new MemoryAgent(),
    alerts,
    isolation: new MemoryIsolation(),
    clock: new SystemClock(),
    token: TOKEN,
    validateResponses: true,
    ...options,
  });
  return { ...server, alerts, [Symbol.asyncDispose]: () => server.stop() };
}

const AUTHORIZED = { authorization: `Bearer ${TOKEN}` };

test("port 0 is a free port, and the answer is really ours", async () => {
  await using server = start();
  expect(server.port).toBeGreaterThan(0);
  expect(server.url).toBe(`http://127.0.0.1:${server.port}/`);
  const response = await fetch(`${server.url}v1/status`, { headers: AUTHORIZED });
  expect([response.status, response.headers.get("cache-control")]).toEqual([200, "no-store"]);
  expect((await fetch(`${server.url}v1/status`)).status).toBe(401);
});

test("a port in use is said so by name", async () => {
  await using server = start();
  expect(() => start({ listen: `127.0.0.1:${server.port}` })).toThrow(
    `Cannot listen on "127.0.0.1:${server.port}": the port is in use (EADDRINUSE)`,
  );
});

test("an address that is not this machine's is a named error", () => {
  expect(() => start({ listen: "192.0.2.1:0" })).toThrow('Cannot listen on "192.0.2.1:0"');
});

test.each(["0.0.0.0:0", "[::]:0", "edr.example:0"])("%s is refused without a token", (listen) => {
  expect(() => start({ listen, token: undefined })).toThrow(`Cannot listen on "${listen}" without a token`);
  expect(() => start({ listen, token: "short" })).toThrow("at least 32 characters");
});

test("loopback needs no token, and refuses other sites' names", async () => {
  await using server = start({ token: undefined });
  expect((await fetch(`${server.url}v1/status`)).status).toBe(200);
  expect((await fetch(`${server.url}v1/status`, { headers: { host: "evil.example" } })).status).toBe(403);
});

test.each([
  ["no Host header", ""],
  ["an empty Host header", "Host: \r\n"],
  ["a Host header that is no address", "Host: [::\r\n"],
  ["a port out of range", "Host: a:99999\r\n"],
  ["a space in it", "Host: a b\r\n"],
])("%s is refused before the path is looked at", async (_, header) => {
  await using server = start({ listen: "0.0.0.0:0" });
  // Were the path cut at a wrong place, /page.css would be served to anyone.
  for (const path of ["/v1/status", "/12345678/page.css"]) {
    const answer = await rawRequest(server.port, `GET ${path} HTTP/1.0\r\n${header}Authorization: Bearer ${TOKEN}\r\n\r\n`);
    expect(answer).toStartWith("HTTP/1.1 400 ");
    expect(answer).toContain('"code":"invalid-host"');
  }
});

async function rawRequest(port: number, text: string): Promise<string> {
  const answer = Promise.withResolvers<string>();
  let received = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_, bytes) {
        received += bytes.toString();
        if (received.includes("}")) answer.resolve(received);
      },
      close: () => answer.resolve(received),
    },
  });
  socket.write(text);
  const got = await answer.promise;
  socket.end();
  return got;
}

test("a stop ends streams and closes the port; twice is fine", async () => {
  const server = start();
  const response = await fetch(`${server.url}v1/alerts/stream`, { headers: AUTHORIZED });
  server.alerts.add(makeAlert(1));
  const reading = response.text();
  await Promise.all([server.stop(), server.stop()]);
  expect(await reading).toStartWith("retry: 2000\nevent: ready\nid: 0\n");
  expect(server.alerts.listenerCount).toBe(0);
  await expect(fetch(server.url)).rejects.toThrow();
});

test("a stop lets an answer under way finish", async () => {
  let finish = (): void => undefined;
  const reached = Promise.withResolvers<void>();
  class SlowAgent extends MemoryAgent {
    override async putRule(...rule: Parameters<MemoryAgent["putRule"]>): ReturnType<MemoryAgent["putRule"]> {
      reached.resolve();
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return super.putRule(...rule);
    }
  }
  const server = start({ agent: new SlowAgent() });
  const headers = { ...AUTHORIZED, "content-type": "application/yaml" };
  const answer = fetch(`${server.url}v1/rules/a.one`, { method: "PUT", headers, body: "id: a.one" });
  await reached.promise;
  const stopping = server.stop();
  finish();
  expect((await answer).status).toBe(201);
  await stopping;
});

test("a client that leaves its stream is forgotten", async () => {
  await using server = start();
  const control = new AbortController();
  const response = await fetch(`${server.url}v1/alerts/stream`, { headers: AUTHORIZED, signal: control.signal });
  await response.body!.getReader().read();
  expect(server.alerts.listenerCount).toBe(1);
  const left = Promise.withResolvers<void>();
  const check = setInterval(() => {
    if (server.alerts.listenerCount === 0) left.resolve();
  }, 5);
  control.abort();
  await left.promise;
  clearInterval(check);
});
