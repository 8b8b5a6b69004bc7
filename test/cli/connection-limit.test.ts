// Too many connections to a server in this process: the newest are cut, the others and the server go on.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readlinkSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { connectionsAt, descriptorsMax, endConnection } from "#ffi/sockets";
import { CONNECTIONS_MAX, ConnectionLimit } from "../../src/cli/connection-limit.ts";
import { eventually } from "./program.ts";

setDefaultTimeout(60_000);

const server = Bun.serve({ hostname: "127.0.0.1", port: 0, idleTimeout: 60, fetch: () => new Response("here") });
const port = server.port as number;
const limit = new ConnectionLimit();
const sockets: Socket[] = [];
afterAll(async () => {
  limit.close();
  for (const socket of sockets) socket.destroy();
  await server.stop(true);
});

const open = (): number => connectionsAt(port, descriptorsMax()).length;
const answer = async (): Promise<string> => await (await fetch(server.url, { keepalive: false })).text();

/** Opens connections that each send the beginning of a request. */
async function flood(count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, async () => {
      const socket = connect({ host: "127.0.0.1", port });
      sockets.push(socket);
      socket.on("error", () => undefined);
      await new Promise((resolve) => socket.once("connect", resolve).once("close", resolve));
      socket.write("GET / HTTP/1.1\r\nHost: x\r\n");
    }),
  );
}

test("as many connections as are allowed stay, those beyond are cut and told of", async () => {
  limit.start(port);
  await flood(100);
  await eventually(
    () => `100 connections, not ${open()}`,
    () => open() >= 100 || undefined,
  );
  const first = sockets.slice(0, 100);
  expect(await answer()).toBe("here");
  await flood(CONNECTIONS_MAX + 100);
  await eventually(
    () => `${CONNECTIONS_MAX} connections, not ${open()}`,
    () => sockets.filter(({ readyState }) => readyState === "open").length === CONNECTIONS_MAX || undefined,
  );
  expect(first.filter(({ readyState }) => readyState === "open")).toHaveLength(100);
  const [finding] = limit.look();
  expect(finding?.message).toMatch(/^20[01] connections to the API were cut: more than 256 were open$/);
  expect(limit.look()).toEqual([]);
});

test("a server that was flooded answers when the others have gone", async () => {
  for (const socket of sockets) socket.destroy();
  await eventually(
    () => `no connection, not ${open()}`,
    () => open() === 0 || undefined,
  );
  expect(await answer()).toBe("here");
});

test("a connection that is over already is no error, a descriptor that is none is", async () => {
  const before = new Set(socketsOpen().values());
  const unconnected = await Bun.udpSocket({});
  const [fd] = [...socketsOpen()].find(([, link]) => !before.has(link)) ?? [];
  endConnection(fd as number);
  unconnected.close();
  expect(() => endConnection(descriptorsMax())).toThrow("EBADF");
});

/** Sockets of this process by descriptor, as the kernel names them. */
function socketsOpen(): ReadonlyMap<number, string> {
  const links = readdirSync("/proc/self/fd").map((fd) => [Number(fd), linkOf(fd)] as const);
  return new Map(links.filter(([, link]) => link.startsWith("socket:")));
}

function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "";
  }
}
