/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The calls that change files: their numbers, what each does, and where in its arguments the names are. */
#ifndef KESTREL_CHANGE_H
#define KESTREL_CHANGE_H

#include "event.h"
#include "syscall.h"

#if defined(__TARGET_ARCH_x86)
enum { /* clang-format off */
	NR_RENAME = 82, NR_RMDIR = 84, NR_LINK = 86, NR_UNLINK = 87, NR_SYMLINK = 88, NR_CHMOD = 90, NR_FCHMOD = 91, NR_CHOWN = 92,
	NR_FCHOWN = 93, NR_LCHOWN = 94, NR_FCHOWNAT = 260, NR_UNLINKAT = 263, NR_RENAMEAT = 264, NR_LINKAT = 265, NR_SYMLINKAT = 266,
	NR_FCHMODAT = 268, NR_RENAMEAT2 = 316, NR_FCHMODAT2 = 452,
}; /* clang-format on */

/* The same calls of 32-bit code, those with 16-bit user ids too. */
static __always_inline __u32 native_number(__u32 compat)
{
	switch (compat) {
	case 9: return NR_LINK;
	case 10: return NR_UNLINK;
	case 15: return NR_CHMOD;
	case 16: case 198: return NR_LCHOWN;
	case 38: return NR_RENAME;
	case 40: return NR_RMDIR;
	case 83: return NR_SYMLINK;
	case 94: return NR_FCHMOD;
	case 95: case 207: return NR_FCHOWN;
	case 182: case 212: return NR_CHOWN;
	case 298: return NR_FCHOWNAT;
	case 301: return NR_UNLINKAT;
	case 302: return NR_RENAMEAT;
	case 303: return NR_LINKAT;
	case 304: return NR_SYMLINKAT;
	case 306: return NR_FCHMODAT;
	case 353: return NR_RENAMEAT2;
	case NR_FCHMODAT2: return NR_FCHMODAT2;
	default: return NR_NONE;
	}
}
#else
enum { /* clang-format off */
	NR_UNLINKAT = 35, NR_SYMLINKAT = 36, NR_LINKAT = 37, NR_RENAMEAT = 38, NR_FCHMOD = 52, NR_FCHMODAT = 53, NR_FCHOWNAT = 54,
	NR_FCHOWN = 55, NR_RENAMEAT2 = 276, NR_FCHMODAT2 = 452,
	/* Calls this architecture does not have. */
	NR_RENAME = 0x10000, NR_RMDIR, NR_LINK, NR_UNLINK, NR_SYMLINK, NR_CHMOD, NR_CHOWN, NR_LCHOWN,
}; /* clang-format on */

static __always_inline __u32 native_number(__u32 compat)
{
	return NR_NONE;
}
#endif

static __always_inline __u16 kind_of(__u32 number)
{
	switch (number) {
	case NR_RENAME: case NR_RENAMEAT: case NR_RENAMEAT2: return CHANGE_RENAME;
	case NR_UNLINK: case NR_UNLINKAT: return CHANGE_UNLINK;
	case NR_RMDIR: return CHANGE_RMDIR;
	case NR_LINK: case NR_LINKAT: return CHANGE_LINK;
	case NR_SYMLINK: case NR_SYMLINKAT: return CHANGE_SYMLINK;
	case NR_CHMOD: case NR_FCHMOD: case NR_FCHMODAT: case NR_FCHMODAT2: return CHANGE_MODE;
	case NR_CHOWN: case NR_FCHOWN: case NR_LCHOWN: case NR_FCHOWNAT: return CHANGE_OWNER;
	default: return 0;
	}
}

/* Where the names of a call are: folder descriptors and user pointers; no pointer: the descriptor itself is meant. */
struct names {
	__u64 name;
	__u64 other_name;
	__s32 folder;
	__s32 other_folder;
	__u32 values[2];
};

static __always_inline void names_of(__u32 number, const __u64 a[6], struct names *names)
{
	names->folder = AT_FDCWD;
	names->other_folder = AT_FDCWD;
	switch (number) {
	case NR_RENAME: case NR_LINK:
		names->other_name = a[0];
		names->name = a[1];
		break;
	case NR_RENAMEAT: case NR_RENAMEAT2: case NR_LINKAT:
		names->other_folder = a[0];
		names->other_name = a[1];
		names->folder = a[2];
		names->name = a[3];
		break;
	case NR_SYMLINK:
		names->other_name = a[0];
		names->name = a[1];
		break;
	case NR_SYMLINKAT:
		names->other_name = a[0];
		names->folder = a[1];
		names->name = a[2];
		break;
	case NR_FCHMOD: case NR_FCHOWN:
		names->folder = a[0];
		names->values[0] = a[1];
		names->values[1] = a[2];
		break;
	case NR_UNLINK: case NR_RMDIR: case NR_CHMOD: case NR_CHOWN: case NR_LCHOWN:
		names->name = a[0];
		names->values[0] = a[1];
		names->values[1] = a[2];
		break;
	default:
		names->folder = a[0];
		names->name = a[1];
		names->values[0] = a[2];
		names->values[1] = a[3];
	}
}

#endif
