// What each kind of event is called: category, type and action, as the public rules test them. Data, and the choice among it.
import type { EventWords } from "#schema";
import type { WholeEvent } from "./exec-joiner.ts";
import type { ActName, ChangeEvent } from "./kernel-event.ts";
import type { ReportedEvent } from "./record-context.ts";
import type { SensorName } from "./sensors.ts";
import { Flag } from "./wire.ts";

/** Categories the sensors report. */
export type Category = "process" | "file" | "network" | "dns";

const CATEGORY_OF: Readonly<Record<ReportedEvent["kind"], Category | readonly Category[]>> = {
  attempt: "process",
  exec: "process",
  fork: "process",
  exit: "process",
  file: "file",
  change: "file",
  act: "process",
  connect: "network",
  accept: "network",
  unix: "network",
  bind: "network",
  listen: "network",
  send: "network",
  // Some public rules ask for `network where dns.question.name …`, others for `dns where …`.
  dns: ["network", "dns"],
};

const CHANGE_TYPES: Readonly<Record<ChangeEvent["change"], string>> = {
  rename: "change",
  deletion: "deletion",
  link: "creation",
  symlink: "creation",
  mode_change: "change",
  owner_change: "change",
  creation: "creation",
  attribute_change: "change",
  attribute_removal: "change",
  modification: "change",
};
const ACT_TYPES: Readonly<Record<ActName, string>> = {
  uid_change: "change",
  gid_change: "change",
  capabilities_change: "change",
  ptrace_attach: "access",
  process_vm_read: "access",
  process_vm_write: "change",
  pidfd_getfd: "access",
  signal_sent: "change",
  bpf_program_load: "start",
  memfd_create: "start",
  mount: "change",
  root_change: "change",
  io_uring_setup: "start",
  userfaultfd: "start",
  namespace_change: "change",
  load_module: "start",
  // Not an end: rules take that for the end of the process, and give up a sequence by it.
  unload_module: "change",
  mmap: "change",
  mprotect: "change",
  kexec_load: "change",
  keyctl: "access",
  process_memory_open: "access",
  process_memory_open_read: "access",
  umount: "change",
  session_id_change: "change",
};

type FileAction = "creation" | "modification" | "open";
const FILE_TYPES: Readonly<Record<FileAction, string>> = { creation: "creation", modification: "change", open: "access" };

/** Type and action of the kinds that have one each. */
const ONE_WORD: Readonly<
  Record<Exclude<ReportedEvent["kind"], "act" | "change" | "file" | "dns">, readonly [type: string, action: string]>
> = {
  attempt: ["start", "exec"],
  exec: ["start", "exec"],
  fork: ["start", "fork"],
  exit: ["end", "end"],
  connect: ["start", "connection_attempted"],
  accept: ["start", "connection_accepted"],
  send: ["start", "connection_attempted"],
  // Not the start of a connection: rules that ask for one, without an action, are not about these.
  bind: ["info", "bind"],
  listen: ["info", "listen"],
  unix: ["info", "unix_connect"],
};

/** `event.category`, `event.type` and `event.action` of an event. */
export function wordsOf(event: ReportedEvent): readonly [category: Category | readonly Category[], type: string, action: string] {
  return [CATEGORY_OF[event.kind], ...actionOf(event)];
}

function actionOf(event: ReportedEvent): readonly [type: string, action: string] {
  switch (event.kind) {
    case "file": {
      const action = fileAction(event.actor.flags);
      return [FILE_TYPES[action], action];
    }
    case "dns":
      return dnsWords(event.isAnswer);
    case "act":
      return [ACT_TYPES[event.act], event.act];
    case "change":
      return [CHANGE_TYPES[event.change], event.change];
    default:
      return ONE_WORD[event.kind];
  }
}

function fileAction(flags: number): FileAction {
  if ((flags & Flag.Created) !== 0) return "creation";
  return (flags & Flag.Watched) !== 0 ? "open" : "modification";
}

function dnsWords(isAnswer: boolean): readonly [type: string, action: string] {
  return ["protocol", isAnswer ? "lookup_result" : "lookup_requested"];
}

function typed(category: Category, types: Readonly<Record<string, string>>): readonly EventWords[] {
  return Object.entries(types).map(([action, type]) => [category, type, action]);
}

function oneWord(kind: keyof typeof ONE_WORD): EventWords {
  return [CATEGORY_OF[kind], ...ONE_WORD[kind]];
}

const { owner_change, attribute_change, attribute_removal, ...NAME_CHANGES } = CHANGE_TYPES;
const { signal_sent, load_module, unload_module, mmap, mprotect, process_memory_open, process_memory_open_read, ...MORE_ACTS } = ACT_TYPES;
const { uid_change, gid_change, capabilities_change, ...OTHER_ACTS } = MORE_ACTS;

/** What the events of each sensor may be called. */
export const SENSOR_WORDS: Readonly<Record<SensorName, readonly EventWords[]>> = {
  exec: [oneWord("exec")],
  fork: [oneWord("fork")],
  exit: [oneWord("exit")],
  act: typed("process", OTHER_ACTS),
  credential: typed("process", { uid_change, gid_change, capabilities_change }),
  memory: typed("process", { mmap, mprotect }),
  module: typed("process", { load_module, unload_module }),
  signal: typed("process", { signal_sent }),
  file: [...typed("file", FILE_TYPES), ...typed("process", { process_memory_open, process_memory_open_read })],
  change: typed("file", NAME_CHANGES),
  attribute: typed("file", { owner_change, attribute_change, attribute_removal }),
  connect: [oneWord("connect")],
  accept: [oneWord("accept")],
  unix: [oneWord("unix")],
  bind: [oneWord("bind"), oneWord("listen")],
  send: [oneWord("send")],
  dns: [false, true].map((isAnswer) => [CATEGORY_OF.dns, ...dnsWords(isAnswer)]),
};

/** Words of all events of all sensors, each once. */
export const ALL_WORDS: readonly EventWords[] = [
  ...new Map(
    Object.values(SENSOR_WORDS)
      .flat()
      .map((words) => [words.join("\0"), words]),
  ).values(),
];

/** Sensors by action. Two may share one, `creation` or `modification`, but not one of an act or an attribute. */
const SENSORS_BY_ACTION: ReadonlyMap<string, SensorName> = new Map(
  (Object.keys(SENSOR_WORDS) as SensorName[]).flatMap((sensor) => SENSOR_WORDS[sensor].map(([, , action]) => [action, sensor] as const)),
);

/** The sensor whose event it is. */
export function sensorOf(event: WholeEvent): SensorName {
  switch (event.kind) {
    case "act":
      return SENSORS_BY_ACTION.get(event.act) ?? "act";
    case "change":
      return SENSORS_BY_ACTION.get(event.change) === "attribute" ? "attribute" : "change";
    case "listen":
      return "bind";
    default:
      return event.kind;
  }
}
