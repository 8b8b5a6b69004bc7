// One alert as elements: its row and its details. Whatever a watched program wrote is only ever put into text nodes, and characters that hide or
// reorder text are shown by their number.

const ROW_TEXT_MAX = 400;
const DETAIL_TEXT_MAX = 20_000;
/** Severities from least to most. */
export const SEVERITIES = ["low", "medium", "high", "critical"];
/** Fields that the details show under their own words, so a capture of them is not shown twice. */
const FACT_FIELDS = new Set([
  "process.command_line",
  "process.args",
  "process.executable",
  "process.parent.command_line",
  "process.working_directory",
  "process.pid",
  "process.entity_id",
  "event.action",
  "Target.process.pid",
  "Target.process.executable",
  "file.path",
  "destination.ip",
  "destination.port",
  "user.name",
  "user.id",
]);
const LIST_LINE_MAX = 72;
const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}]/gu;

/** An element with attributes, listeners (`onclick`) and children. */
export function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (key === "class") node.className = value;
    else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value);
  }
  node.append(...children);
  return node;
}

/** Text from a watched program, as nodes: cut at `max`, hidden characters spelled out. */
export function raw(text, max, keepLines = false) {
  const whole = String(text);
  const holder = element("span", { class: "raw" });
  const cut = whole.length > max ? whole.slice(0, max) : whole;
  let from = 0;
  for (const match of cut.matchAll(UNSEEN)) {
    if (keepLines && match[0] === "\n") continue;
    holder.append(cut.slice(from, match.index));
    const code = match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    holder.append(element("span", { class: "unseen", title: "A character that does not show" }, `U+${code}`));
    from = match.index + match[0].length;
  }
  holder.append(cut.slice(from));
  if (cut.length < whole.length) holder.append(element("span", { class: "unseen" }, `${whole.length - cut.length} more characters`));
  return holder;
}

/** JSON with exact integers: one that a number cannot hold becomes a bigint, where the browser tells the source text. */
export function parseExact(text) {
  return JSON.parse(text, (_key, value, context) =>
    typeof value === "number" && context !== undefined && !Number.isSafeInteger(value) && /^-?\d+$/.test(context.source)
      ? BigInt(context.source)
      : value,
  );
}

