// What a rule set can match, so that a source need not make the events it cannot: what passes from the compiler to whoever owns the sensors.
// Data, and the meaning of a test. Invariant: an event that a demand leaves out is matched by no predicate it was derived from.
import { foldAscii, isAscii } from "./ascii.ts";

/**
 * What an event is called: its `event.category`, which may be several, `event.type` and `event.action`. Whoever sends events and tells their words
 * lists the ancestors of a process whose parent it names: nobody needs further events of it to learn of them.
 */
export type EventWords = readonly [category: string | readonly string[], type: string, action: string];

/** Fields that the control group of the process decides, all of them and alone. */
const GROUP_FIELDS = [
  "container.id",
  "container.runtime",
  "orchestrator.type",
  "orchestrator.resource.type",
  "orchestrator.resource.id",
  "process.cgroup.path",
] as const;

/** A field that the control group of the process decides, alone. */
export type GroupField = (typeof GROUP_FIELDS)[number];

/** What a control group makes of these fields; a field that it leaves out has no value. */
export type GroupFields = Readonly<Partial<Record<GroupField, string>>>;

/**
 * A test that is true of an event. Names are pieces of `file.path` between slashes, without regard to the case of ASCII letters, which
 * `text` has in lower case; a path that holds anything but ASCII passes every test of a name, so that whoever tests needs no case tables.
 * - `name`: its last piece is `text`
 * - `folder`: another piece is `text`
 * - `extension`: what follows the last dot of its last piece is `text`
 * - `user`, `notUser`: `user.id` is `text`, is something else
 * - `port`: `destination.port` is `text`, in decimal
 * - `address`: `destination.ip` is in the block `text`: 32 hexadecimal digits, IPv4 as `::ffff:a.b.c.d`, a slash, and how many bits count
 * - `notAddress`: it is in none of such blocks, with spaces between
 * - a field of the control group: it begins with `text`, read as names are; with an empty one: it has a value
 * - `none`: the field of the control group that `text` names has no value
 */
export interface DemandTest {
  readonly kind: "name" | "folder" | "extension" | "user" | "notUser" | "port" | "address" | "notAddress" | GroupField | "none";
  readonly text: string;
}

/** Events of some words that a rule can match. */
export interface WordsDemand {
  readonly words: EventWords;
  /** One of these is true of each of them; undefined: any event of these words may be one. */
  readonly tests: readonly DemandTest[] | undefined;
}

/** All that a rule set can match among events of known words; words that are not in it are matched by nothing. */
export type Demand = readonly WordsDemand[];

/** The demand of whoever wants every event. */
export function everyEvent(words: readonly EventWords[]): Demand {
  return words.map((one) => ({ words: one, tests: undefined }));
}

/** Most tests of the events of one kind of words, each block of addresses counted: beyond them all are wanted. */
const TESTS_MAX = 1024;

/** What all of some rules want together. */
export function mergedDemand(demands: Iterable<Demand>): Demand {
  const all = new Map<string, { readonly words: EventWords; tests: Map<string, DemandTest> | undefined }>();
  for (const demand of demands) {
    for (const { words, tests } of demand) {
      const key = words.join("\0");
      let merged = all.get(key);
      if (merged === undefined) {
        merged = { words, tests: new Map() };
        all.set(key, merged);
      }
      if (tests === undefined) merged.tests = undefined;
      for (const test of tests ?? []) merged.tests?.set(`${test.kind} ${test.text}`, test);
    }
  }
  return [...all.values()].map(({ words, tests }) => {
    return { words, tests: tests === undefined || countOf(tests) > TESTS_MAX ? undefined : [...tests.values()] };
  });
}

function countOf(tests: ReadonlyMap<string, DemandTest>): number {
  let count = 0;
  for (const { kind, text } of tests.values()) count += kind === "notAddress" ? text.split(" ").length : 1;
  return count;
}

/** What the tests look at. */
export interface TestedEvent {
  /** `file.path` */
  readonly path: string | undefined;
  /** `user.id` */
  readonly user: string | undefined;
  /** `destination.port`, in decimal. */
  readonly port: string | undefined;
  /** `destination.ip` as 32 hexadecimal digits; anything else is in no block. */
  readonly address: string | undefined;
  /** Of the process's control group; `undefined`: it is not known, and no field has a value. */
  readonly group: GroupFields | undefined;
}

/** Whether one of the tests is true of an event: the meaning of {@link DemandTest}. */
export function passesTests(tests: readonly DemandTest[] | undefined, event: TestedEvent): boolean {
  if (tests === undefined) return true;
  const { path, user, port, address, group } = event;
  const names = path === undefined ? [] : foldAscii(path).split("/");
  const name = names.pop() ?? "";
  const dot = name.lastIndexOf(".");
  const facts: Readonly<Record<Exclude<DemandTest["kind"], GroupField>, (text: string) => boolean>> = {
    name: (text) => name === text,
    folder: (text) => names.includes(text),
    extension: (text) => dot >= 0 && name.slice(dot + 1) === text,
    user: (text) => user === text,
    notUser: (text) => user !== undefined && user !== text,
    port: (text) => port === text,
    address: (text) => address !== undefined && isWithin(address, text),
    notAddress: (text) => address !== undefined && !text.split(" ").some((block) => isWithin(address, block)),
    none: (text) => group?.[text as GroupField] === undefined,
  };
  const passesNames = path !== undefined && !isAscii(path);
  return tests.some(({ kind, text }) => {
    if (isGroupField(kind)) return begins(group?.[kind], text);
    return (passesNames && NAME_KINDS.has(kind)) || facts[kind](text);
  });
}

function begins(value: string | undefined, text: string): boolean {
  return value !== undefined && (!isAscii(value) || foldAscii(value).startsWith(text));
}

/** Whether an address, or all of a block, is in a block; as digits, see {@link DemandTest}. */
export function isWithin(address: string, block: string): boolean {
  const [digits = "", bits = 0] = splitBlock(block);
  const [own, ownBits] = splitBlock(address);
  const whole = bits >>> 2;
  if (ownBits < bits || !own.startsWith(digits.slice(0, whole))) return false;
  const rest = bits & 3;
  return rest === 0 || (digitAt(own, whole) ^ digitAt(digits, whole)) >>> (4 - rest) === 0;
}

function splitBlock(text: string): readonly [digits: string, bits: number] {
  const slash = text.indexOf("/");
  return slash < 0 ? [text, text.length * 4] : [text.slice(0, slash), Number(text.slice(slash + 1))];
}

function digitAt(digits: string, index: number): number {
  return Number.parseInt(digits[index] ?? "0", 16);
}

/** Whether a name is that of a field of the control group. */
export function isGroupField(name: string): name is GroupField {
  return (GROUP_FIELDS as readonly string[]).includes(name);
}

/** Whether a test looks at the control group alone. */
export function isOfGroup({ kind }: DemandTest): boolean {
  return kind === "none" || isGroupField(kind);
}

const NAME_KINDS: ReadonlySet<DemandTest["kind"]> = new Set(["name", "folder", "extension"]);
