// Checks of a whole machine, in an emulated one: a script that the first process reads in place of the acts, the image it is in, and what it must
// have written. Nothing missing may pass for good. Never done on the machine at hand.
import { copyFileSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ACTS } from "./acts.ts";
import { KERNELS, makeTree, packTree } from "./initramfs.ts";

/** Makes the image of a machine that does a script's checks; `add` puts more into its tree. Returns its path. */
export function makeCheckImage(script: string, add: (tree: string) => void): string {
  const tree = join(KERNELS, `${script}-tree`);
  rmSync(tree, { recursive: true, force: true });
  makeTree(tree, ACTS.slice(-1));
  copyFileSync(pathOf(script), join(tree, "checks.sh"));
  add(tree);
  return packTree(tree, join(KERNELS, `${script}.cpio`));
}

function pathOf(script: string): string {
  return join(import.meta.dir, `${script}.sh`);
}

/** Names of the checks, as the script has them. */
export function checkNames(script: string): readonly string[] {
  return [...readFileSync(pathOf(script), "utf8").matchAll(/^check (\S+) /gm)].map((match) => match[1] as string);
}

/** What a machine said of each check, and what is not as it must be. */
export function judgeChecks(script: string, results: string): { readonly passed: readonly string[]; readonly failures: readonly string[] } {
  const lines = [...results.matchAll(/^@@ check (\S+) (.*)$/gm)].map(([, name = "", verdict = ""]) => ({ name, verdict: verdict.trim() }));
  const passed = lines.filter(({ verdict }) => verdict === "ok").map(({ name }) => name);
  const failed = lines.filter(({ verdict }) => verdict !== "ok").map(({ name, verdict }) => `${name} ${verdict}`);
  const missing = checkNames(script).filter((name) => !lines.some((line) => line.name === name));
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
