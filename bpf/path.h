/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Path of a file as the root of its mount namespace sees it, above any chroot. bpf_d_path is not allowed at raw tracepoints, so this walks
 * dentries and mounts itself. Names are appended from the file up, each with its NUL; user space turns them round.
 */
#ifndef KESTREL_PATH_H
#define KESTREL_PATH_H

#include "sensor.h"

/* Names and mount borders of one path. The verifier walks each step once, so this bounds load time as well as run time. */
#define PATH_STEPS_MAX 96
#define NAME_BYTES_MAX 256

static __always_inline struct mount *mount_of(struct vfsmount *mnt)
{
	return (struct mount *)((char *)mnt - bpf_core_field_offset(struct mount, mnt));
}

/*
 * Appends the path to the scratch record, returns its bytes. A global function: verified once, however often it is called.
 * The arguments are kernel addresses; scalars, as older kernels take nothing else here.
 */
__noinline int append_path(__u64 vfsmount, __u64 start)
{
	struct record *record = scratch_record();
	struct mount *mount = mount_of((struct vfsmount *)vfsmount);
	struct dentry *root = BPF_CORE_READ(mount, mnt.mnt_root);
	struct dentry *dentry = (struct dentry *)start;
	__u32 begin, limit;

	if (!record)
		return 0;
	begin = record->used;
	limit = begin + PATH_BYTES_MAX - NAME_BYTES_MAX;
	for (int i = 0; i < PATH_STEPS_MAX; i++) {
		struct dentry *parent;
		__u32 used = record->used;
		long length;

		if (dentry == root) {
			struct mount *below = BPF_CORE_READ(mount, mnt_parent);

			if (below == mount)
				return record->used - begin;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = below;
			root = BPF_CORE_READ(mount, mnt.mnt_root);
			continue;
		}
		if (used > limit || used > RECORD_BYTES - NAME_BYTES_MAX)
			break;
		length = bpf_probe_read_kernel_str(record->bytes + used, NAME_BYTES_MAX, BPF_CORE_READ(dentry, d_name.name));
		if (length <= 0) {
			record->head.flags |= FLAG_READ_FAILED;
			break;
		}
		record->used = used + length;
		parent = BPF_CORE_READ(dentry, d_parent);
		/* A file without a directory: a memory file, or one of a filesystem that is mounted nowhere. */
		if (parent == dentry)
			return record->used - begin;
		dentry = parent;
	}
	record->head.flags |= FLAG_PATH_CUT;
	return record->used - begin;
}

#endif
