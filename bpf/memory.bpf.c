// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A program got memory that can be written and executed at once. Just-in-time compilers do so all day, so each program says it once for each
 * way: a process that runs another program begins anew. Which programs have said it is forgotten when too many are known, never the other way.
 */
#define RING process_ring
#include "sensor.h"
#include "syscall.h"

#define PROT_WRITE 2
#define PROT_EXEC 4
#define PROGRAMS_MAX 8192

/* A program that runs: a process, from one exec to the next. */
struct program_key {
	__u64 start_ns;
	__u64 exec_id;
	__u32 pid;
	__u32 kind;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, PROGRAMS_MAX);
	__type(key, struct program_key);
	__type(value, __u8);
} programs_told SEC(".maps");

static __always_inline bool is_told(struct task_struct *task, __u32 kind)
{
	struct program_key key = {};
	__u8 told = 1;

	key.start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
	key.exec_id = BPF_CORE_READ(task, self_exec_id);
	key.pid = BPF_CORE_READ(task, tgid);
	key.kind = kind;
	/* Fails when the key is there: of two threads one tells. */
	return bpf_map_update_elem(&programs_told, &key, &told, BPF_NOEXIST) != 0;
}

/* Of family FAMILY_MEMORY: not attached itself, see calls.bpf.c. */
SEC("?raw_tp/sys_exit")
int kestrel_memory(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	struct returned_call returned;
	struct act_event event = {};
	struct task_struct *task;
	__u64 protection;

	/* Memory is mapped often: nothing but what is needed is read. */
	identify_call(ctx, &returned);
	task = returned.task;
	protection = third_argument(regs);
	if (returned.call == CALL_OLD_MMAP) {
		__u32 words[3] = {};

		syscall_arguments(regs, true, returned.args);
		bpf_probe_read_user(words, sizeof(words), (const void *)returned.args[0]);
		protection = words[2];
	}
	if ((protection & (PROT_WRITE | PROT_EXEC)) != (PROT_WRITE | PROT_EXEC))
		return 0;
	if (config.agent_pid && BPF_CORE_READ(task, tgid) == config.agent_pid)
		return 0;
	event.kind = returned.call == CALL_MPROTECT ? ACT_MPROTECT : ACT_MMAP;
	if (is_told(task, event.kind))
		return 0;
	fill_header(&event.head, task, OP_ACT);
	event.values[0] = protection;
	send(&event, sizeof(event), OP_ACT, 0);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
