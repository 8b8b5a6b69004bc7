// Gives back memory that only the start needed: pages of the executable and of its libraries that are mapped because code ran once.
import { readFileSync, readlinkSync } from "node:fs";
import { adviseRange, MADV_PAGEOUT } from "./libc.ts";

const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+ +(.*)$/;

/**
 * Asks the kernel to drop the resident pages of the executable's and the bundled libraries' mappings (madvise(2), MADV_PAGEOUT, Linux 5.4):
 * clean pages come back when they are used again, changed ones stay. Where the kernel refuses, nothing happens.
 */
export function trimCodePages(): void {
  const executable = readlinkSync("/proc/self/exe");
  const isOwnCode = (path: string | undefined): boolean => path === executable || path?.startsWith("/memfd:kestrel-") === true;
  for (const line of readFileSync("/proc/self/maps", "utf8").split("\n")) {
    const [, from, to, , path] = MAPPING.exec(line) ?? [];
    if (from === undefined || to === undefined || !isOwnCode(path)) continue;
    const address = Number.parseInt(from, 16);
    adviseRange(address, Number.parseInt(to, 16) - address, MADV_PAGEOUT);
  }
}
