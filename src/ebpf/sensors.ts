// The sensors: which compiled object, and the ways to attach it from best to last. A list, not logic: loading is loader.ts.
import acceptObject from "../../build/bpf/accept.bpf.o" with { type: "file" };
import actObject from "../../build/bpf/act.bpf.o" with { type: "file" };
import bindObject from "../../build/bpf/bind.bpf.o" with { type: "file" };
import callsObject from "../../build/bpf/calls.bpf.o" with { type: "file" };
import changeObject from "../../build/bpf/change.bpf.o" with { type: "file" };
import connectObject from "../../build/bpf/connect.bpf.o" with { type: "file" };
import credentialObject from "../../build/bpf/credential.bpf.o" with { type: "file" };
import dnsObject from "../../build/bpf/dns.bpf.o" with { type: "file" };
import execObject from "../../build/bpf/exec.bpf.o" with { type: "file" };
import exitObject from "../../build/bpf/exit.bpf.o" with { type: "file" };
import fileObject from "../../build/bpf/file.bpf.o" with { type: "file" };
import forkObject from "../../build/bpf/fork.bpf.o" with { type: "file" };
import memoryObject from "../../build/bpf/memory.bpf.o" with { type: "file" };
import moduleObject from "../../build/bpf/module.bpf.o" with { type: "file" };
import sendObject from "../../build/bpf/send.bpf.o" with { type: "file" };
import signalObject from "../../build/bpf/signal.bpf.o" with { type: "file" };
import unixObject from "../../build/bpf/unix.bpf.o" with { type: "file" };

/** Names of the sensors. */
export type SensorName =
  | "exec"
  | "fork"
  | "exit"
  | "act"
  | "credential"
  | "attribute"
  | "memory"
  | "module"
  | "signal"
  | "file"
  | "change"
  | "connect"
  | "accept"
  | "bind"
  | "send"
  | "dns"
  | "unix";

/** One program of an attachment. */
export interface SensorProgram {
  readonly name: string;
  /** Where its section says, to the root of cgroup v2, or behind the one program that looks at every system call. */
  readonly at: "section" | "cgroup" | "calls";
}

/** One way to attach a sensor: all its programs together. */
export interface Attachment {
  /** For people and `kestrel.sensor`, for example `raw_tp/sched_process_exec`. */
  readonly name: string;
  readonly programs: readonly SensorProgram[];
  /** What this way does not see; doctor prints it. */
  readonly blind: readonly string[];
}

/** One sensor. */
export interface Sensor {
  readonly name: SensorName;
  /** Where the object's bytes are. */
  readonly object: string;
  /** The ring its records go to. */
  readonly ring: "process_ring" | "activity_ring";
  /** Without it there is no process table, and the agent does not start. */
  readonly required: boolean;
  /** Best first. */
  readonly attachments: readonly Attachment[];
}

function program(name: string, at: SensorProgram["at"] = "section"): SensorProgram {
  return { name, at };
}

/** The program that every system call passes; see system-calls.ts for which calls go on from there. */
export const CALLS_OBJECT: string = callsObject;

const TCP_STATE = program("kestrel_connect_tcp");
const DATAGRAM = [program("kestrel_connect_cgroup4", "cgroup"), program("kestrel_connect_cgroup6", "cgroup")];
const LISTEN = program("kestrel_listen");
const LISTEN_BLIND = "the port of a socket that listens without having been bound, and listening SCTP and DCCP sockets";

/** In every attachment. */
const ACT_PROGRAMS = [program("kestrel_act_clone"), program("kestrel_act", "calls")];
const ACT_BLIND = [
  "symbolic links in the path of another root, and a path that another thread rewrites before the call returns",
  ...(process.arch === "arm64" ? ["acts of 32-bit programs"] : []),
];
const TOLD_ONCE = "memory: more than the first time of each program and way";

const CHANGE_HOOKS = [
  ...["unlink", "rmdir", "symlink", "mkdir", "mknod", "chmod", "link", "rename"].map((name) => program(`kestrel_allow_${name}`)),
  ...["renamed", "unlinked", "removed", "linked", "symlinked", "made_folder", "made_node", "made_file", "notified", "truncated"].map(
    (name) => program(`kestrel_${name}`),
  ),
];

/** The first four know by which mount a thread writes. */
const ATTRIBUTE_HOOKS = [
  ...["write_begun", "file_write_begun", "write_ended", "file_write_ended"],
  ...["owned", "attribute_set", "attribute_removed", "acl_set"],
].map((name) => program(`kestrel_${name}`));

const FILE_CALLS_BLIND = [
  "symbolic links in a path: it is told as the caller wrote it",
  "a name that another thread rewrites before the call that used it returns",
  ...(process.arch === "arm64" ? ["changes made by 32-bit programs"] : []),
];

