// The page: live alerts over one authorised fetch stream, history from the list, counters from the status.
import { alertElement, element, parseExact, raw, SEVERITIES } from "./alert-view.js";

const ALERTS_MAX = 1000;
const PAGE_SIZE = 200;
const PENDING_MAX = 1000;
const STATUS_EVERY_MS = 2000;
const SILENCE_MAX_MS = 45_000;
const RETRY_MAX_MS = 30_000;
const TOKEN_KEY = "kestrel-token";

const state = {
  token: "",
  /** Newest first: `{ alert, element, text }`. */
  shown: [],
  ids: new Set(),
  paused: false,
  pending: [],
  next: null,
  lastEventId: undefined,
  rules: new Map(),
  filter: { text: "", severity: "", rule: "" },
  listRequest: undefined,
  stream: undefined,
  unseen: 0,
  filled: false,
};

const at = (id) => document.getElementById(id);

const describe = (ruleId) => state.rules.get(ruleId)?.description;

// --- Talking to the agent ---

function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (state.token !== "") headers.authorization = `Bearer ${state.token}`;
  return fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
}

async function askJson(path, options) {
  const response = await ask(path, options);
  if (response.status === 401) {
    showGate("That token was not accepted.");
    throw new Error("unauthorized");
  }
  const text = await response.text();
  if (!response.ok) throw new Error(messageIn(text) ?? `The agent answered ${response.status}`);
  return parseExact(text);
}

function messageIn(text) {
  try {
    return JSON.parse(text).message;
  } catch {
    return undefined;
  }
}

// --- The stream ---

function setConnection(kind, text) {
  at("connection").dataset.state = state.paused && kind === "live" ? "paused" : kind;
  at("connection-text").textContent = state.paused && kind === "live" ? "Paused" : text;
}

async function follow() {
  const control = new AbortController();
  state.stream?.abort();
  state.stream = control;
  let failures = 0;
  while (!control.signal.aborted) {
    const opened = await readStream(control, () => {
      failures = 0;
    });
    if (control.signal.aborted || opened === "refused") return;
    const waitMs = Math.min(RETRY_MAX_MS, 1000 * 2 ** failures++) * (0.75 + Math.random() / 2);
    setConnection("waiting", `Reconnecting in ${Math.max(1, Math.round(waitMs / 1000))} s`);
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

async function readStream(control, onReady) {
  const attempt = new AbortController();
  const stop = () => attempt.abort();
  control.signal.addEventListener("abort", stop);
  let silence = setTimeout(stop, SILENCE_MAX_MS);
  try {
    setConnection("waiting", "Connecting");
    const headers = state.lastEventId === undefined ? {} : { "last-event-id": state.lastEventId };
    const response = await ask("/v1/alerts/stream", { headers, signal: attempt.signal });
    if (response.status === 401) {
      showGate("That token was not accepted.");
      return "refused";
    }
    if (!response.ok) return "failed";
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const take = messageReader((message) => {
      if (message.id !== undefined) state.lastEventId = message.id;
      if (message.event === "ready") {
        onReady();
        setConnection("live", "Live");
        if (!state.filled) void loadList();
      } else if (message.event === "alert") {
        arrive(message.data);
      }
    });
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return "ended";
      clearTimeout(silence);
      silence = setTimeout(stop, SILENCE_MAX_MS);
      take(value);
    }
  } catch {
    return "failed";
  } finally {
    clearTimeout(silence);
    control.signal.removeEventListener("abort", stop);
  }
}

/** Splits event-stream text into messages, however it is cut into chunks. */
function messageReader(onMessage) {
  let rest = "";
  let message = { event: "message", data: [], id: undefined };
  return (chunk) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        onMessage({ ...message, data: message.data.join("\n") });
        message = { event: "message", data: [], id: undefined };
        continue;
      }
      const colon = line.indexOf(":");
      if (colon <= 0) continue;
      const value = line.slice(colon + 1).replace(/^ /, "");
      if (line.startsWith("data:")) message.data.push(value);
      else if (line.startsWith("event:")) message.event = value;
      else if (line.startsWith("id:")) message.id = value;
    }
  };
}

