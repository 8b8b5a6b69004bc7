/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the sensors write into the rings and count in the counter map. Shared with user space: src/ebpf/wire.ts holds the same offsets and
 * a test compares them with what a compiled offsetof says. Fixed-width types, widest first, every padding named. Op numbers are never
 * reused.
 */
#ifndef KESTREL_EVENT_H
#define KESTREL_EVENT_H

#include <linux/types.h>

enum event_op {
	OP_EXEC = 1,
	OP_ARGS = 2, /* more bytes of the arguments or the environment of the exec before it on the same pid */
	OP_FORK = 3,
	OP_EXIT = 4,
	OP_FILE = 5,
	OP_CONNECT = 6,
	OP_CHANGE = 7,
	OP_ACT = 8,
	OP_BIND = 9,
	OP_LISTEN = 10,
	OP_SEND = 11, /* a first datagram to somewhere, sent without connect */
	OP_DNS = 12,
	OP_ACCEPT = 13,
	OP_DENIED = 14, /* an exec or an open that a policy has denied: it did not happen */
	OP_UNIX = 15,
	OP_COUNT = 16, /* rows of the counter map */
};

/* Bits of event_header.flags. */
enum event_flag {
	FLAG_PATH_CUT = 1,	 /* a path is incomplete: its outermost directories are missing */
	FLAG_ARGS_CUT = 2,	 /* arguments above ARGS_BYTES_MAX were left out */
	FLAG_READ_FAILED = 4,	 /* some kernel or user memory could not be read */
	FLAG_SCRIPT = 8,	 /* exec: the file named by the caller is a script, not the program that runs */
	FLAG_PRIVILEGED = 16,	 /* exec: a setuid, setgid or file-capability exec (AT_SECURE) */
	FLAG_CREATED = 32,	 /* file: this open made the file */
	FLAG_WATCHED = 64,	 /* file: opened for reading, reported because its name is on the watch list */
	FLAG_ENV = 128,		 /* args: bytes of the environment, not of the arguments */
	FLAG_ENV_CUT = 256,	 /* environment above ENV_BYTES_MAX was left out */
	FLAG_POLICY = 512,	 /* a policy matched: the record ends with a struct policy_note, see policy.h */
	FLAG_UNEARNED = 1024,	 /* act: ids or capabilities that the old credentials gave no right to */
};

#define COMM_BYTES 16
#define PATH_BYTES_MAX 4096	   /* bytes of one path in a record */
#define FILENAME_BYTES_MAX 4096	   /* bytes of the name given to execve */
#define ARGS_CHUNK_BYTES 16384	   /* bytes of arguments in one record */
#define ARGS_BYTES_MAX (256 << 10) /* bytes of arguments in all records of one exec */
#define ENV_BYTES_MAX (64 << 10)   /* bytes of the environment in all records of one exec */
#define ACT_TEXT_BYTES_MAX 512	   /* bytes of the text of an act */
#define DNS_SHORT_BYTES 232	   /* bytes of a DNS message in a short record */
#define DNS_BYTES_MAX 1472	   /* bytes of a DNS message in a long one: what a packet of Ethernet holds */
#define UNIX_NAME_BYTES 108	   /* what a socket address holds */
#define WATCH_NAME_BYTES 32	   /* key of the watch list: a file or directory name with zero padding */

/* Values of the watch list. */
#define WATCH_NAME 1   /* a file of this name */
#define WATCH_PARENT 2 /* any file in a directory of this name */

