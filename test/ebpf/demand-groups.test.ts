// Which control groups the kernel makes records of: the table as the kernel would read it, while groups are entered and rules change; and under the
// real kernel programs in groups named as containers, outside of them, and moved from one to the other.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { cgroupRoot } from "#core";
import { compileRuleSet } from "#eql";
import type { BpfMap } from "#ffi/libbpf";
import { type Demand, type DemandTest, everyEvent, mergedDemand, SchemaRegistry } from "#schema";
import { groupFields } from "../../src/ebpf/control-groups.ts";
import { demandTables, KernelDemand } from "../../src/ebpf/demand-tables.ts";
import { ALL_WORDS } from "../../src/ebpf/event-words.ts";
import { DEMAND_GROUPS_MAX, DemandClass, DemandGroup, DemandWord } from "../../src/ebpf/wire.ts";
import { type Fields, liveSource, refusal } from "./live.ts";

setDefaultTimeout(60_000);
const CONTAINED: readonly DemandTest[] = [{ kind: "container.id", text: "" }];
const OUTSIDE: readonly DemandTest[] = [{ kind: "none", text: "container.id" }];
const CONTAINER = groupFields("/lxc/web");
const SERVICE = groupFields("/system.slice/a.service");

/** Maps in memory, whose elements are only ever added and removed. */
class Maps {
  readonly #maps = new Map<string, Map<string, Uint8Array>>();
  readonly demand: KernelDemand = new KernelDemand((name) => this.#map(name));

  #of(name: string): Map<string, Uint8Array> {
    const map = this.#maps.get(name) ?? new Map<string, Uint8Array>();
    this.#maps.set(name, map);
    return map;
  }

  #map(name: string): BpfMap {
    const map = this.#of(name);
    const update = (key: Uint8Array, value: Uint8Array): void => {
      const text = key.toHex();
      // The kernel would give the memory of the element that is replaced to the next one, while a program still reads it.
      expect(map.has(text) && name === "demand_groups").toBe(false);
      map.set(text, value);
      expect(map.size).toBeLessThanOrEqual(2 * DEMAND_GROUPS_MAX);
    };
    return { update, delete: (key: Uint8Array) => map.delete(key.toHex()) } as unknown as BpfMap;
  }

  /** `group_passes` of bpf/demand.h. */
  passes(id: bigint, bit: number): boolean {
    const [value] = this.#of("demand").values();
    const wanted = new DataView(value!.buffer);
    if ((wanted.getUint32(DemandWord.Groups, true) & bit) === 0) return false;
    const key = new DataView(new ArrayBuffer(DemandGroup.Size));
    key.setBigUint64(DemandGroup.Id, id, true);
    key.setUint32(DemandGroup.Generation, wanted.getUint32(DemandWord.Generation, true), true);
    const classes = this.#of("demand_groups").get(new Uint8Array(key.buffer).toHex());
    return classes === undefined || (new DataView(classes.buffer).getUint32(0, true) & bit) !== 0;
  }

  get groups(): number {
    return this.#of("demand_groups").size;
  }

  /** Tests of creations, and others of modifications. */
  fill(creation: readonly DemandTest[], modification: readonly DemandTest[]): void {
    this.demand.fill(
      demandTables(
        (sensor) => sensor === "file",
        (_sensor, action) => (action === "creation" ? creation : modification),
      ),
    );
  }
}

test("a group passes until it is entered, then what its tests let through, and everything again under other rules", () => {
  const maps = new Maps();
  const passed = (id: bigint): readonly boolean[] => [DemandClass.Creation, DemandClass.Modification].map((bit) => maps.passes(id, bit));
  maps.fill(CONTAINED, OUTSIDE);
  expect(passed(1n)).toEqual([true, true]);
  for (let again = 0; again < 2; again++) {
    maps.demand.enterGroup(1n, CONTAINER);
    maps.demand.enterGroup(2n, SERVICE);
  }
  expect(passed(1n)).toEqual([true, false]);
  expect(passed(2n)).toEqual([false, true]);
  expect(passed(3n)).toEqual([true, true]);
  maps.fill(OUTSIDE, [{ kind: "name", text: "x" }]);
  expect(passed(1n)).toEqual([true, false]);
  maps.demand.enterGroup(1n, CONTAINER);
  expect(passed(1n)).toEqual([false, false]);
  maps.demand.forgetGroups();
  expect(passed(1n)).toEqual([true, false]);
  maps.fill([{ kind: "user", text: "0" }], [{ kind: "user", text: "0" }]);
  maps.demand.enterGroup(1n, CONTAINER);
  expect(maps.groups).toBe(0);
});

test("more groups than have room begin the table anew", () => {
  const maps = new Maps();
  maps.fill(CONTAINED, CONTAINED);
  for (let id = 1; id <= 3 * DEMAND_GROUPS_MAX + 1; id++) {
    maps.demand.enterGroup(BigInt(id), SERVICE);
    expect(maps.passes(BigInt(id), DemandClass.Creation)).toBe(false);
  }
  expect(maps.passes(1n, DemandClass.Creation)).toBe(true);
});

const root = process.getuid?.() === 0 ? cgroupRoot(readFileSync("/proc/self/mounts", "utf8")) : undefined;
const reason = refusal ?? (root === undefined ? "not root, or no cgroup v2" : undefined);
if (reason !== undefined) console.log(`skipped: control groups that the kernel leaves out (${reason})`);

