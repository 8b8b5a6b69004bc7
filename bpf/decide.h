/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Decides acts by the policies of rules, and acts where that is done by a signal. What cannot be decided is let pass and counted; so is what is
 * matched but protected. The hook fills in a struct policy_work first.
 */
#ifndef KESTREL_DECIDE_H
#define KESTREL_DECIDE_H

#include "note.h"

#define SIGKILL 9
#define TEXT_DIMENSIONS 4 /* path, folded, last name, folded: in this order from DIM_PROGRAM and DIM_FILE on */

/* One decision: which act of which thread, by which generation. */
struct decision {
	struct policy_table *table;
	__u32 tid;
	__u32 act;
	__u32 generation;
	__u32 deniers;
};

/* False: nothing is to be decided about such acts. */
static __always_inline bool policy_asks(struct decision *decision, struct task_struct *task, __u32 act)
{
	struct policy_state *state = policy_now();

	if (!state)
		return false;
	decision->act = act;
	decision->generation = state->generation & 1;
	decision->deniers = state->deniers;
	decision->table = policy_table(act, decision->generation);
	if (!decision->table)
		return false;
	decision->tid = BPF_CORE_READ(task, pid);
	return true;
}

/* Clauses that the value in the key lets stand. */
static __always_inline __u64 policy_lookup(struct policy_work *work, struct policy_table *table, __u32 act, __u32 generation, __u32 dimension)
{
	__u64 *entry;

	work->key.bits = 32 + POLICY_VALUE_BYTES * 8;
	work->key.generation = generation;
	work->key.dimension = act << 4 | dimension;
	entry = bpf_map_lookup_elem(&policy_entries, &work->key);
	return entry ? *entry : table->defaults[dimension & (DIM_COUNT - 1)].unmatched;
}

/* A path or its last name, each as it is and folded: dimensions from `first` on. 0, or 1 when something could not be told. */
__noinline int policy_texts(__u32 tid, __u32 act, __u32 generation, __u32 first)
{
	struct policy_work *work = bpf_map_lookup_elem(&policy_work, &tid);
	struct policy_table *table = policy_table(act, generation);
	int unknown = 0;
	bool found;

	if (!work || !table)
		return 1;
	if (first == DIM_FILE)
		found = policy_path(work, tid, work->file_mount, work->file_dentry);
	else
		found = policy_path(work, tid, work->program_mount, work->program_dentry);
	for (__u32 i = 0; i < TEXT_DIMENSIONS; i++) {
		__u32 dimension = (first + i) & (DIM_COUNT - 1);
		__u32 from = i < 2 ? work->begin : work->name;

		if (!(table->dimensions & 1u << dimension))
			continue;
		barrier_var(from);
		if (!found || from > TEXT_END || bpf_probe_read_kernel(work->key.value, POLICY_VALUE_BYTES, work->text + from) ||
		    ((i & 1) && policy_fold(tid))) {
			work->clauses &= table->defaults[dimension].free;
			unknown = 1;
			continue;
		}
		work->clauses &= policy_lookup(work, table, act, generation, dimension);
	}
	return unknown;
}

static __always_inline void policy_number(struct policy_work *work, struct decision *decision, __u32 dimension, const void *bytes, __u32 size)
{
	if (!(decision->table->dimensions & 1u << dimension))
		return;
	__builtin_memcpy(work->key.value, bytes, size);
	work->clauses &= policy_lookup(work, decision->table, decision->act, decision->generation, dimension);
}

/* The clauses that are true of the act. */
static __always_inline __u64 policy_decide(struct policy_work *work, struct decision *decision)
{
	__u32 user = __builtin_bswap32(work->user);
	__u16 port = __builtin_bswap16(work->port);
	__u32 dimensions = decision->table->dimensions;
	int unknown = 0;

	work->clauses = decision->table->clauses;
	policy_number(work, decision, DIM_USER, &user, 4);
	policy_number(work, decision, DIM_MODE, &work->mode, 1);
	policy_number(work, decision, DIM_ADDRESS, work->address, 16);
	policy_number(work, decision, DIM_PORT, &port, 2);
	policy_number(work, decision, DIM_TRANSPORT, &work->transport, 1);
	/* Paths last: they cost most, and few acts come here. */
	if (work->clauses && dimensions & 0xf << DIM_FILE)
		unknown = policy_texts(decision->tid, decision->act, decision->generation, DIM_FILE);
	if (work->clauses && dimensions & 0xf << DIM_PROGRAM)
		unknown |= policy_texts(decision->tid, decision->act, decision->generation, DIM_PROGRAM);
	if (unknown)
		policy_count(decision->act, COUNT_UNDECIDED);
	return work->clauses;
}

