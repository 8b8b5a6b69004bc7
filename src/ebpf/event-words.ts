// What each kind of event is called: category, type and action, as the public rules test them. Data, and the choice among it.
import type { ActName, ChangeEvent } from "./kernel-event.ts";
import type { ReportedEvent } from "./record-context.ts";
import { Flag } from "./wire.ts";

/** Categories the sensors report. */
export type Category = "process" | "file" | "network";

const CATEGORY_OF: Readonly<Record<ReportedEvent["kind"], Category>> = {
  exec: "process",
  fork: "process",
  exit: "process",
  file: "file",
  change: "file",
  act: "process",
  connect: "network",
  bind: "network",
  listen: "network",
  send: "network",
};

const CHANGE_TYPES: Readonly<Record<ChangeEvent["change"], string>> = {
  rename: "change",
  deletion: "deletion",
  link: "creation",
  symlink: "creation",
  mode_change: "change",
  owner_change: "change",
};
const ACT_TYPES: Readonly<Record<ActName, string>> = {
  uid_change: "change",
  gid_change: "change",
  capabilities_change: "change",
  ptrace_attach: "access",
  process_vm_read: "access",
  process_vm_write: "change",
  signal_sent: "change",
  bpf_program_load: "start",
  memfd_create: "start",
  mount: "change",
  root_change: "change",
  io_uring_setup: "start",
  userfaultfd: "start",
  namespace_change: "change",
};
/** `event.category`, `event.type` and `event.action` of an event. */
export function wordsOf(event: ReportedEvent): readonly [category: Category, type: string, action: string] {
  return [CATEGORY_OF[event.kind], ...actionOf(event)];
}

function actionOf(event: ReportedEvent): readonly [type: string, action: string] {
  switch (event.kind) {
    case "exec":
      return ["start", "exec"];
    case "fork":
      return ["start", "fork"];
    case "exit":
      return ["end", "end"];
    case "connect":
    case "send":
      return ["start", "connection_attempted"];
    // Not the start of a connection: rules that ask for one, without an action, are not about these.
    case "bind":
    case "listen":
      return ["info", event.kind];
    case "file":
      if ((event.actor.flags & Flag.Created) !== 0) return ["creation", "creation"];
      return (event.actor.flags & Flag.Watched) !== 0 ? ["access", "open"] : ["change", "modification"];
    case "act":
      return [ACT_TYPES[event.act], event.act];
    case "change":
      return [CHANGE_TYPES[event.change], event.change];
  }
}
