// The sensors on this machine's own kernel: do the act with a real program, see the record. Skips, saying why, where the kernel refuses.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cancel, KestrelError, SystemClock } from "#core";
import { EbpfSource, inspectMachine } from "#ebpf";
import { RecordView } from "#event";
import { closeFd, sealedMemoryFile } from "#ffi/libc";
import { type FieldValue, SchemaRegistry } from "#schema";
import { Collector } from "./collector.ts";

// Generous, since machines are noisy and no test here measures time; it only ends what hangs.
setDefaultTimeout(60_000);
const registry = new SchemaRegistry();
const report = inspectMachine();
const ready = report.error === undefined;
if (!ready) console.log(`skipped: sensors on the real kernel (${report.error})`);

const folder = mkdtempSync(join(tmpdir(), "kestrel-live-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Fields = Readonly<Record<string, FieldValue>>;

function start(command: readonly string[], options?: { readonly cwd?: string }): ReturnType<typeof Bun.spawn> {
  return Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "ignore", ...options });
}

/** A clock that tells of each wait for a turn. */
class TurnClock extends SystemClock {
  onWait: (delayMs: number) => void = () => undefined;

  override after(delayMs: number, task: () => void): Cancel {
    this.onWait(delayMs);
    return super.after(delayMs, task);
  }

  waits(wantedMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.onWait = (delayMs) => delayMs === wantedMs && resolve();
    });
  }
}

test.skipIf(!ready)("the rings are read more often while somebody acts on what they hold", async () => {
  const clock = new TurnClock();
  const source = new EbpfSource({ registry, clock });
  await source.start(new Collector(registry));
  await clock.waits(20);
  source.setPrompt(true);
  await clock.waits(5);
  source.setPrompt(false);
  await clock.waits(20);
  await source.stop();
});

test("doctor tells how each sensor is attached, or why none is", () => {
  expect(report.kernel).not.toBe("");
  if (ready) {
    expect(report.sensors.map(({ sensor }) => sensor).sort()).toEqual([
      "accept",
      "act",
      "attribute",
      "bind",
      "change",
      "connect",
      "credential",
      "dns",
      "exec",
      "exit",
      "file",
      "fork",
      "memory",
      "module",
      "send",
      "signal",
      "unix",
    ]);
    for (const { sensor, attachment, refused } of report.sensors) {
      // A kernel may be built without modules.
      if (sensor !== "module") expect(attachment).toBeDefined();
      for (const refusal of refused) expect(refusal.code).toMatch(/^E[A-Z0-9]+$/);
    }
    expect(report.notCovered.length).toBeGreaterThan(2);
  } else {
    expect(report.error).toMatch(/Run as root|kernel must be/);
  }
});

test.skipIf(ready)("without rights start fails with no-bpf and a way out", async () => {
  const source = new EbpfSource({ registry });
  const error = await source.start(new Collector(registry)).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(KestrelError);
  expect((error as KestrelError).code).toBe("no-bpf");
});

