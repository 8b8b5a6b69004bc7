// Which events the kernel makes records of: tables of random tests, read as the kernel reads them, stop nothing that a test is true of; and under the
// real kernel files, whose paths are every kind of odd, connections, servers and changes.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { EbpfSource } from "#ebpf";
import { type Demand, type DemandTest, type GroupFields, isWithin, passesTests, SchemaRegistry } from "#schema";
import { groupFields } from "../../src/ebpf/control-groups.ts";
import { type DemandTables, demandTables, EVENT_CLASSES, groupClasses } from "../../src/ebpf/demand-tables.ts";
import type { SensorName } from "../../src/ebpf/sensors.ts";
import { compileActs } from "../kernels/initramfs.ts";
import { Collector } from "./collector.ts";
import { refusal } from "./live.ts";

setDefaultTimeout(60_000);
const seed = Number(process.env["KESTREL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

interface Event {
  readonly path: string | undefined;
  readonly user: number;
  readonly port: number | undefined;
  readonly address: string | undefined;
  /** `undefined`: not in the table. */
  readonly group: GroupFields | undefined;
}

const FOUR = "00000000000000000000ffff";
const BLOCKS = [
  `${FOUR}0a000000/104`,
  `${FOUR}0a010000/112`,
  `${FOUR}0a010200/119`,
  `${FOUR}7f000001/128`,
  "fe800000".padEnd(32, "0").concat("/10"),
];
const ADDRESSES = [
  `${FOUR}0a000001`,
  `${FOUR}0a010203`,
  `${FOUR}0a010301`,
  `${FOUR}7f000001`,
  "febf".padEnd(32, "1"),
  "fec0".padEnd(32, "0"),
];

/** `demand_takes` and what it calls, and the tests of names of bpf/demand.h, for a path in ASCII. `walks`: whether the program makes these. */
function kernelPasses(tables: DemandTables, bits: number, { path, user, port, address, group }: Event, walks: boolean): boolean {
  // Of several bits the kernel asks for one: they are all the same.
  const bit = bits & -bits;
  if ((tables.wanted & bit) === 0) return false;
  if ((tables.tested & bit) === 0) return true;
  if ((tables.users & bit) !== 0 && ((tables.userClasses.get(user) ?? tables.otherUsers) & bit) !== 0) return true;
  const grouped = tables.groupTests.reduce((all, { classes }) => all | classes, 0);
  if ((grouped & bit) !== 0 && (group === undefined || (groupClasses(tables, group) & bit) !== 0)) return true;
  if (!walks && (tables.named & bit) !== 0) return true;
  if (!walks && (tables.addressed & bit) !== 0 && address !== undefined) {
    const inside = [...tables.blockClasses].filter(([block]) => isWithin(address, block));
    const longest = inside.toSorted(([a], [b]) => Number(b.split("/")[1]) - Number(a.split("/")[1]))[0];
    if (((longest?.[1] ?? 0) & bit) !== 0) return true;
  }
  if (!walks) return port !== undefined && ((tables.portClasses.get(port) ?? 0) & bit) !== 0;
  const folders = (path ?? "").toLowerCase().split("/");
  const name = folders.pop() as string;
  const has = (text: string, role: "name" | "folder" | "extension"): boolean => ((tables.names.get(text)?.[role] ?? 0) & bit) !== 0;
  if (has(name, "name") || folders.some((folder) => has(folder, "folder"))) return true;
  return (tables.extensions & bit) !== 0 && name.includes(".") && has(name.slice(name.lastIndexOf(".") + 1), "extension");
}

test(`tables stop nothing that a test is true of, and not everything else (KESTREL_SEED=${seed})`, () => {
  const text = fc.constantFrom("a", "b", "etc", "c.d", "d", "x");
  const user = fc.constantFrom("0", "5", "007", "4294967295", "99999999999", "me");
  const block = fc.constantFrom(...BLOCKS);
  const testArbitrary: fc.Arbitrary<DemandTest> = fc.oneof(
    fc.record({ kind: fc.constantFrom("name", "folder", "extension"), text }),
    fc.record({ kind: fc.constantFrom("user", "notUser"), text: user }),
    fc.record({ kind: fc.constant("port" as const), text: fc.constantFrom("22", "443", "70000", "-1") }),
    fc.record({ kind: fc.constantFrom("container.id", "container.runtime", "process.cgroup.path"), text: fc.constantFrom("", "w", "lxc") }),
    fc.record({ kind: fc.constant("address" as const), text: block }),
    fc.record({
      kind: fc.constant("notAddress" as const),
      text: fc.array(block, { minLength: 1, maxLength: 3 }).map((all) => all.join(" ")),
    }),
    fc.record({ kind: fc.constant("none" as const), text: fc.constantFrom("container.id", "process.cgroup.path") }),
  );
  const lists = fc.option(fc.array(testArbitrary, { minLength: 1, maxLength: 4 }), { freq: 6, nil: undefined });
  const allLists = fc.array(fc.tuple(lists, fc.boolean()), { minLength: EVENT_CLASSES.length, maxLength: EVENT_CLASSES.length });
  const path = fc.array(fc.constantFrom("a", "b", "ETC", "c.d", "x"), { minLength: 1, maxLength: 4 }).map((names) => `/${names.join("/")}`);
  const count = { all: 0, wanted: 0, stopped: 0, stoppedByNumber: 0 };
  const number = fc.tuple(fc.constantFrom(0, 5, 7), fc.constantFrom(22, 443, 80), fc.constantFrom(...ADDRESSES));
  const groups = fc.constantFrom(undefined, groupFields("/"), groupFields("/lxc/web"), groupFields("/docker-a.scope"));
  const property = fc.property(allLists, path, number, groups, (all, filePath, [uid, port, address], group) => {
    const at = (sensor: SensorName, action: string): number =>
      EVENT_CLASSES.findIndex((one) => one.sensor === sensor && one.action === action);
    const tables = demandTables(
      (sensor, action) => all[at(sensor, action)]![1],
      (sensor, action) => all[at(sensor, action)]![0],
    );
    for (const [index, { bits, names, sensor }] of EVENT_CLASSES.entries()) {
      const [tests, isWanted] = all[index]!;
      expect((tables.wanted & bits) === bits).toBe(isWanted);
      if (!isWanted) continue;
      const event: Event = {
        path: names === "absent" ? undefined : filePath,
        user: uid,
        port: names === "absent" ? port : undefined,
        address: names === "absent" ? address : undefined,
        group,
      };
      const told = { ...event, user: String(uid), port: event.port === undefined ? undefined : String(port) };
      const wanted = passesTests(tests, told);
      // Changes are seen by programs that walk the path, or by others.
      for (const walks of names !== "tested" ? [false] : sensor === "file" ? [true] : [true, false]) {
        const passes = kernelPasses(tables, bits, event, walks);
        count.all++;
        if (wanted) count.wanted++;
        if (!passes) count.stopped++;
        if (!passes && !walks) count.stoppedByNumber++;
        expect(passes || !wanted).toBe(true);
      }
    }
  });
  fc.assert(property, { seed, numRuns: 3000 });
  expect(count.wanted).toBeGreaterThan(count.all / 10);
  expect(count.stopped).toBeGreaterThan((count.all - count.wanted) / 4);
  expect(count.stoppedByNumber).toBeGreaterThan(count.stopped / 4);
});

if (refusal !== undefined) console.log(`skipped: files that the kernel leaves out (${refusal})`);
describe.skipIf(refusal !== undefined)("files under the real kernel", () => {
  const folder = mkdtempSync(join(tmpdir(), "kestrel-files-"));
  const registry = new SchemaRegistry();
  const source = new EbpfSource({ registry });
  const collector = new Collector(registry);
  beforeAll(() => source.start(collector));
  afterAll(async () => {
    await source.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const LONG = "n".repeat(100);
  const NAMES = [
    "plain",
    "UPPER",
    "a.conf",
    "A.CONF",
    "a.b.conf",
    ".conf",
    "conf",
    "x.",
    "ends.conf.bak",
    "é.txt",
    "n".repeat(29),
    "n".repeat(30),
    `${LONG}.conf`,
    "sub/plain",
    "Sub/deep.er/x.so",
    "plain.d/x",
    "[@Z`{",
  ];
  const CASES: readonly (readonly DemandTest[])[] = [
    [{ kind: "name", text: "plain" }],
    [{ kind: "name", text: "upper" }],
    [{ kind: "name", text: "n".repeat(29) }],
    [{ kind: "name", text: "[@z`{" }],
    [{ kind: "folder", text: "sub" }],
    [{ kind: "folder", text: "plain" }],
    [{ kind: "folder", text: folder.slice(folder.lastIndexOf("/") + 1).toLowerCase() }],
    [{ kind: "folder", text: "tmp" }],
    [{ kind: "extension", text: "conf" }],
    [{ kind: "extension", text: "so" }],
    [{ kind: "extension", text: "er" }],
    [
      { kind: "extension", text: "bak" },
      { kind: "folder", text: "plain.d" },
      { kind: "name", text: "conf" },
    ],
    [{ kind: "user", text: "0" }],
    [{ kind: "notUser", text: "0" }],
    [
      { kind: "user", text: "12345" },
      { kind: "name", text: "x" },
    ],
  ];
  const demandOf = (tests: readonly DemandTest[]): Demand => [
    { words: ["process", "end", "end"], tests: undefined },
    { words: ["file", "creation", "creation"], tests },
  ];

  /** On a busy machine a number alone may have been another process's a moment ago. */
  const oursOf = (pid: number, marker: string) => (fields: Readonly<Record<string, unknown>>) => {
    return fields["process.pid"] === BigInt(pid) && String(fields["process.args"]).includes(marker);
  };

  /** Makes all files anew by a shell that first becomes another user if one is given; paths that were told of. */
  async function toldOf(user: string): Promise<readonly string[]> {
    const script = 'for name do mkdir -p "$(dirname "$name")"; : > "$name"; done';
    const become = user === "0" ? [] : ["setpriv", `--reuid=${user}`, "--clear-groups"];
    const inside = mkdtempSync(join(folder, "run-"));
    chmodSync(inside, 0o777);
    const { pid } = Bun.spawn([...become, "/bin/sh", "-c", script, inside, ...NAMES], { cwd: inside, stdin: "ignore", stderr: "inherit" });
    const isOurs = oursOf(pid, inside);
    await collector.find((fields) => isOurs(fields) && fields["event.action"] === "end");
    rmSync(inside, { recursive: true });
    return collector
      .all((fields) => isOurs(fields) && fields["event.action"] === "creation")
      .map((fields) => String(fields["file.path"]).slice(inside.length + 1));
  }

  for (const [index, tests] of CASES.entries()) {
    test(tests.map(({ kind, text }) => `${kind} ${text}`).join(", "), async () => {
      for (const user of index >= CASES.length - 3 ? ["0", "12345"] : ["0"]) {
        chmodSync(folder, 0o777);
        source.setDemand(demandOf(tests));
        const before = source.counts().kernel.file.filtered;
        const told = (name: string) => ({ path: `${folder}/run-/${name}`, user, port: undefined, address: undefined, group: undefined });
        const wanted = NAMES.filter((name) => passesTests(tests, told(name)));
        expect(await toldOf(user)).toEqual(wanted);
        // Of a name that is very long, or not ASCII alone, only user space can tell.
        const odd = NAMES.filter((name) => name.length > 60 || name.includes("é")).length;
        const left = source.counts().kernel.file.filtered - before;
        expect(left).toBeGreaterThanOrEqual(NAMES.length - wanted.length - odd);
      }
    });
  }

  test("connections, servers and changes that no rule can match are counted and not told", async () => {
    const [connects, binds] = [join(folder, "acts"), join(folder, "network-acts")];
    compileActs("kernels/acts", connects);
    compileActs("kernels/network-acts", binds);
    const port: readonly DemandTest[] = [{ kind: "port", text: "948" }];
    source.setDemand([
      { words: ["process", "end", "end"], tests: undefined },
      { words: ["network", "start", "connection_attempted"], tests: port },
      { words: ["network", "info", "bind"], tests: port },
      { words: ["network", "info", "listen"], tests: port },
      { words: ["file", "change", "rename"], tests: [{ kind: "user", text: "12345" }] },
      { words: ["file", "deletion", "deletion"], tests: [{ kind: "notUser", text: "12345" }] },
    ]);
    await source.settled();
    const before = source.counts().kernel;
    const inside = mkdtempSync(join(folder, "changed-"));
    chmodSync(inside, 0o777);
    const toldOfRun = async (...command: readonly string[]): Promise<readonly unknown[]> => {
      const { pid } = Bun.spawn([...command], { cwd: inside, stdin: "ignore", stderr: "inherit" });
      await collector.find((fields) => fields["process.pid"] === BigInt(pid) && fields["event.action"] === "end");
      return collector.all((fields) => fields["process.pid"] === BigInt(pid)).map((fields) => fields["event.action"]);
    };
    const another = ["setpriv", "--reuid=12345", "--clear-groups"];
    const told = async (...commands: readonly (readonly string[])[]): Promise<readonly unknown[]> => {
      const all: unknown[] = [];
      for (const command of commands) all.push((await toldOfRun(...command))[0]);
      return all;
    };
    const at = (...words: readonly string[]): readonly (readonly string[])[] => ["948", "949"].map((one) => [...words, one]);
    expect(await told(...at(connects, "connect", "tcp", "127.0.0.1"))).toEqual(["connection_attempted", "end"]);
    expect(await told(...at(connects, "connect", "udp", "::1"))).toEqual(["connection_attempted", "end"]);
    expect(await told(...at(binds, "send", "plain", "1", "127.0.0.1"))).toEqual(["connection_attempted", "end"]);
    expect(await told(...at(binds, "listen", "plain", "::1"))).toEqual(["bind", "end"]);
    writeFileSync(join(inside, "a"), "");
    expect(await told(["mv", "a", "b"], [...another, "mv", "b", "c"])).toEqual(["end", "rename"]);
    writeFileSync(join(inside, "d"), "");
    expect(await told([...another, "rm", "-f", "d"], ["rm", "c"])).toEqual(["end", "deletion"]);
    const after = source.counts().kernel;
    for (const [kind, least] of [
      ["connect", 2],
      ["send", 1],
      ["bind", 1],
      ["listen", 1],
      ["change", 2],
    ] as const) {
      expect({ kind, enough: after[kind].filtered - before[kind].filtered >= least }).toEqual({ kind, enough: true });
    }
  });

  test("connections and servers at addresses that no rule can match", async () => {
    const [connects, binds] = [join(folder, "acts-2"), join(folder, "network-acts-2")];
    compileActs("kernels/acts", connects);
    compileActs("kernels/network-acts", binds);
    const loopback = `${FOUR}7f000000/104`;
    const one = `${"1".padStart(32, "0")}/128`;
    const cases: readonly (readonly [DemandTest, four: boolean, six: boolean])[] = [
      [{ kind: "address", text: loopback }, true, false],
      [{ kind: "address", text: one }, false, true],
      [{ kind: "notAddress", text: loopback }, false, true],
      [{ kind: "notAddress", text: `${FOUR}0a000000/104 ${one}` }, true, false],
      [{ kind: "notAddress", text: `${one} ${loopback}` }, false, false],
      [{ kind: "address", text: `${FOUR}7f000000/127` }, true, false],
      [{ kind: "address", text: `${FOUR}7f000002/127` }, false, false],
    ];
    const actionsOf = async (...command: readonly string[]): Promise<readonly unknown[]> => {
      const { pid } = Bun.spawn([...command], { cwd: folder, stdin: "ignore", stderr: "inherit" });
      const isOurs = oursOf(pid, command.join(","));
      await collector.find((fields) => isOurs(fields) && fields["event.action"] === "end");
      return collector.all(isOurs).map((fields) => fields["event.action"]);
    };
    for (const [index, [wanted, four, six]] of cases.entries()) {
      const flow = (type: string, action: string) => ({ words: ["network", type, action] as const, tests: [wanted] });
      source.setDemand([
        { words: ["process", "end", "end"], tests: undefined },
        ...[flow("start", "connection_attempted"), flow("info", "bind"), flow("info", "listen")],
      ]);
      await source.settled();
      const port = String(960 + index);
      const before = source.counts().kernel;
      const told = (is: boolean, ...actions: readonly string[]): readonly string[] => (is ? [...actions, "end"] : ["end"]);
      expect(await actionsOf(connects, "connect", "tcp", "127.0.0.1", port)).toEqual(told(four, "connection_attempted"));
      expect(await actionsOf(connects, "connect", "udp", "127.0.0.1", port)).toEqual(told(four, "connection_attempted"));
      expect(await actionsOf(connects, "connect", "tcp", "::1", port)).toEqual(told(six, "connection_attempted"));
      expect(await actionsOf(binds, "send", "plain", "1", "127.0.0.1", port)).toEqual(told(four, "connection_attempted"));
      expect(await actionsOf(binds, "listen", "plain", "127.0.0.1", port)).toEqual(told(four, "bind", "listen"));
      expect(await actionsOf(binds, "listen", "plain", "::1", port)).toEqual(told(six, "bind", "listen"));
      const after = source.counts().kernel;
      expect(after.listen.filtered - before.listen.filtered).toBeGreaterThanOrEqual(Number(!four) + Number(!six));
      expect(after.connect.filtered - before.connect.filtered).toBeGreaterThanOrEqual(2 * Number(!four) + Number(!six));
    }
  });

  test("tests that come and go while files are made lose none that both want", async () => {
    const inside = join(folder, "both");
    mkdirSync(inside);
    const script = 'i=0; while [ $i -lt 3000 ]; do : > "f$i.want"; i=$((i+1)); done';
    source.setDemand(demandOf([{ kind: "extension", text: "want" }]));
    const shell = Bun.spawn(["/bin/sh", "-c", script, inside], { cwd: inside, stdin: "ignore" });
    const isOurs = oursOf(shell.pid, inside);
    const others = Array.from({ length: 200 }, (_, at): DemandTest => ({ kind: "name", text: `other-${at}` }));
    let turns = 0;
    for (let running = true; running; turns++) {
      source.setDemand(demandOf([{ kind: "extension", text: "want" }, ...(turns % 2 === 0 ? others : [])]));
      running = await Promise.race([shell.exited.then(() => false), new Promise<boolean>((resolve) => setImmediate(() => resolve(true)))]);
    }
    await collector.find((fields) => isOurs(fields) && fields["event.action"] === "end");
    const made = collector.all((fields) => isOurs(fields) && fields["event.action"] === "creation");
    expect(made.length).toBe(3000 - source.counts().kernel.file.dropped);
    expect(turns).toBeGreaterThan(2);
  });
});
