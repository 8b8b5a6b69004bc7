/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The exit of a system call: its number and arguments by architecture, which call that is, and the file behind a descriptor. The registers
 * still hold what the caller passed: entry and exit need not be joined.
 */
#ifndef KESTREL_SYSCALL_H
#define KESTREL_SYSCALL_H

#include "calls.h"
#include "kernel.h"

#define AT_FDCWD -100
#define AT_REMOVEDIR 0x200

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long orig_ax;
	unsigned long bx, cx, dx, si, di, bp, r8, r9, r10;
} KERNEL_TYPE;
#define TS_COMPAT 2
/* Set in the number of a call with 32-bit pointers; from 512 on such numbers are calls of their own. */
#define X32_BIT 0x40000000

static __always_inline __u32 syscall_number(struct pt_regs *regs)
{
	return BPF_CORE_READ(regs, orig_ax);
}

static __always_inline bool is_compat(struct task_struct *task)
{
	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
}

static __always_inline void syscall_arguments(struct pt_regs *regs, bool compat, __u64 args[6])
{
	if (compat) {
		args[0] = (__u32)BPF_CORE_READ(regs, bx);
		args[1] = (__u32)BPF_CORE_READ(regs, cx);
		args[2] = (__u32)BPF_CORE_READ(regs, dx);
		args[3] = (__u32)BPF_CORE_READ(regs, si);
		args[4] = (__u32)BPF_CORE_READ(regs, di);
		args[5] = (__u32)BPF_CORE_READ(regs, bp);
		return;
	}
	args[0] = BPF_CORE_READ(regs, di);
	args[1] = BPF_CORE_READ(regs, si);
	args[2] = BPF_CORE_READ(regs, dx);
	args[3] = BPF_CORE_READ(regs, r10);
	args[4] = BPF_CORE_READ(regs, r8);
	args[5] = BPF_CORE_READ(regs, r9);
}

static __always_inline __u64 second_argument(struct pt_regs *regs, bool compat)
{
	return compat ? BPF_CORE_READ(regs, cx) : BPF_CORE_READ(regs, si);
}

/* The same to both kinds of code. */
static __always_inline __u64 third_argument(struct pt_regs *regs)
{
	return BPF_CORE_READ(regs, dx);
}
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	unsigned long regs[31];
	unsigned long orig_x0;
	int syscallno;
} KERNEL_TYPE;
#define X32_BIT 0

static __always_inline __u32 syscall_number(struct pt_regs *regs)
{
	return BPF_CORE_READ(regs, syscallno);
}

/* 32-bit code on arm64 is not covered; doctor says so. */
static __always_inline bool is_compat(struct task_struct *task)
{
	return false;
}

static __always_inline void syscall_arguments(struct pt_regs *regs, bool compat, __u64 args[6])
{
	args[0] = BPF_CORE_READ(regs, orig_x0);
	args[1] = BPF_CORE_READ(regs, regs[1]);
	args[2] = BPF_CORE_READ(regs, regs[2]);
	args[3] = BPF_CORE_READ(regs, regs[3]);
	args[4] = BPF_CORE_READ(regs, regs[4]);
	args[5] = BPF_CORE_READ(regs, regs[5]);
}

static __always_inline __u64 second_argument(struct pt_regs *regs, bool compat)
{
	return BPF_CORE_READ(regs, regs[1]);
}

static __always_inline __u64 third_argument(struct pt_regs *regs)
{
	return BPF_CORE_READ(regs, regs[2]);
}
#else
#error "Kestrel's sensors know the system calls of x86-64 and arm64 only"
#endif

/* By number: the call it is to 64-bit code, and in the high half the one it is to 32-bit code. User space fills it and changes it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CALL_NUMBERS);
	__type(key, __u32);
	__type(value, __u32);
} calls SEC(".maps");

/* The row of the call that now returns; 0: none that matters. */
static __always_inline __u32 call_row(struct pt_regs *regs)
{
	__u32 number = syscall_number(regs) & ~X32_BIT;
	__u32 *row = bpf_map_lookup_elem(&calls, &number);

	return row ? *row : 0;
}

/* A call that has succeeded, in its family's program. Copy `task` before a BPF_CORE_READ: CO-RE would look for this struct in the kernel. */
struct returned_call {
	struct task_struct *task;
	__u64 args[6];
	long result;
	__u16 call;
	bool narrow_ids;
};

/* All but the arguments. */
static __always_inline bool identify_call(struct bpf_raw_tracepoint_args *ctx, struct returned_call *returned)
{
	__u32 row = call_row((struct pt_regs *)ctx->args[0]);
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	bool compat = is_compat(task);

	returned->task = task;
	row = compat ? row >> 16 : row & 0xffff;
	returned->call = row & ~CALL_NARROW_IDS;
	returned->narrow_ids = row & CALL_NARROW_IDS;
	returned->result = ctx->args[1];
	return compat;
}

static __always_inline void read_call(struct bpf_raw_tracepoint_args *ctx, struct returned_call *returned)
{
	bool compat = identify_call(ctx, returned);

	syscall_arguments((struct pt_regs *)ctx->args[0], compat, returned->args);
}

/* A race is left: another thread may close and reuse the descriptor before the call that used it has left the kernel. */
static __always_inline struct file *file_of(struct task_struct *task, long descriptor)
{
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **slots = BPF_CORE_READ(table, fd);
	struct file *file = 0;

	if (descriptor < 0 || descriptor >= (long)BPF_CORE_READ(table, max_fds))
		return 0;
	bpf_probe_read_kernel(&file, sizeof(file), slots + descriptor);
	return file;
}

#endif
