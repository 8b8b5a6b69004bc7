// The network sensors on this machine's own kernel: sockets bound, listening and sending, by real programs, each by every kind of call.
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { inspectMachine } from "#ebpf";
import { compileActs } from "../kernels/initramfs.ts";
import { type Fields, liveSource, refusal } from "./live.ts";

setDefaultTimeout(60_000);
const isX64 = process.arch === "x64";
if (refusal !== undefined) console.log(`skipped: network acts on the real kernel (${refusal})`);
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
const hasSend = hasBest("send", "cgroup/sendmsg");

describe.skipIf(refusal !== undefined)("sockets", () => {
  const { folder, run } = liveSource();
  const program = join(folder, "network-acts");
  beforeAll(() => compileActs("network-acts", program));

  async function act(...args: readonly string[]): Promise<{ readonly events: readonly Fields[]; readonly ports: readonly bigint[] }> {
    const { events, output } = await run([program, ...args], "network");
    return { events, ports: output.trim().split(/\s+/).map(BigInt) };
  }

  const actionsOf = (events: readonly Fields[]): readonly unknown[] => events.map((fields) => fields["event.action"]);

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
});
