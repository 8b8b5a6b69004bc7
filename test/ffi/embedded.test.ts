// Libraries inside a one-file binary: loaded from sealed memory in another folder, none before first use, one copy for all threads.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ffi = join(import.meta.dir, "..", "..", "ffi");
const folder = mkdtempSync(join(tmpdir(), "kestrel-test-"));
const binary = join(folder, "program");
const needed = ["libwasmtime", "libluajit", "libbpf", "libelf", "libz"].map((name) => join(ffi, "..", "build", "lib", `${name}.so`));
const missing = needed.filter((path) => !existsSync(path));
if (missing.length > 0) console.log(`skipped: ${missing.join(", ")} not built`);

const WORKER = `
import { openLibrary } from "${ffi}/library.ts";
openLibrary("libz", { zlibVersion: { args: [], returns: "ptr" } });
postMessage("done");`;

const PROGRAM = `
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { openLibrary } from "${ffi}/library.ts";
const mapped = () => [...new Set(readFileSync("/proc/self/maps", "utf8").match(/\\S*(lib(wasmtime|luajit|bpf|elf|z)\\b)\\S*/g) ?? [])].sort();
const residentKb = () => Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
const before = mapped();
const residentBefore = residentKb();
const probe = { args: [], returns: "ptr" } as const;
const bpf = openLibrary("libbpf", { libbpf_version_string: probe });
openLibrary("libwasmtime", { wasm_engine_new: probe }, { version: "1" }).wasm_engine_new();
openLibrary("libluajit", { luaL_newstate: probe });
let error = "";
try { openLibrary("libz", { nothing: probe }, { version: "9" }); } catch (caught) { error = String(caught); }
const residentMb = (residentKb() - residentBefore) / 1024;
const worker = new Worker(new URL("./worker.ts", import.meta.url).href);
await new Promise((done, fail) => { worker.onmessage = done; worker.onerror = fail; });
const files = readdirSync("/proc/self/fd").map((fd) => { try { return readlinkSync("/proc/self/fd/" + fd); } catch { return ""; } });
console.log(JSON.stringify({ before, after: mapped(), error, residentMb, version: typeof bpf.libbpf_version_string(),
  copies: files.filter((file) => file.startsWith("/memfd:kestrel-libz")).length }));
process.exit(0);`;

beforeAll(async () => {
  if (missing.length > 0) return;
  writeFileSync(join(folder, "worker.ts"), WORKER);
  writeFileSync(join(folder, "program.ts"), PROGRAM);
  const command = [process.execPath, "build", "--compile", "program.ts", "worker.ts", "--outfile", binary];
  const build = Bun.spawn(command, { cwd: folder, stdout: "pipe", stderr: "pipe" });
  if ((await build.exited) !== 0) throw new Error(await new Response(build.stderr).text());
  rmSync(join(folder, "program.ts"));
  rmSync(join(folder, "worker.ts"));
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.skipIf(missing.length > 0)(
  "a compiled program carries its libraries",
  async () => {
    const run = Bun.spawn([binary], { cwd: "/", stdout: "pipe", stderr: "pipe", env: { TMPDIR: folder } });
    const [output, errors] = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()]);
    expect(errors).toBe("");
    const result = JSON.parse(output);
    expect(result.before).toEqual([]);
    const names = ["libbpf", "libelf", "libluajit", "libwasmtime", "libz"];
    expect(result.after).toEqual(names.map((name) => `/memfd:kestrel-${name}`));
    expect(result.error).toMatch(/Function "nothing" is not in libz at "\/proc\/self\/fd\/\d+"; Kestrel needs libz 9/);
    expect(result.copies).toBe(1);
    // 30 MB of library pass through this process; neither they nor the pages of the executable they lie in may stay resident.
    expect(result.residentMb).toBeLessThan(28);
  },
  60_000,
);
