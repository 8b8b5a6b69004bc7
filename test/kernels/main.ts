// bun run test:kernels [SERIES…]: boots every kernel of the matrix, or those named, one after another, and prints the table. Exit 1: something
// is not as it must be. Exit 3: no machine can be made here.
import { join } from "node:path";
import { ROOT } from "../cli/program.ts";
import { makeInitramfs, missingTool } from "./initramfs.ts";
import { ALL_KERNELS, boot, fetchedRelease, type Kernel } from "./machine.ts";
import { type Entry, matrixText, passed } from "./table.ts";
import { judge } from "./verdict.ts";

const series = ALL_KERNELS.map((kernel) => kernel.series);
const wanted = process.argv.length > 2 ? process.argv.slice(2) : series;
const unknown = wanted.filter((name) => !series.includes(name));
const reason = unknown.length > 0 ? `no kernel ${unknown.join(", ")} in the matrix: ${series.join(", ")}` : missingTool();
if (reason !== undefined) {
  console.error(`test:kernels: ${reason}`);
  process.exit(3);
}

const image = makeInitramfs();
const entries: Entry[] = [];
for (const kernel of ALL_KERNELS.filter((one) => wanted.includes(one.series))) entries.push(await tryKernel(kernel));
console.log(matrixText(entries));
process.exit(entries.every(passed) ? 0 : 1);

async function tryKernel(kernel: Kernel): Promise<Entry> {
  const fetched = Bun.spawnSync(["bash", join(ROOT, "scripts", "fetch-kernel.sh"), kernel.suite], { stderr: "inherit" });
  const release = fetchedRelease(kernel);
  if (release === undefined) return { kernel: kernel.series, skipped: fetched.stdout.toString().trim() || "it could not be fetched" };
  console.error(`test:kernels: ${release}`);
  const transcript = await boot(kernel, image);
  return { kernel: release, transcript, verdict: judge(transcript.results) };
}
