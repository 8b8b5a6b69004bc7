// What the kept parts of records are made of: every value that record-writer.ts puts into them, for comparing. A test changes each and looks.
import type { Stamp } from "./kept-parts.ts";
import type { Actor } from "./kernel-event.ts";
import type { ProcessInfo } from "./process-table.ts";
import type { RecordContext } from "./record-context.ts";

/** Of what is said of a process itself and of its leaders. */
export function processStamp(actor: Actor, context: RecordContext): Stamp {
  const { info, ancestors } = context.entry;
  const { sessionLeader, groupLeader, group } = context;
  return [
    actor.uid,
    actor.gid,
    actor.euid,
    actor.egid,
    actor.suid,
    actor.sgid,
    actor.loginUid,
    actor.ppid,
    actor.pgid,
    actor.sid,
    actor.vpid,
    actor.ttyMajor,
    actor.ttyMinor,
    actor.cgroupId,
    group?.["process.cgroup.path"],
    context.userName(actor.euid),
    context.userName(actor.uid),
    context.groupName(actor.egid),
    context.groupName(actor.gid),
    info.name,
    info.executable,
    info.args,
    info.argsCount,
    info.commandLine,
    info.workingDirectory,
    info.memfd,
    info.deleted,
    info.script,
    info.program,
    info.program?.state,
    info.program?.isUncertain,
    info.packageName,
    context.startOffsetNs,
    // Their ids never change.
    ancestors,
    sessionLeader,
    sessionLeader?.name,
    sessionLeader?.executable,
    groupLeader,
    groupLeader?.name,
    groupLeader?.executable,
  ];
}

/** Of what is said of a parent and of all before it. */
export function lineStamp(parent: ProcessInfo, context: RecordContext): Stamp {
  const { program } = parent;
  const { uid, gid, euid, egid, suid, sgid } = parent.credentials;
  const stamp: unknown[] = [
    parent.commandLine,
    parent.args,
    parent.argsCount,
    parent.workingDirectory,
    parent.ttyMajor,
    parent.ppid,
    parent.pgid,
    context.startOffsetNs,
    // By value: each fork brings them anew.
    uid,
    gid,
    euid,
    egid,
    suid,
    sgid,
    context.userName(euid),
    context.groupName(egid),
    program,
    program?.state,
  ];
  for (const ancestor of context.entry.ancestors) stamp.push(ancestor, ancestor.name, ancestor.executable);
  return stamp;
}
