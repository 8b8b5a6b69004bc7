// kestrel run on this machine's own kernel: its sensors follow the rules while these are uploaded, changed, stopped and removed.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cgroupRoot } from "#core";
import { AgentProcess, markerRule, sensorsRun } from "./agent-process.ts";
import { eventually, runKestrel, TempFolder } from "./program.ts";

setDefaultTimeout(120_000);

interface Status {
  readonly sensors: readonly { readonly name: string; readonly state: string; readonly reason: string }[];
  readonly events: Readonly<Record<"produced" | "evaluated" | "dropped" | "filtered", number>>;
  readonly records: readonly { readonly kind: string; readonly filtered: number }[];
}

const groups = process.getuid?.() === 0 ? cgroupRoot(readFileSync("/proc/self/mounts", "utf8")) : undefined;
const REQUIRED = ["exec", "exit", "fork"];

async function statusOf(agent: AgentProcess): Promise<Status> {
  return (await (await agent.fetch("/v1/status")).json()) as Status;
}

async function sensorsOf(agent: AgentProcess, state: "used" | "unused"): Promise<readonly string[]> {
  const { sensors } = await statusOf(agent);
  return sensors.flatMap((sensor) => ((sensor.state === "unused") === (state === "unused") ? [sensor.name] : [])).sort();
}

