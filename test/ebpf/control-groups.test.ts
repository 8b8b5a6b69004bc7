// Control groups by id, on a plain folder in place of the cgroup tree: its inode numbers stand for the ids.
import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ControlGroups, groupPathOf } from "../../src/ebpf/control-groups.ts";

const root = mkdtempSync(join(tmpdir(), "kestrel-groups-"));
afterAll(() => rmSync(root, { recursive: true }));
const SECOND = 1e9;

function make(path: string): bigint {
  mkdirSync(join(root, path), { recursive: true });
  return statSync(join(root, path), { bigint: true }).ino;
}

test("by a walk over the tree; an unknown one does not cause a walk each time", () => {
  const service = make("system.slice/ssh.service");
  const groups = new ControlGroups(root, () => undefined);
  const pathOf = (id: bigint, nowNs: number) => groups.groupOf(id, 1, nowNs)?.path;
  expect(pathOf(statSync(root, { bigint: true }).ino, 0)).toBe("/");
  expect(pathOf(service, 0)).toBe("/system.slice/ssh.service");
  const late = make("late");
  expect(pathOf(late, 1)).toBeUndefined();
  expect(pathOf(late, SECOND)).toBe("/late");
  expect(pathOf(1n, 2 * SECOND)).toBeUndefined();
  const later = make("later");
  expect(pathOf(1n, 9 * SECOND)).toBeUndefined();
  expect(pathOf(later, 9 * SECOND)).toBe("/later");
});

test("a new group is known at once by the process that is in it, which is asked once", () => {
  const asked: number[] = [];
  const container = "3f2a".repeat(16);
  const groups = new ControlGroups(root, (pid) => {
    asked.push(pid);
    return `/docker/${container}`;
  });
  expect(groups.groupOf(2n, 1, 0)).toBeUndefined();
  const id = make(`docker/${container}`);
  for (const pid of [7, 8, 9]) {
    expect(groups.groupOf(id, pid, 5)).toEqual({
      path: `/docker/${container}`,
      container: { id: container, runtime: "docker", podUid: undefined },
    });
  }
  expect(asked).toEqual([1, 7]);
});

test("what a process says is believed only of the group asked for, and not asked for ever", () => {
  const id = make("mine");
  let asked = 0;
  const groups = new ControlGroups(root, () => {
    asked++;
    return asked % 2 === 0 ? "/late" : "/../mine";
  });
  for (let look = 0; look < 1000; look++) groups.groupOf(id + 1_000_000n + BigInt(look), 1, 1);
  expect(asked).toBe(256);
  expect(groups.groupOf(id, 1, 2)?.path).toBe("/mine");
});

test("a running process, and none", () => {
  expect(groupPathOf(process.pid)?.startsWith("/") ?? true).toBe(true);
  expect(groupPathOf(0)).toBeUndefined();
});
