// The network sensors on this machine's own kernel: sockets bound, listening, accepting and sending, and DNS, by real programs, each by every
// kind of call.
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EbpfSource, inspectMachine } from "#ebpf";
import { SchemaRegistry } from "#schema";
import { compileActs } from "../kernels/initramfs.ts";
import { type Fields, liveSource, refusal } from "./live.ts";

setDefaultTimeout(60_000);
const isX64 = process.arch === "x64";
if (refusal !== undefined) console.log(`skipped: network acts on the real kernel (${refusal})`);
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("skipped: DNS (only root can serve port 53)");
if (!isX64) console.log("skipped: 32-bit calls (the test knows x86 only)");
const compat = isX64 ? ["32", "socketcall"] : [];
const { sensors } = inspectMachine();

/** Whether a sensor is attached in the way that sees all it can; says so when not. */
function hasBest(name: string, attachment: string): boolean {
  const has = sensors.some(({ sensor, attachment: used }) => sensor === name && used === attachment);
  if (!has && refusal === undefined) console.log(`skipped: acts for ${attachment} (not attached here)`);
  return has;
}

const hasBind = hasBest("bind", "cgroup/post_bind + raw_tp/inet_sock_set_state");
const hasDns = hasBest("dns", "cgroup_skb");
const hasSend = hasBest("send", "cgroup/sendmsg");

