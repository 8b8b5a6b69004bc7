/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* System call numbers at the exit of a system call, by architecture, and the file behind a descriptor it returned. */
#ifndef KESTREL_SYSCALL_H
#define KESTREL_SYSCALL_H

#include "kernel.h"

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long orig_ax;
} KERNEL_TYPE;
#define SYSCALL_NUMBER(regs) BPF_CORE_READ(regs, orig_ax)
#define TS_COMPAT 2

/* open, creat, openat, open_by_handle_at, openat2 */
static __always_inline bool opens_file(unsigned long number)
{
	return number == 257 || number == 2 || number == 85 || number == 304 || number == 437;
}

/* The same calls made by 32-bit code; these numbers mean other calls to 64-bit code. openat2 has one number for both. */
static __always_inline bool opens_file_compat(unsigned long number)
{
	return number == 295 || number == 5 || number == 8 || number == 342;
}

static __always_inline bool is_compat(struct task_struct *task)
{
	return BPF_CORE_READ(task, thread_info.status) & TS_COMPAT;
}
#elif defined(__TARGET_ARCH_arm64)
struct pt_regs {
	int syscallno;
} KERNEL_TYPE;
#define SYSCALL_NUMBER(regs) (unsigned long)BPF_CORE_READ(regs, syscallno)

/* openat, open_by_handle_at, openat2 */
static __always_inline bool opens_file(unsigned long number)
{
	return number == 56 || number == 265 || number == 437;
}

/* 32-bit code on arm64 is not covered by this fallback; doctor says so. */
static __always_inline bool opens_file_compat(unsigned long number)
{
	return false;
}

static __always_inline bool is_compat(struct task_struct *task)
{
	return false;
}
#else
#error "Kestrel's file sensor knows the system calls of x86-64 and arm64 only"
#endif

/* A race is left: another thread may close and reuse the descriptor before its opener has left the kernel. */
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
