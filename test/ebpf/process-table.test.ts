// The process table and its tracker: identity across pid reuse, lineage, bounds.
import { describe, expect, test } from "bun:test";
import { decode } from "../../src/ebpf/decode.ts";
import type { WholeEvent } from "../../src/ebpf/exec-joiner.ts";
import { readProcess } from "../../src/ebpf/proc-files.ts";
import { ANCESTORS_MAX, ARGS_KEPT_BYTES, DEAD_KEPT_NS, DEAD_MAX, type ProcessFacts, ProcessTable } from "../../src/ebpf/process-table.ts";
import { ProcessTracker } from "../../src/ebpf/process-tracker.ts";
import { Flag } from "../../src/ebpf/wire.ts";
import { execRecord, exitRecord, fileRecord, forkRecord } from "./kernel-record.ts";

const SECOND = 1_000_000_000n;

function event(record: Buffer): WholeEvent {
  const decoded = decode(new Uint8Array(record), 0, record.length);
  if (decoded === undefined || decoded.kind === "args") throw new Error("not a whole event");
  return decoded;
}

function setUp(known: readonly ProcessFacts[] = []): { readonly table: ProcessTable; readonly tracker: ProcessTracker } {
  const table = new ProcessTable("boot");
  return { table, tracker: new ProcessTracker(table, (pid) => known.find((facts) => facts.pid === pid)) };
}

function exec(pid: number, startNs: bigint, path: string, args = `${path}\0`, flags = 0): WholeEvent {
  return event(execRecord({ pid, startNs, flags, timeNs: startNs + 5n }, { path, args: Buffer.from(args) }));
}

test("descendants: the living ones by descent, also behind parents that have gone", () => {
  const table = new ProcessTable("boot");
  const add = (pid: number, parent?: number): void =>
    void table.add({ pid, startNs: pid * 1e9 }, parent === undefined ? undefined : table.current(parent));
  add(1);
  add(5, 1);
  add(6, 5);
  add(7, 6);
  add(8, 1);
  add(9, 5);
  for (const pid of [5, 6]) table.end(table.current(pid)!, 1e12);
  const idOf = (pid: number): string => table.entityId(pid, pid * 1e9);
  expect(table.descendants(idOf(5)).map(({ pid }) => pid)).toEqual([7, 9]);
  expect(table.descendants(idOf(7))).toEqual([]);
  table.expire(2e12);
  expect(table.descendants(idOf(5)).map(({ pid, entityId }) => [pid, entityId])).toEqual([
    [7, idOf(7)],
    [9, idOf(9)],
  ]);
});

describe("entity ids", () => {
  test("differ for a reused pid, another boot and another pid; agree for both clocks of one start", () => {
    const table = new ProcessTable("boot");
    const id = table.entityId(5, 1_234_567_890);
    expect(table.entityId(5, 1_230_000_000)).toBe(id);
    expect(table.entityId(5, 1_240_000_000)).not.toBe(id);
    expect(table.entityId(6, 1_234_567_890)).not.toBe(id);
    expect(new ProcessTable("other").entityId(5, 1_234_567_890)).not.toBe(id);
  });

  test("a pid used again at once, within one tick, does not keep the old program", () => {
    const { tracker } = setUp();
    const start = SECOND + 1n;
    tracker.apply(exec(5, start, "/bin/old"));
    tracker.apply(event(exitRecord({ pid: 5, startNs: start, timeNs: start + 20n }, 0)));
    const forked = tracker.apply(event(forkRecord({ pid: 5, startNs: start + 30n, timeNs: start + 30n })));
    expect(forked.info.executable).toBe("");
    expect(forked.endNs).toBe(0);
  });

  test("a pid used again is another process, and events of the old one no longer find it", () => {
    const { table, tracker } = setUp();
    const old = tracker.apply(exec(5, SECOND, "/bin/old"));
    tracker.apply(event(exitRecord({ pid: 5, startNs: SECOND, timeNs: 2n * SECOND }, 0)));
    const young = tracker.apply(event(forkRecord({ pid: 5, startNs: 3n * SECOND, ppid: 0 })));
    expect(young.info.entityId).not.toBe(old.info.entityId);
    expect(table.find(5, Number(SECOND))).toBeUndefined();
    expect(table.current(5)).toBe(young);
  });
});

