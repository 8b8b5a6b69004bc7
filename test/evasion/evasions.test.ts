// README's table of tricks is what the acts of the kernel matrix showed (test/kernels does them), and a flooded ring counts what it loses.
import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EbpfSource } from "#ebpf";
import { SchemaRegistry } from "#schema";
import { ROOT } from "../cli/program.ts";
import { Collector } from "../ebpf/collector.ts";
import { refusal } from "../ebpf/live.ts";
import { ACTS } from "../kernels/acts.ts";
import { compileActs } from "../kernels/initramfs.ts";
import { EVASIONS } from "./evasions.ts";
import { evasionTable } from "./readme-table.ts";

setDefaultTimeout(60_000);
const README = join(ROOT, "README.md");
const TABLE = /^\| Trick \|.*\n(?:\|.*\n)*/m;

test("README's table is that of the acts", () => {
  const text = readFileSync(README, "utf8");
  if (process.env["KESTREL_UPDATE"] === "1")
    writeFileSync(
      README,
      text.replace(TABLE, () => `${evasionTable()}\n`),
    );
  expect(TABLE.exec(text)?.[0].trimEnd()).toBe(evasionTable());
});

test("every trick is an act of the matrix, with a name of its own, and one that is not covered must raise nothing", () => {
  expect(EVASIONS.length).toBeGreaterThan(30);
  for (const { act, result } of EVASIONS) {
    expect(ACTS.filter(({ name }) => name === act.name)).toEqual([act]);
    expect(act.alerts).toBe(result === "not covered" ? 0 : 1);
  }
});

const RING_BYTES = 16 << 10;
if (refusal !== undefined) console.log(`skipped: a flood of processes (${refusal})`);

test.skipIf(refusal !== undefined)("a flood of rare acts: the program that is started behind them is seen, they are counted", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kestrel-flood-"));
  const registry = new SchemaRegistry();
  const collector = new Collector(registry);
  // Half of it is room enough for what the rest of the machine starts meanwhile.
  const source = new EbpfSource({ registry, processRingBytes: 1 << 20 });
  try {
    compileActs("evasion/evasions", join(folder, "evasions"));
    await source.start(collector);
    const flood = Bun.spawnSync([join(folder, "evasions"), "act-flood", "/bin/true", "20000"]);
    await source.stop();
    expect(flood.exitCode).toBe(0);
    expect(source.counts().kernel.act.dropped).toBeGreaterThan(10_000);
    expect(await collector.find((fields) => String(fields["process.args"]).includes("amid-acts"))).toMatchObject({
      "event.action": "exec",
    });
  } finally {
    await source.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});

test.skipIf(refusal !== undefined)("programs with long arguments: pieces of these are lost before a program is", async () => {
  const registry = new SchemaRegistry();
  const collector = new Collector(registry);
  const source = new EbpfSource({ registry, processRingBytes: 2 << 20 });
  try {
    await source.start(collector);
    const long = Array.from({ length: 4 }, () => "a".repeat(60_000));
    const pids = Array.from({ length: 30 }, () => BigInt(Bun.spawnSync(["/bin/true", ...long]).pid));
    await source.stop();
    expect(source.counts().kernel.args.dropped).toBeGreaterThan(100);
    const seen = collector.all((fields) => fields["event.action"] === "exec").map((fields) => fields["process.pid"]);
    expect(pids.filter((pid) => !seen.includes(pid))).toEqual([]);
  } finally {
    await source.stop();
  }
});

test.skipIf(refusal !== undefined)("a flood of processes: what does not fit in the ring is counted, event by event", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kestrel-flood-"));
  const registry = new SchemaRegistry();
  const source = new EbpfSource({ registry, processRingBytes: RING_BYTES });
  try {
    compileActs("evasion/evasions", join(folder, "evasions"));
    await source.start(new Collector(registry));
    // Nobody reads the rings while this thread waits for the program: 1,000 forks and ends for a ring of 16 KiB.
    const flood = Bun.spawnSync([join(folder, "evasions"), "process-flood", "500"]);
    await source.stop();
    expect(flood.exitCode).toBe(0);
    const lost = source.losses()["ring-full"] ?? 0;
    expect(lost).toBeGreaterThan(500);
    expect(source.produced).toBe(source.counts().pushed + lost);
  } finally {
    await source.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
