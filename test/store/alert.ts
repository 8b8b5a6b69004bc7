// Alerts for tests of the store.
import type { Alert } from "#core";
import type { Severity } from "#schema";

/** An alert that differs by number; given parts replace the usual ones. */
export function alertOf(number: number, parts: Partial<Alert> = {}): Alert {
  return {
    id: number.toString(16).padStart(32, "0"),
    kind: "rule",
    timeNs: 1_700_000_000_000_000_000n + BigInt(number) * 1_000_000n,
    seq: BigInt(number),
    ruleId: `rule.${number % 3}`,
    ruleName: `Rule ${number % 3}`,
    severity: (["low", "medium", "high", "critical"] as readonly Severity[])[number % 4]!,
    tags: ["attack.execution"],
    message: `Alert number ${number}`,
    captures: { inode: 18_446_744_073_709_551_615n, "file.path": '/tmp/100%_\\ "quoted" ü' },
    events: [{ process: { pid: number } }],
    ancestry: [{ pid: 1, name: "init", executable: "/sbin/init" }],
    ...parts,
  };
}
