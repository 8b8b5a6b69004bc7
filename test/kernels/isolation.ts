// Isolation of a whole machine, in an emulated one: its image, and what it must have written. Never done on the machine at hand.
import { copyFileSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { ACTS } from "./acts.ts";
import { KERNELS, makeTree, packTree } from "./initramfs.ts";
import type { Kernel } from "./machine.ts";

/** Why this kernel's machine has no wire to isolate; `undefined`: it has one. */
export function noWire({ suite }: Kernel): string | undefined {
  try {
    return statSync(join(KERNELS, suite, "veth.ko")).size > 0 ? undefined : "its package has no module veth";
  } catch {
    return "no module veth: scripts/fetch-kernel.sh fetches it";
  }
}

/** Makes the image of a kernel's machine and returns its path. */
export function makeIsolationImage({ suite }: Kernel): string {
  const tree = join(KERNELS, "isolation-tree");
  rmSync(tree, { recursive: true, force: true });
  makeTree(tree, ACTS.slice(-1));
  copyFileSync(join(import.meta.dir, "isolation.sh"), join(tree, "isolation.sh"));
  copyFileSync(join(KERNELS, suite, "veth.ko"), join(tree, "veth.ko"));
  return packTree(tree, join(KERNELS, "isolation.cpio"));
}

/** Names of the checks, as the script has them. */
export function checkNames(): readonly string[] {
  const script = readFileSync(join(import.meta.dir, "isolation.sh"), "utf8");
  return [...script.matchAll(/^check (\S+) /gm)].map((match) => match[1] as string);
}

/** What a machine said of each check, and what is not as it must be. */
export function judgeIsolation(results: string): { readonly passed: readonly string[]; readonly failures: readonly string[] } {
  const lines = [...results.matchAll(/^@@ check (\S+) (.*)$/gm)].map(([, name = "", verdict = ""]) => ({ name, verdict: verdict.trim() }));
  const passed = lines.filter(({ verdict }) => verdict === "ok").map(({ name }) => name);
  const failed = lines.filter(({ verdict }) => verdict !== "ok").map(({ name, verdict }) => `${name} ${verdict}`);
  const missing = checkNames().filter((name) => !lines.some((line) => line.name === name));
  const log = [...results.matchAll(/^@@ log (.*)$/gm)].map(([, line = ""]) => line);
  return {
    passed,
    failures: [
      ...failed,
      ...missing.map((name) => `${name} was not done`),
      ...(/^@@ done /m.test(results) ? [] : [`the machine did not come to its end: ${log.join(" | ")}`]),
    ],
  };
}
