// Which words and which tests a rule's demand has: one rule a line. Every operator that tells something, and what tells nothing.
import { expect, test } from "bun:test";
import { compileRuleSet } from "#eql";
import {
  type Demand,
  type DemandTest,
  type EventWords,
  everyEvent,
  type GroupFields,
  mergedDemand,
  passesTests,
  SchemaRegistry,
} from "#schema";

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
  return Object.fromEntries(demand.map(({ words, tests }) => [words[2], tests === undefined ? "*" : tests.map(shownTest).join(", ")]));
}

/** Blocks of IPv4 as they are written. */
function shownTest({ kind, text }: DemandTest): string {
  const written = text.replaceAll(/0{20}ffff([0-9a-f]{8})\/(\d+)/g, (_all, digits: string, bits: string) => {
    return `${Uint8Array.fromHex(digits).join(".")}/${Number(bits) - 96}`;
  });
  return `${kind} ${written}`;
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
const FLOW = (tests: string): Readonly<Record<string, string>> => ({ connection_attempted: tests, lookup_result: tests });
const LOCAL = "fe80".padEnd(32, "0").concat("/10");
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
  ['network where cidrMatch(destination.ip, "10.1.2.3/8", "127.0.0.1")', FLOW("address 10.0.0.0/8, address 127.0.0.1/32")],
  ['network where not cidrMatch(destination.ip, "10.0.0.0/8", "127.0.0.0/8")', FLOW("notAddress 10.0.0.0/8 127.0.0.0/8")],
  ['network where not cidrMatch(destination.ip, "::/0", "10.0.0.0/8", "fe80::/10")', FLOW(`notAddress 10.0.0.0/8 ${LOCAL}`)],
  ['network where not cidrMatch(destination.ip, "::/0")', NETWORK],
  ['network where cidrMatch(destination.ip, "::ffff:10.0.0.0/104")', FLOW("address 10.0.0.0/8")],
  ['network where destination.ip == "10.0.0.1"', FLOW("address 10.0.0.1/32")],
  ['network where destination.ip : "FE80::"', FLOW(`address ${LOCAL.replace("/10", "/128")}`)],
  ['network where destination.ip in ("10.0.0.1", "10.0.0.2")', FLOW("address 10.0.0.1/32, address 10.0.0.2/32")],
  ['network where destination.ip in ("10.0.0.1", "nowhere")', NETWORK],
  ['network where destination.ip != "10.0.0.1"', FLOW("notAddress 10.0.0.1/32")],
  ['network where destination.ip not in ("10.0.0.1", "::FFFF:10.0.0.2", "x")', FLOW("notAddress 10.0.0.1/32 10.0.0.2/32")],
  ['network where destination.ip != "::ffff:10.0.0.1"', FLOW("notAddress 10.0.0.1/32")],
  ['network where destination.ip like "10.*"', NETWORK],
  ["network where destination.ip != null", NETWORK],
  ['network where cidrMatch(source.ip, "10.0.0.0/8")', NETWORK],
  ['network where destination.port == 22 and not cidrMatch(destination.ip, "10.0.0.0/8")', FLOW("port 22")],
  ['network where not cidrMatch(destination.ip, "10.0.0.0/8") and user.id != "0"', FLOW("notAddress 10.0.0.0/8")],
  ['network where not (cidrMatch(destination.ip, "10.0.0.0/8") or destination.ip == "127.0.0.1")', FLOW("notAddress 10.0.0.0/8")],
  ['any where destination.port == 22 and event.action == "open"', { open: "port 22" }],
  ["file where container.id != null", FILE("container.id ")],
  ["file where container.id == null", FILE("none container.id")],
  ["file where not container.id == null", FILE("container.id ")],
  ["file where not (container.id != null)", FILE("none container.id")],
  ["process where container.id != null", { exec: "container.id ", fork: "container.id ", end: "container.id " }],
  ['file where container.id : "Ab*"', FILE("container.id ab")],
  ['file where container.id == "AB"', FILE("container.id ab")],
  ['file where container.id like ("ab*", "c?d")', FILE("container.id ab, container.id c")],
  ['file where container.id : "\u212a?"', FILE("container.id k")],
  ['file where container.id like "*ab"', FILE("container.id ")],
  ['file where not container.id like "ab*"', FILE("container.id ")],
  ['file where container.id != "ab"', FILE("container.id ")],
  ['file where container.id not in ("ab", "cd")', FILE("container.id ")],
  ['file where container.id regex "a.*"', FILE("container.id ")],
  ["file where length(container.id) > 12", FILE("container.id ")],
  ["file where container.id == process.name", FILE("container.id ")],
  ['file where startsWith(container.id, "ab") or container.runtime == "docker"', FILE("container.id ab, container.runtime docker")],
  ['file where container.runtime in ("docker", "podman")', FILE("container.runtime docker, container.runtime podman")],
  ["file where container.runtime == null", FILE("none container.runtime")],
  ['file where orchestrator.type == "kubernetes" and process.name == "x"', FILE("orchestrator.type kubernetes")],
  ["file where orchestrator.resource.id != null", FILE("orchestrator.resource.id ")],
  ['file where process.cgroup.path : "/kubepods*"', FILE("process.cgroup.path /kubepods")],
  ['file where process.cgroup.path : "/*" and container.id != null', FILE("container.id ")],
  ['file where container.id != null and file.name == "x"', FILE("name x")],
  ['file where container.id != null or file.name == "x"', FILE("container.id , name x")],
  ['file where container.id != null or process.name == "x"', FILE("*")],
  ['file where container.id == null and user.id == "0"', FILE("user 0")],
  ['file where container.id != null and not user.id == "0"', FILE("container.id ")],
  ["file where container == null", FILE("none container.id")],
  ["file where ?container.id == null", FILE("none container.id")],
  ["file where ?container.nothing == null", FILE("*")],
  ['file where container.name == "x"', FILE("*")],
  ["file where concat(container.id, container.name) == null", FILE("*")],
  ["file where (container.id == null) == null", {}],
  ['file where (container.id == "x") == null', FILE("*")],
  ["file where arrayCount(process.args, $arg, $arg == container.id) == 0", FILE("*")],
  ['file where substring(process.name, 0, length(container.id)) == "ab"', FILE("*")],
  ["file where arrayContains(process.args, container.id)", FILE("container.id ")],
  [
    "sequence by process.pid [file where container.id == null] [network where container.id != null]",
    { ...FILE("none container.id"), connection_attempted: "container.id ", lookup_result: "container.id " },
  ],
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

test("an exception that is about containers leaves those out of which it is always true", () => {
  expect(shown(demandOf("file where true", ["container.id != null"]))).toEqual(FILE("none container.id"));
  expect(shown(demandOf("file where true", ["container.id == null"]))).toEqual(FILE("container.id "));
  // Of no container it is null: what it is null of, it does not except.
  expect(shown(demandOf("file where true", ['container.id == "x"']))).toEqual(FILE("*"));
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

test("of more tests than are worth making nothing is known, each block of addresses counted", () => {
  const matched = (from: number, count: number): string =>
    `cidrMatch(destination.ip, ${Array.from({ length: count }, (_, index) => `"10.${(from + index) >> 8}.${(from + index) & 255}.0/24"`).join(", ")})`;
  const inside = (from: number, count: number): string => `network where ${matched(from, count)}`;
  const outside = (from: number, count: number): string => `network where not ${matched(from, count)}`;
  const known = (...texts: readonly string[]): boolean =>
    mergedDemand(texts.map((text) => demandOf(text))).every(({ tests }) => tests !== undefined);
  expect([known(inside(0, 512), inside(512, 512)), known(inside(0, 512), inside(512, 512), inside(1024, 1))]).toEqual([true, false]);
  expect([known(outside(0, 512), outside(512, 512)), known(outside(0, 512), outside(512, 513))]).toEqual([true, false]);
  expect([known(outside(0, 512), inside(512, 512)), known(outside(0, 512), inside(512, 513))]).toEqual([true, false]);
});

test("tests of names look at ASCII only and let everything else through", () => {
  const passes = (kind: "name" | "folder" | "extension", text: string, path: string): boolean =>
    passesTests([{ kind, text }], { path, user: undefined, port: undefined, address: undefined, group: undefined });
  expect(passes("name", "a", "/b/A")).toBe(true);
  expect(passes("name", "b", "/b/a")).toBe(false);
  expect(passes("folder", "b", "/B/a")).toBe(true);
  expect(passes("folder", "a", "/b/a")).toBe(false);
  expect(passes("extension", "c", "/b/a.C")).toBe(true);
  expect(passes("extension", "a", "/b/a")).toBe(false);
  expect(passes("extension", "c", "/b/é")).toBe(true);
  expect(
    passesTests([{ kind: "notUser", text: "0" }], { path: undefined, user: "1", port: undefined, address: undefined, group: undefined }),
  ).toBe(true);
  expect(
    passesTests([{ kind: "notUser", text: "0" }], { path: "/é", user: "0", port: undefined, address: undefined, group: undefined }),
  ).toBe(false);
});

test("tests of control groups look at what is known of the group", () => {
  const group: GroupFields = { "process.cgroup.path": "/é", "container.id": "Web-1" };
  const passes = (kind: DemandTest["kind"], text: string, of: GroupFields | undefined = group): boolean =>
    passesTests([{ kind, text }], { path: undefined, user: undefined, port: undefined, address: undefined, group: of });
  expect(passes("container.id", "web")).toBe(true);
  expect(passes("container.id", "")).toBe(true);
  expect(passes("container.id", "web-12")).toBe(false);
  expect(passes("container.runtime", "")).toBe(false);
  expect(passes("process.cgroup.path", "/x")).toBe(true);
  expect(passes("none", "container.id")).toBe(false);
  expect(passes("none", "container.runtime")).toBe(true);
  expect(
    passesTests([{ kind: "container.id", text: "" }], { path: "/é", user: "0", port: "1", address: undefined, group: undefined }),
  ).toBe(false);
  expect(
    passesTests([{ kind: "none", text: "container.id" }], { path: "/a", user: "0", port: "1", address: undefined, group: undefined }),
  ).toBe(true);
});

test("tests of addresses compare as many bits as the block has", () => {
  const address = "00000000000000000000ffff0a8c0001";
  const passes = (kind: "address" | "notAddress", text: string, of: string | undefined = address): boolean =>
    passesTests([{ kind, text }], { path: undefined, user: undefined, port: undefined, address: of, group: undefined });
  const block = (digits: string, bits: number): string => `00000000000000000000ffff${digits.padEnd(8, "0")}/${96 + bits}`;
  expect([passes("address", block("0a", 8)), passes("address", block("0b", 8))]).toEqual([true, false]);
  expect([passes("address", block("0a8", 9)), passes("address", block("0a8", 10)), passes("address", block("0a", 9))]).toEqual([
    true,
    true,
    false,
  ]);
  expect([
    passes("address", block("0a8c0001", 32)),
    passes("address", block("0a8c0000", 31)),
    passes("address", block("0a8c0000", 32)),
  ]).toEqual([true, true, false]);
  expect(passes("notAddress", `${block("0b", 8)} ${block("0a8", 9)}`)).toBe(false);
  expect(passes("notAddress", `${block("0b", 8)} ${block("0a", 9)}`)).toBe(true);
  // No address is in no block; without any nothing is told.
  expect([passes("notAddress", block("0a", 8), ""), passes("address", block("0", 0), "")]).toEqual([true, false]);
  expect(
    passesTests([{ kind: "notAddress", text: block("0a", 8) }], {
      path: undefined,
      user: "0",
      port: "1",
      address: undefined,
      group: undefined,
    }),
  ).toBe(false);
});
