// Policies in this machine's kernel: connections denied by the control group's programs, programs and those who open files or connect killed by the
// sensors, and what only would have been. Programs and paths are the test's own, and so are the ports.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, copyFileSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { kernelDevice } from "#ebpf";
import { kernelConditionOf } from "#eql";
import { type RulePolicy, SchemaRegistry } from "#schema";
import { policyOf } from "../../src/engine/ladder.ts";
import { type Fields, type LiveSource, liveSource, refusal } from "./live.ts";

setDefaultTimeout(60_000);
const registry = new SchemaRegistry();

function policy(ruleId: string, text: string, action: "deny" | "kill", mode: "monitor" | "enforce" = "enforce"): RulePolicy {
  const condition = kernelConditionOf({ id: ruleId, text, dialect: "default", exceptions: [], lenientFields: false }, registry);
  const found = policyOf({ id: ruleId, action, mode, scope: "process" }, condition);
  if (found === undefined) throw new Error(`not decidable: ${text}`);
  return found;
}

async function use({ source }: LiveSource, policies: readonly RulePolicy[]): Promise<void> {
  source.usePolicies({ policies, isEnforced: ({ mode }) => mode === "enforce", protectedFiles: [], spared: [] });
  await source.settled();
}

interface Outcome {
  readonly pid: number;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

async function run(...command: readonly string[]): Promise<Outcome> {
  const child = Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const stderr = await new Response(child.stderr).text();
  await child.exited;
  return { pid: child.pid, exitCode: child.exitCode, signal: child.signalCode === null ? null : String(child.signalCode), stderr };
}

function ownTick(): number {
  return Number(readFileSync("/proc/self/stat", "utf8").split(") ")[1]!.split(" ")[19]);
}

/** A port of the loopback device that takes every connection. */
async function listener(): Promise<{ readonly port: number; [Symbol.dispose](): void }> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as { port: number }).port, [Symbol.dispose]: () => server.close() };
}

const connect = (port: number): Promise<Outcome> => run("bash", "-c", `exec 3<>/dev/tcp/127.0.0.1/${port}`);
const send = (port: number): Promise<Outcome> => run("bash", "-c", `echo x > /dev/udp/127.0.0.1/${port}`);

const PERL = Bun.which("perl");
if (PERL === null) console.log("skipped: a protected program that takes a user's effective id for a while (no perl)");
if (refusal !== undefined) console.log(`skipped: policies in the kernel: ${refusal}`);