function arrive(text) {
  let alert;
  try {
    alert = parseExact(text);
  } catch {
    return;
  }
  if (state.paused) {
    state.pending.push(alert);
    if (state.pending.length > PENDING_MAX) state.pending.shift();
    showPause();
    return;
  }
  if (insert(alert, text, true)) announce(alert);
}

// --- The list ---

async function loadList() {
  state.listRequest?.abort();
  const request = new AbortController();
  state.listRequest = request;
  try {
    const page = await askJson(`/v1/alerts?${query()}`, { signal: request.signal });
    clearList();
    state.filled = true;
    for (const alert of page.alerts) append(alert);
    state.next = page.next;
    trouble("");
  } catch (error) {
    if (request.signal.aborted || error.message === "unauthorized") return;
    trouble(`Cannot read the alerts: ${error.message}`);
  }
  showCount();
}

async function loadOlder() {
  const button = at("older");
  button.disabled = true;
  try {
    const page = await askJson(`/v1/alerts?${query()}&cursor=${encodeURIComponent(state.next)}`);
    for (const alert of page.alerts) append(alert);
    state.next = page.next;
    trouble("");
  } catch (error) {
    trouble(`Cannot read older alerts: ${error.message}`);
  }
  button.disabled = false;
  showCount();
}

function query() {
  const parameters = new URLSearchParams({ limit: String(PAGE_SIZE) });
  for (const [name, value] of Object.entries(state.filter)) if (value !== "") parameters.set(name, value);
  return parameters;
}

function clearList() {
  state.shown = [];
  state.ids.clear();
  at("alerts").replaceChildren();
}

function append(alert) {
  if (state.ids.has(alert.id) || state.shown.length >= ALERTS_MAX) return;
  const item = { alert, element: alertElement(alert, describe) };
  state.ids.add(alert.id);
  state.shown.push(item);
  at("alerts").append(item.element);
}

/** Puts a live alert on top. False: it is there already, or the filter does not let it in. */
function insert(alert, text, fresh) {
  if (state.ids.has(alert.id) || !passes(alert, text)) return false;
  const item = { alert, element: alertElement(alert, describe) };
  if (fresh) item.element.classList.add("fresh");
  state.ids.add(alert.id);
  state.shown.unshift(item);
  at("alerts").prepend(item.element);
  while (state.shown.length > ALERTS_MAX) {
    const oldest = state.shown.pop();
    state.ids.delete(oldest.alert.id);
    oldest.element.remove();
  }
  showCount();
  return true;
}

function passes(alert, text) {
  const { severity, rule, text: wanted } = state.filter;
  if (severity !== "" && SEVERITIES.indexOf(alert.severity) < SEVERITIES.indexOf(severity)) return false;
  if (rule !== "" && alert.rule.id !== rule) return false;
  return wanted === "" || text.toLowerCase().includes(wanted.toLowerCase());
}

function showCount() {
  const count = state.shown.length;
  const filtered = Object.values(state.filter).some((value) => value !== "");
  const full = count >= ALERTS_MAX;
  at("count").textContent =
    count === 0 ? "" : `${count}${state.next === null || full ? "" : "+"} ${filtered ? "matching" : "shown"}${full ? ", the newest" : ""}`;
  at("older").hidden = state.next === null || full || count === 0;
  at("filter-clear").hidden = !filtered;
  at("empty").hidden = count > 0 || !state.filled;
  at("empty-title").textContent = filtered ? "No alert matches" : "All quiet";
  at("empty-text").textContent = filtered
    ? "Try a shorter search or a lower severity."
    : "No rule has matched yet. To see one at work, run this in a shell on the machine:";
  at("empty-try").hidden = filtered;
}

function trouble(text) {
  at("trouble").textContent = text;
  at("trouble").hidden = text === "";
}

// --- Counters ---

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const count = (value) => (value < 100_000 ? whole.format(value) : compact.format(value));

