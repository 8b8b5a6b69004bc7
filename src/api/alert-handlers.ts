// Handlers of the alert and status routes: query strings to filters, cursors, and the agent's counters to the wire.
import { formatDate, parseDate } from "#event";
import type { Handlers } from "./bind.ts";
import type { Contract } from "./contract.ts";
import { alertFromText } from "./json-text.ts";
import type { AgentPort, AgentStatus, AlertFilter, AlertReader } from "./ports.ts";
import { problem } from "./problem.ts";
import type { AlertQuery, WireStatus } from "./wire.ts";

const PAGE_DEFAULT = 100;
const CURSOR_PREFIX = "k1:";

/** Handlers over the store. */
export function alertHandlers(alerts: AlertReader): Handlers<Contract["alerts"]> {
  return {
    list: ({ query }) => {
      const before = query.cursor === undefined ? undefined : readCursor(query.cursor);
      if (before === null) return problem(400, "invalid-cursor", "The cursor is not one that a page of alerts ended with");
      const filter = toFilter(query);
      if (filter === undefined)
        return problem(400, "invalid-query", "Cannot use since or until: the time is outside the years 1678 to 2261");
      const limit = Number(query.limit ?? PAGE_DEFAULT);
      // One more than asked tells whether there is another page.
      const found = alerts.list(filter, { limit: limit + 1, ...(before === undefined ? {} : { before }) });
      const page = found.slice(0, limit);
      const last = page.at(-1);
      const next = found.length > limit && last !== undefined ? makeCursor(last.position) : null;
      return { status: 200, body: { alerts: page.map((stored) => alertFromText(stored.json)), next } };
    },

    get: ({ params }) => {
      const stored = alerts.get(params.id);
      if (stored === undefined) return problem(404, "unknown-alert", `There is no alert ${JSON.stringify(params.id)}`);
      return { status: 200, body: alertFromText(stored.json) };
    },
  };
}

/** Undefined: a time that 64-bit nanoseconds cannot hold. */
function toFilter(query: AlertQuery): AlertFilter | undefined {
  const sinceNs = query.since === undefined ? undefined : parseDate(query.since);
  const untilNs = query.until === undefined ? undefined : parseDate(query.until);
  if ((query.since !== undefined && sinceNs === undefined) || (query.until !== undefined && untilNs === undefined)) return undefined;
  return {
    ...(query.rule === undefined ? {} : { ruleId: query.rule }),
    ...(query.severity === undefined ? {} : { severityMin: query.severity }),
    ...(sinceNs === undefined ? {} : { sinceNs }),
    ...(untilNs === undefined ? {} : { untilNs }),
    ...(query.text === undefined ? {} : { text: query.text }),
  };
}

function makeCursor(position: number): string {
  return Buffer.from(`${CURSOR_PREFIX}${position}`).toString("base64url");
}

function readCursor(cursor: string): number | null {
  const text = Buffer.from(cursor, "base64url").toString("latin1");
  const digits = text.slice(CURSOR_PREFIX.length);
  return text.startsWith(CURSOR_PREFIX) && /^\d{1,15}$/.test(digits) ? Number(digits) : null;
}

/** Handler of the status route. */
export function statusHandler(agent: AgentPort): Handlers<Contract>["status"] {
  return () => ({ status: 200, body: toWireStatus(agent.status()) });
}

function toWireStatus(status: AgentStatus): WireStatus {
  const { armed, disabled, quarantined, invalid } = status.rules;
  return {
    version: status.version,
    hostName: status.hostName,
    state: status.state,
    startedAt: formatDate(status.startedNs),
    rules: { armed, disabled, quarantined, invalid },
    events: {
      produced: status.eventsProduced,
      evaluated: status.eventsEvaluated,
      dropped: sumOf(status.eventsDropped),
      droppedByCause: status.eventsDropped,
      filtered: sumOf(status.eventsFiltered),
      filteredByCause: status.eventsFiltered,
      perSecond: status.eventsPerSecond,
    },
    alertCount: status.alertCount,
    memoryBytes: status.memoryBytes,
    self: status.self.map(({ name, title, findings, count }) => ({ name, title, findings, count })),
    records: status.records.map(({ kind, produced, dropped, filtered }) => ({ kind, produced, dropped, filtered })),
    sensors: status.sensors.map(({ name, state, attachment, reason }) => ({ name, state, attachment, reason })),
  };
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}
