// Compiles the sample rules of rules/samples to *.wasm beside them. Does nothing when every product is newer than its sources.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const SOURCES = join(ROOT, "rules/samples");
/** Host API bindings: a library of the samples, not a rule. */
const LIBRARY = "kestrel.ts";

const files = readdirSync(SOURCES).filter((name) => name.endsWith(".ts"));
const newest = Math.max(...files.map((name) => statSync(join(SOURCES, name)).mtimeMs), statSync(import.meta.path).mtimeMs);

for (const name of files) {
  if (name === LIBRARY) continue;
  const output = join(SOURCES, name.replace(/\.ts$/, ".wasm"));
  if (existsSync(output) && statSync(output).mtimeMs >= newest) continue;
  const asc = join(ROOT, "node_modules/assemblyscript/bin/asc.js");
  // No imports but the Host API: no abort, no garbage collector, and memory that does not grow.
  const options = ["--runtime", "stub", "--use", "abort=", "--noAssert", "-O3"];
  const run = Bun.spawnSync([process.execPath, asc, join(SOURCES, name), "-o", output, ...options], {
    cwd: ROOT,
    stdout: "inherit",
    stderr: "inherit",
  });
  if (run.exitCode !== 0) process.exit(run.exitCode ?? 1);
  console.error(`setup: sample rule ${name}, ${statSync(output).size} bytes`);
}
