// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A program got memory that can be written and executed at once, or made memory executable that it could write before. Just-in-time compilers
 * do so all day, so each program says it once for each way: a process that runs another program begins anew. Which programs have said it is
 * forgotten when too many are known, never the other way. Preferred: where security modules are asked, by every call that maps memory or
 * changes its protection, with what the memory was before. Otherwise seen as the calls return, when they have succeeded.
 */
#define RING process_ring
#include "sensor.h"
#include "syscall.h"

#define READ_IMPLIES_EXEC 0x0400000
#define PROT_READ 1
#define PROT_WRITE 2
#define PROT_EXEC 4
#define VM_WRITE 2
#define VM_EXEC 4
#define WRITTEN_BEFORE 0x100 /* beside a kind: another way of it */
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

static __always_inline bool is_both(__u64 protection)
{
	return (protection & (PROT_WRITE | PROT_EXEC)) == (PROT_WRITE | PROT_EXEC);
}

/* What the kernel makes of a protection that is asked for: a program can have all it may read be executable, by personality(2). */
static __always_inline __u64 in_effect(__u64 protection)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	bool is_implied = protection & PROT_READ && BPF_CORE_READ(task, personality) & READ_IMPLIES_EXEC;

	return is_implied ? protection | PROT_EXEC : protection;
}

/* `way`: 0 or WRITTEN_BEFORE. */
static __always_inline void report_memory(__u16 kind, __u32 way, __u64 protection)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct act_event event = {};

	if ((config.agent_pid && BPF_CORE_READ(task, tgid) == config.agent_pid) || is_told(task, kind | way))
		return;
	fill_header(&event.head, task, OP_ACT);
	event.kind = kind;
	event.values[0] = protection;
	send(&event, sizeof(event), OP_ACT, 0);
}

SEC("?fexit/security_mmap_file")
int kestrel_memory_mapped(__u64 *ctx)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u64 protection = in_effect(ctx[1]);

	/* What the kernel maps of a program that starts would be told of the one before. */
	if (!is_both(protection) || (int)ctx[3] || BPF_CORE_READ_BITFIELD_PROBED(task, in_execve))
		return 0;
	report_memory(ACT_MMAP, 0, protection);
	return 0;
}

/* Whether memory that is not executable yet can hold what the program wrote: it may write it, or has a copy of its own since it did. */
static __always_inline bool is_written(struct vm_area_struct *area)
{
	__u64 flags = BPF_CORE_READ(area, vm_flags);

	return !(flags & VM_EXEC) && ((flags & VM_WRITE) || BPF_CORE_READ(area, anon_vma));
}

SEC("?fexit/security_file_mprotect")
int kestrel_memory_protected(__u64 *ctx)
{
	__u64 protection = in_effect(ctx[1]);

	if ((int)ctx[3] || !(protection & PROT_EXEC))
		return 0;
	if (is_both(protection))
		report_memory(ACT_MPROTECT, 0, protection);
	else if (is_written((struct vm_area_struct *)ctx[0]))
		report_memory(ACT_MPROTECT, WRITTEN_BEFORE, protection);
	return 0;
}

/* Fallback, of family FAMILY_MEMORY: not attached itself, see calls.bpf.c. */
SEC("?raw_tp/sys_exit")
int kestrel_memory_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	struct returned_call returned;
	__u64 protection;

	/* Memory is mapped often: nothing but what is needed is read. */
	identify_call(ctx, &returned);
	protection = third_argument(regs);
	if (returned.call == CALL_OLD_MMAP) {
		__u32 words[3] = {};

		syscall_arguments(regs, true, returned.args);
		bpf_probe_read_user(words, sizeof(words), (const void *)returned.args[0]);
		protection = words[2];
	}
	/* Most maps are not even writable: only of the others the task is asked. */
	if (protection & PROT_WRITE)
		protection = in_effect(protection);
	if (is_both(protection))
		report_memory(returned.call == CALL_MPROTECT ? ACT_MPROTECT : ACT_MMAP, 0, protection);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
