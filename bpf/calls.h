/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * System calls by name. Numbers differ by architecture and by kind of code, so user space translates them: for each number that matters
 * the table `calls` has the call it is to 64-bit code and the one it is to 32-bit code. The high byte of a call is the family whose program
 * handles it. Shared with user space: src/ebpf/system-calls.ts has the same values, and a test compares them.
 */
#ifndef KESTREL_CALLS_H
#define KESTREL_CALLS_H

#define CALL_NUMBERS 1024	/* numbers the table has; x32's own are 512 to 547 */
#define CALL_FAMILY_SHIFT 8
#define CALL_NARROW_IDS 0x8000	/* bit beside a call: its user ids have 16 bits */

/* Programs by family: the index in `call_programs`. */
enum call_family {
	FAMILY_FILE = 1,
	FAMILY_CHANGE = 2,
	FAMILY_ACT = 3,
	FAMILY_SOCKET = 4,
	FAMILY_MEMORY = 5,
	FAMILY_ATTRIBUTE = 6,
	FAMILY_UNIX = 7,
	FAMILY_CREDENTIAL = 8,
	FAMILY_COUNT = 16,
};

enum call {
	CALL_NONE = 0,
	CALL_OPEN = 0x100, /* any call that returns the descriptor of a file by path or handle */
	CALL_RENAME = 0x200, /* two paths; the *AT calls: each below a folder */
	CALL_RENAMEAT = 0x201,
	CALL_UNLINK = 0x202,
	CALL_UNLINKAT = 0x203,
	CALL_RMDIR = 0x204,
	CALL_LINK = 0x205,
	CALL_LINKAT = 0x206,
	CALL_SYMLINK = 0x207,
	CALL_SYMLINKAT = 0x208,
	CALL_CHMOD = 0x209,
	CALL_FCHMOD = 0x20a,
	CALL_FCHMODAT = 0x20b,
	CALL_MKDIR = 0x20f,
	CALL_MKDIRAT = 0x210,
	CALL_MKNOD = 0x211,
	CALL_MKNODAT = 0x212,
	CALL_TRUNCATE = 0x213,
	CALL_PTRACE = 0x303,
	CALL_MEMORY_READ = 0x304, /* process_vm_readv */
	CALL_MEMORY_WRITE = 0x305,
	CALL_BPF = 0x306,
	CALL_MEMFD = 0x307,
	CALL_MOUNT = 0x308,
	CALL_MOVE_MOUNT = 0x309,
	CALL_ROOT = 0x30a, /* pivot_root, chroot */
	CALL_IO_URING = 0x30b,
	CALL_USERFAULTFD = 0x30c,
	CALL_UNSHARE = 0x30d,
	CALL_SETNS = 0x30e,
	CALL_KEXEC = 0x311,
	CALL_KEXEC_FILE = 0x312,
	CALL_KEYCTL = 0x313,
	CALL_ADD_KEY = 0x314,
	CALL_REQUEST_KEY = 0x315,
	CALL_UMOUNT = 0x316,
	CALL_SETSID = 0x317,
	CALL_OPEN_TREE = 0x318, /* open_tree_attr too */
	CALL_FSMOUNT = 0x319,
	CALL_MOUNT_SETATTR = 0x31a,
	CALL_FSCONFIG = 0x31b,
	CALL_PIDFD_GETFD = 0x31c,
	CALL_IOCTL = 0x31d, /* what it does is its second argument */
	CALL_ACCEPT = 0x400, /* accept4 too */
	CALL_SOCKETCALL = 0x401, /* of 32-bit code: what it does is its first argument */
	CALL_CONNECT = 0x700,
	CALL_MMAP = 0x500,
	CALL_OLD_MMAP = 0x501, /* of 32-bit code: its arguments lie in memory */
	CALL_MPROTECT = 0x502, /* pkey_mprotect too */
	CALL_CHOWN = 0x600, /* lchown too */
	CALL_FCHOWN = 0x601,
	CALL_FCHOWNAT = 0x602,
	CALL_SET_ATTRIBUTE = 0x603, /* setxattr, lsetxattr */
	CALL_FSET_ATTRIBUTE = 0x604,
	CALL_SET_ATTRIBUTEAT = 0x605,
	CALL_REMOVE_ATTRIBUTE = 0x606,
	CALL_FREMOVE_ATTRIBUTE = 0x607,
	CALL_REMOVE_ATTRIBUTEAT = 0x608,
	CALL_SET_USER = 0x800, /* setuid, setreuid, setresuid */
	CALL_SET_GROUP = 0x801,
	CALL_CAPSET = 0x802,
};

#endif
