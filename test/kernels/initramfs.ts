// Makes the test machine's whole file system: busybox, the agent with the libraries it is linked to, the acts and a rule for each. Not
// compressed: unpacking 170 MB takes an emulated machine longer than reading them.
import { chmodSync, copyFileSync, existsSync, globSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";

import { ROOT } from "../cli/program.ts";
import type { Act } from "./act.ts";
import { ACTS } from "./acts.ts";
import { makeFlaw } from "./flaw.ts";
import { RUNGS, type Rung, rungRules, rungScripts } from "./rungs.ts";

/** Where kernels and what is made for them lie. */
export const KERNELS: string = join(ROOT, "build", "kernels");
const AGENT = join(ROOT, "dist", "kestrel");

/** Why no test machine can be made here, if so. */
export function missingTool(): string | undefined {
  if (Bun.which("qemu-system-x86_64") === null) return "no qemu-system-x86_64";
  const busybox = Bun.which("busybox");
  if (busybox === null || Bun.spawnSync(["ldd", busybox]).success) return "no busybox that needs no library";
  if (Bun.which("clang") === null) return "no clang";
  return existsSync(AGENT) ? undefined : "no dist/kestrel";
}

/** Makes the image afresh and returns its path. */
export function makeInitramfs(): string {
  const tree = join(KERNELS, "tree");
  const image = join(KERNELS, "initramfs.cpio");
  rmSync(tree, { recursive: true, force: true });
  makeTree(tree, ACTS);
  addRungs(tree, RUNGS);
  for (const module of globSync(join(KERNELS, "*/veth.ko"))) {
    if (!existsSync(join(dirname(module), "overlay.ko"))) continue;
    const release = readFileSync(join(dirname(module), "release"), "utf8").trim();
    install(module, join(tree, "modules", `${release}.ko`));
    makeFlaw(module, join(tree, "modules", `${release}-flaw.ko`));
    install(join(dirname(module), "overlay.ko"), join(tree, "modules", `${release}-overlay.ko`));
  }
  return packTree(tree, image);
}

/** Packs a folder into an image, and removes the folder. */
export function packTree(tree: string, image: string): string {
  run(["sh", "-c", `busybox find . | busybox cpio -o -H newc > "${image}"`], tree);
  rmSync(tree, { recursive: true });
  return image;
}

/** Puts everything a test machine has into a folder. */
export function makeTree(tree: string, acts: readonly Act[]): void {
  for (const folder of ["bin", "acts", "rules"]) mkdirSync(join(tree, folder), { recursive: true });
  install(Bun.which("busybox") ?? "busybox", join(tree, "bin/busybox"));
  install(Bun.which("busybox") ?? "busybox", join(tree, "usr/sbin/agetty"));
  install(AGENT, join(tree, "bin/kestrel"));
  install(join(import.meta.dir, "init.sh"), join(tree, "init"));
  for (const library of librariesOf(AGENT)) install(realpathSync(library), join(tree, library));
  for (const program of ["kernels/acts", "kernels/network-acts", "kernels/rare-acts", "kernels/attribute-acts", "evasion/evasions"]) {
    compileActs(program, join(tree, "bin", basename(program)));
  }
  for (const [name, flags] of NOTHING) compileNothing(join(tree, "bin", name), flags);
  for (const [index, { name, shell }] of acts.entries()) {
    writeFileSync(join(tree, "acts", `${String(index).padStart(3, "0")}-${name}`), `${shell}\n`);
  }
  writeFileSync(
    join(tree, "rules", "acts.json"),
    JSON.stringify(
      acts.map(({ name, query, action }) => ({ id: name, name, severity: "low", query, ...(action && { action, mode: "enforce" }) })),
    ),
  );
}

/** Raised by what stands in for hooks in functions: of the file sensor, and of that of attributes. */
const STAND_IN = {
  id: "stand-in",
  name: "stand-in",
  severity: "low",
  query: `sequence [file where event.action == "creation" and file.path == "/tmp/stand-in"]
    [file where event.action == "owner_change" and file.path == "/tmp/stand-in"]`,
};

/** Puts in what the rungs are measured by, and what becomes of them without hooks in functions. */
function addRungs(tree: string, rungs: readonly Rung[]): void {
  compileActs("kernels/latency", join(tree, "bin/latency"));
  mkdirSync(join(tree, "latency"));
  for (const [name, script] of rungScripts(rungs)) writeFileSync(join(tree, "latency", name), script);
  writeFileSync(join(tree, "rules", "latency.json"), JSON.stringify(rungRules(rungs)));
  writeFileSync(join(tree, "rules", "stand-in.json"), JSON.stringify(STAND_IN));
}

/** Compiles a program of acts, named with its folder, so that it needs no library. */
export function compileActs(name: string, output: string): void {
  run(["clang", "-static", "-O1", "-pthread", "-Wall", "-Wextra", "-Werror", join(ROOT, "test", `${name}.c`), "-o", output]);
}

/** Programs that do nothing: one that needs no library, one that does, one of 32 bits. */
const NOTHING: readonly (readonly [name: string, flags: readonly string[]])[] = [
  ["nothing", ["-static", "-DMAIN"]],
  ["dynamic", ["-DMAIN"]],
  ["small32", ["-m32", "-static", "-nostdlib"]],
];
const NOTHING_C = `
#ifdef MAIN
int main(void) { return 0; }
#else
void _start(void) { __asm__ volatile("int $0x80" : : "a"(1), "b"(0)); }
#endif`;

function compileNothing(output: string, flags: readonly string[]): void {
  run(["clang", "-x", "c", "-O1", ...flags, "-", "-o", output], ROOT, NOTHING_C);
}

function install(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, 0o755);
}

/** The loader and every library, as the loader names them; libgcc is needed by what the agent loads later. */
function librariesOf(program: string): readonly string[] {
  const paths = run(["ldd", program]).matchAll(/(?:=> )?(\/\S+) \(0x/g);
  const found = [...paths].map((match) => match[1] as string);
  const libc = found.find((path) => path.endsWith("/libc.so.6")) ?? "";
  return [...found, join(dirname(libc), "libgcc_s.so.1")];
}

function run(command: readonly string[], cwd: string = ROOT, input = ""): string {
  const { success, stdout, stderr } = Bun.spawnSync([...command], { cwd, stdin: Buffer.from(input) });
  if (!success) throw new Error(`${command[0]} failed: ${stderr.toString()}`);
  return stdout.toString();
}
