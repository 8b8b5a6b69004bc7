// The parts of the exec gate that need no kernel to be held: what a file's head says, which mounts count, lines, accounts, who is spared.
import { describe, expect, test } from "bun:test";
import { closeSync, openSync, readFileSync, statSync } from "node:fs";
import { type FileStatus, fileStatus } from "#ffi/descriptors";
import { Protection, protectedPrograms } from "#respond";
import { CLEAR_FILES_MAX, ClearFiles, fileKey, isSettled } from "../../src/respond/clear-files.ts";
import { ExecSteps } from "../../src/respond/exec-steps.ts";
import { ACCOUNTS_MAX, GateLedger } from "../../src/respond/gate-ledger.ts";
import { gateMounts, servedFilesystems } from "../../src/respond/gate-mounts.ts";
import { runnable } from "../../src/respond/gate-wire.ts";
import { nextFileOf } from "../../src/respond/program-file.ts";
import { parseThreadStatus, readThreadStatus } from "../../src/respond/thread-status.ts";
import { FakeProcesses, PASSWD } from "./fixture.ts";

function statusOf(path: string): FileStatus {
  const fd = openSync(path, "r");
  try {
    return fileStatus(fd);
  } finally {
    closeSync(fd);
  }
}

function next(bytes: Uint8Array): ReturnType<typeof nextFileOf> {
  return nextFileOf((offset, length) => bytes.subarray(Math.min(offset, bytes.length), Math.min(offset + length, bytes.length)));
}

describe("the file the kernel opens next", () => {
  const rows: readonly (readonly [head: string, path: string | undefined])[] = [
    ["#!/bin/sh\n", "/bin/sh"],
    ["#! \t/usr/bin/env -S x\n", "/usr/bin/env"],
    ["#!relative arg", "relative"],
    ["#!/bin/sh\0rest", "/bin/sh"],
    ["#!", undefined],
    ["#! \n/bin/sh\n", undefined],
    ["", undefined],
    ["#", undefined],
    ["\x7fELF", undefined],
    [" #!/bin/sh\n", undefined],
  ];
  for (const [head, path] of rows) {
    test(JSON.stringify(head), () => {
      expect(next(Buffer.from(head))).toEqual(path === undefined ? undefined : { kind: "interpreter", path });
    });
  }

  test("the loader of a real program, which itself has none", () => {
    const loader = next(readFileSync("/bin/true"));
    expect(loader?.kind).toBe("loader");
    expect(loader?.path).toMatch(/^\/.*ld/);
    expect(next(readFileSync(loader?.path ?? ""))).toBeUndefined();
  });

  test("whatever is wrong with the file, it says nothing and does not fail", () => {
    const whole = readFileSync("/bin/true").subarray(0, 4096);
    for (let at = 0; at < 1024; at++) {
      for (const byte of [0, 0xff]) {
        const broken = Uint8Array.from(whole);
        broken[at] = byte;
        expect(["undefined", "object"]).toContain(typeof next(broken));
        expect(["undefined", "object"]).toContain(typeof next(broken.subarray(0, at)));
      }
    }
  });
});

const MOUNTINFO = [
  "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
  "23 22 0:5 / /proc rw,nosuid - proc proc rw",
  "24 22 0:6 / /tmp rw,noexec - tmpfs tmp rw",
  "25 22 0:6 / /mnt/same\\040again rw master:2 - tmpfs tmp rw",
  "26 22 8:1 /home /srv/home rw - ext4 /dev/sda1 rw",
  "27 22 0:7 / /merged rw - overlay overlay rw",
  "broken",
].join("\n");

test("every filesystem that programs can be run from, once", () => {
  expect(gateMounts(MOUNTINFO, undefined)).toEqual([
    { path: "/", filesystem: "8:1" },
    { path: "/mnt/same again", filesystem: "0:6" },
    { path: "/merged", filesystem: "0:7" },
  ]);
  expect(gateMounts(MOUNTINFO, ["/tmp", "/merged", "/nowhere"]).map(({ path }) => path)).toEqual(["/tmp", "/merged"]);
  expect(gateMounts(MOUNTINFO, [])).toEqual([]);
  expect(gateMounts(readFileSync("/proc/self/mountinfo", "utf8"), undefined).length).toBeGreaterThan(0);
});

