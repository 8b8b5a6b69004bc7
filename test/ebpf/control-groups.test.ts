// Control groups by id, on a plain folder in place of the cgroup tree: its inode numbers stand for the ids.
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cgroupRoot } from "#core";
import { NativeError } from "#ffi/handle";
import { ControlGroups, groupFields, groupPathOf } from "../../src/ebpf/control-groups.ts";

const root = mkdtempSync(join(tmpdir(), "kestrel-groups-"));
const mount = process.getuid?.() === 0 ? cgroupRoot(readFileSync("/proc/self/mounts", "utf8")) : undefined;
if (mount === undefined) console.log("skipped: a real group (not root, or no cgroup v2)");
afterAll(() => rmSync(root, { recursive: true }));

const refuse = (): undefined => {
  throw new NativeError("EPERM", "libc", "no");
};

function make(path: string): bigint {
  mkdirSync(join(root, path), { recursive: true });
  return statSync(join(root, path), { bigint: true }).ino;
}

test("by a walk over the tree, then none for fifty times as long; an unknown one does not cause another", () => {
  const service = make("system.slice/ssh.service");
  let milliseconds = 0;
  let forgotten = 0;
  const groups = new ControlGroups(root, {
    pathOfGroup: refuse,
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
  const groups = new ControlGroups(root, { pathOfGroup: refuse, pathOfProcess });
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
  const groups = new ControlGroups(root, { pathOfGroup: refuse, pathOfProcess });
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

test("by its id, without any process, and only below the mount", () => {
  const id = make("system.slice/by-id.service");
  const paths = new Map([[id, join(root, "system.slice/by-id.service")]]);
  let opened = 0;
  const groups = new ControlGroups(root, {
    pathOfGroup: (_root, each) => {
      opened++;
      return paths.get(each);
    },
    pathOfProcess: refuse,
    stopwatchMs: refuse as () => never,
  });
  for (let look = 0; look < 3; look++) expect(groups.groupOf(id, 1, 0)?.["process.cgroup.path"]).toBe("/system.slice/by-id.service");
  paths.set(2n, "/another/mount").set(3n, `${root}-2/x`);
  for (const other of [2n, 3n, 4n, 2n, 3n, 4n]) expect(groups.groupOf(other, 1, 0)).toBeUndefined();
  expect(opened).toBe(4);
});

test("a look that fails for want of descriptors or memory is tried again", () => {
  const id = make("again.service");
  const troubles = ["EMFILE", "ENFILE", "ENOMEM"];
  const pathOfGroup = (): string => {
    const code = troubles.pop();
    if (code !== undefined) throw new NativeError(code, "libc", "no");
    return join(root, "again.service");
  };
  const groups = new ControlGroups(root, { pathOfGroup, pathOfProcess: refuse, stopwatchMs: refuse as () => never });
  for (let look = 0; look < 3; look++) expect(groups.groupOf(id, 1, 0)).toBeUndefined();
  expect(groups.groupOf(id, 1, 0)?.["process.cgroup.path"]).toBe("/again.service");
});

test.skipIf(mount === undefined)("a real group by its number, until it is gone", () => {
  const folder = join(mount ?? "", `kestrel-${process.pid}.service`);
  mkdirSync(folder);
  const { ino } = statSync(folder, { bigint: true });
  const looks = { pathOfProcess: refuse, stopwatchMs: refuse as () => never };
  expect(new ControlGroups(mount, looks).groupOf(ino, 0, 0)).toEqual({ "process.cgroup.path": `/kestrel-${process.pid}.service` });
  expect(new ControlGroups(mount, looks).groupOf(1n, 0, 0)?.["process.cgroup.path"]).toBe("/");
  rmdirSync(folder);
  expect(new ControlGroups(mount, looks).groupOf(ino, 0, 0)).toBeUndefined();
});

test.skipIf(mount === undefined)("a real group in a container whose name is no text is of that container", () => {
  const container = join(mount ?? "", `docker-${"3f2a".repeat(15)}${String(process.pid).padStart(4, "0").slice(-4)}.scope`);
  const folder = Buffer.concat([Buffer.from(`${container}/`), Buffer.from([0xff])]);
  mkdirSync(container);
  mkdirSync(folder);
  try {
    const { ino } = statSync(folder, { bigint: true });
    const groups = new ControlGroups(mount, { pathOfProcess: refuse, stopwatchMs: refuse as () => never });
    expect(groups.groupOf(ino, 0, 0)).toMatchObject({
      "container.runtime": "docker",
      "process.cgroup.path": expect.stringMatching(/\.scope\/\ufffd$/),
    });
  } finally {
    rmdirSync(folder);
    rmdirSync(container);
  }
});

// Whoever may make groups may nest them; the kernel tells no path of more than a page.
test.skipIf(mount === undefined)("a real group too deep for a path is not known, and keeps no other from being", async () => {
  const top = join(mount ?? "", `kestrel-deep-${process.pid}.service`);
  const script = `my ($top, $name) = ($ARGV[0], "d" x 250);
    mkdir $top; chdir $top; for (1 .. 20) { mkdir $name; chdir $name } print +(stat ".")[1]; close STDOUT;
    <STDIN>; for (1 .. 20) { chdir ".."; rmdir $name } chdir "/"; rmdir $top;`;
  const maker = Bun.spawn(["perl", "-e", script, top], { stdin: "pipe", stdout: "pipe" });
  const ino = BigInt(await new Response(maker.stdout).text());
  const groups = new ControlGroups(mount, { pathOfProcess: refuse, stopwatchMs: refuse as () => never });
  try {
    expect(groups.groupOf(ino, 0, 0)).toBeUndefined();
    expect(groups.groupOf(1n, 0, 0)?.["process.cgroup.path"]).toBe("/");
  } finally {
    maker.stdin.end();
    await maker.exited;
  }
  expect(existsSync(top)).toBe(false);
});

test("a running process, and none", () => {
  expect(groupPathOf(process.pid)?.startsWith("/") ?? true).toBe(true);
  expect(groupPathOf(0)).toBeUndefined();
});
