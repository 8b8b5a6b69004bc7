// What events the kernel side makes records of: the demand's tests as the tables of bpf/demand.h, and the filling of these while the sensors run.
// Invariant: what the tables stop, no test of the demand is true of, also while they change.
import type { BpfMap } from "#ffi/libbpf";
import { type DemandTest, type GroupFields, isOfGroup, passesTests } from "#schema";
import type { SensorName } from "./sensors.ts";
import type { WantedEvents } from "./system-calls.ts";
import {
  ChangeKind,
  DEMAND_BLOCKS_MAX,
  DEMAND_GROUPS_MAX,
  DEMAND_NAME_BYTES,
  DEMAND_NAMES_MAX,
  DEMAND_PORTS_MAX,
  DEMAND_USERS_MAX,
  DemandBlock,
  DemandClass,
  DemandGroup,
  DemandName,
  DemandNumber,
  DemandWord,
} from "./wire.ts";

/** Tests of a sensor's wanted events of one action; undefined: any may be wanted. */
export type TestsOf = (sensor: SensorName, action: string) => readonly DemandTest[] | undefined;

/** Tables as the kernel has them. */
export interface DemandTables {
  readonly wanted: number;
  readonly tested: number;
  /** Of the tested, those with tests of names. */
  readonly named: number;
  readonly extensions: number;
  readonly users: number;
  readonly otherUsers: number;
  readonly names: ReadonlyMap<string, Readonly<Record<NameRole, number>>>;
  /** Classes by user id. */
  readonly userClasses: ReadonlyMap<number, number>;
  /** Classes by port. */
  readonly portClasses: ReadonlyMap<number, number>;
  /** Classes by block of addresses, for those that are in no smaller one; empty, or with {@link ALL_ADDRESSES}. */
  readonly blockClasses: ReadonlyMap<string, number>;
  readonly addressed: number;
  /** Tests of control groups, by the classes that pass if one of them is true. */
  readonly groupTests: readonly ClassTests[];
}

interface ClassTests {
  readonly classes: number;
  readonly tests: readonly DemandTest[];
}

/** The block that every address is in. */
const ALL_ADDRESSES = `${"0".repeat(32)}/0`;

type NameRole = "name" | "folder" | "extension";

/**
 * A kind of events that the kernel tells apart. `names`: whether it tests their `file.path`, which some attachments cannot and then let pass, or they
 * have none, or it cannot. Of a port and an address it knows only what has one: no other passes a test of these.
 */
interface EventClass {
  readonly sensor: SensorName;
  readonly action: string;
  readonly bits: number;
  readonly names: "tested" | "absent" | "unknown";
}

const changed = (sensor: "change" | "attribute", action: string, ...kinds: readonly ChangeKind[]): EventClass => {
  const bits = kinds.reduce((all, kind) => all | (DemandClass.Change << kind), 0);
  return { sensor, action, bits, names: "tested" };
};

/** All of them. Datagrams share the class of connections, as they share their words. */
export const EVENT_CLASSES: readonly EventClass[] = [
  { sensor: "file", action: "creation", bits: DemandClass.Creation, names: "tested" },
  { sensor: "file", action: "modification", bits: DemandClass.Modification, names: "tested" },
  { sensor: "file", action: "open", bits: DemandClass.Open, names: "tested" },
  { sensor: "connect", action: "connection_attempted", bits: DemandClass.Connect, names: "absent" },
  { sensor: "accept", action: "connection_accepted", bits: DemandClass.Accept, names: "absent" },
  { sensor: "bind", action: "bind", bits: DemandClass.Bind, names: "absent" },
  { sensor: "bind", action: "listen", bits: DemandClass.Listen, names: "absent" },
  { sensor: "unix", action: "unix_connect", bits: DemandClass.Unix, names: "unknown" },
  changed("change", "rename", ChangeKind.Rename),
  changed("change", "deletion", ChangeKind.Unlink, ChangeKind.Rmdir),
  changed("change", "link", ChangeKind.Link),
  changed("change", "symlink", ChangeKind.Symlink),
  changed("change", "mode_change", ChangeKind.Mode),
  changed("change", "creation", ChangeKind.Make),
  changed("change", "modification", ChangeKind.Truncate),
  changed("attribute", "owner_change", ChangeKind.Owner),
  changed("attribute", "attribute_change", ChangeKind.AttributeSet),
  changed("attribute", "attribute_removal", ChangeKind.AttributeRemove),
];
const NUMBER = /^(0|[1-9]\d{0,9})$/;
const UID_MAX = 0xffff_ffff;
const PORT_MAX = 0xffff;

