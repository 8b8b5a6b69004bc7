// What this machine's kernel lets the agent do about acts, asked by trying.
import { readFileSync } from "node:fs";
import { cgroupRoot } from "#core";
import { inspectAbilities } from "#ebpf";
import type { KernelAbilities } from "#engine";
import { whyNoGate } from "#respond";

/** Asks; some 100 ms. `gateOff`: why the gate is not to be used, whatever the kernel lets it do. */
export function kernelAbilities(gateOff: string | undefined): KernelAbilities {
  const { lsm, cgroup, signal } = inspectAbilities(cgroupRoot(readFileSync("/proc/self/mounts", "utf8")));
  return { lsm, cgroup, signal, gate: gateOff ?? whyNoGate() };
}
