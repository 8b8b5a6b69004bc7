// Kernel event + what is known about its process → one ECS record. Field names are those public rules test; ids are looked up once.
// Pure apart from the builder it owns: time, names and the table come as values.
import { posix } from "node:path";
import { RecordBuilder } from "#event";
import type { SchemaRegistry } from "#schema";
import { splitArguments } from "./arguments.ts";
import { CAPABILITY_BITS, NAMESPACE_BITS, namesOfBits } from "./bit-names.ts";
import { FIELD_NAMES, type FieldIds } from "./fields.ts";
import type {
  ActEvent,
  ActName,
  ChangeEvent,
  ConnectEvent,
  ExecEvent,
  ExitEvent,
  FileEvent,
  ForkEvent,
  InodeFacts,
} from "./kernel-event.ts";
import type { Credentials, ProcessEntry, ProcessInfo } from "./process-table.ts";
import { Flag } from "./wire.ts";

/** The machine, the same in every record. */
export interface HostFacts {
  readonly name: string;
  /** Machine id; empty when there is none. */
  readonly id: string;
  readonly bootId: string;
  readonly kernel: string;
  readonly architecture: string;
}

/** Everything a record is made of beside the event itself. */
export interface RecordContext {
  readonly entry: ProcessEntry;
  readonly parent: ProcessInfo | undefined;
  /** Leader of the session and of the process group, when the table knows them. */
  readonly sessionLeader: ProcessInfo | undefined;
  readonly groupLeader: ProcessInfo | undefined;
  /** Ids the process had before the event, when they were known. */
  readonly previous: Credentials | undefined;
  /** The process an act was aimed at, when the table knows it. */
  readonly target: ProcessInfo | undefined;
  /** Name of the attachment that saw it. */
  readonly sensor: string;
  /** What to add to a boot time to get nanoseconds since 1970. */
  readonly wallOffsetNs: bigint;
  /** The same as it was when the source began: a process keeps one start, also when the clock is set. */
  readonly startOffsetNs: bigint;
  readonly cgroupPath: string | undefined;
  userName(uid: number): string | undefined;
  groupName(gid: number): string | undefined;
}

/** Events that become records of their own. */
export type ReportedEvent = ExecEvent | ForkEvent | ExitEvent | FileEvent | ChangeEvent | ActEvent | ConnectEvent;

const CATEGORY_OF: Readonly<Record<ReportedEvent["kind"], "process" | "file" | "network">> = {
  exec: "process",
  fork: "process",
  exit: "process",
  file: "file",
  change: "file",
  act: "process",
  connect: "network",
};

const TRANSPORTS = new Map<number, string>([
  [1, "icmp"],
  [6, "tcp"],
  [17, "udp"],
  [58, "ipv6-icmp"],
  [132, "sctp"],
  [136, "udplite"],
]);
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
const AUDIT_UNSET = 0xffff_ffff;
const INCOMPLETE: number = Flag.PathCut | Flag.ArgsCut | Flag.ReadFailed;
const PERMISSION_BITS = 0o7777;
const MAPPED_V4_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** Rights of a file as far as they are known. */
interface FileRights {
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** Builds one record at a time; it is `bytes[0, length)` until the next. */
export class RecordWriter {
  readonly #builder = new RecordBuilder();
  readonly #id: FieldIds;
  readonly #categoryIds: Readonly<Record<"process" | "file" | "network", number>>;
  readonly #host: HostFacts;

  constructor(registry: SchemaRegistry, host: HostFacts) {
    this.#id = Object.fromEntries(Object.entries(FIELD_NAMES).map(([key, name]) => [key, registry.idOf(name)])) as FieldIds;
    const { categories } = registry;
    this.#categoryIds = { process: categories.idOf("process"), file: categories.idOf("file"), network: categories.idOf("network") };
    this.#host = host;
  }

  /** The buffer of the record written last. */
  get bytes(): Uint8Array {
    return this.#builder.bytes;
  }

