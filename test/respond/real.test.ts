// Responses on real processes of this kernel: one, a tree, a tree that hides by double fork, a group that freezes, and who is left alone.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cgroupRoot, SystemClock } from "#core";
import { Protection, protectedPrograms } from "#respond";
import { thaw } from "../../src/respond/cgroup-freezer.ts";
import { becomes, hasEnded, real, request, responderOver, Shell, stateOf } from "./fixture.ts";

setDefaultTimeout(60_000);

const ROOT = cgroupRoot(readFileSync("/proc/self/mounts", "utf8"));
const noFreezing = whyNoFreezing();
if (noFreezing !== undefined) console.log(`skipped: freezing a control group (${noFreezing})`);
const IS_ROOT = process.getuid?.() === 0;
if (!IS_ROOT) console.log("skipped: programs protected by name (needs root to own a program)");

function whyNoFreezing(): string | undefined {
  if (ROOT === undefined) return "cgroup v2 is not mounted";
  const folder = join(ROOT, `kestrel-probe-${process.pid}`);
  try {
    mkdirSync(folder);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  try {
    writeFileSync(join(folder, "cgroup.freeze"), "0");
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    rmdirSync(folder);
  }
}

function responder(lineage: readonly number[] = []): ReturnType<typeof responderOver>["responder"] {
  const known = lineage.map((pid) => ({ pid, entityId: entityOf(pid) }));
  return responderOver(real, { ownPid: process.pid, cgroupRoot: ROOT, lineage: { descendants: () => known } }).responder;
}

function entityOf(pid: number): string {
  return real.look(pid)?.entityId ?? "";
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

test("kill ends the process and not its child; with scope tree both", async () => {
  await using shell = new Shell("sleep 300 & echo $!; wait");
  const child = await shell.number();
  const childEntity = entityOf(child);
  expect(responder().respond(request(shell.pid, entityOf(shell.pid)))).toMatchObject({
    outcome: "done",
    means: "sigkill",
    processCount: 1,
  });
  await shell.child.exited;
  expect(shell.child.signalCode).toBe("SIGKILL");
  expect(hasEnded(child)).toBe(false);
  expect(responder().respond(request(child, childEntity, { scope: "tree" }))).toMatchObject({ outcome: "done", processCount: 1 });
  await becomes(() => hasEnded(child), "the end of the child");
});

test("monitor touches nobody, and a wrong entity id reaches nobody", async () => {
  await using shell = new Shell("sleep 300 & echo $!; wait");
  const child = await shell.number();
  const entityId = entityOf(shell.pid);
  const asked = { mode: "monitor", scope: "tree" } as const;
  expect(responder().respond(request(shell.pid, entityId, asked))).toMatchObject({ outcome: "would", means: "sigkill", processCount: 2 });
  expect(responder().respond(request(shell.pid, entityOf(child)))).toMatchObject({ outcome: "gone", processCount: 0 });
  expect([shell.pid, child].map((pid) => hasEnded(pid) || stateOf(pid) === "T")).toEqual([false, false]);
  process.kill(child, "SIGKILL");
});

test("the tree is killed: children, grandchildren, and one that forked twice to lose its parent", async () => {
  await using shell = new Shell('(setsid sh -c "sleep 300 & echo \\$!") ; sh -c "sleep 300 & echo \\$!; exec sleep 300" & wait');
  const [lost, grandchild] = [await shell.number(), await shell.number()];
  await becomes(() => real.look(lost)?.ppid !== shell.pid && stateOf(lost) === "S", "an orphan");
  const pids = [lost, grandchild];
  expect(responder([lost]).respond(request(shell.pid, entityOf(shell.pid), { scope: "tree" }))).toMatchObject({
    outcome: "done",
    processCount: 4,
    reason: "",
  });
  await shell.child.exited;
  for (const pid of pids) await becomes(() => hasEnded(pid), `the end of ${pid}`);
});

test("a tree that forks as fast as it can is killed whole", async () => {
  // A time that no other program sleeps: orphans are found by it.
  const time = `300.${process.pid}`;
  const sleeping = (): readonly number[] => real.all().flatMap(({ pid }) => (commandLine(pid).includes(time) && !hasEnded(pid) ? pid : []));
  await using shell = new Shell(`echo 1; while :; do sleep ${time} & done`);
  await shell.number();
  await becomes(() => sleeping().length > 20, "children");
  const account = responder().respond(request(shell.pid, entityOf(shell.pid), { scope: "tree" }));
  expect(account).toMatchObject({ outcome: "done", reason: "" });
  expect(account?.processCount).toBeGreaterThan(20);
  await shell.child.exited;
  await becomes(() => sleeping().length === 0, "the end of every child");
});

test("suspend stops the tree where the control group is shared", async () => {
  await using shell = new Shell("sleep 300 & echo $!; wait");
  const child = await shell.number();
  const account = responder().respond(request(shell.pid, entityOf(shell.pid), { action: "suspend", scope: "tree" }));
  expect(account).toMatchObject({ outcome: "done", means: "sigstop", processCount: 2 });
  await becomes(() => stateOf(shell.pid) === "T" && stateOf(child) === "T", "two stopped processes");
  process.kill(child, "SIGKILL");
});

describe.skipIf(noFreezing !== undefined)("freezing", () => {
  const folder = join(ROOT ?? "", `kestrel-freeze-${process.pid}`);
  mkdirSync(folder);
  afterAll(() => rmdirSync(folder));
  const isFrozen = (): boolean => readFileSync(join(folder, "cgroup.events"), "utf8").includes("frozen 1");

  async function inGroup(work: (shell: Shell, child: number) => Promise<void>): Promise<void> {
    await using shell = new Shell("read go; sleep 300 & echo $!; wait");
    writeFileSync(join(folder, "cgroup.procs"), String(shell.pid));
    shell.child.stdin.write("go\n");
    shell.child.stdin.flush();
    const child = await shell.number();
    try {
      await work(shell, child);
    } finally {
      thaw(folder);
      process.kill(child, "SIGKILL");
      shell.child.kill("SIGKILL");
      await becomes(() => readFileSync(join(folder, "cgroup.procs"), "utf8") === "", "an empty group");
    }
  }

  test("a tree with a group of its own is frozen by it; SIGCONT does not wake it", () =>
    inGroup(async (shell, child) => {
      const asked = { action: "suspend", scope: "tree" } as const;
      expect(responder().respond(request(shell.pid, entityOf(shell.pid), { ...asked, mode: "monitor" }))).toMatchObject({
        outcome: "would",
        means: "freeze",
        processCount: 2,
      });
      expect(isFrozen()).toBe(false);
      expect(responder().respond(request(shell.pid, entityOf(shell.pid), asked))).toMatchObject({
        outcome: "done",
        means: "freeze",
        processCount: 2,
        reason: folder,
      });
      await becomes(isFrozen, "a frozen group");
      process.kill(child, "SIGCONT");
      expect(isFrozen()).toBe(true);
    }));

  test("a child that left the group in the last moment is stopped by the next look", () =>
    inGroup(async (shell) => {
      await using late = new Shell("echo 1; exec sleep 300");
      await late.number();
      const known: { readonly pid: number; readonly entityId: string }[] = [];
      const { responder, clock } = responderOver(real, { ownPid: process.pid, cgroupRoot: ROOT, lineage: { descendants: () => known } });
      const account = responder.respond(request(shell.pid, entityOf(shell.pid), { action: "suspend", scope: "tree" }));
      expect(account).toMatchObject({ outcome: "done", means: "freeze" });
      known.push({ pid: late.pid, entityId: entityOf(late.pid) });
      clock.advance(50);
      await becomes(() => stateOf(late.pid) === "T", "a stopped child");
      late.child.kill("SIGKILL");
    }));

  test("a group that others share is not frozen: a signal has to do", () =>
    inGroup(async (shell, child) => {
      const account = responder().respond(request(child, entityOf(child), { action: "suspend" }));
      expect(account).toMatchObject({ outcome: "done", means: "sigstop", processCount: 1 });
      await becomes(() => stateOf(child) === "T", "a stopped child");
      expect([isFrozen(), hasEnded(shell.pid), stateOf(shell.pid) === "T"]).toEqual([false, false, false]);
    }));

  test("a group whose name goes on behind a carriage return is not taken for the one it begins like", async () => {
    const other = `${folder}\rx`;
    mkdirSync(other);
    await using shell = new Shell("read go");
    try {
      writeFileSync(join(other, "cgroup.procs"), String(shell.pid));
      const account = responder().respond(request(shell.pid, entityOf(shell.pid), { action: "suspend" }));
      expect(account).toMatchObject({ outcome: "done", means: "freeze", processCount: 1, reason: other });
      expect(isFrozen()).toBe(false);
    } finally {
      thaw(other);
      thaw(folder);
      shell.child.kill("SIGKILL");
      await becomes(() => readFileSync(join(other, "cgroup.procs"), "utf8") === "", "an empty group");
      rmdirSync(other);
    }
  });
});

describe.skipIf(!IS_ROOT)("programs protected by name", () => {
  const system = mkdtempSync("/usr/local/lib/kestrel-test-");
  const elsewhere = mkdtempSync("/tmp/kestrel-test-");
  afterAll(() => {
    rmSync(system, { recursive: true });
    rmSync(elsewhere, { recursive: true });
  });
  const protection = new Protection({ processes: real, programs: protectedPrograms(["kestrel-guard"]), ownPid: process.pid });
  const rows: readonly (readonly [name: string, folder: string, mode: number, isProtected: boolean])[] = [
    ["a system program", system, 0o755, true],
    ["the same name elsewhere", elsewhere, 0o755, false],
    ["one that others may write to", system, 0o777, false],
  ];
  for (const [name, folder, mode, isProtected] of rows) {
    test(name, async () => {
      const program = join(folder, "kestrel-guard");
      copyFileSync("/bin/sleep", program);
      chmodSync(program, mode);
      const child = Bun.spawn([program, "300"], { argv0: "sshd" });
      await becomes(() => real.executable(child.pid) === program, "the program");
      const found = real.look(child.pid);
      expect(found === undefined ? undefined : protection.reason(found) !== undefined).toBe(isProtected);
      child.kill("SIGKILL");
      await child.exited;
      rmSync(program);
    });
  }
});

test("this process, those that started it and pid 1 are refused, whatever is asked", () => {
  for (let pid = process.pid; pid > 0; pid = real.look(pid)?.ppid ?? 0) {
    for (const action of ["kill", "suspend"] as const) {
      const asked = { action, scope: "tree" } as const;
      // Monitor: should this fail, nobody is harmed.
      expect(responder().respond(request(pid, entityOf(pid), { ...asked, mode: "monitor" }))?.outcome).toBe("refused");
    }
  }
});

test("latency of a kill, from the call to the return", async () => {
  const tookUs: number[] = [];
  const clock = new SystemClock();
  for (let index = 0; index < 200; index++) {
    const child = Bun.spawn(["/bin/sleep", "300"]);
    const entityId = entityOf(child.pid);
    const { responder: one } = responderOver(real, { ownPid: process.pid, clock });
    const response = one.respond(request(child.pid, entityId, { timeNs: clock.nowNs() }));
    expect(response?.outcome).toBe("done");
    tookUs.push(Number(response?.latencyNs ?? 0n) / 1000);
    await child.exited;
    expect(child.signalCode).toBe("SIGKILL");
  }
  tookUs.sort((a, b) => a - b);
  console.log(`kill of one process, 200 tries: P50 ${tookUs[100]?.toFixed(0)} µs, P99 ${tookUs[198]?.toFixed(0)} µs`);
});
