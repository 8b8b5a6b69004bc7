// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The one program that every system call of the machine pays for: looks the call's number up in the table and, for the few that matter,
 * goes on to the program of their family. It sends nothing itself. A call that failed is no event.
 */
#include "syscall.h"

/* The program of each family; an empty slot ends the call here. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, FAMILY_COUNT);
	__type(key, __u32);
	__type(value, __u32);
} call_programs SEC(".maps");

SEC("raw_tp/sys_exit")
int kestrel_calls(struct bpf_raw_tracepoint_args *ctx)
{
	/* Numbers of both kinds of code are looked up before the task is asked which it is: most calls end here. */
	__u32 row = call_row((struct pt_regs *)ctx->args[0]);

	if (!row || (long)ctx->args[1] < 0)
		return 0;
	row = is_compat((struct task_struct *)bpf_get_current_task()) ? row >> 16 : row & 0xffff;
	/* Family 0, of the other kind of code's number, has no program. */
	bpf_tail_call(ctx, &call_programs, (row & ~CALL_NARROW_IDS) >> CALL_FAMILY_SHIFT);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