/* What policy_spared says of a process, 0: nothing. */
static __always_inline __u64 spared_row(struct task_struct *task)
{
	__u32 tgid = BPF_CORE_READ(task, tgid);
	__u64 *row = bpf_map_lookup_elem(&policy_spared, &tgid);

	return row && BPF_CORE_READ(task, group_leader, start_boottime) / TICK_NS == (*row & ~SPARED_HELPERS) ? *row : 0;
}

/* The gatekeeper, and what the heartbeat starts. */
static __always_inline bool is_helper(struct task_struct *task, struct inode *program)
{
	struct task_struct *parent = BPF_CORE_READ(task, real_parent);

	return spared_row(parent) & SPARED_HELPERS && BPF_CORE_READ(parent, mm, exe_file, f_inode) == program;
}

static __always_inline bool is_runner(const struct policy_runners *runners, __u32 user)
{
	bool is = user == 0;

	for (int i = 0; i < POLICY_RUNNERS_MAX; i++)
		is |= user == runners->users[i];
	return is;
}

/*
 * By the credentials that are the process's own: a filesystem may lend its thread root's for a while. The effective user is not asked: sshd takes that
 * of whoever logs in to read his keys. After an exec the saved one is the effective one of then, so no user's program has root for both.
 */
static __always_inline bool is_run_by(const struct policy_runners *runners, struct policy_work *work, struct task_struct *task)
{
	const struct cred *rights = (const struct cred *)work->rights;

	if (runners->anybody)
		return true;
	if (!rights)
		rights = BPF_CORE_READ(task, real_cred);
	return is_runner(runners, BPF_CORE_READ(rights, uid.val)) && is_runner(runners, BPF_CORE_READ(rights, suid.val));
}

/* Process 1, the kernel's threads, the agent with its helpers and who started it, and the programs of the protect list. */
static __always_inline bool is_spared(struct policy_work *work, struct task_struct *task, struct file *program)
{
	struct policy_runners *runners;
	struct inode *inode;

	if (BPF_CORE_READ(task, tgid) == 1 || !BPF_CORE_READ(task, mm) || !program)
		return true;
	if (spared_row(task) || is_helper(task, BPF_CORE_READ(program, f_inode)))
		return true;
	inode = BPF_CORE_READ(program, f_inode);
	work->protected_file.inode = BPF_CORE_READ(inode, i_ino);
	work->protected_file.device = BPF_CORE_READ(inode, i_sb, s_dev);
	runners = bpf_map_lookup_elem(&policy_protected, &work->protected_file);
	return runners && is_run_by(runners, work, task);
}

static __always_inline void set_program(struct policy_work *work, struct file *file)
{
	work->program_mount = (__u64)BPF_CORE_READ(file, f_path.mnt);
	work->program_dentry = (__u64)BPF_CORE_READ(file, f_path.dentry);
}

/* What becomes of a sensor's record. */
enum verdict {
	VERDICT_NONE,	/* no policy matches */
	VERDICT_NOTED,	/* it carries a note and goes to the ring of processes */
	VERDICT_DENIED, /* a program behind this one denies the act, and tells of it */
};

/*
 * For sensors: `can_signal`, whoever is to be killed dies before it runs on, and so does who could not be denied; `may_deny`, the sensor sees the act
 * before those who could deny it.
 */
static __always_inline enum verdict policy_verdict(struct policy_note *note, struct policy_work *work, struct decision *decision,
						   struct task_struct *task, struct file *program, bool can_signal, bool may_deny)
{
	__u64 began = bpf_ktime_get_boot_ns();
	__u64 matched = policy_decide(work, decision);
	__u64 enforced = matched & decision->table->enforced;

	if (!matched) {
		policy_end(decision->tid);
		return VERDICT_NONE;
	}
	note->matched = matched;
	note->acted = 0;
	note->act = decision->act;
	note->generation = decision->generation;
	note->means = MEANS_NONE;
	note->spared = enforced && is_spared(work, task, program);
	policy_end(decision->tid);
	if (note->spared) {
		policy_count(decision->act, COUNT_SPARED);
	} else if (may_deny && decision->deniers & 1u << decision->act && enforced & decision->table->denying) {
		return VERDICT_DENIED;
	} else if (can_signal && enforced && !bpf_send_signal(SIGKILL)) {
		note->acted = enforced;
		note->means = MEANS_SIGNAL;
		policy_count(decision->act, COUNT_ACTED);
	} else {
		policy_count(decision->act, COUNT_MONITORED);
	}
	note->latency_ns = bpf_ktime_get_boot_ns() - began;
	return VERDICT_NOTED;
}

/* For programs that can deny. A protected process is told of by the sensor. */
static __always_inline bool policy_denies(struct policy_note *note, struct policy_work *work, struct decision *decision,
					  struct task_struct *task, struct file *program)
{
	note->matched = policy_decide(work, decision);
	note->acted = note->matched & decision->table->enforced & decision->table->denying;
	note->act = decision->act;
	note->generation = decision->generation;
	note->spared = 0;
	return note->acted && !is_spared(work, task, program);
}

#endif