/** All sensors, in the order they are loaded: exit last of the process sensors, so that no process is added that cannot end. */
export const SENSORS: readonly Sensor[] = [
  {
    name: "exit",
    object: exitObject,
    ring: "process_ring",
    required: true,
    attachments: [{ name: "raw_tp/sched_process_exit", programs: [program("kestrel_exit")], blind: [] }],
  },
  {
    name: "exec",
    object: execObject,
    ring: "process_ring",
    required: true,
    attachments: [{ name: "raw_tp/sched_process_exec", programs: [program("kestrel_exec")], blind: [] }],
  },
  {
    name: "fork",
    object: forkObject,
    ring: "process_ring",
    required: true,
    attachments: [{ name: "raw_tp/sched_process_fork", programs: [program("kestrel_fork")], blind: [] }],
  },
  {
    name: "act",
    object: actObject,
    ring: "process_ring",
    required: false,
    attachments: [
      {
        name: "fexit/security + raw_tp/sys_exit",
        programs: [...["target", "mount", "move_mount", "umount"].map((name) => program(`kestrel_act_${name}`)), ...ACT_PROGRAMS],
        blind: ACT_BLIND,
      },
      {
        name: "raw_tp/sys_exit",
        programs: ACT_PROGRAMS,
        blind: [
          "which process another one in a pid namespace attaches to or reads, or that of a thread",
          "where is mounted: symbolic links in the path, and the folder of a descriptor",
          ...ACT_BLIND,
        ],
      },
    ],
  },
  {
    name: "credential",
    object: credentialObject,
    ring: "process_ring",
    required: false,
    attachments: [
      {
        name: "fentry/commit_creds",
        programs: [program("kestrel_commit_creds")],
        blind: [
          "ids and capabilities that a flaw in the kernel lets be written over in their place",
          "filesystem ids, groups beside the first",
        ],
      },
      {
        name: "raw_tp/sys_exit",
        programs: [program("kestrel_credential_sys_exit", "calls")],
        blind: [
          "ids that change other than by setuid, setgid and their kind, as by a flaw in the kernel",
          "capabilities that change other than by capset",
          ...(process.arch === "arm64" ? ["ids and capabilities of 32-bit programs"] : []),
        ],
      },
    ],
  },
  {
    name: "memory",
    object: memoryObject,
    ring: "process_ring",
    required: false,
    attachments: [
      {
        name: "fexit/security_mmap_file + fexit/security_file_mprotect",
        programs: [program("kestrel_memory_mapped"), program("kestrel_memory_protected")],
        blind: [TOLD_ONCE, "memory that is written through one mapping and executed through another", "what a program's own file asks for"],
      },
      {
        name: "raw_tp/sys_exit",
        programs: [program("kestrel_memory_sys_exit", "calls")],
        blind: [
          TOLD_ONCE,
          "memory that is written first and made executable afterwards",
          "shared memory of System V that can be written and executed",
          ...(process.arch === "arm64" ? ["memory of 32-bit programs"] : []),
        ],
      },
    ],
  },
  {
    name: "module",
    object: moduleObject,
    ring: "process_ring",
    required: false,
    attachments: [
      {
        name: "raw_tp/module_load + module_free",
        programs: [program("kestrel_module_load"), program("kestrel_module_free")],
        blind: ["the file of a module that is loaded from memory (init_module), or on kernels before 5.15"],
      },
    ],
  },
  {
    name: "signal",
    object: signalObject,
    ring: "process_ring",
    required: false,
    attachments: [
      {
        name: "raw_tp/signal_generate",
        programs: [program("kestrel_signal")],
        blind: ["signals other than KILL, TERM and STOP", "signals to a process's own children"],
      },
    ],
  },
  {
    name: "file",
    object: fileObject,
    ring: "activity_ring",
    required: false,
    attachments: [
      {
        name: "fexit/path_openat",
        programs: [program("kestrel_file_fexit")],
        blind: ["writes through memory maps of files opened earlier"],
      },
      {
        name: "raw_tp/sys_exit",
        programs: [program("kestrel_file_sys_exit", "calls")],
        blind: [
          "files opened through io_uring",
          "a descriptor that another thread closes and reuses before the opening call returns",
          ...(process.arch === "arm64" ? ["files opened by 32-bit programs"] : []),
        ],
      },
    ],
  },
  {
    name: "change",
    object: changeObject,
    ring: "activity_ring",
    required: false,
    attachments: [
      {
        name: "fexit/security_path + fexit/vfs",
        programs: CHANGE_HOOKS,
        blind: ["changes that the kernel makes for others, as a file server in it"],
      },
      {
        name: "raw_tp/sys_exit",
        programs: [program("kestrel_change", "calls")],
        blind: ["files renamed, removed or linked through io_uring", ...FILE_CALLS_BLIND],
      },
    ],
  },
  {
    name: "attribute",
    object: changeObject,
    ring: "activity_ring",
    required: false,
    attachments: [
      {
        name: "fexit/chown_common + fexit/vfs_setxattr",
        programs: ATTRIBUTE_HOOKS,
        blind: ["owners that the kernel changes for others, as a file server in it"],
      },
      {
        name: "raw_tp/sys_exit",
        programs: [program("kestrel_change", "calls")],
        blind: ["attributes changed through io_uring", ...FILE_CALLS_BLIND],
      },
    ],
  },
  {
    name: "connect",
    object: connectObject,
    ring: "activity_ring",
    required: false,
    attachments: [
      { name: "fentry/security_socket_connect", programs: [program("kestrel_connect_fentry")], blind: ["TCP Fast Open"] },
      {
        name: "raw_tp/inet_sock_set_state + cgroup/connect",
        programs: [TCP_STATE, ...DATAGRAM],
        blind: ["TCP connections that fail before the first packet", "source ports not yet chosen"],
      },
      {
        name: "raw_tp/inet_sock_set_state",
        programs: [TCP_STATE],
        blind: ["UDP and ICMP", "TCP connections that fail before the first packet", "source ports not yet chosen"],
      },
    ],
  },
  {
    name: "accept",
    object: acceptObject,
    ring: "activity_ring",
    required: false,
    attachments: [
      { name: "fentry/security_sock_graft", programs: [program("kestrel_accept_fentry")], blind: [] },
      {
        name: "raw_tp/sys_exit",
        programs: [program("kestrel_accept_sys_exit", "calls")],
        blind: [
          "connections accepted through io_uring",
          "a connection that another thread closes before the accepting call returns",
          ...(process.arch === "arm64" ? ["connections accepted by 32-bit programs"] : []),
        ],
      },
    ],
  },
  {
    name: "bind",
    object: bindObject,
    ring: "activity_ring",
    required: false,
    attachments: [
      {
        name: "cgroup/post_bind + raw_tp/inet_sock_set_state",
        programs: [program("kestrel_bind_cgroup4", "cgroup"), program("kestrel_bind_cgroup6", "cgroup"), LISTEN],
        blind: [LISTEN_BLIND],
      },
      { name: "raw_tp/inet_sock_set_state", programs: [LISTEN], blind: ["bind", LISTEN_BLIND] },
    ],
  },
  {
    name: "send",
    object: sendObject,
    ring: "activity_ring",
    required: false,
    attachments: [
      {
        name: "cgroup/sendmsg",
        programs: [program("kestrel_send_cgroup4", "cgroup"), program("kestrel_send_cgroup6", "cgroup")],
        blind: ["packets of raw and ICMP sockets", "all but the first datagram of a socket to a destination"],
      },
    ],
  },
  {
    name: "unix",
    object: unixObject,
    ring: "activity_ring",
    required: false,
    attachments: [
      {
        name: "fentry/security_unix_stream_connect",
        programs: [program("kestrel_unix_fentry")],
        blind: ["datagrams between local sockets"],
      },
      {
        name: "raw_tp/sys_exit",
        programs: [program("kestrel_unix_sys_exit", "calls")],
        blind: [
          "datagrams between local sockets",
          "local sockets connected to through io_uring, or by 32-bit code's call for all of sockets",
          ...(process.arch === "arm64" ? ["local sockets of 32-bit programs"] : []),
        ],
      },
    ],
  },
  {
    name: "dns",
    object: dnsObject,
    ring: "activity_ring",
    required: false,
    attachments: [
      {
        name: "cgroup_skb",
        programs: ["query", "answer", "connect4", "connect6"].map((name) => program(`kestrel_dns_${name}`, "cgroup")),
        blind: [
          "DNS over TLS and HTTPS, at other ports than 53, and multicast DNS",
          "of DNS over TCP what does not begin with its segment, and what is in later ones",
          "DNS behind IPv6 extension headers or inside IPsec",
          "answers to what was asked before the agent started",
        ],
      },
    ],
  },
];

