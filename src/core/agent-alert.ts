// Alerts that the agent raises of its own accord, about itself: there is no event behind them, and no rule file. They never come from a replay.
import { createHash } from "node:crypto";
import type { Severity } from "#schema";
import type { Alert, Json } from "./alert.ts";

/** What the agent has to say about itself. */
export interface AgentNotice {
  /** In the family `kestrel.self.`. */
  readonly ruleId: string;
  readonly ruleName: string;
  readonly severity: Severity;
  readonly tags: readonly string[];
  /** One sentence for people. */
  readonly message: string;
  readonly captures: Readonly<Record<string, Json>>;
}

/** The alert of a notice. */
export function agentAlert(notice: AgentNotice, timeNs: bigint): Alert {
  const id = createHash("sha256").update(`agent\0${notice.ruleId}\0${timeNs}\0${notice.message}`).digest("hex").slice(0, 32);
  return { ...notice, id, kind: "agent", timeNs, seq: 0n, events: [], ancestry: [] };
}
