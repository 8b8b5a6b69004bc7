// Looks after itself with short times, and prints what it finds: for a test that stops it.
import type { Finding } from "#core";
import { ClockId, clockNs } from "#ffi/libc";
import { StallWatch } from "#self";

/** A line of its output. */
export type StallLine = "looking" | Finding["message"];

if (import.meta.main) {
  const watch = new StallWatch(() => clockNs(ClockId.Monotonic), { everyMs: 10, stallMsMin: 500 });
  const say = (line: StallLine): void => console.log(line);
  watch.look();
  say("looking");
  setInterval(() => {
    for (const { message } of watch.look()) say(message);
  }, 10);
}
