/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What is about to be done with a socket, as a record with room for a note, decided by the policies and told. */
#ifndef KESTREL_FLOW_H
#define KESTREL_FLOW_H

#include "network.h"
#include "decide.h"

struct noted_flow {
	struct flow_event event;
	struct policy_note note;
};

/* The kind of act that a record tells of. */
static __always_inline __u32 act_of(__u16 op)
{
	return op == OP_BIND ? POLICY_BIND : op == OP_LISTEN ? POLICY_LISTEN : POLICY_CONNECT;
}

/* Makes ready to decide; 0: nothing is to be decided, or cannot be. */
static __always_inline struct policy_work *begin_flow(struct decision *decision, const struct flow_event *event, struct task_struct *task,
						      struct file *program, __u32 act)
{
	bool is_ip4 = event->family == AF_INET;
	struct policy_work *work;

	if (!policy_asks(decision, task, act))
		return 0;
	work = policy_begin(decision->tid, act);
	if (!work)
		return 0;
	set_program(work, program);
	__builtin_memcpy(work->address, event->destination, 16);
	if (is_ip4) {
		__builtin_memset(work->address, 0, 10);
		__builtin_memset(work->address + 10, 0xff, 2);
		__builtin_memcpy(work->address + 12, event->destination, 4);
	}
	work->port = event->destination_port;
	work->transport = event->protocol;
	work->user = BPF_CORE_READ(task, cred, euid.val);
	return work;
}

/* For programs that can deny. True: deny it; it has been told. */
static __always_inline bool deny_flow(struct noted_flow *flow, struct task_struct *task, __u16 op, __u8 means)
{
	struct file *program = BPF_CORE_READ(task, mm, exe_file);
	__u64 began = bpf_ktime_get_boot_ns();
	struct decision decision = {};
	struct policy_work *work = begin_flow(&decision, &flow->event, task, program, act_of(op));
	bool denies;

	if (!work)
		return false;
	denies = policy_denies(&flow->note, work, &decision, task, program);
	policy_end(decision.tid);
	if (!denies)
		return false;
	flow->note.means = means;
	flow->note.latency_ns = bpf_ktime_get_boot_ns() - began;
	policy_count(act_of(op), COUNT_ACTED);
	if (!may_report(act_of(op)))
		return true;
	fill_header(&flow->event.head, task, op);
	flow->event.head.flags = FLAG_POLICY;
	send_noted(flow, sizeof(*flow), op, act_of(op));
	return true;
}

#endif
