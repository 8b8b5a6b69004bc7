/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The calls behind rare acts: their numbers, and what each is. */
#ifndef KESTREL_ACT_H
#define KESTREL_ACT_H

#include "event.h"
#include "syscall.h"

#if defined(__TARGET_ARCH_x86)
enum { /* clang-format off */
	NR_PTRACE = 101, NR_SETUID = 105, NR_SETGID = 106, NR_SETREUID = 113, NR_SETREGID = 114, NR_SETRESUID = 117, NR_SETRESGID = 119,
	NR_CAPSET = 126, NR_PIVOT_ROOT = 155, NR_CHROOT = 161, NR_MOUNT = 165, NR_UNSHARE = 272, NR_SETNS = 308, NR_VM_READ = 310,
	NR_VM_WRITE = 311, NR_MEMFD = 319, NR_BPF = 321, NR_USERFAULTFD = 323, NR_IO_URING = 425, NR_MOVE_MOUNT = 429,
}; /* clang-format on */

/* The same calls of 32-bit code, those with 16-bit user ids too. */
static __always_inline __u32 native_number(__u32 compat)
{
	switch (compat) {
	case 21: return NR_MOUNT;
	case 23: case 213: return NR_SETUID;
	case 26: return NR_PTRACE;
	case 46: case 214: return NR_SETGID;
	case 61: return NR_CHROOT;
	case 70: case 203: return NR_SETREUID;
	case 71: case 204: return NR_SETREGID;
	case 164: case 208: return NR_SETRESUID;
	case 170: case 210: return NR_SETRESGID;
	case 185: return NR_CAPSET;
	case 217: return NR_PIVOT_ROOT;
	case 310: return NR_UNSHARE;
	case 346: return NR_SETNS;
	case 347: return NR_VM_READ;
	case 348: return NR_VM_WRITE;
	case 356: return NR_MEMFD;
	case 357: return NR_BPF;
	case 374: return NR_USERFAULTFD;
	case NR_IO_URING: return NR_IO_URING;
	case NR_MOVE_MOUNT: return NR_MOVE_MOUNT;
	default: return NR_NONE;
	}
}

/* Code with 32-bit pointers has numbers of its own for calls that take memory of such a layout. */
static __always_inline __u32 without_x32(__u32 number)
{
	if (!(number & X32_BIT))
		return number;
	switch (number & ~X32_BIT) {
	case 521: return NR_PTRACE;
	case 539: return NR_VM_READ;
	case 540: return NR_VM_WRITE;
	default: return number & ~X32_BIT;
	}
}
#else
enum { /* clang-format off */
	NR_MOUNT = 40, NR_PIVOT_ROOT = 41, NR_CHROOT = 51, NR_CAPSET = 91, NR_UNSHARE = 97, NR_PTRACE = 117, NR_SETREGID = 143,
	NR_SETGID = 144, NR_SETREUID = 145, NR_SETUID = 146, NR_SETRESUID = 147, NR_SETRESGID = 149, NR_SETNS = 268, NR_VM_READ = 270,
	NR_VM_WRITE = 271, NR_MEMFD = 279, NR_BPF = 280, NR_USERFAULTFD = 282, NR_IO_URING = 425, NR_MOVE_MOUNT = 429,
}; /* clang-format on */

static __always_inline __u32 native_number(__u32 compat)
{
	return NR_NONE;
}

static __always_inline __u32 without_x32(__u32 number)
{
	return number;
}
#endif

static __always_inline __u16 act_of(__u32 number)
{
	switch (number) {
	case NR_SETUID: case NR_SETREUID: case NR_SETRESUID: return ACT_USER_IDS;
	case NR_SETGID: case NR_SETREGID: case NR_SETRESGID: return ACT_GROUP_IDS;
	case NR_CAPSET: return ACT_CAPABILITIES;
	case NR_PTRACE: return ACT_PTRACE;
	case NR_VM_READ: return ACT_MEMORY_READ;
	case NR_VM_WRITE: return ACT_MEMORY_WRITE;
	case NR_BPF: return ACT_BPF_LOAD;
	case NR_MEMFD: return ACT_MEMFD;
	case NR_MOUNT: case NR_MOVE_MOUNT: return ACT_MOUNT;
	case NR_PIVOT_ROOT: case NR_CHROOT: return ACT_ROOT;
	case NR_IO_URING: return ACT_IO_URING;
	case NR_USERFAULTFD: return ACT_USERFAULTFD;
	case NR_UNSHARE: case NR_SETNS: return ACT_NAMESPACE;
	default: return 0;
	}
}

#endif