/** The tables of a demand. */
export function demandTables(isWanted: WantedEvents, testsOf: TestsOf): DemandTables {
  const names = new Map<string, Record<NameRole, number>>();
  const ports = new Map<number, number>();
  const users = new UserTable();
  const [addressTests, groupTests]: [ClassTests[], ClassTests[]] = [[], []];
  let [wanted, tested, named, extensions] = [0, 0, 0, 0];
  for (const { sensor, action, bits, names: has } of EVENT_CLASSES) {
    if (!isWanted(sensor, action)) continue;
    wanted |= bits;
    const tests = testsOf(sensor, action);
    if (tests === undefined || (has === "unknown" && tests.some(isOfName)) || !users.add(bits, tests)) continue;
    tested |= bits;
    const ofGroup = tests.filter(isOfGroup);
    if (ofGroup.length > 0) groupTests.push({ classes: bits, tests: ofGroup });
    const ofAddress = tests.filter(isOfAddress);
    if (ofAddress.length > 0 && has === "absent") addressTests.push({ classes: bits, tests: ofAddress });
    for (const test of tests) {
      const { kind, text } = test;
      if (kind === "port" && isNumber(text, PORT_MAX)) ports.set(Number(text), (ports.get(Number(text)) ?? 0) | bits);
      if (has !== "tested" || !isOfName(test)) continue;
      named |= bits;
      if (test.kind === "extension") extensions |= bits;
      const roles = names.get(text) ?? { name: 0, folder: 0, extension: 0 };
      roles[test.kind] |= bits;
      names.set(text, roles);
    }
  }
  const blocks = blocksAsked(addressTests);
  const isFull =
    names.size > DEMAND_NAMES_MAX ||
    users.byId.size > DEMAND_USERS_MAX ||
    ports.size > DEMAND_PORTS_MAX ||
    blocks.size > DEMAND_BLOCKS_MAX + 1;
  // Before the table of blocks is made: of a hundred lists of a hundred blocks it takes a second.
  if (isFull) return { ...NOTHING_TESTED, wanted };
  const { classes, others, byId } = users;
  return {
    ...{ wanted, tested, named, extensions, users: classes, otherUsers: others },
    ...{ names, userClasses: byId, portClasses: ports, blockClasses: blockTable(blocks, addressTests) },
    ...{ addressed: classesOf(addressTests), groupTests },
  };
}

function classesOf(tests: readonly ClassTests[]): number {
  return tests.reduce((all, { classes }) => all | classes, 0);
}

/** Every block that a test speaks of, and all addresses. */
function blocksAsked(addressTests: readonly ClassTests[]): ReadonlySet<string> {
  const blocks = new Set(addressTests.flatMap(({ tests }) => tests.flatMap(blocksOf)));
  return blocks.size === 0 ? blocks : blocks.add(ALL_ADDRESSES);
}

/** Of the addresses in a block, and in no smaller one, all tests say the same. */
function blockTable(blocks: ReadonlySet<string>, addressTests: readonly ClassTests[]): ReadonlyMap<string, number> {
  const lengths = [...new Set([...blocks].map(bitsOf))];
  const asked = addressTests.map(({ classes, tests }) => ({
    classes,
    in: new Set(tests.filter(({ kind }) => kind === "address").flatMap(blocksOf)),
    notIn: tests.filter(({ kind }) => kind === "notAddress").map((test) => new Set(blocksOf(test))),
  }));
  const table = new Map<string, number>();
  for (const block of blocks) {
    const around = lengths.filter((bits) => bits <= bitsOf(block)).map((bits) => shortened(block, bits));
    const passes = (one: (typeof asked)[number]): boolean =>
      around.some((each) => one.in.has(each)) || one.notIn.some((none) => !around.some((each) => none.has(each)));
    table.set(
      block,
      asked.reduce((all, one) => (passes(one) ? all | one.classes : all), 0),
    );
  }
  return table;
}

function blocksOf({ text }: DemandTest): readonly string[] {
  return text.split(" ").map((block) => shortened(block, bitsOf(block)));
}

function bitsOf(block: string): number {
  return Number(block.slice(block.indexOf("/") + 1));
}