describe.skipIf(refusal !== undefined)("policies in the kernel", () => {
  const live = liveSource();
  const { collector } = live;
  const event = (pid: number, action: string): Promise<Fields> =>
    collector.find((fields) => fields["process.pid"] === BigInt(pid) && fields["event.action"] === action);

  test("a connection is denied, others are not; the event says so", async () => {
    using wanted = await listener();
    using other = await listener();
    await use(live, [
      policy(
        "no-port",
        `network where event.action == "connection_attempted" and destination.port == ${wanted.port} and destination.ip == "127.0.0.1"`,
        "deny",
      ),
    ]);
    const denied = await connect(wanted.port);
    expect(denied).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("Operation not permitted") });
    expect(await connect(other.port)).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await event(denied.pid, "connection_attempted")).toMatchObject({
      "event.type": ["start", "denied"],
      "event.outcome": "failure",
      "destination.ip": "127.0.0.1",
      "destination.port": BigInt(wanted.port),
      "network.transport": "tcp",
      "process.name": "bash",
      "kestrel.policy.matched": ["no-port"],
      "kestrel.policy.acted": ["no-port"],
      "kestrel.policy.means": "cgroup",
      "kestrel.policy.spared": false,
    });
    expect(live.source.policies.status().deniers).toMatchObject([{ act: "connect", means: "cgroup" }]);
  });

  test("a connected datagram is denied and told once", async () => {
    using wanted = await listener();
    await use(live, [
      policy(
        "no-udp",
        `network where event.action == "connection_attempted" and destination.port == ${wanted.port} and network.transport == "udp"`,
        "deny",
      ),
    ]);
    const denied = await send(wanted.port);
    expect(denied.stderr).toContain("Operation not permitted");
    expect(await connect(wanted.port)).toMatchObject({ exitCode: 0 });
    await event(denied.pid, "end");
    const told = collector.all(
      (fields) => fields["process.pid"] === BigInt(denied.pid) && fields["event.action"] === "connection_attempted",
    );
    expect(told).toMatchObject([{ "event.outcome": "failure", "kestrel.policy.acted": ["no-udp"] }]);
  });

  test("in monitor nothing is touched, and a mode is switched without a reload", async () => {
    using wanted = await listener();
    const watched = policy(
      "watch",
      `network where event.action == "connection_attempted" and destination.port == ${wanted.port}`,
      "deny",
      "monitor",
    );
    let mode: RulePolicy["mode"] = "monitor";
    live.source.usePolicies({ policies: [watched], isEnforced: () => mode === "enforce", protectedFiles: [], spared: [] });
    await live.source.settled();
    const allowed = await connect(wanted.port);
    expect(allowed).toMatchObject({ exitCode: 0 });
    expect(await event(allowed.pid, "connection_attempted")).toMatchObject({
      "event.type": ["start"],
      "kestrel.policy.matched": ["watch"],
      "kestrel.policy.means": "cgroup",
    });
    mode = "enforce";
    live.source.policies.refreshModes();
    expect(await connect(wanted.port)).toMatchObject({ exitCode: 1 });
    mode = "monitor";
    live.source.policies.refreshModes();
    expect(await connect(wanted.port)).toMatchObject({ exitCode: 0 });
  });

  test("a program is killed before its first instruction, whatever name it was called by", async () => {
    const program = join(live.folder, "Victim");
    copyFileSync("/bin/echo", program);
    for (const [id, pattern] of [
      ["whole", `process.executable == "${program}"`],
      ["beginning", `process.executable : "${live.folder.toUpperCase()}/*"`],
      ["name", 'process.name : "victim"'],
      ["last-name", 'process.executable like "*/Victim"'],
      ["user", `process.executable == "${program}" and user.id == "${process.getuid?.()}" and not process.name in ("x", "y")`],
    ] as const) {
      await use(live, [
        policy(id, `process where event.action == "exec" and process.executable : "${live.folder}/*" and ${pattern}`, "kill"),
      ]);
      const killed = await run(program, "hello");
      expect({ id, signal: killed.signal }).toEqual({ id, signal: "SIGKILL" });
      expect(await event(killed.pid, "exec")).toMatchObject({
        "process.executable": program,
        "process.args": [program, "hello"],
        "event.type": ["start"],
        "kestrel.policy.acted": [id],
        "kestrel.policy.means": "bpf_signal",
      });
    }
    const none = ['process.name == "victim"', `process.executable == "${program}x"`, 'user.id == "4000000000"'];
    await use(
      live,
      none.map((text, index) =>
        policy(`not-${index}`, `process where event.action == "exec" and process.executable : "${live.folder}/*" and ${text}`, "kill"),
      ),
    );
    expect(await run(program)).toMatchObject({ exitCode: 0, signal: null });
  });

  test("who opens a file for writing is killed, and who reads it is not", async () => {
    const file = join(live.folder, "kept");
    await Bun.write(file, "x");
    await use(live, [policy("keep", `file where event.action == "modification" and file.path == "${file}"`, "kill")]);
    expect(await run("bash", "-c", `read -r line < ${file}`)).toMatchObject({ signal: null });
    const killed = await run("bash", "-c", `echo y >> ${file}`);
    expect(killed.signal).toBe("SIGKILL");
    expect(await event(killed.pid, "modification")).toMatchObject({ "file.path": file, "kestrel.policy.acted": ["keep"] });
    expect(await Bun.file(file).text()).toBe("x");
  });

  test("who connects is killed", async () => {
    using wanted = await listener();
    await use(live, [policy("cut", `network where event.action == "connection_attempted" and destination.port == ${wanted.port}`, "kill")]);
    const killed = await connect(wanted.port);
    expect(killed.signal).toBe("SIGKILL");
    expect(await event(killed.pid, "connection_attempted")).toMatchObject({ "event.type": ["start"], "kestrel.policy.acted": ["cut"] });
  });

  test("a protected program and a spared process are left alone, and the event says so", async () => {
    using wanted = await listener();
    const own = process.execPath;
    const { dev, ino } = statSync("/bin/bash", { bigint: true });
    live.source.usePolicies({
      policies: [policy("all", `network where event.action == "connection_attempted" and destination.port == ${wanted.port}`, "deny")],
      isEnforced: () => true,
      protectedFiles: [{ device: kernelDevice(dev), inode: ino, runners: "anybody" }],
      spared: [{ pid: process.pid, startTick: ownTick(), withHelpers: false }],
    });
    await live.source.settled();
    const spared = await connect(wanted.port);
    expect(spared).toMatchObject({ exitCode: 0 });
    expect(await event(spared.pid, "connection_attempted")).toMatchObject({ "kestrel.policy.spared": true, "event.type": ["start"] });
    // The test itself, in its own process.
    await fetch(`http://127.0.0.1:${wanted.port}`).catch((error: Error & { code?: string }) => expect(error.code).not.toBe("EPERM"));
    const stranger = await run(own, "-e", `await Bun.connect({ hostname: "127.0.0.1", port: ${wanted.port}, socket: { data() {} } })`);
    expect(stranger.exitCode).not.toBe(0);
  });

  test("of a protected program the processes that count are left alone, all others are not: as it is run, and as it runs", async () => {
    using wanted = await listener();
    chmodSync(live.folder, 0o755);
    const program = join(live.folder, "listed");
    copyFileSync("/bin/bash", program);
    const { dev, ino } = statSync(program, { bigint: true });
    const port = `network where event.action == "connection_attempted" and destination.port == ${wanted.port}`;
    live.source.usePolicies({
      policies: [policy("port", port, "deny"), policy("start", `process where event.action == "exec" and user.id == "5"`, "kill")],
      isEnforced: () => true,
      protectedFiles: [{ device: kernelDevice(dev), inode: ino, runners: [7, 5] }],
      spared: [{ pid: process.pid, startTick: ownTick(), withHelpers: false }],
    });
    await live.source.settled();
    const connectAs = (real: number, effective = real): Promise<Outcome> => {
      const user = [`--ruid=${real}`, `--euid=${effective}`, "--clear-groups", "--regid=7"];
      return run("setpriv", ...user, program, "-pc", `exec 3<>/dev/tcp/127.0.0.1/${wanted.port}`);
    };
    const rows: readonly (readonly [real: number, effective: number, isProtected: boolean])[] = [
      [0, 0, true],
      [7, 7, true],
      [7, 0, true],
      [6, 6, false],
      [6, 0, false],
      [0, 6, false],
    ];
    for (const [real, effective, isProtected] of rows) {
      const { exitCode, pid } = await connectAs(real, effective);
      expect({ real, effective, isProtected: exitCode === 0 }).toEqual({ real, effective, isProtected });
      if (isProtected) expect(await event(pid, "connection_attempted")).toMatchObject({ "kestrel.policy.spared": true });
    }
    expect(await connectAs(5)).toMatchObject({ exitCode: 0 });
    const other = join(live.folder, "unlisted");
    copyFileSync("/bin/true", other);
    expect((await run("setpriv", "--reuid=5", "--clear-groups", "--regid=5", other)).signal).toBe("SIGKILL");
  });

  test.skipIf(PERL === null)("a protected program that takes a user's effective id for a while, as sshd does, is left alone", async () => {
    using wanted = await listener();
    const { dev, ino } = statSync(PERL ?? "", { bigint: true });
    live.source.usePolicies({
      policies: [policy("all", `network where event.action == "connection_attempted" and destination.port == ${wanted.port}`, "deny")],
      isEnforced: () => true,
      protectedFiles: [{ device: kernelDevice(dev), inode: ino, runners: [] }],
      spared: [],
    });
    await live.source.settled();
    const connectAs = (change: string): Promise<Outcome> =>
      run(PERL ?? "", "-e", `use IO::Socket; ${change}; exit(IO::Socket::INET->new("127.0.0.1:${wanted.port}") ? 0 : 1)`);
    expect(await connectAs("$> = 6")).toMatchObject({ exitCode: 0 });
    expect(await connectAs("$< = $> = 6")).toMatchObject({ exitCode: 1 });
  });

  test("helpers of a spared process are left alone, its other children are not", async () => {
    const text = (path: string): string => `process where event.action == "exec" and process.executable == "${path}"`;
    live.source.usePolicies({
      policies: [policy("runtime", text(process.execPath), "kill"), policy("other", text("/usr/bin/true"), "kill")],
      isEnforced: () => true,
      protectedFiles: [],
      spared: [{ pid: process.pid, startTick: ownTick(), withHelpers: true }],
    });
    await live.source.settled();
    const helper = await run(process.execPath, "--version");
    expect(helper).toMatchObject({ exitCode: 0, signal: null });
    expect(await event(helper.pid, "exec")).toMatchObject({ "kestrel.policy.spared": true });
    expect((await run("/usr/bin/true")).signal).toBe("SIGKILL");
    expect((await run("sh", "-c", `${process.execPath} --version; exit $?`)).exitCode).toBe(137);
  });

  test("a new set takes the old one's place, and an empty one lets everything pass", async () => {
    const program = join(live.folder, "last");
    copyFileSync("/bin/echo", program);
    const text = (path: string): string => `process where event.action == "exec" and process.executable == "${path}"`;
    for (let round = 0; round < 5; round++) {
      await use(live, [policy("one", text(program), "kill")]);
      expect((await run(program)).signal).toBe("SIGKILL");
      await use(live, [policy("two", text(`${program}-other`), "kill")]);
      expect((await run(program)).signal).toBeNull();
    }
    await use(live, []);
    expect((await run(program)).signal).toBeNull();
    expect(live.source.policies.status().deniers).toEqual([]);
    expect(live.source.policies.status().counts).toMatchObject({ exec: { busy: 0, unreported: 0 }, connect: { busy: 0, unreported: 0 } });
  });
});
