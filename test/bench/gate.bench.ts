// What the exec gate costs whoever runs a program: 1,000 tries each by a program that forks and runs another, on a tmpfs of the bench's own. The time is
// from the fork to the first instruction, or to the refusal. Left out, with the reason, where programs cannot be held or sensors do not run.
import { join } from "node:path";
import { AgentProcess, sensorsRun } from "../cli/agent-process.ts";
import { eventually, TempFolder } from "../cli/program.ts";
import { gatesRun, OwnMount } from "../respond/own-mount.ts";
import { printAlone, quantile, type Row, type Section, skipped } from "./row.ts";

const TRIES = 1000;
const WARM_UP = 100;

const LOOP = `
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	int tries = atoi(argv[1]);
	char *const args[] = { argv[2], NULL };
	for (int i = 0; i < tries; i++) {
		struct timespec from, to;
		int status;
		clock_gettime(CLOCK_MONOTONIC, &from);
		pid_t pid = vfork();
		if (pid == 0) {
			execve(argv[2], args, NULL);
			_exit(77);
		}
		clock_gettime(CLOCK_MONOTONIC, &to);
		waitpid(pid, &status, 0);
		printf("%d %lld\\n", WEXITSTATUS(status), (to.tv_sec - from.tv_sec) * 1000000000LL + to.tv_nsec - from.tv_nsec);
	}
	return 0;
}
`;

const PROGRAM = 'void _start(void) { __asm__ volatile ("mov $60, %eax; xor %edi, %edi; syscall"); }\n';

function compile(source: string, to: string, ...flags: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["clang", "-O1", ...flags, "-x", "c", "-", "-o", to], { stdin: Buffer.from(source) });
  if (exitCode !== 0) throw new Error(stderr.toString());
}

function row(name: string, ns: readonly number[]): Row {
  const us = Float64Array.from(ns, (each) => each / 1000);
  return { name, value: quantile(us, 0.5), p99: quantile(us, 0.99), unit: "µs" };
}

async function rows(): Promise<readonly Row[]> {
  const reason = process.arch !== "x64" ? "its test program is for x86-64" : !gatesRun() || !sensorsRun() ? "see above" : undefined;
  if (reason !== undefined) return skipped("program at the gate", reason);
  using mount = new OwnMount();
  using folder = new TempFolder();
  const loop = join(folder.path, "loop");
  compile(LOOP, loop);
  const program = (name: string): string => {
    const path = join(mount.path, name);
    compile(PROGRAM, path, "-static", "-nostdlib");
    return path;
  };
  const [clear, asked, denied] = [program("clear"), program("asked"), program("denied")];
  const run = async (path: string, exit: number): Promise<readonly number[]> => {
    const child = Bun.spawn([loop, String(TRIES + WARM_UP), path], { stdout: "pipe" });
    const lines = (await new Response(child.stdout).text()).trim().split("\n").slice(WARM_UP);
    if (lines.some((line) => !line.startsWith(`${exit} `))) throw new Error(`A try of ${path} did not end with ${exit}: ${lines[0]}`);
    return lines.map((line) => Number(line.split(" ")[1]));
  };
  const bare = await run(clear, 0);
  const query = (name: string, more: string) => `query: process where process.executable == "${mount.path}/${name}" ${more}\n`;
  await folder.write("asked.yaml", `id: my.asked\naction: deny\nmode: enforce\n${query("asked", 'and user.id == "4000000000"')}`);
  await folder.write("denied.yaml", `id: my.denied\naction: deny\nmode: enforce\n${query("denied", "")}`);
  const rules = ["asked", "denied"].flatMap((name) => ["--rules", join(folder.path, `${name}.yaml`)]);
  await using agent = await AgentProcess.start(join(folder.path, "data"), [...rules, "--gate-mount", mount.path]);
  const found = [
    row("program without a gate", bare),
    row("at the gate: a file known to concern no rule", await run(clear, 0)),
    row("at the gate: asked about each time, allowed", await run(asked, 0)),
    row("at the gate: denied", await run(denied, 77)),
  ];
  const alerts = await eventually(
    () => `${TRIES} alerts: ${agent.printed.length}`,
    () => (agent.printed.length >= TRIES + WARM_UP ? agent.printed.slice(WARM_UP) : undefined),
  );
  const told = alerts.map(({ response }) => response?.latency_ns ?? Number.NaN);
  return [...found, row("at the gate: denied, from the kernel's question to the answer, by the alerts", told)];
}

/** See the head of this file. */
export const gateSection: Section = { name: "gate", rows };

if (import.meta.main) await printAlone(gateSection);
