/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* How a sensor tells of what is done with a socket: if somebody wants to hear of it, with what the policies say. */
#ifndef KESTREL_TELL_H
#define KESTREL_TELL_H

#include "flow.h"
#include "flow-demand.h"

/* The kind of events that a record is one of. */
static __always_inline __u32 class_of(__u16 op)
{
	return op == OP_BIND ? DEMAND_BIND : op == OP_LISTEN ? DEMAND_LISTEN : DEMAND_CONNECT;
}

/* Tells of a flow whose record has both ends, if a rule can match it: none that has a policy matches another. */
static __always_inline void tell_flow(struct noted_flow *flow, struct task_struct *task, __u16 op, bool can_signal, bool may_deny)
{
	struct file *program = BPF_CORE_READ(task, mm, exe_file);
	struct decision decision = {};
	enum verdict verdict = VERDICT_NONE;
	struct policy_work *work;

	if (!takes_flow(class_of(op), task, &flow->event)) {
		count_filtered(op);
		return;
	}
	fill_header(&flow->event.head, task, op);
	work = begin_flow(&decision, &flow->event, task, program, act_of(op));
	if (work)
		verdict = policy_verdict(&flow->note, work, &decision, task, program, can_signal, may_deny);
	if (verdict == VERDICT_DENIED)
		return;
	if (verdict == VERDICT_NONE) {
		send(&flow->event, sizeof(flow->event), op, 0);
		return;
	}
	flow->event.head.flags |= FLAG_POLICY;
	send_noted(flow, sizeof(*flow), op, act_of(op));
}

#endif
