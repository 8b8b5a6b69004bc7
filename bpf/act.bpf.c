// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Rare acts that say much: a hand on another process, a BPF program, a memory file, a mount. Seen as the call returns, when it has succeeded.
 * Whom and what place such a call was about is preferably kept by the hooks of act-hooks.h, else it is the caller's word. They share the ring
 * of processes, so that no flood of files can push them out.
 */
#define RING process_ring
#include "act-record.h"
#include "syscall.h"
#include "act-hooks.h"
#include "clone.h"

#define PTRACE_ATTACH 16
#define PTRACE_SEIZE 0x4206
#define BPF_PROG_LOAD_COMMAND 5
#define CLONE_NEW_FLAGS 0x7e020080
#define KEYCTL_GET_KEYRING_ID 0
#define KEYCTL_DESCRIBE 6
#define KEXEC_FILE_UNLOAD 1
#define OPEN_TREE_CLONE 1
#define FSCONFIG_CMD_RECONFIGURE 7
#define USERFAULTFD_IOC_NEW 0xaa00 /* of /dev/userfaultfd; the number is no other driver's */

static __always_inline void fill_program(struct record *record, struct file *file)
{
	struct bpf_prog *prog;

	if (!file)
		return;
	prog = BPF_CORE_READ(file, private_data);
	record->act.values[0] = BPF_CORE_READ(prog, type);
	append_act_text(record, (__u64)BPF_CORE_READ(prog, aux)->name, bpf_probe_read_kernel_str);
}

static __always_inline __u16 act_of(__u16 call)
{
	switch (call) {
	case CALL_PTRACE: return ACT_PTRACE;
	case CALL_MEMORY_READ: return ACT_MEMORY_READ;
	case CALL_MEMORY_WRITE: return ACT_MEMORY_WRITE;
	case CALL_PIDFD_GETFD: return ACT_PIDFD_GETFD;
	case CALL_BPF: return ACT_BPF_LOAD;
	case CALL_MEMFD: return ACT_MEMFD;
	case CALL_MOUNT: case CALL_MOVE_MOUNT: return ACT_MOUNT;
	case CALL_OPEN_TREE: case CALL_FSMOUNT: case CALL_MOUNT_SETATTR: case CALL_FSCONFIG: return ACT_MOUNT;
	case CALL_ROOT: return ACT_ROOT;
	case CALL_IO_URING: return ACT_IO_URING;
	case CALL_USERFAULTFD: case CALL_IOCTL: return ACT_USERFAULTFD;
	case CALL_UNSHARE: case CALL_SETNS: return ACT_NAMESPACE;
	case CALL_KEXEC: case CALL_KEXEC_FILE: return ACT_KEXEC;
	case CALL_KEYCTL: case CALL_ADD_KEY: case CALL_REQUEST_KEY: return ACT_KEY;
	case CALL_UMOUNT: return ACT_UMOUNT;
	case CALL_SETSID: return ACT_SESSION;
	default: return 0;
	}
}

/* New or other namespaces of its own; those of a new process are told by clone.h. False: none. */
static __always_inline bool fill_namespaces(struct record *record, const struct returned_call *returned)
{
	struct act_event *act = &record->act;

	if (returned->call == CALL_SETNS) { /* may leave the kind to the descriptor */
		act->values[0] = returned->args[1] & CLONE_NEW_FLAGS;
		act->values[1] = WAY_SETNS;
		return true;
	}
	/* Without one of these it is about threads. */
	act->values[0] = returned->args[0] & CLONE_NEW_FLAGS;
	act->values[1] = WAY_UNSHARE;
	return act->values[0];
}

/*
 * A mount that is put somewhere, changed, or made to be reached through its descriptor alone: programs run and files are written in such a one by
 * other paths than any rule names. False: a call that mounts nothing.
 */
static __always_inline bool fill_mount(struct record *record, const struct returned_call *returned)
{
	const __u64 *a = returned->args;
	__u64 text = a[1];

	switch (returned->call) {
	case CALL_OPEN_TREE: /* what is copied */
		if (!(a[2] & OPEN_TREE_CLONE))
			return false;
		break;
	case CALL_FSCONFIG:
		return a[1] == FSCONFIG_CMD_RECONFIGURE;
	case CALL_FSMOUNT:
		return true;
	case CALL_MOUNT_SETATTR:
		break;
	case CALL_MOVE_MOUNT:
		text = a[3];
		/* fall through */
	default:
		if (append_place())
			return true;
	}
	append_act_text(record, text, bpf_probe_read_user_str);
	return true;
}

