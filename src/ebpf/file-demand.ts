// What of opened files the kernel side makes records of: the demand's tests as the tables of bpf/demand.h, and the filling of these while the
// sensor runs. Invariant: what the tables stop, no test of the demand is true of, also while they change.
import type { BpfMap, BpfObject } from "#ffi/libbpf";
import type { DemandTest } from "#schema";
import { DEMAND_NAME_BYTES, DEMAND_NAMES_MAX, DEMAND_USERS_MAX, DemandName, DemandUser, DemandWord, FileClass } from "./wire.ts";

/** Tests of the file sensor's wanted events of one action; undefined: any may be wanted. */
export type TestsOf = (action: string) => readonly DemandTest[] | undefined;

/** Tables as the kernel has them. */
export interface FileTables {
  readonly wanted: number;
  readonly tested: number;
  readonly extensions: number;
  readonly users: number;
  readonly otherUsers: number;
  readonly names: ReadonlyMap<string, Readonly<Record<NameRole, number>>>;
  /** Classes by user id. */
  readonly userClasses: ReadonlyMap<number, number>;
}

type NameRole = "name" | "folder" | "extension";

const CLASSES: Readonly<Record<string, FileClass>> = {
  creation: FileClass.Creation,
  modification: FileClass.Modification,
  open: FileClass.Open,
};
const USER_ID = /^(0|[1-9]\d{0,9})$/;
const UID_MAX = 0xffff_ffff;

/** The tables of a demand. */
export function fileTables(isWanted: (action: string) => boolean, testsOf: TestsOf): FileTables {
  const names = new Map<string, Record<NameRole, number>>();
  const users = new UserTable();
  let [wanted, tested, extensions] = [0, 0, 0];
  for (const [action, bit] of Object.entries(CLASSES)) {
    if (!isWanted(action)) continue;
    wanted |= bit;
    const tests = testsOf(action);
    if (tests === undefined || !users.add(bit, tests)) continue;
    tested |= bit;
    for (const { kind, text } of tests) {
      if (kind === "user" || kind === "notUser") continue;
      if (kind === "extension") extensions |= bit;
      const roles = names.get(text) ?? { name: 0, folder: 0, extension: 0 };
      roles[kind] |= bit;
      names.set(text, roles);
    }
  }
  if (names.size > DEMAND_NAMES_MAX || users.byId.size > DEMAND_USERS_MAX) return { ...NOTHING_TESTED, wanted };
  return { wanted, tested, extensions, users: users.classes, otherUsers: users.others, names, userClasses: users.byId };
}

const NOTHING_TESTED: FileTables = {
  wanted: 0,
  tested: 0,
  extensions: 0,
  users: 0,
  otherUsers: 0,
  names: new Map(),
  userClasses: new Map(),
};

/** Which classes a user passes: those not in the table pass `others`. */
class UserTable {
  classes = 0;
  others = 0;
  readonly byId = new Map<number, number>();

  /** False: the tests of users alone let everybody pass. */
  add(bit: number, tests: readonly DemandTest[]): boolean {
    const of = (kind: DemandTest["kind"]): readonly number[] =>
      tests.flatMap((test) => (test.kind === kind && USER_ID.test(test.text) && Number(test.text) <= UID_MAX ? [Number(test.text)] : []));
    // A text that is no id is everybody's other.
    const excluded = [...new Set(tests.flatMap((test) => (test.kind === "notUser" ? [test.text] : [])))];
    const ids = of("user");
    const [other] = of("notUser");
    if (excluded.length > 1 || (excluded.length === 1 && (other === undefined || ids.includes(other)))) return false;
    if (other !== undefined) {
      this.others |= bit;
      this.classes |= bit;
      // Others' rows were made for other classes: they pass this one, as everybody but one user does.
      for (const [id, classes] of this.byId) this.byId.set(id, classes | bit);
      this.#set(other, bit, false);
    }
    for (const id of ids) {
      this.classes |= bit;
      this.#set(id, bit, true);
    }
    return true;
  }

  #set(id: number, bit: number, passes: boolean): void {
    const classes = this.byId.get(id) ?? this.others;
    this.byId.set(id, passes ? classes | bit : classes & ~bit);
  }
}

/** Generations of elements: the kernel reads those of one while the other is filled. */
type Generation = 1 | 2;

/** The maps of one loaded object. */
export class FileDemand {
  readonly #demand: BpfMap;
  readonly #names: BpfMap;
  readonly #users: BpfMap;
  readonly #tables: Record<Generation, FileTables> = { 1: NOTHING_TESTED, 2: NOTHING_TESTED };
  #generation: Generation = 1;

  constructor(object: BpfObject) {
    this.#demand = object.map("demand");
    this.#names = object.map("demand_names");
    this.#users = object.map("demand_users");
  }

  /** Puts other tables in place, at once for each event. What the last ones had stays until the next time: somebody may be reading it. */
  fill(next: FileTables): void {
    const generation = this.#generation === 1 ? 2 : 1;
    const stale = this.#tables[generation];
    for (const text of stale.names.keys()) if (!next.names.has(text)) this.#names.delete(nameKey(text, generation));
    for (const id of stale.userClasses.keys()) if (!next.userClasses.has(id)) this.#users.delete(userKey(id, generation));
    this.#tables[generation] = next;
    for (const [text, roles] of next.names) this.#names.update(nameKey(text, generation), nameValue(roles));
    for (const [id, classes] of next.userClasses) this.#users.update(userKey(id, generation), word(classes));
    this.#demand.update(word(0), demandValue(next, generation));
    this.#generation = generation;
  }
}

function demandValue({ wanted, tested, extensions, users, otherUsers }: FileTables, generation: Generation): Uint8Array {
  const value = new DataView(new ArrayBuffer(DemandWord.Size));
  value.setUint32(DemandWord.Wanted, wanted, true);
  value.setUint32(DemandWord.Tested, tested, true);
  value.setUint32(DemandWord.Extensions, extensions, true);
  value.setUint32(DemandWord.Users, users, true);
  value.setUint32(DemandWord.OtherUsers, otherUsers, true);
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

function userKey(id: number, generation: Generation): Uint8Array {
  const key = new DataView(new ArrayBuffer(DemandUser.Size));
  key.setUint32(DemandUser.User, id, true);
  key.setUint32(DemandUser.Generation, generation, true);
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