/* Begins every record: who did it. Ids are those of the initial namespaces. */
struct event_header {
	__u64 time_ns;	       /* CLOCK_BOOTTIME */
	__u64 start_ns;	       /* boot time at which the process began */
	__u64 parent_start_ns; /* the same of its parent */
	__u64 cgroup_id;       /* cgroup v2 */
	__u32 pid;	       /* process (tgid) */
	__u32 tid;	       /* thread that did it */
	__u32 ppid;
	__u32 vpid; /* the process in its own pid namespace */
	__u32 uid;
	__u32 gid;
	__u32 euid;
	__u32 egid;
	__u32 suid;
	__u32 sgid;
	__u32 login_uid;
	__u32 audit_session;
	__u32 pgid;
	__u32 sid;
	__u32 tty; /* major << 20 | minor, 0: none */
	__u16 op;
	__u16 flags;
	char comm[COMM_BYTES];
};

/*
 * The program that runs now. Behind it, one after another without padding: executable path, working directory (both as path names from
 * the file up to the root, each with its NUL), the filename given to execve, the first bytes of the arguments, the first of the environment.
 */
struct exec_event {
	struct event_header head;
	__u64 inode;
	__u64 cap_effective; /* of the thread that runs the program now */
	__u64 cap_permitted;
	__u64 size; /* of the file */
	__u64 change_s; /* its ctime: with device, inode and size it tells one content from another */
	__u32 change_ns;
	__u32 fs_magic;
	__u32 device; /* major << 20 | minor */
	__u32 nlink;
	__u32 mode;
	__u32 owner;
	__u32 args_size;  /* bytes of all arguments of the process */
	__u32 args_bytes; /* of these in this record */
	__u32 env_size;	  /* the same of its environment */
	__u32 env_bytes;
	__u16 path_bytes;
	__u16 cwd_bytes;
	__u16 filename_bytes;
	__u16 pad;
};

/* args_bytes more bytes of arguments follow, or with FLAG_ENV of environment. */
struct args_event {
	struct event_header head;
	__u32 offset; /* of the first byte within all arguments */
	__u32 args_bytes;
};

/* The header's identity is the new process. */
struct fork_event {
	struct event_header head;
	__u32 forker_pid; /* process that called fork; differs from ppid with CLONE_PARENT */
	__u32 pad;
};

struct exit_event {
	struct event_header head;
	__u32 code; /* as wait(2) reports it: exit code << 8 | signal */
	__u32 pad;
};

/* path_bytes of path names follow, from the file up to the root. */
struct file_event {
	struct event_header head;
	__u64 inode;
	__u64 size; /* at the time of the open */
	__u32 device;
	__u32 mode;
	__u32 owner;
	__u32 group;
	__u32 open_flags;
	__u32 nlink;
	__u32 fs_magic;
	__u16 path_bytes;
	__u16 pad;
};

/* What a change_event says was done. Numbers are never reused. */
enum change_kind {
	CHANGE_RENAME = 1,
	CHANGE_UNLINK = 2,
	CHANGE_RMDIR = 3,
	CHANGE_LINK = 4,
	CHANGE_SYMLINK = 5,
	CHANGE_MODE = 6,
	CHANGE_OWNER = 7,
	CHANGE_MAKE = 8, /* a folder, device, pipe or socket; values: its mode with its type */
	CHANGE_ATTRIBUTE_SET = 9, /* an extended attribute; the other name is the attribute's */
	CHANGE_ATTRIBUTE_REMOVE = 10,
	CHANGE_TRUNCATE = 11, /* by its path; by a descriptor it was opened for writing before */
};

/*
 * A name, or what the inode says of a file, was changed, and the call succeeded. Behind it, one after another without padding, for the
 * object and then for its other name (the old one of a rename, the file that was linked; for a symbolic link the text it holds, of an extended attribute its name): the name as
 * the caller wrote it with its NUL, and the path names of the folder it is below, from that up to the root. An absolute name has no folder;
 * a file that was named by its descriptor, or seen by the kernel's objects, has no name, and its own path as the folder.
 */
