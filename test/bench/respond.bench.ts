// From an act to its end, on this kernel: a connection refused by the control group's programs, a program killed by the sensor that saw it start, and
// what comes after the alert, by the built agent: a tree killed, a process stopped, a control group frozen; of a killed tree and a frozen group, the
// responder's call alone as well.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cgroupRoot, SystemClock } from "#core";
import { EbpfSource, inspectMachine } from "#ebpf";
import { kernelConditionOf } from "#eql";
import { type RulePolicy, SchemaRegistry } from "#schema";
import { policyOf } from "../../src/engine/ladder.ts";
import { thaw } from "../../src/respond/cgroup-freezer.ts";
import { Collector } from "../ebpf/collector.ts";
import { compileActs } from "../kernels/initramfs.ts";
import { real, request, responderOver } from "../respond/fixture.ts";
import { printAlone, quantile, type Row, type Section, skipped } from "./row.ts";
import { AgentHome, RunningAgent, whyNoAgent } from "./running-agent.ts";

const TRIES = 1000;
/** Connects to a port of the loopback device TRIES times and prints how many nanoseconds each call took; ends badly when one succeeds. */
const CONNECT_C = `#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
int main(int c, char **v) {
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(v[1])), .sin_addr = { htonl(INADDR_LOOPBACK) } };
  for (int i = 0; i < atoi(v[2]); i++) {
    struct timespec a, b;
    int s = socket(AF_INET, SOCK_STREAM, 0);
    clock_gettime(CLOCK_MONOTONIC, &a);
    int r = connect(s, (struct sockaddr *)&to, sizeof to);
    clock_gettime(CLOCK_MONOTONIC, &b);
    if ((r == 0) != (c > 3) || (r && errno != EPERM)) return 1;
    printf("%ld\\n", (b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec);
    close(s);
  }
}`;
const NO_CGROUP = "cgroup v2 is not mounted";
const registry = new SchemaRegistry();

function row(name: string, samplesNs: readonly number[], note = ""): Row {
  const us = Float64Array.from(samplesNs, (ns) => ns / 1000);
  return { name, value: quantile(us, 0.5), p99: quantile(us, 0.99), unit: "µs", note: note || `${samplesNs.length} tries` };
}

function policy(text: string, action: "deny" | "kill"): RulePolicy {
  const condition = kernelConditionOf({ id: "bench", text, dialect: "default", exceptions: [], lenientFields: false }, registry);
  const found = policyOf({ id: "bench", action, mode: "enforce", scope: "process" }, condition);
  if (found === undefined) throw new Error(`The kernel cannot decide: ${text}`);
  return found;
}

async function inKernel(folder: string): Promise<readonly Row[]> {
  const source = new EbpfSource({ registry, inspect: false });
  const collector = new Collector(registry);
  await source.start(collector);
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = server.address() as { port: number };
    const program = join(folder, "connect");
    const compiled = Bun.spawnSync(["clang", "-O1", "-x", "c", "-", "-o", program], { stdin: Buffer.from(CONNECT_C) });
    if (compiled.exitCode !== 0) throw new Error(compiled.stderr.toString());
    const connect = (...more: readonly string[]): readonly number[] => {
      const run = Bun.spawnSync([program, String(port), String(TRIES), ...more]);
      if (run.exitCode !== 0) throw new Error("A connection came to the wrong end");
      return run.stdout.toString().trim().split("\n").map(Number);
    };
    const victim = join(folder, "victim");
    copyFileSync("/bin/true", victim);
    source.usePolicies({
      policies: [
        policy(`network where destination.port == ${port} and process.executable : "${folder}/*"`, "deny"),
        policy(`process where event.action == "exec" and process.executable == "${victim}"`, "kill"),
      ],
      isEnforced: () => true,
      protectedFiles: [],
      spared: [],
    });
    await source.settled();
    const refused = connect();
    for (let index = 0; index < TRIES; index++) {
      const child = Bun.spawnSync([victim]);
      if (child.signalCode !== "SIGKILL") throw new Error("The program was not killed");
    }
    await source.stop();
    const ended = collector.all((fields) => fields["process.executable"] === victim && fields["event.action"] === "end");
    const started = new Map(
      collector
        .all((fields) => fields["kestrel.policy.means"] === "bpf_signal")
        .map((fields) => [fields["process.entity_id"], fields] as const),
    );
    const toEnd = ended.flatMap((end) => {
      const start = started.get(end["process.entity_id"] ?? "");
      return start === undefined ? [] : Number((end["@timestamp"] as bigint) - (start["@timestamp"] as bigint));
    });
    return [
      row("connect refused in the kernel: the whole call", refused),
      row("program killed by its sensor: from its start to its end", toEnd),
      row(
        "program killed by its sensor: to decide and send the signal",
        [...started.values()].map((fields) => Number(fields["kestrel.policy.latency"])),
      ),
    ];
  } finally {
    server.close();
    await source.stop();
  }
}

