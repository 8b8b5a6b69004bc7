// Records whose parts were kept are byte for byte those of a writer that keeps nothing, whatever has changed since.
import { expect, test } from "bun:test";
import { validateRecord } from "#event";
import { SchemaRegistry } from "#schema";
import { groupFields } from "../../src/ebpf/control-groups.ts";
import { decode } from "../../src/ebpf/decode.ts";
import { KeptParts } from "../../src/ebpf/kept-parts.ts";
import type { Actor } from "../../src/ebpf/kernel-event.ts";
import { type Credentials, type ProcessInfo, ProcessTable } from "../../src/ebpf/process-table.ts";
import { ProcessTracker } from "../../src/ebpf/process-tracker.ts";
import type { ProgramFacts } from "../../src/ebpf/program-inspector.ts";
import type { RecordContext, ReportedEvent } from "../../src/ebpf/record-context.ts";
import { RecordWriter } from "../../src/ebpf/record-writer.ts";
import { type ActorParts, connectRecord, execRecord, fileRecord } from "./kernel-record.ts";

const SECOND = 1_000_000_000n;
const CHANGED = 4000;
const HOST = { name: "web-01", id: "6d0c2d9d", bootId: "b", kernel: "6.1.0", architecture: "x86_64" };
const registry = new SchemaRegistry();

function header(pid: number): ActorParts {
  return { pid, startNs: BigInt(pid) * SECOND, ppid: pid - 1, parentStartNs: BigInt(pid - 1) * SECOND, comm: "bash" };
}

function eventOf(record: Buffer): Exclude<ReportedEvent, { kind: "attempt" }> {
  const event = decode(new Uint8Array(record), 0, record.length);
  if (event === undefined || event.kind === "args") throw new Error("not an event");
  return event;
}

function execOf(pid: number): ReturnType<typeof eventOf> {
  return eventOf(execRecord(header(pid), { path: `/usr/bin/p${pid}`, cwd: "/srv", filename: "p", args: Buffer.from("p\0-x\0") }));
}

/** A process with a line of ancestors, its events, and what may change of all that. */
function scene() {
  const tracker = new ProcessTracker(new ProcessTable("boot"), () => undefined);
  for (let pid = 1; pid < 9; pid++) tracker.apply(execOf(pid));
  const events = [eventOf(connectRecord(header(8), 2, Uint8Array.of(192, 0, 2, 1))), eventOf(fileRecord(header(8), "/srv/x")), execOf(8)];
  const entry = tracker.apply(events[0]!);
  const ids = { uid: 1, euid: 2, gid: 3, egid: 4, ttyMajor: 4, ttyMinor: 1 };
  for (const event of events) Object.assign(event.actor, ids);
  for (const info of [entry.info, entry.ancestors[0]!]) info.program = program("known");
  entry.ancestors[0]!.credentials = { uid: 5, euid: 6, suid: 5, gid: 7, egid: 8, sgid: 7 };
  // Another id alone is told too, so a name is all that differs between the first eight.
  const names = new Map(Array.from({ length: 9 }, (_, id) => [id, `name ${id}`]));
  const context: RecordContext = {
    entry,
    parent: entry.ancestors[0],
    sessionLeader: entry.ancestors[2],
    groupLeader: entry.ancestors[3],
    texts: undefined,
    previous: undefined,
    target: undefined,
    sensor: "test",
    wallOffsetNs: SECOND,
    startOffsetNs: SECOND,
    group: groupFields("/a.service"),
    policy: undefined,
    userName: (id) => names.get(id) ?? names.get(id - CHANGED),
    groupName: (id) => names.get(id) ?? names.get(id - CHANGED),
  };
  return { events, info: entry.info, line: entry.ancestors, context, names };
}
type Scene = ReturnType<typeof scene>;

function program(state: ProgramFacts["state"]): ProgramFacts {
  const file = { pid: 8, ppid: 7, path: "/x", device: 1, inode: 1n, sizeBytes: 1, changeNs: 1n };
  return { state, sha256: "ab".repeat(32), elf: undefined, isUncertain: false, file, ownPath: "", askedPath: "" };
}

const IDS = [
  "uid",
  "gid",
  "euid",
  "egid",
  "suid",
  "sgid",
  "loginUid",
  "ppid",
  "pgid",
  "sid",
  "vpid",
  "ttyMajor",
  "ttyMinor",
  "tid",
] as const;
const TEXTS = ["name", "executable", "commandLine", "workingDirectory", "script"] as const;

function ofInfo(whose: string, of: (scene: Scene) => ProcessInfo): readonly (readonly [string, (scene: Scene) => void])[] {
  return [
    ...TEXTS.map((key) => [`${key} ${whose}`, (now: Scene) => Object.assign(of(now), { [key]: "changed" })] as const),
    [`arguments ${whose}`, (now) => Object.assign(of(now), { args: ["a", "b"], argsCount: 2 })],
    [`count of arguments ${whose}`, (now) => Object.assign(of(now), { argsCount: 99 })],
    [`memory file ${whose}`, (now) => Object.assign(of(now), { memfd: true })],
    [`deleted file ${whose}`, (now) => Object.assign(of(now), { deleted: true })],
    [`program ${whose}`, (now) => Object.assign(of(now), { program: { ...program("known"), sha256: "cd".repeat(32) } })],
    [`ids ${whose}`, (now) => Object.assign(of(now), { credentials: { uid: 1, gid: 2, euid: 6, egid: 8, suid: 5, sgid: 6 } })],
    [`parent's pid ${whose}`, (now) => Object.assign(of(now), { ppid: 77 })],
    [`process group ${whose}`, (now) => Object.assign(of(now), { pgid: 77 })],
    [`terminal ${whose}`, (now) => Object.assign(of(now), { ttyMajor: 4 })],
    [`package ${whose}`, (now) => Object.assign(of(now), { packageName: "coreutils" })],
  ];
}

