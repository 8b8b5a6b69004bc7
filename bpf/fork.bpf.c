// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A process was made; new threads of a known one are not reported. */
#define RING process_ring
#include "sensor.h"

SEC("raw_tp/sched_process_fork")
int kestrel_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (struct task_struct *)ctx->args[0];
	struct task_struct *child = (struct task_struct *)ctx->args[1];
	struct fork_event event = {};

	if (BPF_CORE_READ(child, pid) != BPF_CORE_READ(child, tgid))
		return 0;
	fill_header(&event.head, child, OP_FORK);
	event.forker_pid = BPF_CORE_READ(parent, tgid);
	send(&event, sizeof(event), OP_FORK, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