describe.skipIf(!ready)("records", () => {
  const source = new EbpfSource({ registry });
  const collector = new Collector(registry);
  beforeAll(() => source.start(collector));
  afterAll(() => source.stop());

  const of = (pid: number, action: string): Promise<Fields> =>
    collector.find((fields) => fields["process.pid"] === BigInt(pid) && fields["event.action"] === action);

  test("exec: who, what, where, from whom", async () => {
    const odd = ["a b", "", "\x1b[31m\r\n", "naïve ☃", "-x"];
    const child = start(["/bin/echo", ...odd], { cwd: folder });
    const fields = await of(child.pid, "exec");
    expect(fields).toMatchObject({
      "event.category": ["process"],
      "event.type": ["start"],
      "event.kind": "event",
      "host.os.type": "linux",
      "process.name": "echo",
      "process.executable": "/usr/bin/echo",
      "process.args": ["/bin/echo", ...odd],
      "process.args_count": 6n,
      "process.command_line": `/bin/echo ${odd.join(" ")}`,
      "process.working_directory": folder,
      "process.parent.pid": BigInt(process.pid),
      "process.parent.executable": process.execPath,
      "process.ppid": BigInt(process.pid),
      "user.id": String(process.getuid?.()),
      "process.Ext.memfd": false,
    });
    const ancestry = fields["kestrel.ancestry"] as readonly string[];
    expect(ancestry[0]).toBe(`${process.pid}\t${process.execPath.split("/").at(-1)}\t${process.execPath}`);
    expect((fields["process.Ext.ancestry"] as readonly string[])[0]).toBe(fields["process.parent.entity_id"] as string);
  });

  test("fork, exec and exit of one process share its entity id; the exit has the code", async () => {
    const child = start(["/bin/sh", "-c", "exit 37"]);
    const [fork, exec, exit] = [await of(child.pid, "fork"), await of(child.pid, "exec"), await of(child.pid, "end")];
    expect(fork["event.type"]).toEqual(["start"]);
    expect(exit).toMatchObject({ "event.type": ["end"], "process.exit_code": 37n });
    expect(new Set([fork, exec, exit].map((fields) => fields["process.entity_id"])).size).toBe(1);
    expect(new Set([fork, exec, exit].map((fields) => fields["process.start"])).size).toBe(1);
  });

  test("a killed process ends with its signal", async () => {
    const child = start(["/bin/sleep", "60"]);
    await of(child.pid, "exec");
    child.kill("SIGKILL");
    expect(await of(child.pid, "end")).toMatchObject({ "process.exit_code": 137n, "process.exit_signal": 9n });
  });

  test("200 KiB of arguments come whole; more than 256 KiB are cut and say so", async () => {
    const whole = Array.from({ length: 4 }, (_, index) => String(index).repeat(50 << 10));
    const fields = await of(start(["/bin/true", ...whole]).pid, "exec");
    expect(fields["process.args"]).toEqual(["/bin/true", ...whole]);
    expect(fields["process.Ext.args_truncated"]).toBeUndefined();
    const cut = await of(start(["/bin/true", ...whole, ...whole]).pid, "exec");
    expect(cut["process.Ext.args_truncated"]).toBe(true);
    const kept = (cut["process.args"] as readonly string[]).join("\0");
    expect(kept.length).toBeGreaterThanOrEqual((256 << 10) - 1);
  });

  test("a script: the interpreter runs, the script is named", async () => {
    const script = join(folder, "tool.sh");
    writeFileSync(script, "#!/bin/sh\nexit 0\n", { mode: 0o755 });
    expect(await of(start([script]).pid, "exec")).toMatchObject({
      "process.Ext.script": script,
      "process.args": ["/bin/sh", script],
    });
    const byName = Bun.spawn(["./tool.sh"], { cwd: folder });
    expect(await of(byName.pid, "exec")).toMatchObject({ "process.Ext.script": script, "process.args": ["/bin/sh", "./tool.sh"] });
  });

  const root = process.getuid?.() === 0;
  if (!root) console.log("skipped: a setuid program (only root can make one of another user)");
  test.skipIf(!root)("a program that gains rights by its file says so, an ordinary one does not", async () => {
    const path = join(folder, "setuid");
    copyFileSync("/bin/true", path);
    chownSync(path, 65_534, 65_534);
    chmodSync(path, 0o4755);
    const fields = await of(start([path]).pid, "exec");
    expect(fields).toMatchObject({ "process.Ext.secure_exec": true, "user.id": "65534", "user.Ext.real.id": "0" });
    expect((await of(start(["/bin/true"]).pid, "exec"))["process.Ext.secure_exec"]).toBe(false);
  });

  test("a program in a memory file", async () => {
    const fd = sealedMemoryFile("kestrel-test", readFileSync("/bin/true"));
    const fields = await of(start([`/proc/${process.pid}/fd/${fd}`, "x"]).pid, "exec");
    closeFd(fd);
    expect(fields).toMatchObject({
      "process.Ext.memfd": true,
      "process.Ext.executable_deleted": true,
      "process.executable": "/memfd:kestrel-test",
      "process.Ext.memfd.name": "memfd:kestrel-test",
      "process.name": "memfd:kestrel-test",
    });
  });

  test("a program that is gone by the time it runs", async () => {
    const path = join(folder, "gone");
    copyFileSync("/bin/sleep", path);
    const code = `const fs = require('node:fs'); const fd = fs.openSync(${JSON.stringify(path)}, 'r'); fs.rmSync(${JSON.stringify(path)});
      Bun.spawnSync(['/proc/' + process.pid + '/fd/' + fd, '0']);`;
    start([process.execPath, "-e", code]);
    const fields = await collector.find((record) => record["process.executable"] === path && record["event.action"] === "exec");
    expect(fields).toMatchObject({ "process.Ext.executable_deleted": true, "process.Ext.memfd": false });
  });

  test("files: made, written, and read when on the watch list; a plain read is no event", async () => {
    const made = join(folder, "made.txt");
    const secret = join(folder, ".ssh");
    mkdirSync(secret);
    writeFileSync(join(secret, "anything"), "x");
    const script = `cat /etc/hostname > /dev/null; echo a > ${made}; echo b >> ${made}; read line < ${secret}/anything; exit 0`;
    const child = start(["/bin/sh", "-c", script]);
    await of(child.pid, "end");
    const files = collector.all((fields) => fields["process.pid"] === BigInt(child.pid) && String(fields["event.category"]) === "file");
    expect(files.map((fields) => [fields["event.action"], String(fields["event.type"]), fields["file.path"]])).toEqual([
      ["creation", "creation", made],
      ["modification", "change", made],
      ["open", "access", join(secret, "anything")],
    ]);
    expect(files[0]).toMatchObject({
      "file.name": "made.txt",
      "file.directory": folder,
      "file.extension": "txt",
      "file.type": "file",
      "file.uid": String(process.getuid?.()),
      "process.command_line": `/bin/sh -c ${script}`,
    });
  });

  test("a very deep folder: the end of the path, and a mark that the beginning is missing", async () => {
    const deep = `${folder}${"/d".repeat(120)}`;
    mkdirSync(deep, { recursive: true });
    const child = start(["/bin/sh", "-c", "echo > leaf"], { cwd: deep });
    const fields = await of(child.pid, "creation");
    expect(fields["file.path"]).toMatch(/^…(\/d){80,}\/leaf$/);
  });

  test("in a changed root directory paths are those the process itself sees", async () => {
    const changed = join(folder, "root");
    mkdirSync(join(changed, "bin"), { recursive: true });
    // A program that needs no library: the new root has none.
    const compiled = Bun.spawnSync(["clang", "-static", "-nostdlib", "-x", "c", "-", "-o", join(changed, "bin/leave")], {
      stdin: Buffer.from("void _start(void) { __builtin_trap(); }"),
    });
    expect(compiled.stderr.toString()).toBe("");
    const child = start(["chroot", changed, "/bin/leave"]);
    const seen = await collector.find((fields) => fields["process.pid"] === BigInt(child.pid) && fields["process.name"] === "leave");
    expect(seen).toMatchObject({ "event.action": "exec", "process.executable": "/bin/leave", "process.working_directory": "/" });
  });

  test("TCP: asked for, also when refused", async () => {
    const server = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
    const { port } = server;
    server.stop(true);
    const child = start(["/bin/bash", "-c", `: < /dev/tcp/127.0.0.1/${port}`]);
    expect(await of(child.pid, "connection_attempted")).toMatchObject({
      "event.category": ["network"],
      "event.type": ["start"],
      "destination.ip": "127.0.0.1",
      "destination.port": BigInt(port),
      "network.transport": "tcp",
      "network.type": "ipv4",
      "network.direction": "egress",
      "process.name": "bash",
    });
  });

  const datagrams = report.sensors.find(({ sensor }) => sensor === "connect")?.blind.includes("UDP and ICMP") === false;
  if (!datagrams) console.log("skipped: UDP (no cgroup v2 to attach to)");
  test.skipIf(!datagrams)("UDP over IPv6, or IPv4 where there is no IPv6", async () => {
    const child = start(["/bin/bash", "-c", ": < /dev/udp/127.0.0.1/9"]);
    expect(await of(child.pid, "connection_attempted")).toMatchObject({ "network.transport": "udp", "destination.port": 9n });
  });

  test("what a turn read is sent on at its end, not when a batch is full or old", async () => {
    const sent = collector.sent();
    const child = start(["/bin/true"]);
    await of(child.pid, "exec");
    await sent;
  });

  test("time is the kernel's, in the order things happened", async () => {
    const before = BigInt(Date.now() - 50) * 1_000_000n;
    const child = start(["/bin/true"]);
    const [fork, exec, exit] = [await of(child.pid, "fork"), await of(child.pid, "exec"), await of(child.pid, "end")];
    const times = [fork, exec, exit].map((fields) => fields["@timestamp"] as bigint);
    expect(times[0]! > before && times[0]! < times[1]! && times[1]! < times[2]!).toBe(true);
    expect(times[2]! <= BigInt(Date.now() + 50) * 1_000_000n).toBe(true);
  });
});

