// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A process was told by another to end or to stop. Seen where the kernel puts the signal down, whatever call sent it, with the target as
 * the kernel knows it. What a process does to its own children is its daily business and left out.
 */
#define RING process_ring
#include "sensor.h"

#define SIGKILL 9
#define SIGTERM 15
#define SIGSTOP 19
#define SEND_SIG_PRIV 1 /* sent by the kernel itself */

SEC("raw_tp/signal_generate")
int kestrel_signal(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 signal = ctx->args[0];
	struct kernel_siginfo *info = (struct kernel_siginfo *)ctx->args[1];
	struct task_struct *target = (struct task_struct *)ctx->args[2];
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 pid = BPF_CORE_READ(task, tgid);
	struct act_event event = {};

	if (signal != SIGKILL && signal != SIGTERM && signal != SIGSTOP)
		return 0;
	/* A positive code: a fault, a timer, a resource limit. */
	if ((__u64)info == SEND_SIG_PRIV || ((__u64)info > SEND_SIG_PRIV && BPF_CORE_READ(info, si_code) > 0))
		return 0;
	if (!pid || pid == config.agent_pid)
		return 0;
	event.target_pid = BPF_CORE_READ(target, tgid);
	if (event.target_pid == pid || BPF_CORE_READ(target, real_parent, tgid) == pid)
		return 0;
	fill_header(&event.head, task, OP_ACT);
	event.values[0] = signal;
	event.target_start_ns = BPF_CORE_READ(target, group_leader, start_boottime);
	event.kind = ACT_SIGNAL;
	send(&event, sizeof(event), OP_ACT, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