test("sensors that cannot be switched off, and that are none, are usage errors", async () => {
  for (const [name, message] of [
    ["exec", 'Sensor "exec" cannot be switched off'],
    ["connct", 'There is no sensor "connct", did you mean "connect"?'],
    ["", 'There is no sensor ""'],
  ] as const) {
    using folder = new TempFolder();
    const { code, stderr } = await runKestrel(["run", "--data", folder.path, "--without", name]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  }
});

describe.skipIf(!sensorsRun())("sensors of kestrel run", () => {
  test("that are switched off stay so whatever rules ask for, also where they share events with another", async () => {
    using folder = new TempFolder();
    const marked = join(folder.path, "marked");
    const rule = join(folder.path, "rule.yaml");
    writeFileSync(rule, `id: my.made\nquery: file where event.action == "creation" and file.path like "${marked}*"\n`);
    const recording = join(folder.path, "all.klog");
    for (const more of [[], ["--record", recording]]) {
      await using agent = await AgentProcess.start(join(folder.path, "data"), ["--rules", rule, "--without", "change,dns", ...more]);
      const { sensors } = await statusOf(agent);
      const off = { state: "off", attachment: "", reason: "switched off by --without" };
      expect(sensors.filter(({ name }) => ["change", "dns"].includes(name))).toMatchObject([off, off]);
      expect(sensors.find(({ name }) => name === "file")?.state).not.toMatch(/off|unused/);
      const before = agent.printed.length;
      // A folder is made by mkdir, which is the other sensor's.
      mkdirSync(`${marked}-folder${more.length}`);
      writeFileSync(`${marked}-file${more.length}`, "");
      await eventually(
        () => "the alert of the file",
        () => agent.printed.length > before || undefined,
      );
      expect(agent.printed.slice(before).flatMap(({ events }) => JSON.stringify(events))).toEqual([
        expect.stringContaining(`${marked}-file${more.length}`),
      ]);
    }
  });

  test("follow rules that are uploaded, changed, stopped and removed", async () => {
    using folder = new TempFolder();
    const rules = join(folder.path, "rules");
    mkdirSync(rules);
    writeFileSync(join(rules, "marker.yaml"), markerRule("my.marker", `kestrel-demand-${process.pid}`));
    await using agent = await AgentProcess.start(join(folder.path, "data"), ["--rules", rules]);
    const put = async (id: string, body: string): Promise<number> => {
      const init = { method: "PUT", body: `id: ${id}\n${body}`, headers: { "content-type": "application/yaml" } };
      return (await agent.fetch(`/v1/rules/${id}`, init)).status;
    };
    const marker = join(folder.path, "marked");
    const fileRule = (action: string): string => `query: file where event.action == "${action}" and file.path == "${marker}"\n`;

    expect(await sensorsOf(agent, "used")).toEqual(REQUIRED);
    expect(agent.stderr).toMatch(/sensor file +unused +\(no rule can match its events\)/);
    writeFileSync(marker, "");
    expect(await put("my.file", fileRule("modification"))).toBe(201);
    expect(await sensorsOf(agent, "used")).toEqual([...REQUIRED, "change", "file"].sort());
    writeFileSync(marker, "");
    await eventually(
      () => `the alert of the uploaded rule: ${agent.stderr}`,
      () => agent.printed.find(({ rule }) => rule.id === "my.file"),
    );
    expect(await put("my.file", fileRule("rename"))).toBe(200);
    expect(await sensorsOf(agent, "used")).toEqual([...REQUIRED, "change"].sort());

    // A Lua rule may look at anything, so it wants everything until it is stopped.
    expect(await put("my.lua", `lua: |\n  if event["file.path"] == "${marker}2" then error("no") end\n  return false\n`)).toBe(201);
    expect(await sensorsOf(agent, "unused")).toEqual([]);
    writeFileSync(`${marker}2`, "");
    await eventually(
      () => `the stopped rule: ${agent.stderr}`,
      () => agent.printed.find(({ kind }) => kind === "quarantine"),
    );
    expect(await sensorsOf(agent, "used")).toEqual([...REQUIRED, "change"].sort());
    expect((await agent.fetch("/v1/rules/my.file", { method: "DELETE" })).status).toBe(204);
    expect(await sensorsOf(agent, "used")).toEqual(REQUIRED);
    expect(agent.stderr.match(/sensor file +(on|fallback|unused)/g)?.length).toBeGreaterThan(2);

    // The rule that is left asks for programs alone: of a fork and an end the account says that they were left out. Other programs keep
    // making events, so it asks again until none is under way.
    Bun.spawnSync(["/bin/true"]);
    await eventually(
      () => "an exact account",
      async () => {
        const { events: now } = await statusOf(agent);
        return now.produced === now.evaluated + now.dropped + now.filtered && now.filtered > 0 ? now : undefined;
      },
    );
    expect(await agent.stop()).toBe(0);
  });

  test.skipIf(groups === undefined)("of containers alone: no record is made of what is done outside of them", async () => {
    using folder = new TempFolder();
    const marker = join(folder.path, "marked");
    const rule = join(folder.path, "container.yaml");
    writeFileSync(rule, `id: my.container\nquery: |\n  file where event.type == "creation" and container.id : "c0ffee*"\n`);
    const group = join(groups ?? "", `docker-${"c0ffee00".repeat(7)}${String(process.pid).padStart(8, "0")}.scope`);
    mkdirSync(group);
    try {
      await using agent = await AgentProcess.start(join(folder.path, "data"), ["--rules", rule]);
      const filteredFiles = async (): Promise<number> => {
        const { records } = await statusOf(agent);
        return records.find(({ kind }) => kind === "file")?.filtered ?? 0;
      };
      const run = (script: string): void => void Bun.spawnSync(["/bin/sh", "-c", script]);
      // The group of this test is known from its first event. Opened files of other kinds are left out from the start: many are made at once.
      const many = 200;
      await eventually(
        () => `files that the kernel leaves out: ${agent.stderr}`,
        async () => {
          const before = await filteredFiles();
          run(`for i in $(seq ${many}); do : > ${marker}$i; done; rm ${marker}?*`);
          return (await filteredFiles()) - before >= many ? true : undefined;
        },
      );
      run(`echo $$ > ${group}/cgroup.procs; : > ${marker}`);
      await eventually(
        () => `the alert of the container: ${agent.stderr}`,
        () => agent.printed.find((alert) => JSON.stringify(alert).includes(marker)),
      );
      expect(agent.printed.map(({ rule: { id } }) => id)).toEqual(["my.container"]);
      expect(await agent.stop()).toBe(0);
    } finally {
      rmdirSync(group);
    }
  });

  test("with --record all of them are on: what is recorded is for rules to come", async () => {
    using folder = new TempFolder();
    const rule = join(folder.path, "marker.yaml");
    writeFileSync(rule, markerRule("my.marker", `kestrel-demand-${process.pid}`));
    await using agent = await AgentProcess.start(join(folder.path, "data"), ["--rules", rule, "--record", join(folder.path, "all.klog")]);
    expect(await sensorsOf(agent, "unused")).toEqual([]);
    expect(await agent.stop()).toBe(0);
  });
});