/** The block of fewer bits around a block. */
function shortened(block: string, bits: number): string {
  const whole = bits >>> 2;
  const cut = (Number.parseInt(block[whole] ?? "0", 16) & (0xf0 >> (bits & 3))).toString(16);
  return `${block.slice(0, whole)}${(bits & 3) === 0 ? "" : cut}`.padEnd(32, "0").concat(`/${bits}`);
}

/** The classes that events of a known control group pass. */
export function groupClasses({ groupTests }: DemandTables, group: GroupFields): number {
  const event = { path: undefined, user: undefined, port: undefined, address: undefined, group };
  return groupTests.reduce((all, { classes, tests }) => (passesTests(tests, event) ? all | classes : all), 0);
}

const NOTHING_TESTED: DemandTables = {
  wanted: 0,
  tested: 0,
  named: 0,
  extensions: 0,
  users: 0,
  otherUsers: 0,
  names: new Map(),
  userClasses: new Map(),
  portClasses: new Map(),
  blockClasses: new Map(),
  addressed: 0,
  groupTests: [],
};

function isOfName(test: DemandTest): test is DemandTest & { readonly kind: NameRole } {
  return test.kind === "name" || test.kind === "folder" || test.kind === "extension";
}

function isOfAddress({ kind }: DemandTest): boolean {
  return kind === "address" || kind === "notAddress";
}

function isNumber(text: string, most: number): boolean {
  return NUMBER.test(text) && Number(text) <= most;
}

/** Which classes a user passes: those not in the table pass `others`. */
class UserTable {
  classes = 0;
  others = 0;
  readonly byId = new Map<number, number>();

  /** False: the tests of users alone let everybody pass. */
  add(bits: number, tests: readonly DemandTest[]): boolean {
    const of = (kind: DemandTest["kind"]): readonly number[] =>
      tests.flatMap((test) => (test.kind === kind && isNumber(test.text, UID_MAX) ? [Number(test.text)] : []));
    // A text that is no id is everybody's other.
    const excluded = [...new Set(tests.flatMap((test) => (test.kind === "notUser" ? [test.text] : [])))];
    const ids = of("user");
    const [other] = of("notUser");
    if (excluded.length > 1 || (excluded.length === 1 && (other === undefined || ids.includes(other)))) return false;
    if (other !== undefined) {
      this.others |= bits;
      this.classes |= bits;
      // Others' rows were made for other classes: they pass this one, as everybody but one user does.
      for (const [id, classes] of this.byId) this.byId.set(id, classes | bits);
      this.#set(other, bits, false);
    }
    for (const id of ids) {
      this.classes |= bits;
      this.#set(id, bits, true);
    }
    return true;
  }

  #set(id: number, bits: number, passes: boolean): void {
    const classes = this.byId.get(id) ?? this.others;
    this.byId.set(id, passes ? classes | bits : classes & ~bits);
  }
}

/** Generations of elements: the kernel reads those of one while the other is filled. */
type Generation = 1 | 2;

/** The maps of the demand, which all sensors share. */
export const DEMAND_MAPS = ["demand", "demand_names", "demand_users", "demand_ports", "demand_blocks", "demand_groups"] as const;

/** Fills them. */
export class KernelDemand {
  readonly #map: (name: (typeof DEMAND_MAPS)[number]) => BpfMap;
  readonly #tables: Record<Generation, DemandTables> = { 1: NOTHING_TESTED, 2: NOTHING_TESTED };
  /** Control groups that were entered. */
  readonly #groups: Record<Generation, Set<bigint>> = { 1: new Set(), 2: new Set() };
  #generation: Generation = 1;

  constructor(map: (name: (typeof DEMAND_MAPS)[number]) => BpfMap) {
    this.#map = map;
  }