describe.skipIf(reason !== undefined)("groups under the real kernel", () => {
  const live = liveSource();
  const { source, collector } = live;
  const registry = new SchemaRegistry();
  const groups: string[] = [];
  afterAll(() => {
    for (const group of groups.toReversed()) rmdirSync(group);
  });
  let made = 0;

  /** A new group, of a name that no other run of this test has. */
  function group(name: (id: string) => string): string {
    const id = `${String(process.pid).padStart(8, "0")}${String(made++).padStart(8, "0")}`.repeat(4);
    const path = join(root ?? "", name(id));
    mkdirSync(path);
    groups.push(path);
    return join(path, "cgroup.procs");
  }
  const docker = () => group((id) => `docker-${id}.scope`);
  const podman = () => group((id) => `libpod-${id}.scope`);
  const plain = () => group((id) => `kestrel-${id}.service`);

  /** What these rules want, and the ends of processes. */
  async function use(...queries: readonly string[]): Promise<void> {
    const sources = queries.map((text, id) => ({
      id: String(id),
      text,
      dialect: "default" as const,
      exceptions: [],
      lenientFields: false,
    }));
    const compiled = compileRuleSet(sources, registry, [], ALL_WORDS).queries;
    expect(compiled.flatMap(({ diagnostics }) => diagnostics)).toEqual([]);
    const ends: Demand = everyEvent(ALL_WORDS).filter(({ words }) => words[2] === "end");
    source.setDemand(mergedDemand([ends, ...compiled.map(({ demand }) => demand)]));
    await source.settled();
  }

  /** Runs a script; the names of files that it was told to make, with the containers they were made in. */
  async function told(script: string): Promise<readonly string[]> {
    const { pid } = Bun.spawn(["/bin/sh", "-c", script], { cwd: live.folder, stdin: "ignore", stderr: "inherit" });
    const isOurs = (fields: Fields): boolean => fields["process.pid"] === BigInt(pid) && String(fields["process.args"]).includes(script);
    await collector.find((fields) => isOurs(fields) && fields["event.action"] === "end");
    const files = collector.all((fields) => isOurs(fields) && fields["event.action"] === "creation");
    return files.map((fields) => `${fields["file.name"]} ${fields["container.runtime"] ?? "none"}`);
  }

  const filtered = (): number => source.counts().kernel.file.filtered;
  const enter = (procs: string): string => `echo $$ > ${procs};`;
  const RULE = 'file where event.type == "creation" and container.id != null';
  beforeAll(() => use(RULE));

  test("outside of containers the kernel makes no record, inside it does from the first event on", async () => {
    // A group is known from its first event.
    await told(": > first");
    const before = filtered();
    expect(await told("for i in 1 2 3 4 5 6 7 8 9; do : > outside$i; done")).toEqual([]);
    expect(filtered() - before).toBeGreaterThanOrEqual(9);
    for (let turn = 0; turn < 3; turn++) {
      expect(await told(`${enter(docker())} : > a${turn}; : > b${turn}`)).toEqual([`a${turn} docker`, `b${turn} docker`]);
    }
    const service = plain();
    expect(await told(`${enter(service)} : > c; : > d`)).toEqual([]);
    const later = filtered();
    expect(await told(`${enter(service)} : > e; : > f`)).toEqual([]);
    expect(filtered() - later).toBeGreaterThanOrEqual(2);
  });

  test("a process that moves is told of by the group that it is in at the time", async () => {
    const [inner, outer, other] = [docker(), plain(), podman()];
    const script = `: > m0; ${enter(inner)} : > m1; ${enter(outer)} : > m2; ${enter(other)} : > m3; ${enter(outer)} : > m4; ${enter(inner)} : > m5`;
    for (let turn = 0; turn < 3; turn++) {
      const now = script.replaceAll("> m", `> ${turn}m`);
      expect(await told(now)).toEqual([`${turn}m1 docker`, `${turn}m3 podman`, `${turn}m5 docker`]);
    }
  });

  test("other rules at once: of a runtime, of no container, of no group", async () => {
    const [inner, other] = [docker(), podman()];
    const both = (mark: string): string => `: > ${mark}1; ${enter(inner)} : > ${mark}2; ${enter(other)} : > ${mark}3`;
    for (const turn of ["p", "q"]) {
      await use('file where event.type == "creation" and container.runtime == "podman"');
      for (const mark of ["a", "b"]) expect(await told(both(turn + mark))).toEqual([`${turn}${mark}3 podman`]);
      await use('file where event.type == "creation" and container.id == null');
      for (const mark of ["c", "d"]) expect(await told(both(turn + mark))).toEqual([`${turn}${mark}1 none`]);
      await use(RULE, 'file where event.type == "creation" and file.name == "named"');
      for (const mark of ["e", "f"]) {
        const script = `${both(turn + mark)}; rm -f named; ${enter(join(root ?? "", "cgroup.procs"))} : > named; : > unnamed`;
        expect(await told(script)).toEqual([`${turn}${mark}2 docker`, `${turn}${mark}3 podman`, "named none"]);
      }
      await use('file where event.type == "creation"');
      expect(await told(both(`${turn}g`))).toEqual([`${turn}g1 none`, `${turn}g2 docker`, `${turn}g3 podman`]);
    }
  });

  test("produced = pushed + lost + left out, of processes outside too", async () => {
    await use('process where event.type == "start" and container.id != null');
    const left = source.filtered()["no-rule"] ?? 0;
    await told("/bin/true; /bin/true");
    expect((source.filtered()["no-rule"] ?? 0) - left).toBeGreaterThanOrEqual(4);
    await told(`${enter(docker())} /bin/true inside; :`);
    expect(collector.all((fields) => String(fields["process.args"]).includes("inside") && fields["event.action"] === "exec").length).toBe(
      1,
    );
    await source.stop();
    const { pushed, refused } = source.counts();
    const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((all, count) => all + count, 0);
    expect(refused).toBe(0);
    expect(source.produced).toBe(pushed + sum(source.losses()) + sum(source.filtered()));
  });
});
