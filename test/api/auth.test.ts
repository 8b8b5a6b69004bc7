// Who may ask: tokens, Host headers, the token file and the addresses to listen on.
import { afterEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { isLoopback, loadOrCreateToken, parseListen } from "#api";
import { makeApi, TOKEN } from "./fixture.ts";

describe("the token", () => {
  test.each([
    ["none", undefined],
    ["empty", ""],
    ["another", `Bearer ${"0".repeat(64)}`],
    ["a part of it", `Bearer ${TOKEN.slice(0, 63)}`],
    ["more than it", `Bearer ${TOKEN}0`],
    ["twice", `Bearer ${TOKEN} ${TOKEN}`],
    ["another scheme", `Basic ${TOKEN}`],
    ["without scheme", TOKEN],
  ])("%s is refused", async (_, authorization) => {
    const { api } = makeApi();
    for (const path of ["/v1/status", "/metrics", "/openapi.json", "/v1/alerts/stream", "/nothing"]) {
      const response = await api.app.request(path, authorization === undefined ? {} : { headers: { authorization } });
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toBe('Bearer realm="kestrel"');
      expect(await response.json()).toMatchObject({ code: "unauthorized" });
    }
  });

  test("is taken with any case of the scheme", async () => {
    const { ask } = makeApi();
    expect((await ask("/v1/status", { headers: { authorization: `bearer ${TOKEN}` } })).status).toBe(200);
  });

  test("is not needed for the page and for health, which hold no data", async () => {
    const { api } = makeApi();
    for (const path of ["/", "/page.js", "/page.css", "/alert-view.js", "/icon.svg", "/healthz"])
      expect((await api.app.request(path)).status).toBe(200);
  });

  test("is not needed when there is none", async () => {
    const { api } = makeApi({ token: undefined });
    expect((await api.app.request("/v1/status")).status).toBe(200);
  });

  test("guessed wrong many times gives one log line in ten seconds and a full count", async () => {
    const { api, ask, clock, logged } = makeApi();
    for (let guess = 0; guess < 50; guess++) await api.app.request("/v1/status", { headers: { authorization: `Bearer ${guess}` } });
    expect(logged).toEqual(['warn Refused API requests {"reason":"wrong token","count":1}']);
    clock.advance(10_001);
    await api.app.request("/v1/status");
    expect(logged[1]).toBe('warn Refused API requests {"reason":"no bearer token","count":50}');
    expect(await (await ask("/metrics")).text()).toContain("kestrel_api_auth_failures_total 51");
  });
});

describe("the Host header", () => {
  test.each(["localhost", "localhost:8490", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:65535", "127.8.8.8", "[::1]", "[::1]:80"])(
    "%s is this machine",
    async (host) => {
      expect((await makeApi().ask("/v1/status", { headers: { host } })).status).toBe(200);
    },
  );

  test.each([
    "evil.example",
    "evil.example:8490",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "127.evil",
    "0.0.0.0",
    "[::2]",
    "10.0.0.1",
    "::1",
    "a b",
    "localhost:1:2",
  ])("%s is another site's name for it", async (host) => {
    for (const path of ["/v1/status", "/", "/healthz"]) {
      const response = await makeApi().ask(path, { headers: { host } });
      expect(response.status).toBe(403);
      expect(await response.json()).toMatchObject({ code: "wrong-host" });
    }
  });

  test("may be anything when listening beyond loopback", async () => {
    expect((await makeApi({ loopbackOnly: false }).ask("/v1/status", { headers: { host: "edr.example" } })).status).toBe(200);
  });
});

describe("the token file", () => {
  const folders: string[] = [];
  const folder = (): string => {
    const path = mkdtempSync(join(tmpdir(), "kestrel-token-"));
    folders.push(path);
    return path;
  };
  afterEach(() => {
    for (const path of folders.splice(0)) rmSync(path, { recursive: true, force: true });
  });

  test("is made once, for its owner alone", () => {
    const path = join(folder(), "token");
    const first = loadOrCreateToken(path);
    expect(first).toEqual({ token: expect.stringMatching(/^[0-9a-f]{64}$/), created: true });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, "utf8")).toBe(`${first.token}\n`);
    expect(loadOrCreateToken(path)).toEqual({ token: first.token, created: false });
    expect(loadOrCreateToken(join(folder(), "token")).token).not.toBe(first.token);
  });

  test.each([0o644, 0o660, 0o602, 0o640])("of mode %o is refused and left as it is", (mode) => {
    const path = join(folder(), "token");
    writeFileSync(path, TOKEN);
    chmodSync(path, mode);
    expect(() => loadOrCreateToken(path)).toThrow(`Cannot use the token file "${path}": its mode is 0${mode.toString(8)}`);
    expect(statSync(path).mode & 0o777).toBe(mode);
  });

  test.each([["a symbolic link", symlinkSync]] as const)("that is %s is refused, wherever it leads", (_, make) => {
    const inside = folder();
    writeFileSync(join(inside, "real"), TOKEN, { mode: 0o600 });
    make(join(inside, "real"), join(inside, "token"));
    expect(() => loadOrCreateToken(join(inside, "token"))).toThrow("symbolic link");
    make(join(inside, "nowhere"), join(inside, "dangling"));
    expect(() => loadOrCreateToken(join(inside, "dangling"))).toThrow("symbolic link");
    linkSync(join(inside, "real"), join(inside, "hard"));
    expect(loadOrCreateToken(join(inside, "hard")).created).toBe(false);
  });

  test.each([
    ["empty", ""],
    ["short", "abc"],
    ["long", `${TOKEN}\n\n`],
    ["not hex", "g".repeat(64)],
  ])("that is %s is refused", (_, text) => {
    const path = join(folder(), "token");
    writeFileSync(path, text, { mode: 0o600 });
    expect(() => loadOrCreateToken(path)).toThrow("does not hold 64 hex digits");
  });

  test("that is a folder or a pipe is refused without waiting", () => {
    const inside = folder();
    mkdirSync(join(inside, "token"), { mode: 0o700 });
    expect(() => loadOrCreateToken(join(inside, "token"))).toThrow("not a regular file");
    const made = Bun.spawnSync(["mkfifo", "-m", "600", join(inside, "pipe")]);
    expect(made.exitCode).toBe(0);
    expect(() => loadOrCreateToken(join(inside, "pipe"))).toThrow("not a regular file");
  });

  test("in a folder that does not exist is an error that names it", () => {
    const path = join(folder(), "no", "token");
    expect(() => loadOrCreateToken(path)).toThrow(`Cannot create the token file "${path}"`);
  });

  const isRoot = process.geteuid?.() === 0;
  if (!isRoot) console.log("Skipped: a token file of another user, because only root can give a file away");
  test.skipIf(!isRoot)("of another user is refused", () => {
    const path = join(folder(), "token");
    writeFileSync(path, TOKEN, { mode: 0o600 });
    chownSync(path, 65_534, 65_534);
    expect(() => loadOrCreateToken(path)).toThrow("it belongs to user 65534");
  });
});