test.skipIf(!ready)(
  "a flood: every record is pushed or counted as dropped, none is both",
  async () => {
    const source = new EbpfSource({ registry, activityRingBytes: 64 << 10 });
    const [pathId, pidId] = [registry.idOf("file.path"), registry.idOf("process.pid")];
    const view = new RecordView();
    const path = join(folder, "flood");
    const paths = new Set<string>();
    let [pushed, childPid] = [0, -1];
    await source.start({
      push: (bytes, offset) => {
        pushed++;
        view.reset(bytes, offset);
        // Whole also where the ring's end cuts through a record: 64 KiB go round hundreds of times.
        if (view.number(pidId) === childPid && view.has(pathId)) paths.add(view.string(pathId) ?? "");
        return true;
      },
      ready: async () => {},
    });
    const code = `const fs = require('node:fs'); for (let i = 0; i < 100000; i++) fs.closeSync(fs.openSync(${JSON.stringify(path)}, 'a'));`;
    const child = start([process.execPath, "-e", code]);
    childPid = child.pid;
    await child.exited;
    await source.stop();
    const { kernel, malformed } = source.counts();
    expect(kernel.file.produced).toBeGreaterThanOrEqual(100_000);
    expect(source.losses()["ring-full"]).toBeGreaterThan(0);
    expect(source.produced).toBe(pushed + source.losses()["ring-full"]!);
    expect(kernel.exec.dropped + kernel.fork.dropped + kernel.exit.dropped).toBe(0);
    expect(malformed).toBe(0);
    expect([...paths].filter((seen) => seen !== path && seen.startsWith(folder))).toEqual([]);
    expect(paths.has(path)).toBe(true);
  },
  60_000,
);

test.skipIf(!ready)("lost pieces of long command lines are not lost events", async () => {
  const source = new EbpfSource({ registry, processRingBytes: 64 << 10 });
  let pushed = 0;
  await source.start({
    push: () => {
      pushed++;
      return true;
    },
    ready: async () => {},
  });
  // The thread waits here and reads nothing meanwhile, so the ring overflows in the middle of a command line.
  Bun.spawnSync(["/bin/true", ...Array.from({ length: 20 }, () => "x".repeat(10_000))]);
  await source.stop();
  const lost = Object.values(source.losses()).reduce((sum, count) => sum + count, 0);
  expect(source.counts().piecesLost).toBeGreaterThan(0);
  expect(source.produced).toBe(pushed + lost);
});
