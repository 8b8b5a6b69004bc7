// Gives back memory that only the start needed: pages of the executable that are resident because code ran or data was read once.
import { readFileSync, readlinkSync } from "node:fs";
import { adviseRange, MADV_PAGEOUT } from "./libc.ts";

const MAPPING = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+ +(.*)$/;

/**
 * Asks the kernel to drop the resident pages of the executable's own file mappings (madvise(2), MADV_PAGEOUT, Linux 5.4): clean pages come
 * back from the page cache when they are used again, changed ones stay. Where the kernel refuses, nothing happens.
 */
export function trimExecutablePages(): void {
  const executable = readlinkSync("/proc/self/exe");
  for (const line of readFileSync("/proc/self/maps", "utf8").split("\n")) {
    const [, from, to, , path] = MAPPING.exec(line) ?? [];
    if (from === undefined || to === undefined || path !== executable) continue;
    const address = Number.parseInt(from, 16);
    adviseRange(address, Number.parseInt(to, 16) - address, MADV_PAGEOUT);
  }
}
