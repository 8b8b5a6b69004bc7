// kestrel run acts in the kernel: one alert for each act, with how and how fast; modes switched and rules uploaded while it runs; counted; let go at
// its end. Programs and ports are the test's own.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { AgentProcess, type AlertJson, sensorsRun } from "./agent-process.ts";
import { eventually, TempFolder } from "./program.ts";

setDefaultTimeout(120_000);

const json = { "content-type": "application/json" };

async function connects(port: number): Promise<boolean> {
  const child = Bun.spawn(["bash", "-c", `exec 3<>/dev/tcp/127.0.0.1/${port}`], { stdin: "ignore", stderr: "ignore" });
  return (await child.exited) === 0;
}

function responses(agent: AgentProcess, ruleId: string): readonly AlertJson["response"][] {
  return agent.printed.filter((alert) => alert.rule.id === ruleId).map(({ response }) => response);
}

async function untilAlerts(agent: AgentProcess, ruleId: string, count: number): Promise<readonly AlertJson["response"][]> {
  await eventually(
    () => `${count} alerts of ${ruleId}: ${agent.printed.length} in all, ${agent.stderr}`,
    () => (responses(agent, ruleId).length >= count ? true : undefined),
  );
  return responses(agent, ruleId);
}

describe.skipIf(!sensorsRun())("kestrel run acts in the kernel", () => {
  test("one alert for each act, modes and rules change at once, and nothing is left behind", async () => {
    using folder = new TempFolder();
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const program = join(folder.path, "victim");
    copyFileSync("/bin/true", program);
    const deny = (mode: string): string =>
      `id: my.deny\naction: deny\nmode: ${mode}\nquery: network where event.action == "connection_attempted" and destination.port == ${port} and destination.ip == "127.0.0.1"\n`;
    await folder.write("deny.yaml", deny("monitor"));
    {
      await using agent = await AgentProcess.start(join(folder.path, "data"), ["--rules", join(folder.path, "deny.yaml")]);
      expect(await connects(port)).toBe(true);
      expect(await untilAlerts(agent, "my.deny", 1)).toMatchObject([
        { outcome: "would", mode: "monitor", means: "cgroup", process_count: 1 },
      ]);
      const enforced = await agent.fetch("/v1/rules/my.deny", { method: "PATCH", headers: json, body: '{"mode":"enforce"}' });
      expect(enforced.status).toBe(200);
      expect(await connects(port)).toBe(false);
      const [, denied] = await untilAlerts(agent, "my.deny", 2);
      expect(denied).toMatchObject({ outcome: "done", mode: "enforce", means: "cgroup", process_count: 1 });
      expect(denied?.latency_ns).toBeGreaterThan(0);

      expect(await Bun.spawn([program]).exited).toBe(0);
      const kill = `id: my.kill\naction: kill\nmode: enforce\nquery: process where event.action == "exec" and process.executable == "${program}"\n`;
      const body = JSON.stringify({ format: "yaml", text: kill });
      expect((await agent.fetch("/v1/rules/my.kill", { method: "PUT", headers: json, body })).status).toBe(201);
      const victim = Bun.spawn([program, "x"]);
      await victim.exited;
      expect(victim.signalCode).toBe("SIGKILL");
      const killed = await untilAlerts(agent, "my.kill", 1);
      expect(killed).toMatchObject([{ outcome: "done", means: "bpf_signal", target_pid: victim.pid }]);
      const metrics = await (await agent.fetch("/metrics")).text();
      expect(metrics).toContain('kestrel_policy_acted_total{act="connect"} 1');
      expect(metrics).toContain('kestrel_policy_acted_total{act="exec"} 1');
      expect(metrics).toContain("kestrel_policy_unmatched_total 0");

      expect((await agent.fetch("/v1/rules/my.kill", { method: "DELETE" })).status).toBe(204);
      expect(await Bun.spawn([program]).exited).toBe(0);
      expect(await agent.stop()).toBe(0);
      // One alert for each act, and none for what was let pass.
      expect([responses(agent, "my.deny").length, responses(agent, "my.kill").length]).toEqual([2, 1]);
    }
    expect(await connects(port)).toBe(true);
    server.close();
  });

  test("an agent that is killed leaves no program that denies", async () => {
    using folder = new TempFolder();
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    await folder.write(
      "deny.yaml",
      `id: d\naction: deny\nmode: enforce\nquery: network where event.action == "connection_attempted" and destination.port == ${port}\n`,
    );
    await using agent = await AgentProcess.start(join(folder.path, "data"), ["--rules", join(folder.path, "deny.yaml")]);
    expect(await connects(port)).toBe(false);
    agent.child.kill("SIGKILL");
    await agent.child.exited;
    expect(await connects(port)).toBe(true);
    server.close();
  });
});
