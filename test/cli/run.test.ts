// kestrel run on this machine's own kernel: an act of ours is an alert everywhere alerts are, live is replay, rules come and go while it runs.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { copyFileSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AgentProcess, type AlertJson, markerRule, sensorsRun } from "./agent-process.ts";
import { eventually, jsonLines, PROGRAM, RULES, runKestrel, TempFolder } from "./program.ts";

setDefaultTimeout(120_000);

const EXECUTION = join(RULES, "execution");
const SHM_RULE = "kestrel.exec-from-shm";
const USER = Bun.spawnSync(["id", "-un"]).stdout.toString().trim();
let markers = 0;

/** A word that no other program on this machine uses. */
function newMarker(): string {
  return `kestrel-test-${process.pid}-${++markers}`;
}

/** Copies echo into shared memory and runs it with `marker`; the path it had. */
async function runFromSharedMemory(marker: string): Promise<string> {
  const path = `/dev/shm/${marker}`;
  copyFileSync("/bin/echo", path);
  try {
    await Bun.spawn([path, marker], { stdout: "ignore" }).exited;
  } finally {
    rmSync(path);
  }
  return path;
}

async function runEcho(marker: string): Promise<void> {
  await Bun.spawn(["/bin/echo", marker], { stdout: "ignore" }).exited;
}

function about(alerts: readonly AlertJson[], marker: string): AlertJson | undefined {
  return alerts.find(({ events }) => events[0]?.process?.command_line?.includes(marker));
}

