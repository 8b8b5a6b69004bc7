// Tricks by which a program may hope not to be seen, as a table: what is done, what a rule is told of it, and why. Each is an act of the
// kernel matrix, so that README's table says what happened on real kernels; rings that are flooded are in evasions.test.ts.
import { type Act, act, HERE, SYS_EXIT } from "../kernels/act.ts";

/** What becomes of a trick. */
type Result = "seen" | "seen under another name" | "not covered";

/** One trick. */
export interface Evasion {
  /** For README. */
  readonly trick: string;
  readonly result: Result;
  /** How it is seen, or why not. */
  readonly how: string;
  readonly act: Act;
}

interface Parts {
  readonly trick: string;
  readonly result?: Result;
  readonly how: string;
  readonly shell: string;
  readonly query: string;
  readonly unseenBy?: readonly string[];
}

function evasion(sensor: string, name: string, { trick, result = "seen", how, shell, query, unseenBy = [] }: Parts): Evasion {
  return {
    trick,
    result,
    how,
    act: act(sensor, `evasion-${name}`, [shell, query], { alerts: result === "not covered" ? 0 : 1, unseenBy }),
  };
}

const EXEC = 'process where event.action == "exec" and';
const MADE = 'file where event.action == "creation" and file.path ==';

function connected(port: number, ip = "127.0.0.1"): string {
  return `network where event.action == "connection_attempted" and destination.ip == "${ip}" and destination.port == ${port}`;
}

