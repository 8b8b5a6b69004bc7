// What a record says beside the act itself, on this machine's own kernel: the rights of a program that was started, its environment, the
// container it is in, what is in its file. Real programs, real control groups.

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { cgroupRoot } from "#core";
import { sensorFields } from "#ebpf";
import { closeFd, sealedMemoryFile } from "#ffi/libc";
import { type Fields, liveSource, refusal } from "./live.ts";

setDefaultTimeout(60_000);
const isRoot = process.getuid?.() === 0;
if (refusal !== undefined) console.log(`skipped: enrichment on the real kernel (${refusal})`);
const groups = cgroupRoot(readFileSync("/proc/self/mounts", "utf8"));
const setpriv = Bun.which("setpriv");
if (!isRoot || setpriv === null) console.log("skipped: programs with some capabilities (not root, or no setpriv)");
if (!isRoot || groups === undefined) console.log("skipped: a control group named as a container's (not root, or no cgroup v2)");

describe.skipIf(refusal !== undefined)("enrichment", () => {
  const live = liveSource({ variables: ["KESTREL_TEST"], holdMs: 30_000 });

  /** The record of the last program that a command started. */
  async function lastExec(command: readonly string[]): Promise<Fields> {
    const { events } = await live.run(command, "process");
    const execs = events.filter((fields) => fields["event.action"] === "exec");
    expect(execs.length).toBeGreaterThan(0);
    return execs.at(-1)!;
  }

  describe.skipIf(!isRoot || setpriv === null)("capabilities after the exec", () => {
    const CASES: readonly (readonly [string, readonly string[], readonly string[] | undefined])[] = [
      ["an ordinary user has none", ["--reuid=65534"], undefined],
      [
        "those that are ambient",
        ["--reuid=65534", "--inh-caps=+chown,+setuid", "--ambient-caps=+chown,+setuid"],
        ["CAP_CHOWN", "CAP_SETUID"],
      ],
      ["root within a bounding set", ["--bounding-set=-all,+net_admin,+sys_ptrace"], ["CAP_NET_ADMIN", "CAP_SYS_PTRACE"]],
    ];
    test.each(CASES)("%s", async (_name, flags, names) => {
      const fields = await lastExec([setpriv ?? "", ...flags, "/bin/true"]);
      expect(fields["process.executable"]).toMatch(/true$/);
      expect(fields["process.thread.capabilities.effective"]).toEqual(names as never);
      expect(fields["process.thread.capabilities.permitted"]).toEqual(names as never);
    });
  });

  test.skipIf(!isRoot || groups === undefined)("a control group made a moment ago names the container and the pod", async () => {
    const id = "7e57".repeat(16);
    const uid = `${String(process.pid).padStart(8, "0")}-98f1-4c0e-8f0d-2f4f8f5b7d11`;
    const pod = join(groups ?? "", `kubepods-pod${uid.replaceAll("-", "_")}.slice`);
    const group = join(pod, `cri-containerd-${id}.scope`);
    mkdirSync(group, { recursive: true });
    afterAll(() => {
      rmdirSync(group);
      rmdirSync(pod);
    });
    const fields = await lastExec(["/bin/sh", "-c", `echo $$ > ${group}/cgroup.procs; exec /bin/sleep 0.2`]);
    expect(fields).toMatchObject({
      "process.executable": expect.stringMatching(/sleep$/),
      "container.id": id,
      "container.runtime": "containerd",
      "orchestrator.type": "kubernetes",
      "orchestrator.resource.type": "pod",
      "orchestrator.resource.id": uid,
    });
    expect((await lastExec(["/bin/true"]))["container.id"]).toBeUndefined();
  });

  describe("environment", () => {
    const env = (...variables: readonly string[]): readonly string[] => ["/usr/bin/env", "-i", ...variables];
    const junk = (bytes: number): string => `JUNK=${"x".repeat(bytes)}`;
    const KEPT = ["LD_LIBRARY_PATH=/x", "KESTREL_TEST=a b"];
    const CASES: readonly (readonly [string, readonly string[], readonly string[]])[] = [
      ["what is asked for, nothing else", ["SECRET=1", ...KEPT, "PATH=/bin"], ["/bin/true"]],
      ["behind much else", [junk(16_000), junk(30_000), ...KEPT], ["/bin/true"]],
      ["with long arguments", [junk(16_000), ...KEPT], ["/bin/true", "y".repeat(60_000)]],
      ["of a program that changes its own", [...KEPT], ["/bin/sh", "-c", "unset KESTREL_TEST; LD_LIBRARY_PATH=; :"]],
    ];
    test.each(CASES)("%s", async (_what, variables, command) => {
      const fields = await lastExec([...env(...variables), ...command]);
      expect(fields["process.args"]).toEqual(command as never);
      expect(fields["process.env_vars"]).toEqual(KEPT as never);
      expect(fields["process.Ext.env_truncated"]).toBeUndefined();
    });

    test("more than 64 KiB: what came is kept, and the rest said to be missing", async () => {
      const fields = await lastExec([...env(KEPT[0]!, junk(100_000), KEPT[1]!), "/bin/true"]);
      expect(fields).toMatchObject({ "process.env_vars": [KEPT[0]], "process.Ext.env_truncated": true, "process.args": ["/bin/true"] });
    });

    test("none", async () => {
      expect((await lastExec([...env(), "/bin/true"]))["process.env_vars"]).toBeUndefined();
    });
  });

  describe("secrets", () => {
    test("are in no record of a program, of its children, or of a process that was there before", async () => {
      const secret = `hunter${process.pid}`;
      const command = ["/usr/bin/env", `http_proxy=http://bob:${secret}@proxy:3128`, "/bin/sh", "-c", `: --password ${secret}; /bin/true`];
      const { events } = await live.run([...command, `--token=${secret}`], "process");
      const shell = events.find((fields) => fields["event.action"] === "exec" && fields["process.Ext.script"] === undefined);
      expect(shell?.["process.Ext.redacted"]).toBe(true);
      const last = events.filter((fields) => fields["event.action"] === "exec").at(-1);
      expect(last).toMatchObject({
        "process.args": ["/bin/sh", "-c", ": --password [redacted]; /bin/true", "--token=[redacted]"],
        "process.command_line": "/bin/sh -c : --password [redacted]; /bin/true --token=[redacted]",
        "process.env_vars": expect.arrayContaining(["http_proxy=http://bob:[redacted]@proxy:3128"]),
      });
      const child = await live.collector.find(
        (fields) => fields["process.parent.pid"] === last?.["process.pid"] && fields["event.action"] === "exec",
      );
      expect(child["process.parent.command_line"]).toContain("--token=[redacted]");
      const everything = JSON.stringify(
        live.collector.all(() => true),
        (_key, value: unknown) => (typeof value === "bigint" ? String(value) : value),
      );
      expect(everything).toContain("[redacted]");
      expect(everything).not.toContain(secret);
    });

    test("a program without any is not marked", async () => {
      expect((await lastExec(["/bin/true", "-p", "x"]))["process.Ext.redacted"]).toBeUndefined();
    });
  });

  describe("the file of the program", () => {
    const sha256 = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");
    /** A program that stays until it is killed. */
    const STAYS = 'void _start(void) { for (;;) __asm__ volatile("syscall" :: "a"(34) : "rcx", "r11", "memory"); }';
    const isX64 = process.arch === "x64";
    const running: ReturnType<typeof Bun.spawn>[] = [];
    // As when a rule asks for the hash, and with more time than any machine needs.
    beforeAll(() => live.source.setHold(true));
    afterAll(() => {
      live.source.setHold(false);
      for (const child of running) child.kill("SIGKILL");
    });

    async function start(command: readonly string[], name = command[0]): Promise<Fields> {
      const child = Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
      running.push(child);
      return live.collector.find(
        (fields) =>
          fields["process.pid"] === BigInt(child.pid) && fields["process.executable"] === name && fields["event.action"] === "exec",
      );
    }

    test("hash and form are in the exec, in what the process does later, and in the end", async () => {
      const { events } = await live.run(["/bin/true"], "process");
      const path = realpathSync("/bin/true");
      const known = { "process.hash.sha256": sha256(path), "process.Ext.elf.static": false, "process.Ext.elf.stripped": true };
      for (const fields of events.filter(({ "event.action": action }) => action !== "fork")) expect(fields).toMatchObject(known);
      expect(events.at(-1)).toMatchObject({ "event.action": "end" });
      expect((await lastExec(["/bin/true"]))["process.hash.sha256"]).toBe(known["process.hash.sha256"]);
    });

    test("the hash of the parent's file is in what its children do", async () => {
      const { pid } = await live.run(["/bin/sh", "-c", "/bin/true; exit"], "process");
      const child = await live.collector.find(
        (fields) => fields["process.parent.pid"] === BigInt(pid) && fields["event.action"] === "exec" && fields["process.name"] === "true",
      );
      expect(child["process.parent.hash.sha256"]).toBe(sha256(realpathSync("/bin/sh")));
    });

    const hasDpkg = existsSync("/var/lib/dpkg/info");
    if (!hasDpkg) console.log("skipped: programs of packages (no dpkg)");
    test.skipIf(!hasDpkg)("whether a package brought it, by the path it is run by", async () => {
      // The lists are being read: said of a later program at the latest.
      const owned = await untilKnown("/bin/true");
      expect(owned).toMatchObject({ "process.Ext.packaged": true, "process.Ext.package": "coreutils" });
      const path = join(live.folder, "unpackaged");
      copyFileSync("/bin/true", path);
      const copy = await lastExec([path]);
      expect(copy).toMatchObject({ "process.Ext.packaged": false, "process.hash.sha256": owned["process.hash.sha256"] });
      expect(copy["process.Ext.package"]).toBeUndefined();
    });

    async function untilKnown(program: string): Promise<Fields> {
      for (;;) {
        const fields = await lastExec([program]);
        if (fields["process.Ext.packaged"] !== undefined) return fields;
      }
    }

    test.skipIf(!isX64)("of a file that has no name any more, of one in memory, of one another has replaced", async () => {
      const program = live.compile("stays", STAYS);
      const hash = sha256(program);
      const fd = openSync(program, "r");
      const gone = join(live.folder, "gone");
      renameSync(program, gone);
      const [byFd, memory] = [`/proc/${process.pid}/fd/${fd}`, sealedMemoryFile("kestrel-stays", readFileSync(gone))];
      rmSync(gone);
      writeFileSync(gone, "other");
      expect(await start([byFd], gone)).toMatchObject({
        "process.hash.sha256": hash,
        "process.Ext.executable_deleted": true,
        "process.Ext.elf.static": true,
        "process.Ext.elf.stripped": false,
        "process.elf.architecture": "x86-64",
      });
      expect((await start([`/proc/${process.pid}/fd/${memory}`], "/memfd:kestrel-stays"))["process.hash.sha256"]).toBe(hash);
      closeSync(fd);
      closeFd(memory);
    });

    test.skipIf(!isRoot || !isX64)("of one in another root, where our own path leads elsewhere", async () => {
      const root = join(live.folder, "root");
      mkdirSync(join(root, "bin"), { recursive: true });
      const program = live.compile("inner", STAYS);
      copyFileSync(program, join(root, "bin/true"));
      const fields = await start(["chroot", root, "/bin/true"], "/bin/true");
      expect(fields["process.hash.sha256"]).toBe(sha256(program));
    });

    test.skipIf(!isRoot)("set-user-id and set-group-id bits", async () => {
      const path = join(live.folder, "bits");
      copyFileSync("/bin/true", path);
      chmodSync(path, 0o6755);
      expect(await lastExec([path])).toMatchObject({ "process.Ext.setuid": true, "process.Ext.setgid": true });
      expect(await lastExec(["/bin/true"])).toMatchObject({ "process.Ext.setuid": false, "process.Ext.setgid": false });
    });

    test("held or not, events come in the order of their times", async () => {
      const { pid } = await live.run(["/bin/sh", "-c", "for i in 1 2 3; do cp /bin/true ./p$i; ./p$i; : > f$i; done"], "process");
      const ours = live.collector.all((fields) => fields["process.pid"] === BigInt(pid) || fields["process.parent.pid"] === BigInt(pid));
      expect(ours.length).toBeGreaterThan(10);
      const times = ours.map((fields) => fields["@timestamp"] as bigint);
      expect(times).toEqual([...times].sort((a, b) => Number(a - b)));
    });
  });

  test("every field of every record so far is in the table, under the sensor that set it", () => {
    const table = new Map(sensorFields().map(({ name, sensors }) => [name, sensors]));
    // Several sensors have the same fallback attachment: what any of them may set is right.
    const sensorsOf = (attachment: unknown): readonly string[] =>
      live.source.statuses().flatMap((status) => (status.attachment === attachment ? status.sensor : []));
    const wrong = new Set<string>();
    for (const record of live.collector.all(() => true)) {
      const sensors = sensorsOf(record["kestrel.sensor"]);
      expect(sensors.length).toBeGreaterThan(0);
      for (const name of Object.keys(record)) {
        if (!sensors.some((sensor) => table.get(name)?.includes(sensor as never) === true)) wrong.add(`${name} of ${sensors.join()}`);
      }
    }
    expect([...wrong]).toEqual([]);
    expect(live.collector.all(() => true).length).toBeGreaterThan(50);
  });
});
