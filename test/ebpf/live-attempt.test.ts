// A program that is about to run, as the sensors' room describes it: every field has the value that the event of its start has afterwards, and no other
// field is there. So a rule says of the one what it says of the other.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ClockId, clockNs } from "#ffi/libc";
import { ATTEMPT_CALLER_FIELDS, ATTEMPT_FILE_FIELDS, SchemaRegistry } from "#schema";
import { Collector } from "./collector.ts";
import { type Fields, liveSource, refusal } from "./live.ts";

setDefaultTimeout(60_000);
if (refusal !== undefined) console.log(`skipped: attempts as the sensors describe them (${refusal})`);

const KNOWN = new Set([...ATTEMPT_FILE_FIELDS, ...ATTEMPT_CALLER_FIELDS]);
/** Known of some parents, and so asked for by no rule that the gate decides. */
const LATE = ["process.parent.hash.sha256"];
/** Of an attempt alone. */
const OWN = ["@timestamp", "event.outcome", "kestrel.sensor"];

test("the fields of an attempt are in the catalogue, each once", () => {
  const registry = new SchemaRegistry();
  expect([...KNOWN].filter((name) => registry.byName(name) === undefined)).toEqual([]);
  expect(KNOWN.size).toBe(ATTEMPT_FILE_FIELDS.length + ATTEMPT_CALLER_FIELDS.length);
});

describe.skipIf(refusal !== undefined)("attempts", () => {
  const live = liveSource();
  const registry = new SchemaRegistry();
  const collected = new Collector(registry);

  /** The fields of a described attempt. */
  function described(pid: number, executable: string, script = ""): Fields | undefined {
    const ids = { uid: 0, gid: 0, euid: 0, egid: 0 };
    const found = live.source.describe({ bootNs: clockNs(ClockId.Boottime), pid, tid: pid, executable, script, isDeleted: false, ...ids });
    if (found === undefined) return undefined;
    collected.push(found.record, 0);
    return collected.all((fields) => fields["process.entity_id"] === found.entityId).at(-1);
  }

  const rows: readonly (readonly [name: string, before: string, cwd: string])[] = [
    ["a child that waits", "", "/"],
    ["one that has changed its folder and session", "cd /usr;", "/usr"],
    ["one whose parent has gone", "", "/"],
  ];
  for (const [name, before, cwd] of rows) {
    test(`${name}: the attempt says what the start says`, async () => {
      const script = join(live.folder, "script");
      writeFileSync(script, "#!/bin/true\n", { mode: 0o755 });
      // Not a pipe of the child's: Bun closes that when the parent ends.
      const gate = join(live.folder, `gate-${rows.findIndex((row) => row[0] === name)}`);
      Bun.spawnSync(["mkfifo", gate]);
      const isOrphan = name.includes("gone");
      const inner = `${before} echo $$; read go <${gate}; exec ${script}`;
      const command = isOrphan ? ["/bin/sh", "-c", `/bin/sh -c '${inner}' & exit 0`] : ["/usr/bin/setsid", "-w", "/bin/sh", "-c", inner];
      const child = Bun.spawn(command, { cwd: "/", stdin: "ignore", stdout: "pipe", stderr: "inherit" });
      const reader = child.stdout.getReader();
      const pid = Number(new TextDecoder().decode((await reader.read()).value).trim());
      if (isOrphan) await child.exited;
      const attempt = described(pid, Bun.which("true") === null ? "" : "/usr/bin/true", script);
      writeFileSync(gate, "go\n");
      const start = await live.collector.find(
        (fields) => fields["process.pid"] === BigInt(pid) && fields["process.executable"] === "/usr/bin/true",
      );
      expect(attempt?.["process.working_directory"]).toBe(cwd);
      expect(Object.keys(attempt ?? {}).length).toBeGreaterThan(60);
      const wrong = Object.entries(attempt ?? {}).filter(([field, value]) => !OWN.includes(field) && !Bun.deepEquals(value, start[field]));
      expect(wrong.map(([field, value]) => [field, value, start[field]])).toEqual([]);
      expect(Object.keys(attempt ?? {}).filter((field) => !KNOWN.has(field) && ![...OWN, ...LATE].includes(field))).toEqual([]);
      expect([...KNOWN].filter((field) => start[field] !== undefined && attempt?.[field] === undefined)).toEqual([]);
      expect([attempt?.["event.outcome"], attempt?.["kestrel.sensor"]]).toEqual(["failure", "fanotify"]);
    });
  }

  test("a process that is gone is not described; a reported attempt is an event, and counted", async () => {
    const child = Bun.spawn(["/bin/true"]);
    await child.exited;
    expect(described(child.pid, "/bin/true")).toBeUndefined();
    const before = [live.source.produced, live.source.counts().pushed] as const;
    const found = live.source.describe({
      ...{ bootNs: clockNs(ClockId.Boottime), pid: process.pid, tid: process.pid, executable: "/nowhere/denied", script: "" },
      ...{ isDeleted: true, uid: 1, gid: 2, euid: 3, egid: 4 },
    });
    live.source.report(found?.record ?? new Uint8Array(0));
    const record = await live.collector.find((fields) => fields["process.executable"] === "/nowhere/denied");
    expect(record).toMatchObject({ "process.name": "denied", "user.id": "3", "user.Ext.real.id": "1", "process.saved_user.id": "3" });
    expect(record["process.Ext.executable_deleted"]).toBe(true);
    const after = [live.source.produced, live.source.counts().pushed] as const;
    expect([after[0] > before[0], after[1] > before[1]]).toEqual([true, true]);
  });
});
