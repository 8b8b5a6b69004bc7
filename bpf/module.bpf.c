// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * A kernel module was loaded or unloaded. Seen where the kernel does it, whatever call asked, and before the module's own code runs: what
 * that code then does to the sensors comes too late. Its file is known when the call named a descriptor and the kernel lets us see the call.
 */
#define RING process_ring
#include "act-record.h"
#include "syscall.h"

/* Calls that load a module from a descriptor, the first argument; to 32-bit code the other number. */
#if defined(__TARGET_ARCH_x86)
#define NR_FINIT_MODULE 313
#define NR_COMPAT_FINIT_MODULE 350
#else
#define NR_FINIT_MODULE 273
#define NR_COMPAT_FINIT_MODULE 379
#endif

static __always_inline void append_file(struct record *record, struct task_struct *task)
{
	struct pt_regs *regs;
	struct file *file;
	__u64 args[6];
	bool compat;

	/* Since Linux 5.15. */
	if (!bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))
		return;
	regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());
	compat = is_compat(task);
	if (syscall_number(regs) != (compat ? NR_COMPAT_FINIT_MODULE : NR_FINIT_MODULE))
		return;
	syscall_arguments(regs, compat, args);
	file = file_of(task, (__s32)args[0]);
	if (file)
		record->act.path_bytes = append_path(record, BPF_CORE_READ(file, f_path.mnt), BPF_CORE_READ(file, f_path.dentry));
}

static __always_inline struct record *begin_module(struct module *module, __u16 kind)
{
	struct record *record = begin_act((struct task_struct *)bpf_get_current_task(), kind);

	if (record)
		append_act_text(record, (__u64)module->name, bpf_probe_read_kernel_str);
	return record;
}

SEC("raw_tp/module_load")
int kestrel_module_load(struct bpf_raw_tracepoint_args *ctx)
{
	struct module *module = (struct module *)ctx->args[0];
	struct record *record = begin_module(module, ACT_MODULE_LOAD);

	if (!record)
		return 0;
	record->act.values[0] = BPF_CORE_READ(module, taints);
	append_file(record, (struct task_struct *)bpf_get_current_task());
	return send_record(record, OP_ACT);
}

SEC("raw_tp/module_free")
int kestrel_module_free(struct bpf_raw_tracepoint_args *ctx)
{
	struct record *record = begin_module((struct module *)ctx->args[0], ACT_MODULE_UNLOAD);

	return record ? send_record(record, OP_ACT) : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
