// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Rare acts that say much: other ids or capabilities, a hand on another process, a BPF program, a memory file, a mount. Seen as the call
 * returns, when it has succeeded. They share the ring of processes, so that no flood of files can push them out.
 */
#define RING process_ring
#include "sensor.h"
#include "act.h"

#define PTRACE_ATTACH 16
#define PTRACE_SEIZE 0x4206
#define BPF_PROG_LOAD_COMMAND 5
#define CLONE_NEW_FLAGS 0x7e020080

static __always_inline void append_kernel_text(struct record *record, const void *text)
{
	long length = bpf_probe_read_kernel_str(record->bytes + sizeof(struct act_event), ACT_TEXT_BYTES_MAX, text);

	if (length > 0)
		record->act.text_bytes = length;
	else
		record->head.flags |= FLAG_READ_FAILED;
}

static __always_inline void append_user_text(struct record *record, __u64 text)
{
	long length = bpf_probe_read_user_str(record->bytes + sizeof(struct act_event), ACT_TEXT_BYTES_MAX, (const void *)text);

	if (length > 0)
		record->act.text_bytes = length;
	else
		record->head.flags |= FLAG_READ_FAILED;
}

/* The pid a caller means is that of its own pid namespace; in the initial one it is everybody's. */
static __always_inline __u32 initial_pid(struct task_struct *task, __u64 pid)
{
	return BPF_CORE_READ(task, thread_pid, level) == 0 ? pid : 0;
}

static __always_inline void fill_program(struct record *record, struct file *file)
{
	struct bpf_prog *prog;

	if (!file)
		return;
	prog = BPF_CORE_READ(file, private_data);
	record->act.values[0] = BPF_CORE_READ(prog, type);
	append_kernel_text(record, BPF_CORE_READ(prog, aux)->name);
}

/* False: a call of this kind that is not worth a record. */
static __always_inline bool fill_act(struct record *record, struct task_struct *task, const __u64 a[6], __u32 number, long result)
{
	struct act_event *act = &record->act;
	const struct cred *cred = BPF_CORE_READ(task, cred);
	struct file *file;

	switch (act->kind) {
	case ACT_CAPABILITIES:
		/* 8 bytes on every kernel, once as two halves. */
		bpf_probe_read_kernel(&act->values[0], 8, &cred->cap_effective);
		bpf_probe_read_kernel(&act->values[1], 8, &cred->cap_permitted);
		return true;
	case ACT_PTRACE:
		act->target_pid = initial_pid(task, a[1]);
		return a[0] == PTRACE_ATTACH || a[0] == PTRACE_SEIZE;
	case ACT_MEMORY_READ:
	case ACT_MEMORY_WRITE:
		act->target_pid = initial_pid(task, a[0]);
		return result > 0 && act->target_pid != act->head.pid;
	case ACT_BPF_LOAD:
		if (a[0] != BPF_PROG_LOAD_COMMAND)
			return false;
		fill_program(record, file_of(task, result));
		return true;
	case ACT_MEMFD:
		file = file_of(task, result);
		if (file)
			append_kernel_text(record, BPF_CORE_READ(file, f_path.dentry, d_name.name));
		return true;
	case ACT_MOUNT:
		append_user_text(record, number == NR_MOUNT ? a[1] : a[3]);
		return true;
	case ACT_ROOT:
		append_user_text(record, a[0]);
		return true;
	case ACT_NAMESPACE:
		act->values[0] = (number == NR_UNSHARE ? a[0] : a[1]) & CLONE_NEW_FLAGS;
		/* setns may leave the kind to the descriptor; unshare without one of these is about threads. */
		return number == NR_SETNS || act->values[0] != 0;
	default:
		return true;
	}
}

static __always_inline void report_act(struct task_struct *task, __u16 kind, const __u64 a[6], __u32 number, long result)
{
	struct record *record = scratch_record();
	__u32 bytes;

	if (!record)
		return;
	fill_header(&record->head, task, OP_ACT);
	__builtin_memset(&record->act.values, 0, sizeof(struct act_event) - sizeof(struct event_header));
	record->act.kind = kind;
	if (!fill_act(record, task, a, number, result))
		return;
	bytes = sizeof(struct act_event) + record->act.text_bytes;
	if (bytes > sizeof(struct act_event) + ACT_TEXT_BYTES_MAX)
		return;
	send(record->bytes, bytes, OP_ACT, record->head.flags);
}

SEC("raw_tp/sys_exit")
int kestrel_act(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	__u32 number = without_x32(syscall_number(regs));
	__u32 compat_number = native_number(number);
	struct task_struct *task;
	__u64 args[6];
	bool compat;
	__u16 kind;

	/* Numbers of both kinds of code are looked up before the task is asked which it is: most calls end here. */
	if (compat_number == NR_NONE && !act_of(number))
		return 0;
	if ((long)ctx->args[1] < 0)
		return 0;
	task = (struct task_struct *)bpf_get_current_task();
	compat = is_compat(task);
	if (compat)
		number = compat_number;
	kind = act_of(number);
	if (!kind || (config.agent_pid && BPF_CORE_READ(task, tgid) == config.agent_pid))
		return 0;
	syscall_arguments(regs, compat, args);
	report_act(task, kind, args, number, ctx->args[1]);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
