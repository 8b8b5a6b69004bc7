// `throttle: { by: […], limit: N, window: 1m }` → numbers.

import type { Throttle } from "./rule.ts";
import { kindName, type SourceNode } from "./source-node.ts";
import type { Findings } from "./source-text.ts";
import { didYouMean } from "./suggestion.ts";

const KEYS = ["by", "limit", "window"] as const;
const LIMIT_MAX = 1_000_000;
const FIELDS_MAX = 16;
const WINDOW_DAYS_MAX = 30;
const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const WINDOW = /^(\d{1,9})(ms|s|m|h|d)$/;

/** The throttle of a rule, or null when there is none or after a finding. `by` may be left out: one count for the rule. */
export function readThrottle(node: SourceNode | undefined, findings: Findings): Throttle | null {
  if (node === undefined || node.kind === "null") return null;
  if (node.kind !== "map") {
    findings.error("bad-value", `"throttle" must be a mapping like { by: [host.name], limit: 10, window: 1m }`, node);
    return null;
  }
  const values = new Map<string, SourceNode>();
  for (const { key, place, value } of node.entries) {
    if ((KEYS as readonly string[]).includes(key)) values.set(key, value);
    else findings.error("unknown-key", `Unknown key "${key}" in throttle${didYouMean(key, KEYS)}`, place);
  }
  const by = fields(values.get("by"), findings);
  const limit = count(values.get("limit") ?? node, findings);
  const windowMs = duration(values.get("window") ?? node, findings);
  return limit === undefined || windowMs === undefined ? null : { by, limit, windowMs };
}

function fields(node: SourceNode | undefined, findings: Findings): string[] {
  if (node === undefined) return [];
  const items = node.kind === "list" ? node.items : [node];
  if (items.length > FIELDS_MAX)
    findings.error("too-many-values", `"by" names ${items.length} fields, at most ${FIELDS_MAX} are allowed`, node);
  const names: string[] = [];
  for (const item of items) {
    if (item.kind === "text" && item.value.trim() !== "") names.push(item.value.trim());
    else findings.error("bad-value", `"by" must be a list of field names, here is ${kindName(item)}`, item);
  }
  return names;
}

function count(node: SourceNode, findings: Findings): number | undefined {
  if (node.kind === "number" && typeof node.value === "number" && Number.isInteger(node.value)) {
    if (node.value >= 1 && node.value <= LIMIT_MAX) return node.value;
  }
  findings.error("bad-value", `throttle needs "limit", a whole number from 1 to ${LIMIT_MAX}`, node);
  return undefined;
}

function duration(node: SourceNode, findings: Findings): number | undefined {
  const parts = node.kind === "text" ? WINDOW.exec(node.value.trim()) : null;
  const windowMs = parts === null ? 0 : Number(parts[1]) * UNIT_MS[parts[2] as keyof typeof UNIT_MS];
  if (windowMs > 0 && windowMs <= WINDOW_DAYS_MAX * UNIT_MS.d) return windowMs;
  findings.error("bad-value", `throttle needs "window", a time like 30s, 5m or 1h, at most ${WINDOW_DAYS_MAX}d`, node);
  return undefined;
}

/** The shortest exact spelling of a window. */
export function printDuration(windowMs: number): string {
  for (const unit of ["d", "h", "m", "s"] as const) {
    if (windowMs % UNIT_MS[unit] === 0) return `${windowMs / UNIT_MS[unit]}${unit}`;
  }
  return `${windowMs}ms`;
}
