// What people see on a terminal. Everything a watched process chose (names, arguments, paths) is shown with its control characters escaped.
import { type Alert, type AlertResponse, type Json, stringifyJson } from "#core";
import type { Severity } from "#schema";

const COLOUR: Readonly<Record<Severity, string>> = { low: "36", medium: "33", high: "31", critical: "1;41;97" };
const LINE_LENGTH_MAX = 400;
/** Of a longer sequence the first and last events are shown. */
const EVENTS_SHOWN_MAX = 8;

/** Text with control, bidirectional and line-breaking characters replaced by visible escapes. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that must not reach a terminal.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (character) => {
    const code = character.codePointAt(0) as number;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
  });
}

/** An alert as a few lines for people. */
export function alertText(alert: Alert, colour: boolean): string {
  const paint = (code: string, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const event = alert.events.at(-1) ?? {};
  const time = new Date(Number(alert.timeNs / 1_000_000n)).toISOString().replace("T", " ").replace("Z", "");
  const lines = [
    `${paint("2", time)} ${paint(COLOUR[alert.severity], ` ${alert.severity.toUpperCase()} `)} ${paint("1", printable(alert.ruleName))}`,
  ];
  const row = (label: string, value: string): void => {
    if (value !== "") lines.push(`    ${paint("2", label.padEnd(9))} ${clip(printable(value))}`);
  };
  if (alert.kind !== "rule") row("note", alert.message);
  if (alert.response !== undefined) row("response", responseText(alert.response));
  for (const [label, text] of eventRows(alert)) row(label, text);
  row("command", textAt(event, ["process", "command_line"]) || textAt(event, ["process", "executable"]));
  row("program", programText(event));
  const action = textAt(event, ["event", "action"]);
  if (action !== "exec") row("action", action);
  row("target", targetText(event));
  row("file", textAt(event, ["file", "path"]));
  row("address", addressText(event));
  row("question", textAt(event, ["dns", "question", "name"]));
  row("user", userText(event));
  row("ancestry", alert.ancestry.map((ancestor) => `${ancestor.name || ancestor.executable} (${ancestor.pid})`).join(" ← "));
  row("rule", `${alert.ruleId}${alert.tags.length > 0 ? `  ${alert.tags.join(" ")}` : ""}`);
  return `${lines.join("\n")}\n`;
}

const ACTED: Readonly<Record<AlertResponse["action"], string>> = { kill: "killed", suspend: "suspended", deny: "denied" };

/** What was done about an alert, in one line. */
function responseText({ action, outcome, means, targetPid, processCount, latencyNs, reason }: AlertResponse): string {
  const who = processCount === 1 ? `process ${targetPid}` : `${processCount} processes of ${targetPid}`;
  const after = `${(Number(latencyNs) / 1e6).toFixed(1)} ms after the event`;
  if (outcome === "done") return `${ACTED[action]} ${who} (${means}) ${after}${reason === "" ? "" : `: ${reason}`}`;
  if (outcome === "would") return `would have ${ACTED[action]} ${who} (${means}): ${reason}`;
  return `not ${ACTED[action]} (${outcome}): ${reason}`;
}

/** One row for each event of several: how long after the first, and what it was. */
function eventRows({ events }: Alert): readonly (readonly [label: string, text: string])[] {
  if (events.length < 2) return [];
  const times = events.map((event) => Date.parse(textAt(event, ["@timestamp"])));
  const first = Math.min(...times);
  const rows = events.map((event, index) => {
    const after = ((times[index] as number) - first) / 1000;
    const when = Number.isFinite(after) ? `+${after.toFixed(3)} s  ` : "";
    return [`event ${index + 1}`, `${when}${eventText(event)}`] as const;
  });
  if (rows.length <= EVENTS_SHOWN_MAX) return rows;
  const left = rows.length - EVENTS_SHOWN_MAX;
  return [...rows.slice(0, EVENTS_SHOWN_MAX / 2), ["", `… ${left} more`], ...rows.slice(-EVENTS_SHOWN_MAX / 2)];
}

/** An event in one line: the command, and what it touched. */
function eventText(event: Readonly<Record<string, Json>>): string {
  const command = ["command_line", "executable", "name"].map((key) => textAt(event, ["process", key])).find((text) => text !== "");
  const target = [targetText(event), textAt(event, ["file", "path"]), textAt(event, ["dns", "question", "name"]), addressText(event)].find(
    (text) => text !== "",
  );
  const parts = [command, target].filter((text) => text !== undefined);
  return parts.length > 0 ? parts.join(" → ") : textAt(event, ["event", "action"]) || "an event";
}

/** The file that runs, where the command line says something else: its first word is the caller's own choice. */
function programText(event: Readonly<Record<string, Json>>): string {
  const executable = textAt(event, ["process", "executable"]);
  const commandLine = textAt(event, ["process", "command_line"]);
  return commandLine === "" || `${commandLine} `.startsWith(`${executable} `) ? "" : executable;
}

/** The process acted on, as `program (pid)`. */
function targetText(event: Readonly<Record<string, Json>>): string {
  const of = (key: string): string => textAt(event, ["Target", "process", key]);
  const program = of("executable") || of("name");
  const pid = of("pid");
  return pid === "" ? program : program === "" ? pid : `${program} (${pid})`;
}

/** The other end of a connection, or what a server binds to. */
function addressText(event: Readonly<Record<string, Json>>): string {
  const ip = textAt(event, ["destination", "ip"]);
  const port = textAt(event, ["destination", "port"]);
  return port === "" ? ip : `${ip.includes(":") ? `[${ip}]` : ip}:${port}`;
}

function userText(event: Readonly<Record<string, Json>>): string {
  const name = textAt(event, ["user", "name"]);
  const id = textAt(event, ["user", "id"]);
  return name === "" ? id : id === "" ? name : `${name} (${id})`;
}

function textAt(event: Readonly<Record<string, Json>>, path: readonly string[]): string {
  let value: Json | undefined = event;
  for (const key of path) {
    if (value === null || typeof value !== "object" || Array.isArray(value)) return "";
    value = (value as Readonly<Record<string, Json>>)[key];
  }
  return value === undefined || value === null ? "" : typeof value === "string" ? value : stringifyJson(value);
}

function clip(text: string): string {
  return text.length <= LINE_LENGTH_MAX ? text : `${text.slice(0, LINE_LENGTH_MAX)}… (${text.length} characters)`;
}
