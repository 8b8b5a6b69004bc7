// The tricks that run a program, against the exec gate, on the real kernel and a tmpfs of the test's own: whether it is stopped before it begins.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { AgentProcess, sensorsRun } from "../cli/agent-process.ts";
import { TempFolder } from "../cli/program.ts";
import { compileActs } from "../kernels/initramfs.ts";
import { gatesRun, OwnMount } from "../respond/own-mount.ts";
import { EVASIONS } from "./evasions.ts";
import { GATE_TRICKS } from "./gate-tricks.ts";

setDefaultTimeout(300_000);
const isX64 = process.arch === "x64";
if (!isX64) console.log("skipped: tricks at the exec gate (the test's programs are for x86-64)");

/** Leave a mark where they are run. */
const EVIL = '#include <fcntl.h>\nint main(void) { return creat("mark", 0644) < 0; }\n';
const EVIL_32 = `
  static char name[] = "mark";
  void _start(void) { int r = 8; __asm__ volatile("int $0x80" : "+a"(r) : "b"(name), "c"(0644) : "memory"); __asm__ volatile("int $0x80" : : "a"(1), "b"(0)); }`;

function compile(source: string, to: string, ...flags: readonly string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["clang", "-O1", ...flags, "-x", "c", "-", "-o", to], { stdin: Buffer.from(source) });
  if (exitCode !== 0) throw new Error(stderr.toString());
}

test("every trick at the gate is one of the table", () => {
  const names = new Set(EVASIONS.map(({ act }) => act.name));
  expect(GATE_TRICKS.filter(({ name }) => !names.has(`evasion-${name}`))).toEqual([]);
});

describe.skipIf(!isX64 || !sensorsRun() || !gatesRun())("a program that a rule denies by its path", () => {
  test("is stopped before it begins, or not, as the table says", async () => {
    using mount = new OwnMount();
    using folder = new TempFolder();
    const tricks = join(folder.path, "evasions");
    compileActs("evasion/evasions", tricks);
    compile(EVIL, join(mount.path, "evil"));
    compile(EVIL_32, join(mount.path, "evil32"), "-m32", "-static", "-nostdlib", "-fno-pic");
    const run = (name: string, command: string): boolean => {
      const place = join(folder.path, name);
      mkdirSync(place);
      Bun.spawnSync(["/bin/sh", "-c", command], { cwd: place, env: { ...process.env, E: tricks, M: mount.path }, stderr: "ignore" });
      return existsSync(join(place, "mark"));
    };
    // Each works when nobody watches.
    for (const { name, command } of GATE_TRICKS) expect([name, run(`free-${name}`, command)]).toEqual([name, true]);
    Bun.spawnSync(["/bin/sh", "-c", "rm -rf linked after bound"], { cwd: mount.path });
    const paths = ["evil", "evil32"].map((name) => `"${mount.path}/${name}"`).join(", ");
    await folder.write(
      "rule.yaml",
      `id: my.deny\naction: deny\nmode: enforce\nquery: 'process where event.type == "start" and process.executable in (${paths})'\n`,
    );
    await using agent = await AgentProcess.start(join(folder.path, "data"), [
      ...["--rules", join(folder.path, "rule.yaml"), "--gate-mount", mount.path],
      // No verdict may be missing because the machine is busy.
      ...["--gate-deadline", "60000"],
    ]);
    expect(run("plain", "$M/evil")).toBe(false);
    const results = GATE_TRICKS.map(({ name, command }) => [name, !run(name, command)]);
    expect(results).toEqual(GATE_TRICKS.map(({ name, stopped }) => [name, stopped]));
    copyFileSync(join(mount.path, "evil"), join(mount.path, "good"));
    expect(run("other", "$M/good")).toBe(true);
    expect(await agent.stop()).toBe(0);
  });
});