describe("lineage", () => {
  test("a child has its parent's program until its own exec, and sees the parent's later exec", () => {
    const { tracker } = setUp();
    tracker.apply(exec(10, SECOND, "/usr/sbin/sshd"));
    const child = tracker.apply(event(forkRecord({ pid: 11, startNs: 2n * SECOND, ppid: 10, parentStartNs: SECOND })));
    expect(child.info).toMatchObject({ name: "sshd", executable: "/usr/sbin/sshd" });
    tracker.apply(exec(11, 2n * SECOND, "/bin/bash"));
    tracker.apply(exec(10, SECOND, "/bin/zsh"));
    expect(child.info.name).toBe("bash");
    expect(child.ancestors.map(({ name }) => name)).toEqual(["zsh"]);
  });

  test("a child that is made its maker's sibling (CLONE_PARENT) comes from its maker, and says nothing of its parent", () => {
    const { tracker, table } = setUp();
    tracker.apply(exec(10, SECOND, "/usr/sbin/sshd"));
    tracker.apply(event(forkRecord({ pid: 11, startNs: 2n * SECOND, ppid: 10, parentStartNs: SECOND })));
    tracker.apply(exec(11, 2n * SECOND, "/tmp/evil"));
    const sibling = event(forkRecord({ pid: 12, startNs: 3n * SECOND, ppid: 10, parentStartNs: SECOND, uid: 1000 }, 11));
    const child = tracker.apply(sibling);
    expect(child.info.executable).toBe("/tmp/evil");
    expect(child.ancestors.map(({ pid }) => pid)).toEqual([11, 10]);
    expect(table.current(10)?.info.credentials.euid).toBe(0);
  });

  test("outlives its members and stays bounded in a chain of forks", () => {
    const { table, tracker } = setUp();
    tracker.apply(exec(1, SECOND, "/sbin/init"));
    for (let pid = 2; pid < 200; pid++) {
      const at = SECOND * BigInt(pid);
      tracker.apply(event(forkRecord({ pid, startNs: at, ppid: pid - 1, parentStartNs: at - SECOND })));
      tracker.apply(event(exitRecord({ pid: pid - 1, startNs: at - SECOND, timeNs: at }, 0)));
    }
    table.expire(Number(SECOND) * 200 + DEAD_KEPT_NS * 2);
    expect(table.size).toBe(1);
    const last = table.current(199)!;
    expect(last.ancestors).toHaveLength(ANCESTORS_MAX);
    expect(last.ancestors.map(({ pid }) => pid)).toEqual(Array.from({ length: ANCESTORS_MAX }, (_, index) => 198 - index));
  });

  test("a process nobody told about is asked for, but only believed if it is the same one", () => {
    const known = { pid: 30, startNs: Number(SECOND), name: "cron", executable: "/usr/sbin/cron", ppid: 1 };
    const { tracker } = setUp([known]);
    const same = tracker.apply(event(fileRecord({ pid: 30, startNs: SECOND, comm: "cron" }, "/tmp/a")));
    expect(same.info.executable).toBe("/usr/sbin/cron");
    const other = setUp([known]).tracker.apply(event(fileRecord({ pid: 30, startNs: 9n * SECOND, comm: "evil" }, "/tmp/a")));
    expect(other.info).toMatchObject({ name: "evil", executable: "" });
    expect(tracker.unknownProcesses).toBe(1);
  });

  test("a parent younger than its child is somebody else under a reused pid", () => {
    const { tracker } = setUp([{ pid: 40, startNs: Number(9n * SECOND), name: "late", executable: "/late" }]);
    const child = tracker.apply(event(forkRecord({ pid: 41, startNs: 2n * SECOND, ppid: 40, parentStartNs: SECOND })));
    expect(child.ancestors).toEqual([]);
  });
});

describe("programs", () => {
  test("memory files, deleted files and scripts are known as such", () => {
    const { tracker } = setUp();
    const { info } = tracker.apply(event(execRecord({ pid: 5 }, { path: "/memfd:x", args: Buffer.from("x\0"), nlink: 0 })));
    expect(info).toMatchObject({ memfd: true, deleted: true, name: "memfd:x", script: "" });
    tracker.apply(
      event(execRecord({ pid: 5, flags: Flag.Script }, { path: "/usr/bin/python3", filename: "./run.py", args: Buffer.from("") })),
    );
    expect(info).toMatchObject({ memfd: false, deleted: false, name: "python3", script: "/run.py" });
  });

  test("arguments are data: control characters stay, long ones are kept in part", () => {
    const { tracker } = setUp();
    const { info } = tracker.apply(exec(5, SECOND, "/bin/x", `x\0\x1b[2J\r\n\0${"a".repeat(ARGS_KEPT_BYTES * 2)}\0`));
    expect(info.args.slice(0, 2)).toEqual(["x", "\x1b[2J\r\n"]);
    expect(info.argsCount).toBe(3);
    expect(info.commandLine.length).toBeLessThanOrEqual(ARGS_KEPT_BYTES);
  });
});

describe("bounds", () => {
  test("the dead stay for a while, then go; a full table drops the dead first", () => {
    const table = new ProcessTable("boot", 3);
    const dead = table.add({ pid: 2, startNs: 1 }, undefined);
    table.add({ pid: 1, startNs: 1 }, undefined);
    table.end(dead, 1000);
    expect(table.expire(1000 + DEAD_KEPT_NS)).toBe(0);
    expect(table.find(2, 1)).toBe(dead);
    table.add({ pid: 3, startNs: 1 }, undefined);
    table.add({ pid: 4, startNs: 1 }, undefined);
    expect([1, 2, 3, 4].map((pid) => table.current(pid) !== undefined)).toEqual([true, false, true, true]);
    table.add({ pid: 5, startNs: 1 }, undefined);
    expect(table.size).toBe(3);
  });

  test("a storm of short processes leaves a bounded number of dead", () => {
    const table = new ProcessTable("boot");
    for (let pid = 1; pid <= DEAD_MAX + 100; pid++) table.end(table.add({ pid, startNs: pid }, undefined), pid);
    expect(table.size).toBe(DEAD_MAX);
    expect(table.current(100)).toBeUndefined();
    expect(table.current(101)).toBeDefined();
  });

  test("the end of an old process does not take the new one under its pid away", () => {
    const table = new ProcessTable("boot");
    const old = table.add({ pid: 2, startNs: 1 }, undefined);
    table.end(old, 1000);
    const young = table.add({ pid: 2, startNs: 1e10 }, undefined);
    table.expire(1000 + DEAD_KEPT_NS * 2);
    expect(table.current(2)).toBe(young);
  });
});

test("a running process that calls itself like a line of its status has its own ids", async () => {
  const child = Bun.spawn(["/bin/sh", "-c", "printf '\\rUid: 77 77' >/proc/$$/comm; echo; read end"], { stdin: "pipe", stdout: "pipe" });
  await child.stdout.getReader().read();
  const id = process.getuid?.() ?? 0;
  expect(readProcess(child.pid)?.credentials).toMatchObject({ uid: id, euid: id });
  child.kill("SIGKILL");
  await child.exited;
});