/** Pretty JSON that prints bigint as the integer it is. */
function printExact(value, indent = "") {
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  if (Array.isArray(value) && value.every((item) => typeof item !== "object" || item === null)) {
    const line = `[${value.map((item) => printExact(item)).join(", ")}]`;
    if (line.length <= LIST_LINE_MAX) return line;
  }
  const isList = Array.isArray(value);
  const parts = isList
    ? value.map((item) => inner + printExact(item, inner))
    : Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${printExact(item, inner)}`);
  if (parts.length === 0) return isList ? "[]" : "{}";
  return `${isList ? "[" : "{"}\n${parts.join(",\n")}\n${indent}${isList ? "]" : "}"}`;
}

/** A field of an event under its dotted name, nested or flat. */
function field(event, name) {
  if (event === undefined || event === null || typeof event !== "object") return undefined;
  if (Object.hasOwn(event, name)) return event[name];
  for (let dot = name.indexOf("."); dot > 0; dot = name.indexOf(".", dot + 1)) {
    const head = name.slice(0, dot);
    if (Object.hasOwn(event, head)) {
      const found = field(event[head], name.slice(dot + 1));
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function firstField(event, ...names) {
  for (const name of names) {
    const value = field(event, name);
    if (value !== undefined && value !== null && value !== "") return Array.isArray(value) ? value.join(" ") : String(value);
  }
  return undefined;
}

/** The process acted on: its program, or its name, and its id. */
function targetOf(event) {
  const program = firstField(event, "Target.process.executable", "Target.process.name");
  const pid = firstField(event, "Target.process.pid");
  return program === undefined || pid === undefined ? (program ?? pid) : `${program}, ${pid}`;
}

/** The other end of a connection, or what a server binds to. */
function addressOf(event) {
  const address = firstField(event, "destination.ip", "destination.domain");
  const port = firstField(event, "destination.port");
  return address === undefined || port === undefined ? address : `${address} port ${port}`;
}

/** An event in one line: the command, and what it touched. */
function lineOf(event, otherwise) {
  const command = firstField(event, "process.command_line", "process.args", "process.executable", "process.name");
  const target = targetOf(event) ?? firstField(event, "dns.question.name") ?? addressOf(event) ?? firstField(event, "file.path");
  if (command === undefined) return target ?? otherwise;
  return target === undefined || command.includes(target) ? command : `${command} → ${target}`;
}

/** The row of an alert, which opens its details. `describe` gives the description of a rule id, if there is one. */
export function alertElement(alert, describe) {
  const event = alert.events.at(-1);
  const user = firstField(event, "user.name", "user.id");
  const host = firstField(event, "host.name", "host.hostname");
  const chain = [...alert.ancestry].reverse().map((ancestor) => ancestor.name || ancestor.executable);
  const own = firstField(event, "process.name");
  if (own !== undefined) chain.push(own);
  const severity = SEVERITIES.includes(alert.severity) ? alert.severity : "low";
  const detailsId = `details-${alert.id}`;
  const row = element(
    "button",
    { class: "row", type: "button", "aria-expanded": "false", "aria-controls": detailsId },
    element("span", { class: "severity" }, severity[0].toUpperCase() + severity.slice(1)),
    element("span", { class: "name" }, raw(alert.rule.name, ROW_TEXT_MAX)),
    timeElement(alert["@timestamp"]),
    element("span", { class: "command" }, raw(lineOf(event, alert.message), ROW_TEXT_MAX)),
    element(
      "span",
      { class: "meta" },
      ...(user === undefined && host === undefined
        ? []
        : [element("span", { class: "who-ran" }, raw([user, host].filter(Boolean).join(" on "), ROW_TEXT_MAX))]),
      ...(chain.length < 2 ? [] : [chainElement(chain)]),
    ),
  );
  const item = element("li", { class: "alert", "data-severity": severity, "data-id": alert.id }, row);
  row.addEventListener("click", () => toggle(item, row, () => detailsElement(alert, detailsId, describe(alert.rule.id))));
  return item;
}

function chainElement(chain) {
  const shown = chain.slice(-5);
  const holder = element("span", { class: "chain" }, element("span", { class: "hidden-text" }, "Started through: "));
  if (shown.length < chain.length) holder.append("…", arrow());
  for (const [index, name] of shown.entries()) {
    if (index > 0) holder.append(arrow());
    holder.append(raw(name, 64));
  }
  return holder;
}

const arrow = () => element("span", { class: "arrow", "aria-hidden": "true" }, "›");

function timeElement(timestamp) {
  const date = new Date(timestamp);
  const isToday = date.toDateString() === new Date().toDateString();
  const clock = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  const text = isToday ? clock : `${date.toLocaleDateString([], { month: "short", day: "numeric" })}, ${clock}`;
  return element("time", { class: "when", datetime: timestamp, title: timestamp }, Number.isNaN(date.getTime()) ? "" : text);
}

function toggle(item, row, makeDetails) {
  const open = item.classList.toggle("open");
  row.setAttribute("aria-expanded", String(open));
  if (open) item.append(makeDetails());
  else item.lastElementChild.remove();
}

function detailsElement(alert, detailsId, description) {
  const events = printExact(alert.events.length === 1 ? alert.events[0] : alert.events);
  const copy = element("button", { class: "button small", type: "button" }, "Copy JSON");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(printExact(alert));
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "Cannot copy here";
    }
  });
  const about = element("p", { class: "about" }, raw(description || alert.message, DETAIL_TEXT_MAX, true));
  return element(
    "div",
    { class: "details", id: detailsId, role: "region", "aria-label": `Details of ${alert.rule.name}` },
    about,
    element("div", {}, factsElement(alert)),
    element(
      "div",
      {},
      element(
        "div",
        { class: "events-head" },
        element("h3", {}, alert.events.length === 1 ? "Event" : `${alert.events.length} events`),
        copy,
      ),
      element("pre", { class: "json", tabindex: "0", "aria-label": "Event as JSON" }, raw(events, DETAIL_TEXT_MAX * 5, true)),
    ),
  );
}

function factsElement(alert) {
  const event = alert.events.at(-1);
  const list = element("dl", { class: "facts" });
  const add = (label, value, isCode = true) => {
    if (value === undefined || value === "") return;
    const shown = value instanceof Node ? value : raw(value, DETAIL_TEXT_MAX);
    list.append(element("dt", {}, raw(label, 200)), element("dd", isCode ? { class: "code" } : {}, shown));
  };
  if (alert.response !== undefined) add("Response", responseText(alert.response), false);
  if (alert.events.length > 1) add("Sequence", stepsElement(alert.events));
  add("Command", firstField(event, "process.command_line", "process.args"));
  add("Program", firstField(event, "process.executable"));
  add("Parent", firstField(event, "process.parent.command_line"));
  add("Folder", firstField(event, "process.working_directory"));
  add("Action", firstField(event, "event.action"));
  add("Target", targetOf(event));
  add("File", firstField(event, "file.path"));
  add("Address", addressOf(event));
  add("Question", firstField(event, "dns.question.name"));
  add("User", [firstField(event, "user.name"), firstField(event, "user.id")].filter(Boolean).join(", id "));
  add("Process", [firstField(event, "process.pid"), firstField(event, "process.entity_id")].filter(Boolean).join(", "));
  if (alert.ancestry.length > 0) {
    const lines = alert.ancestry.map(({ pid, name, executable }) =>
      element("li", {}, raw(executable || name, ROW_TEXT_MAX), " ", element("span", { class: "pid" }, String(pid))),
    );
    add("Started by", element("ol", { class: "lineage" }, ...lines));
  }
  for (const [name, value] of Object.entries(alert.captures))
    if (!FACT_FIELDS.has(name)) add(name, typeof value === "string" ? value : printExact(value));
  add("Rule", alert.rule.id);
  if (alert.rule.tags.length > 0) add("Tags", element("span", { class: "tags" }, ...alert.rule.tags.map(tagElement)), false);
  add("Time", alert["@timestamp"]);
  add("Alert", alert.id);
  return list;
}

const ACTED = { kill: "Killed", suspend: "Suspended", deny: "Denied" };

/** What was done about an alert, in one sentence. */
function responseText({ action, outcome, means, target_pid, process_count, latency_ns, reason }) {
  const acted = ACTED[action] ?? action;
  const who = process_count === 1 ? `process ${target_pid}` : `${process_count} processes of ${target_pid}`;
  const why = reason === "" ? "" : `: ${reason}`;
  if (outcome === "done") return `${acted} ${who} (${means}), ${(latency_ns / 1e6).toFixed(1)} ms after the event${why}`;
  if (outcome === "would") return `Would have ${acted.toLowerCase()} ${who} (${means})${why}`;
  return `Not ${acted.toLowerCase()} (${outcome})${why}`;
}

/** The events of a sequence, each with how long after the first it came. */
function stepsElement(events) {
  const times = events.map((event) => Date.parse(firstField(event, "@timestamp")));
  const first = Math.min(...times);
  const lines = events.map((event, index) => {
    const after = (times[index] - first) / 1000;
    const text = lineOf(event, firstField(event, "event.action") ?? "An event");
    return element(
      "li",
      {},
      element("span", { class: "pid" }, Number.isFinite(after) ? `+${after.toFixed(3)} s` : ""),
      " ",
      raw(text, ROW_TEXT_MAX),
    );
  });
  return element("ol", { class: "lineage" }, ...lines);
}

/** A tag; one that names an ATT&CK technique leads to its page. */
function tagElement(tag) {
  const technique = /^attack\.(t\d{4})(?:\.(\d{3}))?$/i.exec(tag);
  if (technique === null) return element("span", {}, raw(tag, 100));
  const path = [technique[1].toUpperCase(), technique[2]].filter(Boolean).join("/");
  const href = `https://attack.mitre.org/techniques/${path}/`;
  return element("a", { href, target: "_blank", rel: "noopener noreferrer" }, path.replace("/", "."));
}
