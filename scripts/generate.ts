// Makes the generated sources (*.generated.ts) and the sample Wasm rules: every scripts/build-*.ts, each of which skips itself when up to date.
import { Glob } from "bun";

const root = `${import.meta.dir}/`;
const scripts = [...new Glob("build-*.ts").scanSync(root)].sort();
for (const script of scripts) {
  const run = Bun.spawnSync([process.execPath, `${root}${script}`], { stdout: "inherit", stderr: "inherit" });
  if (run.exitCode !== 0) {
    console.error(`setup: ${script} failed`);
    process.exit(run.exitCode ?? 1);
  }
}
