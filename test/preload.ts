// Runs before the tests: says what setup is missing instead of letting a hundred imports fail, and sets the time limit.
import { setDefaultTimeout } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const missing = ["build/lib/libwasmtime.so", "build/lib/libluajit.so"].filter((path) => !existsSync(join(root, path)));
if (missing.length > 0) {
  console.error(`Missing ${missing.join(", ")}: run "npm run setup" first`);
  process.exit(3);
}

// Generous, since machines are noisy and no test measures time; it only ends what hangs.
setDefaultTimeout(60_000);
