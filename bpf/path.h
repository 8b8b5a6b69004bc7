/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Path of a file as the current process sees it, as d_path() has it: up to the process's root directory, or for a file outside of that up to
 * the root of the mount namespace. bpf_d_path is not allowed at raw tracepoints, so this walks dentries and mounts itself. Names are
 * appended from the file up, each with its NUL; user space turns them round.
 */
#ifndef KESTREL_PATH_H
#define KESTREL_PATH_H

#include "sensor.h"
#ifdef PATH_IS_TESTED
#include "demand.h"
#endif

/* Names and mount borders of one path: bounds run time. */
#define PATH_STEPS_MAX 96
#define NAME_BYTES_MAX 256

static __always_inline struct mount *mount_of(__u64 vfsmount)
{
	return (struct mount *)(vfsmount - bpf_core_field_offset(struct mount, mnt));
}

/* Appends one name to the record. False: no room, or the name could not be read. */
static __always_inline bool append_name(struct record *record, struct dentry *dentry)
{
	__u32 used = record->used;
	long length;

	if (used > record->path_limit || used > RECORD_BYTES - NAME_BYTES_MAX)
		return false;
	length = bpf_probe_read_kernel_str(record->bytes + used, NAME_BYTES_MAX, BPF_CORE_READ(dentry, d_name.name));
	if (length <= 0) {
		record->head.flags |= FLAG_READ_FAILED;
		return false;
	}
	record->used = used + length;
	return true;
}

/*
 * One step of a walk whose state is in the scratch record: 0 to go on, 1 at the root, -1 when the path must be cut. A global function, so
 * it is verified once on its own; a loop around it costs the verifier a few instructions a round, where the same code inlined was more
 * than Linux 6.1 would look at.
 */
__noinline int path_step(void)
{
	struct record *record = scratch_record();
	struct dentry *dentry, *parent;
	struct mount *mount, *below;

	if (!record)
		return -1;
	dentry = (struct dentry *)record->walk_dentry;
	mount = (struct mount *)record->walk_mount;
	if (record->walk_dentry == record->root_dentry && record->walk_mount == record->root_mount)
		return 1;
	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		below = BPF_CORE_READ(mount, mnt_parent);
		if (below == mount)
			return 1;
		record->walk_dentry = (__u64)BPF_CORE_READ(mount, mnt_mountpoint);
		record->walk_mount = (__u64)below;
		return 0;
	}
	if (!append_name(record, dentry))
		return -1;
#ifdef PATH_IS_TESTED
	test_name((__u64)BPF_CORE_READ(dentry, d_name.name));
#endif
	parent = BPF_CORE_READ(dentry, d_parent);
	/* A file without a directory: a memory file, or one of a filesystem that is mounted nowhere. */
	if (parent == dentry)
		return 1;
	record->walk_dentry = (__u64)parent;
	return 0;
}

/* Appends the path of a file up to the root that is set in the scratch record. Returns its bytes. */
static __always_inline __u16 append_path_up(struct record *record, struct vfsmount *vfsmount, struct dentry *dentry)
{
	__u32 begin = record->used;

	record->walk_mount = (__u64)mount_of((__u64)vfsmount);
	record->walk_dentry = (__u64)dentry;
	record->path_limit = begin + PATH_BYTES_MAX - NAME_BYTES_MAX;
	for (int i = 0; i < PATH_STEPS_MAX; i++) {
		int result = path_step();

		if (result > 0)
			return record->used - begin;
		if (result < 0)
			break;
	}
	record->head.flags |= FLAG_PATH_CUT;
	return record->used - begin;
}

/* The same of a kernel struct path, up to the root of the current process. */
static __always_inline __u16 append_path(struct record *record, struct vfsmount *vfsmount, struct dentry *dentry)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	record->root_mount = (__u64)mount_of((__u64)BPF_CORE_READ(task, fs, root.mnt));
	record->root_dentry = (__u64)BPF_CORE_READ(task, fs, root.dentry);
	return append_path_up(record, vfsmount, dentry);
}

#endif
