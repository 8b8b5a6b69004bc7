// Boots one kernel with the image in an emulated machine and brings back what it wrote to its second serial port. A machine that is not off
// by its deadline is killed, and what it wrote by then is the result.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { KERNELS } from "./initramfs.ts";

/** A kernel of the matrix. */
export interface Kernel {
  /** The series that the agent promises to run on. */
  readonly series: string;
  /** Debian's suite that has it. */
  readonly suite: string;
}

/** All kernels, oldest first. */
export const ALL_KERNELS: readonly Kernel[] = [
  { series: "5.10", suite: "bullseye" },
  { series: "6.1", suite: "bookworm" },
  { series: "6.12", suite: "trixie" },
  { series: "newest", suite: "sid" },
];

/** What a machine left behind. */
export interface Transcript {
  readonly release: string;
  /** Second serial port, the results. */
  readonly results: string;
  /** Last lines of the console, for people. */
  readonly console: string;
  readonly seconds: number;
  readonly killed: boolean;
}

/** A machine that shares its processors takes several times the minute it needs. */
const DEADLINE_MS = 1_200_000;
const CONSOLE_LINES = 15;
/**
 * Modules of Linux security in force: those of rules that deny need `bpf`, which Debian 11 does not start by itself. Where the kernel knows the calls of
 * x32 code, they are switched on.
 */
const COMMAND_LINE = "console=ttyS0 quiet panic=-1 lsm=lockdown,capability,bpf syscall.x32=y";

/** Name of the kernel that is there with its modules; `undefined`: it was not fetched. */
export function fetchedRelease({ suite }: Kernel): string | undefined {
  const folder = join(KERNELS, suite);
  return ["vmlinuz", "veth.ko", "overlay.ko"].every((name) => existsSync(join(folder, name)))
    ? readFileSync(join(folder, "release"), "utf8").trim()
    : undefined;
}

/** Boots it and waits until it is off. */
export async function boot(kernel: Kernel, image: string, deadlineMs: number = DEADLINE_MS): Promise<Transcript> {
  const folder = join(KERNELS, kernel.suite);
  const [consoleFile, resultsFile] = [join(folder, "console"), join(folder, "results")];
  mkdirSync(folder, { recursive: true });
  for (const file of [consoleFile, resultsFile]) rmSync(file, { force: true });
  const startedMs = performance.now();
  const machine = Bun.spawn(
    // biome-ignore format: one option with its value a line
    [
      "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot",
      "-accel", "tcg,thread=multi",
      "-cpu", "max",
      "-smp", "2",
      "-m", "1024",
      "-display", "none",
      "-serial", `file:${consoleFile}`,
      "-serial", `file:${resultsFile}`,
      "-kernel", join(folder, "vmlinuz"),
      "-initrd", image,
      "-append", COMMAND_LINE,
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "pipe" },
  );
  const words = new Response(machine.stderr).text();
  const deadline = setTimeout(() => machine.kill("SIGKILL"), deadlineMs);
  await machine.exited;
  clearTimeout(deadline);
  const lines = `${readText(consoleFile)}${await words}`.trimEnd().split("\n");
  return {
    release: fetchedRelease(kernel) ?? kernel.series,
    results: readText(resultsFile),
    console: lines.slice(-CONSOLE_LINES).join("\n"),
    seconds: (performance.now() - startedMs) / 1000,
    killed: machine.signalCode === "SIGKILL",
  };
}

function readText(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}
