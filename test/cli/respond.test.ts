// kestrel run ends what a rule says: switched while it runs, told in the alert, kept over a restart, never in a replay.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ServedProgram, servesFiles } from "../ebpf/served-program.ts";
import { AgentProcess, type AlertJson, sensorsRun } from "./agent-process.ts";
import { eventually, jsonLines, runKestrel, TempFolder } from "./program.ts";

setDefaultTimeout(120_000);

const TRIES = 200;
let markers = 0;

function newMarker(): string {
  return `300.${process.pid}${++markers}`;
}

function killRule(marker: string, mode: string, name = "sleep"): string {
  const query = `process where event.action == "exec" and process.name == "${name}" and process.args == "${marker}"`;
  return `id: my.kill\naction: kill\nscope: tree\nmode: ${mode}\nquery: ${query}\n`;
}

/** Command in front of another that lets a user of this number run it. */
const as = (user: number): readonly string[] => ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups"];

/** Number of an account that programs of the protect list have on this machine, if it has one. */
const MESSAGE_BUS = Number(/^(?:messagebus|dbus):[^:]*:(\d+):/m.exec(readFileSync("/etc/passwd", "utf8"))?.[1]);
if (Number.isNaN(MESSAGE_BUS)) console.log("skipped: a program that its own account runs (neither messagebus nor dbus is a user here)");
const AGETTY = Bun.which("agetty");
if (AGETTY === null) console.log("skipped: a listed program killed in the kernel (no agetty)");

async function nextAlert(agent: AgentProcess, pid: number): Promise<AlertJson> {
  return eventually(
    () => `the alert about ${pid}: ${agent.stderr}`,
    () => agent.printed.find((alert) => alert.response?.target_pid === pid),
  );
}