/** Another id under the same name. */
function changeOf(key: (typeof IDS)[number]): (scene: Scene) => void {
  return ({ events }) => {
    for (const { actor } of events) Object.assign(actor, { [key]: actor[key] + CHANGED });
  };
}

/** The same of the parent. */
function parentsId(key: keyof Credentials): (scene: Scene) => void {
  return ({ line: [parent] }) => {
    parent!.credentials = { ...parent!.credentials, [key]: parent!.credentials[key] + CHANGED };
  };
}

/** Changes every event's actor. */
function ofActors(changes: Partial<Actor>): (scene: Scene) => void {
  return ({ events }) => {
    for (const { actor } of events) Object.assign(actor, changes);
  };
}

const CONTAINER = `/kubepods.slice/pod${"a".repeat(32)}.slice/docker-${"c".repeat(64)}.scope`;

const CHANGES: readonly (readonly [string, (scene: Scene) => void])[] = [
  ["nothing", () => undefined],
  ...IDS.map((key) => [key, changeOf(key)] as const),
  ["no terminal", ofActors({ ttyMajor: 0, ttyMinor: 0 })],
  ["thread's name", ofActors({ comm: "other" })],
  ["id of the control group", ofActors({ cgroupId: 9n })],
  ["path of the group", ({ context }) => Object.assign(context, { group: groupFields(CONTAINER) })],
  ...Array.from({ length: 9 }, (_, id) => [`name of ${id}`, ({ names }: Scene) => names.set(id, "changed")] as const),
  ["the clock at the start", ({ context }) => Object.assign(context, { startOffsetNs: 2n * SECOND })],
  ["leader of the session", ({ context, line }) => Object.assign(context, { sessionLeader: { ...line[2]!, pid: 99 } })],
  ["leader of the group", ({ context, info }) => Object.assign(context, { groupLeader: info })],
  ["no leaders", ({ context }) => Object.assign(context, { sessionLeader: undefined, groupLeader: undefined })],
  ["line of ancestors", ({ context, line }) => Object.assign(context, { entry: { ...context.entry, ancestors: line.slice(0, 3) } })],
  ["file of the program is uncertain", ({ info }) => Object.assign(info.program!, { isUncertain: true })],
  ...ofInfo("of the process", ({ info }) => info),
  ...(["uid", "gid", "euid", "egid", "suid", "sgid"] as const).map((key) => [`${key} of the parent`, parentsId(key)] as const),
  ...ofInfo("of the parent", ({ line }) => line[0]!),
  ...ofInfo("of the grandparent", ({ line }) => line[1]!),
  ...ofInfo("of an ancestor", ({ line }) => line[5]!),
  ...ofInfo("of the session's leader", ({ line }) => line[2]!),
  ...ofInfo("of the group's leader", ({ line }) => line[3]!),
];

function recordsOf(writer: RecordWriter, { events, context }: Scene): readonly string[] {
  return events.map((event) => {
    const length = writer.write(event, context);
    expect(validateRecord(writer.bytes, 0, length)).toBeUndefined();
    return Buffer.from(writer.bytes.subarray(0, length)).toString("hex");
  });
}

for (const [name, change] of CHANGES) {
  test(`kept, then changed: ${name}`, () => {
    const now = scene();
    const writer = new RecordWriter(registry, HOST);
    const before = recordsOf(writer, now);
    expect(recordsOf(writer, now)).toEqual(before);
    change(now);
    expect(recordsOf(writer, now)).toEqual(recordsOf(new RecordWriter(registry, HOST), now));
  });
}

test("a file of a program that comes to be known", () => {
  for (const of of [({ info }: Scene) => info, ({ line }: Scene) => line[0]!]) {
    const now = scene();
    const facts = program("pending");
    of(now).program = facts;
    const writer = new RecordWriter(registry, HOST);
    const before = recordsOf(writer, now);
    facts.state = "known";
    const after = recordsOf(writer, now);
    expect(after).toEqual(recordsOf(new RecordWriter(registry, HOST), now));
    expect(after).not.toEqual(before);
  }
});

test("parts are kept of some owners, and given under the same stamp only", () => {
  const kept = new KeptParts();
  const owners = Array.from({ length: 1000 }, (_, index) => ({ index }));
  const parts = owners.map((owner) => kept.of(owner, [1, "a"]));
  expect(kept.of(owners[999]!, [1, "a"])).toBe(parts[999]!);
  expect(kept.of(owners[999]!, [1, "b"])).not.toBe(parts[999]!);
  expect(kept.of(owners[999]!, [1])).not.toBe(parts[999]!);
  expect(kept.of(owners[0]!, [1, "a"])).not.toBe(parts[0]!);
});