/** All tricks, in the order of README's table. */
export const EVASIONS: readonly Evasion[] = [
  evasion("exec", "arguments-rewritten", {
    trick: "A second thread rewrites the arguments while the kernel copies them (exec)",
    how: "arguments are read from the new program's own memory, which the old one's threads cannot reach",
    shell: "evasions rewritten-exec genuine1.txt decoy--1.txt",
    query: `sequence by process.entity_id [${EXEC} process.args[0] == "told"] as told
      [file where event.action == "creation" and file.name == told.process.args[1]]`,
  }),
  evasion("file", "path-rewritten", {
    trick: "The same to the path (open)",
    how: "the path is that of the file the kernel opened",
    shell: "evasions rewritten-open genuine2.txt decoy--2.txt",
    query: `${MADE} "${HERE}/genuine2.txt"`,
  }),
  evasion("connect", "address-rewritten", {
    trick: "The same to the address (connect)",
    how: "the address is the kernel's copy or the socket's",
    shell: "evasions rewritten-connect 931 932",
    query: connected(931),
  }),
  evasion("change", "name-rewritten", {
    trick: "The same to the name (unlink, rename, link, chmod, chown, setxattr)",
    how: "the preferred hooks have the kernel's own objects; the fallback reads the name from the caller's memory and tells another one",
    shell: "echo >genuine3.txt; evasions rewritten-unlink genuine3.txt decoy--3.txt",
    query: `file where event.action == "deletion" and file.path == "${HERE}/genuine3.txt" and process.name == "evasions"`,
    unseenBy: SYS_EXIT,
  }),
  evasion("act", "flags-rewritten", {
    trick: "The same to the flags of a new process (clone3)",
    how: "its namespaces are compared with those of its maker",
    shell: "rare-acts clone-hidden",
    query: 'process where event.action == "namespace_change" and kestrel.namespaces == "ipc" and process.args == "clone-hidden"',
  }),
  evasion("exec", "symlink-exec", {
    trick: "A program run through a symbolic link",
    how: "`process.executable` is the file itself; the link stands in `process.args`",
    shell: "cp /bin/nothing pointed-at; ln -s pointed-at pointer; ./pointer symlink",
    query: `${EXEC} process.args[0] == "./pointer" and process.executable == "${HERE}/pointed-at"`,
  }),
  evasion("file", "symlink-open", {
    trick: "A file opened through a symbolic link",
    how: "`file.path` is the file itself",
    shell: "mkdir real; ln -s real link; echo >link/made",
    query: `${MADE} "${HERE}/real/made"`,
  }),
  evasion("exec", "descriptor-exec", {
    trick: "A program run as `/proc/self/fd/N`",
    how: "the path is that of the file behind the descriptor",
    shell: "evasions descriptor-exec /bin/nothing",
    query: `${EXEC} process.args[0] == "descriptor" and process.executable == "/bin/nothing"`,
  }),
  evasion("file", "descriptor-open", {
    trick: "A file opened as `/proc/self/fd/N`",
    how: "the path is that of the file behind the descriptor",
    shell: "echo >plain; evasions descriptor-open plain",
    query: `file where event.action == "modification" and file.path == "${HERE}/plain" and process.name == "evasions"`,
  }),
  evasion("exec", "execveat", {
    trick: "`execveat` on a descriptor without a path",
    how: "the path is that of the file behind the descriptor",
    shell: "evasions execveat /bin/nothing",
    query: `${EXEC} process.args[0] == "at" and process.executable == "/bin/nothing"`,
  }),
  evasion("exec", "bind-mount-exec", {
    trick: "A program run through a bind mount",
    result: "seen under another name",
    how: "the path is the one through the mount, as the process sees it; the mount itself is an event",
    shell: "mkdir -p below bound; cp /bin/nothing below; mount --bind below bound; ./bound/nothing bind; umount -l bound",
    query: `${EXEC} process.args[1] == "bind" and process.executable == "${HERE}/bound/nothing"`,
  }),
  evasion("exec", "detached-mount-exec", {
    trick: "A program run through a mount that is nowhere (`open_tree`)",
    result: "seen under another name",
    how: "the path is that below the copied folder, as far as anybody has one; copying it is an event of mounting, with the folder",
    shell: "mkdir -p copied; cp /bin/nothing copied; evasions detached-exec copied nothing",
    query: `sequence [process where event.action == "mount" and file.path == "${HERE}/copied"]
      [${EXEC} process.args[0] == "detached" and process.executable == "/nothing"]`,
  }),
  evasion("file", "bind-mount-open", {
    trick: "A file opened through a bind mount",
    result: "seen under another name",
    how: "as with a program",
    shell: "mkdir -p below bound; mount --bind below bound; echo >bound/made; umount -l bound",
    query: `${MADE} "${HERE}/bound/made"`,
  }),
  evasion("exec", "hard-link", {
    trick: "A program run by a hard link",
    result: "seen under another name",
    how: "a file has no name of its own: it is told by the one it was run by; making the link is an event with both names",
    shell: "cp /bin/nothing original; ln original other; ./other hard",
    query: `sequence [file where event.action == "link" and file.path == "${HERE}/other" and file.target_path == "${HERE}/original"]
      [${EXEC} process.args[1] == "hard" and process.executable == "${HERE}/other"]`,
  }),
  evasion("exec", "renamed", {
    trick: "A program renamed before it is run",
    result: "seen under another name",
    how: "the rename is an event with both names",
    shell: "cp /bin/nothing before; mv before after; ./after renamed",
    query: `sequence [file where event.action == "rename" and file.Ext.original.path == "${HERE}/before"] as moved
      [${EXEC} process.args[1] == "renamed" and process.executable == moved.file.path]`,
  }),
  evasion("exec", "memfd", {
    trick: "A program run from a memory file",
    how: "`process.Ext.memfd`; making the memory file is an event",
    shell: "evasions memory-exec /bin/nothing",
    query: `sequence by process.entity_id [process where event.action == "memfd_create" and process.Ext.memfd.name == "memfd:payload"]
      [${EXEC} process.Ext.memfd == true and process.executable == "/memfd:payload" and process.args[0] == "from-memory"]`,
  }),
  evasion("exec", "removed", {
    trick: "A program that is deleted before it runs",
    how: "`process.Ext.executable_deleted`, with the path it had",
    shell: "cp /bin/nothing vanished; evasions removed-exec vanished",
    query: `${EXEC} process.args[0] == "removed" and process.Ext.executable_deleted == true and process.executable == "${HERE}/vanished"`,
  }),
  evasion("exec", "script", {
    trick: "A script run as a program",
    how: "the interpreter is the executable, the script is `process.Ext.script`",
    shell: "printf '#!/bin/sh\\nexit 0\\n' >odd.txt; chmod 755 odd.txt; ./odd.txt script-trick",
    query: `${EXEC} process.Ext.script == "${HERE}/odd.txt" and process.executable == "/bin/busybox"`,
  }),
  evasion("exec", "script-on-stdin", {
    trick: "A script fed to an interpreter's standard input",
    result: "not covered",
    how: "the interpreter is seen with its arguments, not what it reads; what the script then does is seen",
    shell: "echo exit >quiet.sh; sh -s stdin-trick <quiet.sh",
    query: `${EXEC} process.command_line == "sh -s stdin-trick" and process.Ext.script != null`,
  }),
  evasion("exec", "loader", {
    trick: "A program given to the dynamic loader as an argument",
    result: "seen under another name",
    how: "the loader is the executable; the program stands in `process.args`",
    shell: "/lib64/ld-linux-x86-64.so.2 /bin/dynamic",
    query: `${EXEC} process.name : "ld-*" and process.args[1] == "/bin/dynamic"`,
  }),
  evasion("exec", "mapped-code", {
    trick: "Code mapped from a file instead of run (a library, `mmap` with PROT_EXEC)",
    result: "not covered",
    how: "mapping a file is no event (memory that can be written and executed at once is); writing the file is seen",
    shell: "evasions mapped-code payload",
    query: `process where process.executable : "${HERE}/payload" or process.Ext.script : "${HERE}/payload"`,
  }),
  evasion("exec", "32-bit", {
    trick: "A 32-bit program",
    how: "sensors sit behind the entry of system calls, or know both kinds",
    shell: "exec -a small /bin/small32",
    query: `${EXEC} process.executable == "/bin/small32"`,
  }),
  evasion("file", "32-bit-open", {
    trick: "32-bit system calls of a 64-bit program (open)",
    how: "as with a program",
    shell: `/bin/acts compat-create ${HERE}/compat-trick`,
    query: `${MADE} "${HERE}/compat-trick"`,
  }),
  evasion("file", "io-uring-open", {
    trick: "A file opened through io_uring",
    how: "the preferred hook is below it; setting io_uring up is an event everywhere",
    shell: `/bin/acts uring-create ${HERE}/uring-trick`,
    query: `${MADE} "${HERE}/uring-trick"`,
    unseenBy: SYS_EXIT,
  }),
  evasion("attribute", "io-uring-attribute", {
    trick: "An extended attribute set through io_uring",
    how: "as with a file; before Linux 5.19 io_uring cannot",
    shell: ": >uring-gift; /bin/attribute-acts uring-setxattr 64 uring-gift",
    query: `file where event.action == "attribute_change" and file.path == "${HERE}/uring-gift"
      and file.Ext.attribute.name == "security.capability"`,
    unseenBy: SYS_EXIT,
  }),
  evasion("connect", "io-uring-connect", {
    trick: "A connection made through io_uring",
    how: "every hook is below it",
    shell: "/bin/acts connect uring 127.0.0.1 933",
    query: connected(933),
  }),
  evasion("connect", "fast-open", {
    trick: "A connection made by TCP Fast Open, without connect",
    how: "the preferred hook is in connect; the fallback looks at the socket's state",
    shell: "evasions fast-open 934",
    query: connected(934),
    unseenBy: ["fentry/security_socket_connect"],
  }),
  evasion("connect", "mapped-address", {
    trick: "An IPv4 address in IPv6 clothes (`::ffff:127.0.0.1`)",
    how: "it is told as the IPv4 address",
    shell: "evasions mapped-connect 935",
    query: connected(935),
  }),
  evasion("exec", "argv0", {
    trick: "Another name in argv[0]",
    how: "`process.name` and `process.executable` are the file's; argv[0] is only an argument",
    shell: "exec -a '[kworker/0:1]' /bin/nothing argv0",
    query: `${EXEC} process.args[1] == "argv0" and process.args[0] == "[kworker/0:1]" and process.name == "nothing"`,
  }),
  evasion("file", "disguise", {
    trick: "Arguments and thread name overwritten by the program itself",
    how: "arguments are those it was started with",
    shell: "evasions disguise disguised",
    query: `${MADE} "${HERE}/disguised" and process.command_line == "evasions disguise disguised" and process.name == "evasions"`,
  }),
  evasion("exec", "thread", {
    trick: "exec by a thread that is not the first",
    how: "the process keeps its pid, and has one exec",
    shell: "evasions thread-exec /bin/nothing",
    query: `sequence by process.pid [${EXEC} process.args[1] == "thread-exec"] [${EXEC} process.args[0] == "thread"]`,
  }),
  evasion("exec", "pid-reuse", {
    trick: "A pid used again by another program",
    how: "`process.entity_id` is of pid and start time: two processes stay two (within one hundredth of a second, which needs a chosen pid and so CAP_CHECKPOINT_RESTORE, they share the id)",
    shell: "cp /bin/nothing one; evasions reused-pid ./one /bin/nothing",
    query: `sequence by process.pid [${EXEC} process.args[1] == "first" and process.executable == "${HERE}/one"] as earlier
      [${EXEC} process.args[1] == "second" and process.entity_id != earlier.process.entity_id]`,
  }),
  evasion("fork", "double-fork", {
    trick: "A double fork, to lose the parent",
    how: "descent is remembered from the fork on: `descendant of` and `process.Ext.ancestry` still name the first",
    shell: "evasions double-fork /bin/nothing",
    query: `${EXEC} process.args[1] == "lost" and descendant of [process where process.args[1] == "double-fork"]`,
  }),
  evasion("exec", "long-arguments", {
    trick: "2 MB of arguments",
    how: "the first 256 KiB, flagged `process.Ext.args_truncated`",
    shell: "evasions long-exec /bin/nothing",
    query: `${EXEC} process.executable == "/bin/nothing" and process.Ext.args_truncated == true and length(process.args[2]) == 125000`,
  }),
  evasion("exec", "long-arguments-tail", {
    trick: "What is meant stands behind 256 KiB of arguments",
    result: "not covered",
    how: "only the flag says that there is more",
    shell: "cp /bin/nothing long; evasions long-exec ./long",
    query: `${EXEC} process.executable == "${HERE}/long" and process.command_line : "*hidden-tail"`,
  }),
  evasion("file", "deep-path", {
    trick: "A path of more than 96 steps",
    result: "seen under another name",
    how: "the last 96 steps, as `…/tail`",
    shell: "p=d; for i in $(seq 7); do p=$p/$p; done; mkdir -p $p; cd $p; echo >deep",
    query: `file where event.action == "creation" and file.name == "deep" and file.path : "…/d/*/deep"`,
  }),
  evasion("file", "inherited-write", {
    trick: "Writing through a descriptor that another program opened",
    result: "not covered",
    how: "opening is the event, and belongs to the program that opened",
    shell: "evasions inherited-write inherited",
    query: `file where file.path == "${HERE}/inherited" and process.args[0] == "sh"`,
  }),
  evasion("exec", "file-flood", {
    trick: "A flood of files meant to hide one exec",
    how: "processes and rare acts have a ring of their own",
    shell: "evasions file-flood /bin/nothing 12000",
    query: `${EXEC} process.args[1] == "amid-files"`,
  }),
];