  /** Writes the record of an event. Returns its length. Fields go in the order of their ids: the builder sorts by insertion. */
  write(event: ReportedEvent, context: RecordContext): number {
    const category = CATEGORY_OF[event.kind];
    const timeNs = event.actor.timeNs + context.wallOffsetNs;
    const id = this.#id;
    const [type, action] = actionOf(event);
    this.#builder.begin(this.#categoryIds[category], timeNs);
    this.#builder.date(id.timestamp, timeNs);
    this.#builder.keywords(id.eventCategory, [category]);
    this.#builder.keywords(id.eventType, [type]);
    this.#builder.keyword(id.eventKind, "event");
    this.#builder.keyword(id.eventAction, action);
    this.#builder.keyword(id.eventModule, "kestrel");
    this.#writeHost();
    this.#writeUser(event, context);
    this.#writeProgram(event, context);
    this.#writeCredentials(event, context);
    this.#writeProcess(event, context);
    this.#writeParent(context);
    this.#writeLeaders(context);
    if (event.kind === "file") this.#writeFile(event, context);
    if (event.kind === "change") this.#writeChange(event, context);
    if (event.kind === "act") this.#writeAct(event, context);
    if (event.kind === "connect") this.#writeConnect(event);
    this.#writeLineage(context);
    this.#builder.keyword(id.sensor, context.sensor);
    if ((event.actor.flags & INCOMPLETE) !== 0) this.#builder.markRecordTruncated();
    return this.#builder.finish();
  }

  /** A field that is left out when it is empty. */
  #text(id: number, text: string | undefined): void {
    if (text !== undefined && text !== "") this.#builder.keyword(id, text);
  }