test("filesystems that somebody serves are known by their type", () => {
  const more = "28 22 0:8 / /a rw - fuse.sshfs x rw\n29 22 0:9 / /b rw - nfs4 x rw\n30 22 0:10 / /c rw - fuseblk x rw";
  const served = servedFilesystems(`${MOUNTINFO}\n${more}`);
  expect([...served].flatMap(([device, isServed]) => (isServed ? device : []))).toEqual(["0:8", "0:9", "0:10"]);
});

test("a file's device is the same number in both notations", () => {
  const { device, inode, uid, mode, linkCount } = statusOf("/bin/true");
  const { dev, ino } = statSync("/bin/true", { bigint: true });
  const file = { path: "/bin/true", device, inode: String(inode), uid, mode, linkCount };
  expect(runnable(file)).toMatchObject({ device: dev, inode: ino, uid: 0, isShared: false });
  expect(runnable({ ...file, device: "259:70000" }).device).toBe(0x1111_0370n);
});

test("accounts are given out once, oldest first, and are bounded", () => {
  const ledger = new GateLedger();
  const account = (reason: string) => ({ mode: "enforce", outcome: "done", reason, waitedNs: 1 }) as const;
  ledger.add("r", "e", account("first"));
  ledger.add("r", "e", account("second"));
  expect([ledger.take("r", "other"), ledger.take("q", "e")]).toEqual([undefined, undefined]);
  expect([ledger.take("r", "e")?.reason, ledger.take("r", "e")?.reason, ledger.take("r", "e")]).toEqual(["first", "second", undefined]);
  for (let index = 0; index <= ACCOUNTS_MAX; index++) ledger.add("r", String(index), account(""));
  expect([ledger.take("r", "0"), ledger.take("r", "1")?.outcome]).toEqual([undefined, "done"]);
});

test("a clear file is one file under one name in one role, and they are bounded", () => {
  const stats = statusOf("/bin/true");
  const keys = [
    fileKey("/a", stats, ""),
    fileKey("/b", stats, ""),
    fileKey("/a", stats, "/s"),
    fileKey("/a", { ...stats, ctimeNs: 1n }, ""),
  ];
  expect(new Set(keys).size).toBe(4);
  const files = new ClearFiles();
  for (let index = 0; index <= CLEAR_FILES_MAX; index++) files.add(String(index), undefined);
  expect([files.size, files.has(String(CLEAR_FILES_MAX)), files.has("0")]).toEqual([1, true, false]);
  expect([isSettled(stats, stats.ctimeNs + 50_000_000n), isSettled(stats, stats.ctimeNs + 10n ** 12n)]).toEqual([false, true]);
});

test("a file is a loader only when it is the one the program names", () => {
  const steps = new ExecSteps();
  const loader = { kind: "loader", path: "/bin/true" } as const;
  const [same, other] = [statusOf("/bin/true"), statusOf("/bin/sh")];
  const tid = process.pid;
  expect(steps.roleOf(tid, same)).toEqual({ kind: "program", script: "" });
  steps.note(tid, { path: "/p", next: loader, script: "" });
  expect([steps.roleOf(tid, same).kind, steps.roleOf(tid, other).kind, steps.roleOf(1, same).kind]).toEqual([
    "loader",
    "program",
    "program",
  ]);
  steps.note(tid, { path: "/s", next: { kind: "interpreter", path: "/bin/true" }, script: "" });
  expect([steps.roleOf(tid, same), steps.roleOf(tid, other)]).toEqual([
    { kind: "program", script: "/s" },
    { kind: "program", script: "" },
  ]);
  steps.note(tid, { path: "/bin/true", next: undefined, script: "/s" });
  expect(steps.expects(tid)).toBeUndefined();
});

