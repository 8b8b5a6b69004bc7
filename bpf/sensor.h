/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What every sensor shares: maps, counters, who did it, and the walk from a dentry to the root. The rings and the counter map are made
 * once and handed to every object by user space; scratch memory is each object's own, so two sensors never write the same bytes.
 */
#ifndef KESTREL_SENSOR_H
#define KESTREL_SENSOR_H

#include "event.h"
#include "kernel.h"

/* Knobs that user space sets before load. */
struct sensor_config {
	__u32 agent_pid; /* its own files and connections are not reported; 0: report all */
	__u32 pad;
};
const volatile struct sensor_config config = {};

/* User space sets the sizes before load. A flood of files or connections cannot push a process event out of its own ring. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} RING SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OP_COUNT);
	__type(key, __u32);
	__type(value, struct sensor_counters);
} counters SEC(".maps");

/* The record being built: one of the structs of event.h, then its data. A per-CPU value may have 32 KiB. */
#define NOTE_BYTES 32 /* kept free for what a policy said of it */
#define RECORD_BYTES (256 + NOTE_BYTES + 2 * PATH_BYTES_MAX + FILENAME_BYTES_MAX + ARGS_CHUNK_BYTES)
struct record {
	__u64 walk_mount;  /* where the walk along a path stands, see path.h */
	__u64 walk_dentry;
	__u64 root_mount;  /* root directory of the current process, where the walk ends */
	__u64 root_dentry;
	__u32 path_limit; /* no name begins behind this byte */
	__u32 used;	  /* bytes so far; in memory on purpose: the verifier then sees one state per loop step, not one per history */
	__u32 demand_class;	 /* what the path is tested for, see demand.h; 0: nothing, or a name has passed */
	__u32 demand_leaf;	 /* the next name is the last of the path */
	__u32 demand_extensions; /* its extension is tested too */
	__u32 demand_generation; /* of the tables that are asked */
	union {
		struct event_header head;
		struct exec_event exec;
		struct args_event args;
		struct file_event file;
		struct change_event change;
		struct act_event act;
		struct unix_event local;
		char bytes[RECORD_BYTES];
	};
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct record);
} scratch SEC(".maps");

static __always_inline struct record *scratch_record(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

static __always_inline __u32 pid_number(struct pid *pid, __u32 level)
{
	int nr = 0;

	/* numbers[] has level + 1 elements; the element's size is the kernel's. */
	bpf_probe_read_kernel(&nr, sizeof(nr), (char *)&pid->numbers[0] + level * bpf_core_type_size(struct upid));
	return nr;
}

/* The thread that has this number, 0: it has ended. */
static __always_inline struct task_struct *task_of(struct pid *pid)
{
	struct hlist_node *link = BPF_CORE_READ(pid, tasks[0].first);

	return link ? (struct task_struct *)((char *)link - bpf_core_field_offset(struct task_struct, pid_links)) : 0;
}

static __always_inline void set_target(struct act_event *event, struct task_struct *target)
{
	event->target_pid = BPF_CORE_READ(target, tgid);
	event->target_start_ns = BPF_CORE_READ(target, group_leader, start_boottime);
}

static __always_inline __u32 tty_device(struct signal_struct *signal)
{
	struct tty_struct *tty = BPF_CORE_READ(signal, tty);

	if (!tty)
		return 0;
	return BPF_CORE_READ(tty, driver, major) << 20 | (BPF_CORE_READ(tty, driver, minor_start) + BPF_CORE_READ(tty, index));
}

/* Its control group of version 2: also where the others are in use, each process is in one of these. Such a number is never given again. */
static __always_inline __u64 group_of(struct task_struct *task)
{
	return BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
}

/* The identity of a process, from its kernel objects alone. */
static __always_inline void fill_header(struct event_header *head, struct task_struct *task, __u16 op)
{
	struct task_struct *parent = BPF_CORE_READ(task, real_parent);
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	const struct cred *cred = BPF_CORE_READ(task, cred);
	struct pid *pid = BPF_CORE_READ(task, group_leader, thread_pid);

	head->time_ns = bpf_ktime_get_boot_ns();
	head->start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	head->parent_start_ns = BPF_CORE_READ(parent, group_leader, start_boottime);
	head->cgroup_id = group_of(task);
	head->pid = BPF_CORE_READ(task, tgid);
	head->tid = BPF_CORE_READ(task, pid);
	head->ppid = BPF_CORE_READ(parent, tgid);
	head->vpid = pid_number(pid, BPF_CORE_READ(pid, level));
	head->uid = BPF_CORE_READ(cred, uid.val);
	head->gid = BPF_CORE_READ(cred, gid.val);
	head->euid = BPF_CORE_READ(cred, euid.val);
	head->egid = BPF_CORE_READ(cred, egid.val);
	head->suid = BPF_CORE_READ(cred, suid.val);
	head->sgid = BPF_CORE_READ(cred, sgid.val);
	head->login_uid = -1;
	head->audit_session = -1;
	if (bpf_core_field_exists(task->loginuid)) {
		head->login_uid = BPF_CORE_READ(task, loginuid.val);
		head->audit_session = BPF_CORE_READ(task, sessionid);
	}
	head->pgid = pid_number(BPF_CORE_READ(signal, pids[PIDTYPE_PGID]), 0);
	head->sid = pid_number(BPF_CORE_READ(signal, pids[PIDTYPE_SID]), 0);
	head->tty = tty_device(signal);
	head->op = op;
	head->flags = 0;
	bpf_probe_read_kernel(head->comm, sizeof(head->comm), task->comm);
}

static __always_inline struct sensor_counters *counters_of(__u32 op)
{
	return bpf_map_lookup_elem(&counters, &op);
}

static __always_inline void count_filtered(__u32 op)
{
	struct sensor_counters *count = counters_of(op);

	if (count)
		__sync_fetch_and_add(&count->filtered, 1);
}

/*
 * Of the ring of processes rare acts and pieces of arguments fill no more than half: a process that repeats an act without end, as capset with what
 * it has, or starts programs with arguments of 256 KiB takes no room from those that start, fork and end.
 */
static __always_inline bool has_room(void *ring, __u32 op)
{
	return (op != OP_ACT && op != OP_ARGS) || bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) <= bpf_ringbuf_query(ring, BPF_RB_RING_SIZE) / 2;
}

/* Sends head bytes and data, which lie one after another. Atomic adds: a program may be preempted on kernels that only bar migration. */
static __always_inline void send_on(void *ring, void *bytes, __u32 size, __u32 op, __u32 flags)
{
	struct sensor_counters *count = counters_of(op);

	if (!count)
		return;
	__sync_fetch_and_add(&count->produced, 1);
	if (flags & (FLAG_PATH_CUT | FLAG_ARGS_CUT | FLAG_ENV_CUT))
		__sync_fetch_and_add(&count->truncated, 1);
	if (flags & FLAG_READ_FAILED)
		__sync_fetch_and_add(&count->read_failed, 1);
	/* User space polls by timer: no wakeup means no interrupt work for the process that is being watched. */
	if (!has_room(ring, op) || bpf_ringbuf_output(ring, bytes, size, BPF_RB_NO_WAKEUP))
		__sync_fetch_and_add(&count->dropped, 1);
}

static __always_inline void send(void *bytes, __u32 size, __u32 op, __u32 flags)
{
	send_on(&RING, bytes, size, op, flags);
}

#endif
