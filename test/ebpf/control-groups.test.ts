// Control groups by id, on a plain folder in place of the cgroup tree: its inode numbers stand for the ids.
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ControlGroups, groupFields, groupPathOf } from "../../src/ebpf/control-groups.ts";

const root = mkdtempSync(join(tmpdir(), "kestrel-groups-"));
afterAll(() => rmSync(root, { recursive: true }));

function make(path: string): bigint {
  mkdirSync(join(root, path), { recursive: true });
  return statSync(join(root, path), { bigint: true }).ino;
}

test("by a walk over the tree, then none for fifty times as long; an unknown one does not cause another", () => {
  const service = make("system.slice/ssh.service");
  let milliseconds = 0;
  let forgotten = 0;
  const groups = new ControlGroups(root, {
    pathOfProcess: () => undefined,
    stopwatchMs: () => milliseconds++,
    onForget: () => forgotten++,
  });
  const pathOf = (id: bigint, nowNs: number) => groups.groupOf(id, 1, nowNs)?.["process.cgroup.path"];
  expect(pathOf(statSync(root, { bigint: true }).ino, 0)).toBe("/");
  expect(pathOf(service, 0)).toBe("/system.slice/ssh.service");
  const late = make("late");
  expect(pathOf(late, 49e6)).toBeUndefined();
  expect(pathOf(late, 50e6)).toBe("/late");
  expect(pathOf(1n, 100e6)).toBeUndefined();
  const later = make("later");
  expect(pathOf(1n, 200e6)).toBeUndefined();
  expect(pathOf(later, 200e6)).toBe("/later");
  expect(milliseconds).toBe(8);
  expect(forgotten).toBe(4);
});

test("a new group is known at once by the process that is in it, which is asked once", () => {
  const asked: number[] = [];
  const container = "3f2a".repeat(16);
  const pathOfProcess = (pid: number): string => {
    asked.push(pid);
    return `/docker/${container}`;
  };
  const groups = new ControlGroups(root, { pathOfProcess });
  expect(groups.groupOf(2n, 1, 0)).toBeUndefined();
  const id = make(`docker/${container}`);
  for (const pid of [7, 8, 9]) {
    expect(groups.groupOf(id, pid, 5)).toEqual({
      "process.cgroup.path": `/docker/${container}`,
      "container.id": container,
      "container.runtime": "docker",
    });
  }
  expect(asked).toEqual([1, 7]);
});

test("what a process says is believed only of the group asked for, and not asked for ever", () => {
  const id = make("mine");
  let asked = 0;
  const pathOfProcess = (): string => {
    asked++;
    return asked % 2 === 0 ? "/late" : "/../mine";
  };
  const groups = new ControlGroups(root, { pathOfProcess });
  for (let look = 0; look < 1000; look++) groups.groupOf(id + 1_000_000n + BigInt(look), 1, 1);
  expect(asked).toBe(256);
  expect(groups.groupOf(id, 1, 2e9)?.["process.cgroup.path"]).toBe("/mine");
});

test("what a path tells, by the fields of records", () => {
  expect(groupFields("/")).toEqual({ "process.cgroup.path": "/" });
  expect(groupFields("/lxc.payload.web")).toEqual({
    "process.cgroup.path": "/lxc.payload.web",
    "container.id": "web",
    "container.runtime": "lxc",
  });
  const pod = `/kubepods/pod${"a".repeat(32)}/${"b".repeat(64)}`;
  expect(groupFields(pod)).toEqual({
    "process.cgroup.path": pod,
    "container.id": "b".repeat(64),
    "orchestrator.type": "kubernetes",
    "orchestrator.resource.type": "pod",
    "orchestrator.resource.id": "a".repeat(32),
  });
});

test("a running process, and none", () => {
  expect(groupPathOf(process.pid)?.startsWith("/") ?? true).toBe(true);
  expect(groupPathOf(0)).toBeUndefined();
});