  #writeHost(): void {
    const { name, id, bootId, kernel, architecture } = this.#host;
    this.#text(this.#id.hostId, id);
    this.#builder.keyword(this.#id.hostName, name);
    this.#builder.keyword(this.#id.hostHostname, name);
    this.#builder.keyword(this.#id.hostArchitecture, architecture);
    this.#builder.keyword(this.#id.osType, "linux");
    this.#builder.keyword(this.#id.osKernel, kernel);
    this.#builder.keyword(this.#id.hostBootId, bootId);
  }

  #writeUser({ actor }: ReportedEvent, context: RecordContext): void {
    const id = this.#id;
    const userName = context.userName(actor.euid);
    this.#builder.keyword(id.userId, String(actor.euid));
    this.#text(id.userName, userName);
    this.#builder.keyword(id.userEffectiveId, String(actor.euid));
    this.#text(id.userEffectiveName, userName);
    this.#builder.keyword(id.userRealId, String(actor.uid));
    this.#text(id.userRealName, context.userName(actor.uid));
    this.#builder.keyword(id.groupId, String(actor.egid));
    this.#text(id.groupName, context.groupName(actor.egid));
    this.#builder.keyword(id.groupRealId, String(actor.gid));
    this.#text(id.groupRealName, context.groupName(actor.gid));
  }

  #writeProgram(event: ReportedEvent, context: RecordContext): void {
    const { actor } = event;
    const { info } = context.entry;
    const id = this.#id;
    // An exec's own record has all its arguments; later ones have what the table kept.
    const whole = event.kind === "exec" ? splitArguments(event.args) : undefined;
    this.#text(id.processName, info.name);
    this.#text(id.processExecutable, info.executable);
    this.#text(id.processCommandLine, whole?.args.join(" ") ?? info.commandLine);
    this.#builder.keywords(id.processArgs, whole?.args ?? info.args);
    this.#builder.i64Number(id.processArgsCount, whole?.count ?? info.argsCount);
    this.#builder.i64Number(id.processPid, actor.pid);
    this.#builder.keyword(id.processEntityId, info.entityId);
    this.#text(id.processCwd, info.workingDirectory);
    this.#builder.date(id.processStart, BigInt(info.startNs) + context.startOffsetNs);
    this.#builder.bool(id.processInteractive, actor.ttyMajor !== 0);
  }

  #writeCredentials({ actor }: ReportedEvent, context: RecordContext): void {
    const id = this.#id;
    this.#builder.keyword(id.processUserId, String(actor.euid));
    this.#text(id.processUserName, context.userName(actor.euid));
    this.#builder.keyword(id.processGroupId, String(actor.egid));
    this.#text(id.processGroupName, context.groupName(actor.egid));
    this.#builder.keyword(id.processRealUserId, String(actor.uid));
    this.#text(id.processRealUserName, context.userName(actor.uid));
    this.#builder.keyword(id.processRealGroupId, String(actor.gid));
    this.#text(id.processRealGroupName, context.groupName(actor.gid));
    this.#builder.keyword(id.processSavedUserId, String(actor.suid));
    this.#builder.keyword(id.processSavedGroupId, String(actor.sgid));
    if (actor.ttyMajor === 0) return;
    this.#builder.i64Number(id.ttyMajor, actor.ttyMajor);
    this.#builder.i64Number(id.ttyMinor, actor.ttyMinor);
  }

  #writeProcess(event: ReportedEvent, context: RecordContext): void {
    const { actor } = event;
    const { info, ancestors } = context.entry;
    const id = this.#id;
    this.#builder.i64Number(id.processPgid, actor.pgid);
    this.#builder.i64Number(id.processVpid, actor.vpid);
    if (event.kind === "exit") this.#writeExit(event, context);
    this.#builder.i64Number(id.processSessionId, actor.sid);
    if (actor.loginUid !== AUDIT_UNSET) this.#builder.u64Number(id.processLoginUid, actor.loginUid);
    this.#builder.i64Number(id.processPpid, actor.ppid);
    this.#builder.i64Number(id.processTgid, actor.pid);
    this.#builder.i64Number(id.threadId, actor.tid);
    this.#text(id.threadName, actor.comm);
    this.#builder.keywords(
      id.extAncestry,
      ancestors.map((ancestor) => ancestor.entityId),
    );
    if (event.kind === "exec" && event.args.byteLength < event.argsSize) {
      this.#builder.bool(id.argsTruncated, true);
      this.#builder.markRecordTruncated();
    }
    this.#builder.bool(id.executableDeleted, info.deleted);
    this.#builder.bool(id.memfd, info.memfd);
    this.#text(id.script, info.script);
    this.#text(id.cgroupPath, context.cgroupPath);
    this.#builder.u64(id.cgroupId, actor.cgroupId);
    if (info.memfd) this.#text(id.memfdName, info.name);
    if (event.kind === "exec") this.#builder.bool(id.secureExec, (actor.flags & Flag.Privileged) !== 0);
  }

  #writeExit(event: ExitEvent, context: RecordContext): void {
    // As a shell tells it: 128 and the signal for a process that was killed.
    this.#builder.i64Number(this.#id.exitCode, event.signal === 0 ? event.exitCode : 128 + event.signal);
    if (event.signal !== 0) this.#builder.i64Number(this.#id.exitSignal, event.signal);
    this.#builder.date(this.#id.processEnd, event.actor.timeNs + context.wallOffsetNs);
  }

  #writeParent(context: RecordContext): void {
    const { parent } = context;
    if (parent === undefined) return;
    const id = this.#id;
    const { uid, gid, euid, egid, suid, sgid } = parent.credentials;
    this.#text(id.parentName, parent.name);
    this.#text(id.parentExecutable, parent.executable);
    this.#text(id.parentCommandLine, parent.commandLine);
    this.#builder.keywords(id.parentArgs, parent.args);
    this.#builder.i64Number(id.parentArgsCount, parent.argsCount);
    this.#builder.i64Number(id.parentPid, parent.pid);
    this.#builder.keyword(id.parentEntityId, parent.entityId);
    this.#text(id.parentCwd, parent.workingDirectory);
    this.#builder.date(id.parentStart, BigInt(parent.startNs) + context.startOffsetNs);
    this.#builder.bool(id.parentInteractive, parent.ttyMajor !== 0);
    this.#builder.keyword(id.parentUserId, String(euid));
    this.#text(id.parentUserName, context.userName(euid));
    this.#builder.keyword(id.parentGroupId, String(egid));
    this.#text(id.parentGroupName, context.groupName(egid));
    this.#builder.keyword(id.parentRealUserId, String(uid));
    this.#builder.keyword(id.parentRealGroupId, String(gid));
    this.#builder.keyword(id.parentSavedUserId, String(suid));
    this.#builder.keyword(id.parentSavedGroupId, String(sgid));
    this.#builder.i64Number(id.parentPpid, parent.ppid);
    this.#builder.i64Number(id.parentPgid, parent.pgid);
    const grandparent = context.entry.ancestors[1];
    if (grandparent === undefined) return;
    this.#text(id.grandparentName, grandparent.name);
    this.#builder.i64Number(id.grandparentPid, grandparent.pid);
    this.#text(id.grandparentExecutable, grandparent.executable);
    this.#builder.keyword(id.grandparentEntityId, grandparent.entityId);
  }

  #writeLeaders(context: RecordContext): void {
    const id = this.#id;
    const { sessionLeader, groupLeader } = context;
    if (sessionLeader !== undefined) {
      this.#text(id.sessionLeaderName, sessionLeader.name);
      this.#text(id.sessionLeaderExecutable, sessionLeader.executable);
      this.#builder.i64Number(id.sessionLeaderPid, sessionLeader.pid);
      this.#builder.keyword(id.sessionLeaderEntityId, sessionLeader.entityId);
      this.#builder.bool(id.sessionLeaderSame, sessionLeader === context.entry.info);
    }
    if (groupLeader !== undefined) {
      this.#text(id.groupLeaderName, groupLeader.name);
      this.#text(id.groupLeaderExecutable, groupLeader.executable);
      this.#builder.i64Number(id.groupLeaderPid, groupLeader.pid);
      this.#builder.keyword(id.groupLeaderEntityId, groupLeader.entityId);
      this.#builder.bool(id.groupLeaderSame, groupLeader === context.entry.info);
    }
  }

  #writeFile(event: FileEvent, context: RecordContext): void {
    this.#writePath(event.path);
    this.#builder.keyword(this.#id.fileType, "file");
    this.#writeInode(event, event, context);
  }

  #writeChange(event: ChangeEvent, context: RecordContext): void {
    const id = this.#id;
    const { change, otherPath } = event;
    this.#writePath(event.path);
    // What a path means now is not what the call meant: only what the call itself tells is told.
    if (event.isFolder) this.#builder.keyword(id.fileType, "dir");
    else if (change === "symlink") this.#builder.keyword(id.fileType, "symlink");
    this.#writeInode(event.inode, { mode: event.inode?.mode ?? event.mode, uid: event.uid, gid: event.gid }, context);
    if (otherPath === undefined) return;
    if (change !== "rename") {
      this.#builder.keyword(id.fileTargetPath, otherPath);
      return;
    }
    const { name, extension } = partsOf(otherPath);
    this.#builder.keyword(id.fileOriginalPath, otherPath);
    this.#text(id.fileOriginalName, name);
    this.#text(id.fileOriginalExtension, extension);
  }

  #writePath(path: string): void {
    const id = this.#id;
    const { name, directory, extension } = partsOf(path);
    this.#builder.keyword(id.filePath, path);
    this.#text(id.fileName, name);
    this.#builder.keyword(id.fileDirectory, directory);
    this.#text(id.fileExtension, extension);
  }

  #writeInode(facts: InodeFacts | undefined, rights: FileRights, context: RecordContext): void {
    const id = this.#id;
    const { mode, uid = facts?.uid, gid = facts?.gid } = rights;
    if (facts !== undefined) this.#builder.i64Number(id.fileSize, facts.sizeBytes);
    if (mode !== undefined) this.#builder.keyword(id.fileMode, (mode & PERMISSION_BITS).toString(8).padStart(4, "0"));
    if (uid !== undefined) this.#text(id.fileOwner, context.userName(uid));
    if (gid !== undefined) this.#text(id.fileGroup, context.groupName(gid));
    if (uid !== undefined) this.#builder.keyword(id.fileUid, String(uid));
    if (gid !== undefined) this.#builder.keyword(id.fileGid, String(gid));
    if (facts === undefined) return;
    this.#builder.keyword(id.fileInode, String(facts.inode));
    this.#builder.keyword(id.fileDevice, `${facts.device >>> 20}:${facts.device & 0xfffff}`);
  }

  #writeAct(event: ActEvent, context: RecordContext): void {
    const id = this.#id;
    const [first, second] = event.values;
    if (event.targetPid !== 0) this.#writeTarget(event.targetPid, context.target);
    switch (event.act) {
      case "uid_change":
        if (context.previous !== undefined) this.#builder.keyword(id.previousUserId, String(context.previous.euid));
        break;
      case "gid_change":
        if (context.previous !== undefined) this.#builder.keyword(id.previousGroupId, String(context.previous.egid));
        break;
      case "capabilities_change":
        this.#builder.keywords(id.capabilitiesEffective, namesOfBits(CAPABILITY_BITS, first));
        this.#builder.keywords(id.capabilitiesPermitted, namesOfBits(CAPABILITY_BITS, second));
        break;
      case "signal_sent":
        this.#builder.i64Number(id.signal, Number(first));
        break;
      case "bpf_program_load":
        this.#text(id.bpfProgramName, event.text);
        this.#builder.i64Number(id.bpfProgramType, Number(first));
        break;
      case "memfd_create":
        this.#text(id.memfdName, event.text);
        break;
      case "mount":
      case "root_change":
        if (event.text !== "") this.#writePath(posix.resolve(context.entry.info.workingDirectory || "/", event.text));
        break;
      case "namespace_change":
        this.#builder.keywords(id.namespaces, namesOfBits(NAMESPACE_BITS, first));
        break;
      case "ptrace_attach":
      case "process_vm_read":
      case "process_vm_write":
      case "io_uring_setup":
      case "userfaultfd":
        break;
    }
  }

  #writeTarget(pid: number, target: ProcessInfo | undefined): void {
    const id = this.#id;
    this.#builder.i64Number(id.targetPid, pid);
    if (target === undefined) return;
    this.#text(id.targetName, target.name);
    this.#text(id.targetExecutable, target.executable);
    this.#builder.keyword(id.targetEntityId, target.entityId);
  }

  #writeConnect(event: ConnectEvent): void {
    const id = this.#id;
    const destination = unmapped(event.destination);
    const source = unmapped(event.source);
    if (source.some((byte) => byte !== 0)) this.#builder.ipBytes(id.sourceIp, source, 0, source.byteLength === 4 ? 4 : 16);
    if (event.sourcePort !== 0) this.#builder.i64Number(id.sourcePort, event.sourcePort);
    this.#builder.ipBytes(id.destinationIp, destination, 0, destination.byteLength === 4 ? 4 : 16);
    this.#builder.i64Number(id.destinationPort, event.destinationPort);
    this.#text(id.networkTransport, TRANSPORTS.get(event.protocol));
    this.#builder.keyword(id.networkDirection, "egress");
    this.#builder.keyword(id.networkType, destination.byteLength === 4 ? "ipv4" : "ipv6");
    this.#builder.keyword(id.networkIanaNumber, String(event.protocol));
  }

  #writeLineage(context: RecordContext): void {
    const { ancestors } = context.entry;
    if (ancestors.length === 0) return;
    this.#builder.beginKeywords(this.#id.kestrelAncestry);
    for (const { pid, name, executable } of ancestors) this.#builder.pushKeyword(`${pid}\t${name.replaceAll("\t", " ")}\t${executable}`);
    this.#builder.endKeywords();
  }
}

