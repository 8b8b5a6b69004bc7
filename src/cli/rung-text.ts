// The rungs of the ladder in words for people.
import type { RungName } from "#engine";

/** When an action comes. */
export const RUNG_TEXT: Readonly<Record<RungName, string>> = {
  "in-kernel": "in the kernel, before the act",
  "at-the-gate": "at the gate, before the program runs",
  "at-once": "in the kernel, at once after the act",
  "after-alert": "after the alert",
  none: "not carried out",
};