describe.skipIf(!sensorsRun())("kestrel run responds", () => {
  test("monitor kills nobody; switched to enforce it does, also after a restart; a replay gives the same alerts and does nothing", async () => {
    using folder = new TempFolder();
    const marker = newMarker();
    await folder.write("kill.yaml", killRule(marker, "monitor"));
    const rules = join(folder.path, "kill.yaml");
    const klog = join(folder.path, "live.klog");
    const data = join(folder.path, "data");
    const sleeper = Bun.spawn(["/bin/sleep", marker]);
    let watched: Bun.Subprocess;
    let live: readonly AlertJson[];
    {
      await using agent = await AgentProcess.start(data, ["--rules", rules, "--record", klog]);
      watched = Bun.spawn(["/bin/sleep", marker]);
      expect((await nextAlert(agent, watched.pid)).response).toMatchObject({ outcome: "would", mode: "monitor", process_count: 1 });
      expect([watched.exitCode, watched.signalCode]).toEqual([null, null]);
      const change = { method: "PATCH", headers: { "content-type": "application/json" }, body: '{"mode":"enforce"}' };
      const changed = await agent.fetch("/v1/rules/my.kill", change);
      expect([changed.status, await changed.json()]).toMatchObject([200, { mode: "enforce", modeOfText: "monitor", origin: "file" }]);
      const killed = Bun.spawn(["/bin/sleep", marker]);
      const alert = await nextAlert(agent, killed.pid);
      expect(alert.response).toMatchObject({ outcome: "done", mode: "enforce", means: "sigkill", process_count: 1 });
      await killed.exited;
      expect(killed.signalCode).toBe("SIGKILL");
      expect(await (await agent.fetch(`/v1/alerts/${alert.id}`)).json()).toMatchObject({ response: { outcome: "done" } });
      expect(await agent.stop()).toBe(0);
      live = agent.printed;
    }
    {
      await using again = await AgentProcess.start(data, ["--rules", rules]);
      const killed = Bun.spawn(["/bin/sleep", marker]);
      expect((await nextAlert(again, killed.pid)).response).toMatchObject({ outcome: "done", mode: "enforce" });
      await killed.exited;
      expect(await again.stop()).toBe(0);
    }
    await folder.write("kill.yaml", killRule(marker, "enforce"));
    const replayed = jsonLines<AlertJson>(await runKestrel(["replay", klog, "--rules", rules, "--json"]));
    expect(replayed.map(({ id }) => id)).toEqual(live.map(({ id }) => id));
    expect(replayed.some((alert) => "response" in alert)).toBe(false);
    // Neither the one from before the agent, nor the one of monitor, nor anybody in a replay was touched.
    expect([sleeper.exitCode, sleeper.signalCode, watched.exitCode, watched.signalCode]).toEqual([null, null, null, null]);
    sleeper.kill("SIGKILL");
    watched.kill("SIGKILL");
  });

  test(`latency from exec to kill over ${TRIES} tries`, async () => {
    using folder = new TempFolder();
    const marker = newMarker();
    await folder.write("kill.yaml", killRule(marker, "enforce"));
    await using agent = await AgentProcess.start(join(folder.path, "data"), ["--rules", join(folder.path, "kill.yaml")]);
    const pids: number[] = [];
    for (let index = 0; index < TRIES; index++) {
      const child = Bun.spawn(["/bin/sleep", marker]);
      pids.push(child.pid);
      await child.exited;
      expect(child.signalCode).toBe("SIGKILL");
    }
    const alerts = await eventually(
      () => `${TRIES} alerts: ${agent.printed.length}`,
      () => (agent.printed.length >= TRIES ? agent.printed : undefined),
    );
    expect(alerts.map(({ response }) => response?.target_pid)).toEqual(pids);
    const tookMs = alerts.map(({ response }) => (response?.latency_ns ?? 0) / 1e6).sort((a, b) => a - b);
    console.log(`exec to kill, ${TRIES} tries: P50 ${tookMs[TRIES / 2]?.toFixed(1)} ms, P99 ${tookMs[TRIES - 2]?.toFixed(1)} ms`);
    expect(await agent.stop()).toBe(0);
  });

  test("a protected program is refused, and a path that is none is a usage error", async () => {
    using folder = new TempFolder();
    const marker = newMarker();
    await folder.write("kill.yaml", killRule(marker, "enforce"));
    const rules = ["--rules", join(folder.path, "kill.yaml")];
    const wrong = await runKestrel(["run", "--data", join(folder.path, "other"), "--protect", "bin/sleep", ...rules]);
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('needs file names or whole paths, not "bin/sleep"')]);
    await using agent = await AgentProcess.start(join(folder.path, "data"), [...rules, "--protect", "cat,sleep"]);
    const child = Bun.spawn(["/bin/sleep", marker]);
    expect((await nextAlert(agent, child.pid)).response).toMatchObject({ outcome: "refused", process_count: 0 });
    expect([child.exitCode, child.signalCode]).toEqual([null, null]);
    child.kill("SIGKILL");
    expect(await agent.stop()).toBe(0);
  });

  test("a program of the system that a user runs is killed; as root and its own account run it, it is refused", async () => {
    using folder = new TempFolder();
    const marker = newMarker();
    await folder.write("kill.yaml", killRule(marker, "enforce", "dbus-daemon"));
    const system = mkdtempSync("/usr/local/lib/kestrel-test-");
    const program = join(system, "dbus-daemon");
    try {
      Bun.spawnSync(["chmod", "755", system]);
      copyFileSync("/bin/sleep", program);
      await using agent = await AgentProcess.start(join(folder.path, "data"), ["--rules", join(folder.path, "kill.yaml")]);
      const killed = Bun.spawn([...as(65534), program, marker]);
      expect((await nextAlert(agent, killed.pid)).response).toMatchObject({ outcome: "done", means: "sigkill", process_count: 1 });
      await killed.exited;
      expect(killed.signalCode).toBe("SIGKILL");
      for (const user of Number.isNaN(MESSAGE_BUS) ? [0] : [0, MESSAGE_BUS]) {
        const left = Bun.spawn([...as(user), program, marker]);
        expect((await nextAlert(agent, left.pid)).response).toMatchObject({ outcome: "refused", process_count: 0 });
        expect([left.exitCode, left.signalCode]).toEqual([null, null]);
        left.kill("SIGKILL");
      }
      expect(await agent.stop()).toBe(0);
    } finally {
      rmSync(system, { recursive: true });
    }
  });

  test.skipIf(AGETTY === null)("the same in the kernel, before its first instruction", async () => {
    using folder = new TempFolder();
    const query = `process where event.action == "exec" and process.executable == "${AGETTY}"`;
    await folder.write("kill.yaml", `id: my.kill\naction: kill\nmode: enforce\nquery: '${query}'\n`);
    await using agent = await AgentProcess.start(join(folder.path, "data"), ["--rules", join(folder.path, "kill.yaml")]);
    const command = [AGETTY ?? "", "--version"];
    const killed = Bun.spawn([...as(65534), ...command], { stdout: "ignore" });
    await killed.exited;
    expect(killed.signalCode).toBe("SIGKILL");
    expect((await nextAlert(agent, killed.pid)).response).toMatchObject({ outcome: "done", means: "bpf_signal" });
    const left = Bun.spawn(command, { stdout: "ignore" });
    expect(await left.exited).toBe(0);
    expect((await nextAlert(agent, left.pid)).response).toMatchObject({ outcome: "refused", process_count: 0 });
    expect(await agent.stop()).toBe(0);
  });

  test.skipIf(!servesFiles())("a program that is called like a protected one, on a filesystem that answers nobody, is killed", async () => {
    using folder = new TempFolder();
    const [silence, made] = [join(folder.path, "silence"), join(folder.path, "made")];
    const query = `file where file.path == "${made}" and process.parent.pid > 0`;
    await folder.write("kill.yaml", `id: my.kill\naction: kill\nmode: enforce\nquery: '${query}'\n`);
    await using agent = await AgentProcess.start(join(folder.path, "data"), ["--rules", join(folder.path, "kill.yaml")]);
    const script = `until [ -e ${silence} ]; do /bin/sleep 0.1; done; : >${made}; read forever </dev/zero`;
    await using served = await ServedProgram.start("sshd", silence, script);
    served.fallSilent();
    expect((await nextAlert(agent, served.pid)).response).toMatchObject({ outcome: "done", means: "sigkill", process_count: 1 });
  });
});
