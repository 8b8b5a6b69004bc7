// Runs before the tests: says what setup is missing instead of letting a hundred imports fail.
import { existsSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const missing = ["build/lib/libwasmtime.so", "build/lib/libluajit.so"].filter((path) => !existsSync(join(root, path)));
if (missing.length > 0) {
  console.error(`Missing ${missing.join(", ")}: run "npm run setup" first`);
  process.exit(3);
}
