// Which words and which tests a rule's demand has: one rule a line. Every operator that tells something, and what tells nothing.
import { expect, test } from "bun:test";
import { compileRuleSet } from "#eql";
import { type Demand, type EventWords, everyEvent, mergedDemand, passesTests, SchemaRegistry } from "#schema";

const WORDS: readonly EventWords[] = [
  ["process", "start", "exec"],
  ["process", "start", "fork"],
  ["process", "end", "end"],
  ["file", "creation", "creation"],
  ["file", "change", "modification"],
  ["file", "access", "open"],
  ["network", "start", "connection_attempted"],
  [["network", "dns"], "protocol", "lookup_result"],
];

/** `*`: any event of the words; the tests joined otherwise. */
function shown(demand: Demand): Readonly<Record<string, string>> {
  return Object.fromEntries(
    demand.map(({ words, tests }) => [words[2], tests === undefined ? "*" : tests.map(({ kind, text }) => `${kind} ${text}`).join(", ")]),
  );
}

function demandOf(text: string, exceptions: readonly string[] = []): Demand {
  const { queries } = compileRuleSet(
    [{ id: "r", text, dialect: "default", exceptions, lenientFields: false }],
    new SchemaRegistry(),
    [],
    WORDS,
  );
  expect(queries[0]?.diagnostics ?? []).toEqual([]);
  return queries[0]?.demand ?? [];
}

const PROCESS = { exec: "*", fork: "*", end: "*" };
const NETWORK = { connection_attempted: "*", lookup_result: "*" };
const FILE = (tests: string): Readonly<Record<string, string>> => ({ creation: tests, modification: tests, open: tests });

const RULES: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ["any where true", { ...PROCESS, ...FILE("*"), ...NETWORK }],
  ["network where true", NETWORK],
  ["dns where true", { lookup_result: "*" }],
  ['network where event.category == "dns"', { lookup_result: "*" }],
  ['network where event.category != "dns"', { connection_attempted: "*" }],
  ['dns where event.type == "start"', {}],
  ["any where false", {}],
  ["authentication where true", {}],
  ["process where true", PROCESS],
  ['any where event.category == "process"', PROCESS],
  ['process where event.type == "start"', { exec: "*", fork: "*" }],
  ['process where event.type != "start"', { end: "*" }],
  ['process where event.type : ("STA*", "x") and event.action in~ ("EXEC", "y")', { exec: "*" }],
  ['process where not (event.action == "exec" or event.type == "end")', { fork: "*" }],
  ['process where not (event.action == "exec" and process.name == "x")', PROCESS],
  ['process where (event.action == "exec" and process.pid == 1) or process.pid == 2 and event.type == "end"', { exec: "*", end: "*" }],
  ['process where event.type == "start" and event.type == "end"', {}],
  ["process where event.type == null", {}],
  ["process where length(event.action) == 3", { end: "*" }],
  ['process where event.action regex "e.*"', { exec: "*", end: "*" }],
  ["file where file.path == null", FILE("*")],
  ['file where file.path == "/etc/Passwd"', FILE("name passwd")],
  ['file where file.path in ("/etc/passwd", "/etc/shadow")', FILE("name passwd, name shadow")],
  ['file where file.path like ("/etc/cron.d/*", "/etc/init?d/*", "*/.ssh/?*")', FILE("folder cron.d, folder etc, folder .ssh")],
  ['file where file.path : "/ETC/\u212a/*"', FILE("folder k")],
  ['file where file.path like "/etc/\u212a/*"', FILE("folder \u212a")],
  ['file where file.path like "*.conf"', FILE("extension conf")],
  ['file where file.path like "*conf"', FILE("*")],
  ['file where file.path like ("/etc/*", "*x*")', FILE("*")],
  ['file where file.path like "/a/this-name-is-longer-than-what-fits/*"', FILE("folder a")],
  ['file where startsWith(file.path, "/etc/x")', FILE("folder etc")],
  ['file where endsWith(file.path, "/x")', FILE("name x")],
  ['file where stringContains(file.path, "/.git/")', FILE("folder .git")],
  ['file where wildcard(file.path, "/tmp/*", "/var/tmp/*")', FILE("folder tmp")],
  ['file where file.path regex "/etc/.*"', FILE("*")],
  ['file where file.directory == "/etc"', FILE("folder etc")],
  ['file where file.directory == "/"', FILE("*")],
  ['file where file.name : ("a", "*.SO")', FILE("name a, extension so")],
  ['file where file.extension == "so" and file.path like "/lib/*"', FILE("folder lib")],
  ['file where file.extension == "so" or file.path like "/lib/*"', FILE("extension so, folder lib")],
  ['file where not file.path like "/lib/*"', FILE("*")],
  ['file where not (file.path != "/a" or process.pid == 1)', FILE("name a")],
  ['file where user.id == "0"', FILE("user 0")],
  ['file where user.id != "0"', FILE("notUser 0")],
  ['file where user.id == "0" and file.name == "x"', FILE("name x")],
  ['file where event.type == "creation" and file.name == "a" or event.type == "change"', { creation: "name a", modification: "*" }],
  ["network where destination.port == 4444", { connection_attempted: "port 4444", lookup_result: "port 4444" }],
  [
    'network where destination.port in (22, 80) and user.id == "0"',
    { connection_attempted: "port 22, port 80", lookup_result: "port 22, port 80" },
  ],
  ["network where destination.port > 1024", NETWORK],
  ["network where not destination.port == 22", NETWORK],
  ['network where destination.port == 22 or process.name == "x"', NETWORK],
  ['any where destination.port == 22 and event.action == "open"', { open: "port 22" }],
  [
    'sequence by process.pid [process where event.action == "exec"] [file where file.name == "a"] until [process where event.type == "end"]',
    { exec: "*", ...FILE("name a"), end: "*" },
  ],
  ['sequence [file where event.type == "access"] as a [network where process.name == a.file.name]', { open: "*", ...NETWORK }],
  ['file where event.type == "access" and descendant of [process where event.action == "exec"]', { open: "*", exec: "*" }],
];

