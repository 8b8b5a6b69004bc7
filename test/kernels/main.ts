// bun run test:kernels [here] [SERIES…]: the acts on the machine at hand and under every kernel of the matrix, or those named, one after
// another; prints the tables. Exit 1: something is not as it must be. Exit 3: no machine can be made here.

import { release as hostRelease } from "node:os";
import { join } from "node:path";
import { ROOT } from "../cli/program.ts";
import { ACTS } from "./acts.ts";
import { actHere, refusedHere } from "./here.ts";
import { makeInitramfs, missingTool } from "./initramfs.ts";
import { ALL_KERNELS, boot, fetchedRelease, type Kernel } from "./machine.ts";
import { actsText, type Entry, matrixText, passed, rungsText } from "./table.ts";
import { HERE, judge } from "./verdict.ts";

const series = ["here", ...ALL_KERNELS.map((kernel) => kernel.series)];
const wanted = process.argv.length > 2 ? process.argv.slice(2) : series;
const unknown = wanted.filter((name) => !series.includes(name));
const reason = unknown.length > 0 ? `no kernel ${unknown.join(", ")} in the matrix: ${series.join(", ")}` : missingTool();
if (reason !== undefined) {
  console.error(`test:kernels: ${reason}`);
  process.exit(3);
}

const kernels = ALL_KERNELS.filter((one) => wanted.includes(one.series));
// Before the image is made: their modules are in it.
const refusals = new Map(kernels.map((kernel) => [kernel, fetchKernel(kernel)]));
let image: string | undefined;
const entries: Entry[] = wanted.includes("here") ? [await tryHere()] : [];
for (const kernel of kernels) entries.push(await tryKernel(kernel));
console.log(`${matrixText(entries)}\n\n${actsText(entries, ACTS)}\n\n${rungsText(entries)}`);
process.exit(entries.every(passed) ? 0 : 1);

async function tryHere(): Promise<Entry> {
  const kernel = `${hostRelease()} (here)`;
  const refused = refusedHere();
  if (refused !== undefined) return { kernel, skipped: refused };
  console.error(`test:kernels: ${kernel}`);
  const transcript = await actHere();
  return { kernel, transcript, verdict: judge(transcript.results, HERE) };
}

/** Returns why it cannot be fetched, if so. */
function fetchKernel({ suite }: Kernel): string {
  const fetched = Bun.spawnSync(["bash", join(ROOT, "scripts", "fetch-kernel.sh"), suite], { stderr: "inherit" });
  return fetched.stdout.toString().trim();
}

async function tryKernel(kernel: Kernel): Promise<Entry> {
  const release = fetchedRelease(kernel);
  if (release === undefined) return { kernel: kernel.series, skipped: refusals.get(kernel) || "it could not be fetched" };
  console.error(`test:kernels: ${release}`);
  image ??= makeInitramfs();
  const transcript = await boot(kernel, image);
  return { kernel: release, transcript, verdict: judge(transcript.results) };
}
