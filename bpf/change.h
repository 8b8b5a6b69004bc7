/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The calls that change files: what each does, and where in its arguments the names are. */
#ifndef KESTREL_CHANGE_H
#define KESTREL_CHANGE_H

#include "event.h"
#include "syscall.h"

static __always_inline __u16 kind_of(__u16 call)
{
	switch (call) {
	case CALL_RENAME: case CALL_RENAMEAT: return CHANGE_RENAME;
	case CALL_UNLINK: case CALL_UNLINKAT: return CHANGE_UNLINK;
	case CALL_RMDIR: return CHANGE_RMDIR;
	case CALL_LINK: case CALL_LINKAT: return CHANGE_LINK;
	case CALL_SYMLINK: case CALL_SYMLINKAT: return CHANGE_SYMLINK;
	case CALL_CHMOD: case CALL_FCHMOD: case CALL_FCHMODAT: return CHANGE_MODE;
	case CALL_CHOWN: case CALL_FCHOWN: case CALL_FCHOWNAT: return CHANGE_OWNER;
	case CALL_MKDIR: case CALL_MKDIRAT: case CALL_MKNOD: case CALL_MKNODAT: return CHANGE_MAKE;
	case CALL_TRUNCATE: return CHANGE_TRUNCATE;
	case CALL_SET_ATTRIBUTE: case CALL_FSET_ATTRIBUTE: case CALL_SET_ATTRIBUTEAT: return CHANGE_ATTRIBUTE_SET;
	case CALL_REMOVE_ATTRIBUTE: case CALL_FREMOVE_ATTRIBUTE: case CALL_REMOVE_ATTRIBUTEAT: return CHANGE_ATTRIBUTE_REMOVE;
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

static __always_inline void names_of(__u16 call, const __u64 a[6], struct names *names)
{
	names->folder = AT_FDCWD;
	names->other_folder = AT_FDCWD;
	switch (call) {
	case CALL_RENAME: case CALL_LINK: case CALL_SYMLINK:
		names->other_name = a[0];
		names->name = a[1];
		break;
	case CALL_RENAMEAT: case CALL_LINKAT:
		names->other_folder = a[0];
		names->other_name = a[1];
		names->folder = a[2];
		names->name = a[3];
		break;
	case CALL_SYMLINKAT:
		names->other_name = a[0];
		names->folder = a[1];
		names->name = a[2];
		break;
	case CALL_FCHMOD: case CALL_FCHOWN:
		names->folder = a[0];
		names->values[0] = a[1];
		names->values[1] = a[2];
		break;
	case CALL_SET_ATTRIBUTE: case CALL_REMOVE_ATTRIBUTE:
		names->name = a[0];
		names->other_name = a[1];
		break;
	case CALL_FSET_ATTRIBUTE: case CALL_FREMOVE_ATTRIBUTE:
		names->folder = a[0];
		names->other_name = a[1];
		break;
	case CALL_SET_ATTRIBUTEAT: case CALL_REMOVE_ATTRIBUTEAT:
		names->folder = a[0];
		names->name = a[1];
		names->other_name = a[3];
		break;
	case CALL_TRUNCATE:
		names->name = a[0];
		break;
	case CALL_UNLINK: case CALL_RMDIR: case CALL_CHMOD: case CALL_CHOWN: case CALL_MKDIR: case CALL_MKNOD:
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
