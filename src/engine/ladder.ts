// Which rung of the ladder a rule's action reaches, and why no higher one, for `kestrel check`. Says what this version really does.
import type { Rule } from "#rules";

/** How early the action comes. */
export type RungName = "after-alert" | "none";

/** What a rule's action comes to. */
export interface Rung {
  readonly action: Exclude<Rule["action"], "alert">;
  readonly mode: Rule["mode"];
  readonly scope: Rule["scope"];
  readonly rung: RungName;
  /** How it is done, in words. */
  readonly means: string;
  /** Why it does not come earlier, one sentence each. */
  readonly whyNotHigher: readonly string[];
}

const MEANS: Readonly<Record<Rung["action"], string>> = {
  kill: "SIGKILL through a pidfd",
  suspend: "freeze of its control group where that is its own, otherwise SIGSTOP through a pidfd",
  deny: "nothing: only the alert is raised",
};
const NO_PROGRAM = "this version compiles no condition into kernel programs";

/** The rung of a rule with an action; undefined for one that only alerts. */
export function rungOf(rule: Pick<Rule, "action" | "mode" | "scope" | "body">): Rung | undefined {
  const { action, mode, scope, body } = rule;
  if (action === "alert") return undefined;
  return {
    action,
    mode,
    scope,
    rung: action === "deny" ? "none" : "after-alert",
    means: MEANS[action],
    whyNotHigher: [whyNotInKernel(action, body)],
  };
}

function whyNotInKernel(action: Rung["action"], body: Rule["body"]): string {
  if (body.kind !== "eql") return `a ${body.kind === "lua" ? "Lua" : "Wasm"} rule runs in the agent`;
  return action === "deny" ? `${NO_PROGRAM}, and what has happened cannot be denied` : NO_PROGRAM;
}
