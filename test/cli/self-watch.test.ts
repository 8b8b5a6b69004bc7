// A running agent that watches over itself: its rule is changed on disk, its database held by another program.
import { Database } from "bun:sqlite";
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AgentProcess, markerRule, sensorsRun } from "./agent-process.ts";
import { eventually } from "./program.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "kestrel-self-watch-"));
afterAll(() => rmSync(folder, { recursive: true }));

test.skipIf(!sensorsRun())("a changed rule file is an alert, in status and in the metrics", async () => {
  const rule = join(folder, "rule.yaml");
  const text = "id: test.none\nname: None\nseverity: low\nquery: process where process.name == 'no-such-program'\n";
  writeFileSync(rule, text);
  await using agent = await AgentProcess.start(join(folder, "data"), ["--rules", rule]);
  const status = async (): Promise<readonly { readonly name: string; readonly findings: readonly string[]; readonly count: number }[]> =>
    ((await (await agent.fetch("/v1/status")).json()) as { readonly self: Awaited<ReturnType<typeof status>> }).self;
  expect((await status()).map(({ name, count }) => `${name} ${count}`)).toEqual(
    ["programs", "ftrace", "losses", "files", "clock", "stall", "tracer", "isolation-lost", "store", "connections", "heartbeat"].map(
      (name) => `${name} 0`,
    ),
  );
  writeFileSync(rule, text.replace("no-such-program", "another"));
  const alert = await eventually(
    () => `an alert about ${rule}`,
    async () => (await agent.listed()).find((each) => each.rule.id === "kestrel.self.files"),
  );
  expect(alert).toMatchObject({
    kind: "agent",
    message: `${rule} was changed while the agent runs`,
    captures: { "file.path": rule },
    events: [],
  });
  expect((await status()).find(({ name }) => name === "files")).toMatchObject({ findings: [], count: 1 });
  expect(await (await agent.fetch("/metrics")).text()).toContain('kestrel_self_findings_total{watch="files"} 1');
  expect(await agent.stop()).toBe(0);
});

test.skipIf(!sensorsRun())(
  "a store that fails is an alert on standard output and in status; what waited is stored when it works",
  async () => {
    const data = join(folder, "store-data");
    const marker = `store-${process.pid}`;
    const rule = join(folder, "marker.yaml");
    writeFileSync(rule, markerRule("test.marker", marker));
    await using agent = await AgentProcess.start(data, ["--rules", rule]);
    const finding = async (): Promise<string | undefined> => {
      const { self } = (await (await agent.fetch("/v1/status")).json()) as {
        self: readonly { name: string; findings: readonly string[] }[];
      };
      return self.find(({ name }) => name === "store")?.findings[0];
    };
    {
      using other = new Database(join(data, "kestrel.db"));
      other.run("BEGIN IMMEDIATE");
      Bun.spawnSync(["/bin/true", marker]);
      await eventually(
        () => `an alert about the store: ${agent.stderr}`,
        () => agent.printed.find(({ rule: { id } }) => id === "kestrel.self.store"),
      );
      expect(await finding()).toMatch(/another process holds it\); \d alerts wait in memory, 0 were only printed$/);
      expect(await agent.listed()).toEqual([]);
      expect(await (await agent.fetch("/metrics")).text()).toMatch(/kestrel_store_alerts_waiting [12]\n/);
      other.run("ROLLBACK");
    }
    const ids = await eventually(
      () => `the alerts that waited: ${agent.stderr}`,
      async () => {
        const alerts = await agent.listed();
        return alerts.length < 2 ? undefined : alerts.map(({ rule: { id } }) => id).sort();
      },
    );
    expect(ids).toEqual(["kestrel.self.store", "test.marker"]);
    await eventually(
      () => "the end of the finding",
      async () => (await finding()) === undefined || undefined,
    );
    expect(await agent.stop()).toBe(0);
  },
);
