// Kernel event + what is known about its process → one ECS record. Field names are those public rules test; ids are looked up once.
// Pure apart from the builder it owns: time, names and the table come as values.
import type { RecordBuilder } from "#event";
import { CATEGORY_SEVERAL, type SchemaRegistry } from "#schema";
import { capabilityNames } from "./bit-names.ts";
import { type Category, wordsOf } from "./event-words.ts";
import { FieldWriter } from "./field-writer.ts";
import { FIELD_NAMES, type FieldIds } from "./fields.ts";
import { KeptParts, type Parts } from "./kept-parts.ts";
import type { ExecEvent, ExitEvent } from "./kernel-event.ts";
import { lineStamp, processStamp } from "./part-stamps.ts";
import type { HostFacts, RecordContext, ReportedEvent } from "./record-context.ts";
import { Flag } from "./wire.ts";
import { writeAct } from "./write-act.ts";
import { writeChange, writeFile } from "./write-file.ts";
import { writeDns, writeFlow, writeUnix } from "./write-network.ts";
import { writePolicy } from "./write-policy.ts";
import { writeFileRights, writeProgram } from "./write-program.ts";

const AUDIT_UNSET = 0xffff_ffff;
const INCOMPLETE: number = Flag.PathCut | Flag.ArgsCut | Flag.ReadFailed;

/** Parts that are the same in many records: of the machine; of a process, except in the events of its programs; of its parent and all before. */
const enum Part {
  Host,
  Identity,
  Traits,
  Leaders,
  Parent,
  Lineage,
}

/** Builds one record at a time; it is `bytes[0, length)` until the next. */
export class RecordWriter {
  readonly #fields: FieldWriter;
  readonly #builder: RecordBuilder;
  readonly #id: FieldIds;
  readonly #categoryIds: Readonly<Record<Category, number>>;
  readonly #host: HostFacts;
  readonly #hostParts: Parts = [];
  readonly #processes = new KeptParts();
  readonly #parents = new KeptParts();

