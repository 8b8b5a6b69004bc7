// Policies about servers in this machine's kernel: addresses denied as they are bound, by the control group's programs, and sockets that would listen.
// Ports are those the kernel chose for a socket of the test's own a moment before.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { createServer } from "node:net";
import { join } from "node:path";
import { kernelConditionOf } from "#eql";
import { type RulePolicy, SchemaRegistry } from "#schema";
import { policyOf } from "../../src/engine/ladder.ts";
import { compileActs } from "../kernels/initramfs.ts";
import { type Fields, liveSource, refusal } from "./live.ts";

setDefaultTimeout(60_000);
const registry = new SchemaRegistry();

/** Against the test's own program only: the machine has other servers. */
function policy(ruleId: string, query: string, action: "deny" | "kill" = "deny"): RulePolicy {
  const text = `${query} and process.name == "network-acts"`;
  const condition = kernelConditionOf({ id: ruleId, text, dialect: "default", exceptions: [], lenientFields: false }, registry);
  const found = policyOf({ id: ruleId, action, mode: "enforce", scope: "process" }, condition);
  if (found === undefined) throw new Error(`not decidable: ${text}`);
  return found;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

if (refusal !== undefined) console.log(`skipped: policies about servers: ${refusal}`);

describe.skipIf(refusal !== undefined)("policies about servers", () => {
  const live = liveSource();
  const { collector } = live;
  const program = join(live.folder, "network-acts");
  const use = async (policies: readonly RulePolicy[], isEnforced = true): Promise<void> => {
    live.source.usePolicies({ policies, isEnforced: () => isEnforced, protectedFiles: [], spared: [] });
    await live.source.settled();
  };
  /** Does an act with a socket; what it printed, how it ended, and its events. */
  const act = async (...words: readonly string[]) => {
    if (!(await Bun.file(program).exists())) compileActs("kernels/network-acts", program);
    const child = Bun.spawn([program, ...words], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
    const stderr = await new Response(child.stderr).text();
    await child.exited;
    const isIts = (fields: Fields): boolean => fields["process.pid"] === BigInt(child.pid);
    await collector.find((fields) => isIts(fields) && fields["event.action"] === "end");
    const events = collector.all((fields) => isIts(fields) && (fields["event.category"] as readonly string[]).includes("network"));
    return { ended: child.signalCode ?? child.exitCode, stderr, events };
  };

  test("an address is denied as it is bound, others are not; it is told once", async () => {
    const port = await freePort();
    await use([policy("no-server", `network where event.action == "bind" and destination.port == ${port}`)]);
    for (const [transport, address] of [
      ["tcp", "127.0.0.1"],
      ["udp", "::1"],
      ["tcp", "::ffff:127.0.0.1"],
    ] as const) {
      const { ended, stderr, events } = await act("bind", "plain", transport, address, String(port));
      expect({ ended, stderr }).toEqual({ ended: 1, stderr: expect.stringContaining("Operation not permitted") });
      expect(events).toMatchObject([
        {
          "event.action": "bind",
          "event.type": ["info", "denied"],
          "event.outcome": "failure",
          "destination.ip": address.replace("::ffff:", ""),
          "destination.port": BigInt(port),
          "network.transport": transport,
          "network.direction": "ingress",
          "kestrel.policy.acted": ["no-server"],
          "kestrel.policy.means": "cgroup",
          "kestrel.sensor": "deny/cgroup",
        },
      ]);
    }
    const other = await act("bind", "plain", "tcp", "127.0.0.1", String(await freePort()));
    expect(other).toMatchObject({ ended: 0, events: [{ "event.type": ["info"] }] });
    expect(other.events[0]).not.toHaveProperty("kestrel.policy.matched");
    expect(live.source.policies.status().deniers).toEqual([{ act: "bind", means: "cgroup", refused: [] }]);
    // What was denied is free again.
    await use([]);
    expect(await act("listen", "plain", "127.0.0.1", String(port))).toMatchObject({ ended: 0, stderr: "" });
  });

  test("a port that the kernel chooses is judged as it is", async () => {
    await use([
      policy(
        "no-high-port",
        'network where event.action == "bind" and destination.port > 1024 and cidrMatch(destination.ip, "127.0.0.0/8")',
      ),
    ]);
    const { ended, events } = await act("bind", "plain", "udp", "127.0.0.1", "0");
    expect({ ended, events }).toMatchObject({ ended: 1, events: [{ "event.outcome": "failure" }] });
    expect(events[0]?.["destination.port"] as bigint).toBeGreaterThan(1024n);
    expect(await act("bind", "plain", "udp", "::1", "0")).toMatchObject({ ended: 0 });
  });

  test("in monitor the address is bound, and the event says what would have been", async () => {
    const port = await freePort();
    await use([policy("watch", `network where event.action == "bind" and destination.port == ${port}`)], false);
    expect(await act("bind", "plain", "tcp", "127.0.0.1", String(port))).toMatchObject({
      ended: 0,
      events: [{ "event.type": ["info"], "kestrel.policy.matched": ["watch"], "kestrel.policy.means": "cgroup" }],
    });
  });

  test("who listens is denied where a security module can, else killed", async () => {
    const port = await freePort();
    const listens = `network where event.action == "listen" and destination.port == ${port}`;
    for (const action of ["deny", "kill"] as const) {
      await use([policy("no-listening", listens, action)]);
      const { ended, events } = await act("listen", "plain", "::1", String(port));
      const means = action === "deny" ? live.source.policies.status().deniers[0]?.means : undefined;
      expect(ended).toBe(means === "lsm" ? 1 : "SIGKILL");
      expect(events).toMatchObject([
        { "event.action": "bind", "event.type": ["info"] },
        {
          "event.action": "listen",
          "event.type": means === "lsm" ? ["info", "denied"] : ["info"],
          "kestrel.policy.acted": ["no-listening"],
          "kestrel.policy.means": means ?? "bpf_signal",
        },
      ]);
    }
    expect(await act("listen", "plain", "::1", String(await freePort()))).toMatchObject({ ended: 0 });
  });
});
