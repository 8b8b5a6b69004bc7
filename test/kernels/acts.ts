// What is done inside a test machine and must be seen, as a table: one shell line, run in an empty folder /tmp/acts, and the query that must
// give exactly one alert for it. Queries name what only this act has: the machine does other things too. On the machine at hand the same is
// done in a changed root.
import { EVASIONS } from "../evasion/evasions.ts";
import { type Act, act, HERE, type More, SYS_EXIT, TCP_ONLY } from "./act.ts";
import { ATTRIBUTES } from "./attribute-acts.ts";
import { RESPONSES } from "./response-acts.ts";

/** A sensor that only cgroups can have, where there are none. */
const OFF = ["off"];
const MADE = 'file where event.action == "creation" and file.path ==';

/** A port that nobody listens on, another for each act. */
function connected(transport: string, ip: string, port: number): string {
  return `network where event.action == "connection_attempted" and network.transport == "${transport}"
    and destination.ip == "${ip}" and destination.port == ${port}`;
}

/** By the sensor of bound and listening sockets, which has the same address at the end that is asked for. */
function served(action: string, ip: string, port: number): string {
  return `network where event.action == "${action}" and destination.ip == "${ip}" and destination.port == ${port}
    and network.direction == "ingress"`;
}

/** Both ends the right way round: the client's port is one the kernel chose. */
function accepted(ip: string, port: number): string {
  return `network where event.action == "connection_accepted" and event.type == "start" and destination.port == ${port}
    and destination.ip == "${ip}" and source.ip == "${ip}" and source.port > 1024 and network.direction == "ingress"
    and process.executable == "/bin/network-acts"`;
}

/** The process acted on is another one of the same program. */
const OF_ITSELF = 'Target.process.name == "rare-acts" and Target.process.pid != process.pid';

function mountedAt(action: string, name: string): string {
  return `process where event.action == "${action}" and file.path == "${HERE}/${name}"`;
}

/** Changes that the kernel made no record of, since no rule asks for such a path; ends the act where only user space can tell. */
const FILTERED_CHANGES = `grep -q 'sensor change .*fallback' /run/agent/log && exit 0
filtered() {
	wget -q -O - --header "Authorization: Bearer $(cat /run/agent/data/token)" "$(sed -n 's/.*page on \\([^ ]*\\).*/\\1/p' /run/agent/log)metrics" |
		sed -n 's/^kestrel_sensor_records_total{kind="change",outcome="filtered"} //p'
}`;

/** An act of the program of rare acts. */
function rare(sensor: string, name: string, condition: string, more: More = {}): Act {
  return act(sensor, `${sensor}-${name}`, [`/bin/rare-acts ${name}`, `process where process.name == "rare-acts" and ${condition}`], more);
}