test("a thread's process, ids and what it may gain", () => {
  expect(readThreadStatus(process.pid)).toMatchObject({ pid: process.pid, ppid: process.ppid, uid: process.getuid?.() ?? -1 });
  expect(readThreadStatus(0x7fff_ffff)).toBeUndefined();
  const text = "Name:\tUid:\t9\nTgid:\t5\nPPid:\t4\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nNoNewPrivs:\t1\n";
  expect(parseThreadStatus(text)).toEqual({ pid: 5, ppid: 4, uid: 1, euid: 2, suid: 3, gid: 5, egid: 6, noNewPrivileges: true });
  expect(parseThreadStatus(text.replace("Uid:\t9", "\rTgid:1"))?.pid).toBe(5);
  expect(parseThreadStatus("Name:\tx\n")).toBeUndefined();
});

describe("whose programs are never denied", () => {
  const facts = { device: 1n, inode: 2n, uid: 0, isShared: false };
  const files: Readonly<Record<string, typeof facts>> = {
    "/proc/500/exe": { ...facts, inode: 9n },
    "/proc/501/exe": { ...facts, inode: 9n },
    "/proc/502/exe": facts,
    "/usr/sbin/sshd": facts,
    "/opt/tool": facts,
    "/usr/bin/dbus-daemon": facts,
  };
  const fileFacts = (path: string) => files[path];
  const programs = protectedPrograms(["/opt/tool"], PASSWD);
  const protection = new Protection({ processes: new FakeProcesses([]), programs, ownPid: 500, fileFacts });
  const rows: readonly (readonly [name: string, path: string, change: Partial<typeof facts>, reason: RegExp | undefined])[] = [
    ["a system program by name", "/usr/sbin/sshd", {}, /protected programs/],
    ["one by its path", "/opt/tool", {}, /protected programs/],
    ["the agent's own file, which is an interpreter for whoever starts it", "/anywhere", { inode: 9n }, undefined],
    ["another file under that path", "/usr/sbin/sshd", { inode: 3n }, undefined],
    ["one on another device", "/usr/sbin/sshd", { device: 3n }, undefined],
    ["one of a user", "/usr/sbin/sshd", { uid: 7 }, undefined],
    ["one that others may write to", "/usr/sbin/sshd", { isShared: true }, undefined],
    ["the name elsewhere", "/tmp/sshd", {}, undefined],
    ["any other", "/usr/bin/x", {}, undefined],
  ];
  for (const [name, path, change, reason] of rows) {
    test(name, () => {
      const found = protection.reasonToRun({ path, ...facts, ...change }, { real: 0, saved: 0 });
      if (reason === undefined) expect(found).toBeUndefined();
      else expect(found).toMatch(reason);
    });
  }

  const forWhom: readonly (readonly [name: string, path: string, real: number, saved: number, isProtected: boolean])[] = [
    ["a built-in name, its account", "/usr/bin/dbus-daemon", 100, 100, true],
    ["a built-in name, a user", "/usr/bin/dbus-daemon", 1000, 1000, false],
    ["a built-in name, a user with root's rights for a moment", "/usr/sbin/sshd", 1000, 0, false],
    ["a path of the operator's, a user", "/opt/tool", 1000, 1000, true],
  ];
  for (const [name, path, real, saved, isProtected] of forWhom) {
    test(name, () => expect(protection.reasonToRun({ path, ...facts }, { real, saved }) !== undefined).toBe(isProtected));
  }

  test("who is the agent: itself and what it starts, not whom it adopted nor who runs its file", () => {
    const isOwn = (pid: number, ppid: number): boolean => protection.isOwn({ pid, ppid });
    expect([isOwn(500, 1), isOwn(501, 500), isOwn(502, 500), isOwn(501, 499), isOwn(503, 500)]).toEqual([true, true, false, false, false]);
  });
});
