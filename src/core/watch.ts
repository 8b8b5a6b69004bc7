// The port of self-defence: one thing about the agent itself that must stay as it is, looked at again and again. Who looks, how often, and what
// comes of it is the self room's; who has something to be watched implements this.
import type { Json } from "./alert.ts";

/** Something that is not as it must be. */
export interface Finding {
  /** What it is about, for example a path: the same finding again has the same. */
  readonly subject: string;
  /** One sentence for people. */
  readonly message: string;
  readonly facts?: Readonly<Record<string, Json>>;
}

/** One thing that is watched. */
export interface Watch {
  /** Last part of the rule id of its alerts, `kestrel.self.NAME`. */
  readonly name: string;
  /** Name of that rule. */
  readonly title: string;
  /** `state`: found for as long as it is so, and news once. `moment`: what happened since the last look, each time news. */
  readonly kind: "state" | "moment";
  /** Looks now. What it cannot look at it throws. */
  look(): readonly Finding[];
}
