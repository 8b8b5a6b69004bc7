/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Preferred beside the system calls that act.bpf.c sees: the checks inside of them have the objects that the call named. What a thread was
 * last allowed is kept, and told when its call returns, so that an act has one event and only when it succeeded.
 */
#ifndef KESTREL_ACT_HOOKS_H
#define KESTREL_ACT_HOOKS_H

#include "path.h"

#define PTRACE_MODE_ATTACH 2
#define THREADS_MAX 1024
#define PIDFS_MAGIC 0x50494446

/* Whom a thread may attach to or reach the memory of. */
struct target {
	__u64 start_ns;
	__u32 pid;
	__u32 name; /* number by which the thread names it, in its own pid namespace */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, THREADS_MAX);
	__type(key, __u64); /* thread */
	__type(value, struct target);
} targets SEC(".maps");

/* Where a thread may mount, or what it may unmount: struct vfsmount and dentry. The mount itself holds them from then on. */
struct place {
	__u64 mount;
	__u64 dentry;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, THREADS_MAX);
	__type(key, __u64); /* thread */
	__type(value, struct place);
} places SEC(".maps");

/* Many ask this only to look at a process. */
SEC("?fexit/security_ptrace_access_check")
int kestrel_act_target(__u64 *ctx)
{
	struct task_struct *self = (struct task_struct *)bpf_get_current_task(), *other = (struct task_struct *)ctx[0];
	__u64 thread = bpf_get_current_pid_tgid();
	struct target target = {};

	if (!(ctx[1] & PTRACE_MODE_ATTACH) || (int)ctx[2])
		return 0;
	target.start_ns = BPF_CORE_READ(other, group_leader, start_boottime);
	target.pid = BPF_CORE_READ(other, tgid);
	target.name = pid_number(BPF_CORE_READ(other, thread_pid), BPF_CORE_READ(self, thread_pid, level));
	bpf_map_update_elem(&targets, &thread, &target, BPF_ANY);
	return 0;
}

static __always_inline int keep_place(__u64 mount, __u64 dentry)
{
	struct place place = { .mount = mount, .dentry = dentry };
	__u64 thread = bpf_get_current_pid_tgid();

	bpf_map_update_elem(&places, &thread, &place, BPF_ANY);
	return 0;
}

static __always_inline int keep_path(__u64 address)
{
	struct path *path = (struct path *)address;

	return keep_place((__u64)BPF_CORE_READ(path, mnt), (__u64)BPF_CORE_READ(path, dentry));
}

SEC("?fexit/security_sb_mount")
int kestrel_act_mount(__u64 *ctx)
{
	return (int)ctx[5] ? 0 : keep_path(ctx[1]);
}

SEC("?fexit/security_move_mount")
int kestrel_act_move_mount(__u64 *ctx)
{
	return (int)ctx[2] ? 0 : keep_path(ctx[1]);
}

/* Afterwards it is mounted nowhere. */
SEC("?fexit/security_sb_umount")
int kestrel_act_umount(__u64 *ctx)
{
	struct mount *mount = mount_of(ctx[0]), *below = BPF_CORE_READ(mount, mnt_parent);

	return (int)ctx[2] ? 0 : keep_place((__u64)&below->mnt, (__u64)BPF_CORE_READ(mount, mnt_mountpoint));
}

/* The number a caller means is one of its own pid namespace; in the initial one it is everybody's. */
static __always_inline __u32 initial_pid(struct task_struct *task, __u64 pid)
{
	return BPF_CORE_READ(task, thread_pid, level) == 0 ? pid : 0;
}

/* Of a process that a call named by its number, or that of one of its threads. */
static __always_inline void fill_target(struct act_event *act, struct task_struct *task, __u32 name)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct target *target = bpf_map_lookup_elem(&targets, &thread);

	/* What was kept may be of an earlier call: to reach its own memory a process asks nobody. */
	if (target && target->name == name) {
		act->target_pid = target->pid;
		act->target_start_ns = target->start_ns;
	} else {
		act->target_pid = initial_pid(task, name);
	}
}

/* Of a process that a call named by a descriptor. Linux 6.9 gave these a filesystem, where the inode knows the process. */
static __always_inline void fill_descriptor_target(struct act_event *act, struct file *file)
{
	struct inode *inode = BPF_CORE_READ(file, f_inode);
	struct task_struct *target;

	if (BPF_CORE_READ(inode, i_sb, s_magic) == PIDFS_MAGIC)
		target = task_of(BPF_CORE_READ(inode, i_private));
	else
		target = task_of(BPF_CORE_READ(file, private_data));
	if (target)
		set_target(act, target);
}

/* Appends the path of the place that was kept. False: there is none, or it is the root directory. A function of its own: see append_folder. */
__noinline int append_place(void)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct place *place = bpf_map_lookup_elem(&places, &thread);
	struct record *record = scratch_record();

	if (!place || !record)
		return 0;
	record->act.path_bytes = append_path(record, (struct vfsmount *)place->mount, (struct dentry *)place->dentry);
	bpf_map_delete_elem(&places, &thread);
	return record->act.path_bytes != 0;
}

#endif