describe.skipIf(!sensorsRun())("kestrel run", () => {
  test("an alert is printed, listed, streamed and kept; the recording replays to the same alerts", async () => {
    using folder = new TempFolder();
    const data = join(folder.path, "data");
    const klog = join(folder.path, "live.klog");
    const marker = newMarker();
    let id: string;
    let live: readonly AlertJson[];
    {
      await using agent = await AgentProcess.start(data, ["--rules", EXECUTION, "--record", klog]);
      expect(agent.url).toMatch(/:[1-9]\d*$/);
      expect(agent.stderr).toContain(`token in ${data}/token`);
      expect((agent.stderr.match(/sensor \w+ +(?:on|fallback)/g) ?? []).length).toBeGreaterThan(0);
      expect([statSync(data).mode & 0o777, statSync(join(data, "token")).mode & 0o777]).toEqual([0o700, 0o600]);
      expect((await fetch(`${agent.url}/v1/alerts`)).status).toBe(401);
      expect((await fetch(`${agent.url}/v1/alerts`, { headers: { authorization: `Bearer ${"0".repeat(64)}` } })).status).toBe(401);
      expect((await fetch(`${agent.url}/healthz`)).status).toBe(200);

      const streamed = await agent.follow();
      const path = await runFromSharedMemory(marker);
      const printed = await eventually(
        () => `the alert on standard output: ${agent.stderr}`,
        () => about(agent.printed, marker),
      );
      id = printed.id;
      expect(printed).toMatchObject({ kind: "rule", rule: { id: SHM_RULE } });
      expect(printed.message).toContain(`${path} ${marker} by ${USER}`);
      expect(printed.captures["process.command_line"]).toBe(`${path} ${marker}`);
      expect(printed.ancestry[0]).toEqual({ pid: process.pid, name: expect.any(String), executable: process.execPath });
      const inStream = await eventually(
        () => "the alert on the stream",
        () => about(streamed, marker),
      );
      expect(inStream).toMatchObject({ id, message: printed.message, ancestry: printed.ancestry, events: printed.events });
      expect(about(await agent.listed(), marker)).toMatchObject({ id, message: printed.message, ancestry: printed.ancestry });
      expect(await (await agent.fetch(`/v1/alerts/${id}`)).json()).toMatchObject({ id, events: printed.events });

      const status = (await (await agent.fetch("/v1/status")).json()) as { readonly state: string };
      expect(status.state).toBe("armed");
      expect(await agent.stop()).toBe(0);
      expect(agent.stderr).toContain("stopping");
      expect(agent.stderr).not.toMatch(/error/);
      live = agent.printed;
    }
    const replayed = await runKestrel(["replay", klog, "--rules", EXECUTION, "--json"]);
    expect(replayed.code).toBe(0);
    expect(jsonLines<AlertJson>(replayed).map((alert) => alert.id)).toEqual(live.map((alert) => alert.id));

    await using again = await AgentProcess.start(data, ["--rules", EXECUTION]);
    expect(await (await again.fetch(`/v1/alerts/${id}`)).json()).toMatchObject({ id });
    expect(await again.stop()).toBe(0);
  });

  test("a rule that asks for the hash of a program sees it at its start", async () => {
    using folder = new TempFolder();
    const path = join(folder.path, "program");
    // A content of its own, so that no other program on this machine has its hash.
    writeFileSync(path, Buffer.concat([readFileSync("/bin/true"), Buffer.from(newMarker())]), { mode: 0o755 });
    const sha256 = createHash("sha256").update(readFileSync(path)).digest("hex");
    const rule = join(folder.path, "hash.yaml");
    writeFileSync(rule, `id: my.hash\nname: x\nquery: process where event.type == "start" and process.hash.sha256 == "${sha256}"\n`);
    await using agent = await AgentProcess.start(join(folder.path, "data"), ["--rules", rule]);
    // Again and again: on a busy machine the file may not be read within the tenth of a second for which its first start is held.
    const alert = await eventually(
      () => `the alert: ${agent.stderr}`,
      async () => {
        await Bun.spawn([path], { stdout: "ignore" }).exited;
        return agent.printed.find(({ rule: { id } }) => id === "my.hash");
      },
    );
    expect(alert.events[0]).toMatchObject({ event: { action: "exec" }, process: { executable: path, hash: { sha256 } } });
    expect((await (await agent.fetch("/metrics")).text()).match(/kestrel_execs_held_total ([1-9]\d*)/)).not.toBeNull();
    expect(await agent.stop()).toBe(0);
  });

  test("an uploaded rule is armed at once, survives a restart and is gone when deleted", async () => {
    using folder = new TempFolder();
    const marker = newMarker();
    const put = (agent: AgentProcess, text: string): Promise<Response> =>
      agent.fetch("/v1/rules/my.marker", { method: "PUT", body: text, headers: { "content-type": "application/yaml" } });
    {
      await using agent = await AgentProcess.start(folder.path, ["--rules", EXECUTION]);
      expect((await put(agent, "id: my.marker\nquery: process where process.nam == 1\n")).status).toBe(422);
      expect((await put(agent, markerRule("my.marker", marker))).status).toBe(201);
      await runEcho(marker);
      expect(
        await eventually(
          () => "the uploaded rule's alert",
          () => about(agent.printed, marker),
        ),
      ).toMatchObject({ rule: { id: "my.marker" } });
      expect(await agent.stop()).toBe(0);
    }
    await using agent = await AgentProcess.start(folder.path, ["--rules", EXECUTION]);
    const before = agent.printed.length;
    await runEcho(marker);
    await eventually(
      () => "the alert after the restart",
      () => about(agent.printed.slice(before), marker),
    );
    expect((await agent.fetch("/v1/rules/my.marker", { method: "DELETE" })).status).toBe(204);
    expect((await agent.fetch("/v1/rules/my.marker")).status).toBe(404);
    const quiet = agent.printed.length;
    await runEcho(marker);
    // What the shipped rule says of a later act shows that the earlier one has been looked at.
    const later = newMarker();
    await runFromSharedMemory(later);
    await eventually(
      () => "the shipped rule's alert",
      () => about(agent.printed, later),
    );
    expect(agent.printed.slice(quiet).map(({ rule }) => rule.id)).not.toContain("my.marker");
    expect(await agent.stop()).toBe(0);
  });

  test("a reader of standard output that goes away does not end it", async () => {
    using folder = new TempFolder();
    const pidFile = join(folder.path, "pid");
    const log = join(folder.path, "log");
    const data = join(folder.path, "data");
    const shell = `sh -c 'echo $$ > ${pidFile}; exec "$@"' sh "$@" 2> ${log} | head -n 1`;
    const command = [...PROGRAM, "run", "--data", data, "--listen", "127.0.0.1:0", "--json", "--rules", EXECUTION];
    const child = Bun.spawn(["sh", "-c", shell, "sh", ...command], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
    const logged = (): string => {
      try {
        return readFileSync(log, "utf8");
      } catch {
        return "";
      }
    };
    await eventually(
      () => `an armed agent: ${logged()}`,
      () => /armed/.test(logged()) || undefined,
    );
    const pid = Number(readFileSync(pidFile, "utf8"));
    try {
      const url = /(http:\/\/127\.0\.0\.1:\d+)\//.exec(logged())?.[1];
      const authorization = `Bearer ${readFileSync(join(data, "token"), "utf8").trim()}`;
      const listed = async (): Promise<readonly AlertJson[]> =>
        ((await (await fetch(`${url}/v1/alerts?limit=200`, { headers: { authorization } })).json()) as { alerts: AlertJson[] }).alerts;
      for (let round = 0; round < 3; round++) {
        const marker = newMarker();
        await runFromSharedMemory(marker);
        await eventually(
          () => `alert ${round} in the list: ${logged()}`,
          async () => about(await listed(), marker),
        );
      }
    } finally {
      process.kill(pid, "SIGTERM");
    }
    const lines = (await new Response(child.stdout).text()).trimEnd().split("\n");
    expect(lines).toHaveLength(1);
    expect(await child.exited).toBe(0);
    expect(logged()).toMatch(/stopping/);
  });
});
