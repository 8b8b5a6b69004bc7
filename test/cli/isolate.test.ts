// kestrel isolate against a real agent, which isolates a control group made for the test: over the API, a restart and a kill.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HostIsolation } from "#respond";
import { OwnBpffs, whyNoOwnBpffs } from "../respond/own-bpffs.ts";
import { FAR, makeHosts, whyNoHosts } from "../respond/two-hosts.ts";
import { AgentProcess, sensorsRun } from "./agent-process.ts";
import { eventually, runKestrel } from "./program.ts";

setDefaultTimeout(60_000);

const missing = whyNoHosts() ?? whyNoOwnBpffs();
if (missing !== undefined) console.log(`skipped: kestrel isolate against a real agent (${missing})`);

test("mistakes are told before anybody is asked", async () => {
  for (const [args, words] of [
    [[], "Say on, off or status"],
    [["up"], 'not "up"'],
    [["off", "--allow", "10.0.0.5"], 'Networks are named with "isolate on"'],
  ] as const) {
    const { code, stderr } = await runKestrel(["isolate", ...args]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(words)]);
  }
});

test("without an agent it says so, and how root lifts what is left", async () => {
  const data = mkdtempSync(join(tmpdir(), "kestrel-isolate-"));
  const ask = (): ReturnType<typeof runKestrel> => runKestrel(["isolate", "status", "--data", data, "--agent", "127.0.0.1:1"]);
  expect(await ask()).toMatchObject({ code: 3, stderr: expect.stringContaining("Cannot read the agent's token") });
  const nowhere = await runKestrel(["isolate", "status", "--data", data, "--agent", "here"]);
  expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringContaining('Cannot reach an agent at "here": expected HOST:PORT') });
  writeFileSync(join(data, "token"), "f".repeat(64));
  expect(await ask()).toMatchObject({ code: 3, stderr: expect.stringContaining('"rm -r /sys/fs/bpf/kestrel"') });
  rmSync(data, { recursive: true });
});

describe.skipIf(missing !== undefined || !sensorsRun())("against an agent", () => {
  const folder = mkdtempSync(join(tmpdir(), "kestrel-isolate-"));
  const data = join(folder, "data");
  let hosts: Awaited<ReturnType<typeof makeHosts>>;
  let bpffs: OwnBpffs;

  beforeAll(async () => {
    hosts = await makeHosts();
    bpffs = await OwnBpffs.mount();
    writeFileSync(join(folder, "none.yaml"), "id: test.none\nname: None\nseverity: low\nquery: process where false\n");
  });

  afterAll(async () => {
    await bpffs[Symbol.asyncDispose]();
    await hosts.end();
    rmSync(folder, { recursive: true });
  });

  const start = (): Promise<AgentProcess> =>
    AgentProcess.start(data, ["--rules", join(folder, "none.yaml"), "--isolation-cgroup", hosts.cgroup], bpffs.enter(folder));

  async function isolate(agent: AgentProcess, ...args: string[]): Promise<{ state: string; dropped: { egress: { packets: number } } }> {
    const { code, stdout, stderr } = await runKestrel(["isolate", ...args, "--json", "--data", data, "--agent", new URL(agent.url).host]);
    if (code !== 0) throw new Error(`${code}: ${stderr}`);
    return JSON.parse(stdout);
  }

  let names = 0;
  const open = (host: string): string => {
    const id = `connection-${names++}`;
    hosts.near.tell({ do: "open", id, host, port: hosts.far.port });
    return id;
  };

  const passes = (host: string): Promise<string> => hosts.near.heard(open(host), "open");

  async function isCut(agent: AgentProcess, host: string): Promise<void> {
    const dropped = async (): Promise<number> => {
      const answer = await agent.fetch("/v1/isolation");
      return ((await answer.json()) as { dropped: { egress: { packets: number } } }).dropped.egress.packets;
    };
    const before = await dropped();
    open(host);
    await eventually(
      () => `a dropped packet to ${host}`,
      async () => (await dropped()) > before || undefined,
    );
  }

  /** What is in force while no agent runs, seen from outside. */
  const left = (): HostIsolation => new HostIsolation({ cgroup: hosts.cgroup, bpffs: bpffs.outside });

  async function isCutMeanwhile(host: string): Promise<void> {
    const dropped = (): number => left().state().egress.packets;
    const before = dropped();
    open(host);
    await eventually(
      () => `a dropped packet to ${host}`,
      () => dropped() > before || undefined,
    );
  }

  test("on, off, over a restart and over the agent's death", async () => {
    await using first = await start();
    expect(await isolate(first, "status")).toMatchObject({ state: "off", scope: "group" });
    const on = await isolate(first, "on", "--allow", `${FAR.ip4}:${hosts.far.port},fd99::/16`);
    expect(on).toMatchObject({ state: "on", askedBy: "127.0.0.1", pinnedAt: expect.stringContaining(bpffs.inside), reason: "" });
    await passes(FAR.ip4);
    await isCut(first, FAR.ip6);
    const alerts = (await first.listed()).filter(({ rule }) => rule.id === "kestrel.self.isolation");
    expect(alerts.map(({ kind, message }) => [kind, message])).toEqual([
      ["agent", `The machine was isolated from the network, asked for by 127.0.0.1; allowed: ${FAR.ip4}:${hosts.far.port}, fd99::/16`],
    ]);
    expect(Number(alerts[0]?.captures["kestrel.isolation.latency_ns"])).toBeGreaterThan(0);
    await first.kill();

    await isCutMeanwhile(FAR.ip6);
    await using second = await start();
    expect(await isolate(second, "status")).toMatchObject({ state: "on", dropped: { egress: { packets: expect.any(Number) } } });
    expect((await isolate(second, "status")).dropped.egress.packets).toBeGreaterThan(0);
    await passes(FAR.ip4);
    await isCut(second, FAR.ip6);
    expect(await (await second.fetch("/metrics")).text()).toContain("kestrel_isolated 1");
    expect(await isolate(second, "off")).toMatchObject({ state: "off", pinnedAt: null });
    await passes(FAR.ip6);
    expect(await second.stop()).toBe(0);
  });

  test("one that ends with the agent is gone when it is killed, and comes back with it", async () => {
    await using first = await start();
    expect(await isolate(first, "on", "--lift-with-agent")).toMatchObject({ state: "on", pinnedAt: null });
    await isCut(first, FAR.ip4);
    await first.kill();
    await passes(FAR.ip4);
    await using second = await start();
    await isCut(second, FAR.ip4);
    await isolate(second, "off");
    await second.stop();
  });

  test("one that is kept holds while no agent runs, until root lifts it by hand", async () => {
    await using first = await start();
    const { liftByHand } = (await isolate(first, "on")) as unknown as { liftByHand: string };
    expect(await first.stop()).toBe(0);
    await isCutMeanwhile(FAR.ip4);
    const lifted = Bun.spawnSync([...bpffs.enter(folder), "sh", "-c", liftByHand]);
    expect([lifted.success, left().state().on]).toEqual([true, false]);
    await passes(FAR.ip4);
    await using second = await start();
    await isolate(second, "off");
    await second.stop();
  });
});
