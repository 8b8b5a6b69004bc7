/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What deciding an act needs: the maps of the policies, memory of the deciding thread's own (not the CPU's: security hooks may be preempted), and
 * the path of a file written from the root on. That is the path the act's event shows: see path.h.
 */
#ifndef KESTREL_POLICY_WORK_H
#define KESTREL_POLICY_WORK_H

#include "path.h"
#include "policy.h"

#define TEXT_END 4096	/* a path is written backwards and ends here */
#define TEXT_ZEROS 256	/* behind it */
#define TICK_NS 10000000 /* of the start times in /proc */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct policy_state);
} policy_state SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * POLICY_ACTS);
	__type(key, __u32);
	__type(value, struct policy_table);
} policy_tables SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, POLICY_ENTRIES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct policy_key);
	__type(value, __u64);
} policy_entries SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, POLICY_PROTECTED_MAX);
	__type(key, struct policy_file);
	__type(value, struct policy_runners);
} policy_protected SEC(".maps");

/* Processes by number; the value is the tick they began at, and for the agent SPARED_HELPERS. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, POLICY_SPARED_MAX);
	__type(key, __u32);
	__type(value, __u64);
} policy_spared SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, POLICY_ACTS * POLICY_COUNTS);
	__type(key, __u32);
	__type(value, __u64);
} policy_counters SEC(".maps");

/* An act under decision, filled in by the hook that sees it. */
struct policy_work {
	__u64 program_mount; /* its file; 0: none */
	__u64 program_dentry;
	__u64 file_mount;
	__u64 file_dentry;
	__u64 walk_mount; /* where the walk along a path stands */
	__u64 walk_dentry;
	__u64 root_mount;
	__u64 root_dentry;
	__u64 clauses; /* that stand so far */
	__u64 rights;  /* credentials that the program is about to get; 0: it is the process's, and has those */
	__u8 address[16];
	__u32 user;
	__u16 port;
	__u8 transport;
	__u8 mode;
	__u32 begin; /* of the path in the text */
	__u32 name;  /* of its last name */
	struct policy_file protected_file;
	struct policy_key key;
	char text[TEXT_END + TEXT_ZEROS];
	/* The record of a denial: the struct, the path as the text has it, the note. */
	struct denied_event denied;
	char denied_data[TEXT_END + TEXT_ZEROS];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, POLICY_WORK_MAX);
	__type(key, __u32);
	__type(value, struct policy_work);
} policy_work SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct policy_work);
} policy_blank SEC(".maps");

static __always_inline void policy_count(__u32 act, __u32 what)
{
	__u32 row = act * POLICY_COUNTS + what;
	__u64 *count = bpf_map_lookup_elem(&policy_counters, &row);

	if (count)
		__sync_fetch_and_add(count, 1);
}

static __always_inline struct policy_state *policy_now(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&policy_state, &zero);
}

/* The table in use; 0: nothing is to be decided about such acts. */
static __always_inline struct policy_table *policy_table(__u32 act, __u32 generation)
{
	__u32 row = (generation & 1) * POLICY_ACTS + act;
	struct policy_table *table = bpf_map_lookup_elem(&policy_tables, &row);

	return table && table->clauses ? table : 0;
}

/* Memory to decide in. Give it back with policy_end(). */
static __always_inline struct policy_work *policy_begin(__u32 tid, __u32 act)
{
	__u32 zero = 0;
	struct policy_work *blank = bpf_map_lookup_elem(&policy_blank, &zero);

	if (!blank || bpf_map_update_elem(&policy_work, &tid, blank, BPF_ANY)) {
		policy_count(act, COUNT_BUSY);
		return 0;
	}
	return bpf_map_lookup_elem(&policy_work, &tid);
}

static __always_inline void policy_end(__u32 tid)
{
	bpf_map_delete_elem(&policy_work, &tid);
}

/* One step of the walk: 0 to go on, 1 at the root, -1 when the path cannot be told. The limits are those of append_path(). */
__noinline int policy_step(__u32 tid)
{
	struct policy_work *work = bpf_map_lookup_elem(&policy_work, &tid);
	struct dentry *dentry, *parent;
	struct mount *mount, *below;
	__u32 begin, length;

	if (!work)
		return -1;
	dentry = (struct dentry *)work->walk_dentry;
	mount = (struct mount *)work->walk_mount;
	if (work->walk_dentry == work->root_dentry && work->walk_mount == work->root_mount)
		return 1;
	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		below = BPF_CORE_READ(mount, mnt_parent);
		if (below == mount)
			return 1;
		work->walk_dentry = (__u64)BPF_CORE_READ(mount, mnt_mountpoint);
		work->walk_mount = (__u64)below;
		return 0;
	}
	begin = work->begin;
	length = BPF_CORE_READ(dentry, d_name.len);
	barrier_var(length);
	if (begin > TEXT_END || begin < TEXT_END - (PATH_BYTES_MAX - NAME_BYTES_MAX) || length == 0 || length >= NAME_BYTES_MAX)
		return -1;
	/* At least 256 of TEXT_END are left. */
	begin -= length;
	barrier_var(begin);
	if (begin > TEXT_END || begin == 0)
		return -1;
	if (bpf_probe_read_kernel(work->text + begin, length, BPF_CORE_READ(dentry, d_name.name)))
		return -1;
	if (work->begin == TEXT_END)
		work->name = begin;
	work->text[begin - 1] = '/';
	work->begin = begin - 1;
	parent = BPF_CORE_READ(dentry, d_parent);
	if (parent == dentry)
		return 1;
	work->walk_dentry = (__u64)parent;
	return 0;
}

/* Writes the path of the program or the file. False: it cannot be told. */
static __always_inline bool policy_path(struct policy_work *work, __u32 tid, __u64 vfsmount, __u64 dentry)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();

	if (!dentry)
		return false;
	work->begin = TEXT_END;
	work->name = TEXT_END;
	work->root_mount = (__u64)mount_of((__u64)BPF_CORE_READ(task, fs, root.mnt));
	work->root_dentry = (__u64)BPF_CORE_READ(task, fs, root.dentry);
	work->walk_mount = (__u64)mount_of(vfsmount);
	work->walk_dentry = dentry;
	for (int i = 0; i < PATH_STEPS_MAX; i++) {
		int result = policy_step(tid);

		if (result)
			return result > 0 && work->name < TEXT_END;
	}
	return false;
}

/* Eight letters at once: those of ASCII in lower case. */
static __always_inline __u64 lower(__u64 word)
{
	__u64 low = word & 0x7f7f7f7f7f7f7f7f;
	__u64 above_z = low + 0x2525252525252525;
	__u64 from_a = low + 0x3f3f3f3f3f3f3f3f;

	return word | ((from_a & ~above_z & 0x8080808080808080) >> 2);
}

/* Folds the value. 1: it has letters beyond ASCII, which fold in other ways. */
__noinline int policy_fold(__u32 tid)
{
	struct policy_work *work = bpf_map_lookup_elem(&policy_work, &tid);
	__u64 beyond = 0;

	if (!work)
		return 1;
	for (int i = 0; i < POLICY_VALUE_BYTES / 8; i++) {
		__u64 *word = (__u64 *)&work->key.value[i * 8];

		beyond |= *word & 0x8080808080808080;
		*word = lower(*word);
	}
	return beyond != 0;
}

#endif
