// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* A process ended: its last thread is leaving. */
#define RING process_ring
#include "sensor.h"

struct process_key {
	__u64 start_ns;
	__u32 pid;
	__u32 pad;
};

/* Processes whose end was sent. Two threads that leave at once may both see a count of zero; the first to enter its key here reports. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct process_key);
	__type(value, __u8);
} ended SEC(".maps");

SEC("raw_tp/sched_process_exit")
int kestrel_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct signal_struct *signal = BPF_CORE_READ(task, signal);
	struct exit_event event = {};
	struct process_key key = {};
	__u8 one = 1;

	if (BPF_CORE_READ(signal, live.counter) != 0)
		return 0;
	fill_header(&event.head, task, OP_EXIT);
	key.start_ns = event.head.start_ns;
	key.pid = event.head.pid;
	if (bpf_map_update_elem(&ended, &key, &one, BPF_NOEXIST) == -17 /* EEXIST */)
		return 0;
	/* As wait(2) reports it: the group's code if the group was ended, else that of the leader. */
	if (BPF_CORE_READ(signal, flags) & SIGNAL_GROUP_EXIT)
		event.code = BPF_CORE_READ(signal, group_exit_code);
	else
		event.code = BPF_CORE_READ(task, group_leader, exit_code);
	send(&event, sizeof(event), OP_EXIT, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