/** Sensors that the process table does not need. */
export const OPTIONAL_SENSORS: readonly SensorName[] = SENSORS.filter(({ required }) => !required).map(({ name }) => name);

/**
 * Names whose reading is an event of its own: files of this name anywhere, and every file in a folder of this name. At most 31 bytes each,
 * compared whole.
 */
export const WATCHED_FILES: readonly string[] = [
  "shadow",
  "shadow-",
  "gshadow",
  "gshadow-",
  "opasswd",
  "sudoers",
  "master.key",
  "id_rsa",
  "id_dsa",
  "id_ecdsa",
  "id_ed25519",
  "authorized_keys",
  "krb5.keytab",
  "krb5.conf.keytab",
  ".netrc",
  ".pgpass",
  ".my.cnf",
  ".git-credentials",
  ".htpasswd",
  ".vault-token",
  "logins.json",
  "key4.db",
  "Login Data",
  "Cookies",
  "ssh_host_rsa_key",
  "ssh_host_ecdsa_key",
  "ssh_host_ed25519_key",
];

/** See {@link WATCHED_FILES}. */
export const WATCHED_FOLDERS: readonly string[] = [
  ".ssh",
  ".aws",
  ".gnupg",
  ".azure",
  ".kube",
  ".docker",
  "sudoers.d",
  "gcloud",
  "keyrings",
];