/** `event.type` and `event.action` as the public rules test them. */
function actionOf(event: ReportedEvent): readonly [type: string, action: string] {
  switch (event.kind) {
    case "exec":
      return ["start", "exec"];
    case "fork":
      return ["start", "fork"];
    case "exit":
      return ["end", "end"];
    case "connect":
      return ["start", "connection_attempted"];
    case "file":
      if ((event.actor.flags & Flag.Created) !== 0) return ["creation", "creation"];
      return (event.actor.flags & Flag.Watched) !== 0 ? ["access", "open"] : ["change", "modification"];
    case "act":
      return [ACT_TYPES[event.act], event.act];
    case "change":
      return [CHANGE_TYPES[event.change], event.change];
  }
}

/** The IPv4 address inside `::ffff:a.b.c.d`, which an IPv6 socket uses to reach IPv4; any other address as it is. */
function unmapped(address: Uint8Array): Uint8Array {
  const mapped = address.byteLength === 16 && MAPPED_V4_PREFIX.every((byte, index) => address[index] === byte);
  return mapped ? address.slice(12) : address;
}

function partsOf(path: string): { readonly name: string; readonly directory: string; readonly extension: string | undefined } {
  const slash = path.lastIndexOf("/");
  const name = path.slice(slash + 1);
  const dot = name.lastIndexOf(".");
  return { name, directory: slash <= 0 ? "/" : path.slice(0, slash), extension: dot > 0 ? name.slice(dot + 1) : undefined };
}
