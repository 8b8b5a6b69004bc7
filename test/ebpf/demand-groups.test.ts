// Which control groups the kernel makes records of: the table as the kernel would read it, while groups are entered and rules change.
import { expect, test } from "bun:test";
import type { BpfMap } from "#ffi/libbpf";
import type { DemandTest } from "#schema";
import { groupFields } from "../../src/ebpf/control-groups.ts";
import { demandTables, KernelDemand } from "../../src/ebpf/demand-tables.ts";
import { DEMAND_GROUPS_MAX, DemandClass, DemandGroup, DemandWord } from "../../src/ebpf/wire.ts";

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