  constructor(registry: SchemaRegistry, host: HostFacts) {
    this.#id = Object.fromEntries(Object.entries(FIELD_NAMES).map(([key, name]) => [key, registry.idOf(name)])) as FieldIds;
    this.#fields = new FieldWriter(this.#id);
    this.#builder = this.#fields.builder;
    const { categories } = registry;
    this.#categoryIds = {
      process: categories.idOf("process"),
      file: categories.idOf("file"),
      network: categories.idOf("network"),
      dns: categories.idOf("dns"),
    };
    this.#host = host;
  }

  /** The buffer of the record written last. */
  get bytes(): Uint8Array {
    return this.#builder.bytes;
  }

  /** Writes the record of an event. Returns its length. Fields go in the order of their ids: the builder sorts by insertion. */
  write(event: ReportedEvent, context: RecordContext): number {
    const [category, type, action] = wordsOf(event);
    const timeNs = event.actor.timeNs + context.wallOffsetNs;
    const id = this.#id;
    this.#builder.begin(typeof category === "string" ? this.#categoryIds[category] : CATEGORY_SEVERAL, timeNs);
    this.#builder.date(id.timestamp, timeNs);
    this.#builder.keywords(id.eventCategory, typeof category === "string" ? [category] : category);
    this.#builder.keywords(id.eventType, context.policy?.denied === true ? [type, "denied"] : [type]);
    this.#builder.keyword(id.eventKind, "event");
    this.#builder.keyword(id.eventAction, action);
    // Nobody but the gate makes records of attempts, and puts only denied ones among the events.
    if (event.kind === "attempt" || context.policy?.denied === true) this.#builder.keyword(id.eventOutcome, "failure");
    this.#builder.keyword(id.eventModule, "kestrel");
    const own = isAboutProgram(event) ? undefined : this.#processes.of(context.entry.info, processStamp(event.actor, context));
    const parents = context.parent && this.#parents.of(context.parent, lineStamp(context.parent, context));
    this.#put(Part.Host, this.#hostParts, event, context);
    this.#put(Part.Identity, own, event, context);
    this.#builder.i64Number(id.threadId, event.actor.tid);
    if (event.kind !== "attempt") this.#fields.text(id.threadName, event.actor.comm);
    this.#put(Part.Traits, own, event, context);
    this.#put(Part.Parent, parents, event, context);
    this.#put(Part.Leaders, own, event, context);
    this.#writeObject(event, context);
    this.#writeContainer(context);
    this.#put(Part.Lineage, parents, event, context);
    this.#builder.keyword(id.sensor, context.sensor);
    if (context.policy !== undefined) writePolicy(this.#fields, context.policy);
    if ((event.actor.flags & INCOMPLETE) !== 0) this.#builder.markRecordTruncated();
    return this.#builder.finish();
  }

  /** Sets a part as it was kept, or writes it and keeps it where there is a place for it. */
  #put(part: Part, parts: Parts | undefined, event: ReportedEvent, context: RecordContext): void {
    const packed = parts?.[part];
    if (packed !== undefined && this.#builder.fieldsPacked(packed)) return;
    const mark = parts && this.#builder.mark();
    this.#writePart(part, event, context);
    if (parts !== undefined && mark !== undefined) parts[part] = this.#builder.pack(mark);
  }

  #writePart(part: Part, event: ReportedEvent, context: RecordContext): void {
    switch (part) {
      case Part.Host:
        this.#writeHost();
        break;
      case Part.Identity:
        this.#writeUser(event, context);
        this.#writeProgram(event, context);
        this.#writeCredentials(event, context);
        this.#writeProcess(event, context);
        break;
      case Part.Traits:
        this.#writeTraits(event, context);
        break;
      case Part.Leaders:
        this.#writeLeaders(context);
        break;
      case Part.Parent:
        this.#writeParent(context);
        break;
      case Part.Lineage:
        this.#writeLineage(context);
        break;
    }
  }

  /** What it was done to, beside the process itself. */
  #writeObject(event: ReportedEvent, context: RecordContext): void {
    switch (event.kind) {
      case "file":
        writeFile(this.#fields, event, context);
        break;
      case "change":
        writeChange(this.#fields, event, context);
        break;
      case "act":
        writeAct(this.#fields, event, context);
        break;
      case "connect":
      case "accept":
      case "bind":
      case "listen":
      case "send":
        writeFlow(this.#fields, event);
        break;
      case "unix":
        writeUnix(this.#fields, event);
        break;
      case "dns":
        writeDns(this.#fields, event);
        break;
      case "exec":
      case "fork":
      case "exit":
        break;
    }
  }

  #writeHost(): void {
    const { name, id, bootId, kernel, architecture } = this.#host;
    this.#fields.text(this.#id.hostId, id);
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
    this.#fields.text(id.userName, userName);
    this.#builder.keyword(id.userEffectiveId, String(actor.euid));
    this.#fields.text(id.userEffectiveName, userName);
    this.#builder.keyword(id.userRealId, String(actor.uid));
    this.#fields.text(id.userRealName, context.userName(actor.uid));
    this.#builder.keyword(id.groupId, String(actor.egid));
    this.#fields.text(id.groupName, context.groupName(actor.egid));
    this.#builder.keyword(id.groupRealId, String(actor.gid));
    this.#fields.text(id.groupRealName, context.groupName(actor.gid));
  }

  #writeProgram(event: ReportedEvent, context: RecordContext): void {
    const { actor } = event;
    const { info } = context.entry;
    const id = this.#id;
    // An exec's own record has all its arguments; later ones have what the table kept.
    const whole = context.texts;
    this.#fields.text(id.processName, info.name);
    this.#fields.text(id.processExecutable, info.executable);
    if (event.kind !== "attempt") {
      this.#fields.text(id.processCommandLine, whole?.args.join(" ") ?? info.commandLine);
      this.#builder.keywords(id.processArgs, whole?.args ?? info.args);
      this.#builder.i64Number(id.processArgsCount, whole?.argsCount ?? info.argsCount);
    }
    this.#builder.i64Number(id.processPid, actor.pid);
    this.#builder.keyword(id.processEntityId, info.entityId);
    this.#fields.text(id.processCwd, info.workingDirectory);
    this.#builder.date(id.processStart, BigInt(info.startNs) + context.startOffsetNs);
    this.#builder.bool(id.processInteractive, actor.ttyMajor !== 0);
  }

  #writeCredentials(event: ReportedEvent, context: RecordContext): void {
    const { actor } = event;
    const id = this.#id;
    this.#builder.keyword(id.processUserId, String(actor.euid));
    this.#fields.text(id.processUserName, context.userName(actor.euid));
    this.#builder.keyword(id.processGroupId, String(actor.egid));
    this.#fields.text(id.processGroupName, context.groupName(actor.egid));
    this.#builder.keyword(id.processRealUserId, String(actor.uid));
    this.#fields.text(id.processRealUserName, context.userName(actor.uid));
    this.#builder.keyword(id.processRealGroupId, String(actor.gid));
    this.#fields.text(id.processRealGroupName, context.groupName(actor.gid));
    this.#builder.keyword(id.processSavedUserId, String(actor.suid));
    this.#builder.keyword(id.processSavedGroupId, String(actor.sgid));
    if (actor.ttyMajor !== 0) {
      this.#builder.i64Number(id.ttyMajor, actor.ttyMajor);
      this.#builder.i64Number(id.ttyMinor, actor.ttyMinor);
    }
    if (event.kind === "exec") this.#writeCapabilities(event);
    writeProgram(this.#fields, context.entry.info);
  }

  #writeCapabilities(event: ExecEvent): void {
    const id = this.#id;
    this.#builder.keywordsPacked(id.capabilitiesEffective, capabilityNames(event.effective));
    this.#builder.keywordsPacked(id.capabilitiesPermitted, capabilityNames(event.permitted));
  }

  #writeProcess(event: ReportedEvent, context: RecordContext): void {
    const { actor } = event;
    const id = this.#id;
    this.#builder.i64Number(id.processPgid, actor.pgid);
    if (event.kind !== "attempt") this.#builder.i64Number(id.processVpid, actor.vpid);
    if (event.kind === "exit") this.#writeExit(event, context);
    if (context.texts !== undefined) this.#builder.keywords(id.envVars, context.texts.variables);
    this.#builder.i64Number(id.processSessionId, actor.sid);
    if (actor.loginUid !== AUDIT_UNSET) this.#builder.u64Number(id.processLoginUid, actor.loginUid);
    this.#builder.i64Number(id.processPpid, actor.ppid);
    this.#builder.i64Number(id.processTgid, actor.pid);
  }

  #writeTraits(event: ReportedEvent, context: RecordContext): void {
    const { actor } = event;
    const { info, ancestors } = context.entry;
    const id = this.#id;
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
    this.#fields.text(id.script, info.script);
    this.#fields.text(id.cgroupPath, context.group?.["process.cgroup.path"]);
    if (event.kind !== "attempt") this.#builder.u64(id.cgroupId, actor.cgroupId);
    if (info.memfd) this.#fields.text(id.memfdName, info.name);
    if (event.kind !== "exec") return;
    writeFileRights(this.#fields, event);
    this.#builder.bool(id.secureExec, (actor.flags & Flag.Privileged) !== 0);
    if (context.texts?.isRedacted === true) this.#builder.bool(id.redacted, true);
    if (event.env.byteLength >= event.envSize) return;
    this.#builder.bool(id.envTruncated, true);
    this.#builder.markRecordTruncated();
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
    this.#fields.text(id.parentName, parent.name);
    this.#fields.text(id.parentExecutable, parent.executable);
    this.#fields.text(id.parentCommandLine, parent.commandLine);
    this.#builder.keywords(id.parentArgs, parent.args);
    this.#builder.i64Number(id.parentArgsCount, parent.argsCount);
    this.#builder.i64Number(id.parentPid, parent.pid);
    this.#builder.keyword(id.parentEntityId, parent.entityId);
    this.#fields.text(id.parentCwd, parent.workingDirectory);
    this.#builder.date(id.parentStart, BigInt(parent.startNs) + context.startOffsetNs);
    this.#builder.bool(id.parentInteractive, parent.ttyMajor !== 0);
    this.#builder.keyword(id.parentUserId, String(euid));
    this.#fields.text(id.parentUserName, context.userName(euid));
    this.#builder.keyword(id.parentGroupId, String(egid));
    this.#fields.text(id.parentGroupName, context.groupName(egid));
    this.#builder.keyword(id.parentRealUserId, String(uid));
    this.#builder.keyword(id.parentRealGroupId, String(gid));
    this.#builder.keyword(id.parentSavedUserId, String(suid));
    this.#builder.keyword(id.parentSavedGroupId, String(sgid));
    this.#builder.i64Number(id.parentPpid, parent.ppid);
    this.#builder.i64Number(id.parentPgid, parent.pgid);
    if (parent.program?.state === "known") this.#builder.keyword(id.parentSha256, parent.program.sha256);
    const grandparent = context.entry.ancestors[1];
    if (grandparent === undefined) return;
    this.#fields.text(id.grandparentName, grandparent.name);
    this.#builder.i64Number(id.grandparentPid, grandparent.pid);
    this.#fields.text(id.grandparentExecutable, grandparent.executable);
    this.#builder.keyword(id.grandparentEntityId, grandparent.entityId);
  }

  #writeLeaders(context: RecordContext): void {
    const id = this.#id;
    const { sessionLeader, groupLeader } = context;
    if (sessionLeader !== undefined) {
      this.#fields.text(id.sessionLeaderName, sessionLeader.name);
      this.#fields.text(id.sessionLeaderExecutable, sessionLeader.executable);
      this.#builder.i64Number(id.sessionLeaderPid, sessionLeader.pid);
      this.#builder.keyword(id.sessionLeaderEntityId, sessionLeader.entityId);
      this.#builder.bool(id.sessionLeaderSame, sessionLeader === context.entry.info);
    }
    if (groupLeader !== undefined) {
      this.#fields.text(id.groupLeaderName, groupLeader.name);
      this.#fields.text(id.groupLeaderExecutable, groupLeader.executable);
      this.#builder.i64Number(id.groupLeaderPid, groupLeader.pid);
      this.#builder.keyword(id.groupLeaderEntityId, groupLeader.entityId);
      this.#builder.bool(id.groupLeaderSame, groupLeader === context.entry.info);
    }
  }

  #writeContainer({ group }: RecordContext): void {
    if (group?.["container.id"] === undefined) return;
    const id = this.#id;
    this.#fields.text(id.containerId, group["container.id"]);
    this.#fields.text(id.containerRuntime, group["container.runtime"]);
    this.#fields.text(id.orchestratorType, group["orchestrator.type"]);
    this.#fields.text(id.orchestratorResourceType, group["orchestrator.resource.type"]);
    this.#fields.text(id.orchestratorResourceId, group["orchestrator.resource.id"]);
  }

  #writeLineage(context: RecordContext): void {
    const { ancestors } = context.entry;
    if (ancestors.length === 0) return;
    this.#builder.beginKeywords(this.#id.kestrelAncestry);
    for (const { pid, name, executable } of ancestors) this.#builder.pushKeyword(`${pid}\t${name.replaceAll("\t", " ")}\t${executable}`);
    this.#builder.endKeywords();
  }
}

/** Whether the record says of the process what others of it do not: all its arguments, its variables, its end, or what it is not yet. */
function isAboutProgram({ kind }: ReportedEvent): boolean {
  return kind === "exec" || kind === "exit" || kind === "attempt";
}