describe.skipIf(refusal !== undefined)("sockets", () => {
  const { folder, run, collector } = liveSource();
  const program = join(folder, "network-acts");
  beforeAll(() => compileActs("kernels/network-acts", program));

  interface Act {
    readonly pid: number;
    readonly events: readonly Fields[];
    /** The ports it printed. */
    readonly ports: readonly bigint[];
  }

  async function act(...args: readonly string[]): Promise<Act> {
    const { pid, events, output } = await run([program, ...args], "network");
    return { pid, events, ports: output.trim().split(/\s+/).map(BigInt) };
  }

  const actionsOf = (events: readonly Fields[]): readonly unknown[] => events.map((fields) => fields["event.action"]);

  const acceptBlind = sensors.find(({ sensor }) => sensor === "accept")?.blind ?? [];
  const sees = (how: string): boolean => how !== "uring" || !acceptBlind.includes("connections accepted through io_uring");
  for (const how of ["plain", "accept4", ...compat, "uring"]) {
    test(`accept by ${how}: ${sees(how) ? "both ends, the far one as the source" : "not seen, as doctor says"}`, async () => {
      for (const ip of ["127.0.0.1", "::1"]) {
        const { events, ports } = await act("accept", how, ip, "0");
        const accepted = {
          "event.category": ["network"],
          "event.type": ["start"],
          "event.action": "connection_accepted",
          "source.ip": ip,
          "source.port": ports[0],
          "destination.ip": ip,
          "destination.port": ports[1],
          "network.transport": "tcp",
          "network.type": ip === "::1" ? "ipv6" : "ipv4",
          "network.direction": "ingress",
          "process.executable": program,
        };
        const seen = events.filter((fields) => fields["event.action"] === "connection_accepted");
        if (sees(how)) expect(seen).toMatchObject([accepted]);
        expect(seen).toHaveLength(sees(how) ? 1 : 0);
      }
    });
  }

  test("a connection over IPv6 that carries IPv4: the address is that of IPv4", async () => {
    const { events } = await act("accept", "plain", "::ffff:127.0.0.1", "0");
    const seen = events.find((fields) => fields["event.action"] === "connection_accepted");
    expect(seen).toMatchObject({ "source.ip": "127.0.0.1", "destination.ip": "127.0.0.1", "network.type": "ipv4" });
  });

  const unixBlind = String(sensors.find(({ sensor }) => sensor === "unix")?.blind);
  const seesLocal = (how: string): boolean => (how !== "uring" && how !== "socketcall") || !unixBlind.includes("io_uring");
  for (const how of ["plain", ...compat, "uring"]) {
    test(`a local socket by ${how}: ${seesLocal(how) ? "the file its server bound" : "not seen, as doctor says"}`, async () => {
      const path = join(folder, `${how}.sock`);
      const { events } = await act("unix", how, path);
      const connected = {
        "event.category": ["network"],
        "event.type": ["info"],
        "event.action": "unix_connect",
        "file.path": path,
        "file.name": `${how}.sock`,
        "destination.address": path,
        "network.transport": "unix",
        "process.executable": program,
      };
      const local = events.filter((fields) => fields["event.action"] === "unix_connect");
      expect(local).toMatchObject(seesLocal(how) ? [connected] : []);
      expect(local).toHaveLength(seesLocal(how) ? 1 : 0);
    });
  }

  test("local sockets: through a symbolic link and a relative name the server's own path; an abstract name", async () => {
    symlinkSync(folder, join(folder, "link"));
    const linked = await act("unix", "plain", "link/linked.sock");
    expect(linked.events).toMatchObject([{ "event.action": "unix_connect", "file.path": join(folder, "linked.sock") }]);
    const name = `@kestrel-${process.pid}`;
    const abstract = await act("unix", "plain", name);
    expect(abstract.events).toMatchObject([{ "event.action": "unix_connect", "destination.address": name }]);
    expect(abstract.events[0]).not.toContainKey("file.path");
  });

  for (const how of ["plain", ...compat, "uring"]) {
    test.skipIf(!hasBind)(`bind by ${how}: address, and the port the kernel chose`, async () => {
      const { events, ports } = await act("bind", how, "tcp", "127.0.0.1", "0");
      // io_uring binds since 6.11; before, the act fails and is no event.
      if (how === "uring" && ports[0] === 0n) return console.log("not shown: bind by io_uring (not in this kernel)");
      expect(events).toMatchObject([
        {
          "event.category": ["network"],
          "event.type": ["info"],
          "event.action": "bind",
          "destination.ip": "127.0.0.1",
          "destination.port": ports[0],
          "network.transport": "tcp",
          "network.type": "ipv4",
          "network.direction": "ingress",
          "process.executable": program,
          "kestrel.sensor": "cgroup/post_bind + raw_tp/inet_sock_set_state",
        },
      ]);
      expect(events).toHaveLength(1);
    });

    test.skipIf(!hasBind)(`listen by ${how}: where, after the bind`, async () => {
      const { events, ports } = await act("listen", how, "::1", "0");
      if (how === "uring" && ports[0] === 0n) return console.log("not shown: listen by io_uring (not in this kernel)");
      expect(actionsOf(events)).toEqual(["bind", "listen"]);
      const where = { "destination.ip": "::1", "destination.port": ports[0], "network.transport": "tcp", "network.type": "ipv6" };
      expect(events).toMatchObject([where, { ...where, "event.type": ["info"], "network.direction": "ingress" }]);
    });
  }

  test.skipIf(!hasBind)("a port chosen for an outgoing connection is no bind; UDP that is bound is one", async () => {
    const { events } = await act("bind", "plain", "udp", "::", "0");
    expect(events).toMatchObject([{ "event.action": "bind", "network.transport": "udp", "destination.ip": "::" }]);
    const client = await run(["/bin/bash", "-c", ": < /dev/udp/127.0.0.1/9; : < /dev/tcp/127.0.0.1/1"], "network");
    expect(actionsOf(client.events)).toEqual(["connection_attempted", "connection_attempted"]);
  });

  for (const how of ["plain", "sendmsg", "sendmmsg", ...compat, "uring"]) {
    test.skipIf(!hasSend)(`datagrams by ${how}: once for each socket and destination`, async () => {
      const { events } = await act("send", how, "5", "127.0.0.1", "9");
      const sent = {
        "event.type": ["start"],
        "event.action": "connection_attempted",
        "destination.ip": "127.0.0.1",
        "destination.port": 9n,
        "network.transport": "udp",
        "network.direction": "egress",
        "kestrel.sensor": "cgroup/sendmsg",
      };
      expect(events).toMatchObject([sent, sent]);
      expect(events).toHaveLength(2);
      expect(events[0]?.["source.port"]).not.toBe(events[1]?.["source.port"]);
    });
  }

  test.skipIf(!hasSend)("datagrams over IPv6, and to IPv4 through a socket of IPv6", async () => {
    expect((await act("send", "plain", "1", "::1", "9")).events).toMatchObject([{ "destination.ip": "::1", "network.type": "ipv6" }]);
    const mapped = await act("send", "plain", "1", "::ffff:127.0.0.1", "9");
    expect(mapped.events).toMatchObject([{ "destination.ip": "127.0.0.1", "destination.port": 9n, "network.type": "ipv4" }]);
  });

  /** An address of the loopback network whose port 53 is nobody else's. */
  const nameServer = (): string => `127.${1 + Math.floor(Math.random() * 254)}.${Math.floor(Math.random() * 256)}.53`;

  for (const how of ["connected", "plain", "sendmsg", "sendmmsg", ...compat, "uring"]) {
    test.skipIf(!hasDns || !isRoot)(`DNS by ${how}: the question and the answer of one process`, async () => {
      const server = nameServer();
      const { events, pid } = await act("dns", how, server, "53", "www.example.test");
      const lookups = events.filter((fields) => String(fields["event.action"]).startsWith("lookup_"));
      const same = {
        "event.category": ["network", "dns"],
        "event.type": ["protocol"],
        "process.pid": BigInt(pid),
        "process.executable": program,
        "network.protocol": "dns",
        "network.transport": "udp",
        "dns.id": String(0x1234),
        "dns.question.name": "www.example.test",
        "dns.question.type": "A",
        "dns.question.class": "IN",
        "kestrel.sensor": "cgroup_skb",
      };
      expect(lookups).toMatchObject([
        { ...same, "event.action": "lookup_requested", "dns.type": "query", "network.direction": "egress", "destination.ip": server },
        {
          ...same,
          "event.action": "lookup_result",
          "dns.type": "answer",
          "network.direction": "ingress",
          "source.ip": server,
          "source.port": 53n,
          "dns.response_code": "NOERROR",
          "dns.answers.name": ["www.example.test", "alias.www.example.test"],
          "dns.answers.type": ["CNAME", "A"],
          "dns.answers.data": ["alias.www.example.test", "192.0.2.7"],
          "dns.answers.ttl": [300n, 60n],
          "dns.resolved_ip": ["192.0.2.7"],
        },
      ]);
      expect(lookups).toHaveLength(2);
      expect(lookups[0]).not.toContainKey("dns.response_code");
      expect(lookups[0]?.["process.entity_id"]).toEqual(lookups[1]?.["process.entity_id"]);
      expect(lookups[0]?.["source.port"]).toEqual(lookups[1]?.["destination.port"]);
      expect(lookups[0]!["@timestamp"]! < lookups[1]!["@timestamp"]!).toBe(true);
      // The server's side of the same packets is no event: it asked nothing.
      const isServers = (fields: Fields): boolean =>
        fields["destination.port"] === lookups[0]?.["source.port"] &&
        fields["process.pid"] !== BigInt(pid) &&
        fields["network.protocol"] === "dns";
      expect(collector.all(isServers)).toEqual([]);
    });
  }

  test.skipIf(!hasDns || !isRoot)(
    "DNS over one connection: two questions, and answers as far as their first segment holds them",
    async () => {
      const server = nameServer();
      const { events, pid } = await act("dns", "stream", server, "53", "long.example.test");
      const lookups = events.filter((fields) => String(fields["event.action"]).startsWith("lookup_"));
      const same = {
        "process.pid": BigInt(pid),
        "network.protocol": "dns",
        "network.transport": "tcp",
        "dns.id": String(0x1234),
        "dns.question.name": "long.example.test",
      };
      const query = { ...same, "event.action": "lookup_requested", "destination.ip": server, "destination.port": 53n };
      const answer = { ...same, "event.action": "lookup_result", "source.ip": server, "dns.response_code": "NOERROR" };
      expect(lookups).toMatchObject([
        query,
        { ...answer, "dns.resolved_ip": ["192.0.2.7"], "dns.answers.type": ["CNAME", "A"] },
        query,
        { ...answer, "dns.answers.type": ["CNAME"] },
      ]);
      expect(lookups[1]).not.toContainKey("kestrel.truncated");
      expect(lookups).toHaveLength(4);
      const others = collector.all((fields) => fields["dns.question.name"] === "long.example.test");
      expect(others).toHaveLength(4);
    },
  );

  test.skipIf(!hasDns)("something else at the port of DNS: asked, with no fields of DNS", async () => {
    const { events } = await act("send", "plain", "1", nameServer(), "53");
    const [lookup] = events.filter((fields) => fields["event.action"] === "lookup_requested");
    expect(lookup).toMatchObject({ "destination.port": 53n, "network.transport": "udp" });
    expect(lookup).not.toContainAnyKeys(["network.protocol", "dns.type", "dns.question.name"]);
  });
});

test.skipIf(refusal !== undefined || !hasBind)(
  "a flood of sockets pushes no process out: what is dropped is counted, and is of its own ring",
  async () => {
    const registry = new SchemaRegistry();
    const source = new EbpfSource({ registry, activityRingBytes: 64 << 10, processRingBytes: 16 << 20 });
    const folder = mkdtempSync(join(tmpdir(), "kestrel-flood-"));
    try {
      const program = join(folder, "network-acts");
      compileActs("kernels/network-acts", program);
      let pushed = 0;
      await source.start({ push: () => ++pushed > 0, ready: async () => {} });
      // The thread waits and reads nothing meanwhile.
      expect(Bun.spawnSync([program, "flood", "20000"]).exitCode).toBe(0);
      await source.stop();
      const { kernel } = source.counts();
      expect(kernel.bind.produced).toBeGreaterThanOrEqual(20_000);
      expect(kernel.bind.dropped).toBeGreaterThan(10_000);
      expect(kernel.exec.dropped + kernel.fork.dropped + kernel.exit.dropped + kernel.act.dropped).toBe(0);
      expect(source.produced).toBe(pushed + Object.values(source.losses()).reduce((sum, count) => sum + count, 0));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
