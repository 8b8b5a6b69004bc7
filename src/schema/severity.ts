// Severity of a rule and of its alerts.

/** How bad: the rule author's word. */
export type Severity = "low" | "medium" | "high" | "critical";

/** Severities from least to most. */
export const SEVERITIES: readonly Severity[] = ["low", "medium", "high", "critical"];
