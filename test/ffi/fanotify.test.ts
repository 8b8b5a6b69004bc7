// Permission to run a program, on the real kernel and a tmpfs of the test's own: events, verdicts, marks, misuse; and waiting for descriptors.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closeSync, existsSync, fstatSync, openSync, readlinkSync, statSync } from "node:fs";
import { cachedStatusAt, fileStatus, isNosuidMount, Poll, PollSet, readAvailable, setNonBlocking, writeAvailable } from "#ffi/descriptors";
import { ExecPermissionGroup } from "#ffi/fanotify";
import { closeFd } from "#ffi/libc";
import { NativeBuffer } from "#ffi/memory";
import { gatesRun, OwnMount } from "../respond/own-mount.ts";
import { codeOf } from "./code-of.ts";

setDefaultTimeout(60_000);

const WAIT_MS = 30_000;

describe.skipIf(!gatesRun())("ExecPermissionGroup", () => {
  /** Runs a program of a marked mount and answers every question about it; what was asked, and how the program ended. */
  async function asked(
    allow: boolean,
    scope: "filesystem" | "mount",
  ): Promise<{ readonly files: readonly string[]; readonly code: number }> {
    using mount = new OwnMount();
    const program = mount.program("asked");
    // Started before the mark: starting a program waits for its verdict, which this thread gives.
    const shell = Bun.spawn(["/bin/sh", "-c", `read go; exec ${program}`], { stdin: "pipe", stdout: "ignore", stderr: "ignore" });
    using group = ExecPermissionGroup.open();
    group.mark(mount.path, scope);
    group.mark(mount.path, scope);
    expect(group.read(1)).toEqual([]);
    shell.stdin.write("go\n");
    await shell.stdin.end();
    const poll = new PollSet(1);
    poll.set(0, group.fd, Poll.In);
    poll.wait(WAIT_MS);
    expect(poll.found(0)).toBe(Poll.In);
    const files: string[] = [];
    for (const { fd, tid } of group.read(8)) {
      expect(tid).toBe(shell.pid);
      expect(fstatSync(fd).ino).toBe(statSync(program).ino);
      files.push(readlinkSync(`/proc/self/fd/${fd}`));
      expect(group.respond(fd, allow)).toBe(true);
      expect(group.respond(fd, allow)).toBe(false);
      closeFd(fd);
    }
    expect(files).toEqual([program]);
    group.unmark(mount.path, scope);
    return { files, code: await shell.exited };
  }

  test("an allowed program runs", async () => {
    expect((await asked(true, "filesystem")).code).toBe(0);
  });

  test("a denied program does not run", async () => {
    expect((await asked(false, "mount")).code).toBe(126);
  });

  test("closing the group lets go of whoever waits", async () => {
    using mount = new OwnMount();
    const program = mount.program("held");
    const shell = Bun.spawn(["/bin/sh", "-c", `read go; exec ${program}`], { stdin: "pipe" });
    const group = ExecPermissionGroup.open();
    group.mark(mount.path, "filesystem");
    shell.stdin.write("go\n");
    await shell.stdin.end();
    const poll = new PollSet(1);
    poll.set(0, group.fd, Poll.In);
    poll.wait(WAIT_MS);
    const [event] = group.read(1);
    group.close();
    group.close();
    expect(await shell.exited).toBe(0);
    closeFd(event?.fd ?? -1);
  });

  test("misuse is refused with the value", () => {
    const group = ExecPermissionGroup.open();
    expect(codeOf(() => group.read(0))).toBe("range");
    expect(codeOf(() => group.read(65))).toBe("range");
    expect(codeOf(() => group.respond(1.5, true))).toBe("range");
    expect(() => group.mark("/nowhere/at/all", "mount")).toThrow('fanotify_mark "/nowhere/at/all": ENOENT');
    expect(codeOf(() => group.mark("/tmp\0", "mount"))).toBe("range");
    group.close();
    expect(codeOf(() => group.read(1))).toBe("closed");
  });
});

