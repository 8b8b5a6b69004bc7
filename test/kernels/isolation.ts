// Isolation of a whole machine, in an emulated one: its image. Never done on the machine at hand.
import { copyFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { makeCheckImage } from "./checks.ts";
import { KERNELS } from "./initramfs.ts";
import type { Kernel } from "./machine.ts";

/** Why this kernel's machine has no wire to isolate; `undefined`: it has one. */
export function noWire({ suite }: Kernel): string | undefined {
  try {
    return statSync(join(KERNELS, suite, "veth.ko")).size > 0 ? undefined : "its package has no module veth";
  } catch {
    return "no module veth: scripts/fetch-kernel.sh fetches it";
  }
}

/** Makes the image of a kernel's machine and returns its path. */
export function makeIsolationImage({ suite }: Kernel): string {
  return makeCheckImage("isolation", (tree) => copyFileSync(join(KERNELS, suite, "veth.ko"), join(tree, "veth.ko")));
}
