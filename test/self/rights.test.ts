// What the agent gives up, on the real kernel: system calls in every thread, capabilities of a running agent, files that others can change.
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkTrusted } from "#self";
import { AgentProcess, sensorsRun } from "../cli/agent-process.ts";
import { runKestrel } from "../cli/program.ts";
import type { ProbeAnswer } from "./rights-probe.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "kestrel-rights-"));
afterAll(() => rmSync(folder, { recursive: true }));
const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("skipped: what root gives up (needs root)");

test.skipIf(!isRoot)("calls that are never needed are refused to every thread, whenever it began, and to children", async () => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "rights-probe.ts")], { stdout: "pipe", stderr: "inherit" });
  const said = JSON.parse(await new Response(child.stdout).text()) as ProbeAnswer;
  const refused = said.calls.map(() => "EPERM");
  expect(said.calls.length).toBeGreaterThan(30);
  expect([said.main, said.before, said.after]).toEqual([refused, refused, refused]);
  expect(said).toMatchObject({ unfiltered: 0, child: expect.stringContaining("Operation not permitted"), write: "still\n" });
  expect(said.threads).toBeGreaterThan(3);
});

const USUAL = ["CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_KILL", "CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_ADMIN"];
const LEAST = ["CAP_DAC_READ_SEARCH", "CAP_KILL", "CAP_NET_ADMIN", "CAP_SYS_PTRACE"];
const NUMBERS: Readonly<Record<string, number>> = {
  CAP_DAC_OVERRIDE: 1,
  CAP_DAC_READ_SEARCH: 2,
  CAP_KILL: 5,
  CAP_NET_ADMIN: 12,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
};
/** Kept where they are there to begin with. */
const KERNEL_MASK = (1n << 24n) | (1n << 38n) | (1n << 39n);

for (const [kept, names] of [
  ["usual", USUAL],
  ["least", LEAST],
] as const) {
  test.skipIf(!isRoot || !sensorsRun())(`a running agent keeps ${kept} rights in every thread, and sees all the same`, async () => {
    const rule = join(folder, `${kept}.yaml`);
    writeFileSync(rule, "id: test.net\nname: Net\nseverity: low\nquery: network where destination.port == 1\n");
    await using agent = await AgentProcess.start(join(folder, kept), ["--rights", kept, "--verbose", "--rules", rule]);
    const own = names.reduce((mask, name) => mask | (1n << BigInt(NUMBERS[name] ?? 0)), 0n);
    for (const id of readdirSync(`/proc/${agent.child.pid}/task`)) {
      const status = readFileSync(`/proc/${agent.child.pid}/task/${id}/status`, "utf8");
      const sets = [...status.matchAll(/^Cap(?:Prm|Eff|Bnd):\s*([0-9a-f]+)$/gm)].map(([, hex]) => BigInt(`0x${hex}`) & ~KERNEL_MASK);
      expect(sets.map((set) => set.toString(16))).toEqual([own, own, own].map((set) => set.toString(16)));
      expect(status).toMatch(/^NoNewPrivs:\t1\nSeccomp:\t2$/m);
    }
    const settings = readFileSync(`/proc/${agent.child.pid}/environ`, "utf8")
      .split("\0")
      .filter((text) => text.startsWith("BUN_JSC_"));
    expect(settings).toEqual(["BUN_JSC_thresholdForFTLOptimizeAfterWarmUp=400000"]);
    expect(agent.stderr).toContain("sensor exec     on");
    expect(agent.stderr).toMatch(/sensor connect +(?:on|fallback) /);
    expect(await agent.stop()).toBe(0);
  });
}

test("rights that are none are a usage error", async () => {
  const { code, stderr } = await runKestrel(["run", "--rights", "some", "--data", join(folder, "none")]);
  expect([code, stderr]).toEqual([2, expect.stringContaining('needs usual, least or all, not "some"')]);
});

/** Files in a folder of nobody else's; who may write to what. */
const CASES: readonly (readonly [name: string, change: (path: string) => void, reason: string | undefined])[] = [
  ["mine", () => {}, undefined],
  ["readable-by-all", (path) => chmodSync(path, 0o644), undefined],
  ["for-the-group", (path) => chmodSync(path, 0o660), "others may write to it (mode 660): chmod go-w it"],
  ["for-all", (path) => chmodSync(path, 0o606), "others may write to it (mode 606): chmod go-w it"],
  ["of-another", (path) => isRoot && chownSync(path, 1234, 0), isRoot ? "it belongs to user 1234" : undefined],
];
for (const [name, change, reason] of CASES) {
  test(`a file ${name}: ${reason ?? "trusted"}`, () => {
    const path = join(folder, name);
    writeFileSync(path, "", { mode: 0o600 });
    change(path);
    const found = checkTrusted(path, process.getuid?.() ?? 0);
    expect(found.map((each) => [each.path, each.reason])).toEqual(reason === undefined ? [] : [[path, expect.stringContaining(reason)]]);
  });
}

test("a folder on the way that others may write to, but not a sticky one", () => {
  const open = join(folder, "open");
  mkdirSync(join(open, "inner"), { recursive: true });
  chmodSync(open, 0o777);
  writeFileSync(join(open, "inner", "rule.yaml"), "");
  symlinkSync("inner/rule.yaml", join(folder, "open", "link.yaml"));
  for (const name of ["inner/rule.yaml", "not-there.yaml", "link.yaml"]) {
    expect(checkTrusted(join(open, name), process.getuid?.() ?? 0).map(({ path }) => path)).toEqual([open]);
  }
  chmodSync(open, 0o1777);
  expect(checkTrusted(join(open, "inner/rule.yaml"), process.getuid?.() ?? 0)).toEqual([]);
});

test.skipIf(!isRoot)("a database that others could write to is refused, a rule only named", async () => {
  const data = join(folder, "data");
  const rule = join(folder, "rule.yaml");
  mkdirSync(data, { mode: 0o700 });
  writeFileSync(join(data, "kestrel.db"), "");
  chmodSync(join(data, "kestrel.db"), 0o666);
  writeFileSync(rule, "id: a\nname: A\nseverity: low\nquery: process where false\n");
  chmodSync(rule, 0o666);
  const refused = await runKestrel(["run", "--data", data, "--listen", "127.0.0.1:0", "--rules", rule]);
  expect([refused.code, refused.stderr]).toEqual([
    3,
    expect.stringContaining(`Cannot use the database "${data}/kestrel.db": others may write`),
  ]);
  chmodSync(join(data, "kestrel.db"), 0o600);
  if (!sensorsRun()) return;
  await using agent = await AgentProcess.start(data, ["--rules", rule]);
  expect(agent.stderr).toContain(`others can change what this agent trusts path="${rule}"`);
  await agent.stop();
});