/** What the built agent answers after the alert. */
interface AgentAct {
  readonly name: string;
  /** Name of the program the rule is about. */
  readonly program: string;
  readonly action: "kill" | "suspend";
  /** What latency.c waits for, and how every try must end. */
  readonly until: "death" | "stop" | "freeze";
  readonly ends: string;
}

const AGENT_ACTS: readonly AgentAct[] = [
  {
    name: "tree killed after the alert: from its start until it is gone",
    program: "killed",
    action: "kill",
    until: "death",
    ends: "SIGKILL",
  },
  {
    name: "process stopped after the alert: from its start until it stands",
    program: "stopped",
    action: "suspend",
    until: "stop",
    ends: "SIGSTOP",
  },
  {
    name: "control group frozen after the alert: from its program's start until it is frozen",
    program: "frozen",
    action: "suspend",
    until: "freeze",
    ends: "frozen",
  },
];

/** By the built agent and test/kernels/latency.c, with programs that would run for ever. The group is where the last one is started. */
async function throughAgent(folder: string, group: string | undefined): Promise<readonly Row[]> {
  const reason = whyNoAgent();
  if (reason !== "") return skipped("acts answered after the alert", reason);
  const latency = join(folder, "latency");
  compileActs("kernels/latency", latency);
  const rules = AGENT_ACTS.map(({ program, action }) => {
    copyFileSync(latency, join(folder, program));
    const query = `process where event.action == "exec" and process.executable == "${join(folder, program)}"`;
    return { id: `bench.${program}`, query, action, scope: "tree", mode: "enforce" };
  });
  writeFileSync(join(folder, "rules.json"), JSON.stringify(rules));
  const home = new AgentHome();
  try {
    const agent = await RunningAgent.start(home, home.data("respond"), ["--rules", join(folder, "rules.json"), "--gate-mount", "none"]);
    try {
      return AGENT_ACTS.flatMap(({ name, program, until, ends }): readonly Row[] => {
        if (until === "freeze" && group === undefined) return skipped(name, NO_CGROUP);
        const said = Bun.spawnSync([latency, until, "exec", join(folder, program), group ?? ""]).stdout.toString();
        const [end, p50, p99] = said.trim().split(" ");
        if (end !== ends) throw new Error(`${name}: ${said}`);
        return [{ name, value: Number(p50) / 1000, p99: Number(p99) / 1000, unit: "µs", note: `${TRIES} tries` }];
      });
    } finally {
      await agent.stop();
    }
  } finally {
    home.remove();
  }
}

/** Time of the responder's call for something that is made anew each time. */
async function afterAlert(name: string, action: "kill" | "suspend", make: () => Bun.Subprocess, undo: () => void): Promise<Row> {
  const root = cgroupRoot(readFileSync("/proc/self/mounts", "utf8"));
  const { responder } = responderOver(real, {
    ownPid: process.pid,
    cgroupRoot: root,
    lineage: { descendants: () => [] },
    clock: new SystemClock(),
  });
  const took: number[] = [];
  for (let index = 0; index < TRIES; index++) {
    const child = make();
    const entityId = real.look(child.pid)?.entityId ?? "";
    const fromNs = Bun.nanoseconds();
    const answer = responder.respond(request(child.pid, entityId, { action, scope: "tree" }));
    took.push(Bun.nanoseconds() - fromNs);
    if (answer?.outcome !== "done") throw new Error(`${name}: ${answer?.outcome} ${answer?.reason}`);
    undo();
    child.kill("SIGKILL");
    await child.exited;
  }
  responder.close();
  return row(name, took);
}

async function responderAlone(group: string | undefined): Promise<readonly Row[]> {
  const sleeper = (): Bun.Subprocess => Bun.spawn(["/bin/sleep", "300"], { stdio: ["ignore", "ignore", "ignore"] });
  const killed = await afterAlert("tree killed through pidfds: the responder's call", "kill", sleeper, () => undefined);
  const name = "control group frozen: the responder's call";
  if (group === undefined) return [killed, ...skipped(name, NO_CGROUP)];
  const grouped = (): Bun.Subprocess => {
    const child = sleeper();
    writeFileSync(join(group, "cgroup.procs"), String(child.pid));
    return child;
  };
  return [killed, await afterAlert(name, "suspend", grouped, () => thaw(group))];
}

async function rows(): Promise<readonly Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "kestrel-bench-"));
  const root = cgroupRoot(readFileSync("/proc/self/mounts", "utf8"));
  const group = root === undefined ? undefined : join(root, `kestrel-bench-${process.pid}`);
  if (group !== undefined) mkdirSync(group);
  try {
    const refusal = inspectMachine().error;
    return [
      ...(refusal === undefined ? await inKernel(folder) : skipped("acts in the kernel", refusal)),
      ...(await throughAgent(folder, group)),
      ...(await responderAlone(group)),
    ];
  } finally {
    if (group !== undefined) rmdirSync(group);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** See the head of this file. */
export const respondSection: Section = { name: "respond", rows };

if (import.meta.main) await printAlone(respondSection);