async function showStatus() {
  const status = await askJson("/v1/status");
  at("host").textContent = status.hostName;
  at("stat-rate").textContent =
    status.events.perSecond < 10 ? String(Math.round(status.events.perSecond * 10) / 10) : count(status.events.perSecond);
  const resting = status.rules.quarantined + status.rules.invalid;
  at("stat-rules").replaceChildren(count(status.rules.armed), ...(resting === 0 ? [] : [element("small", {}, ` ${resting} failed`)]));
  at("stat-alerts").textContent = count(status.alertCount);
  at("stat-drops").textContent = count(status.events.dropped);
  at("stat-drops").dataset.tone = status.events.dropped > 0 ? "bad" : "";
  const on = status.sensors.filter(({ state: kind }) => kind === "on" || kind === "fallback").length;
  at("stat-sensors").replaceChildren(String(on), element("small", {}, ` of ${status.sensors.length}`));
  at("stat-sensors").dataset.tone = status.sensors.some((sensor) => sensor.state === "off") ? "bad" : "";
  at("sensors").replaceChildren(
    ...status.sensors.map(({ name, state: kind, attachment, reason }) =>
      element(
        "li",
        {},
        raw(name, 64),
        element("span", { class: `state-${kind}` }, kind),
        raw([attachment, reason].filter(Boolean).join(" · "), 500),
      ),
    ),
  );
  const findings = status.self.flatMap((watch) => watch.findings);
  at("self").hidden = findings.length === 0;
  at("self").replaceChildren(raw(`Self-defence: ${findings.join("; ")}.`, 1000));
  const causes = Object.entries(status.events.droppedByCause).filter(([, lost]) => lost > 0);
  const kinds = status.records.filter(({ dropped }) => dropped > 0).map(({ kind, dropped }) => `${whole.format(dropped)} ${kind}`);
  const ofKinds = kinds.length === 0 ? "" : ` (${kinds.join(", ")})`;
  const lost =
    causes.length === 0
      ? "No event was lost."
      : `Lost: ${causes.map(([cause, times]) => `${whole.format(times)} ${cause}`).join(", ")}${ofKinds}.`;
  const { filtered } = status.events;
  at("losses").textContent = filtered === 0 ? lost : `${lost} Left out because no rule can match them: ${whole.format(filtered)}.`;
}

/** Says that the machine is cut off, by whom, and what that held back. */
async function showIsolation() {
  const { state: kind, reason, scope, allow, clients, since, askedBy, dropped } = await askJson("/v1/isolation");
  const what = scope === "machine" ? "This machine" : "A control group of this machine";
  const whom = [...allow, ...clients.map((client) => `${client} (API only)`)].join(", ") || "nobody";
  const held = `${whole.format(dropped.egress.packets)} packets out and ${whole.format(dropped.ingress.packets)} in were dropped.`;
  const asked = since === null ? "" : ` Asked for ${new Date(since).toLocaleString()} by ${askedBy || "a local client"}. Allowed: ${whom}.`;
  const text = {
    on: `${what} is isolated from the network.${asked} ${held} ${reason}`,
    failed: `${what} is NOT isolated from the network, though it was asked for. ${reason}`,
  }[kind];
  at("isolation").hidden = text === undefined;
  at("isolation").replaceChildren(raw((text ?? "").trim(), 1000));
}

async function keepStatus() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, STATUS_EVERY_MS));
    if (document.hidden || !at("gate").hidden) continue;
    await Promise.allSettled([showStatus(), showIsolation()]);
  }
}

async function loadRules() {
  const { rules } = await askJson("/v1/rules");
  state.rules = new Map(rules.map((rule) => [rule.id, rule]));
  const select = at("filter-rule");
  const chosen = select.value;
  const sorted = [...rules].sort((a, b) => a.name.localeCompare(b.name));
  select.replaceChildren(
    element("option", { value: "" }, "All rules"),
    ...sorted.map((rule) => element("option", { value: rule.id }, raw(rule.name, 120).textContent)),
  );
  select.value = chosen;
}

// --- Pause, announcements, keys ---

function setPaused(paused) {
  state.paused = paused;
  if (!paused) {
    for (const alert of state.pending.splice(0))
      insert(
        alert,
        JSON.stringify(alert, (_key, value) => (typeof value === "bigint" ? String(value) : value)),
        true,
      );
  }
  showPause();
  if (["live", "paused"].includes(at("connection").dataset.state)) setConnection("live", "Live");
}