test.each(RULES)("%s", (text, wanted) => {
  expect(shown(demandOf(text))).toEqual(wanted);
});

test("an exception leaves out words only when it is true of all their events", () => {
  expect(shown(demandOf("process where true", ['event.type == "end"']))).toEqual({ exec: "*", fork: "*" });
  expect(shown(demandOf("process where true", ['event.type == "end" and process.name == "x"']))).toEqual(PROCESS);
});

test("demands together want what either wants", () => {
  const merged = mergedDemand([
    demandOf('file where file.name == "a"'),
    demandOf('any where file.name == "b" and event.type != "access"'),
    [],
  ]);
  expect(shown(merged)).toMatchObject({ creation: "name a, name b", open: "name a", exec: "name b" });
  expect(shown(mergedDemand([merged, everyEvent(WORDS)]))).toEqual(shown(everyEvent(WORDS)));
});

test("tests of names look at ASCII only and let everything else through", () => {
  const passes = (kind: "name" | "folder" | "extension", text: string, path: string): boolean =>
    passesTests([{ kind, text }], { path, user: undefined, port: undefined });
  expect(passes("name", "a", "/b/A")).toBe(true);
  expect(passes("name", "b", "/b/a")).toBe(false);
  expect(passes("folder", "b", "/B/a")).toBe(true);
  expect(passes("folder", "a", "/b/a")).toBe(false);
  expect(passes("extension", "c", "/b/a.C")).toBe(true);
  expect(passes("extension", "a", "/b/a")).toBe(false);
  expect(passes("extension", "c", "/b/é")).toBe(true);
  expect(passesTests([{ kind: "notUser", text: "0" }], { path: undefined, user: "1", port: undefined })).toBe(true);
  expect(passesTests([{ kind: "notUser", text: "0" }], { path: "/é", user: "0", port: undefined })).toBe(false);
});