  /**
   * Puts other tables in place, at once for each event. What the last ones had stays until the next time: somebody may be reading it. Control groups
   * are to be entered anew.
   */
  fill(next: DemandTables): void {
    const generation = this.#generation === 1 ? 2 : 1;
    const stale = this.#tables[generation];
    const [names, users, ports] = [this.#map("demand_names"), this.#map("demand_users"), this.#map("demand_ports")];
    const blocks = this.#map("demand_blocks");
    for (const text of stale.names.keys()) if (!next.names.has(text)) names.delete(nameKey(text, generation));
    for (const id of stale.userClasses.keys()) if (!next.userClasses.has(id)) users.delete(numberKey(id, generation));
    for (const port of stale.portClasses.keys()) if (!next.portClasses.has(port)) ports.delete(numberKey(port, generation));
    for (const block of stale.blockClasses.keys()) if (!next.blockClasses.has(block)) blocks.delete(blockKey(block, generation));
    for (const id of this.#groups[generation]) this.#map("demand_groups").delete(groupKey(id, generation));
    this.#groups[generation].clear();
    this.#tables[generation] = next;
    for (const [text, roles] of next.names) names.update(nameKey(text, generation), nameValue(roles));
    for (const [id, classes] of next.userClasses) users.update(numberKey(id, generation), word(classes));
    for (const [port, classes] of next.portClasses) ports.update(numberKey(port, generation), word(classes));
    for (const [block, classes] of next.blockClasses) blocks.update(blockKey(block, generation), word(classes));
    this.#map("demand").update(word(0), demandValue(next, generation));
    this.#generation = generation;
  }

  /** Says of a control group which events of it are wanted: before, all pass. */
  enterGroup(id: bigint, group: GroupFields): void {
    const tables = this.#tables[this.#generation];
    if (tables.groupTests.length === 0 || this.#groups[this.#generation].has(id)) return;
    if (this.#groups[this.#generation].size >= DEMAND_GROUPS_MAX) this.forgetGroups();
    this.#groups[this.#generation].add(id);
    this.#map("demand_groups").update(groupKey(id, this.#generation), word(groupClasses(tables, group)));
  }

  /** Lets all control groups pass again. */
  forgetGroups(): void {
    if (this.#groups[this.#generation].size > 0) this.fill(this.#tables[this.#generation]);
  }
}

function demandValue({ portClasses, groupTests, ...tables }: DemandTables, generation: Generation): Uint8Array {
  const value = new DataView(new ArrayBuffer(DemandWord.Size));
  value.setUint32(DemandWord.Wanted, tables.wanted, true);
  value.setUint32(DemandWord.Tested, tables.tested, true);
  value.setUint32(DemandWord.Names, tables.named, true);
  value.setUint32(DemandWord.Extensions, tables.extensions, true);
  value.setUint32(DemandWord.Users, tables.users, true);
  value.setUint32(DemandWord.OtherUsers, tables.otherUsers, true);
  value.setUint32(
    DemandWord.Ports,
    [...portClasses.values()].reduce((all, classes) => all | classes, 0),
    true,
  );
  value.setUint32(DemandWord.Groups, classesOf(groupTests), true);
  value.setUint32(DemandWord.Addresses, tables.addressed, true);
  value.setUint32(DemandWord.Generation, generation, true);
  return new Uint8Array(value.buffer);
}

/** The text in UTF-8 with zero padding; tests have short texts. */
function nameKey(text: string, generation: Generation): Uint8Array {
  const key = new Uint8Array(DEMAND_NAME_BYTES);
  new TextEncoder().encodeInto(text, key.subarray(0, DEMAND_NAME_BYTES - 2));
  key[DEMAND_NAME_BYTES - 1] = generation;
  return key;
}

function numberKey(number: number, generation: Generation): Uint8Array {
  const key = new DataView(new ArrayBuffer(DemandNumber.Size));
  key.setUint32(DemandNumber.Number, number, true);
  key.setUint32(DemandNumber.Generation, generation, true);
  return new Uint8Array(key.buffer);
}

/** The generation comes first among the bits that count. */
function blockKey(block: string, generation: Generation): Uint8Array {
  const [digits = "", bits] = block.split("/");
  const key = new DataView(new ArrayBuffer(DemandBlock.Size));
  key.setUint32(DemandBlock.PrefixBits, 32 + Number(bits), true);
  key.setUint32(DemandBlock.Generation, generation, true);
  const bytes = new Uint8Array(key.buffer);
  bytes.set(Uint8Array.fromHex(digits), DemandBlock.Address);
  return bytes;
}

function groupKey(id: bigint, generation: Generation): Uint8Array {
  const key = new DataView(new ArrayBuffer(DemandGroup.Size));
  key.setBigUint64(DemandGroup.Id, id, true);
  key.setUint32(DemandGroup.Generation, generation, true);
  return new Uint8Array(key.buffer);
}

function nameValue({ name, folder, extension }: Readonly<Record<NameRole, number>>): Uint8Array {
  const value = new DataView(new ArrayBuffer(DemandName.Size));
  value.setUint32(DemandName.Names, name, true);
  value.setUint32(DemandName.Folders, folder, true);
  value.setUint32(DemandName.Extensions, extension, true);
  return new Uint8Array(value.buffer);
}

function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}