function showPause() {
  const waiting = state.pending.length;
  at("pause").setAttribute("aria-pressed", String(state.paused));
  at("pause").textContent = !state.paused ? "Pause" : waiting === 0 ? "Resume" : `Resume, ${waiting} new`;
}

let toAnnounce = [];

/** Says new alerts in one sentence every two seconds at most. */
function announce(alert) {
  if (document.hidden) document.title = `(${++state.unseen}) Kestrel`;
  toAnnounce.push(alert);
  if (toAnnounce.length > 1) return;
  setTimeout(() => {
    const last = toAnnounce.at(-1);
    at("announce").textContent =
      toAnnounce.length === 1
        ? `New ${last.severity} alert: ${last.rule.name}`
        : `${toAnnounce.length} new alerts, last: ${last.rule.name}`;
    toAnnounce = [];
  }, 2000);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || at("console").hidden) return;
  const isTyping = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
  if (event.key === "Escape" && isTyping) event.target.blur();
  if (isTyping) return;
  if (event.key === "/") {
    event.preventDefault();
    at("filter-text").focus();
  } else if (event.key === "p") {
    setPaused(!state.paused);
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (event.target.closest?.(".json")) return;
    const rows = [...document.querySelectorAll(".row")];
    const here = rows.indexOf(event.target.closest?.(".alert")?.querySelector(".row"));
    const row = rows[here === -1 ? 0 : here + (event.key === "ArrowDown" ? 1 : -1)];
    if (row === undefined) return;
    event.preventDefault();
    row.focus();
  } else if (event.key === "Escape") {
    const open = event.target.closest?.(".alert.open")?.querySelector(".row");
    open?.click();
    open?.focus();
  }
}

// --- Start ---

function showGate(message) {
  state.stream?.abort();
  state.token = "";
  sessionStorage.removeItem(TOKEN_KEY);
  setConnection(message === "" ? "idle" : "refused", "Not connected");
  at("gate-error").textContent = message;
  at("gate").hidden = false;
  at("console").hidden = true;
  at("pause").hidden = true;
  at("token").value = "";
  at("token").focus();
}

/** Opens the console if the token is right. Without a token it is tried too: an agent may need none. */
async function enter() {
  const response = await ask("/v1/status").catch(() => undefined);
  if (response === undefined) {
    setConnection("waiting", "The agent does not answer");
    setTimeout(enter, 2000);
    return;
  }
  if (response.status === 401) {
    showGate(state.token === "" ? "" : "That token was not accepted.");
    return;
  }
  if (state.token !== "") sessionStorage.setItem(TOKEN_KEY, state.token);
  at("gate").hidden = true;
  at("console").hidden = false;
  at("pause").hidden = false;
  state.filled = false;
  await Promise.allSettled([showStatus(), showIsolation(), loadRules()]);
  void follow();
}

function tokenFromAddress() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  // Out of the address bar and the history before anything else can see it.
  if (token !== null) {
    history.replaceState(null, "", location.pathname);
    sessionStorage.setItem(TOKEN_KEY, token);
  }
  return token;
}

function onFilter() {
  state.filter = { text: at("filter-text").value.trim(), severity: at("filter-severity").value, rule: at("filter-rule").value };
  void loadList();
}

let typing;
at("filters").addEventListener("submit", (event) => event.preventDefault());
at("filter-text").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(onFilter, 250);
});
at("filter-severity").addEventListener("change", onFilter);
at("filter-rule").addEventListener("change", onFilter);
at("filter-clear").addEventListener("click", () => {
  at("filters").reset();
  onFilter();
  at("filter-text").focus();
});
at("older").addEventListener("click", () => void loadOlder());
at("pause").addEventListener("click", () => setPaused(!state.paused));
at("gate-form").addEventListener("submit", (event) => {
  event.preventDefault();
  at("gate-error").textContent = "";
  state.token = at("token").value.trim();
  void enter();
});
document.addEventListener("keydown", onKey);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  state.unseen = 0;
  document.title = "Kestrel";
});
window.addEventListener("hashchange", () => {
  const token = tokenFromAddress();
  if (token === null) return;
  state.token = token;
  void enter();
});

state.token = tokenFromAddress() ?? sessionStorage.getItem(TOKEN_KEY) ?? "";
void enter();
void keepStatus();