test("reads and writes what is possible at once", () => {
  const [readEnd, writeEnd] = pipe();
  const buffer = NativeBuffer.from(new TextEncoder().encode("hello"));
  const taken = new NativeBuffer(16);
  const poll = new PollSet(2);
  poll.set(1, readEnd, Poll.In);
  poll.wait(0);
  expect([poll.found(0), poll.found(1)]).toEqual([0, 0]);
  expect(readAvailable(readEnd, taken)).toBeUndefined();
  expect(writeAvailable(writeEnd, buffer, 1, 4)).toBe(4);
  poll.wait(WAIT_MS);
  expect(poll.found(1)).toBe(Poll.In);
  expect(readAvailable(readEnd, taken)).toBe(4);
  expect(new TextDecoder().decode(taken.bytes.subarray(0, 4))).toBe("ello");
  const page = new NativeBuffer(65_536);
  let written = 0;
  for (let more = writeAvailable(writeEnd, page, 0, 65_536); more !== undefined; more = writeAvailable(writeEnd, page, 0, 65_536))
    written += more;
  expect(written).toBeGreaterThanOrEqual(4096);
  closeSync(writeEnd);
  while ((readAvailable(readEnd, page) ?? 0) > 0);
  expect(readAvailable(readEnd, taken)).toBe(0);
  poll.wait(WAIT_MS);
  expect(poll.found(1) & Poll.HangUp).toBe(Poll.HangUp);
  closeSync(readEnd);
  expect(codeOf(() => readAvailable(readEnd, taken))).toBe("EBADF");
  expect(codeOf(() => writeAvailable(1, buffer, 4, 2))).toBe("range");
  expect(codeOf(() => poll.set(2, 0, Poll.In))).toBe("range");
});

test("tells a file's status as stat does, without asking the filesystem", () => {
  const fd = openSync("/bin/sh", "r");
  const status = fileStatus(fd);
  const { ino, uid, gid, mode, nlink, size, ctimeNs, mtimeNs } = fstatSync(fd, { bigint: true });
  closeSync(fd);
  expect(status).toMatchObject({ inode: ino, uid: Number(uid), gid: Number(gid), mode: Number(mode), linkCount: Number(nlink) });
  expect([status.sizeBytes, status.ctimeNs, status.mtimeNs]).toEqual([size, ctimeNs, mtimeNs]);
  const root = openSync("/", "r");
  // In memory: it has just been opened. Through a symbolic link, where /bin/sh is one.
  expect(cachedStatusAt(root, "/bin/sh")).toEqual(status);
  expect(cachedStatusAt(root, "/../bin/sh")).toEqual(status);
  expect(cachedStatusAt(root, "bin/sh")).toEqual(status);
  expect(existsSync("/nowhere")).toBe(false);
  expect(cachedStatusAt(root, "/nowhere")).toBeUndefined();
  closeSync(root);
  expect(codeOf(() => fileStatus(-1))).toBe("EBADF");
  expect(codeOf(() => cachedStatusAt(1.5, "/"))).toBe("range");
  expect(codeOf(() => cachedStatusAt(0, "\0"))).toBe("range");
});

test.skipIf(!gatesRun())("knows a mount that ignores set-user-id bits", () => {
  for (const [option, isNosuid] of [
    ["suid", false],
    ["nosuid", true],
  ] as const) {
    using mount = new OwnMount(option);
    const fd = openSync(mount.path, "r");
    expect(isNosuidMount(fd)).toBe(isNosuid);
    closeSync(fd);
  }
  expect(codeOf(() => isNosuidMount(-1))).toBe("EBADF");
});

/** Both ends of a named pipe, opened without waiting for each other. */
function pipe(): readonly [readEnd: number, writeEnd: number] {
  const path = `/tmp/kestrel-pipe-${process.pid}`;
  Bun.spawnSync(["mkfifo", path]);
  const both = openSync(path, "r+");
  const readEnd = openSync(path, "r");
  const writeEnd = openSync(path, "w");
  closeSync(both);
  Bun.spawnSync(["rm", path]);
  setNonBlocking(readEnd);
  setNonBlocking(writeEnd);
  return [readEnd, writeEnd];
}