struct change_event {
	struct event_header head;
	__u64 inode; /* of the file, when the call named it by its descriptor; 0: not known */
	__u64 size;
	__u32 device;
	__u32 file_mode; /* after the change, with its type */
	__u32 owner;
	__u32 group;
	__u32 values[2]; /* mode; owner and group, -1: left as it was */
	__u16 kind;
	__u16 name_bytes;
	__u16 folder_bytes;
	__u16 other_name_bytes;
	__u16 other_folder_bytes;
	__u16 pad[3];
};

/* What an act_event says was done. Numbers are never reused. */
enum act_kind {
	ACT_USER_IDS = 1,  /* the header has the new ids */
	ACT_GROUP_IDS = 2,
	ACT_CAPABILITIES = 3, /* values: effective, permitted */
	ACT_PTRACE = 4,
	ACT_MEMORY_READ = 5, /* another process's */
	ACT_MEMORY_WRITE = 6,
	ACT_SIGNAL = 7, /* values: its number */
	ACT_BPF_LOAD = 8, /* values: type of the program; text: its name */
	ACT_MEMFD = 9, /* text: its name */
	ACT_MOUNT = 10, /* path: where; or text: the same, as the caller wrote it */
	ACT_ROOT = 11, /* pivot_root, chroot; text: the new root, as the caller wrote it */
	ACT_IO_URING = 12,
	ACT_USERFAULTFD = 13,
	ACT_NAMESPACE = 14, /* values: CLONE_NEW flags, an enum act_way; target: the new process of a clone */
	ACT_MODULE_LOAD = 15, /* values: taint flags; text: name of the module; path: its file, as far as known */
	ACT_MODULE_UNLOAD = 16, /* text: name of the module */
	ACT_MMAP = 17, /* memory that can be written and executed; values: its protection */
	ACT_MPROTECT = 18, /* the same, or without PROT_WRITE: memory that could be written before */
	ACT_KEXEC = 19, /* another kernel was put ready; path: its file, as far as known */
	ACT_KEY = 20, /* values: KEYCTL_ operation, or an enum act_way */
	ACT_MEMORY_OPEN = 21, /* /proc/PID/mem opened for writing */
	ACT_UMOUNT = 22, /* path or text: where, as of a mount */
	ACT_SESSION = 23, /* the header has the new session */
	ACT_MEMORY_OPEN_READ = 24, /* /proc/PID/mem of another process opened for reading alone */
	ACT_PIDFD_GETFD = 25, /* a copy of a descriptor of the target */
};

/* Which of several calls an act was done by. */
enum act_way {
	WAY_UNSHARE = 1,
	WAY_SETNS = 2,
	WAY_CLONE = 3,
	WAY_ADD_KEY = 0x100, /* above every KEYCTL_ operation */
	WAY_REQUEST_KEY = 0x101,
};

/* A rare act that says much. text_bytes of text follow, its NUL among them, then path_bytes of path names, from a file up to the root. */
struct act_event {
	struct event_header head;
	__u64 values[2];
	__u64 target_start_ns; /* boot time at which the target process began; 0: not known */
	__u32 target_pid;      /* 0: none, or one that only its own pid namespace knows */
	__u16 kind;
	__u16 text_bytes;
	__u16 path_bytes;
	__u16 pad[3];
};

/*
 * What a process does with a socket of the Internet. The destination is the end that is asked for: the far end of a connection the process
 * makes, its own end of one that it accepts, the address it binds or listens at.
 */
struct flow_event {
	struct event_header head;
	__u8 source[16]; /* network order; IPv4 in the first four bytes */
	__u8 destination[16];
	__u16 family;	/* AF_INET, AF_INET6 */
	__u16 protocol; /* IPPROTO_ */
	__u16 source_port;
	__u16 destination_port;
};

/*
 * A DNS message that a process sent to port 53, or the answer that came back to its socket. The header is that of the process that
 * asked, in both. The message follows, and behind it bytes without a meaning up to the record's end.
 */