static __always_inline bool fill_kexec(struct record *record, const struct returned_call *returned)
{
	struct file *file;

	if (returned->call == CALL_KEXEC)
		return returned->args[1] != 0; /* no segments: what was ready is dropped */
	if (returned->args[4] & KEXEC_FILE_UNLOAD)
		return false;
	file = file_of(returned->task, (__s32)returned->args[0]);
	if (!file)
		return true;
	record->act.path_bytes = append_path(record, BPF_CORE_READ(file, f_path.mnt), BPF_CORE_READ(file, f_path.dentry));
	return true;
}

static __always_inline bool fill_key(struct record *record, const struct returned_call *returned)
{
	struct act_event *act = &record->act;

	switch (returned->call) {
	case CALL_KEYCTL:
		act->values[0] = (__u32)returned->args[0];
		return act->values[0] != KEYCTL_GET_KEYRING_ID && act->values[0] != KEYCTL_DESCRIBE;
	case CALL_ADD_KEY:
		act->values[0] = WAY_ADD_KEY;
		break;
	default:
		act->values[0] = WAY_REQUEST_KEY;
	}
	append_act_text(record, returned->args[1], bpf_probe_read_user_str);
	return true;
}

/* False: a call of this kind that is not worth a record. */
static __always_inline bool fill_act(struct record *record, const struct returned_call *returned)
{
	struct act_event *act = &record->act;
	struct task_struct *task = returned->task;
	const __u64 *a = returned->args;
	struct file *file;

	switch (act->kind) {
	case ACT_PTRACE:
		fill_target(act, task, a[1]);
		return a[0] == PTRACE_ATTACH || a[0] == PTRACE_SEIZE;
	case ACT_MEMORY_READ:
	case ACT_MEMORY_WRITE:
		fill_target(act, task, a[0]);
		return returned->result > 0 && act->target_pid != act->head.pid;
	case ACT_PIDFD_GETFD: /* of its own too: by now the descriptor may be another one */
		fill_descriptor_target(act, file_of(task, a[0]));
		return true;
	case ACT_BPF_LOAD:
		if (a[0] != BPF_PROG_LOAD_COMMAND)
			return false;
		fill_program(record, file_of(task, returned->result));
		return true;
	case ACT_MEMFD:
		file = file_of(task, returned->result);
		if (file)
			append_act_text(record, (__u64)BPF_CORE_READ(file, f_path.dentry, d_name.name), bpf_probe_read_kernel_str);
		return true;
	case ACT_MOUNT:
		return fill_mount(record, returned);
	case ACT_UMOUNT:
		if (!append_place())
			append_act_text(record, a[0], bpf_probe_read_user_str);
		return true;
	case ACT_ROOT:
		append_act_text(record, a[0], bpf_probe_read_user_str);
		return true;
	case ACT_NAMESPACE:
		return fill_namespaces(record, returned);
	case ACT_KEXEC:
		return fill_kexec(record, returned);
	case ACT_KEY:
		return fill_key(record, returned);
	default:
		return true;
	}
}

/* Of family FAMILY_ACT: not attached itself, see calls.bpf.c. */
SEC("?raw_tp/sys_exit")
int kestrel_act(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	struct returned_call returned;
	struct task_struct *task;
	struct record *record;
	bool compat = identify_call(ctx, &returned);
	__u16 kind;

	/* Some programs do little else than ioctl: nothing but what is needed is read. */
	if (returned.call == CALL_IOCTL && (__u32)second_argument(regs, compat) != USERFAULTFD_IOC_NEW)
		return 0;
	syscall_arguments(regs, compat, returned.args);
	task = returned.task;
	kind = act_of(returned.call);
	if (!kind || (config.agent_pid && BPF_CORE_READ(task, tgid) == config.agent_pid))
		return 0;
	record = begin_act(task, kind);
	return record && fill_act(record, &returned) ? send_record(record, OP_ACT) : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
