// What the sensors add to a system call that is none of their business: getppid in a loop, by a small program of its own. Bare and watched
// take turns in one run, so that a busy machine is busy for both.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LoadedSensors } from "../../src/ebpf/loader.ts";
import { median, type Row, skipped } from "./row.ts";

const ROUNDS = 9;
const RING_BYTES = 64 << 10;
/** Prints the best nanoseconds a call of five loops. */
const PROGRAM = `
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
enum { CALLS = 200000 };
int main(void)
{
	double best = 1e9;

	for (int round = 0; round < 5; round++) {
		struct timespec begin, end;
		double ns;

		clock_gettime(CLOCK_MONOTONIC, &begin);
		for (int call = 0; call < CALLS; call++)
			syscall(SYS_getppid);
		clock_gettime(CLOCK_MONOTONIC, &end);
		ns = ((end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec)) / CALLS;
		if (ns < best)
			best = ns;
	}
	printf("%f\\n", best);
	return 0;
}`;

/** Rows of the ebpf section. */
export function systemCallRows(): readonly Row[] {
  const folder = mkdtempSync(join(tmpdir(), "kestrel-bench-"));
  const program = join(folder, "getppid");
  try {
    const compiled = Bun.spawnSync(["clang", "-O2", "-x", "c", "-", "-o", program], { stdin: Buffer.from(PROGRAM) });
    if (!compiled.success) return skipped("system calls", compiled.stderr.toString());
    return measureRows(() => Number(Bun.spawnSync([program]).stdout.toString()));
  } catch (error) {
    return skipped("system calls", error instanceof Error ? error.message : String(error));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function measureRows(callNs: () => number): readonly Row[] {
  const sensors = LoadedSensors.load({
    processRingBytes: RING_BYTES,
    activityRingBytes: RING_BYTES,
    agentPid: process.pid,
    cgroupRoot: undefined,
  });
  try {
    const [bare, watched] = [[] as number[], [] as number[]];
    for (let round = 0; round < ROUNDS; round++) {
      sensors.choose(() => false);
      bare.push(callNs());
      sensors.choose(() => true);
      while (sensors.attachNext());
      watched.push(callNs());
    }
    const note = `${sensors.callNumbersOn} numbers in the table`;
    return [
      { name: "system call, no event of any wanted (getppid)", value: median(bare), unit: "ns", note: "nothing attached" },
      { name: "system call that no sensor looks at (getppid)", value: median(watched), unit: "ns", note },
    ];
  } finally {
    sensors.close();
  }
}
