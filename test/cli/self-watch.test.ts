// A running agent that watches over itself: its rule is changed on disk.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AgentProcess, sensorsRun } from "./agent-process.ts";
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
    ["programs", "ftrace", "losses", "files", "clock", "stall", "tracer", "isolation-lost", "heartbeat"].map((name) => `${name} 0`),
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
