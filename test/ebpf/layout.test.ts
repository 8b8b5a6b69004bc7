// The offsets in src/ebpf/wire.ts and src/respond/isolation-map.ts are those of bpf/event.h and bpf/isolate.h as the compiler lays it out.
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Act, Args, Change, Counter, Exec, Exit, FileOpen, Flow, Fork, Head } from "../../src/ebpf/wire.ts";
import { AllowKey, AllowValue, Dropped } from "../../src/respond/isolation-map.ts";

const WIRE: Readonly<Record<string, number>> = {
  "event_header.time_ns": Head.Time,
  "event_header.start_ns": Head.Start,
  "event_header.parent_start_ns": Head.ParentStart,
  "event_header.cgroup_id": Head.CgroupId,
  "event_header.pid": Head.Pid,
  "event_header.tid": Head.Tid,
  "event_header.ppid": Head.Ppid,
  "event_header.vpid": Head.Vpid,
  "event_header.uid": Head.Uid,
  "event_header.gid": Head.Gid,
  "event_header.euid": Head.Euid,
  "event_header.egid": Head.Egid,
  "event_header.suid": Head.Suid,
  "event_header.sgid": Head.Sgid,
  "event_header.login_uid": Head.LoginUid,
  "event_header.audit_session": Head.AuditSession,
  "event_header.pgid": Head.Pgid,
  "event_header.sid": Head.Sid,
  "event_header.tty": Head.Tty,
  "event_header.op": Head.Op,
  "event_header.flags": Head.Flags,
  "event_header.comm": Head.Comm,
  event_header: Head.Size,
  "exec_event.inode": Exec.Inode,
  "exec_event.cap_effective": Exec.CapEffective,
  "exec_event.cap_permitted": Exec.CapPermitted,
  "exec_event.device": Exec.Device,
  "exec_event.nlink": Exec.Nlink,
  "exec_event.mode": Exec.Mode,
  "exec_event.owner": Exec.Owner,
  "exec_event.args_size": Exec.ArgsSize,
  "exec_event.args_bytes": Exec.ArgsBytes,
  "exec_event.env_size": Exec.EnvSize,
  "exec_event.env_bytes": Exec.EnvBytes,
  "exec_event.path_bytes": Exec.PathBytes,
  "exec_event.cwd_bytes": Exec.CwdBytes,
  "exec_event.filename_bytes": Exec.FilenameBytes,
  exec_event: Exec.Size,
  "args_event.offset": Args.Offset,
  "args_event.args_bytes": Args.ArgsBytes,
  args_event: Args.Size,
  "fork_event.forker_pid": Fork.ForkerPid,
  fork_event: Fork.Size,
  "exit_event.code": Exit.Code,
  exit_event: Exit.Size,
  "file_event.inode": FileOpen.Inode,
  "file_event.size": FileOpen.SizeBytes,
  "file_event.device": FileOpen.Device,
  "file_event.mode": FileOpen.Mode,
  "file_event.owner": FileOpen.Owner,
  "file_event.group": FileOpen.Group,
  "file_event.open_flags": FileOpen.OpenFlags,
  "file_event.nlink": FileOpen.Nlink,
  "file_event.fs_magic": FileOpen.FsMagic,
  "file_event.path_bytes": FileOpen.PathBytes,
  file_event: FileOpen.Size,
  "change_event.inode": Change.Inode,
  "change_event.size": Change.SizeBytes,
  "change_event.device": Change.Device,
  "change_event.file_mode": Change.FileMode,
  "change_event.owner": Change.Owner,
  "change_event.group": Change.Group,
  "change_event.values": Change.Values,
  "change_event.kind": Change.Kind,
  "change_event.name_bytes": Change.NameBytes,
  "change_event.folder_bytes": Change.FolderBytes,
  "change_event.other_name_bytes": Change.OtherNameBytes,
  "change_event.other_folder_bytes": Change.OtherFolderBytes,
  change_event: Change.Size,
  "act_event.values": Act.Values,
  "act_event.target_start_ns": Act.TargetStart,
  "act_event.target_pid": Act.TargetPid,
  "act_event.kind": Act.Kind,
  "act_event.text_bytes": Act.TextBytes,
  act_event: Act.Size,
  "flow_event.source": Flow.Source,
  "flow_event.destination": Flow.Destination,
  "flow_event.family": Flow.Family,
  "flow_event.protocol": Flow.Protocol,
  "flow_event.source_port": Flow.SourcePort,
  "flow_event.destination_port": Flow.DestinationPort,
  flow_event: Flow.Size,
  "sensor_counters.produced": Counter.Produced,
  "sensor_counters.dropped": Counter.Dropped,
  "sensor_counters.truncated": Counter.Truncated,
  "sensor_counters.read_failed": Counter.ReadFailed,
  sensor_counters: Counter.Size,
  "isolate_key.prefix_bits": AllowKey.Prefix,
  "isolate_key.address": AllowKey.Address,
  isolate_key: AllowKey.Size,
  "isolate_value.port_count": AllowValue.PortCount,
  "isolate_value.ports": AllowValue.Ports,
  isolate_value: AllowValue.Size,
  "isolate_count.packets": Dropped.Packets,
  "isolate_count.bytes": Dropped.Bytes,
  isolate_count: Dropped.Size,
};

const compiler = Bun.which("cc") ?? Bun.which("clang");
if (compiler === null) console.log("skipped: layout of event.h (no C compiler on this machine)");

test.skipIf(compiler === null)("user space reads where the kernel side writes", () => {
  const folder = mkdtempSync(join(tmpdir(), "kestrel-layout-"));
  try {
    const program = join(folder, "layout");
    const built = Bun.spawnSync([compiler ?? "", "-o", program, join(import.meta.dir, "../../bpf/layout.c")]);
    expect(built.stderr.toString()).toBe("");
    const printed = Bun.spawnSync([program]).stdout.toString().trim().split("\n");
    expect(Object.fromEntries(printed.map((line) => line.split(" ")).map(([name, value]) => [name, Number(value)]))).toEqual(WIRE);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