struct dns_event {
	struct event_header head;
	__u8 source[16]; /* as in flow_event, of the packet itself */
	__u8 destination[16];
	__u16 family;
	__u16 protocol;
	__u16 source_port;
	__u16 destination_port;
	__u16 message_size;  /* bytes of the message on the wire */
	__u16 message_bytes; /* of these in this record */
	__u16 is_answer;
	__u16 pad;
};

/* Behind it the path from the root on without its NUL, and a struct policy_note. Of an exec the header has the user ids it would have had. */
struct denied_event {
	struct event_header head;
	__u64 inode;
	__u64 size;
	__u32 device;
	__u32 mode;
	__u32 owner;
	__u32 group;
	__u32 open_flags;
	__u32 nlink;
	__u16 about; /* OP_EXEC, OP_FILE */
	__u16 path_bytes;
	__u32 pad;
};

/*
 * A process connected to a local (UNIX) socket. path_bytes of path names follow, from the socket's file up to the root; a socket with an
 * abstract name has no file.
 */
struct unix_event {
	struct event_header head;
	__u16 path_bytes;
	__u16 name_bytes; /* of the name it was bound to, as far as it has room */
	__u32 pad;
	char name[UNIX_NAME_BYTES];
	__u32 end_pad;
};

/* One row of the per-CPU counter map, by op. */
struct sensor_counters {
	__u64 produced;	   /* records the sensor tried to send */
	__u64 dropped;	   /* of these, refused by a full ring */
	__u64 truncated;   /* sent with something cut */
	__u64 read_failed; /* sent with something unreadable */
	__u64 filtered;	   /* not made, because no rule can match them; none of the above */
};

#define DEMAND_NAME_BYTES 32   /* key of the names: in lower case, with zero padding, the last byte the generation */
#define DEMAND_NAMES_MAX 2048
#define DEMAND_USERS_MAX 256
#define DEMAND_PORTS_MAX 256
#define DEMAND_GROUPS_MAX 2048
#define DEMAND_BLOCKS_MAX 1024

/* Kinds of events that the demand tells apart, as bits. */
enum demand_class {
	DEMAND_CREATION = 1,
	DEMAND_MODIFICATION = 2,
	DEMAND_OPEN = 4,
	DEMAND_CONNECT = 8, /* and datagrams */
	DEMAND_ACCEPT = 16,
	DEMAND_BIND = 32,
	DEMAND_LISTEN = 64,
	DEMAND_UNIX = 128,
	DEMAND_CHANGE = 256, /* shifted by the enum change_kind */
};

/* Which classes user space wants, and of which only what passes a test. */
struct demand {
	__u32 wanted;
	__u32 tested;	   /* of these, the ones with tests: of names, users, ports, addresses or control groups */
	__u32 names;	   /* of the tested, those with tests of names, which only programs that walk the path can make */
	__u32 extensions;  /* of the tested, those with tests of extensions */
	__u32 users;	   /* of the tested, those with tests of users */
	__u32 other_users; /* of these, those that a user passes who is not in the table */
	__u32 ports;	   /* of the tested, those with tests of ports */
	__u32 groups;	   /* of the tested, those with tests of control groups */
	__u32 addresses;   /* of the tested, those with tests of addresses */
	__u32 generation;  /* of the elements that count, 1 or 2: those of the other one are being replaced */
};

/* A user or a port. */
struct demand_number {
	__u32 number;
	__u32 generation;
};

/* A block of addresses, IPv4 as ::ffff:a.b.c.d. The prefix counts the generation too. */
struct demand_block {
	__u32 prefix_bits;
	__u32 generation;
	__u8 address[16];
};

/* A control group. */
struct demand_group {
	__u64 id;
	__u32 generation;
	__u32 pad;
};

/* What a name says, by where on the path it is: the classes that it passes. */
struct demand_name {
	__u32 names;	  /* last on the path */
	__u32 folders;	  /* anywhere else */
	__u32 extensions; /* behind the last dot of the last name */
	__u32 pad;
};

#endif
