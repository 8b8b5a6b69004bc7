// What came to be known of a program after an event of it: put into the events of a live alert on its way to the sinks, under
// `kestrel.late_fields`. The alert's id, what rules saw and what is recorded stay as they were, so a replay raises the same alert without them.
import type { Alert, Json, Kept, Sink } from "#core";
import { type EbpfSource, LATE_FIELDS } from "#ebpf";
import { parseDate } from "#event";
import type { Rule } from "#rules";

type EventObject = Alert["events"][number];

const PATHS: readonly (readonly [name: string, path: readonly string[]])[] = LATE_FIELDS.map((name) => [name, name.split(".")]);

/** Where late fields come from. */
export type LateSource = Pick<EbpfSource, "lateFields">;

/** Fields that a rule captures. */
export type CapturesOf = (ruleId: string) => readonly string[];

/** Sinks that get alerts with what has come to be known since: found out once for all of them, so that they get the same. */
export function withLateFields(sinks: readonly Sink[], source: LateSource, capturesOf: CapturesOf): readonly Sink[] {
  const known = new WeakMap<readonly Alert[], readonly Alert[]>();
  const completedOnce = (alerts: readonly Alert[]): readonly Alert[] => {
    let complete = known.get(alerts);
    if (complete === undefined) {
      complete = alerts.map((alert) => completed(alert, source, capturesOf));
      known.set(alerts, complete);
    }
    return complete;
  };
  return sinks.map((sink) => ({
    name: sink.name,
    ...(sink.keepsState === undefined ? {} : { keepsState: sink.keepsState }),
    take: (alerts: readonly Alert[], kept?: Kept) => sink.take(completedOnce(alerts), kept),
  }));
}

/**
 * Whether some rule tests a field that may come late, in whatever language it is written: then events wait for it a moment. What a rule merely
 * captures may come late.
 */
export function readsLateFields(rules: readonly Rule[]): boolean {
  return rules.some(({ body, exceptions }) => {
    const text = body.kind === "eql" ? body.query : body.kind === "lua" ? body.source : Buffer.from(body.bytes);
    return LATE_FIELDS.some((field) => text.includes(field) || exceptions.some((one) => one.includes(field)));
  });
}

function completed(alert: Alert, source: LateSource, capturesOf: CapturesOf): Alert {
  const events = alert.events.map((event) => completedEvent(event, source));
  if (events.every((event, index) => event === alert.events[index])) return alert;
  const captures: Record<string, Json> = { ...alert.captures };
  for (const name of capturesOf(alert.ruleId)) {
    if (captures[name] !== undefined || !LATE_FIELDS.includes(name)) continue;
    const value = events.map((event) => valueAt(event, name.split("."))).findLast((found) => found !== undefined);
    if (value !== undefined) captures[name] = value;
  }
  return { ...alert, events, captures };
}

function completedEvent(event: EventObject, source: LateSource): EventObject {
  const process = objectAt(event, "process");
  const [pid, entityId, executable] = [process["pid"], process["entity_id"], process["executable"]];
  const timeNs = typeof event["@timestamp"] === "string" ? parseDate(event["@timestamp"]) : undefined;
  if (typeof entityId !== "string" || typeof executable !== "string" || timeNs === undefined) return event;
  const late = source.lateFields({ pid: Number(pid), entityId, executable, timeNs });
  let whole = event;
  const missing: string[] = [];
  for (const [name, path] of PATHS) {
    const value = late[name];
    if (value === undefined || valueAt(event, path) !== undefined) continue;
    whole = put(whole, path, value);
    missing.push(name);
  }
  return missing.length === 0 ? event : put(whole, ["kestrel", "late_fields"], missing);
}

function objectAt(object: EventObject, name: string): EventObject {
  const value = object[name];
  return isObject(value) ? value : {};
}

function valueAt(value: Json | undefined, path: readonly string[]): Json | undefined {
  let at = value;
  for (const name of path) {
    if (!isObject(at)) return undefined;
    at = at[name];
  }
  return at;
}

function put(object: EventObject, [name = "", ...rest]: readonly string[], value: Json): EventObject {
  return { ...object, [name]: rest.length === 0 ? value : put(objectAt(object, name), rest, value) };
}

function isObject(value: Json | undefined): value is EventObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
