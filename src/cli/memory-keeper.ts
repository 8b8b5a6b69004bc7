// Keeps the agent small: gives back what the start needed, and later what a burst of events left behind. A full collection takes some
// 20 ms and the rings hold far more than that, so no event is lost to it.
import { trimHeap } from "#ffi/libc";
import { trimCodePages } from "#ffi/trim";

/** When the start is taken to be over. */
const FIRST_AFTER_MS = 5000;
const EVERY_MS = 30_000;
/** Growth over the settled size that is worth a collection. */
const GROWTH_BYTES = 12 << 20;

/** Starts keeping; the result stops it. */
export function keepMemorySmall(): () => void {
  let settledBytes = 0;
  let looks = 0;
  const keep = (): void => {
    // The second look is still part of the start: what ran in its first half minute is not what runs from then on.
    if (++looks > 2 && process.memoryUsage.rss() < settledBytes + GROWTH_BYTES) return;
    Bun.gc(true);
    trimHeap();
    trimCodePages();
    settledBytes = process.memoryUsage.rss();
  };
  const look = (): void => {
    try {
      keep();
    } catch {
      // The kernel's figures cannot be read while no descriptor is free; the next look does it.
    }
  };
  let timer: Timer = setTimeout(() => {
    look();
    timer = setInterval(look, EVERY_MS);
  }, FIRST_AFTER_MS);
  return () => clearTimeout(timer);
}