describe("addresses", () => {
  test.each([
    ["127.0.0.1:0", "127.0.0.1", 0],
    ["[::1]:8080", "::1", 8080],
    [":8080", "127.0.0.1", 8080],
    ["localhost:80", "localhost", 80],
    ["0.0.0.0:65535", "0.0.0.0", 65_535],
    ["[::]:1", "::", 1],
    ["edr.example:443", "edr.example", 443],
  ])("%s", (text, host, port) => {
    expect(parseListen(text)).toEqual({ host, port });
  });

  test.each([
    "",
    "8080",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:65536",
    "127.0.0.1:-1",
    "127.0.0.1:8o",
    "::1:80",
    "[::1]",
    "[1.2.3.4]:1",
    "256.0.0.1:1",
    "a b:1",
    "-a:1",
    "http://a:1",
  ])("%j is refused with the form that is expected", (text) => {
    expect(() => parseListen(text)).toThrow(`Cannot listen on ${JSON.stringify(text)}`);
  });

  test("never throw anything but the named error, and loopback never reaches further", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.domain()), fc.nat(70_000), (host, port) => {
        try {
          parseListen(`${host}:${port}`);
        } catch (error) {
          expect(error).toMatchObject({ name: "KestrelError", code: "invalid-listen" });
        }
        if (isLoopback(host)) expect(host).toMatch(/^(127(\.\d{1,3}){3}|::1|localhost)$/i);
      }),
    );
  });
});