/** All acts in the order they are done. The name of one is the id of its rule. */
export const ACTS: readonly Act[] = [
  act("exec", "exec-tmpfs", [
    "cp /bin/busybox true; ./true one 'two words'",
    `process where event.action == "exec" and process.executable == "${HERE}/true" and process.command_line == "./true one two words"
      and process.args_count == 3 and process.working_directory == "${HERE}" and process.parent.executable == "/bin/busybox"
      and user.id == "0" and process.Ext.memfd == false and process.Ext.secure_exec == false`,
  ]),
  act("exec", "exec-script", [
    "printf '#!/bin/sh\\nexit 0\\n' >tool.sh; chmod 755 tool.sh; ./tool.sh",
    `process where event.action == "exec" and process.Ext.script == "${HERE}/tool.sh" and process.executable == "/bin/busybox"`,
  ]),
  act("exec", "exec-memfd", [
    "/bin/acts memfd /bin/busybox",
    `process where event.action == "exec" and process.executable == "/memfd:kernels" and process.Ext.memfd == true`,
  ]),
  act("exec", "exec-setuid", [
    "cp /bin/busybox true; chown 77 true; chmod 4755 true; ./true setuid",
    `process where event.action == "exec" and process.command_line == "./true setuid" and process.Ext.secure_exec == true
      and user.id == "77" and user.Ext.real.id == "0"`,
  ]),
  act("exec", "exec-long", [
    `set -- "$(head -c 50000 /dev/zero | tr '\\0' x)"; /bin/true "$1" "$1" "$1" end`,
    `process where event.action == "exec" and process.args_count == 5 and length(process.args[1]) == 50000 and endsWith(process.command_line, "x end")`,
  ]),
  act("exec", "exec-bind-mount", [
    "mkdir below; cp /bin/busybox below/true; mkdir bound; mount --bind below bound; ./bound/true bound; umount -l bound",
    `process where event.action == "exec" and process.executable == "${HERE}/bound/true"`,
  ]),
  act("exec", "exec-pid-namespace", [
    "cp /bin/busybox true; unshare -p -f ./true inside",
    `process where event.action == "exec" and process.command_line == "./true inside" and process.vpid == 1 and process.pid != 1`,
  ]),
  act("fork", "fork", [
    "cp /bin/busybox forker; exec -a sh ./forker -c '(:) & wait'",
    `process where event.action == "fork" and process.executable == "${HERE}/forker" and process.parent.executable == "${HERE}/forker"`,
  ]),
  act("exit", "exit-code", [
    "sh -c 'exit 37'; true",
    `process where event.action == "end" and process.exit_code == 37 and process.executable == "/bin/busybox"`,
  ]),
  act("exit", "exit-killed", [
    "sh -c 'kill -KILL $$' killed-77; true",
    `process where event.action == "end" and process.exit_code == 137 and process.exit_signal == 9 and process.command_line : "* killed-77"`,
  ]),
  act("file", "file-create", ["echo >made", `${MADE} "${HERE}/made"`]),
  act("file", "file-write", [
    "echo >>made",
    `file where event.action == "modification" and file.path == "${HERE}/made" and file.type == "file" and process.name == "busybox"`,
  ]),
  act("file", "file-without-name", [
    "/bin/acts tmpfile .",
    `file where event.action == "creation" and file.directory == "${HERE}" and file.name : "#*" and process.args == "tmpfile"`,
  ]),
  act(
    "file",
    "file-memory-device",
    [
      // By the device's number: the name is anybody's.
      "mknod null c 1 1; exec 3>>null",
      `file where event.action == "modification" and file.path == "${HERE}/null" and file.type == "char_device"`,
    ],
    { emulatedOnly: true },
  ),
  act("file", "file-watched-read", [
    "mkdir .ssh; echo >.ssh/key; read line <.ssh/key; true",
    `file where event.action == "open" and event.type == "access" and file.path == "${HERE}/.ssh/key"`,
  ]),
  act("file", "file-plain-read", ["read line <made; true", `file where event.type == "access" and file.path == "${HERE}/made"`], {
    alerts: 0,
  }),
  act("file", "file-32-bit", [`/bin/acts compat-create ${HERE}/compat`, `${MADE} "${HERE}/compat"`]),
  act("file", "file-io-uring", [`/bin/acts uring-create ${HERE}/uring`, `${MADE} "${HERE}/uring"`], { unseenBy: SYS_EXIT }),
  act("file", "file-by-handle", [
    `/bin/acts handle-write ${HERE}/compat`,
    `file where event.action == "modification" and file.path == "${HERE}/compat"`,
  ]),
  act("file", "file-in-changed-root", [
    "mkdir -p root/bin; cp /bin/busybox root/bin/sh; chroot root /bin/sh -c 'echo >/inside'",
    `${MADE} "/inside"`,
  ]),
  act("change", "change-rename", [
    "echo >from; mv from renamed",
    `file where event.action == "rename" and file.path == "${HERE}/renamed" and file.Ext.original.path == "${HERE}/from"`,
  ]),
  act("change", "change-delete", ["echo >gone; rm gone", `file where event.action == "deletion" and file.path == "${HERE}/gone"`]),
  act(
    "change",
    "change-unasked",
    [
      // Of a group that is new to the filter the first change passes.
      `${FILTERED_CHANGES}
for try in 1 2 3 4 5 6 7 8 9; do
	before=$(filtered); echo >unasked; rm unasked; [ "$(filtered)" -gt "$before" ] && exit 0
done
exit 1`,
      `file where event.action == "deletion" and file.path == "/never"`,
    ],
    { alerts: 0 },
  ),
  act(
    "change",
    "change-in-container",
    [
      `group=/sys/fs/cgroup/lxc.payload.acts; [ -e /sys/fs/cgroup/cgroup.procs ] || exit 0
mkdir $group; sh -c 'echo $$ >$0/cgroup.procs; echo >contained; rm contained' $group`,
      `file where event.action == "deletion" and container.id == "acts" and file.path : "*contained"`,
    ],
    // Without cgroups there are no containers.
    { unseenBy: SYS_EXIT, emulatedOnly: true },
  ),
  act(
    "change",
    "change-io-uring",
    ["echo >ringed; /bin/acts uring-unlink ringed", `file where event.action == "deletion" and file.path == "${HERE}/ringed"`],
    { unseenBy: SYS_EXIT },
  ),
  act("change", "change-link", [
    "echo >target; ln target hard",
    `file where event.action == "link" and file.path == "${HERE}/hard" and file.target_path == "${HERE}/target"`,
  ]),
  act("change", "change-symlink", [
    "ln -s ../anywhere soft",
    `file where event.action == "symlink" and file.path == "${HERE}/soft" and file.target_path == "../anywhere"`,
  ]),
  act("change", "change-mode", [
    "echo >mode; chmod 4711 mode",
    `file where event.action == "mode_change" and file.path == "${HERE}/mode" and file.mode == "4711"`,
  ]),
  act("change", "change-truncate", [
    "echo >cut; /bin/acts truncate cut",
    `file where event.action == "modification" and file.path == "${HERE}/cut" and file.type == "file" and process.args == "truncate"`,
  ]),
  act("change", "change-truncate-32-bit", [
    `echo >cut32; /bin/acts compat-truncate ${HERE}/cut32`,
    `file where event.action == "modification" and file.path == "${HERE}/cut32" and process.args == "compat-truncate"`,
  ]),
  act("attribute", "attribute-owner", [
    "echo >owned; chown 77 owned",
    `file where event.action == "owner_change" and file.path == "${HERE}/owned" and file.uid == "77"`,
  ]),
  act("change", "change-make-folder", ["umask 027; mkdir room", `${MADE} "${HERE}/room" and file.type == "dir" and file.mode == "0750"`]),
  act("change", "change-make-pipe", ["mkfifo pipe", `${MADE} "${HERE}/pipe" and file.type == "fifo"`]),
  act("act", "act-mount", [
    "mkdir over; mount -t tmpfs kernels over; umount over",
    `process where event.action == "mount" and file.path == "${HERE}/over"`,
  ]),
  act("act", "act-mount-by-link", ["mkdir there; ln -s there way; /bin/rare-acts mount way", mountedAt("mount", "there")], {
    unseenBy: SYS_EXIT,
  }),
  act("act", "act-mount-by-descriptor", ["mkdir held; /bin/rare-acts move-mount held && umount held", mountedAt("mount", "held")], {
    unseenBy: SYS_EXIT,
  }),
  act("act", "act-umount-by-link", ["/bin/rare-acts umount way", mountedAt("umount", "there")], { unseenBy: SYS_EXIT }),
  rare("credential", "user", 'event.action == "uid_change" and user.id == "77" and kestrel.previous.user.id == "0"'),
  rare("credential", "group", 'event.action == "gid_change" and group.id == "78" and kestrel.previous.group.id == "0"'),
  rare(
    "credential",
    "capset",
    'event.action == "capabilities_change" and process.thread.capabilities.effective == "CAP_SYS_CHROOT" and not process.thread.capabilities.effective == "CAP_KILL"',
  ),
  act(
    "credential",
    "credential-ambient",
    // The first change is by capset, the second by prctl.
    [
      "/bin/rare-acts ambient",
      'sequence by process.entity_id [process where process.args == "ambient" and event.action == "capabilities_change"] with runs=2',
    ],
    { unseenBy: SYS_EXIT },
  ),
  act(
    "credential",
    "credential-flaw",
    [
      '/bin/rare-acts flaw "/modules/$(uname -r)-flaw.ko"',
      `sequence by process.entity_id
        [process where event.action == "uid_change" and kestrel.credentials.unearned == true and user.id == "0" and kestrel.previous.user.id == "80"]
        [process where event.action == "gid_change" and kestrel.credentials.unearned == true and group.id == "0"]
        [process where event.action == "capabilities_change" and kestrel.credentials.unearned == true]`,
    ],
    { unseenBy: SYS_EXIT, emulatedOnly: true },
  ),
  act("credential", "credential-earned", ["true", 'process where kestrel.credentials.unearned == true and not user.id == "0"'], {
    alerts: 0,
  }),
  act(
    "credential",
    "credential-by-exec",
    ["cp /bin/busybox true; chown 79 true; chmod 4755 true; ./true", 'process where event.action == "uid_change" and user.id == "79"'],
    { alerts: 0 },
  ),
  rare("act", "ptrace", `event.action == "ptrace_attach" and process.args == "ptrace" and process.vpid != 1 and ${OF_ITSELF}`),
  rare("act", "ptrace-thread", `event.action == "ptrace_attach" and process.args == "ptrace-thread" and ${OF_ITSELF}`, {
    unseenBy: SYS_EXIT,
  }),
  rare("act", "vm-read", `event.action == "process_vm_read" and process.vpid != 1 and ${OF_ITSELF}`),
  ...["ptrace", "vm-read"].map((name) =>
    act(
      "act",
      `act-${name}-in-namespace`,
      [`unshare -p -f /bin/rare-acts ${name}`, `process where process.vpid == 1 and process.args == "${name}" and ${OF_ITSELF}`],
      { unseenBy: SYS_EXIT },
    ),
  ),
  rare("act", "vm-write", `event.action == "process_vm_write" and ${OF_ITSELF}`),
  rare("act", "pidfd-getfd", `event.action == "pidfd_getfd" and ${OF_ITSELF}`),
  rare("act", "bpf", 'event.action == "bpf_program_load" and kestrel.bpf.program_name == "implant" and kestrel.bpf.program_type == 1'),
  // Where the kernel has no such calls, as Debian's for clouds, the name says so.
  rare("act", "x32", 'event.action == "memfd_create" and process.Ext.memfd.name in ("memfd:x32", "memfd:no-x32")'),
  rare("act", "x32-ptrace", `event.action == "ptrace_attach" and process.args == "x32-ptrace" and ${OF_ITSELF}`),
  rare("act", "uring", 'event.action == "io_uring_setup"'),
  rare("act", "userfaultfd", 'event.action == "userfaultfd" and process.args == "userfaultfd"'),
  rare("act", "userfaultfd-device", 'event.action == "userfaultfd" and process.args == "userfaultfd-device"'),
  rare("act", "memfd", 'event.action == "memfd_create" and process.Ext.memfd.name == "memfd:payload"'),
  rare(
    "act",
    "clone",
    'event.action == "namespace_change" and kestrel.namespaces == "ipc" and auditd.data.syscall == "clone" and process.args == "clone"',
  ),
  rare("act", "key", 'event.action == "keyctl" and kestrel.key.operation == "add_key" and kestrel.key.description == "kernels:key"'),
  rare("act", "kexec", 'event.action == "kexec_load" and process.args == "kexec"', { emulatedOnly: true }),
  act(
    "act",
    "act-kexec-file",
    ["/bin/rare-acts kexec-file kernel", `process where event.action == "kexec_load" and file.path == "${HERE}/kernel"`],
    { emulatedOnly: true },
  ),
  act("act", "act-pivot-root", [
    `mkdir pivoted; mount -t tmpfs kernels pivoted; mkdir pivoted/bin pivoted/new; cp /bin/busybox pivoted/bin/pivot_root
     mount -t tmpfs kernels pivoted/new; mkdir pivoted/new/old; chroot pivoted /bin/pivot_root new new/old && umount pivoted/old && umount pivoted`,
    'process where event.action == "root_change" and file.path == "/new" and process.name == "pivot_root"',
  ]),
  act("act", "act-unshare", [
    "unshare --uts true",
    'process where event.action == "namespace_change" and kestrel.namespaces == "uts" and auditd.data.a0 == "4000000"',
  ]),
  act("act", "act-chroot", [
    "mkdir jail; chroot jail /nothing; true",
    `process where event.action == "root_change" and file.path == "${HERE}/jail"`,
  ]),
  act("act", "act-umount", [
    "mkdir under; mount -t tmpfs kernels under; umount under",
    `process where event.action == "umount" and file.path == "${HERE}/under"`,
  ]),
  act("act", "act-session", [
    "cp /bin/busybox session; exec -a setsid ./session true",
    `process where event.action == "session_id_change" and process.executable == "${HERE}/session"`,
  ]),
  act("signal", "signal-kill", [
    'sleep 78 & sh -c "kill -KILL $!"; wait; true',
    'process where event.action == "signal_sent" and kestrel.signal == 9 and Target.process.name == "busybox"',
  ]),
  rare("memory", "mmap", 'event.action == "mmap" and auditd.data.a2 == "7" and process.args == "mmap"'),
  rare("memory", "mprotect", 'event.action == "mprotect" and auditd.data.a2 == "7"'),
  rare("memory", "written", 'event.action == "mprotect" and auditd.data.a2 == "5" and process.args == "written"', { unseenBy: SYS_EXIT }),
  rare("memory", "copied", 'event.action == "mprotect" and auditd.data.a2 == "5" and process.args == "copied"', { unseenBy: SYS_EXIT }),
  rare("memory", "unwritten", 'event.action == "mprotect" and process.args == "unwritten"', { alerts: 0 }),
  rare("memory", "shared", 'event.action == "mmap" and process.args == "shared"', { unseenBy: SYS_EXIT }),
  rare("memory", "32-bit", 'event.action == "mmap" and process.args == "32-bit"'),
  rare("file", "proc-mem", `event.action == "process_memory_open" and ${OF_ITSELF}`),
  rare("file", "proc-mem-read", `event.action == "process_memory_open_read" and ${OF_ITSELF}`),
  act(
    "module",
    "module-load",
    [
      '/bin/rare-acts module "/modules/$(uname -r).ko"',
      // Before Linux 5.15 the file is not known.
      `process where event.action == "load_module" and kestrel.module.name == "veth" and process.name == "rare-acts"
        and (file.path : "/modules/*.ko" or (host.os.kernel : "5.10*" and file.path == null))`,
    ],
    { emulatedOnly: true },
  ),
  act(
    "module",
    "module-unload",
    ["rmmod veth", 'process where event.action == "unload_module" and kestrel.module.name == "veth" and process.name == "busybox"'],
    { emulatedOnly: true },
  ),
  act("connect", "connect-tcp", ["/bin/acts connect tcp 127.0.0.1 901", connected("tcp", "127.0.0.1", 901)]),
  act("connect", "connect-tcp-ipv6", ["/bin/acts connect tcp ::1 902", connected("tcp", "::1", 902)]),
  act("connect", "connect-udp", ["/bin/acts connect udp 127.0.0.1 903", connected("udp", "127.0.0.1", 903)], { unseenBy: TCP_ONLY }),
  act("connect", "connect-udp-ipv6", ["/bin/acts connect udp ::1 904", connected("udp", "::1", 904)], { unseenBy: TCP_ONLY }),
  act("connect", "connect-io-uring", ["/bin/acts connect uring 127.0.0.1 905", connected("tcp", "127.0.0.1", 905)]),
  act("connect", "connect-asked-twice", ["/bin/acts connect-twice 127.0.0.1 906", connected("tcp", "127.0.0.1", 906)]),
  act("connect", "connect-asked-twice-ipv6", ["/bin/acts connect-twice ::1 907", connected("tcp", "::1", 907)]),
  act("accept", "accept", ["/bin/network-acts accept plain 127.0.0.1 921", accepted("127.0.0.1", 921)]),
  act("accept", "accept4-ipv6", ["/bin/network-acts accept accept4 ::1 922", accepted("::1", 922)]),
  act("accept", "accept-32-bit", ["/bin/network-acts accept 32 127.0.0.1 923", accepted("127.0.0.1", 923)]),
  act("accept", "accept-socketcall", ["/bin/network-acts accept socketcall 127.0.0.1 924", accepted("127.0.0.1", 924)]),
  act("accept", "accept-io-uring", ["/bin/network-acts accept uring 127.0.0.1 925", accepted("127.0.0.1", 925)], { unseenBy: SYS_EXIT }),
  act("unix", "unix", [
    "ln -s . to-served; /bin/network-acts unix plain to-served/served",
    `network where event.action == "unix_connect" and file.path == "${HERE}/served" and process.executable == "/bin/network-acts"`,
  ]),
  act("unix", "unix-32-bit", [
    "/bin/network-acts unix 32 @abstract",
    'network where event.action == "unix_connect" and destination.address == "@abstract"',
  ]),
  act(
    "unix",
    "unix-io-uring",
    ["/bin/network-acts unix uring served-by-uring", `network where event.action == "unix_connect" and file.name == "served-by-uring"`],
    { unseenBy: SYS_EXIT },
  ),
  act("bind", "bind-tcp", ["/bin/network-acts bind plain tcp 127.0.0.1 911", served("bind", "127.0.0.1", 911)], { unseenBy: TCP_ONLY }),
  act("bind", "bind-udp-ipv6", ["/bin/network-acts bind plain udp ::1 912", served("bind", "::1", 912)], { unseenBy: TCP_ONLY }),
  act("bind", "bind-32-bit", ["/bin/network-acts bind socketcall tcp 127.0.0.1 913", served("bind", "127.0.0.1", 913)], {
    unseenBy: TCP_ONLY,
  }),
  act("bind", "listen", ["/bin/network-acts listen plain 127.0.0.1 914", served("listen", "127.0.0.1", 914)]),
  act("bind", "listen-ipv6", ["/bin/network-acts listen plain ::1 915", served("listen", "::1", 915)]),
  act("bind", "listen-32-bit", ["/bin/network-acts listen 32 127.0.0.1 916", served("listen", "127.0.0.1", 916)]),
  act("send", "send-stream", ["/bin/network-acts send plain 1 127.0.0.1 917", connected("udp", "127.0.0.1", 917)], { unseenBy: OFF }),
  act("send", "send-ipv6", ["/bin/network-acts send sendmmsg 1 ::1 918", connected("udp", "::1", 918)], { unseenBy: OFF }),
  act("send", "send-32-bit", ["/bin/network-acts send socketcall 1 127.0.0.1 919", connected("udp", "127.0.0.1", 919)], { unseenBy: OFF }),
  act("send", "send-io-uring", ["/bin/network-acts send uring 1 127.0.0.1 920", connected("udp", "127.0.0.1", 920)], { unseenBy: OFF }),
  act(
    "dns",
    "dns-query",
    [
      "/bin/network-acts dns connected 127.0.0.91 53 asked.kernels.test",
      `network where event.action == "lookup_requested" and dns.question.name == "asked.kernels.test" and dns.question.type == "A"
        and destination.ip == "127.0.0.91" and destination.port == 53 and process.executable == "/bin/network-acts"`,
    ],
    { unseenBy: OFF },
  ),
  act(
    "dns",
    "dns-answer",
    [
      "/bin/network-acts dns sendmsg ::1 53 told.kernels.test",
      `dns where event.action == "lookup_result" and dns.question.name == "told.kernels.test" and dns.resolved_ip == "192.0.2.7"
        and dns.answers.data == "alias.told.kernels.test" and dns.response_code == "NOERROR" and source.ip == "::1"
        and process.executable == "/bin/network-acts"`,
    ],
    { unseenBy: OFF },
  ),
  act(
    "dns",
    "dns-one-process",
    [
      "/bin/network-acts dns uring 127.0.0.92 53 both.kernels.test",
      `sequence by process.entity_id [dns where dns.type == "query" and dns.question.name == "both.kernels.test"]
        [dns where dns.type == "answer" and dns.question.name == "both.kernels.test"]`,
    ],
    { unseenBy: OFF },
  ),
  act(
    "dns",
    "dns-stream",
    [
      "/bin/network-acts dns stream 127.0.0.93 53 long.kernels.test",
      `sequence by process.entity_id
        [dns where dns.type == "query" and dns.question.name == "long.kernels.test" and network.transport == "tcp"]
        [dns where dns.type == "answer" and dns.question.name == "long.kernels.test" and dns.resolved_ip == "192.0.2.7"]`,
    ],
    { unseenBy: OFF },
  ),
  ...ATTRIBUTES,
  ...RESPONSES,
  ...EVASIONS.map((evasion) => evasion.act),
  // The guest waits for its alert: what came before is out by then.
  act("exec", "last", ["/bin/true last-act", 'process where event.action == "exec" and process.command_line == "/bin/true last-act"']),
];
